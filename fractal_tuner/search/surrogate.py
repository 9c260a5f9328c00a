"""What the zooming search believes about the scores: a random field folded over the told trials.

The belief after n trials is a function of those trials in order and of nothing else: parameters are
fitted again whenever n has grown by a fifth, and each fit starts from the one before.
"""

from __future__ import annotations

import math

import numpy as np

from fractal_tuner.field import Kriging, RandomField, squared_distances

CAPACITY = 150  # trials that enter the field at a fit
_LAG = 40  # trials that may join before the choice of these is made anew
_GROWTH = 1.2
_ITERATIONS = 6
_CAUTION = 0.7
_KNEE = 2.0
_HUGE = 1e300  # differences of larger losses overflow
NUGGET_THAT_COUNTS = 1e-4  # below it the observed values are the field's


class Surrogate:
    """A random field of the losses (negated scores; NaN = failed) at the told trials.

    Attributes
    ----------
    n : int
        Trials told.
    kriging : Kriging or None
        The field conditioned on ``rows`` of the trials; None before ``n_start`` trials.
    """

    def __init__(self, n_features: int, n_start: int) -> None:
        self.n = 0
        self.kriging: Kriging | None = None
        self.rows = np.empty(0, int)
        self._field = RandomField.prior(n_features)
        self._features = np.empty((64, n_features))
        self._losses = np.empty(64)
        self._next_fit = n_start
        self._n_chosen = 0

    @property
    def losses(self) -> np.ndarray:
        """The losses told, shape (n,)."""
        return self._losses[: self.n]

    @property
    def features(self) -> np.ndarray:
        """The features of the trials told, shape (n, n_features)."""
        return self._features[: self.n]

    def tell(self, features: np.ndarray, loss: float) -> None:
        """Take one more trial in: ``features`` of shape (n_features,)."""
        if self.n == len(self._losses):
            self._features = np.concatenate([self._features, np.empty_like(self._features)])
            self._losses = np.concatenate([self._losses, np.empty_like(self._losses)])
        self._features[self.n] = features
        self._losses[self.n] = np.clip(loss, -_HUGE, _HUGE)
        self.n += 1
        if self.n >= self._next_fit:
            self._next_fit = max(self.n + 1, math.ceil(_GROWTH * self.n))
            self._choose()
            x, z = self.features[self.rows], self.response()[self.rows]
            if np.ptp(z) > 0:
                self._field = self._field.refit(x, z, _ITERATIONS)
            self.kriging = Kriging(self._cautious(), x)
        elif self.kriging is not None:
            if self.n > CAPACITY and self.n - self._n_chosen >= _LAG:
                self._choose()
                self.kriging = Kriging(self._cautious(), self.features[self.rows])
            else:
                self.rows = np.append(self.rows, self.n - 1)
                self.kriging.append(features)

    def response(self) -> np.ndarray:
        """Losses as the field sees them, shape (n,): 0 the best, 1 the median.

        Farther above the best they grow with the logarithm, so that one diverged trial does not
        flatten all others. A failed trial is as bad as the worst quarter: bad enough to keep away
        from a region of failures, and no cliff where failures have no place.
        """
        best, unit = self.scale()
        z = (self.losses - best) / unit
        far = z > _KNEE
        z[far] = _KNEE + _KNEE * np.log(z[far] / _KNEE)
        failed = np.isnan(z)
        if failed.any():
            z[failed] = 0.0 if failed.all() else np.nanquantile(z, 0.75)
        return z

    def scale(self) -> tuple[float, float]:
        """The best loss, and the median's distance from it (or another positive unit)."""
        losses = self.losses[np.isfinite(self.losses)]
        if not len(losses):
            return 0.0, 1.0
        best = float(losses.min())
        return best, float(np.median(losses)) - best or float(losses.max()) - best or 1.0

    def observe(self, pending: np.ndarray) -> tuple[Kriging, np.ndarray]:
        """The field conditioned on all that is known, and the response at the trials it holds.

        Running trials enter with the mean predicted for them (kriging believer, Ginsbourger, Le
        Riche & Carraro 2010): ``pending`` has shape (n_pending, n_features).
        """
        assert self.kriging is not None
        z = self.response()[self.rows]
        self.kriging.observe(z)
        if not len(pending):
            return self.kriging, z
        kriging = self.kriging.copy()
        z = np.append(z, self.kriging.predict(pending)[0])
        for features in pending:
            kriging.append(features)
        kriging.observe(z)
        return kriging, z

    def target(self, kriging: Kriging, z: np.ndarray) -> float:
        """The response to improve on: the lowest fitted one if there is noise, else the lowest."""
        noisy = kriging.nugget > NUGGET_THAT_COUNTS
        return float(np.min(kriging.fitted if noisy else z))

    def _cautious(self) -> RandomField:
        """The fitted field with shorter scales.

        The most probable scales make predictions too sure of themselves, as they leave out that
        they are estimates; an expected improvement with such scales may stop exploring for good
        (Bull, JMLR 12, 2011).
        """
        return RandomField(self._field.nu, _CAUTION * self._field.scales, self._field.nugget)

    def _choose(self) -> None:
        """Take all trials, or if they are too many those near the best, the best, and a spread."""
        self._n_chosen = self.n
        if self.n <= CAPACITY:
            self.rows = np.arange(self.n)
            return
        z = self.response()
        xw = self.features / self._field.scales
        near = np.argsort(squared_distances(xw, xw[[np.argmin(z)]])[:, 0], kind="stable")
        chosen = np.zeros(self.n, bool)
        chosen[near[: CAPACITY * 3 // 5]] = True
        order = np.argsort(z, kind="stable")
        chosen[order[~chosen[order]][: CAPACITY // 5]] = True
        rest = np.flatnonzero(~chosen)
        chosen[rest[np.linspace(0, len(rest) - 1, CAPACITY - chosen.sum()).astype(int)]] = True
        self.rows = np.flatnonzero(chosen)
