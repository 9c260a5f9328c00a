"""Roughness: Hurst exponent and graph dimension of a landscape, with interval and noise share.

The scores are taken for an intrinsic random field with a power variogram plus independent noise
(:mod:`fractal_tuner.analysis.variogram`), fitted by restricted maximum likelihood. The graph of
such a field over ``d`` dimensions has dimension ``D = d + 1 - H`` (Adler, The Geometry of Random
Fields, 1981, theorem 8.4.1). The nugget is what separates roughness from noise: estimators from
increments alone take noise for roughness, and more so on finer grids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from scipy.stats import chi2

from fractal_tuner.analysis.emulator import sobol_points
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.fitting import fit_axes
from fractal_tuner.analysis.madogram import Madogram
from fractal_tuner.analysis.tiles import largest_stride, tile_shape, tile_strides, tiles_at
from fractal_tuner.analysis.variogram import HURST, SHARES, PowerVariogram, Spectrum, profile
from fractal_tuner.landscape import Landscape, check_landscape

Verdict = Literal["smooth", "rough", "noise", "constant", "not enough data"]

MIN_TRIALS = 50
MIN_TRIALS_PER_DIM = 10  # each has a factor; fewer, and pairs of trials are all equally far apart
MAX_WIDTH = 0.75  # of the interval of D
SMOOTH = 0.9  # Hurst exponents from here on cannot be told from 1 in a landscape of usual size
MAX_FITTED = 200  # cells of a grid that enter a fit of its axes; of larger ones there are two fits
MAX_NOISE = 0.9  # share of the variance
MAX_SCATTERED = 400  # trials, decomposed as a whole
MAX_GRID = 1024  # cells of a grid, decomposed by parity in 2^d blocks ...
MAX_BLOCK = 256  # ... of about this many cells at most
TILE = 400  # cells of a tile of a larger grid
MAX_MISFIT = 0.12  # in H, of the madogram of 400 cells: its standard deviation is 0.03 to 0.045 ...
MAX_MISFIT_TILED = 0.08  # ... and 0.01 to 0.03 on large grids
FAR = 10  # interquartile ranges: 13 standard deviations of normal scores
MIN_FACTOR = 0.01  # of an axis that has an effect

_FINE = np.linspace(HURST[0], HURST[-1], 961)
_HALF_CHI2 = 1.92  # half the 95 % quantile of chi-square with one degree of freedom
_HALF_BAR_CHI2 = 1.35  # the same at a parameter's bound, where half of all cases have no gain
_CONSTANT = 1e-12  # relative spread that rounding alone can cause
_NONE = 1e-7  # a known noise variance below this share of the scores' counts as none
_P_NO_NOISE = 0.1  # prior probability; the rest is spread over the logarithm of the odds
_N_POINTS = 1024  # of the space, to see how much of it was explored
_EITHER = "a smooth field explains the scores as well as a rough one"
_UNKNOWN = Estimate.abstain("not estimated", n=0)


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
        ``"smooth"``: the interval reaches the smooth limit and D is at most d + 0.1; or, of
        scattered trials or noisy grids, a twice differentiable field explains the scores better:
        then D is d.
        ``"rough"``: the interval excludes the smooth limit.
        ``"noise"``: noise alone explains the scores as well, or is more than 0.9 of their variance.
        ``"constant"``: the scores do not differ.
        ``"not enough data"``: fewer than 50 trials or 10 per dimension, a few scores so far off
        that they hide the rest, an interval wider than 0.75 or one that holds both smooth and
        rough, or scores unlike a random field. There is then no value.
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
    """

    n_dims: int = 0
    verdict: Verdict = "not enough data"
    noise: Estimate = _UNKNOWN
    madogram: float = math.nan
    misfit: float = math.nan
    factors: tuple[float, ...] = ()
    explored: float = math.nan

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


