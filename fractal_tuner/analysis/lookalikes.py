"""Two straight lines often shown as box counting, and what they measure instead.

Kept so that published figures can be drawn again, next to :mod:`fractal_tuner.analysis.boxcount`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from fractal_tuner.analysis.boundaries import checked_scores
from fractal_tuner.analysis.boxes import box_counts


@dataclass(frozen=True)
class LogLogLine:
    """A straight line through logarithms, which need not mean anything.

    Attributes
    ----------
    x, y : np.ndarray
        What was plotted, before logarithms; only positive ``y``.
    slope, intercept : float
        Of log y on log x, natural logarithms; NaN with fewer than two places.
    """

    x: np.ndarray
    y: np.ndarray
    slope: float
    intercept: float


def cells_above_thresholds(
    scores: np.ndarray, thresholds: Sequence[float] | np.ndarray | None = None
) -> LogLogLine:
    """How many scores lie above each threshold, against ``1 / threshold``.

    Often shown as box counting. It is not: there is no box, and a rearrangement of the cells leaves
    it unchanged. The slope is the exponent of the tail of the scores' distribution, and depends on
    what the scores are measured from.

    Parameters
    ----------
    scores : np.ndarray
        Any shape; NaN is above nothing.
    thresholds : sequence of float or None
        Positive; 20 from 0.001 to 1, evenly spaced in their logarithm, if None. Those with no
        score above are left out, as log 0 would be.

    Examples
    --------
    >>> from fractal_tuner.fractals import rippled_bump
    >>> round(cells_above_thresholds(rippled_bump(100).values).slope, 1)
    0.6
    """
    scores = checked_scores(scores)
    cuts = np.asarray(np.logspace(-3, 0, 20) if thresholds is None else thresholds, float)
    if cuts.ndim != 1 or not (np.isfinite(cuts).all() and (cuts > 0).all()):
        raise ValueError(f"thresholds must be a list of positive numbers, got {thresholds}")
    counts = np.array([np.count_nonzero(scores > cut) for cut in cuts], float)
    return _line(1 / cuts, counts)


def steep_cell_counts(
    scores: np.ndarray, sizes: Sequence[int] | np.ndarray | None = None, *, sigma: float = 1.0
) -> LogLogLine:
    """Boxes that hold a gradient above the mean, against their size.

    Often shown as the fractal dimension of a landscape (minus the slope). It is not: the steep
    half of a landscape is an area, of dimension 2 whatever the landscape; what is measured is how
    fast few and large boxes fill up. On 20 x 20 a smooth bump, fractional Brownian surfaces of
    dimension 2.2 and 2.8 and white noise all read 1.3 to 1.6.

    Parameters
    ----------
    scores : np.ndarray
        Finite numbers on a grid of two axes, at least two cells along each.
    sizes : sequence of int or None
        Sides of the boxes in cells; 2, 4, ..., 18, as far as they fit, if None.
    sigma : float
        Standard deviation, in cells, of the Gaussian that smooths the scores first.

    Examples
    --------
    >>> x = np.linspace(-2, 2, 20)
    >>> bump = np.exp(-(x[:, None] ** 2) - x**2)
    >>> -round(steep_cell_counts(bump).slope, 1)
    1.5
    """
    scores = checked_scores(scores)
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite: smoothing spreads a missing one")
    if scores.ndim != 2:
        raise ValueError(f"scores must have two axes, got shape {scores.shape}")
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be finite and not negative, got {sigma}")
    along = np.gradient(gaussian_filter(scores, sigma) if sigma else scores)
    steepness = np.hypot(along[0], along[1])
    if sizes is None:
        sizes = np.arange(2, min(20, min(scores.shape) + 1), 2)
    found = box_counts(steepness > steepness.mean(), sizes)
    return _line(found.sizes.astype(float), found.counts)


def _line(x: np.ndarray, y: np.ndarray) -> LogLogLine:
    kept = y > 0
    x, y = x[kept], y[kept]
    if len(x) < 2:
        return LogLogLine(x, y, math.nan, math.nan)
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    return LogLogLine(x, y, float(slope), float(intercept))
