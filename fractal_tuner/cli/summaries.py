"""Trials and records as plain dicts: what ``--json`` and ``export`` give away."""

from __future__ import annotations

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
    from fractal_tuner.readers.record import error_of_best, outcome

    trials = list(record.trials)
    best = best_trial(record)
    return {
        "tool": record.tool,
        "score_name": record.score_name,
        "n_trials": len(trials),
        **{f"n_{end}": sum(outcome(t) == end for t in trials) for end in OUTCOMES},
        "standard_error": error_of_best(trials, best),
        "seconds": span(trials),
        "stop_reason": record.stop_reason,
        "seed": record.seed,
        "best": None if best is None else summary_of_trial(best),
        "notes": list(record.notes),
    }


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
