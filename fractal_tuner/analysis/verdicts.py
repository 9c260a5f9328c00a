"""Verdicts on roughness, from the likelihoods of rough and smooth fields and from a madogram."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import chi2

from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.hurst import (
    HALF_CHI2,
    hurst_interval,
    hurst_mean,
    hurst_peak,
    noise_estimate,
    variogram_at,
)
from fractal_tuner.analysis.madogram import Madogram
from fractal_tuner.analysis.variogram import LENGTHS, Spectrum

Verdict = Literal["smooth", "rough", "noise", "constant", "not enough data"]

MAX_WIDTH = 0.75  # of the interval of D
SMOOTH = 0.9  # Hurst exponents from here on cannot be told from 1 in a landscape of usual size
MAX_NOISE = 0.9  # share of the variance
MAX_MISFIT = 0.12  # in H, of the madogram of a grid, unless chance explains more
MAX_MISFIT_TILED = 0.08  # of large grids: its standard deviation is 0.01 to 0.03
MIN_FACTOR = 0.01  # of an axis that has an effect

UNKNOWN = Estimate.abstain("not estimated", n=0)

_NO_DIFFERENCE = 1e-12  # of scores of variance 1: rounding
_HALF_BAR_CHI2 = 1.35  # at a parameter's bound, where half of all have no gain (Self & Liang 1987)
_NORMAL_95 = 1.96
_EITHER = "a smooth field explains the scores as well as a rough one"


@dataclass(frozen=True)
class Roughness(Estimate):
    """Graph dimension ``D = d + 1 - H`` of a landscape: between d (smooth) and d + 1 (rough).

    ``value``, ``low`` and ``high`` are of D; ``scales`` are the smallest and largest distance
    between trials that were compared.

    Attributes
    ----------
    n_dims : int
        Dimensions ``d`` of the landscape.
    verdict : str
        ``"smooth"``: the interval reaches the smooth limit and D is at most d + 0.1; or it comes
        near and a twice differentiable field explains the scores better: then D is d.
        ``"rough"``: the interval stays away from the smooth limit, or a twice differentiable field
        explains the scores worse: clearly so where the interval reaches that limit.
        ``"noise"``: noise alone explains the scores as well, or is more than 0.9 of their variance.
        ``"constant"``: the scores do not differ.
        ``"not enough data"``: fewer than 50 trials or 10 per dimension, a few scores so far off
        that they hide the rest, an interval wider than 0.75, smooth and rough fields that explain
        the scores alike, or scores unlike a random field. There is then no value.
    noise : Estimate
        Noise variance as a share of the scores' variance.
    madogram : float
        D by the madogram, which takes noise for roughness; NaN where there is none.
    misfit : float
        By how much that madogram is above what it should be under the fitted field, noise included;
        NaN where either is unknown.
    factors : tuple of float
        By which the axes were stretched to make all directions alike; the largest is 1.
    explored : float
        Share of the space that is as near to a score as 95 % of it would be, were the scores at
        random places; 1 on a full grid. D describes that share.
    plane : tuple of float
        Slopes along the axes, per range, of a plane that hid the roughness of what it leaves, of
        which D is; empty where there is none.
    """

    n_dims: int = 0
    verdict: Verdict = "not enough data"
    noise: Estimate = UNKNOWN
    madogram: float = math.nan
    misfit: float = math.nan
    factors: tuple[float, ...] = ()
    explored: float = math.nan
    plane: tuple[float, ...] = ()

    @property
    def hurst(self) -> float:
        """Hurst exponent ``H = d + 1 - D``."""
        return self.n_dims + 1 - self.value

    @property
    def hurst_low(self) -> float:
        """Lower end of the 95 % interval of H."""
        return self.n_dims + 1 - self.high

    @property
    def hurst_high(self) -> float:
        """Upper end of the 95 % interval of H."""
        return self.n_dims + 1 - self.low

    @property
    def gap(self) -> float:
        """By how much the madogram's D is above the value: roughness that is only noise."""
        return self.madogram - self.value


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made from; scores are standardised.

    Attributes
    ----------
    rough : Spectrum
        Of rough fields, with an exact likelihood.
    smooth : callable
        That of smooth fields on the same scores.
    noise_variance : float or None
        Where it is known.
    madogram : Madogram or None
        None where there are no lags for one.
    axes : sequence of np.ndarray
        Of a grid, after stretching; empty for scattered trials.
    pooled : Spectrum or None
        Of rough fields on the tiles of a larger grid: its likelihood is composite, good for a value
        but for no interval.
    """

    rough: Spectrum
    smooth: Callable[[], Spectrum]
    noise_variance: float | None
    madogram: Madogram | None
    axes: Sequence[np.ndarray] = ()
    pooled: Spectrum | None = None


def judged(blank: Roughness, evidence: Evidence) -> Roughness:
    """``blank`` with its value or the reason why it has none."""
    d, n, madogram = blank.n_dims, blank.n, evidence.madogram
    if madogram is not None:
        blank = replace(blank, madogram=d + 1 - madogram.hurst)
    spectrum = evidence.rough if evidence.pooled is None else evidence.pooled
    if min(s.power.max() for s in (spectrum, evidence.rough)) < _NO_DIFFERENCE:
        return replace(blank, reason="the scores compared do not differ")
    noise_variance = _unrefuted(evidence)
    likelihood = spectrum.likelihood(noise_variance)
    peak = float(likelihood.profile().max())
    over_noise = peak - float(likelihood.values[:, -1].max())
    # Noise has no exponent, no odds and no factors of its axes, d + 1 parameters less.
    pure_noise = noise_variance != 0.0 and over_noise <= 0.5 * float(chi2.ppf(0.95, d + 1))
    if noise_variance is None:
        exact = evidence.pooled is None
        noise = noise_estimate(likelihood, spectrum.n_contrasts, n, exact=exact)
    else:
        share = min(noise_variance, 1.0)
        noise = Estimate(share, share, share, n)
    if pure_noise or noise.value > MAX_NOISE:
        reason = "noise alone explains the scores as well as a landscape does"
        return replace(blank, reason=reason, verdict="noise", noise=noise)

    hurst = hurst_mean(likelihood)
    by_hurst = likelihood.profile()
    if evidence.pooled is not None:
        by_hurst = evidence.rough.likelihood(noise_variance).profile()
    low, high = hurst_interval(by_hurst)
    if evidence.pooled is None:
        hurst = min(max(hurst, low), high)
    low, high = min(low, hurst), max(high, hurst)
    found = replace(blank, low=d + 1 - high, high=d + 1 - low, noise=noise)
    field = variogram_at(hurst, spectrum, likelihood)
    if madogram is not None:
        found = replace(found, misfit=madogram.hurst_of(hurst, *field) - madogram.hurst)
    gain = -math.inf  # of smooth fields, which have a largest scale
    if high >= SMOOTH:
        gain = _peak_of_smooth(evidence.smooth(), noise_variance) - hurst_peak(by_hurst)
    # A bump under evident noise misfits a rough field too, and is smooth all the same.
    over_clean = peak - float(likelihood.values[:, 0].max())
    excused = over_clean > _HALF_BAR_CHI2 and (hurst >= SMOOTH or gain > HALF_CHI2)
    unlike = not excused and _misfits(found.misfit, evidence, hurst, field)
    return _told_apart(found, hurst, gain, grid=bool(evidence.axes), unlike=unlike)


def _told_apart(
    found: Roughness, hurst: float, gain: float, *, grid: bool, unlike: bool
) -> Roughness:
    """Smooth, rough or neither; ``gain`` is that of smooth fields in log-likelihood."""
    d = found.n_dims
    if gain > HALF_CHI2 and not unlike:
        return replace(found, value=float(d), low=float(d), verdict="smooth")
    reason = ""
    if grid and min(found.factors) <= MIN_FACTOR:
        reason = "nothing changes along one of the axes: project the landscape onto the others"
    elif unlike:
        reason = (
            "the scores are unlike a random field, as sums of one-dimensional functions, steps "
            f"and dimensions without effect make them; the madogram says D = {found.madogram:.2f}"
        )
    if reason:
        return replace(found, low=math.nan, high=math.nan, reason=reason)
    # An interval that excludes the smooth limit speaks against smooth fields already.
    doubt = -HALF_CHI2 if found.low == d else 0.0
    if gain > doubt and hurst < SMOOTH:
        return replace(found, reason=_EITHER)
    if found.high - found.low > MAX_WIDTH:
        return replace(found, reason=f"the interval of D is wider than {MAX_WIDTH}")
    smooth = hurst >= SMOOTH and found.low == d
    return replace(found, value=d + 1 - hurst, verdict="smooth" if smooth else "rough")


def _unrefuted(evidence: Evidence) -> float | None:
    """The known noise variance, unless the scores refute it."""
    if evidence.noise_variance is None:
        return None
    known, unknown = (
        hurst_peak(evidence.rough.likelihood(v).profile()) for v in (evidence.noise_variance, None)
    )
    return None if known < unknown - HALF_CHI2 else evidence.noise_variance


def _misfits(misfit: float, evidence: Evidence, hurst: float, field: tuple[float, float]) -> bool:
    """Whether a madogram on a grid is unlike that of the field with this scale and nugget."""
    if not evidence.axes:
        return False
    if evidence.pooled is not None:
        return abs(misfit) > MAX_MISFIT_TILED
    if not abs(misfit) > MAX_MISFIT:
        return False
    return abs(misfit) > _NORMAL_95 * Madogram.spread_of(evidence.axes, hurst, *field)


def _peak_of_smooth(spectrum: Spectrum, noise_variance: float | None) -> float:
    """The highest log-likelihood of smooth fields, interpolated between their lengths."""
    logs = np.log(LENGTHS)
    spline = CubicSpline(logs, spectrum.likelihood(noise_variance).profile())
    return float(spline(np.linspace(logs[0], logs[-1], 301)).max())
