"""What a likelihood over Hurst exponents and noise shares says of both.

:func:`hurst_interval` and :func:`noise_estimate` are profile-likelihood intervals. The value of the
exponent, :func:`hurst_mean`, is its mean over the posterior: roughness and noise take each other's
place in the scores, and the maximum takes one of them for all of it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import CubicSpline

from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.variogram import HURST, SHARES, Likelihood, Spectrum

HALF_CHI2 = 1.92  # half the 95 % quantile of chi-square with one degree of freedom

_FINE = np.linspace(HURST[0], HURST[-1], 961)
# In ``part ** _POWER`` the prior of the noise is even: a fourth root of variances is the square
# root of a standard deviation. The power 1/2 expects noise that can be seen, towards 0 (the
# logarithm) none that can.
_POWER = 0.25


def hurst_peak(profile: np.ndarray) -> float:
    """The maximum of a profile log-likelihood over ``HURST``, interpolated."""
    return float(CubicSpline(HURST, profile)(_FINE).max())


def hurst_interval(profile: np.ndarray) -> tuple[float, float]:
    """The 95 % interval, to 0 or 1 where it reaches the ends of the exponents tried."""
    low, high = _interval(_FINE, CubicSpline(HURST, profile)(_FINE))
    # Beyond the ends nothing can be told apart.
    return low if low > HURST[0] else 0.0, high if high < HURST[-1] else 1.0


def hurst_mean(likelihood: Likelihood) -> float:
    """The mean over exponents, all alike before, and noise.

    The prior of the noise is stated in how much of a contrast it is, on the average over contrasts:
    a share of the total variance that is invisible among rough scores drowns smooth ones.
    """
    roots = likelihood.parts**_POWER
    middles = 0.5 * (roots[:, 1:] + roots[:, :-1])
    n = len(roots)
    prior = np.diff(np.hstack([np.zeros((n, 1)), middles, np.ones((n, 1))]), axis=1)
    top = likelihood.values.max(1)
    weights = np.exp(likelihood.values - top[:, None]) * np.maximum(prior, 1e-300)
    fine = CubicSpline(HURST, top + np.log(weights.sum(1)))(_FINE)
    return float(np.average(_FINE, weights=np.exp(fine - fine.max())))


def variogram_at(hurst: float, spectrum: Spectrum, likelihood: Likelihood) -> tuple[float, float]:
    """Scale and nugget of the likeliest variogram with this Hurst exponent."""
    row = int(np.abs(HURST - hurst).argmin())
    column = int(likelihood.values[row].argmax())
    share, total = SHARES[column], likelihood.totals[row, column]
    mean = spectrum.eigenvalues[row] @ spectrum.n_sets / spectrum.n_contrasts
    return float(total * (1.0 - share) / mean), float(total * share)


def noise_estimate(likelihood: Likelihood, m: float, n: int, *, exact: bool) -> Estimate:
    """The noise variance, where that of the scores is 1, with its interval if that is ``exact``.

    At noise variance ``N`` and share ``q`` the total variance is ``s = N / q``, which takes ``m / 2
    [log(s / total) + total / s - 1]`` from the log-likelihood at the best total.
    """
    surface, totals = likelihood.values, likelihood.totals
    variances = np.minimum(SHARES * totals, 1.0)
    peak = float(surface.max())
    if peak - float(surface[:, -1].max()) <= HALF_CHI2:
        value = 1.0  # pure noise is not refuted, and simpler
    else:
        best = int(surface.argmax())
        value = float(variances.flat[best]) if best % len(SHARES) else 0.0
    if not exact:
        return Estimate(value, math.nan, math.nan, n)
    likely = surface >= peak - 2.0 * HALF_CHI2  # the rest bounds no interval
    values, at = surface[likely], np.log((SHARES * totals)[likely])
    candidates = np.linspace(math.log(SHARES[1]), math.log(2.0), 481)
    ratio = np.clip(candidates[:, None] - at, -50.0, 50.0)
    over_rest = (values - 0.5 * m * (ratio + np.exp(-ratio) - 1.0)).max(1)
    if peak - float(surface[:, 0].max()) <= HALF_CHI2:
        over_rest[0] = peak  # no noise is not refuted
    log_low, log_high = _interval(candidates, over_rest)
    low = 0.0 if log_low == candidates[0] else math.exp(log_low)
    return Estimate(value, min(low, value), min(max(math.exp(log_high), value), 1.0), n)


def _interval(x: np.ndarray, profile: np.ndarray) -> tuple[float, float]:
    """The first and last ``x`` not refuted by a profile log-likelihood, interpolated between."""
    excess = profile - (profile.max() - HALF_CHI2)
    inside = np.flatnonzero(excess >= 0)
    first, last = int(inside[0]), int(inside[-1])
    low, high = float(x[first]), float(x[last])
    if first > 0:
        low = float(np.interp(0.0, excess[first - 1 : first + 1], x[first - 1 : first + 1]))
    if last < len(x) - 1:
        high = float(np.interp(0.0, excess[last : last + 2][::-1], x[last : last + 2][::-1]))
    return low, high
