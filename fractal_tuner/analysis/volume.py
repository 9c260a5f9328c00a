"""Near-optimal volume: the share of the space that cannot be told from the best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fractal_tuner.analysis.emulator import Design, Emulator, check_seed, sobol_points
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.fitting import fit_axes
from fractal_tuner.analysis.noise import check_not_negative
from fractal_tuner.landscape import Landscape
from fractal_tuner.observations import score_noise

if TYPE_CHECKING:
    from fractal_tuner.trials import TrialLog

_UNKNOWN = Estimate.abstain("not estimated", n=0)
_N_POINTS = 4096
_N_TOPS = 5
_N_NEAR = 500
_LEAST_NEAR = 16  # scores that show half a standard deviation of their noise at 2 standard errors
_HALF_CHI2 = 1.92  # half the 95 % quantile of chi-square with one degree of freedom
_N_DRAWS = 200


@dataclass(frozen=True)
class NearOptimalVolume(Estimate):
    """Share of the space whose scores are within 1 standard deviation of the noise of the best.

    Attributes
    ----------
    within_two : Estimate
        The same within 2 standard deviations.
    """

    within_two: Estimate = _UNKNOWN


def near_optimal_volume(
    landscape: Landscape | TrialLog, *, noise_sd: float | None = None, seed: int = 0
) -> NearOptimalVolume:
    """Share of the space that cannot be told from the best: within 1 and 2 s.d. of the noise.

    What to do with it: where it is large, any candidate of the region will do, so take a cheap one
    and stop searching. Where it is below a thousandth, go on, in smaller windows.

    Draws ``f`` of a random field fitted to the scores are taken at 4096 Sobol points, at the
    scores' places, and around the best of these; the share is ``mean(f >= max f - c sd)`` over the
    Sobol points. The value is the median of 200 draws; the interval holds 95 % of them and the
    sampling error of the points. The summit may be sharp, which a field rounds, where the field's
    mean is within reach of its best at fewer than 16 of the scores, or these do not refute a field
    with kinks (of smoothness 3/2, by 1.92 in the logarithm of the restricted likelihood). There is
    no value then, and the interval begins at 0. ``fit`` is the ``R^2`` of the field for scores left
    out.

    A field also serves for the trials of an adaptive search, which are no sample of the space.
    Counting trials or cells does not: noise raises the best of them, and too few are near it.

    Parameters
    ----------
    landscape : Landscape or TrialLog
        Of more than 300 scores a random 300 enter. A log has its conditional dimensions too.
    noise_sd : float, optional
        Standard deviation of the noise in a score. By default what the landscape, or the folds or
        repeats of the log, know of it.
    seed : int, default=0
        Of the Sobol points and the draws.

    Returns
    -------
    NearOptimalVolume
        With a ``reason`` and without a value where the noise is unknown or 0, scores are fewer than
        10 or do not differ, or (with the interval) the summit may be sharp.

    Raises
    ------
    TypeError, ValueError
        If ``noise_sd`` is no number, negative or not finite, or ``seed`` no integer of at least 0.

    Notes
    -----
    Measured on bowls ``-|x|^2`` and tips ``-|x|`` in 2 and 4 dimensions, with noise of 0.05 and 0.2
    of the scores' spread, from 20 x 20 cells, 100 uniform trials, or 60 of a zooming search, 8
    seeds each: all intervals cover the true share, and no tip has a value, of which the field makes
    3 to 33 times too much. Bowls have one, 0.7 to 1.2 times the true share, from searches in 31 of
    32 cases and from 20 x 20 cells with noise 0.2; with 0.05, and from 100 uniform trials, too few
    scores are near the best. Of 20 x 20 cells of a bowl with noise 0.2, counting found 0.02 instead
    of 0.08.

    Examples
    --------
    >>> u = np.random.default_rng(0).random((200, 2))
    >>> y = -((u - 0.5) ** 2).sum(1)
    >>> volume = near_optimal_volume(Landscape.from_points(u, y), noise_sd=0.04)
    >>> round(volume.value, 2), round(volume.within_two.value, 2)
    (0.13, 0.25)
    """
    check_not_negative("noise_sd", noise_sd)
    check_seed(seed)
    design = Design.of(landscape)
    if noise_sd is None:
        if isinstance(landscape, Landscape):
            variance = landscape.noise_variance
        else:
            noise = score_noise(landscape)
            variance = noise.variance if noise else None
        noise_sd = None if variance is None else math.sqrt(variance)
    if noise_sd is None:
        return NearOptimalVolume.abstain("the noise is unknown", n=design.n)
    if noise_sd == 0:
        why = "without noise every score can be told from the best"
        return NearOptimalVolume.abstain(why, n=design.n)
    if (reason := design.problem()) is not None:
        return NearOptimalVolume.abstain(reason, n=design.n)
    emulator = Emulator(design)
    p = len(design.names)
    sample = design.candidates(sobol_points(_N_POINTS, p, seed))
    # The best of a draw lies near the best of the mean; more places there find it.
    rng = np.random.default_rng([seed, 2])
    tops = np.argsort(-emulator.mean(design.points), kind="stable")[:_N_TOPS]
    centers = np.nan_to_num(design.points[np.resize(tops, _N_NEAR)], nan=0.5)
    steps = rng.standard_normal((_N_NEAR, p)) * 0.5 ** rng.integers(2, 8, (_N_NEAR, 1))
    span = np.maximum(design.upper - design.lower, 1e-12)
    near = design.candidates(np.clip((centers - design.lower) / span + steps, 0.0, 1.0))
    f = emulator.draws(np.concatenate([sample, design.points, near]), _N_DRAWS, seed)
    below = f.max(0) - f[:_N_POINTS]
    is_round, mean = _is_round(design), emulator.mean(design.points)
    one, two = (
        _share(
            (below <= c * noise_sd).sum(0),
            is_round and int((mean >= mean.max() - c * noise_sd).sum()) >= _LEAST_NEAR,
            emulator.quality,
            design.n,
        )
        for c in (1.0, 2.0)
    )
    return NearOptimalVolume(
        one.value, one.low, one.high, one.n, fit=one.fit, reason=one.reason, within_two=two
    )


def _is_round(design: Design) -> bool:
    """Whether the scores refute a field with kinks: one of smoothness 3/2."""
    x = design.features(design.points)
    kinked, *smooth = (
        fit_axes(x, design.scores, smoothness).log_likelihood for smoothness in (1.5, 2.5, math.inf)
    )
    return max(smooth) - kinked > _HALF_CHI2


def _share(counts: np.ndarray, is_round: bool, quality: float, n: int) -> Estimate:
    """Share of the Sobol points, with an interval that holds their own sampling error."""
    low, value, high = (np.quantile(counts, [0.025, 0.5, 0.975]) / _N_POINTS).tolist()
    low = max(low - 2.0 * math.sqrt(low / _N_POINTS), 0.0)
    high = min(high + 2.0 * math.sqrt((high + 1.0 / _N_POINTS) / _N_POINTS), 1.0)
    if is_round:
        return Estimate(value, low, high, n, fit=quality)
    why = f"the summit may be sharper than the scores can tell; it is at most {high:.1g}"
    return Estimate(math.nan, 0.0, high, n, fit=quality, reason=why)
