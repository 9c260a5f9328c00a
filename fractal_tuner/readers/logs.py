"""Searches of this package, and logs of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fractal_tuner.readers.record import Record, copy_of, score_label
from fractal_tuner.trials import Trial, TrialLog


def read_search(search: Any, *, score: str | None, maximize: bool | None) -> Record:
    """The record of a ZoomSearch, a FactorialZoom, or whatever else has ``trials``, a TrialLog."""
    try:  # where scores are noisy, the best is not the highest score
        best = search.best_trial.id if score is None and maximize is not False else None
    except RuntimeError:
        best = None
    log, name = rescored(search.trials, "score", score, maximize)
    tool, reason = type(search).__name__, getattr(search, "stop_reason", None)
    return Record(log, tool, name, best, reason, getattr(search, "seed", None))


def read_fractal_search_cv(search: Any, *, score: str | None, maximize: bool | None) -> Record:
    """The record of a FractalSearchCV; also of one that was interrupted."""
    chosen = getattr(search, "best_params_", None)  # by refit, perhaps not for its score
    steering = search.refit if isinstance(search.refit, str) else search.scoring
    log, name = rescored(
        search.trials_, steering if isinstance(steering, str) else "score", score, maximize
    )
    return Record(
        log,
        type(search).__name__,
        name,
        # The trial's own; the rows of cv_results_ may stand in another order.
        next((t.id for t in search.trials_ if t.params is chosen and score is None), None),
        getattr(search, "stop_reason_", None),
        getattr(search.search_, "seed", None),
    )


def read_log(log: TrialLog, *, score: str | None, maximize: bool | None) -> Record:
    """The record of a log."""
    copy, name = rescored(log, "score", score, maximize)
    return Record(copy, "trial log", name)


def rescored(
    log: TrialLog, name: str, score: str | None, maximize: bool | None
) -> tuple[TrialLog, str]:
    """A copy of a log, by a metric that its trials kept if ``score`` names one; and its label.

    Raises
    ------
    ValueError
        If no trial kept such a metric, or scores by which the search went are to be negated.
    """
    if score is None or score == name:
        if maximize is False:
            raise ValueError(
                "maximize=False is for scores that are recorded as they were measured; those of "
                "this source are larger for better trials already"
            )
        return copy_of(log, lambda trial: (trial.score, trial.folds)), name
    known = sorted({m for trial in log.told for m in _metrics(trial)})
    if score not in known:
        raise ValueError(f"score {score!r} was not recorded; recorded are {[name, *known]}")
    sign = 1 if maximize is not False else -1

    def score_of(trial: Trial) -> tuple[float, Sequence[float]]:
        folds = [sign * value for value in _metrics(trial).get(score, ())]
        return (math.fsum(folds) / len(folds) if folds else math.nan), folds

    return copy_of(log, score_of), score_label(score, sign > 0)


def _metrics(trial: Trial) -> dict[str, list[float]]:
    """Test scores by metric and fold, as FractalSearchCV keeps them."""
    found: dict[str, list[float]] = {}
    folds = trial.details.get("folds")
    for fold in folds if isinstance(folds, list) else ():
        scores = fold.get("test_scores") if isinstance(fold, dict) else None
        for metric, value in scores.items() if isinstance(scores, dict) else ():
            found.setdefault(metric, []).append(float(value))
    return found
