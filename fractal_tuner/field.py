"""Random fields: Matern correlation, restricted maximum likelihood, kriging.

Model: ``z(x) = mu + Z(x) + e`` with an unknown constant ``mu``, a Gaussian field ``Z`` of variance
``s2`` and correlation ``k(h)``, ``h^2 = sum_j (x_j - x'_j)^2 / l_j^2``, and independent noise ``e``
of variance ``g s2`` (the nugget). ``k`` is a Matern correlation of smoothness ``nu`` in {1/2, 3/2,
5/2}: sample paths have Hurst exponent ``min(nu, 1)``.

References
----------
Stein, Interpolation of Spatial Data, 1999 (Matern class, kriging with an unknown mean); Patterson &
Thompson, Biometrika 58, 1971 (restricted likelihood); Hvarfner, Hellsten & Nardi, ICML 2024 (scales
that grow with the square root of the dimension).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtrs
from scipy.optimize import fmin_l_bfgs_b
from scipy.spatial.distance import cdist
from threadpoolctl import ThreadpoolController

SMOOTHNESS = (0.5, 1.5, 2.5)
SCALE_BOUNDS = (0.03, 30.0)  # correlation lengths, in units of the cube's side
NUGGET_BOUNDS = (1e-6, 1.0)
_LOG_SCALE_SD = 1.0
_LOG_NUGGET = (math.log(1e-3), 2.0)  # prior mean and standard deviation
_UNIT = 0.4  # of the variables of a refit, in standard deviations of the prior
_JITTER = 1e-10
_SPARE_ROWS = 32


@cache
def _blas() -> list[Any]:
    return [p for p in ThreadpoolController().lib_controllers if p.user_api == "blas"]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A context in which linear algebra uses one thread.

    Matrices of some hundred rows gain nothing from more, and lose milliseconds where other threads
    keep the processors busy. The last bits do not depend on the number of processors either.
    """
    # As threadpoolctl's own context, which takes three times as long.
    before = [(library, library.num_threads) for library in _blas()]
    many = [(library, n) for library, n in before if n != 1]
    for library, _ in many:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, n in many:
            library.set_num_threads(n)


def matern(nu: float, h2: np.ndarray) -> np.ndarray:
    """Correlation at squared scaled distances ``h2``, any shape.

    Of smoothness ``nu`` in {1/2, 3/2, 5/2}, or infinity: the Gaussian.
    """
    # In place: the memory of a large intermediate result costs more than its arithmetic.
    if nu == math.inf:
        k = -0.5 * h2
        return np.asarray(np.exp(k, out=k))
    s, decay = _decay(nu, h2)
    if nu == 2.5:
        k = s / 3.0
        k += 1.0
        k *= s
        k += 1.0
        k *= decay
        return k
    if nu == 1.5:
        s += 1.0
        s *= decay
        return s
    return decay