def roughness(landscape: Landscape, *, seed: int = 0) -> Roughness:
    """Graph dimension and Hurst exponent of a landscape.

    Restricted maximum likelihood of a power-variogram field with a nugget; the 95 % interval of H
    is ``{H: 2 (max - profile) <= 3.84}``. Where the scores do not show whether there is noise, the
    value is the mean of H over the posterior (H even on 0 to 1; no noise with probability 1/10,
    else log-uniform odds of noise from 1e-8), which is more accurate there; otherwise it is the
    maximum.

    A known noise variance narrows the interval a lot where noise is more than a few per cent of the
    scores' spread. It is used unless the scores refute it, at the same level of 95 %: neighbours
    that meet the same luck in the same folds differ by less than the folds do.

    Of more than 400 scattered scores a random 400 are used. A full grid of up to 1024 cells (512 in
    one dimension) is decomposed exactly. Of a larger full and evenly spaced grid, tiles of at most
    400 cells at strides 1, 2, 4, ... are fitted together. Tiles depend on each other, so that their
    common likelihood has no honest interval; the one returned is that of a coarser grid of at most
    1024 cells, widened to hold the value: it is wider than it need be, and the noise share has
    none. A grid with holes or uneven lines is treated as scattered scores.

    Parameters
    ----------
    landscape : Landscape
        D is that of the landscape on the search scale, with the dimensions' ranges as units.
        Failures and holes are left out.
    seed : int, default=0
        Of random choices among many scores.

    Returns
    -------
    Roughness

    Raises
    ------
    TypeError
        If it is no landscape.
    ValueError
        For a categorical axis.

    Notes
    -----
    Assumes Gaussian increments, alike everywhere and, once each axis is stretched by its own factor
    (:func:`fractal_tuner.analysis.fitting.fit_axes`), in all directions. Without known noise,
    roughness near ``H = 0.2`` and noise are hard to tell apart on 20 x 20 cells or fewer. Measured
    on 100 fractional Brownian surfaces of 20 x 20 cells, with noise of 0, 1 and 5 % of their
    spread: root mean square error of D 0.09 at ``H = 0.2``, 0.07 at 0.5, 0.05 (with 5 % noise 0.08)
    at 0.8; intervals cover in 0.89 to 0.96 of the cases. When one axis is stretched 3 or 10 times
    the error at 0.5 is 0.04 of 20 surfaces, without factors 0.10 and 0.24.

    The choice of a search where to look next biases D little, because the likelihood asks only for
    the scores where they are: over 120 trials of a zooming search and of a tree-structured Parzen
    estimator in two dimensions, 20 each, on fields with ``H`` of 0.3 and 0.7 the bias is at most
    0.06, the root mean square error 0.03 to 0.12 and the coverage 0.80 to 1. What misleads is a
    landscape that is not alike everywhere: a noisy bump, searched at its top, looks rough to a
    field without a largest scale, and so does one on a grid if noise is a tenth of its range.
    Scattered trials, and grids of evident noise, are therefore compared with a twice
    differentiable field too. D describes the region explored; ``explored`` says how much that is.

    Sums of one-dimensional functions and steps are not Gaussian-like. On a full grid they are found
    out by a madogram that does not fit, and there is no value; elsewhere, and under noise of a
    tenth of a step's height, D is only a description. The factors are fitted to noise as well,
    which asks that much more likelihood before scores are no noise: of 200 sets of white noise,
    60 trials in 2 dimensions to 200 in 20, none got a number. A grid along one of whose axes
    nothing changes has no value either: project it onto the others, over which D is less by 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> u = rng.random((100, 2))
    >>> found = roughness(Landscape.from_points(u, np.exp(-4 * ((u - 0.4) ** 2).sum(1))))
    >>> found.verdict, round(found.value, 1)
    ('smooth', 2.0)
    >>> roughness(Landscape.from_grid(rng.standard_normal((20, 20)))).reason
    'noise alone explains the scores as well as a landscape does'
    """
    check_landscape(landscape)
    landscape.require_scale()
    if (silent := _abstained(landscape)) is not None:
        return silent
    z, unit = _standardised(landscape.scores)
    found = _measured(landscape, z, _in_units(landscape.noise_variance, unit), seed)
    if found.verdict == "noise" and (n_far := _far(z)):
        reason = (
            f"{n_far} of the scores lie more than {FAR} interquartile ranges from the median and "
            "hide the rest: count what diverged as failed, or bound the scores"
        )
        return replace(found, reason=reason, verdict="not enough data", noise=_UNKNOWN)
    return found


def _far(z: np.ndarray) -> int:
    """How many scores lie far from the others."""
    low, middle, high = np.nanquantile(z, (0.25, 0.5, 0.75))
    return int(np.sum(np.abs(z - middle) > FAR * (high - low)))


def _measured(
    landscape: Landscape, z: np.ndarray, noise_variance: float | None, seed: int
) -> Roughness:
    """That of standardised scores, by the kind of the landscape."""
    lines = landscape.lines
    if lines is not None and np.isfinite(z).all():
        limit = min(MAX_GRID, MAX_BLOCK * 2**z.ndim)
        if z.size <= limit and _mirrored(lines):
            return _of_grid(lines, z, z.shape, limit, noise_variance, seed)
        if z.size > limit and _even(lines):
            return _of_grid(lines, z, tile_shape(z.shape, TILE), limit, noise_variance, seed)
    return _of_scattered(landscape.with_scores(z), noise_variance, seed)


