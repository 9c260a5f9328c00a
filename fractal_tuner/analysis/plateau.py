"""Plateaux: how much of a landscape differs by less than the noise."""

from __future__ import annotations

import math

import numpy as np

from fractal_tuner.analysis.emulator import Design
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.neighbours import grid_pairs, near_pairs
from fractal_tuner.landscape import Landscape, check_landscape

_SAME = math.erf(0.5)  # how often two noisy scores of one value differ by less than 1 s.d.


def plateau_share(landscape: Landscape) -> Estimate:
    """Share of neighbouring scores that differ by less than the noise.

    What to do with it: above 0.8 the steps are finer than the landscape; a coarser grid, or fewer
    values of a dimension, loses nothing. Near 0 every step matters.

    Neighbours are cells with a common side, and all choices of a category; for scattered scores
    the nearest neighbour of each. The share of pairs with ``|difference| < 1`` standard deviation
    of the noise is divided by erf(1/2) = 0.52, that of scores which differ by noise alone, so that
    a pure plateau has share 1. Without noise it is the share of equal scores.

    Parameters
    ----------
    landscape : Landscape
        Its ``noise_variance`` must be known.

    Returns
    -------
    Estimate
        ``n`` counts pairs. The interval is Wilson's, for half as many independent pairs as there
        are scores. A ``reason`` where the noise is unknown or no two neighbours have scores.

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((20, 20))
    >>> round(plateau_share(Landscape.from_grid(z, noise_variance=1.0)).value, 1)
    1.0
    >>> round(plateau_share(Landscape.from_grid(10 * z, noise_variance=1.0)).value, 1)
    0.1
    """
    check_landscape(landscape)
    if landscape.noise_variance is None:
        return Estimate.abstain("the noise is unknown", n=0)
    sd = math.sqrt(landscape.noise_variance)
    if landscape.is_grid:
        z = landscape.known[1]
        edges = grid_pairs(landscape, corners=False)
    else:
        design = Design.of(landscape, most=math.inf)  # of fewer, neighbours are farther apart
        z, edges = design.scores, near_pairs(design.features(design.points), 1)
    if len(edges) == 0:
        return Estimate.abstain("no two neighbours have scores", n=0)
    steps = np.abs(z[edges[:, 0]] - z[edges[:, 1]])
    share = float(np.mean(steps < sd if sd > 0 else steps == 0))
    n = max(len(z) / 2.0, 1.0)
    middle = (share + 1.92 / n) / (1.0 + 3.84 / n)
    half = 1.96 / (1.0 + 3.84 / n) * math.sqrt(share * (1.0 - share) / n + 0.96 / n**2)
    whole = _SAME if sd > 0 else 1.0
    value, low, high = (
        min(max(s / whole, 0.0), 1.0) for s in (share, middle - half, middle + half)
    )
    return Estimate(value, min(low, value), max(high, value), len(edges))
