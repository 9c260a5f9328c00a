"""The power law of box counts, fitted with what edges and cells do to it.

    log N(s) = a - D log s + b log(1 + s / L) + h log(1 - 1 / (2 s))

with sizes ``s`` in cells and the set's extent ``L``. Boxes reach over a set's outer edge, large
ones more so: b is 0 for a circle or a Cantor set, D for a segment, a square, a cube. Of a set that
was built on the cells, small boxes are too few: those of a Cantor set in d dimensions whose
intervals are cells, averaged over the boxes' positions, by a factor of ``(1 - 1 / (2 s))^d``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import t as student

from fractal_tuner.analysis.boxes import BoxCounts
from fractal_tuner.analysis.estimate import Estimate

_MAX_DOUBT = 0.75
_SCATTER = 0.03  # of log counts around the law: those of self-similar sets wave
_MIN_PLAIN = 0.3  # slope, below which b has the spread it has there


@dataclass(frozen=True)
class BoxDimension(Estimate):
    """A box-counting dimension and the counts it came from.

    ``scales`` are sides of boxes as shares of the unit cube's side for a landscape, of the array's
    longest side for an array, of the side of the bounding cube for points.

    Attributes
    ----------
    counts : BoxCounts or None
        The counts that entered the fit; None if there were none.
    """

    counts: BoxCounts | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Grain:
    """What is known of the cells' effect: ``h + factor b = value``, give or take ``sd``."""

    value: float = 0.0
    factor: float = 0.0
    sd: float = 0.05


def fitted(
    found: BoxCounts,
    n: int,
    d: int,
    side: float,
    *,
    grain: Grain = Grain(),
    extent: float | None = None,
    cell: float = 1.0,
) -> BoxDimension:
    """The dimension by least squares, with its interval.

    Parameters
    ----------
    found : BoxCounts
        Of four sizes or more.
    n, d : int
        Cells or points, and axes.
    side : float
        What scales are shares of, in the unit of the sizes.
    grain : Grain
        What is known of h.
    extent : float or None
        The set's longest extent ``L``; b is then known to lie about evenly between 0 and D. None if
        the set is taken to go on beyond the counts.
    cell : float
        Side of a cell, in the unit of sizes and extent.
    """
    x, y, k = np.log(found.sizes), np.log(found.counts), len(found.sizes)
    plain = -float(np.polyfit(x, y, 1)[0])
    terms = [np.ones(k), -x, np.log1p(-cell / (2 * found.sizes))]
    known = _SCATTER / grain.sd
    prior, wanted = [[0.0, 0.0, known]], [known * grain.value]
    if extent is not None:
        terms.append(np.log1p(found.sizes / extent))
        weight = _SCATTER * math.sqrt(12) / max(plain, _MIN_PLAIN)
        prior = [[*prior[0], known * grain.factor], [0.0, -weight / 2, 0.0, weight]]
        wanted.append(0.0)
    law = _Ridge(np.stack(terms, axis=1), y, np.array(prior), np.array(wanted))
    value = min(max(law.slope(), 0.0), float(d))
    halves = slice((k + 1) // 2), slice(k // 2, None)
    small, large = (law.slope(half) for half in halves)
    doubt = max(law.half_width, abs(value - plain), abs(small - large))
    goodness = float(1 - law.residuals.var() / x.var())
    if doubt > _MAX_DOUBT:
        reason = f"the counts follow no power law: {value:.2f} +- {doubt:.2f}"
        return BoxDimension.abstain(reason, n=n, fit=goodness, counts=found)
    return BoxDimension(
        value,
        max(value - doubt, 0.0),
        min(value + doubt, float(d)),
        n,
        scales=(float(found.sizes[0] / side), float(found.sizes[-1] / side)),
        fit=goodness,
        counts=found,
    )


@dataclass(frozen=True)
class _Ridge:
    """Least squares of ``y`` on terms, the second with the slope, and on what is known of them."""

    terms: np.ndarray
    y: np.ndarray
    prior: np.ndarray
    wanted: np.ndarray

    def coefficients(self, part: slice = slice(None)) -> np.ndarray:
        """Of all counts or of some."""
        design = np.vstack([self.terms[part], self.prior])
        return np.asarray(np.linalg.lstsq(design, np.append(self.y[part], self.wanted))[0])

    def slope(self, part: slice = slice(None)) -> float:
        """Coefficient of the second term."""
        return float(self.coefficients(part)[1])

    @property
    def residuals(self) -> np.ndarray:
        """What the terms leave of ``y``."""
        return np.asarray(self.y - self.terms @ self.coefficients())

    @property
    def half_width(self) -> float:
        """Of the 95 % t-interval of the slope."""
        design = np.vstack([self.terms, self.prior])
        variance = np.linalg.inv(design.T @ design)[1, 1]
        left = len(self.y) - 2
        residuals = self.residuals
        return float(student.ppf(0.975, left) * math.sqrt(residuals @ residuals / left * variance))
