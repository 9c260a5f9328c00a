"""Local linear fits with Gaussian weights: values, slopes and residual spread, anywhere.

At a place ``p`` the plane ``a + b'(x - p)`` minimises ``sum_i w_i (y_i - a - b'(x_i - p))^2`` with
``w_i = exp(-|x_i - p|^2 / 2 h^2)``. The fit is exact on planes whatever the design: at edges,
beside gaps, among scattered points. Kernel averages are not: they flatten edges.

References
----------
Cleveland, J. Am. Stat. Assoc. 74, 1979 (locally weighted regression); Fan & Gijbels, Local
Polynomial Modelling and Its Applications, 1996, sections 3.2 (design at edges) and 4.2 (cross
validation); Ruppert & Wand, Ann. Statist. 22, 1994 (several dimensions).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

LARGEST = 1e150  # beyond it squares overflow
MAX_NEIGHBOURS = 1000  # further ones are left out of a fit
_REACH = 4.5  # in bandwidths; the weight there is 4e-5
_STEP = math.sqrt(2.0)
_WIDEST = 64.0  # the unit cube looks like a point: all weights are equal
_THINNEST = 1e-3  # smallest by largest variance of the weighted points; thinner is a line
_FARTHEST = 50.0  # squared distance from the weighted points, in their standard deviations
_LOO_SAMPLE = 500
_CHUNK = 2**20  # numbers per temporary array


@dataclass(frozen=True, eq=False)
class LocalFit:
    """Local linear fits at ``m`` places; NaN where the points determine no plane.

    Attributes
    ----------
    value : np.ndarray
        Fitted values ``a``, shape (m,).
    gradient : np.ndarray
        Slopes ``b`` per unit coordinate, shape (m, d).
    spread : np.ndarray
        Variance of the points around the plane, shape (m,): ``sum w r^2 / tr(W - H)`` with
        ``H = W X (X'WX)^-1 X'W``, unbiased for independent noise around a plane.
    leverage : np.ndarray
        Weight that a point at the place itself has in the fitted value, shape (m,).
    gradient_noise : np.ndarray
        Expected squared length of the gradient for noise of variance 1 alone, shape (m,).
    bandwidth : np.ndarray
        Bandwidth used, shape (m,): as asked, or wider where there were too few points.
    """

    value: np.ndarray
    gradient: np.ndarray
    spread: np.ndarray
    leverage: np.ndarray
    gradient_noise: np.ndarray
    bandwidth: np.ndarray


def local_linear(x: np.ndarray, y: np.ndarray, at: np.ndarray, bandwidth: float) -> LocalFit:
    """Local linear fits to points ``(x, y)`` at the places ``at``.

    Where the weights leave fewer than d + 1.5 effective points (``(sum w)^2 / sum w^2``), or points
    on a line, or points that all lie far to one side, the bandwidth is widened by steps of sqrt 2
    until they determine a plane.

    Parameters
    ----------
    x : np.ndarray
        Unit coordinates, shape (n, d) float64.
    y : np.ndarray
        Values of at most 1e150, shape (n,) float64.
    at : np.ndarray
        Unit coordinates, shape (m, d) float64.
    bandwidth : float
        Standard deviation ``h`` of the weights in unit coordinates, positive.

    Raises
    ------
    ValueError
        If the bandwidth is not positive and finite.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((30, 2))
    >>> fit = local_linear(x, 1 + x @ [2.0, -3.0], np.array([[0.0, 1.0]]), 0.2)
    >>> round(float(fit.value[0]), 6), fit.gradient[0].round(6).tolist()
    (-2.0, [2.0, -3.0])
    """
    if not (bandwidth > 0 and math.isfinite(bandwidth)):
        raise ValueError(f"bandwidth must be a positive number, got {bandwidth!r}")
    m, d = at.shape
    parts = {
        "value": np.full(m, np.nan),
        "gradient": np.full((m, d), np.nan),
        "spread": np.full(m, np.nan),
        "leverage": np.full(m, np.nan),
        "gradient_noise": np.full(m, np.nan),
        "bandwidth": np.full(m, np.nan),
    }
    if len(y) == 0:
        return LocalFit(**parts)
    middle = float(np.mean(y))  # so that a large constant costs no digits
    tree = cKDTree(x)
    todo, h = np.arange(m), float(bandwidth)
    widest = max(h, _WIDEST)
    while len(todo) and h <= widest:
        found = np.zeros(len(todo), dtype=bool)
        n_chunks = -(-len(todo) * min(len(y), MAX_NEIGHBOURS) * (d + 1) // _CHUNK)
        for rows in np.array_split(np.arange(len(todo)), max(1, n_chunks)):
            places = todo[rows]
            is_plane, fits = _planes(tree, x, y - middle, at[places], h)
            found[rows] = is_plane
            for name, values in fits.items():
                parts[name][places[is_plane]] = values
            parts["bandwidth"][places[is_plane]] = h
        todo, h = todo[~found], h * _STEP
    parts["value"] += middle
    return LocalFit(**parts)


def _planes(
    tree: cKDTree, x: np.ndarray, y: np.ndarray, at: np.ndarray, h: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Which places have a plane at this bandwidth, and the fits at those."""
    n, d = x.shape
    k = n
    if n > MAX_NEIGHBOURS:
        within = tree.query_ball_point(at, _REACH * h, return_length=True)
        k = min(MAX_NEIGHBOURS, max(8 * (d + 1), int(np.max(within))))
    near = np.arange(n)[None] if k == n else tree.query(at, k=k)[1]
    t = (x[near] - at[:, None]) / h
    w = np.exp(-0.5 * np.einsum("mkj,mkj->mk", t, t))
    total = w.sum(1)
    squares = (w * w).sum(1)
    n_effective = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)
    design = np.concatenate([np.ones((*t.shape[:2], 1)), t], axis=2)
    weighted = design * w[..., None]
    moments = np.swapaxes(weighted, 1, 2) @ design
    moments /= np.where(total > 0, total, 1.0)[:, None, None]
    mean = moments[:, 0, 1:]
    covariance = moments[:, 1:, 1:] - mean[:, :, None] * mean[:, None, :]
    variances, directions = np.linalg.eigh(covariance)
    is_plane = (n_effective >= d + 1.5) & (variances[:, 0] > _THINNEST * variances[:, -1])
    off = np.einsum("mji,mj->mi", directions, mean)[is_plane] ** 2
    is_plane[is_plane] = (off / variances[is_plane]).sum(1) <= _FARTHEST
    values = np.broadcast_to(y[near], w.shape)[is_plane]
    w, total, design, weighted = w[is_plane], total[is_plane], design[is_plane], weighted[is_plane]
    inverse = np.linalg.inv(moments[is_plane]) / total[:, None, None]
    plane = inverse @ (np.swapaxes(weighted, 1, 2) @ values[..., None])
    residual = values - (design @ plane)[..., 0]
    squared = np.swapaxes(weighted, 1, 2) @ weighted
    freedom = total - np.einsum("mij,mji->m", inverse, squared)
    rss = (w * residual**2).sum(1)
    noise = inverse @ squared @ inverse
    return is_plane, {
        "value": plane[:, 0, 0],
        "gradient": plane[:, 1:, 0] / h,
        "spread": np.divide(rss, freedom, out=np.full_like(rss, np.nan), where=freedom > 1e-9),
        "leverage": inverse[:, 0, 0],
        "gradient_noise": np.trace(noise[:, 1:, 1:], axis1=1, axis2=2) / h**2,
    }