def matern_and_slope(nu: float, h2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The correlation and its derivative by ``h2``; 0 at distance 0, where no scale matters."""
    if nu == math.inf:
        k = matern(nu, h2)
        return k, -0.5 * k
    s, decay = _decay(nu, h2)
    if nu == 2.5:
        slope = s + 1.0
        s *= s
        s /= 3.0
        s += slope
        s *= decay
        slope *= -5.0 / 6.0
        slope *= decay
        return s, slope
    if nu == 1.5:
        s += 1.0
        s *= decay
        return s, np.asarray(-1.5 * decay)
    slope = np.divide(-0.5 * decay, s, out=np.zeros_like(s), where=s > 0)
    return decay, slope


def _decay(nu: float, h2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``s = sqrt(2 nu) h`` and its negative exponential."""
    if nu not in SMOOTHNESS:
        raise ValueError(f"nu must be 0.5, 1.5, 2.5 or inf, got {nu!r}")
    s = 2.0 * nu * h2
    np.sqrt(s, out=s)
    decay = -s
    return s, np.exp(decay, out=decay)


def diagonal(matrix: np.ndarray) -> np.ndarray:
    """The diagonal of a square matrix, which may be written to."""
    return np.asarray(np.einsum("ii->i", matrix))


@dataclass(frozen=True)
class RandomField:
    """Parameters of a field.

    Attributes
    ----------
    nu : float
        Smoothness: 0.5, 1.5 or 2.5.
    scales : np.ndarray
        Correlation lengths ``l``, shape (d,), in units of the cube's side.
    nugget : float
        Noise variance as a share of the field's.
    """

    nu: float
    scales: np.ndarray
    nugget: float

    @classmethod
    def prior(cls, d: int) -> RandomField:
        """The most probable field in ``d`` dimensions before any data."""
        theta = np.exp(_prior(d)[0])
        return cls(2.5, theta[:-1], float(theta[-1]))

    def refit(self, x: np.ndarray, z: np.ndarray, iterations: int) -> RandomField:
        """The field of highest restricted posterior density near this one.

        A few quasi-Newton steps from the present parameters; if another smoothness is likelier at
        the result, it takes some steps too.

        Parameters
        ----------
        x : np.ndarray
            Coordinates, shape (n, d).
        z : np.ndarray
            Finite values, shape (n,).
        iterations : int
            Quasi-Newton steps.
        """
        best = self._climb(x, z, iterations)
        xw = x / best.scales
        h2 = cdist(xw, xw, "sqeuclidean")
        values = [_value(nu, h2, best.nugget, z) for nu in SMOOTHNESS]
        likeliest = SMOOTHNESS[int(np.argmin(values))]
        if min(values) < values[SMOOTHNESS.index(best.nu)] - 1e-9:
            other = RandomField(likeliest, best.scales, best.nugget)
            best = other._climb(x, z, max(1, iterations // 2))
        return best

    @property
    def _theta(self) -> np.ndarray:
        return np.asarray(np.log(np.append(self.scales, self.nugget)))

    def _climb(self, x: np.ndarray, z: np.ndarray, iterations: int) -> RandomField:
        # Before it knows the curvature, the method steps by the gradient; in these units less far.
        start, unit = self._theta, _UNIT * _prior(x.shape[1])[1]
        bounds = np.log([SCALE_BOUNDS] * x.shape[1] + [NUGGET_BOUNDS])

        def objective(steps: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = _objective(start + unit * steps, self.nu, x, z)
            return value, unit * gradient

        steps, _, _ = fmin_l_bfgs_b(
            objective,
            np.zeros(len(start)),
            bounds=((bounds - start[:, None]) / unit[:, None]).tolist(),
            maxiter=iterations,
        )
        theta = start + unit * steps
        return RandomField(self.nu, np.exp(theta[:-1]), math.exp(theta[-1]))


@cache
def _prior(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the logarithms of scales and nugget, each (d + 1,)."""
    mean, sd = np.full(d + 1, 0.5 * math.log(d) - 0.5), np.full(d + 1, _LOG_SCALE_SD)
    mean[-1], sd[-1] = _LOG_NUGGET
    return mean, sd


def restricted_likelihood(k: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Restricted negative log-likelihood, the field's variance profiled out, and its derivative.

    With ``P = K^-1 - K^-1 1 1' K^-1 / 1' K^-1 1``, ``a = P z``, ``s2 = a' z / (n - 1)``:
    ``0.5 [(n - 1) log s2 + log |K| + log 1' K^-1 1]``; its derivative by ``K`` is ``0.5 (P - a a' /
    s2)``.

    Parameters
    ----------
    k : np.ndarray
        Covariance ``K`` of field and noise in units of the field's variance, shape (n, n).
    z : np.ndarray
        Finite values, shape (n,).

    Returns
    -------
    tuple of float and np.ndarray, or None
        None if ``K`` is not positive definite in floating point. Of the derivative, shape (n, n),
        the lower triangle; it is 0 above.
    """
    found = _profiled(k, z)
    if found is None:
        return None
    value, chol, solved = found
    inverse, _ = dpotri(chol, lower=1, overwrite_c=1)
    return value, dsyrk(-0.5, solved, beta=0.5, c=inverse, lower=1, overwrite_c=1)


def _profiled(k: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray] | None:
    """The likelihood; the Cholesky factor; ``K^-1 1 / (1' K^-1 1)^1/2`` and ``a / s``, (n, 2)."""
    n = len(z)
    chol, fail = dpotrf(k.T, lower=1, clean=1)
    if fail:
        return None
    columns = np.empty((n, 2), order="F")
    columns[:, 0], columns[:, 1] = 1.0, z
    solved, _ = dpotrs(chol, columns, lower=1)
    ones, a = solved[:, 0], solved[:, 1]
    total = float(ones.sum())
    a -= ones * (float(ones @ z) / total)
    s2 = max(float(a @ z) / (n - 1), 1e-12)
    log_det = 2.0 * float(np.log(chol.diagonal()).sum())
    value = 0.5 * ((n - 1) * math.log(s2) + log_det + math.log(total))
    ones /= math.sqrt(total)
    a /= math.sqrt(s2)
    return value, chol, solved


def weighted_squares(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``sum_ij m_ij (x_ik - x_jk)^2`` for each ``k``, shapes (n, n) and (n, d) -> (d,)."""
    ones = np.ones(len(x))
    return np.asarray((m @ ones + ones @ m) @ (x * x) - 2.0 * np.einsum("ij,ij->j", x, m @ x))


def _value(nu: float, h2: np.ndarray, nugget: float, z: np.ndarray) -> float:
    """Restricted negative log-likelihood at squared scaled distances ``h2``, shape (n, n)."""
    k = matern(nu, h2)
    diagonal(k)[:] += nugget
    found = _profiled(k, z)
    return math.inf if found is None else found[0]


def _objective(
    theta: np.ndarray, nu: float, x: np.ndarray, z: np.ndarray
) -> tuple[float, np.ndarray]:
    """Restricted negative log posterior of scales and nugget, and its gradient."""
    xw = x * np.exp(-theta[:-1])
    nugget = math.exp(theta[-1])
    k, slope = matern_and_slope(nu, cdist(xw, xw, "sqeuclidean"))
    diagonal(k)[:] += nugget
    found = restricted_likelihood(k, z)
    if found is None:
        return 1e10, np.zeros_like(theta)
    value, g = found
    mean, sd = _prior(x.shape[1])
    pull = (theta - mean) / sd
    value += 0.5 * float(pull @ pull)
    gradient = pull / sd
    gradient[-1] += nugget * float(g.trace())
    g *= slope.T  # in memory order; it is symmetric
    gradient[:-1] -= 4.0 * weighted_squares(g, xw)
    return value, gradient


class Kriging:
    """Best linear unbiased prediction from the values of a field at known places.

    Places may be appended one by one: each adds a row to the Cholesky factor of their covariance.

    Parameters
    ----------
    field : RandomField
    x : np.ndarray
        Coordinates, shape (n, d), n >= 1.

    Attributes
    ----------
    field : RandomField
        As given.
    nugget : float
        The field's, or a larger one if places are too close for it.
    """

    def __init__(self, field: RandomField, x: np.ndarray) -> None:
        self.field = field
        self._n = len(x)
        self._xw = x / field.scales
        k = matern(field.nu, cdist(self._xw, self._xw, "sqeuclidean"))
        nugget = field.nugget
        while True:
            diagonal(k)[:] = 1.0 + nugget
            chol, fail = dpotrf(k.T, lower=1, clean=1)
            if not fail:
                break
            nugget *= 10.0  # nearly equal places of a smooth field
        self.nugget = nugget
        self._chol = chol

    def copy(self) -> Kriging:
        """An independent copy, to which places may be appended."""
        twin = object.__new__(Kriging)
        twin.__dict__.update(self.__dict__)
        twin._reserve(self._n + 1)
        return twin

    def append(self, x: np.ndarray) -> None:
        """Add one place, shape (d,): the row ``l`` with ``L l = k`` and ``r^2 = 1 + g - l'l``."""
        n = self._n
        xw = x / self.field.scales
        k = matern(self.field.nu, cdist(self._xw[:n], xw[None], "sqeuclidean")[:, 0])
        row = self._solve(k)
        if n == len(self._xw):
            self._reserve(n + _SPARE_ROWS)
        self._xw[n] = xw
        self._chol[n, :n] = row
        self._chol[n, n] = math.sqrt(max(1.0 + self.nugget - float(row @ row), _JITTER))
        self._n = n + 1

    def _reserve(self, capacity: int) -> None:
        """Move to new arrays with room for ``capacity`` places."""
        n = self._n
        xw, chol = (
            np.empty((capacity, self._xw.shape[1])),
            np.zeros((capacity, capacity), order="F"),
        )
        xw[:n], chol[:n, :n] = self._xw[:n], self._chol[:n, :n]
        self._xw, self._chol = xw, chol

    def _solve(self, b: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        # All rows of the array, so that LAPACK need not copy it; it uses as many as columns.
        return np.asarray(dtrtrs(self._chol[:, : self._n], b, lower=1, trans=int(transposed))[0])

    def observe(self, z: np.ndarray) -> None:
        """Set the values at the places, shape (n,): estimates the mean and the field's variance."""
        columns = np.empty((self._n, 2), order="F")
        columns[:, 0], columns[:, 1] = 1.0, z
        w = self._solve(columns)
        self._ones, wz = w[:, 0], w[:, 1]
        self._information = float(self._ones @ self._ones)
        self.mean = float(self._ones @ wz) / self._information
        self._residual = wz - self.mean * self._ones
        self.variance = max(float(self._residual @ self._residual) / max(1, self._n - 1), 1e-12)
        self.fitted = z - self.nugget * self._solve(self._residual, transposed=True)

    @property
    def noise_sd(self) -> float:
        """Estimated standard deviation of the noise in the values."""
        return math.sqrt(self.nugget * self.variance)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the noise-free field at ``x``, shape (m, d), each (m,)."""
        h2 = cdist(x / self.field.scales, self._xw[: self._n], "sqeuclidean")
        k = matern(self.field.nu, h2)
        # Transposed, so that LAPACK finds the columns in a row and copies nothing.
        v = self._solve(k.T).T
        mean = self.mean + v @ self._residual
        spread = 1.0 - np.einsum("ij,ij->i", v, v) + (1.0 - v @ self._ones) ** 2 / self._information
        return mean, np.sqrt(np.maximum(spread, _JITTER) * self.variance)
