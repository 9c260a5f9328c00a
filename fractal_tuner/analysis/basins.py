"""Basins: how many separate regions of good scores a landscape has."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from fractal_tuner.analysis.emulator import Design, Emulator
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.neighbours import grid_pairs, near_pairs
from fractal_tuner.landscape import Landscape, check_landscape

MAX_EMULATED = 2**14  # cells of a noisy grid; a larger one is thinned


@dataclass(frozen=True, eq=False)
class Basins(Estimate):
    """How many separate regions of good scores a landscape has.

    ``value`` is the number of those deeper than ``depth``; the best one counts.

    Attributes
    ----------
    depth : float
        How far scores must fall between two regions for both to count.
    persistence : np.ndarray
        Of every local optimum, by how much one must descend from it to reach a better one,
        largest first; the best one's is the range of the scores.
    peaks : np.ndarray
        Unit coordinates of the optima that count, shape (value, d), most persistent first.
    """

    depth: float = math.nan
    persistence: np.ndarray = field(default_factory=lambda: np.empty(0))
    peaks: np.ndarray = field(default_factory=lambda: np.empty(0))


def basins(landscape: Landscape) -> Basins:
    """How many regions of good scores there are, with falls deeper than the noise between them.

    What to do with it: with one, zoom in or search locally. With several, keep the second best
    region, and restart from it.

    Cut at a falling level, the landscape grows islands; where two meet, the one with the lower
    peak ends, and the fall from its peak is its *persistence* (superlevel-set persistent homology
    in degree 0; the merge tree). Islands of persistence above 2 standard deviations of the noise
    count. Noise would raise islands of its own, about four on 20 x 20 cells, so unless it is 0 the
    scores are first replaced by the mean of a random field fitted to them (of more than 300, to a
    random 300).

    On a grid all cells are used, and cells that touch at a corner are neighbours. A noisy
    grid of more than 16384 cells is thinned to every second, third, ... line. Holes and failures
    separate: an island behind them counts if it is higher than the lowest score by that
    much. Scattered scores are joined to their nearest neighbours, at least 8, by straight lines,
    on which the field's mean is taken at 7 places: regions that hold no score are not seen, and a
    curved ridge may fall apart where scores are few.

    Parameters
    ----------
    landscape : Landscape
        Its ``noise_variance`` must be known.

    Returns
    -------
    Basins
        With a ``reason`` and without a value where the noise is unknown, or scores are fewer than
        10 or do not differ.

    References
    ----------
    Edelsbrunner, Letscher & Zomorodian, Discrete Comput. Geom. 28, 2002; Chazal, Guibas, Oudot &
    Skraba, J. ACM 60, 2013 (islands of a function known at scattered places).

    Examples
    --------
    >>> x = np.linspace(0, 1, 41)
    >>> two_hills = np.abs(np.sin(2 * np.pi * x))
    >>> basins(Landscape.from_grid(two_hills, noise_variance=0.0)).persistence.round(6).tolist()
    [1.0, 1.0]
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(41)
    >>> basins(Landscape.from_grid(two_hills + noise, noise_variance=0.1**2)).value
    2.0
    """
    check_landscape(landscape)
    design = Design.of(landscape)
    if landscape.noise_variance is None:
        return Basins.abstain("the noise is unknown", n=design.n)
    if (reason := design.problem()) is not None:
        return Basins.abstain(reason, n=design.n)
    sd = math.sqrt(landscape.noise_variance)
    saddles = None
    if landscape.is_grid:
        shown = landscape if sd == 0 else _emulated(landscape, Emulator(design))
        x, z = shown.known
        edges = grid_pairs(shown)
    else:
        emulator = Emulator(design)
        x = design.points
        z = emulator.mean(x) if sd > 0 else design.scores
        edges = near_pairs(design.features(x))
        way = np.linspace(0.0, 1.0, 9)[1:-1, None, None]
        between = (1.0 - way) * x[edges[:, 0]] + way * x[edges[:, 1]]
        lowest = emulator.mean(between.reshape(-1, x.shape[1])).reshape(len(way), -1).min(0)
        saddles = np.minimum(lowest, z[edges].min(1))
    peaks, persistence = _merged(z, edges, saddles)
    counts = persistence > 2.0 * sd
    counts[0] = True
    value = float(counts.sum())
    return Basins(
        value,
        math.nan,
        math.nan,
        design.n,
        depth=2.0 * sd,
        persistence=persistence,
        peaks=x[peaks[counts]],
    )


def _merged(
    z: np.ndarray, edges: np.ndarray, saddles: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Local optima and their persistence, the largest first, on a graph of neighbours.

    Each place climbs to its best neighbour until it is on top; then the edges between different
    tops, from the highest down, join regions, and the lower top ends there.

    Parameters
    ----------
    z : np.ndarray
        Scores, shape (n,), finite.
    edges : np.ndarray
        Neighbours, shape (m, 2) int.
    saddles : np.ndarray or None
        Lowest score along each edge, shape (m,); None if that is at one of its ends. An edge that
        falls below both of its ends is not climbed.
    """
    n = len(z)
    order = np.argsort(z, kind="stable")
    rank = np.empty(n, dtype=np.intp)
    rank[order] = np.arange(n)
    a, b = edges.T
    height = z[edges].min(1) if saddles is None else saddles
    climbed = height >= z[edges].min(1)
    highest = rank.copy()
    np.maximum.at(highest, a[climbed], rank[b[climbed]])
    np.maximum.at(highest, b[climbed], rank[a[climbed]])
    top = order[highest]
    while not np.array_equal(top, top[top]):
        top = top[top]
    crosses = np.flatnonzero(top[a] != top[b])
    crosses = crosses[np.argsort(-height[crosses], kind="stable")]
    ends = np.sort(np.column_stack([top[a[crosses]], top[b[crosses]]]), axis=1)
    _, first = np.unique(ends @ np.array([n, 1]), return_index=True)  # the highest of each pair
    parent = {int(t): int(t) for t in np.unique(top)}
    depth = {t: float(z[t] - z[order[0]]) for t in parent}

    def root(t: int) -> int:
        while parent[t] != t:
            parent[t] = parent[parent[t]]
            t = parent[t]
        return t

    for i in np.sort(first):
        s, t = root(int(ends[i, 0])), root(int(ends[i, 1]))
        if s != t:
            lower, upper = (s, t) if rank[s] < rank[t] else (t, s)
            parent[lower] = upper
            depth[lower] = min(depth[lower], float(z[lower] - height[crosses[i]]))
    peaks = np.array(list(depth))
    persistence = np.array([depth[t] for t in depth])
    by_depth = np.lexsort((-rank[peaks], -persistence))
    is_best = rank[peaks[by_depth]] == n - 1
    is_equal = persistence[by_depth] == 0  # one of several cells of a flat top
    by_depth = np.concatenate([by_depth[is_best], by_depth[~is_best & ~is_equal]])
    return peaks[by_depth], persistence[by_depth]


def _emulated(landscape: Landscape, emulator: Emulator) -> Landscape:
    """A grid of the field's mean where scores are known, thinned if it is large."""
    stride = 1
    while math.prod(-(-n // stride) for n in landscape.scores.shape) > MAX_EMULATED:
        stride += 1
    assert landscape.lines is not None
    every = (slice(None, None, stride),) * landscape.n_dims
    thin = replace(
        landscape,
        scores=landscape.scores[every],
        failed=landscape.failed[every],
        lines=tuple(line[::stride] for line in landscape.lines),
    )
    z = thin.scores.copy()
    z[np.isfinite(z)] = emulator.mean(thin.known[0])
    return thin.with_scores(z)
