"""Where else a landscape may go deep: the heads of its basins."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist


def basin_heads(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The trials at the bottom of basins that may go deepest, except the best; the widest first.

    A trial heads a basin as wide as the distance to the nearest better trial (nearest-better
    distance, Preuss 2010). A basin may go deepest if for some rate of change ``K`` no other one has
    a lower bound ``z - K width``, as with the boxes of DIRECT (Jones, Perttunen & Stuckman 1993).

    Parameters
    ----------
    x : np.ndarray
        Features, shape (n, n_features).
    z : np.ndarray
        Responses, smaller is better, shape (n,).

    Returns
    -------
    rows, widths : np.ndarray
        Each of shape (n_heads,).

    Examples
    --------
    >>> x = np.array([[0.0], [0.1], [0.5], [0.6], [0.8]])
    >>> rows, widths = basin_heads(x, np.array([0.0, 0.5, 0.3, 0.2, 0.9]))
    >>> rows.tolist(), widths.round(2).tolist()
    ([3], [0.6])
    """
    better = z[None, :] < z[:, None]
    width = np.where(better, cdist(x, x), np.inf).min(axis=1, initial=np.inf)
    left = np.flatnonzero(np.isfinite(width))
    heads: list[int] = []
    while len(left):
        if heads:
            rate = (z[heads[-1]] - z[left]) / (width[heads[-1]] - width[left])
            heads.append(int(left[np.argmax(rate)]))
        else:
            heads.append(int(left[np.argmax(width[left])]))
        left = left[(width[left] < width[heads[-1]]) & (z[left] < z[heads[-1]])]
    return np.array(heads, int), width[heads]
