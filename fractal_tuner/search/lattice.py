"""The dyadic lattice of the unit cube: starting design, candidates, zoom windows.

All places are unit coordinates of the search space, shape (n, n_parameters). Continuous coordinates
are multiples of 2^-20; the others are the positions of their values. An inactive parameter rests at
its middle (a category at its first choice), so that equal candidates have equal coordinates.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from fractal_tuner.dimensions import nearest
from fractal_tuner.space import Key, SearchSpace
from fractal_tuner.trials import Window

DEPTH = 14  # deepest zoom level
STEPS = 4  # grid steps from a window's centre to its side
_BITS = 20
_GLOBAL_BITS = 5
_START_BITS = 4
_MOST_START = 6
_STEPS_EITHER_WAY = np.array([s for s in range(-STEPS, STEPS + 1) if s])
_STEP_SIZES = 0.5 ** np.arange(2, DEPTH + 3)  # of a grid, by level
_SHARES = np.array([1.5, 3.0, np.inf])


class Lattice:
    """The lattice of one search space."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        dimensions = [p.dimension for p in space.parameters]
        self._d = len(dimensions)
        self._choices = np.array([d.n_values or 0 if d.is_categorical else 0 for d in dimensions])
        self._tables = {
            j: np.array([d.unit(d.code_at(i)) for i in range(d.n_values or 0)])
            for j, d in enumerate(dimensions)
            if d.is_table
        }
        self._wide = [
            j for j, d in enumerate(dimensions) if d.n_values is not None and not d.is_table
        ]
        self._smooth = [j for j, d in enumerate(dimensions) if d.n_values is None]
        self._free = np.array([d.n_values != 1 for d in dimensions])
        self._free_columns = np.flatnonzero(self._free)
        self._rest = np.array([0.5 / max(c, 1) for c in self._choices])
        self.n_free = len(self._free_columns)
        self._n_categories = int((self._choices > 1).sum())
        self._is_conditional = any(p.conditions for p in space.parameters)
        self._is_plain = len(self._smooth) == self._d and not self._is_conditional

    @property
    def n_start(self) -> int:
        """Trials before anything is learned: few, but one more for each category."""
        return min(3 + self.n_numeric, _MOST_START) + self._n_categories

    @property
    def n_numeric(self) -> int:
        """Numeric parameters with more than one value."""
        return self.n_free - self._n_categories

    @property
    def has_categories(self) -> bool:
        """Whether there is a category with a choice."""
        return self._n_categories > 0

    def start(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """The centre, then ``n - 1`` scrambled Sobol nodes on a coarse grid."""
        from scipy.stats import qmc

        sobol = qmc.Sobol(self._d, rng=rng).random_base2(max(n - 1, 1).bit_length())[: n - 1]
        u = np.vstack([self._rest, np.rint(sobol * 2**_START_BITS) / 2**_START_BITS])
        for j in np.flatnonzero(self._choices):
            u[1:, j] = self._tables[int(j)][(sobol[:, j] * self._choices[j]).astype(int)]
        return self.settle(u)

    def scattered(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Random nodes of the coarse global grid; each value of a finite dimension alike."""
        u = rng.integers(0, 2**_GLOBAL_BITS + 1, (n, self._d)) / 2**_GLOBAL_BITS
        for j, table in self._tables.items():
            u[:, j] = table[rng.integers(0, len(table), n)]
        return self.settle(u)

    def zoomed(
        self, centers: np.ndarray, levels: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """One node from a window of a level in 1..DEPTH around each of ``centers``.

        A window of level s has half-width 2^-s and 9 nodes a side. Few coordinates move at a time,
        as in DYCORS (Regis & Shoemaker 2013): each with probability 1.5 / d, 3 / d or 1, at least
        one.
        """
        n = len(centers)
        free = self._free_columns
        share = _SHARES[rng.integers(0, 3, n)] / max(len(free), 1)
        moves = (rng.random((n, self._d)) < share[:, None]) & self._free
        moves[np.arange(n), free[rng.integers(0, len(free), n)]] = True
        steps = _STEPS_EITHER_WAY[rng.integers(0, len(_STEPS_EITHER_WAY), (n, self._d))]
        shift = moves * steps * _STEP_SIZES[levels, None]
        u = np.minimum(np.maximum(centers + shift, 0.0), 1.0)
        if not (self.has_categories or self._tables or self._is_conditional):
            return self.settle(u)
        anywhere = self.scattered(n, rng)
        redraw = moves & (self._choices > 0) & (rng.random((n, self._d)) < 0.5)
        u = np.where(self._choices > 0, np.where(redraw, anywhere, centers), u)
        for j, table in self._tables.items():
            if not self._choices[j]:
                u[:, j] = _step(table, centers[:, j], u[:, j], np.sign(shift[:, j]))
        before = self.active(centers)
        awake = self.active(u) & ~before
        return self.settle(np.where(awake, anywhere, u))

    def settle(self, u: np.ndarray) -> np.ndarray:
        """The lattice nodes nearest to ``u``, inactive parameters at rest."""
        if self._is_plain:
            return np.asarray(np.rint(u * 2**_BITS) / 2**_BITS)
        u = u.copy()
        u[:, self._smooth] = np.rint(u[:, self._smooth] * 2**_BITS) / 2**_BITS
        for j in self._wide:
            u[:, j] = self.space.parameters[j].dimension.snap(u[:, j])
        for j, table in self._tables.items():
            u[:, j] = table[nearest(table, u[:, j])]
        return np.where(self.active(u), u, self._rest)

    def active(self, u: np.ndarray) -> np.ndarray:
        """Which parameters are active, shape (n, n_parameters) bool."""
        active = np.ones(u.shape, bool)
        if not self._is_conditional:
            return active
        for j, parameter in enumerate(self.space.parameters):
            for condition in parameter.conditions:
                table = self._tables[condition.parent]
                position = nearest(table, u[:, condition.parent])
                active[:, j] &= active[:, condition.parent]
                active[:, j] &= np.isin(position, list(condition.positions))
        return active

    def level(self, u: np.ndarray, center: np.ndarray) -> np.ndarray:
        """The deepest level whose window around ``center`` holds each of ``u``, shape (n,).

        To a step of the lattice, as nodes around a place that is none are rounded.
        """
        reach = np.maximum(self.reach(u, center[None])[:, 0] - 0.5**_BITS, 0.5**DEPTH)
        return np.asarray(np.floor(-np.log2(reach)).astype(int))

    def reach(self, u: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """The half-widths of the windows around ``centers`` that just hold each of ``u``, (n, m).

        Windows hold all choices of categories.
        """
        if not self.n_numeric:
            return np.zeros((len(u), len(centers)))
        numeric = self._choices == 0
        return np.asarray(cdist(u[:, numeric], centers[:, numeric], "chebyshev"))

    def place(self, key: Key) -> np.ndarray:
        """The coordinates of a candidate, shape (n_parameters,)."""
        u = self.space.unit(key)
        return np.where(np.isnan(u), self._rest, u)

    def features(self, u: np.ndarray) -> np.ndarray:
        """What the random field sees, shape (n, n_features): categories are one-hot / sqrt 2."""
        if self._is_plain:
            return u
        columns: list[np.ndarray] = []
        for j in map(int, self._free_columns):
            if n_choices := self._choices[j]:
                columns.append(np.eye(n_choices)[nearest(self._tables[j], u[:, j])] / np.sqrt(2.0))
            else:
                columns.append(u[:, j, None])
        return np.hstack(columns) if columns else np.zeros((len(u), 1))

    def window(self, level: int, center: int | None = None, u: np.ndarray | None = None) -> Window:
        """The window of a level around a trial's coordinates, or the whole space."""
        if u is None:
            return Window.whole(self._d)
        half = 0.5**level
        sides = [
            (0.0, 1.0) if n_choices else (max(x - half, 0.0), min(x + half, 1.0))
            for x, n_choices in zip(u.tolist(), self._choices.tolist(), strict=True)
        ]
        lower, upper = zip(*sides, strict=True)
        return Window(level, center, lower, upper)


def _step(table: np.ndarray, old: np.ndarray, new: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """The values nearest to ``new``, but at least one away from ``old`` where ``sign`` is not 0."""
    was, index = nearest(table, old), nearest(table, new)
    index = np.where(index == was, was + sign.astype(int), index)
    return np.asarray(table[np.clip(index, 0, len(table) - 1)])