def leave_one_out(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The bandwidth that predicts each point best from the others, and its mean squared error.

    Candidates are spaced by sqrt 2, from half the median distance to the 2 (d + 1)-th neighbour up
    to the first beyond 2, where the fit is one plane. The residual of a point that is left out is
    ``(y - fit) / (1 - leverage)``. Of equally good bandwidths the widest. Of more than 500 points a
    fixed random sample of 500 is left out in turn.

    Parameters
    ----------
    x : np.ndarray
        Unit coordinates, shape (n, d) float64.
    y : np.ndarray
        Finite values, shape (n,) float64.
    """
    n, d = x.shape
    rows = np.arange(n)
    if n > _LOO_SAMPLE:
        rows = np.random.default_rng(0).choice(n, _LOO_SAMPLE, replace=False)
    widths = [half_distance(x, 2 * (d + 1))]
    while widths[-1] < 2.0:
        widths.append(widths[-1] * _STEP)
    errors = []
    for h in widths:
        fit = local_linear(x, y, x[rows], h)
        with np.errstate(divide="ignore", invalid="ignore"):
            left_out = ((y[rows] - fit.value) / (1.0 - fit.leverage)) ** 2
        known = np.isfinite(left_out)
        errors.append(float(np.mean(left_out[known])) if 2 * known.sum() > len(rows) else math.inf)
    rounding = 1e-20 * float(np.mean(y**2))
    good = min(errors) * (1 + 1e-9) + rounding
    best = max(i for i, error in enumerate(errors) if error <= good)
    return widths[best], errors[best]


def half_distance(x: np.ndarray, k: int) -> float:
    """Half the median distance of a point to its ``k``-th nearest neighbour.

    As a bandwidth it gives about ``k`` effective points in a uniform design of any dimension.
    Points with ``k`` others in the same place do not count; 1 if there are none but these.
    """
    rows = np.arange(len(x))
    if len(x) > _LOO_SAMPLE:
        rows = np.random.default_rng(0).choice(len(x), _LOO_SAMPLE, replace=False)
    distance = np.asarray(cKDTree(x).query(x[rows], k=[min(k, len(x) - 1) + 1])[0])[:, 0]
    distance = distance[distance > 0]
    return float(np.median(distance)) / 2 if len(distance) else 1.0
