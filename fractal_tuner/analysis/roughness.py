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
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from fractal_tuner.analysis.emulator import sobol_points
from fractal_tuner.analysis.fitting import fit_axes
from fractal_tuner.analysis.madogram import Madogram
from fractal_tuner.analysis.tiles import largest_stride, tile_shape, tile_strides, tiles_at
from fractal_tuner.analysis.variogram import (
    SMOOTHNESS,
    Design,
    Family,
    Spectrum,
    rough_fields,
    smooth_fields,
)
from fractal_tuner.analysis.verdicts import UNKNOWN, Evidence, Roughness, Verdict, judged
from fractal_tuner.landscape import Landscape, check_landscape

__all__ = ["Roughness", "roughness"]

MIN_TRIALS = 50
MIN_TRIALS_PER_DIM = 10  # each has a factor; fewer, and pairs of trials are all equally far apart
MAX_FITTED = 200  # cells of a grid that enter a fit of its axes; of larger ones there are two fits
MAX_SCATTERED = 400  # trials, decomposed as a whole
MAX_GRID = 1024  # cells of a grid, decomposed by parity in 2^d blocks ...
MAX_BLOCK = 256  # ... of about this many cells at most
TILE = 400  # cells of a tile of a larger grid
FAR = 10  # interquartile ranges: 13 standard deviations of normal scores

_TILTED = 0.05  # share of the variance that a plane leaves, where it may hide the rest
_CONSTANT = 1e-12  # relative spread that rounding alone can cause
_NONE = 1e-7  # a known noise variance below this share of the scores' counts as none
_N_POINTS = 1024  # of the space, to see how much of it was explored


