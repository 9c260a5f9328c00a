"""What the zooming search believes about the scores: a random field folded over the told trials.

The belief after n trials is a function of those trials in order and of nothing else: parameters are
fitted again whenever n has grown by a fifth, and each fit starts from the one before.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from fractal_tuner.field import SMOOTHNESS, Kriging, RandomField
from fractal_tuner.search.neighbourhood import ITERATIONS, Neighbourhood, cautious

CAPACITY = 300  # trials that enter the field at a fit
_LAG = 40  # trials that may join before the choice of these is made anew
_GROWTH = 1.2
_KNEE = 2.0
_HUGE = 1e300  # differences of larger losses overflow
_NUGGET_THAT_COUNTS = 1e-4  # below it the observed values are the field's


@dataclass(frozen=True)
class Belief:
    """What the search expects, given the trials told and those running.

    Attributes
    ----------
    whole : Kriging
        The field of all places.
    response : np.ndarray
        The response at the places of ``whole``; that of running trials is the predicted one.
    near : Neighbourhood or None
        Speaks for the places it holds.
    """

    whole: Kriging
    response: np.ndarray
    near: Neighbourhood | None

    @property
    def is_noisy(self) -> bool:
        """Whether observed and fitted responses differ."""
        return self.whole.nugget > _NUGGET_THAT_COUNTS

    @property
    def is_rough(self) -> bool:
        """Whether the field of all places is of the least smoothness."""
        return self.whole.field.nu == min(SMOOTHNESS)

    @property
    def target(self) -> float:
        """The response to improve on: the lowest fitted one if there is noise, else the lowest."""
        return float(np.min(self.whole.fitted if self.is_noisy else self.response))

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at ``x``, shape (m, n_features), each of shape (m,)."""
        if self.near is None or not (inside := self.near.holds(x)).any():
            return self.whole.predict(x)
        assert self.near.kriging is not None
        mean, sd = np.empty(len(x)), np.empty(len(x))
        mean[inside], sd[inside] = self.near.kriging.predict(x[inside])
        mean[~inside], sd[~inside] = self.whole.predict(x[~inside])
        return mean, sd

    def believing(self, pending: np.ndarray, z: np.ndarray) -> Belief:
        """The belief if running trials turn out as expected, or else as predicted.

        Kriging believer (Ginsbourger, Le Riche & Carraro 2010).

        Parameters
        ----------
        pending : np.ndarray
            Features, shape (n_pending, n_features).
        z : np.ndarray
            Responses, shape (n_pending,); NaN where nothing is expected.
        """
        unknown = np.isnan(z)
        if unknown.any():
            z = np.where(unknown, self.predict(pending)[0], z)
        whole, response = self.whole.copy(), np.append(self.response, z)
        for features in pending:
            whole.append(features)
        whole.observe(response)
        return Belief(whole, response, self.near and self.near.believing(pending, z))


