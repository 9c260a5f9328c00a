"""What told trials say of a landscape: where they lie, and how much noise is in their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fractal_tuner.axes import Axis, check_names
from fractal_tuner.dimensions import Dimension
from fractal_tuner.space import Key, SearchSpace
from fractal_tuner.trials import Trial

_LEAST_FREEDOM = 5  # of a noise variance that is to be called known
_LARGEST = 1e150  # beyond it squares overflow


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


@dataclass(frozen=True)
class ScoreNoise:
    """Noise in the score of one trial.

    Attributes
    ----------
    variance : float
    freedom : float
        Degrees of freedom of the variance.
    source : {"folds", "repeats"}
        What told it.
    """

    variance: float
    freedom: float
    source: Literal["folds", "repeats"]


def score_noise(trials: Iterable[Trial]) -> ScoreNoise | None:
    """Noise in the score of one trial, or None if the trials do not tell.

    From ``k`` folds of ``n`` trials it is the mean square of what a sum of trial and fold effects
    leaves, ``sum (s_ij - s_i. - s_.j + s_..)^2 / (n - 1)(k - 1)``, divided by ``k``; splits that
    all trials share are no noise between them. Otherwise it is that of :func:`repeat_noise`. With
    fewer than 5 degrees of freedom it is unknown, unless it is exactly 0.

    Similar candidates meet the same luck, so that fewer trials than ``n`` are independent: the
    degrees of freedom are ``k - 1`` times the number that would be as variable if they were. Two
    folds cannot tell that number, which is then taken to be 1.

    Parameters
    ----------
    trials : iterable of Trial
        Of one space.

    References
    ----------
    Bengio & Grandvalet, J. Mach. Learn. Res. 5, 2004 (no unbiased estimator from one
    cross-validation); Box, Ann. Math. Stat. 25, 1954, 290 and 484 (degrees of freedom of dependent
    rows); Bai & Saranadasa, Stat. Sin. 6, 1996 (unbiased trace of a squared covariance).

    Examples
    --------
    >>> from fractal_tuner import FactorialZoom
    >>> rng = np.random.default_rng(0)
    >>> search = FactorialZoom({"x": list(range(20))}, levels=1)
    >>> for trial in search.ask(20):
    ...     folds = 0.5 * rng.standard_normal(5)
    ...     _ = search.tell(trial.id, folds.mean(), folds=folds)
    >>> round(score_noise(search.trials).variance, 2)
    0.04
    """
    # A landscape is that of these data; its noise is what another split of them would change.
    # Nadeau and Bengio's allowance for shared training data is the luck of the data, which moves
    # neighbours together: it belongs to comparisons that are to hold on new data.
    trials = list(trials)
    _, table = scores_by_fold(trials)
    n, k = table.shape
    if (n - 1) * (k - 1) < _LEAST_FREEDOM or np.abs(table).max() > _LARGEST:
        return repeat_noise(trials)
    rest = table - table.mean(1, keepdims=True)
    rest -= rest.mean(0)
    products = rest.T @ rest
    total = float(np.trace(products)) / (k - 1)
    freedom = float(k - 1)
    if k > 2 and total > 0:
        squared = (products**2).sum() / (k - 1) ** 2
        unbiased = (k - 1) ** 2 / ((k - 2) * (k + 1)) * (squared - total**2 / (k - 1))
        freedom *= min(max(total**2 / max(unbiased, 1e-300), 1.0), n - 1.0)
    if freedom < _LEAST_FREEDOM and total > 0:
        return repeat_noise(trials)
    return ScoreNoise(total / ((n - 1) * k), float(freedom), "folds")


def repeat_noise(trials: Iterable[Trial]) -> ScoreNoise | None:
    """The pooled variance of candidates that were evaluated repeatedly.

    Unknown with fewer than 5 degrees of freedom, unless all repeats agree exactly: then it is 0.
    Unknown also for repeats so large that they have no squares.
    """
    repeats: dict[Key, list[float]] = {}
    for trial in trials:
        if trial.status == "complete":
            repeats.setdefault(trial.key, []).append(trial.score)
    groups = [np.array(scores) for scores in repeats.values() if len(scores) > 1]
    if any(np.abs(group).max() > _LARGEST for group in groups):
        return None
    squares = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
    freedom = sum(len(group) - 1 for group in groups)
    if freedom >= _LEAST_FREEDOM or (freedom > 0 and squares == 0):
        return ScoreNoise(squares / freedom, float(freedom), "repeats")
    return None


def scores_by_fold(trials: Iterable[Trial]) -> tuple[list[Trial], np.ndarray]:
    """Complete trials with the usual number of folds, at least 2, and their scores (n, k)."""
    folded = [
        trial
        for trial in trials
        if trial.status == "complete" and len(trial.folds) > 1 and np.isfinite(trial.folds).all()
    ]
    if not folded:
        return [], np.empty((0, 2))
    k = Counter(len(trial.folds) for trial in folded).most_common(1)[0][0]
    usual = [trial for trial in folded if len(trial.folds) == k]
    return usual, np.array([trial.folds for trial in usual])
