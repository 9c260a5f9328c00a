"""FactorialZoom: full grids, zoomed around the best; the classic adaptive grid search."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from fractal_tuner.dimensions import MAX_TABLE, Categorical, Code, Dimension, Integer, Ordinal
from fractal_tuner.search.base import Search, StopReason, at_least_one
from fractal_tuner.space import Key, SearchSpace, as_space
from fractal_tuner.trials import Trial, Window


class FactorialZoom(Search):
    """Full grid search, repeated on ever smaller windows around the best trial.

    Each level evaluates a full grid of its window; the next window reaches, in every dimension,
    from the left to the right grid neighbour of the best trial so far. One level is plain grid
    search. Points that an earlier level has evaluated are not evaluated again. Categories, and
    conditional parameters that the best trial does not have, are swept in full at every level.

    Parameters
    ----------
    space : SearchSpace, mapping, or sequence of mappings
        A sequence is a union of spaces.
    points_per_dim : int, default=5
        Grid points of a range of numbers, ends included; of a range with fewer values left in the
        window, each of them. Lists are grids already: all of their values count. With fewer than 4
        the neighbours of the best may be the sides of its window; the next grid is then the same,
        and the search ends.
    levels : int, default=3
        Grids, at least 1.
    max_trials : int, optional
        Refuse a first grid that is larger, and stop when so many trials have been asked.
    journal, fingerprint, max_time, target_score
        As in :class:`ZoomSearch`.

    Raises
    ------
    TypeError, ValueError
        For an invalid space or option, or a journal of another search.
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
        space = as_space(space)
        self.points_per_dim = at_least_one("points_per_dim", points_per_dim)
        if self.points_per_dim > MAX_TABLE:
            raise ValueError(f"points_per_dim must be at most {MAX_TABLE}, got {points_per_dim}")
        self.levels = at_least_one("levels", levels)
        axes = [_Axis(p.dimension, self.points_per_dim) for p in space.parameters]
        n_points = space.count([axis.codes for axis in axes])
        if max_trials is not None and n_points > at_least_one("max_trials", max_trials):
            about = n_points if n_points < 1e15 else f"about 10^{math.log10(n_points):.0f}"
            raise ValueError(
                f"the grid has {about} points, more than max_trials={max_trials}; "
                f"max_trials must be larger, or None for no limit, or "
                f"points_per_dim={points_per_dim} smaller; lists of values count in full"
            )
        super().__init__(
            space,
            max_trials=max_trials,
            options={"points_per_dim": self.points_per_dim, "levels": self.levels},
            journal=journal,
            fingerprint=fingerprint,
            max_time=max_time,
            target_score=target_score,
        )
        self._rewind(axes)
        self._replay()

    def add(self, params: Mapping[str, Any], *, window: Window | None = None) -> Trial:
        trial = super().add(params, window=window)
        if trial.level < self._level:  # it has a say in where to zoom, unless that was acted upon
            self._rewind()
        return trial

    def _rewind(self, axes: list[_Axis] | None = None) -> None:
        """Go back to level 0; what followed is derived from the trials."""
        dimensions = [p.dimension for p in self.space.parameters]
        self._axes = axes or [_Axis(d, self.points_per_dim) for d in dimensions]
        self._level = 0
        self._center: int | None = None
        self._grid = self._points()
        self._next: Key | None = None

    def _propose(self) -> tuple[Key, Window] | None:
        key = self._peek()
        if key is None:
            return None
        lower, upper = zip(*(axis.sides for axis in self._axes), strict=True)
        return key, Window(self._level, self._center, lower, upper)

    def _end(self) -> StopReason | None:
        if self._peek() is not None:
            return None
        is_last = self._level + 1 == self.levels
        return "grid complete" if is_last or not self.trials.pending else None

    def _peek(self) -> Key | None:
        """The next point that was never asked; None at the end, or while a level ends."""
        while self._next is None or self._next in self._keys:
            self._next = next((key for key in self._grid if key not in self._keys), None)
            if self._next is not None or self._level + 1 == self.levels:
                break
            # The next level began, or begins, when all trials before its first one were told.
            known = next((t.id for t in self.trials if t.level > self._level), len(self.trials))
            if any(trial.id < known for trial in self.trials.pending):
                break
            complete = [
                trial
                for trial in itertools.islice(self.trials, known)
                if trial.status == "complete"
            ]
            if not complete:
                break
            best = max(complete, key=lambda trial: (trial.score, -trial.id))
            for axis, code in zip(self._axes, best.key, strict=True):
                axis.zoom(code)
            self._level += 1
            self._center = best.id
            self._grid = self._points()
        return self._next

    def _points(self) -> Iterator[Key]:
        return self.space.keys([axis.codes for axis in self._axes])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_grid"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._grid = self._points()


class _Axis:
    """The grid points of one dimension: codes, between the sides of the present window.

    Positions on a continuum are exact fractions, so that grids of several levels share their
    points; those of finite dimensions are the codes.
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

    def _lay(self, center: Fraction | int | None = None) -> None:
        dimension, n = self._dimension, self._n_points
        shares = [Fraction(i, n - 1) for i in range(n)] if n > 1 else [Fraction(1, 2)]
        self._here: dict[Code, Fraction | int]
        if dimension.n_values is None:
            places = [self._low + (self._high - self._low) * share for share in shares]
            self._here = {dimension.code(float(place)): place for place in places}
        elif isinstance(dimension, Categorical | Ordinal) or self._high - self._low < n:
            self._here = {code: code for code in range(int(self._low), int(self._high) + 1)}
        else:
            codes = sorted({self._thinned(share) for share in shares})
            self._here = {code: code for code in _with(codes, center)}
        self._position |= self._here

    def _thinned(self, share: Fraction) -> int:
        """The code at a share of the way between the sides of a finite window."""
        low, high = int(self._low), int(self._high)
        if share in (0, 1):
            return high if share else low
        if isinstance(self._dimension, Integer) and not self._dimension.is_log:
            return low + round(share * (high - low))  # exact, for any size
        left, right = self.sides
        code = int(self._dimension.code(left + (right - left) * float(share)))
        return min(max(code, low), high)

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
        """Shrink the window to the grid neighbours of ``code``; not if inactive or a category."""
        if code is None or self._dimension.is_categorical:
            return
        is_finite = self._dimension.n_values is not None
        exact = int(code) if is_finite else Fraction(self._dimension.unit(code))
        # A candidate that was chosen elsewhere may lie off the grid, and outside of the window.
        middle = min(max(self._position.get(code, exact), self._low), self._high)
        here = self._here.values()
        self._low, self._high = (
            max((p for p in here if p < middle), default=self._low),
            min((p for p in here if p > middle), default=self._high),
        )
        self._lay(middle)


def _with(codes: list[int], center: Fraction | int | None) -> list[int]:
    """``codes``, increasing, with ``center`` in place of one that only rounding sets apart from it.

    As neighbours they would close the next window on one side.
    """
    for i in range(1, len(codes) - 1):
        if isinstance(center, int) and codes[i - 1] < center < codes[i + 1]:
            gap = codes[i] - codes[i - 1] if center < codes[i] else codes[i + 1] - codes[i]
            if 4 * abs(codes[i] - center) <= gap:
                return [*codes[:i], center, *codes[i + 1 :]]
    return codes