class Surrogate:
    """Random fields of the losses (negated scores; NaN = failed) at the told trials.

    Attributes
    ----------
    n : int
        Trials told.
    rows : np.ndarray
        Those that have entered the field of all places.
    belief : Belief or None
        What they tell; None before ``n_start`` trials.
    best : float
        The lowest loss.
    unit : float
        The median loss less the lowest, or another positive difference: one unit of the response.
    """

    def __init__(self, n_features: int, n_start: int) -> None:
        self.n = 0
        self.rows = np.empty(0, int)
        self.belief: Belief | None = None
        self.best, self.unit = 0.0, 1.0
        self._kriging: Kriging | None = None
        self._field = RandomField.prior(n_features)
        self._near = Neighbourhood(n_features)
        self._features = np.empty((64, n_features))
        self._losses = np.empty(64)
        self._ordered: list[float] = []
        self._next_fit = n_start
        self._n_chosen = 0

    @property
    def losses(self) -> np.ndarray:
        """The losses told, shape (n,)."""
        return self._losses[: self.n]

    @property
    def is_flat(self) -> bool:
        """Whether no two trials that did not fail differ in their loss."""
        return not self._ordered or self._ordered[0] == self._ordered[-1]

    @property
    def features(self) -> np.ndarray:
        """The features of the trials told, shape (n, n_features)."""
        return self._features[: self.n]

    def tell(self, features: np.ndarray, loss: float) -> None:
        """Take one more trial in: ``features`` of shape (n_features,)."""
        if self.belief is not None and math.isfinite(loss):
            z = self.scaled(np.array([loss]))
            self._near.judge(features, float(z[0]), self.belief.whole)
        if self.n == len(self._losses):
            self._features = np.concatenate([self._features, np.empty_like(self._features)])
            self._losses = np.concatenate([self._losses, np.empty_like(self._losses)])
        self._features[self.n] = features
        self._losses[self.n] = loss = min(max(loss, -_HUGE), _HUGE)
        self.n += 1
        self._measure(loss)
        response = self.response()
        if self.n >= self._next_fit:
            self._next_fit = max(self.n + 1, math.ceil(_GROWTH * self.n))
            self._choose(response)
            x, z = self.features[self.rows], response[self.rows]
            if np.ptp(z) > 0:
                self._field = self._field.refit(x, z, ITERATIONS)
            self._kriging = Kriging(cautious(self._field), x)
        elif self._kriging is None:
            return
        elif self.n > CAPACITY and self.n - self._n_chosen >= _LAG:
            self._choose(response)
            self._kriging = Kriging(cautious(self._field), self.features[self.rows])
        else:
            self.rows = np.append(self.rows, self.n - 1)
            self._kriging.append(features)
        self._believe(response[self.rows])

    def _believe(self, z: np.ndarray) -> None:
        assert self._kriging is not None
        self._kriging.observe(z)
        self._near.settle(self.rows, self.features[self.rows], z, self._field.scales)
        near = self._near if self._near.is_trusted else None
        self.belief = Belief(self._kriging, z, near)

    def scaled(self, losses: np.ndarray) -> np.ndarray:
        """Losses as the field sees them, any shape: 0 the best, 1 the median.

        Expected ones may be below 0, but not below minus the knee.
        """
        # Cut first: the quotient of a huge loss would overflow.
        least = max(self.best - _KNEE * self.unit, -_HUGE)
        most = min(self.best + _HUGE * self.unit, _HUGE)
        return _tamed((np.minimum(np.maximum(losses, least), most) - self.best) / self.unit)

    def response(self) -> np.ndarray:
        """The response at the trials told, shape (n,).

        A failed trial is as bad as the worst quarter, and at least as the median trial: bad enough
        to keep away from a region of failures, and no cliff where failures have no place.
        """
        z = self.scaled(self.losses)
        failed = np.isnan(z)
        if failed.any():
            z[failed] = 0.0 if failed.all() else max(1.0, np.nanquantile(z, 0.75))
        return z

    def _measure(self, loss: float) -> None:
        """Take one more loss into account in the lowest, and in the unit."""
        if math.isnan(loss):
            return
        insort(self._ordered, loss)
        self.best, worst = self._ordered[0], self._ordered[-1]
        middle = len(self._ordered) // 2
        median = 0.5 * (self._ordered[middle] + self._ordered[~middle])
        self.unit = max(median - self.best or worst - self.best or 1.0, (worst - self.best) / _HUGE)

    def _choose(self, z: np.ndarray) -> None:
        """Take all trials, or if they are too many those near the best, the best, and a spread."""
        self._n_chosen = self.n
        if self.n <= CAPACITY:
            self.rows = np.arange(self.n)
            return
        xw = self.features / self._field.scales
        near = np.argsort(cdist(xw, xw[[np.argmin(z)]])[:, 0], kind="stable")
        chosen = np.zeros(self.n, bool)
        chosen[near[: CAPACITY * 3 // 5]] = True
        order = np.argsort(z, kind="stable")
        chosen[order[~chosen[order]][: CAPACITY // 5]] = True
        rest = np.flatnonzero(~chosen)
        chosen[rest[np.linspace(0, len(rest) - 1, CAPACITY - chosen.sum()).astype(int)]] = True
        self.rows = np.flatnonzero(chosen)


def _tamed(z: np.ndarray) -> np.ndarray:
    """Responses that grow with the logarithm only, far above the best.

    One diverged trial would flatten all others.
    """
    far = z > _KNEE
    z[far] = _KNEE + _KNEE * np.log(z[far] / _KNEE)
    return z
