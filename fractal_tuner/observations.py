"""What told trials say of a landscape: where they lie, and how much noise is in their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fractal_tuner.axes import Axis, check_names
from fractal_tuner.dimensions import Dimension
from fractal_tuner.space import Key, SearchSpace
from fractal_tuner.trials import Trial

_LEAST_FREEDOM = 5  # of a noise variance that is to be called known


def trial_axes(
    trials: Sequence[Trial], space: SearchSpace, dims: Sequence[str] | None
) -> list[tuple[Axis, np.ndarray]]:
    """Axes of trials and their unit coordinates, NaN where a dimension is not active.

    Parameters
    ----------
    trials : sequence of Trial
    space : SearchSpace
        They are of.
    dims : sequence of str or None
        Names; by default all that every trial has on one and the same scale.
    """
    units = np.array([space.unit(trial.key) for trial in trials])
    columns: dict[str, tuple[Dimension, np.ndarray] | None] = {}
    for parameter, u in zip(space.parameters, units.T, strict=True):
        name = parameter.name
        if name is None:
            continue
        if name not in columns:
            columns[name] = parameter.dimension, u
        elif (known := columns[name]) is not None:  # another member of a union has it too
            same = known[0] == parameter.dimension
            merged = np.where(np.isnan(u), known[1], u)
            columns[name] = (known[0], merged) if same else None
    if dims is None:
        dims = [
            name
            for name in space.names
            if (column := columns[name]) is not None and not np.isnan(column[1]).any()
        ]
        if not dims:
            raise ValueError(
                f"no dimension is active in all trials; name some of {list(space.names)} in dims"
            )
    check_names("dims", dims, space.names)
    chosen = []
    for name in dims:
        column = columns[name]
        if column is None:
            raise ValueError(f"dimension {name!r} has several scales in this union of spaces")
        chosen.append((Axis(name, column[0]), column[1]))
    return chosen


def noise_variance(trials: Sequence[Trial]) -> float | None:
    """Variance of the noise in one score, or None if the trials do not tell.

    From ``k`` folds of ``n`` trials it is the mean square of what a sum of trial and fold effects
    leaves, ``sum (s_ij - s_i. - s_.j + s_..)^2 / (n - 1)(k - 1)``, divided by ``k``; splits that
    all trials share are no noise between them. Otherwise it is the pooled variance of candidates
    that were evaluated repeatedly. With fewer than 5 degrees of freedom it is unknown, unless all
    repeats agree exactly: then it is 0.

    Folds share training data, and their scores are not independent: the variance of a mean over
    folds is underestimated, by an amount that the folds themselves cannot tell.

    Parameters
    ----------
    trials : sequence of Trial
        Of one space.

    References
    ----------
    Bengio & Grandvalet, J. Mach. Learn. Res. 5, 2004 (no unbiased estimator from one
    cross-validation).

    Examples
    --------
    >>> from fractal_tuner import FactorialZoom
    >>> search = FactorialZoom({"x": [1, 2, 3, 4]}, levels=1)
    >>> for trial in search.ask(4):
    ...     folds = [0.1, 0.5, (-1) ** trial.id]
    ...     _ = search.tell(trial.id, sum(folds) / 3, folds=folds)
    >>> noise_variance(list(search.trials))
    0.148148
    """
    complete = [trial for trial in trials if trial.status == "complete"]
    folded = [t.folds for t in complete if len(t.folds) > 1 and np.isfinite(t.folds).all()]
    if folded:
        k = Counter(map(len, folded)).most_common(1)[0][0]
        table = np.array([folds for folds in folded if len(folds) == k])
        rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
        freedom = (len(table) - 1) * (k - 1)
        if freedom >= _LEAST_FREEDOM:
            return float((rest**2).sum() / freedom / k)
    repeats: dict[Key, list[float]] = {}
    for trial in complete:
        repeats.setdefault(trial.key, []).append(trial.score)
    groups = [np.array(scores) for scores in repeats.values() if len(scores) > 1]
    squares = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
    freedom = sum(len(group) - 1 for group in groups)
    if freedom >= _LEAST_FREEDOM or (freedom > 0 and squares == 0):
        return squares / freedom
    return None
