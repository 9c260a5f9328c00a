"""FactorialZoom: full grids, zoomed around the best; the classic adaptive grid search."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from fractal_tuner.search.base import Search, StopReason, at_least_one
from fractal_tuner.space import Code, Dimension, Key, SearchSpace
from fractal_tuner.trials import Trial, Window


class FactorialZoom(Search):
    """Full grid search, repeated on ever smaller windows around the best trial.

    Each level evaluates a full grid of its window; the next window reaches, in every dimension, from the
    left to the right grid neighbour of the best trial so far. One level is plain grid search. Points
    that an earlier level has evaluated are not evaluated again. Categories, and conditional parameters
    switched on by them, are swept in full at every level.

    Parameters
    ----------
    space : SearchSpace, mapping, or sequence of mappings
        A sequence is a union of spaces.
    points_per_dim : int, default=5
        Grid points per numeric dimension, ends included; a dimension with fewer values left in the window
        contributes each of them.
    levels : int, default=3
        Grids, at least 1.
    max_trials : int, optional
        Refuse a first grid that is larger, and stop when so many trials have been asked.
    journal, fingerprint, max_time, target_score
        As in :class:`ZoomSearch`.

    Raises
    ------
    ValueError
        If the first grid is larger than ``max_trials``. It is counted, never built.

    Examples
    --------
    >>> search = FactorialZoom(
    ...     {"x": [1, 2, 3], "kernel": ["rbf", "poly"]}, points_per_dim=3, levels=1
    ... )
    >>> best = search.run(lambda x, kernel: -((x - 2) ** 2) - (kernel == "poly"))
    >>> len(search.trials), best.params
    (6, {'x': 2, 'kernel': 'rbf'})
    """

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        points_per_dim: int = 5,
        levels: int = 3,
        max_trials: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        fingerprint: Mapping[str, Any] | None = None,
        max_time: float | None = None,
        target_score: float | None = None,
    ) -> None:
        self.points_per_dim = at_least_one("points_per_dim", points_per_dim)
        self.levels = at_least_one("levels", levels)
        super().__init__(
            space,
            max_trials=max_trials,
            options={"points_per_dim": self.points_per_dim, "levels": self.levels},
            journal=journal,
            fingerprint=fingerprint,
            max_time=max_time,
            target_score=target_score,
        )
        self._level = 0
        self._axes = [_Axis(p.dimension, self.points_per_dim) for p in self.space.parameters]
        n_points = self.space.count([axis.codes for axis in self._axes])
        if self.max_trials is not None and n_points > self.max_trials:
            self.close()
            raise ValueError(
                f"the grid has {n_points} points, more than max_trials={self.max_trials}; "
                f"points_per_dim={points_per_dim} must be smaller or the budget larger"
            )
        self._grid = self._points()
        self._next: Key | None = None
        self._replay()

    def _propose(self) -> tuple[Key, Window] | None:
        key, self._next = self._peek(), None
        if key is None:
            return None
        center = None if self._level == 0 else self._best_until(self._level - 1)
        lower, upper = zip(*(axis.sides for axis in self._axes), strict=True)
        return key, Window(self._level, center.id if center else None, lower, upper)

    def _end(self) -> StopReason | None:
        return "grid complete" if self._peek() is None and not self.trials.pending else None

    def _peek(self) -> Key | None:
        """The next point that was never asked; None at the end of the search, or while a level ends."""
        while self._next is None:
            self._next = next((key for key in self._grid if key not in self._keys), None)
            # While a search is replayed, running trials of deeper levels do not hold this one up.
            waits = any(trial.level <= self._level for trial in self.trials.pending)
            if self._next is not None or waits or self._level + 1 == self.levels:
                break
            best = self._best_until(self._level)
            if best is None:
                break
            for axis, code in zip(self._axes, best.key, strict=True):
                axis.zoom(code)
            self._level += 1
            self._grid = self._points()
        return self._next

    def _points(self) -> Iterator[Key]:
        return self.space.keys([axis.codes for axis in self._axes])

    def _best_until(self, level: int) -> Trial | None:
        """The best trial of the levels up to ``level``, the first asked of equals."""
        complete = [t for t in self.trials if t.status == "complete" and t.level <= level]
        return max(complete, key=lambda t: (t.score, -t.id), default=None)


class _Axis:
    """The grid points of one dimension: codes, between the sides of the present window.

    Positions on a continuum are exact fractions, so that grids of several levels share their points.
    """

    def __init__(self, dimension: Dimension, n_points: int) -> None:
        self._dimension = dimension
        self._n_points = n_points
        self._position: dict[Code, Fraction | int] = {}
        self._low: Fraction | int
        self._high: Fraction | int
        if dimension.n_values is None:
            self._low, self._high = Fraction(0), Fraction(1)
        else:
            self._low = dimension.code_at(0)
            self._high = dimension.code_at(dimension.n_values - 1)
        self._lay()

    def _lay(self) -> None:
        dimension, n = self._dimension, self._n_points
        shares = [Fraction(i, n - 1) for i in range(n)] if n > 1 else [Fraction(1, 2)]
        self._here: dict[Code, Fraction | int]
        if dimension.n_values is None:
            places = [self._low + (self._high - self._low) * share for share in shares]
            self._here = {dimension.code(float(place)): place for place in places}
        elif dimension.is_categorical or self._high - self._low < n:
            self._here = {code: code for code in range(int(self._low), int(self._high) + 1)}
        else:
            low, high = dimension.unit(int(self._low)), dimension.unit(int(self._high))
            codes = [int(dimension.code(low + (high - low) * float(share))) for share in shares]
            self._here = {code: code for code in codes}
        self._position |= self._here

    @property
    def codes(self) -> list[Code]:
        """The grid points, in increasing order."""
        return list(self._here)

    @property
    def sides(self) -> tuple[float, float]:
        """The window in unit coordinates."""
        if self._dimension.is_categorical:
            return 0.0, 1.0
        if self._dimension.n_values is None:
            return float(self._low), float(self._high)
        return self._dimension.unit(int(self._low)), self._dimension.unit(int(self._high))

    def zoom(self, code: Code | None) -> None:
        """Shrink the window to the grid neighbours of ``code``; not if it is inactive or a category."""
        if code is None or self._dimension.is_categorical:
            return
        is_finite = self._dimension.n_values is not None
        exact = int(code) if is_finite else Fraction(self._dimension.unit(code))
        middle = self._position.get(code, exact)  # a candidate chosen elsewhere is off the grid
        self._low = max((p for p in self._here.values() if p < middle), default=self._low)
        self._high = min((p for p in self._here.values() if p > middle), default=self._high)
        self._lay()
