"""Trials and records as plain dicts: what ``--json`` and ``export`` give away."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fractal_tuner.cli.arguments import best_trial

if TYPE_CHECKING:
    from fractal_tuner.readers import Record
    from fractal_tuner.trials import Trial


def summary_of_trial(trial: Trial) -> dict[str, Any]:
    """A trial; the keys are always the same."""
    return {
        "id": trial.id,
        "status": trial.status,
        "score": trial.score,
        "standard_error": standard_error(trial.folds),
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
    trials = list(record.trials)
    best = best_trial(record)
    return {
        "tool": record.tool,
        "score_name": record.score_name,
        "n_trials": len(trials),
        **{f"n_{s}": sum(t.status == s for t in trials) for s in ("complete", "failed", "running")},
        "seconds": span(trials),
        "stop_reason": record.stop_reason,
        "seed": record.seed,
        "best": None if best is None else summary_of_trial(best),
        "notes": list(record.notes),
    }


def standard_error(folds: Iterable[float]) -> float | None:
    """Standard error of a mean of folds; None for fewer than two, or if one has no score."""
    values = list(folds)
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return statistics.stdev(values) / math.sqrt(len(values))


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
