"""Trials and records as plain dicts: what ``--json`` and ``export`` give away."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fractal_tuner.cli.arguments import best_trial

OUTCOMES = ("complete", "failed", "pruned", "running")

if TYPE_CHECKING:
    from fractal_tuner.readers import Record
    from fractal_tuner.trials import Trial


def summary_of_trial(trial: Trial) -> dict[str, Any]:
    """A trial; the keys are always the same."""
    from fractal_tuner.readers.record import outcome

    return {
        "id": trial.id,
        "status": outcome(trial),
        "score": trial.score,
        "folds": list(trial.folds),
        "params": trial.params,
        "level": trial.level,
        "started": trial.started,
        "ended": trial.ended,
        "fit_time": fit_time(trial),
        "error": trial.error,
    }


def summary_of_record(record: Record) -> dict[str, Any]:
    """What is known of a search without its trials; the keys are always the same."""
    from fractal_tuner.readers.record import outcome

    trials = list(record.trials)
    best = best_trial(record)
    return {
        "tool": record.tool,
        "score_name": record.score_name,
        "n_trials": len(trials),
        **{f"n_{end}": sum(outcome(t) == end for t in trials) for end in OUTCOMES},
        "standard_error": standard_error(trials, best),
        "seconds": span(trials),
        "stop_reason": record.stop_reason,
        "seed": record.seed,
        "best": None if best is None else summary_of_trial(best),
        "notes": list(record.notes),
    }


def standard_error(trials: Iterable[Trial], best: Trial | None) -> float | None:
    """Standard error of the best trial's score; None where it is unknown.

    By the folds or repeats of all trials; where they do not tell, by its own folds.
    """
    from fractal_tuner.observations import score_noise

    noise = score_noise(trial for trial in trials if trial.status == "complete")
    if noise is not None:
        return math.sqrt(noise.variance)
    return None if best is None else error_of_folds(best)


def error_of_folds(trial: Trial) -> float | None:
    """Standard error of the mean of a trial's folds; None for fewer than two."""
    folds = [fold for fold in trial.folds if math.isfinite(fold)]
    return statistics.stdev(folds) / math.sqrt(len(folds)) if len(folds) > 1 else None


def fit_time(trial: Trial) -> float | None:
    """Mean seconds of a fit; None where they are unknown."""
    seconds = trial.details.get("fit_time")
    return float(seconds) if isinstance(seconds, int | float) else None


def span(trials: Iterable[Trial]) -> float | None:
    """Seconds from the first start to the last end; None where they are unknown."""
    trials = list(trials)
    started = [t.started for t in trials if t.started is not None]
    ended = [t.ended for t in trials if t.ended is not None]
    return max(ended) - min(started) if started and ended else None
