"""Emulator: a random field fitted to the scores of a search space, categories and all.

Importance, basins and near-optimal volume look at its mean and at draws from it, for the scores
alone are noisy, few, and where the search went.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from fractal_tuner.field import RandomField, matern
from fractal_tuner.landscape import Landscape, check_trials
from fractal_tuner.smoothing import LARGEST

if TYPE_CHECKING:
    from fractal_tuner.dimensions import Dimension
    from fractal_tuner.space import Condition
    from fractal_tuner.trials import TrialLog

MAX_TRIALS = 300  # that an emulator is fitted to
UNION = "(sub-space)"  # what the choice between the spaces of a union is called
MIN_QUALITY = 0.5  # adjusted R^2 of one that stands for its landscape

_LEAST_TRIALS = 10
_ITERATIONS = 30
_NUGGET_STEPS = 20
_NEARLY = 0.95  # of the known noise variance
_LARGEST_NUGGET = 1e3
_WAVES = 384
_CHUNK = 4096
_N_POINTS = 1024


@dataclass(frozen=True, eq=False)
class Design:
    """Where scores are known in a search space, and how to sample the space.

    Attributes
    ----------
    names : tuple of str
        The dimension that each column belongs to. In a union of spaces several may belong to one.
    dimensions : tuple of Dimension or None
        None where the unit coordinate is the value.
    conditions : tuple of tuple of Condition
        When each column is active.
    lower, upper : np.ndarray
        Corners of the part that is looked at, shape (p,), unit coordinates.
    points : np.ndarray
        Shape (n, p), unit coordinates; NaN where a parameter is inactive.
    scores : np.ndarray
        Shape (n,), finite.
    n : int
        How many scores there are; more than in ``scores`` if these are a sample.
    """

    names: tuple[str, ...]
    dimensions: tuple[Dimension | None, ...]
    conditions: tuple[tuple[Condition, ...], ...]
    lower: np.ndarray
    upper: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    n: int

    @classmethod
    def of(cls, trials: TrialLog | Landscape, *, most: float = MAX_TRIALS) -> Design:
        """The design of the finite scores: of more than 300, a random 300 (with seed 0).

        ``most`` is another limit, ``inf`` for what needs all scores and fits no emulator.
        """
        if isinstance(trials, Landscape):
            points, scores = trials.known
            rows = _sample(len(scores), most)
            return cls(
                trials.names,
                tuple(axis.dimension for axis in trials.axes),
                ((),) * trials.n_dims,
                np.array(trials.lower),
                np.array(trials.upper),
                points[rows],
                scores[rows],
                len(scores),
            )
        check_trials(trials, "a TrialLog or a Landscape")
        space = trials.space
        complete = [trial for trial in trials if trial.status == "complete"]
        rows = _sample(len(complete), most)
        here = [complete[i] for i in rows]
        p = len(space)
        return cls(
            tuple(UNION if q.name is None else q.name for q in space.parameters),
            tuple(q.dimension for q in space.parameters),
            tuple(q.conditions for q in space.parameters),
            np.zeros(p),
            np.ones(p),
            np.array([space.unit(trial.key) for trial in here]).reshape(-1, p),
            np.array([trial.score for trial in here]),
            len(complete),
        )

    @property
    def groups(self) -> dict[str, list[int]]:
        """Columns of each dimension that has more than one value."""
        groups: dict[str, list[int]] = {}
        for j, (name, dimension) in enumerate(zip(self.names, self.dimensions, strict=True)):
            if dimension is None or dimension.n_values != 1:
                groups.setdefault(name, []).append(j)
        return groups

    def candidates(self, u: np.ndarray) -> np.ndarray:
        """The candidates nearest to places in the unit cube, shape (m, p), NaN where inactive."""
        u = self.lower + u * (self.upper - self.lower)
        for j, dimension in enumerate(self.dimensions):
            if dimension is None:
                continue
            if dimension.is_categorical:
                k = dimension.n_values or 1
                u[:, j] = (np.minimum(np.floor(u[:, j] * k), k - 1) + 0.5) / k
            else:
                u[:, j] = dimension.snap(u[:, j])
        for j, conditions in enumerate(self.conditions):  # parents come first
            for condition in conditions:
                is_on = self._is_on(u[:, condition.parent], condition)
                u[:, j] = np.where(is_on, u[:, j], np.nan)
        return u

    def _is_on(self, u: np.ndarray, condition: Condition) -> np.ndarray:
        dimension = self.dimensions[condition.parent]
        assert dimension is not None
        values, inverse = np.unique(np.nan_to_num(u, nan=0.0), return_inverse=True)
        positions = [dimension.index_of(dimension.code(float(v))) for v in values]
        is_on = np.isin(positions, list(condition.positions))[inverse.reshape(-1)]
        return np.asarray(is_on & ~np.isnan(u))

    def features(self, points: np.ndarray) -> np.ndarray:
        """What the field sees, shape (m, n_features).

        Unit coordinates; a category is one-hot / sqrt 2, so that two choices are 1 apart. An
        inactive parameter rests in its middle, an inactive category at none of its choices.
        """
        columns = [np.zeros((len(points), 0))]
        for j in itertools.chain(*self.groups.values()):
            dimension, u = self.dimensions[j], points[:, j]
            if dimension is not None and dimension.is_categorical:
                k = dimension.n_values or 1
                position = np.where(np.isnan(u), -1.0, np.floor(u * k))
                columns.append((position[:, None] == np.arange(k)) / math.sqrt(2.0))
            else:
                columns.append(np.where(np.isnan(u), 0.5, u)[:, None])
        return np.hstack(columns)

    def problem(self) -> str | None:
        """Why nothing can be fitted to the scores; None if something can."""
        n = len(self.scores)
        if n < _LEAST_TRIALS:
            return f"not enough data: {n} trials with a score, {_LEAST_TRIALS} are needed"
        size = float(np.abs(self.scores).max())
        if np.ptp(self.scores / size if size > 0 else self.scores) <= 1e-12:
            return "the scores do not differ"
        if not 1.0 / LARGEST < size < LARGEST:
            return f"scores of size {size:.0e} have no squares; take their ranks"
        if not self.groups:
            return "no dimension has more than one value"
        if len(self.groups) >= n:
            return f"{len(self.groups)} dimensions are too many for {n} scores"
        if not np.ptp(self.features(self.points), axis=0).any():
            return "all trials are in one place"
        return None


def _sample(n: int, most: float) -> np.ndarray:
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, int(most), replace=False))


class Emulator:
    """A random field given scores: its mean, its quality, and draws from it.

    With the covariance ``K`` (field and noise, in units of the field's variance), ``P = K^-1 -
    K^-1 1 1'K^-1 / 1'K^-1 1`` and ``a = P z``, the field's mean at ``x`` is ``m + k(x)'a``, and the
    residual of a score that is left out is ``a_i / P_ii`` (Dubrule 1983). A draw is a draw ``g`` of
    the unconditioned field (random waves, Rahimi & Recht 2007) plus the mean given ``z - g(X) -
    e``, the scores' differences from it (Matheron's rule; Wilson et al. 2020).

    Parameters
    ----------
    design : Design
        One that has no ``problem``.
    noise_sd : float, default=0.0
        Known standard deviation of the noise in a score; the field takes no less for noise.

    Attributes
    ----------
    noise_sd : float
        Estimated standard deviation of the noise in a score.
    """

    def __init__(self, design: Design, noise_sd: float = 0.0) -> None:
        self._design = design
        x = design.features(design.points)
        y = design.scores
        size = float(np.abs(y).max())
        self._middle = float(np.mean(y / size)) * size
        spread = float(np.std((y - self._middle) / size))
        self._unit = size * spread
        z = (y - self._middle) / self._unit
        self._field = RandomField.prior(x.shape[1]).refit(x, z, _ITERATIONS)
        self._x, self._z = x, z
        self._nugget = self._field.nugget
        self._solve()
        known = (noise_sd / self._unit) ** 2
        # Few scores may look smooth by luck. Each step comes nearer from below.
        for _ in range(_NUGGET_STEPS):
            if self._nugget * self._variance >= _NEARLY * known:
                break
            self._nugget = min(known / self._variance, _LARGEST_NUGGET)
            self._solve()
        self.noise_sd = math.sqrt(self._nugget * self._variance) * self._unit

    def _solve(self) -> None:
        """``P``, the weights of the scores and the field's variance at the present nugget."""
        n = len(self._z)
        covariance = self._covariance(self._x)
        covariance[np.diag_indices(n)] = 1.0 + self._nugget
        inverse = cho_solve(cho_factor(covariance, lower=True), np.eye(n))
        ones = inverse.sum(1)
        self._ones = ones / ones.sum()
        self._p = inverse - np.outer(ones, self._ones)
        self._weights = self._p @ self._z
        self._variance = max(float(self._z @ self._weights) / (n - 1), 1e-12)

    @cached_property
    def quality(self) -> float:
        """``R^2`` over the space of leaving one score out.

        1 minus the squared residuals by the squared deviations from the mean. Each score counts for
        the share of 1024 Sobol points that are nearest to it: else the trials that a search
        gathered around its optimum, where prediction is easy, would speak for all of the space. The
        field's parameters are those fitted to all scores.
        """
        sample = sobol_points(_N_POINTS, len(self._design.names), 0)
        nearest = cKDTree(self._x).query(self._design.features(self._design.candidates(sample)))[1]
        # Scores in one place share what is nearest to it.
        _, place = np.unique(self._x, axis=0, return_inverse=True)
        place = place.reshape(-1)
        counts = np.bincount(place[nearest], minlength=place.max() + 1)
        weights = (counts / np.bincount(place))[place] / _N_POINTS
        residuals = self._weights / np.diag(self._p)
        deviations = self._z - weights @ self._z
        total = float(weights @ deviations**2)
        return 1.0 - float(weights @ residuals**2) / total if total > 0 else math.nan

    def problem(self) -> str | None:
        """Why it stands for no landscape; None if it predicts well enough.

        The quality is adjusted as Ezekiel adjusts ``R^2``, for the parameters fitted to all scores:
        a scale per column, and two more.
        """
        n, p = self._x.shape
        left = n - (p + 2) - 1
        adjusted = 1.0 - (1.0 - self.quality) * (n - 1) / left if left > 0 else -math.inf
        if adjusted >= MIN_QUALITY:
            return None
        return (
            f"the emulator predicts too badly: R^2 {adjusted:.2f} for scores left out, adjusted "
            "for its parameters"
        )

    def _covariance(self, x: np.ndarray) -> np.ndarray:
        scales = self._field.scales
        return matern(self._field.nu, cdist(x / scales, self._x / scales, "sqeuclidean"))

    def mean(self, points: np.ndarray) -> np.ndarray:
        """The field's mean at candidates, shape (m, p) -> (m,)."""
        x = self._design.features(points)
        parts = [self._covariance(x[rows]) @ self._weights for rows in _chunks(len(x))]
        mean = float(self._ones @ self._z)
        return self._middle + self._unit * (mean + np.concatenate(parts))

    def mean_and_draws(self, points: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """The mean, then draws, at candidates, shape (m, p) -> (m, 1 + n_draws)."""
        return np.column_stack([self.mean(points), self.draws(points, n_draws, seed)])

    def draws(self, points: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
        """Draws of the noise-free field at candidates, shape (m, p) -> (m, n_draws)."""
        rng = np.random.default_rng([seed, 1])
        x = self._design.features(points)
        n, d = self._x.shape
        # A Matern correlation is the mean of waves whose frequencies have a t distribution.
        nu = 2.0 * self._field.nu
        frequencies = rng.standard_normal((_WAVES, d)) / self._field.scales
        frequencies /= np.sqrt(rng.chisquare(nu, (_WAVES, 1)) / nu)
        phases = rng.uniform(0.0, 2.0 * math.pi, _WAVES)
        amplitudes = rng.standard_normal((_WAVES, n_draws))
        amplitudes *= math.sqrt(2.0 * self._variance / _WAVES)
        noise = rng.standard_normal((n, n_draws)) * math.sqrt(self._nugget * self._variance)
        rest = self._z[:, None] - np.cos(self._x @ frequencies.T + phases) @ amplitudes - noise
        means, weights = self._ones @ rest, self._p @ rest
        parts = [
            np.cos(x[rows] @ frequencies.T + phases) @ amplitudes
            + self._covariance(x[rows]) @ weights
            for rows in _chunks(len(x))
        ]
        return np.asarray(self._middle + self._unit * (means + np.concatenate(parts)))


def _chunks(n: int) -> list[slice]:
    return [slice(first, first + _CHUNK) for first in range(0, n, _CHUNK)]


def check_seed(seed: object) -> None:
    """Refuse what is no integer of at least 0."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or int(seed) < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")


def sobol_points(n: int, p: int, seed: int) -> np.ndarray:
    """Scrambled Sobol points of the unit cube, shape (n, p); ``n`` a power of 2."""
    from scipy.stats import qmc

    return np.asarray(qmc.Sobol(p, rng=np.random.default_rng([seed])).random(n))