def _of_scattered(landscape: Landscape, noise_variance: float | None, seed: int) -> Roughness:
    """That of standardised scores, or of a random 400 of them."""
    coordinates, z = landscape.known
    explored = _explored(landscape, seed)
    if len(z) > MAX_SCATTERED:
        chosen = np.random.default_rng(seed).choice(len(z), MAX_SCATTERED, replace=False)
        coordinates, z = coordinates[chosen], z[chosen]
        if np.ptp(z) <= _CONSTANT:
            reason = f"{MAX_SCATTERED} scores chosen at random show no difference"
            d = landscape.n_dims
            return Roughness(math.nan, math.nan, math.nan, len(z), reason=reason, n_dims=d)
        z, unit = _standardised(z)
        noise_variance = _in_units(noise_variance, unit)
    factors = fit_axes(coordinates, z, seed=seed).relative_factors
    equal = coordinates * factors
    distances = pdist(coordinates)
    blank = Roughness(
        math.nan,
        math.nan,
        math.nan,
        len(z),
        scales=(float(distances[distances > 0].min()), float(distances.max())),
        n_dims=landscape.n_dims,
        factors=tuple(factors.tolist()),
        explored=explored,
    )
    madogram = Madogram.of_points(pdist(equal), z)
    spectrum = PowerVariogram.scattered(equal).spectrum(z)
    found = _judged(blank, spectrum, noise_variance, madogram)
    if found.verdict == "rough" or not math.isnan(found.low):
        return _unless_smooth(found, coordinates, z, seed)
    return found


def _explored(landscape: Landscape, seed: int) -> float:
    """Share of the space that is as near to a score as 95 % would be to as many random ones."""
    coordinates, _ = landscape.known
    low, high = np.array(landscape.lower), np.array(landscape.upper)
    space = low + sobol_points(_N_POINTS, landscape.n_dims, seed) * (high - low)
    shape = min(len(coordinates), _N_POINTS), landscape.n_dims
    chosen = np.random.default_rng([seed, 1])
    if len(coordinates) > _N_POINTS:
        coordinates = chosen.choice(coordinates, _N_POINTS, replace=False)
    random = low + chosen.random(shape) * (high - low)
    usual = np.quantile(cKDTree(random).query(space)[0], 0.95)
    return min(float(np.mean(cKDTree(coordinates).query(space)[0] <= usual)) / 0.95, 1.0)


def _unless_smooth(
    found: Roughness, coordinates: np.ndarray, z: np.ndarray, seed: int
) -> Roughness:
    """The verdict on scattered trials, weighed against a smooth field that has a largest scale."""
    if found.verdict == "smooth" or found.hurst_high < SMOOTH:
        return found
    gain = _gain_of_smooth(coordinates, z, seed=seed)
    if gain > _HALF_CHI2:
        d = float(found.n_dims)
        return replace(found, value=d, low=d, verdict="smooth", reason=None)
    if gain > -_HALF_CHI2:
        return replace(found, value=math.nan, reason=_EITHER, verdict="not enough data")
    return found


def _gain_of_smooth(coordinates: np.ndarray, z: np.ndarray, *, seed: int) -> float:
    """By how much a twice differentiable field is likelier than a rough one, in log-likelihood."""
    rough, smooth = (fit_axes(coordinates, z, nu, seed=seed) for nu in (None, 2.5))
    return smooth.log_likelihood - rough.log_likelihood


