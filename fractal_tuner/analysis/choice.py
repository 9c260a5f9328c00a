"""robust_best: the trial to take where scores are noisy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fractal_tuner.analysis.emulator import Design, Emulator
from fractal_tuner.analysis.rivals import indistinguishable
from fractal_tuner.landscape import check_trials

if TYPE_CHECKING:
    from fractal_tuner.trials import Trial, TrialLog


def robust_best(trials: TrialLog, *, test_ratio: float | None = None) -> Trial:
    """Of the trials that cannot be told from the best, the one among the best neighbours.

    The highest of many noisy scores is partly luck. Here the candidates of
    :func:`indistinguishable` are compared by the mean of a random field that is fitted to all
    trials, which weighs a score with those around it; the highest is taken, and of equal ones the
    one with the higher score, then the earlier. A candidate whose own score is lower than that mean
    by more than the noise of scores is left out: it may well be worse than its neighbours. Where no
    set or no field is known, as with fewer than 10 trials or without folds, it is the trial of best
    score.

    Parameters
    ----------
    trials : TrialLog
    test_ratio : float, optional
        As in :func:`indistinguishable`.

    Raises
    ------
    TypeError
        If ``trials`` is no trial log.
    RuntimeError
        If no trial is complete.

    Examples
    --------
    A lucky trial far from the good ones:

    >>> from fractal_tuner import FactorialZoom
    >>> search = FactorialZoom({"x": list(range(20))}, levels=1)
    >>> rng = np.random.default_rng(0)
    >>> for trial in search.ask(20):
    ...     x = trial.params["x"]
    ...     folds = -((x - 5) ** 2) / 100 + 0.1 * rng.standard_normal(5)
    ...     _ = search.tell(trial.id, folds.mean() + 1.1 * (x == 15), folds=folds + 1.1 * (x == 15))
    >>> search.best_trial.params, robust_best(search.trials).params
    ({'x': 15}, {'x': 6})
    """
    check_trials(trials)
    complete = [trial for trial in trials if trial.status == "complete"]
    if not complete:
        raise RuntimeError("no trial is complete")
    rivals = list(indistinguishable(trials, test_ratio=test_ratio).trials)
    design = Design.of(trials)
    if not rivals or design.problem() is not None:
        return max(complete, key=lambda trial: (trial.score, -trial.id))
    field = Emulator(design)
    fitted = field.mean(np.array([trials.space.unit(trial.key) for trial in rivals])).tolist()
    pairs = list(zip(fitted, rivals, strict=True))
    sound = [(mean, trial) for mean, trial in pairs if trial.score >= mean - field.noise_sd]
    return max(sound or pairs, key=lambda pair: (pair[0], pair[1].score, -pair[1].id))[1]
