"""Neighbours: which scores of a landscape lie next to each other."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial import cKDTree

from fractal_tuner.landscape import Landscape


def grid_pairs(landscape: Landscape, *, corners: bool = True) -> np.ndarray:
    """Pairs of known cells next to each other; all choices of a category are."""
    known = np.isfinite(landscape.scores)
    label = np.where(known, np.cumsum(known.ravel()).reshape(known.shape) - 1, -1)
    pairs = []
    for step in _steps(landscape):
        if not corners and np.count_nonzero(step) > 1:
            continue
        ahead = tuple(slice(max(s, 0), min(s, 0) or None) for s in step)
        behind = tuple(slice(max(-s, 0), min(-s, 0) or None) for s in step)
        pairs.append(np.column_stack([label[ahead].ravel(), label[behind].ravel()]))
    edges = np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.intp)
    return edges[(edges >= 0).all(1)]


def _steps(landscape: Landscape) -> list[tuple[int, ...]]:
    """Steps to the neighbours of a cell, one of each two opposite ones."""
    reach = [
        range(1 - length, length) if not axis.has_scale else range(-1, 2) if length > 1 else (0,)
        for axis, length in zip(landscape.axes, landscape.scores.shape, strict=True)
    ]
    return [step for step in itertools.product(*reach) if step > (0,) * len(reach)]


def near_pairs(x: np.ndarray, least: int = 8) -> np.ndarray:
    """Each place and its nearest neighbours."""
    n, d = x.shape
    if n < 2:
        return np.empty((0, 2), dtype=np.intp)
    k = min(n - 1, least if least == 1 else max(least, 2 * (d + 1)))
    near = cKDTree(x).query(x, k=k + 1)[1].reshape(n, k + 1)
    edges = np.column_stack([np.repeat(np.arange(n), k + 1), near.ravel()])
    return np.asarray(edges[edges[:, 0] != edges[:, 1]], dtype=np.intp)
