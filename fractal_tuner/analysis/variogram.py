"""Random fields with a nugget: their restricted likelihood on one design.

Model: scores ``z(x) = mu + Z(x) + e`` with ``E|Z(x) - Z(y)|^2 = 2 a |x - y|^(2H)``, ``0 < H < 1``,
and independent noise ``e``. ``Z`` has no variance, only its increments have one, so the likelihood
is that of contrasts: ``B`` orthonormal and orthogonal to the constant, ``K = -|x - y|^(2H)``,

    B'KB = U diag(w) U',    p = (U'B'z)^2.

The contrasts ``U'B'z`` are independent with variances ``a w + noise variance``. Written with the
*noise share* ``q`` and the total variance ``s``, the variances are ``s v`` with ``v = (1 - q) w /
mean(w) + q``: ``s`` is what the sample variance of the scores estimates, ``q`` the noise's part of
it. One eigendecomposition per ``H`` therefore serves every noise share, and every set of scores on
one design:

    log L(H, q) = -1/2 [sum log v + m log(mean(p / v))]

with ``s`` profiled out. Where the noise variance is known, ``s`` is that variance divided by ``q``.

The same goes for smooth fields, ``K`` a Matern correlation of smoothness 5/2 and one of several
lengths. All likelihoods are of the same contrasts, so that their difference says which field
explains the scores.

References
----------
Matheron, Adv. Appl. Probab. 5, 1973 (intrinsic fields); Patterson & Thompson, Biometrika 58, 1971
(restricted likelihood); Chiles & Delfiner, Geostatistics, 2nd ed. 2012 (power variogram, nugget).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform

from fractal_tuner.field import matern

HURST = np.linspace(0.02, 0.98, 25)  # where the likelihood is computed
SMOOTHNESS = 2.5  # of Matern fields that are twice differentiable
LENGTHS = np.geomspace(0.04, 6.0, 16)  # of smooth fields, where the largest factor of an axis is 1
NO_NOISE = 1e-12  # keeps variances positive where places coincide

# None, odds of noise against field at even logarithmic distances, and nothing but noise.
_ODDS = np.logspace(-8.0, 2.0, 181)
SHARES = np.concatenate(([NO_NOISE], _ODDS / (1.0 + _ODDS), [1.0]))

Family = Callable[[np.ndarray], Iterator[np.ndarray]]


def rough_fields(squared: np.ndarray) -> Iterator[np.ndarray]:
    """Covariances of contrasts at squared distances, for each of ``HURST``."""
    for hurst in HURST:
        yield -(squared**hurst)


def smooth_fields(squared: np.ndarray) -> Iterator[np.ndarray]:
    """Covariances at squared distances, for each of ``LENGTHS``."""
    for length in LENGTHS:
        yield matern(SMOOTHNESS, squared / length**2)


@dataclass(frozen=True)
class Likelihood:
    """Of scores, over the fields of a family and noise shares: arrays of shape (n_fields, k).

    Attributes
    ----------
    values : np.ndarray
        Logarithms of the likelihood.
    totals : np.ndarray
        Total variance ``s``, the likeliest or the known one.
    parts : np.ndarray
        How much of a contrast is noise, averaged over contrasts, 0 to 1: the mean of ``q / v``.
    """

    values: np.ndarray
    totals: np.ndarray
    parts: np.ndarray

    def profile(self) -> np.ndarray:
        """The highest value for each field, between noise shares by a parabola."""
        rows = np.arange(len(self.values))
        top = self.values.argmax(1)
        best = self.values[rows, top]
        # The ends, no noise and nothing else, are not evenly spaced with the rest.
        inner = np.clip(top, 2, self.values.shape[1] - 3)
        before, after = self.values[rows, inner - 1], self.values[rows, inner + 1]
        curvature = 2.0 * best - before - after
        curvature[(inner != top) | (curvature <= 0.0)] = np.inf
        return np.asarray(best + (after - before) ** 2 / (8.0 * curvature))


@dataclass(frozen=True)
class Spectrum:
    """What a likelihood needs to know of scores on a design.

    Attributes
    ----------
    eigenvalues : np.ndarray
        ``w``, shape (n_fields, m): variances of the contrasts, for each field of a family.
    power : np.ndarray
        ``p``, shape (n_fields, m): squared contrasts of the scores, summed over sets of scores.
    n_sets : np.ndarray
        Shape (m,): how many sets of scores entered each sum.
    """

    eigenvalues: np.ndarray
    power: np.ndarray
    n_sets: np.ndarray

    @classmethod
    def pooled(cls, spectra: Sequence[Spectrum]) -> Spectrum:
        """The spectrum of several designs at once, as if they were independent."""
        return cls(
            np.concatenate([spectrum.eigenvalues for spectrum in spectra], axis=1),
            np.concatenate([spectrum.power for spectrum in spectra], axis=1),
            np.concatenate([spectrum.n_sets for spectrum in spectra]),
        )

    def stretched(self, factor: float) -> Spectrum:
        """The spectrum of the same scores, of rough fields, on the design enlarged by a factor."""
        growth = factor ** (2.0 * HURST[:, None])
        return Spectrum(growth * self.eigenvalues, self.power, self.n_sets)

    def likelihood(
        self, noise_variance: float | None = None, shares: np.ndarray = SHARES
    ) -> Likelihood:
        """That of each field at each noise share.

        Parameters
        ----------
        noise_variance : float or None
            The noise's variance where it is known; None lets the scores say. Without noise (0.0)
            all shares are taken for none.
        shares : np.ndarray
            Noise shares ``q``, shape (k,).
        """
        if noise_variance == 0.0:
            # Computed once: the same sums, rounded otherwise, would let chance choose a share.
            one = self.likelihood(shares=np.zeros(1))
            columns = (one.values, one.totals, one.parts)
            return Likelihood(*(np.repeat(column, len(shares), 1) for column in columns))
        m = self.n_contrasts
        q = np.maximum(shares, NO_NOISE)
        values, totals, parts = np.empty((3, len(self.eigenvalues), len(q)))
        for k, (w, power) in enumerate(zip(self.eigenvalues, self.power, strict=True)):
            v = np.multiply.outer(1.0 - q, w * (m / (w @ self.n_sets))) + q[:, None]
            inverse = 1.0 / v
            quadratic = inverse @ power
            if noise_variance is None:
                totals[k] = np.maximum(quadratic / m, np.finfo(float).tiny)
            else:
                totals[k] = noise_variance / q
            log_determinant = np.log(v) @ self.n_sets + m * np.log(totals[k])
            values[k] = -0.5 * (log_determinant + quadratic / totals[k])
            parts[k] = q * (inverse @ self.n_sets) / m
        return Likelihood(values, totals, parts)

    @property
    def n_contrasts(self) -> float:
        """How many contrasts entered, over all sets of scores."""
        return float(self.n_sets.sum())


class Design:
    """Places of scores: independent contrasts on them, for each field of a family.

    Parameters
    ----------
    blocks : sequence of _Block
        Use :meth:`scattered` or :meth:`grid`.

    Examples
    --------
    >>> design = Design.grid([np.linspace(0, 1, 6)] * 2)
    >>> design.spectrum(np.arange(36.0)).eigenvalues.shape
    (25, 35)
    """

    def __init__(self, blocks: Sequence[_Block]) -> None:
        self._blocks = blocks
        self.eigenvalues = np.concatenate([block.eigenvalues for block in blocks], axis=1)

    @classmethod
    def scattered(cls, coordinates: np.ndarray, family: Family = rough_fields) -> Design:
        """The design of places anywhere, shape (n, d): one block, O(n^3)."""
        return cls([_Block(squareform(pdist(coordinates, "sqeuclidean")), (), family)])

    @classmethod
    def grid(cls, axes: Sequence[np.ndarray], family: Family = rough_fields) -> Design:
        """The design of a full grid on axes that are even about their middles, in C order.

        Mirroring an axis leaves distances as they are, so fields that are even and odd along each
        axis are independent: 2^d blocks, each of n / 2^d places.
        """
        halves = np.meshgrid(*(axis[: (len(axis) + 1) // 2] for axis in axes), indexing="ij")
        places = np.meshgrid(*axes, indexing="ij")
        squared = sum(
            (half.ravel()[:, None] - place.ravel()) ** 2
            for half, place in zip(halves, places, strict=True)
        )
        shape = tuple(len(axis) for axis in axes)
        signs = itertools.product((1, -1), repeat=len(shape))
        folds = [tuple(zip(shape, sign, strict=True)) for sign in signs]
        return cls([_Block(squared, fold, family) for fold in folds if (1, -1) not in fold])

    def spectrum(self, scores: np.ndarray, n_sets: int = 1) -> Spectrum:
        """The spectrum of scores, shape (n,), or (n, n_sets) to be summed."""
        scores = scores.reshape(-1, n_sets)
        power = np.concatenate([block.power(scores) for block in self._blocks], axis=1)
        return Spectrum(self.eigenvalues, power, np.full(power.shape[1], float(n_sets)))


class _Block:
    """Contrasts of one parity on a grid, or of a whole scattered design.

    ``squared`` are squared distances from the first half of the places to all; ``fold`` holds each
    axis's length and parity, and is empty for a scattered design.
    """

    def __init__(
        self, squared: np.ndarray, fold: tuple[tuple[int, int], ...], family: Family
    ) -> None:
        self._fold = fold
        n = squared.shape[1]
        # A reflection takes the constant to the first coordinate, which is then left out.
        ones = self._folded(np.ones((n, 1)))[:, 0]
        size = float(np.linalg.norm(ones))
        self._mirror = None
        if size > 0.5:
            ones /= size
            ones[0] += 1.0
            self._mirror = ones / np.linalg.norm(ones)
        eigenvalues, self._bases = [], []
        for covariance in family(squared.T):
            # The rows stand for whole orbits already: fold the columns, keep this parity's rows.
            kernel = self._folded(covariance, rows=True)
            kernel = self._contrasts(self._contrasts(kernel).T)
            w, basis = eigh(kernel, driver="evd", overwrite_a=True, check_finite=False)
            eigenvalues.append(np.maximum(w, 0.0))
            self._bases.append(basis)
        self.eigenvalues = np.array(eigenvalues)

    def _folded(self, values: np.ndarray, rows: bool = False) -> np.ndarray:
        """Coordinates of this parity of ``values``, shape (n, k)."""
        if not self._fold:
            return values
        k = values.shape[1]
        values = values.reshape(*(length for length, _ in self._fold), k)
        keep = np.ones((1,), dtype=bool)
        weight = np.ones(1)
        for axis, (length, sign) in enumerate(self._fold):
            values = values + sign * np.flip(values, axis)
            values = np.take(values, range((length + 1) // 2), axis)
            own = np.full((length + 1) // 2, math.sqrt(0.5))
            inside = np.ones(len(own), dtype=bool)
            if length % 2:
                own[-1] = 0.5
                inside[-1] = sign > 0
            weight = np.multiply.outer(weight, own).ravel()
            keep = np.logical_and.outer(keep, inside).ravel()
        folded = values.reshape(-1, k)[keep] * weight[keep, None]
        if rows:
            folded = folded[:, keep] * (weight[keep] * 2.0 ** len(self._fold))
        return folded

    def _contrasts(self, values: np.ndarray) -> np.ndarray:
        """``B'values``, shape (n, k)."""
        if self._mirror is None:
            return values
        return (values - np.outer(2.0 * self._mirror, self._mirror @ values))[1:]

    def power(self, scores: np.ndarray) -> np.ndarray:
        """Squared contrasts summed over the columns of ``scores``, shape (n_fields, m)."""
        contrasts = self._contrasts(self._folded(scores))
        return np.array([((basis.T @ contrasts) ** 2).sum(1) for basis in self._bases])
