"""The neighbourhood of the best trial, believed to be a landscape of its own.

One stationary field cannot be right everywhere: near an optimum scores may be smooth where the
space as a whole is rough, or the reverse, and a wrong roughness makes a search crawl or stay for
ever. The trials nearest to the best therefore get a field of their own, in the coordinates of the
box they span, as if the search had begun inside it. Which of the two fields speaks for a place in
the neighbourhood is decided by how well each predicted the trials told there before it knew them
(prequential comparison, Dawid, J. R. Stat. Soc. A 147, 1984).
"""

from __future__ import annotations

import copy
import math

import numpy as np

from fractal_tuner.field import Kriging, RandomField

CAUTION = 0.7
ITERATIONS = 4
_SIZE = 10, 5  # members: a constant, and for each feature
_NEW_MEMBERS = 0.15  # share that makes the field be fitted again
_THINNEST = 1e-4  # side of a box that is flat, or nearly
_MEMORY = 0.97  # weight of the evidence before the last trial
_MOST_EVIDENCE = 3.0  # of one trial, in log density


def cautious(field: RandomField, side: np.ndarray | float = 1.0) -> RandomField:
    """The field with shorter scales, for a box whose sides have some lengths.

    The most probable scales make predictions too sure of themselves, as they leave out that they
    are estimates; an expected improvement with such scales may stop exploring for good (Bull, JMLR
    12, 2011).
    """
    return RandomField(field.nu, CAUTION * field.scales * side, field.nugget)


class Neighbourhood:
    """The trials nearest to the best one, and their field.

    Attributes
    ----------
    kriging : Kriging or None
        The members' field; None while there are too few trials, or all members score the same.
    """

    def __init__(self, n_features: int) -> None:
        self.kriging: Kriging | None = None
        self._size = _SIZE[0] + _SIZE[1] * n_features
        self._field = RandomField.prior(n_features)
        self._members: list[int] = []
        self._fitted: set[int] = set()
        self._evidence = 0.0

    def settle(self, rows: np.ndarray, x: np.ndarray, z: np.ndarray, scales: np.ndarray) -> None:
        """Choose the members anew, and fit their field if enough of them are new.

        Parameters
        ----------
        rows : np.ndarray
            Numbers of the trials, shape (n,).
        x, z : np.ndarray
            Their features, shape (n, n_features), and responses, shape (n,).
        scales : np.ndarray
            Scales of the field of all trials, shape (n_features,): what "near" means.
        """
        if 2 * len(x) < 3 * self._size:
            self.kriging = None
            return
        self._center, self._scales = x[np.argmin(z)], scales
        h2 = self._distances(x)
        nearest = np.argsort(h2, kind="stable")[: self._size]
        self._reach = float(h2[nearest[-1]])
        nearest.sort()
        self._z = z[nearest]
        if np.ptp(self._z) == 0:
            self.kriging = None
            return
        members = rows[nearest].tolist()
        if self.kriging is None or members != self._members:
            self._members = members
            self._build(x[nearest])
        assert self.kriging is not None
        self.kriging.observe(self._z)

    def _build(self, x: np.ndarray) -> None:
        self._low, side = x.min(axis=0), np.ptp(x, axis=0)
        self._flat = side == 0
        side = np.maximum(side, _THINNEST)
        n_new = len(set(self._members) - self._fitted)
        if n_new >= _NEW_MEMBERS * self._size:
            self._field = self._field.refit((x - self._low) / side, self._z, ITERATIONS)
            self._fitted = set(self._members)
        self.kriging = Kriging(cautious(self._field, side), x)

    def judge(self, x: np.ndarray, z: float, whole: Kriging) -> None:
        """Compare how the two fields predicted a trial: ``x`` of shape (n_features,)."""
        if self.kriging is not None and self.holds(x[None])[0]:
            gain = _log_density(self.kriging, x, z) - _log_density(whole, x, z)
            gain = min(max(gain, -_MOST_EVIDENCE), _MOST_EVIDENCE)
            self._evidence = _MEMORY * self._evidence + gain

    @property
    def is_trusted(self) -> bool:
        """Whether this field speaks for the neighbourhood."""
        return self.kriging is not None and self._evidence >= 0

    def holds(self, x: np.ndarray) -> np.ndarray:
        """Which places, shape (n, n_features), are in the neighbourhood; shape (n,) bool."""
        inside = self._distances(x) <= self._reach
        return np.asarray(inside & np.all((x == self._low) | ~self._flat, axis=1))

    def believing(self, x: np.ndarray, z: np.ndarray) -> Neighbourhood:
        """A copy that takes ``z`` for true at those of the places ``x`` that it holds."""
        assert self.kriging is not None
        twin = copy.copy(self)
        twin.kriging = self.kriging.copy()
        inside = self.holds(x)
        for place in x[inside]:
            twin.kriging.append(place)
        twin.kriging.observe(np.append(self._z, z[inside]))
        return twin

    def _distances(self, x: np.ndarray) -> np.ndarray:
        away = (x - self._center) / self._scales
        return np.asarray(np.einsum("ij,ij->i", away, away))


def _log_density(kriging: Kriging, x: np.ndarray, z: float) -> float:
    mean, sd = kriging.predict(x[None])
    variance = float(sd[0]) ** 2 + kriging.noise_sd**2
    return -0.5 * (math.log(variance) + (z - float(mean[0])) ** 2 / variance)
