"""The box-counting dimension of a set, of a contour and of the edge of failure.

If ``N(s)`` boxes of side ``s`` meet a set and ``N(s) ~ s^-D`` as s shrinks, D is the set's
box-counting dimension. Worth knowing of *boundaries* (converged and diverged, failed and not, above
and below a threshold) and of sets; not of an area, whose dimension is that of its space, nor of
the places where trials were made, which show the search and not the landscape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import t as student

from fractal_tuner.analysis.boundaries import between, checked_scores, level_boundary
from fractal_tuner.analysis.boxes import (
    BoxCounts,
    checked_mask,
    checked_points,
    checked_sizes,
    half_octaves,
    mean_box_counts,
    part_along,
    point_box_counts,
)
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.landscape import Landscape

_MIN_SIZES = 4
_MIN_FIT = 0.95
_POINTS_PER_BOX = 10  # fewer, and boxes that the set meets stay empty


@dataclass(frozen=True)
class BoxDimension(Estimate):
    """A box-counting dimension and the counts it came from.

    ``fit`` is ``1 - var(residuals) / var(log size)``: unlike R squared it does not punish a
    dimension for being near 0.

    Attributes
    ----------
    counts : BoxCounts or None
        The counts that entered the fit; None if there were none.
    """

    counts: BoxCounts | None = field(default=None, repr=False, compare=False)


def box_dimension(
    data: np.ndarray, sizes: Sequence[int] | np.ndarray | None = None
) -> BoxDimension:
    """The box-counting dimension of the true cells of an array, or of points.

    Least squares of the logarithm of the position-averaged count on that of the size. Sizes are 2,
    3, 4, 6, 8, 12, ... cells up to a third of the shortest side; for points 1/4, 1/8, ... of the
    bounding cube down to where boxes hold ten points on average.

    Parameters
    ----------
    data : np.ndarray
        Boolean: cells of a set, any shape. Otherwise points, shape (n, d).
    sizes : sequence of int or None
        Sides of boxes in cells, for a boolean array only.

    Returns
    -------
    BoxDimension
        It abstains (NaN and a reason) if the set is empty, if fewer than four sizes fit, or if
        the counts are far from a power law (``fit`` below 0.95).

    Notes
    -----
    The half-width of the interval is the larger of two numbers: the difference between the slopes
    over the smaller and the larger half of the sizes, and the t-interval of the fit. Counts of
    nested boxes depend on one another, so that the t-interval alone held the truth for only 0.6 of
    118 sets of known dimension; together they held it for 0.95. The root-mean-square error of the
    value was 0.02 for twenty textbook sets, 0.03 for these with an empty margin around them and for
    random self-similar sets, 0.04 with contours of random surfaces. An empty margin beyond a
    straight edge of the set is left out first. Around other sets a margin costs: 0.05 over
    28 harder ones, whose intervals then held the truth for 0.82.

    A straight line is no proof: the boundary of the Mandelbrot set has dimension 2 and reads 1.2.
    A bounded area inside a larger array reads less than its dimension, by its edge. A diagonal
    one cell thin is shorter to small boxes than a line is: better count a boundary by
    :func:`boundary`, which is unbroken.

    References
    ----------
    Falconer, Fractal Geometry, 2003, section 3.1.

    Examples
    --------
    >>> from fractal_tuner.fractals import sierpinski_carpet
    >>> carpet = box_dimension(sierpinski_carpet(5).values)
    >>> round(carpet.value, 2)
    1.9
    """
    data = np.asarray(data)
    if data.dtype == bool:
        return _mask_dimension(checked_mask(data), sizes)
    if sizes is not None:
        raise TypeError("sizes are in cells: they need a boolean array, not points")
    return _points_dimension(checked_points(data))


def contour_dimension(
    scores: np.ndarray | Landscape, threshold: float, *, noise_sd: float | None = None
) -> BoxDimension:
    """The dimension of {score = threshold}, with an interval that knows the scores' noise.

    Parameters
    ----------
    scores : np.ndarray or Landscape
        Numbers on a grid, shape (n_1, ..., n_d), NaN where there is none; or a landscape, whose
        failures and holes are on neither side.
    threshold : float
        Where the landscape is cut.
    noise_sd : float or None
        Standard deviation of a score. The interval spans those at ``threshold - noise_sd`` and
        ``threshold + noise_sd`` too, and all dimensions if there is no contour at one of them.
        Noise itself roughens a contour, which no interval undoes. By default that of the
        landscape, or 0 if it is unknown.

    Returns
    -------
    BoxDimension
        It abstains where :func:`box_dimension` does and for a scattered landscape.

    Raises
    ------
    ValueError
        For a landscape with a categorical axis, along which nothing is near.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 100)
    >>> circle = contour_dimension(-np.hypot(x[:, None], x), -0.7)
    >>> round(circle.value, 1)
    1.0
    """
    if isinstance(scores, Landscape):
        if (silence := _no_grid(scores)) is not None:
            return silence
        if noise_sd is None and scores.noise_variance is not None:
            noise_sd = math.sqrt(scores.noise_variance)
        scores = scores.scores
    noise_sd = 0.0 if noise_sd is None else noise_sd
    if not (math.isfinite(noise_sd) and noise_sd >= 0):
        raise ValueError(f"noise_sd must be finite and not negative, got {noise_sd}")
    cut = _boundary_dimension(
        level_boundary(scores, threshold), f"no scores on both sides of {threshold}"
    )
    if cut.reason is not None or noise_sd == 0:
        return cut
    near = [box_dimension(level_boundary(scores, threshold + e)) for e in (-noise_sd, noise_sd)]
    if any(other.reason is not None for other in near):
        return replace(cut, low=0.0, high=float(np.ndim(scores)))
    spans = [cut, *near]
    return replace(cut, low=min(s.low for s in spans), high=max(s.high for s in spans))


def failure_dimension(landscape: Landscape) -> BoxDimension:
    """The dimension of the boundary between trials that failed and trials that did not.

    Near 1 over two axes, a margin keeps trials from failing; well above, failures reach into all
    of a neighbourhood. Holes, where nothing was tried, are on neither side.

    Parameters
    ----------
    landscape : Landscape
        On a grid; of scattered trials there is no estimate.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 100)
    >>> failed = np.hypot(x[:, None], x) > 0.7
    >>> landscape = Landscape.from_grid(np.zeros((100, 100)), failed=failed)
    >>> round(failure_dimension(landscape).value, 1)
    1.0
    """
    if (silence := _no_grid(landscape)) is not None:
        return silence
    checked_scores(landscape.scores)
    return _boundary_dimension(
        between(landscape.failed, np.isfinite(landscape.scores)), "no trial failed beside another"
    )


def _no_grid(landscape: Landscape) -> BoxDimension | None:
    """Why the boxes of a landscape cannot be counted; None if they can."""
    landscape.require_scale()
    if landscape.is_grid:
        return None
    return _abstain("scattered scores: boxes are counted on a grid", landscape.scores.size)


def _boundary_dimension(edge: np.ndarray, reason: str) -> BoxDimension:
    """That of a boundary; ``reason`` says why it may be empty."""
    return box_dimension(edge) if edge.any() else _abstain(reason, 0)


def _mask_dimension(mask: np.ndarray, sizes: Sequence[int] | np.ndarray | None) -> BoxDimension:
    cells = int(np.count_nonzero(mask))
    if cells == 0:
        return _abstain("the set is empty", 0)
    mask = mask.squeeze() if mask.size > 1 else mask
    side = min(mask.shape)
    asked = None if sizes is None else checked_sizes(sizes)
    if asked is not None and (asked > side).any():
        raise ValueError(f"sizes must not exceed the shortest side, {side}, got {sizes}")
    mask = _frame(mask)
    side = min(mask.shape)
    used = half_octaves(side // 3) if asked is None else asked[asked <= side]
    if len(used) < _MIN_SIZES:
        return _abstain(f"{len(used)} box sizes for a side of {side} cells, 4 needed", cells)
    return _fit(mean_box_counts(mask, used), cells, mask.ndim, side)


def _frame(mask: np.ndarray) -> np.ndarray:
    """The array without empty margins beyond a straight edge of the set.

    The collar of a straight edge grows with the box and would be read as part of the set. An edge
    is straight if its cells span more than half of the set; a circle's do not, and its collar is
    its own. Nor is an axis cut along which the set is thin: its widening is what is counted.
    """
    extents = [end - start for start, end in _ends(mask)]
    if max(extents) == 1:
        return mask
    for axis, (start, end) in enumerate(_ends(mask)):
        if 2 * extents[axis] > max(extents):
            first = start if _spans_half(mask.take(start, axis), extents, axis) else 0
            last = end if _spans_half(mask.take(end - 1, axis), extents, axis) else None
            mask = mask[part_along(axis, first, last)]
    return mask


def _spans_half(face: np.ndarray, extents: list[int], axis: int) -> bool:
    """Whether the true cells of a face span more than half of the set along each other axis."""
    others = extents[:axis] + extents[axis + 1 :]
    spans = [end - start for start, end in _ends(face)]
    return all(2 * span > extent for span, extent in zip(spans, others, strict=True))


def _ends(mask: np.ndarray) -> list[tuple[int, int]]:
    """First true cell along each axis and one past the last."""
    found = []
    for axis in range(mask.ndim):
        at = np.flatnonzero(mask.any(tuple(j for j in range(mask.ndim) if j != axis)))
        found.append((int(at[0]), int(at[-1]) + 1))
    return found


def _points_dimension(points: np.ndarray) -> BoxDimension:
    n = len(points)
    if (points == points[0]).all():
        return _abstain("all points coincide", n)
    found = point_box_counts(points)
    full = found.counts * _POINTS_PER_BOX <= found.counts[0]  # the smallest boxes tell points apart
    if full.sum() < _MIN_SIZES:
        return _abstain(
            f"{n} points hold {_POINTS_PER_BOX} a box at {full.sum()} box sizes, 4 needed", n
        )
    return _fit(BoxCounts(found.sizes[full], found.counts[full]), n, points.shape[1], 1)


def _fit(found: BoxCounts, n: int, d: int, side: int) -> BoxDimension:
    """The slope of the counts; ``side`` is the whole in the unit of the sizes."""
    x, y = np.log(found.sizes), np.log(found.counts)
    slope, intercept = np.polyfit(x, y, 1)
    value = min(max(-float(slope), 0.0), float(d))
    residuals = y - (intercept + slope * x)
    fit = float(1 - residuals.var() / x.var())
    if fit < _MIN_FIT:
        return replace(
            _abstain(f"the counts follow no power law (fit {fit:.2f} < {_MIN_FIT})", n), fit=fit
        )
    k, half = len(x), (len(x) + 1) // 2
    t_half = student.ppf(0.975, k - 2) * math.sqrt(residuals.var() / (k - 2) / x.var())
    bend = abs(np.polyfit(x[:half], y[:half], 1)[0] - np.polyfit(x[-half:], y[-half:], 1)[0])
    doubt = float(max(t_half, bend))
    return BoxDimension(
        value,
        max(value - doubt, 0.0),
        min(value + doubt, float(d)),
        n,
        scales=(float(found.sizes[0] / side), float(found.sizes[-1] / side)),
        fit=fit,
        counts=found,
    )


def _abstain(reason: str, n: int) -> BoxDimension:
    return BoxDimension(math.nan, math.nan, math.nan, n, reason=reason)
