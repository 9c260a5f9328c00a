"""Basins: how many separate regions of good scores a landscape has."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from fractal_tuner.analysis.emulator import Design, Emulator, sobol_points
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.neighbours import grid_pairs, near_pairs
from fractal_tuner.landscape import Landscape, check_landscape

MOST = 24  # optima that are compared

_N_POINTS = 1024
_N_DRAWS = 100
_N_STEPS = 15  # places on the straight line between two optima
_ERROR = 0.05


@dataclass(frozen=True, eq=False)
class Basins(Estimate):
    """How many separate regions of good scores a landscape has.

    ``value`` is the number of those that are surely separate, the best one's included; ``high`` is
    that of those which may be.

    Attributes
    ----------
    depth : float
        How far scores must fall between two regions for both to count: one standard deviation of
        the noise.
    persistence : np.ndarray
        Of every local optimum of the fitted field, by how much one must descend from it to reach a
        better one, largest first; the best one's is the range of the field.
    peaks : np.ndarray
        Unit coordinates of the optima that count, shape (value, d), the most persistent first.
    """

    depth: float = math.nan
    persistence: np.ndarray = field(default_factory=lambda: np.empty(0))
    peaks: np.ndarray = field(default_factory=lambda: np.empty(0))


def basins(landscape: Landscape) -> Basins:
    """How many regions of good scores there are, with falls deeper than the noise between them.

    What to do with it: with one, zoom in or search locally. With several, keep the second best
    region, and restart from it. Where ``high`` is larger, the scores do not exclude others.

    Cut at a falling level, a landscape grows islands; where two meet, the one with the lower peak
    ends, and the fall from its peak is its *persistence* (superlevel-set persistent homology in
    degree 0; the merge tree). Noise, and gaps between scores, raise islands of their own. Therefore
    a random field is fitted to the scores (of more than 300, to a random 300), the optima of its
    mean are found, and 100 draws of the field given the scores say whether they are separate: one
    counts if in all but a few of the draws no path leads from it to a more persistent one that
    counts, without descending by more than the noise's standard deviation. The few are 5 % divided
    by the number of optima that are compared (Bonferroni). What it takes to count thus follows from
    the noise, the gaps, and how many places and paths there are for luck. ``high`` is the number of
    those that are separate in more than 5 % of the draws.

    Paths lead along the nearest neighbours among the scores and 1024 Sobol points, whatever their
    choices of categories, and straight from optimum to optimum; the 24 most persistent are
    compared. Holes and failures do not separate. A grid whose noise is known to be 0 is taken as it
    is instead: cells are neighbours where they touch, holes separate, and a ridge that is narrower
    than the cells and oblique to the axes falls apart.

    Parameters
    ----------
    landscape : Landscape
        Where its ``noise_variance`` is unknown, the noise is what the field takes for it.

    Returns
    -------
    Basins
        With a ``reason`` and without a value where scores are fewer than 10 or do not differ, or no
        dimension has a scale.

    Notes
    -----
    Measured on one, two and three bumps, a plane and a curved ridge, in one and two dimensions, 10
    seeds each, on grids of 12 and 20 cells a side, 60 and 120 uniform trials, and 60 of a zooming
    search. Too many were counted in at most 1 % of the cases at each noise from 0 to 0.1 of the
    scores' range. Too few, of two or three: at noise 0.01 none, but 15 % by the searches, which
    leave worse regions before it is sure what they are; at 0.05 none on grids, 5 % by uniform
    trials and 28 % by searches; at 0.1 14, 28 and 42 %. In three dimensions, on grids, too many
    were never counted; too few in no case at noise 0.01, 35 % at 0.05 and 80 % at 0.1. The islands
    of the field's mean above 2 standard deviations of the noise were too many in 4 to 12 % at noise
    0.01 and in 27 to 37 % of scattered scores without noise, in three dimensions in up to 70 %.

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
    if (reason := design.problem()) is not None:
        return Basins.abstain(reason, n=design.n)
    if not any(axis.has_scale for axis in landscape.axes):
        return Basins.abstain("choices without a scale have no regions", n=design.n)
    if landscape.is_grid and landscape.noise_variance == 0:
        x, z = landscape.known
        tops, persistence = _merged(z, grid_pairs(landscape))
        sure, n_possible, depth = tops, len(tops), 0.0
    else:
        known = math.sqrt(landscape.noise_variance or 0.0)
        emulator = Emulator(design, known)
        depth = emulator.noise_sd if landscape.noise_variance is None else known
        sample = design.candidates(sobol_points(_N_POINTS, landscape.n_dims, 0))
        x = np.unique(np.vstack([design.points, sample]), axis=0)
        pairs = _pairs(landscape, design, x)
        tops, persistence = _merged(emulator.mean(x), pairs)
        joined = _joined(emulator, x, pairs, tops[:MOST], depth)
        sure = tops[_separate(joined, _ERROR / max(1, len(joined) - 1))]
        n_possible = len(_separate(joined, 1.0 - _ERROR))
    n_sure = float(len(sure))
    return Basins(
        n_sure,
        n_sure,
        float(n_possible),
        design.n,
        depth=depth,
        persistence=persistence,
        peaks=x[sure],
    )


