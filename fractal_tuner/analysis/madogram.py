"""Madograms: mean absolute differences of scores against their distance.

The fast cross-check of :mod:`fractal_tuner.analysis.roughness`. Of a field with variogram ``c
h^(2H)`` the mean absolute difference grows as ``h^H``. It is robust and asks little of the field's
distribution, but takes noise for roughness: with noise of variance ``N`` it is that of ``sqrt(2 (c
h^(2H) + N))``. What it should be under a fitted field is therefore known, and where it is not, the
scores are no such field.

References
----------
Gneiting, Sevcikova & Percival, Statist. Sci. 27, 2012, eq. 18 (variation estimators; p = 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist, squareform

_N_BINS = 8
_FARTHEST = 0.35  # share of the largest distance
_LAGS = (1, 2)
_N_FIELDS = 100


@dataclass(frozen=True)
class Madogram:
    """Mean absolute differences at a few lags.

    Attributes
    ----------
    lags : np.ndarray
        Shape (n_lags, k), positive: the ``k`` distances that enter each lag's mean alike.
    means : np.ndarray
        Shape (n_lags,), mean absolute differences.

    Examples
    --------
    >>> line = Madogram.of_grid(np.arange(9.0), [0.125])
    >>> line.means, line.hurst
    (array([1., 2.]), 1.0)
    """

    lags: np.ndarray
    means: np.ndarray

    @classmethod
    def of_grid(cls, scores: np.ndarray, spacing: Sequence[float]) -> Madogram:
        """At lags 1 and 2 along each axis of an even grid; NaN in ``scores`` marks a hole."""
        lags, means = [], []
        for axis, (length, step) in enumerate(zip(scores.shape, spacing, strict=True)):
            if length <= max(_LAGS):
                continue
            at_lag = []
            for lag in _LAGS:
                ahead = np.take(scores, range(lag, length), axis)
                behind = np.take(scores, range(length - lag), axis)
                steps = np.abs(ahead - behind)
                steps = steps[np.isfinite(steps)]
                at_lag.append(float(steps.mean()) if steps.size else math.nan)
            means.append(at_lag)
            lags.append([lag * step for lag in _LAGS])
        if not means:
            return cls(np.empty((0, 0)), np.empty(0))
        return cls(np.array(lags).T, np.array(means).mean(0))

    @classmethod
    def of_points(cls, distances: np.ndarray, scores: np.ndarray) -> Madogram:
        """In 8 bins of as many pairs each, up to 35 % of the largest distance.

        ``distances`` are those of all pairs, as ``scipy.spatial.distance.pdist`` orders them.
        """
        steps = pdist(scores[:, None], "cityblock")
        near = (distances > 0) & (distances <= _FARTHEST * distances.max())
        order = np.argsort(distances[near], kind="stable")
        bins = [b for b in np.array_split(order, _N_BINS) if len(b)]
        lags = np.array([[distances[near][b].mean()] for b in bins]).reshape(-1, 1)
        return cls(lags, np.array([steps[near][b].mean() for b in bins]))

    @property
    def hurst(self) -> float:
        """H, the slope of means against lags on double logarithmic scale, within 0 to 1.

        NaN where fewer than half of the means are positive.
        """
        return self._slope(self.means)

    def hurst_of(self, hurst: float, scale: float, noise_variance: float) -> float:
        """What :attr:`hurst` would be of the variogram ``scale h^(2 hurst) + noise_variance``."""
        variogram = scale * self.lags ** (2.0 * hurst) + noise_variance
        return self._slope(np.sqrt(variogram).mean(1)) if variogram.size else math.nan

    @staticmethod
    def spread_of(
        axes: Sequence[np.ndarray], hurst: float, scale: float, noise_variance: float
    ) -> float:
        """Standard deviation of :attr:`hurst` over Gaussian fields of that variogram on a grid.

        Of 100 fields, always the same.
        """
        places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
        variogram = scale * squareform(pdist(places, "sqeuclidean")) ** hurst
        covariance = 10.0 * variogram.max() - variogram  # a constant drops out of differences
        covariance[np.diag_indices_from(covariance)] += noise_variance + 1e-9 * variogram.max()
        normal = np.random.default_rng(0).standard_normal((len(places), _N_FIELDS))
        fields = (np.linalg.cholesky(covariance) @ normal).T
        spacing = [axis[1] - axis[0] for axis in axes]
        shape = [len(axis) for axis in axes]
        found = [Madogram.of_grid(field.reshape(shape), spacing).hurst for field in fields]
        return float(np.std(found))

    def _slope(self, means: np.ndarray) -> float:
        usable = means > 0
        lags = self.lags.mean(1)[usable] if len(means) else np.empty(0)
        if len(lags) < max(2, len(means) // 2) or np.ptp(lags) == 0:
            return math.nan
        slope = np.polyfit(np.log(lags), np.log(means[usable]), 1)[0]
        return float(min(max(slope, 0.0), 1.0))
