"""What each analyzer finds in the trials of a search."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np

from fractal_tuner.analysis.basins import basins
from fractal_tuner.analysis.boxcount import contour_dimension, failure_dimension
from fractal_tuner.analysis.boxfit import BoxDimension
from fractal_tuner.analysis.correlation import correlation_lengths
from fractal_tuner.analysis.edges import domain_edges
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.importance import importance
from fractal_tuner.analysis.local import gradient_magnitude, local_complexity
from fractal_tuner.analysis.noise import noise_share
from fractal_tuner.analysis.plateau import plateau_share
from fractal_tuner.analysis.rivals import indistinguishable
from fractal_tuner.analysis.roughness import roughness
from fractal_tuner.analysis.volume import near_optimal_volume
from fractal_tuner.analysis.winner import corrected_best
from fractal_tuner.landscape import Landscape
from fractal_tuner.readers import Record
from fractal_tuner.readers.record import unpruned
from fractal_tuner.trials import Trial, TrialLog

_NOTHING_VARIED = "no dimension with a scale was varied around the best trial"
_SHARES = {
    "accuracy",
    "acc",
    "f1",
    "precision",
    "recall",
    "auc",
    "jaccard",
    "sensitivity",
    "specificity",
}
_AT_MOST_1 = {"r2", "explained", "matthews", "mcc", "kappa"}
_NEGATED = {"negated", "neg"}
_OF_LANDSCAPE = (
    "roughness",
    "correlation_lengths",
    "gradient_magnitude",
    "local_complexity",
    "basins",
    "plateau_share",
    "contour_dimension",
    "failure_dimension",
)


def landscape_of(trials: TrialLog, best: Trial | None) -> Landscape | None:
    """The landscape around the best trial, over the dimensions with a scale that were varied.

    Where there are choices without an order, it is that of the trials with the best one's choices.
    Pruned trials are no failures of their places, and left out. None if there is no trial with a
    score, or nothing was varied.
    """
    if best is None:
        return None
    kinds = [parameter.dimension.is_categorical for parameter in trials.space.parameters]
    alike = [
        trial
        for trial in unpruned(trials.told)
        if all(
            (a is None) == (b is None) and (a == b or not categorical)
            for a, b, categorical in zip(trial.key, best.key, kinds, strict=True)
        )
    ]
    names = [
        parameter.name
        for i, parameter in enumerate(trials.space.parameters)
        if parameter.name is not None
        and not kinds[i]
        and len({trial.key[i] for trial in alike} - {None}) > 1
    ]
    return Landscape.from_trials(alike, names, space=trials.space) if names else None


def bounds_of(record: Record) -> tuple[float, float]:
    """What the scores of a record are known to lie between; infinite where that is not known.

    By their name, unless one lies outside.
    """
    words = set(re.split(r"[\W_]+", record.score_name.lower()))
    low = 0.0 if words & _SHARES else -math.inf
    high = 1.0 if words & (_SHARES | _AT_MOST_1) else math.inf
    scores = [trial.score for trial in record.trials if trial.status == "complete"]
    is_so = not words & _NEGATED and all(low <= score <= high for score in scores)
    return (low, high) if is_so else (-math.inf, math.inf)


def findings_of(record: Record, landscape: Landscape | None, seed: int) -> dict[str, Any]:
    """The results of all analyzers by their names.

    The landscape's analyzers are told the noise that a fitted field sees. Noise from folds and
    repeats the landscape has itself, or leaves out where its scores are means of several. The
    interval of a score ends where scores do.
    """
    trials = record.trials
    noise = noise_share(trials)
    from_field = noise.sd if noise.reason is None and noise.source == "field" else None
    corrected = corrected_best(trials)
    lowest, highest = bounds_of(record)
    found: dict[str, Any] = {
        "noise_share": noise,
        "indistinguishable": indistinguishable(trials, noise_sd=from_field),
        "corrected_best": replace(
            corrected, low=max(corrected.low, lowest), high=min(corrected.high, highest)
        ),
        "domain_edges": domain_edges(trials),
        "importance": importance(trials, seed=seed),
        "near_optimal_volume": near_optimal_volume(trials, noise_sd=from_field, seed=seed),
    }
    if landscape is None:
        scored = any(trial.status == "complete" for trial in trials)
        why = _NOTHING_VARIED if scored else "no trial has a score"
        return found | dict.fromkeys(_OF_LANDSCAPE, Estimate.abstain(why, n=0))
    found["roughness"] = roughness(landscape, seed=seed)
    found["correlation_lengths"] = correlation_lengths(landscape, seed=seed)
    if from_field is not None and landscape.noise_variance is None:
        landscape = replace(landscape, noise_variance=from_field**2)
    return found | {
        "gradient_magnitude": gradient_magnitude(landscape),
        "local_complexity": local_complexity(landscape),
        "basins": basins(landscape),
        "plateau_share": plateau_share(landscape),
        "contour_dimension": _contour(landscape),
        "failure_dimension": failure_dimension(landscape),
    }


def _contour(landscape: Landscape) -> BoxDimension:
    """Of the contour between the better and the worse half of the scores."""
    scores = landscape.known[1]
    if len(scores) == 0:
        return BoxDimension(np.nan, np.nan, np.nan, 0, reason="no trial has a score")
    if landscape.is_grid and min(landscape.scores.shape) < 2:
        return BoxDimension(np.nan, np.nan, np.nan, 0, reason="an axis has one value")
    return contour_dimension(landscape, float(np.median(scores)))