def _of_grid(
    axes: Sequence[np.ndarray],
    z: np.ndarray,
    tile: tuple[int, ...],
    limit: int,
    noise_variance: float | None,
    seed: int,
) -> Roughness:
    """That of standardised scores on a full grid, as a whole or by smaller tiles."""
    shape = z.shape
    exact = tile == shape
    extents = [axis[side - 1] - axis[0] for axis, side in zip(axes, tile, strict=True)]
    strides = [1] if exact else tile_strides(shape, tile)
    samples = _sampled(axes, z, seed)
    fits = [np.log(fit_axes(*sample, seed=seed).relative_factors) for sample in samples]
    factors = np.exp(np.mean(fits, axis=0))
    factors /= factors.max()
    blank = Roughness(
        math.nan,
        math.nan,
        math.nan,
        z.size,
        scales=(
            float(min(np.diff(axis).min() for axis in axes)),
            float(math.hypot(*extents) * strides[-1]),
        ),
        n_dims=z.ndim,
        factors=tuple(factors.tolist()),
        explored=1.0,
    )
    axes = [axis * factor for axis, factor in zip(axes, factors, strict=True)]
    madogram = Madogram.of_grid(z, [axis[1] - axis[0] for axis in axes]) if _even(axes) else None
    if exact:
        spectrum = PowerVariogram.grid(axes).spectrum(z)
        return _judged(blank, spectrum, noise_variance, madogram, samples)
    design = PowerVariogram.grid([axis[:side] for axis, side in zip(axes, tile, strict=True)])
    spectra = []
    for stride in strides:
        tiles = tiles_at(z, tile, stride)
        spectra.append(design.spectrum(tiles, tiles.shape[1]).stretched(stride))
    coarse = tile_shape(shape, limit)
    tiles = tiles_at(z, coarse, largest_stride(shape, coarse))
    design = PowerVariogram.grid([axis[:side] for axis, side in zip(axes, coarse, strict=True)])
    subgrid = design.spectrum(tiles[:, tiles.shape[1] // 2])
    return _judged(blank, Spectrum.pooled(spectra), noise_variance, madogram, samples, subgrid)


def _sampled(
    axes: Sequence[np.ndarray], z: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places and scores, shapes (n, d) and (n,), of the cells of a grid or of two samples of them.

    They are drawn with the grid so held that scores rise along each axis and change most along the
    last: mirroring or exchanging axes then changes nothing.
    """
    cells: np.ndarray = np.arange(z.size).reshape(z.shape)
    for k, length in enumerate(z.shape):
        sums = np.moveaxis(z, k, 0).reshape(length, -1).sum(1)
        if sums @ np.arange(1.0 - length, length, 2.0) < 0:
            cells = np.flip(cells, k)
    changes = [float(np.square(np.diff(z, axis=k)).sum()) for k in range(z.ndim)]
    cells = cells.transpose(np.argsort(changes, kind="stable")).ravel()
    parts = [cells]
    if z.size > MAX_FITTED:
        chosen = np.random.default_rng(seed).permutation(z.size)[: 2 * MAX_FITTED]
        parts = np.array_split(cells[chosen], 2)
    places = [np.unravel_index(part, z.shape) for part in parts]
    return [
        (np.stack([axis[i] for axis, i in zip(axes, at, strict=True)], 1), z[at]) for at in places
    ]


def _judged(
    blank: Roughness,
    spectrum: Spectrum,
    noise_variance: float | None,
    madogram: Madogram | None,
    samples: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    subgrid: Spectrum | None = None,
) -> Roughness:
    """The verdict on standardised scores; ``samples`` are of a grid's cells.

    A spectrum pooled from tiles has a composite likelihood, good for a value but for no interval:
    that is then the ``subgrid``'s, widened to hold the value.
    """
    d = blank.n_dims
    if madogram is not None:
        blank = replace(blank, madogram=d + 1 - madogram.hurst)
    if min(s.power.max() for s in (spectrum, subgrid) if s is not None) < _CONSTANT:
        return replace(blank, reason="the scores compared do not differ")
    if noise_variance is not None:
        honest = spectrum if subgrid is None else subgrid
        known, unknown = (honest.log_likelihood(v)[0].max() for v in (noise_variance, None))
        if known < unknown - _HALF_CHI2:
            noise_variance = None  # refuted
    surface, total = spectrum.log_likelihood(noise_variance)
    by_hurst = profile(surface)
    peak = float(by_hurst.max())
    # Noise has no exponent, no odds and no factors of its axes, d + 1 parameters less.
    gain = peak - float(surface[:, -1].max())
    pure_noise = noise_variance != 0.0 and gain <= 0.5 * float(chi2.ppf(0.95, d + 1))
    if noise_variance is None:
        m = spectrum.n_contrasts
        noise = _noise(surface, total, m, blank.n, exact=subgrid is None)
    else:
        share = min(noise_variance, 1.0)
        noise = Estimate(share, share, share, blank.n)
    if pure_noise or noise.value > MAX_NOISE:
        reason = "noise alone explains the scores as well as a landscape does"
        return replace(blank, reason=reason, verdict="noise", noise=noise)

    fine = CubicSpline(HURST, by_hurst)(_FINE)
    hurst = float(_FINE[fine.argmax()])
    noise_is_evident = peak - float(surface[:, 0].max()) > _HALF_BAR_CHI2  # Self & Liang 1987
    if subgrid is None:
        low, high = _interval(_FINE, fine)
        if noise_variance is None and not noise_is_evident:
            hurst = min(max(_posterior_mean(surface), low), high)
    else:
        coarse, _ = subgrid.log_likelihood(noise_variance)
        low, high = _interval(_FINE, CubicSpline(HURST, profile(coarse))(_FINE))
        low, high = min(low, hurst), max(high, hurst)
    # Beyond the ends of the exponents tried nothing can be told apart.
    low, high = low if low > HURST[0] else 0.0, high if high < HURST[-1] else 1.0
    found = replace(blank, low=d + 1 - high, high=d + 1 - low, noise=noise)
    if madogram is not None:
        expected = madogram.hurst_of(hurst, *_variogram(hurst, spectrum, surface, total))
        found = replace(found, misfit=expected - madogram.hurst)
    tolerance = MAX_MISFIT * max(1.0, math.sqrt(400 / blank.n))
    if subgrid is not None:
        tolerance = MAX_MISFIT_TILED
    gain = -math.inf  # of a smooth field with a largest scale, which noise can make look rough
    if samples and noise_is_evident and high >= SMOOTH:
        gain = float(np.mean([_gain_of_smooth(*sample, seed=0) for sample in samples]))
    if gain > _HALF_CHI2:
        return replace(found, value=float(d), low=float(d), verdict="smooth")
    if samples and min(found.factors) <= MIN_FACTOR:
        reason = "nothing changes along one of the axes: project the landscape onto the others"
        return replace(found, low=math.nan, high=math.nan, reason=reason)
    # A bump under evident noise misfits too, and is smooth all the same.
    excused = hurst >= SMOOTH and noise_is_evident
    if samples and abs(found.misfit) > tolerance and not excused:
        reason = (
            "the scores are unlike a random field, as sums of one-dimensional functions, steps "
            f"and dimensions without effect make them; the madogram says D = {found.madogram:.2f}"
        )
        return replace(found, low=math.nan, high=math.nan, reason=reason)
    if gain > -_HALF_CHI2:
        return replace(found, reason=_EITHER)
    if high - low > MAX_WIDTH:
        return replace(found, reason=f"the interval of D is wider than {MAX_WIDTH}")
    if high < 1.0:
        return replace(found, value=d + 1 - hurst, verdict="rough")
    if hurst >= SMOOTH:
        return replace(found, value=d + 1 - hurst, verdict="smooth")
    return replace(found, reason="smooth and rough are both within the interval")


def _variogram(
    hurst: float, spectrum: Spectrum, surface: np.ndarray, total: np.ndarray
) -> tuple[float, float]:
    """Scale and nugget of the likeliest variogram with this Hurst exponent."""
    row = int(np.abs(HURST - hurst).argmin())
    column = int(surface[row].argmax())
    share, s = SHARES[column], total[row, column]
    mean = spectrum.eigenvalues[row] @ spectrum.n_sets / spectrum.n_contrasts
    return float(s * (1.0 - share) / mean), float(s * share)


def _noise(surface: np.ndarray, total: np.ndarray, m: float, n: int, *, exact: bool) -> Estimate:
    """The noise variance, where that of the scores is 1, with its profile-likelihood interval.

    At noise variance ``N`` and share ``q`` the total variance is ``s = N / q``, which takes ``m / 2
    [log(s / total) + total / s - 1]`` from the log-likelihood at the best total.
    """
    variances = np.minimum(SHARES * total, 1.0)
    peak = float(surface.max())
    if peak - float(surface[:, -1].max()) <= _HALF_CHI2:
        value = 1.0  # pure noise is not refuted, and simpler
    else:
        best = int(surface.argmax())
        value = float(variances.flat[best]) if best % len(SHARES) else 0.0
    if not exact:
        return Estimate(value, math.nan, math.nan, n)
    likely = surface >= peak - 2.0 * _HALF_CHI2  # the rest bounds no interval
    values, at = surface[likely], np.log((SHARES * total)[likely])
    candidates = np.linspace(math.log(SHARES[1]), math.log(2.0), 481)
    ratio = np.clip(candidates[:, None] - at, -50.0, 50.0)
    over_rest = (values - 0.5 * m * (ratio + np.exp(-ratio) - 1.0)).max(1)
    if peak - float(surface[:, 0].max()) <= _HALF_CHI2:
        over_rest[0] = peak  # no noise is not refuted
    log_low, log_high = _interval(candidates, over_rest)
    low = 0.0 if log_low == candidates[0] else math.exp(log_low)
    return Estimate(value, min(low, value), min(max(math.exp(log_high), value), 1.0), n)


def _interval(x: np.ndarray, profile: np.ndarray) -> tuple[float, float]:
    """The first and last ``x`` not refuted by a profile log-likelihood, interpolated between."""
    excess = profile - (profile.max() - _HALF_CHI2)
    inside = np.flatnonzero(excess >= 0)
    first, last = int(inside[0]), int(inside[-1])
    low, high = float(x[first]), float(x[last])
    if first > 0:
        low = float(np.interp(0.0, excess[first - 1 : first + 1], x[first - 1 : first + 1]))
    if last < len(x) - 1:
        high = float(np.interp(0.0, excess[last : last + 2][::-1], x[last : last + 2][::-1]))
    return low, high


def _posterior_mean(surface: np.ndarray) -> float:
    """Mean of H over H and the noise share, from the log-likelihood at HURST x SHARES."""
    prior = np.full(len(SHARES), (1.0 - _P_NO_NOISE) / (len(SHARES) - 1))
    prior[0] = _P_NO_NOISE
    top = surface.max(1)
    log_marginal = top + np.log(np.exp(surface - top[:, None]) @ prior)
    fine = CubicSpline(HURST, log_marginal)(_FINE)
    return float(np.average(_FINE, weights=np.exp(fine - fine.max())))


def _abstained(landscape: Landscape) -> Roughness | None:
    """The verdict that needs no fit, or None."""
    coordinates, scores = landscape.known
    n, d = len(scores), landscape.n_dims
    verdict: Verdict = "not enough data"
    if n > 1 and np.ptp(scores / max(np.abs(scores).max(), 1e-300)) <= _CONSTANT:
        verdict, reason = "constant", "the scores do not differ"
    elif n < MIN_TRIALS:
        reason = f"{n} trials with a score are too few, {MIN_TRIALS} are needed"
    elif min(n, MAX_SCATTERED) < MIN_TRIALS_PER_DIM * d:
        most = "" if n <= MAX_SCATTERED else f", of which {MAX_SCATTERED} can be used,"
        reason = (
            f"{n} trials with a score{most} are too few for {d} dimensions, "
            f"{MIN_TRIALS_PER_DIM * d} are needed: all are about equally far apart"
        )
    elif (still := np.flatnonzero(np.ptp(coordinates, axis=0) == 0)).size:
        reason = f"dimension {landscape.names[still[0]]!r} does not vary: leave it out"
    elif (idle := _without_effect(landscape.scores, n)) is not None:
        reason = (
            f"the scores do not change along {landscape.names[idle]!r}: "
            "project the landscape onto the others"
        )
    else:
        return None
    return Roughness(math.nan, math.nan, math.nan, n, reason=reason, n_dims=d, verdict=verdict)


def _without_effect(scores: np.ndarray, n: int) -> int | None:
    """The first axis of a full grid along which nothing changes, if there is another."""
    if scores.ndim == 1 or scores.size > n:
        return None
    size = np.abs(scores).max()
    spreads = (np.ptp(scores / size, axis).max() for axis in range(scores.ndim))
    return next((axis for axis, spread in enumerate(spreads) if spread <= _CONSTANT), None)


def _standardised(scores: np.ndarray) -> tuple[np.ndarray, float]:
    """Scores of mean 0 and variance 1, NaN where unknown, and the unit they were divided by."""
    size = float(np.nanmax(np.abs(scores)))
    z = scores / size
    z = z - np.nanmean(z)
    spread = float(np.nanstd(z))
    return z / spread, size * spread


def _in_units(noise_variance: float | None, unit: float) -> float | None:
    if noise_variance is None:
        return None
    share = (math.sqrt(noise_variance) / unit) ** 2
    return share if share >= _NONE else 0.0


def _mirrored(axes: Sequence[np.ndarray]) -> bool:
    """Whether each axis looks the same from both ends."""
    return all(np.allclose(axis + axis[::-1], axis[0] + axis[-1], atol=1e-9) for axis in axes)


def _even(axes: Sequence[np.ndarray]) -> bool:
    """Whether each axis is evenly spaced."""
    return all(len(axis) < 3 or np.allclose(np.diff(axis, 2), 0.0, atol=1e-9) for axis in axes)