def _pairs(landscape: Landscape, design: Design, x: np.ndarray) -> np.ndarray:
    """Each place and its nearest neighbours, and those whatever their choices of categories."""
    scaled = [axis.has_scale for axis in landscape.axes]
    pairs = near_pairs(design.features(x))
    return pairs if all(scaled) else np.concatenate([pairs, near_pairs(x[:, scaled])])


def _joined(
    emulator: Emulator, x: np.ndarray, pairs: np.ndarray, tops: np.ndarray, depth: float
) -> np.ndarray:
    """Whether in a draw an optimum reaches another without descending by more than ``depth``.

    Shape (n_tops, n_draws, n_tops) bool, from the first to the last.
    """
    n, m = len(x), len(tops)
    ends = tops[np.array(list(itertools.combinations(range(m), 2)), dtype=np.intp).reshape(-1, 2)]
    way = np.linspace(0.0, 1.0, _N_STEPS + 2)[1:-1, None, None]
    between = (1.0 - way) * x[ends[:, 0]] + way * x[ends[:, 1]]
    f = emulator.draws(np.concatenate([x, between.reshape(-1, x.shape[1])]), _N_DRAWS, 0)
    lowest = f[n:].reshape(_N_STEPS, len(ends), _N_DRAWS).min(0)
    a, b = np.concatenate([pairs, ends]).T
    height = np.minimum(f[a], f[b])
    height[len(pairs) :] = np.minimum(height[len(pairs) :], lowest)
    joined = np.ones((m, _N_DRAWS, m), dtype=bool)
    for i, draw in itertools.product(range(1, m), range(_N_DRAWS)):
        is_open = height[:, draw] >= f[tops[i], draw] - depth
        ways = csr_array((is_open[is_open], (a[is_open], b[is_open])), shape=(n, n))
        region = connected_components(ways, directed=False)[1]
        joined[i, draw] = region[tops] == region[tops[i]]
    return joined


def _separate(joined: np.ndarray, error: float) -> list[int]:
    """Which optima reach one before them that counts in at most a share of the draws."""
    counted = [0]
    for i in range(1, len(joined)):
        if joined[i][:, counted].any(1).mean() <= error:
            counted.append(i)
    return counted


def _merged(z: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local optima and their persistence, the largest first, on a graph of neighbours.

    Each place climbs to its best neighbour until it is on top; then the pairs between different
    tops, from the highest down, join regions, and the lower top ends there.

    Parameters
    ----------
    z : np.ndarray
        Scores, shape (n,), finite.
    pairs : np.ndarray
        Neighbours, shape (m, 2) int.
    """
    n = len(z)
    order = np.argsort(z, kind="stable")
    rank = np.empty(n, dtype=np.intp)
    rank[order] = np.arange(n)
    a, b = pairs.T
    height = z[pairs].min(1)
    highest = rank.copy()
    np.maximum.at(highest, a, rank[b])
    np.maximum.at(highest, b, rank[a])
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