def roughness(landscape: Landscape, *, seed: int = 0) -> Roughness:
    """Graph dimension and Hurst exponent of a landscape.

    Restricted likelihood of a power-variogram field with a nugget. The 95 % interval of H is ``{H:
    2 (max - profile) <= 3.84}``; the value is the mean of H over the posterior, H even on 0 to 1
    (:func:`fractal_tuner.analysis.hurst.hurst_mean`). Where the interval comes near the smooth
    limit, the scores are compared with a twice differentiable field, which has a largest scale.
    They are smooth if it is seven times likelier, rough if it is seven times less likely (or merely
    less likely, where the interval excludes the limit).

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
    roughness near ``H = 0.2`` and noise are hard to tell apart on 20 x 20 cells or fewer: D is then
    0.05 too low on the average. Measured on 100 fractional Brownian surfaces of 20 x 20 cells, with
    noise of 0, 1 and 5 % of their spread: root mean square error of D 0.08 at ``H = 0.2``, 0.07 at
    0.5, 0.05 (with 5 % noise 0.06) at 0.8; intervals cover in 0.89 to 0.98 of the cases, of all in
    0.93, and 97 or more have a value. Of 30 surfaces stretched 3 or 10 times along one axis the
    error is 0.04 to 0.08, and 27 or more have a value.

    The choice of a search where to look next biases D little, because the likelihood asks only for
    the scores where they are: over 120 trials of a zooming search and of a tree-structured Parzen
    estimator in two dimensions, 30 each, on fields with ``H`` of 0.3, 0.5 and 0.7, with and without
    noise, the bias is at most 0.07 and the root mean square error 0.03 to 0.12; intervals cover in
    0.83 to 1 of the cases, of all in 0.94, of zooming searches without noise in 0.9. What misleads
    is a landscape that is not alike everywhere: a noisy bump, searched at its top, looks rough to a
    field without a largest scale, and so does one on a grid if noise is a tenth of its range, hence
    the comparison with smooth fields. D describes the region explored; ``explored`` says how much
    that is. A bump whose standard deviation is a tenth of the range, under noise of a tenth of its
    height, is too narrow for that comparison and reads rough. Places evaluated again, always with
    the same score, count once.

    A plane that was added to a field changes no D, but looks smooth. Where it leaves less than 0.05
    of the variance and D of the rest is certainly larger, D is that of the rest. Of 8 surfaces of
    20 x 20 cells each, on planes that rise by 20 and 40 times their spread, the error is then 0.05
    at ``H = 0.2``, 0.16 at 0.5, where seven intervals hold, and 0.12 at 0.8, where four hold; on
    planes of 4 and 10 times their spread D is 0.1 to 0.5 too low, and few intervals hold. Take a
    trend that is known away before. Bowls and other trends are not looked for.

    Sums of one-dimensional functions and steps are not Gaussian-like. On a full grid they are found
    out by a madogram that does not fit, and there is no value; elsewhere, and under noise of a
    twentieth of a step's height, D is only a description. Of 80 smooth landscapes of eight kinds,
    with noise of a fifth of their spread, 79 read smooth on 20 x 20 cells, and of 120 scattered
    trials 75, the others have no value; of 60 trials 71, and 3 read rough. The factors are fitted
    to noise as well, which asks that much more likelihood before scores are no noise: of 200 sets
    of white noise, 60 trials in 2 dimensions to 200 in 20, none got a number. A grid along one of
    whose axes nothing changes has no value either: project it onto the others, over which D is less
    by 1.

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
        return replace(found, reason=reason, verdict="not enough data", noise=UNKNOWN)
    return _unless_tilted(found, landscape, z, unit, seed)


def _unless_tilted(
    found: Roughness, landscape: Landscape, z: np.ndarray, unit: float, seed: int
) -> Roughness:
    """The finding, or that without a plane that is no part of the same field.

    A field's own tilt says of its roughness what the rest says. A plane that was added looks
    smooth at the largest distances, and hides what is rough at the smaller ones.
    """
    x, known = landscape.coordinates, np.isfinite(z.ravel())
    design = np.column_stack([np.ones(len(x)), x])
    plane = np.linalg.lstsq(design[known], z.ravel()[known])[0]
    rest = z - (design @ plane).reshape(z.shape)
    left = float(np.nanvar(rest))
    if not _CONSTANT < left < _TILTED or math.isnan(found.high):
        return found
    rest, share = _standardised(rest)
    noise_variance = _in_units(landscape.noise_variance, unit * share)
    level = _measured(landscape, rest, noise_variance, seed)
    if level.verdict != "rough" or level.low <= found.high:
        return found
    noise = replace(
        level.noise,
        value=level.noise.value * share**2,
        low=level.noise.low * share**2,
        high=level.noise.high * share**2,
    )
    return replace(level, noise=noise, plane=tuple((plane[1:] * unit).tolist()))


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
        if _mirrored(lines) if z.size <= limit else _even(lines):
            return _of_grid(lines, z, limit, noise_variance, seed)
    return _of_scattered(landscape.with_scores(z), noise_variance, seed)


def _of_scattered(landscape: Landscape, noise_variance: float | None, seed: int) -> Roughness:
    """That of standardised scores, or of a random 400 of them."""
    coordinates, z = landscape.known
    n, d = min(len(z), MAX_SCATTERED), landscape.n_dims
    blank = Roughness(
        math.nan, math.nan, math.nan, n, n_dims=d, explored=_explored(landscape, seed)
    )
    if len(z) > n:
        chosen = np.random.default_rng(seed).choice(len(z), n, replace=False)
        coordinates, z = coordinates[chosen], z[chosen]
        if np.ptp(z) <= _CONSTANT:
            return replace(blank, reason=f"{n} scores chosen at random show no difference")
    coordinates, z = _once(coordinates, z)
    if len(z) < MIN_TRIALS:
        reason = f"scores at {len(z)} places are too few, {MIN_TRIALS} are needed"
        return replace(blank, reason=reason)
    z, unit = _standardised(z)
    noise_variance = _in_units(noise_variance, unit)
    sample = [(coordinates, z)]
    factors = _factors(sample, seed)
    distances = pdist(coordinates)
    blank = replace(
        blank,
        scales=(float(distances[distances > 0].min()), float(distances.max())),
        factors=tuple(factors.tolist()),
    )
    evidence = Evidence(
        Design.scattered(coordinates * factors).spectrum(z),
        lambda: Design.scattered(
            coordinates * _factors(sample, seed, SMOOTHNESS), smooth_fields
        ).spectrum(z),
        noise_variance,
        Madogram.of_points(pdist(coordinates * factors), z),
    )
    return judged(blank, evidence)


def _once(coordinates: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each place once, if its scores are always the same: repeats then say nothing new."""
    _, first, place = np.unique(coordinates, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(z) or (z != z[first][place.ravel()]).any():
        return coordinates, z
    first.sort()
    return coordinates[first], z[first]


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


def _of_grid(
    axes: Sequence[np.ndarray], z: np.ndarray, limit: int, noise_variance: float | None, seed: int
) -> Roughness:
    """That of standardised scores on a full grid, as a whole or by smaller tiles."""
    order, z = _held(z)
    axes = [axes[k] for k in order]
    samples = _sampled(axes, z, seed)
    factors = _factors(samples, seed)
    exact = z.size <= limit
    tile = z.shape if exact else tile_shape(z.shape, TILE)
    strides = [1] if exact else tile_strides(z.shape, tile)
    extents = [axis[side - 1] - axis[0] for axis, side in zip(axes, tile, strict=True)]
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
        factors=tuple(factors[np.argsort(order)].tolist()),
        explored=1.0,
    )

    def design(
        shape: tuple[int, ...], factors: np.ndarray, family: Family = rough_fields
    ) -> Design:
        sides = zip(axes, factors, shape, strict=True)
        return Design.grid([factor * axis[:side] for axis, factor, side in sides], family)

    part, coarse = z, z.shape
    if not exact:
        coarse = tile_shape(z.shape, limit)
        tiles = tiles_at(z, coarse, largest_stride(z.shape, coarse))
        part = tiles[:, tiles.shape[1] // 2]
    whole = design(coarse, factors).spectrum(part)
    pooled = None
    if not exact:
        few = design(tile, factors)
        parts = [(stride, tiles_at(z, tile, stride)) for stride in strides]
        spectra = [few.spectrum(p, p.shape[1]).stretched(stride) for stride, p in parts]
        pooled = Spectrum.pooled(spectra)
    equal = [axis * factor for axis, factor in zip(axes, factors, strict=True)]
    evidence = Evidence(
        whole,
        lambda: design(coarse, _factors(samples, seed, SMOOTHNESS), smooth_fields).spectrum(part),
        noise_variance,
        Madogram.of_grid(z, [axis[1] - axis[0] for axis in equal]) if _even(axes) else None,
        equal,
        pooled,
    )
    return judged(blank, evidence)


def _held(z: np.ndarray) -> tuple[list[int], np.ndarray]:
    """A grid turned so that scores rise along each axis and change most along the last.

    Mirroring or exchanging axes then changes nothing of what is chosen from it: tiles and samples.
    Also returned is the order of its axes.
    """
    for k, length in enumerate(z.shape):
        sums = np.moveaxis(z, k, 0).reshape(length, -1).sum(1)
        if sums @ np.arange(1.0 - length, length, 2.0) < 0:
            z = np.flip(z, k)
    changes = [float(np.square(np.diff(z, axis=k)).sum()) for k in range(z.ndim)]
    order = [int(k) for k in np.argsort(changes, kind="stable")]
    return order, np.ascontiguousarray(z.transpose(order))


def _sampled(
    axes: Sequence[np.ndarray], z: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places and scores, shapes (n, d) and (n,), of a grid's cells or of two samples of them."""
    parts = [np.arange(z.size)]
    if z.size > MAX_FITTED:
        chosen = np.random.default_rng(seed).permutation(z.size)[: 2 * MAX_FITTED]
        parts = np.array_split(chosen, 2)
    places = [np.unravel_index(part, z.shape) for part in parts]
    return [
        (np.stack([axis[i] for axis, i in zip(axes, at, strict=True)], 1), z[at]) for at in places
    ]


def _factors(
    samples: Sequence[tuple[np.ndarray, np.ndarray]], seed: int, smoothness: float | None = None
) -> np.ndarray:
    """The axes' factors, the largest of them 1, averaged over fits to samples."""
    fits = [np.log(fit_axes(*sample, smoothness, seed=seed).factors) for sample in samples]
    mean = np.mean(fits, axis=0)
    return np.asarray(np.exp(mean - mean.max()))


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
    # A thousand times the scores' spread is refuted as surely as more is, and overflows nowhere.
    share = min(math.sqrt(noise_variance) / unit, 1e3) ** 2
    return share if share >= _NONE else 0.0


def _mirrored(axes: Sequence[np.ndarray]) -> bool:
    """Whether each axis looks the same from both ends."""
    return all(np.allclose(axis + axis[::-1], axis[0] + axis[-1], atol=1e-9) for axis in axes)


def _even(axes: Sequence[np.ndarray]) -> bool:
    """Whether each axis is evenly spaced."""
    return all(len(axis) < 3 or np.allclose(np.diff(axis, 2), 0.0, atol=1e-9) for axis in axes)
