"""Landscape: scores over chosen dimensions of the search scale, gridded or scattered."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from fractal_tuner.dimensions import (
    Categorical,
    Dimension,
    Integer,
    Ordinal,
    Quantile,
    as_dimension,
)
from fractal_tuner.smoothing import LARGEST, leave_one_out, local_linear
from fractal_tuner.space import Key, SearchSpace, as_space
from fractal_tuner.trials import Trial, TrialLog, Window

_MAX_CELLS = 2**24
_LEAST_FREEDOM = 5  # of a noise variance that is to be called known


@dataclass(frozen=True)
class Axis:
    """One dimension of a landscape.

    Attributes
    ----------
    name : str
    dimension : Dimension or None
        Translates unit coordinates to values; None where the unit coordinate is the value.
    """

    name: str
    dimension: Dimension | None = None

    @property
    def is_log(self) -> bool:
        """Whether the search scale is logarithmic."""
        return self.dimension is not None and self.dimension.is_log

    @property
    def has_scale(self) -> bool:
        """Whether distances along the axis mean something; not along categories."""
        return self.dimension is None or not self.dimension.is_categorical

    @property
    def length(self) -> float:
        """Decades from end to end of a log axis, the difference of the ends of a linear one.

        NaN where equal steps along the axis are no equal steps of either kind: categories, and
        the probabilities of a distribution.
        """
        if self.dimension is None:
            return 1.0
        if isinstance(self.dimension, Categorical | Quantile):
            return math.nan
        low, high = (self.dimension.value(self.dimension.code(end)) for end in (0.0, 1.0))
        return math.log10(high) - math.log10(low) if self.is_log else float(high - low)

    def unit(self, value: Any) -> float:
        """The unit coordinate of a value; ValueError, naming the axis, if it is not on it."""
        if self.dimension is None:
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"axis {self.name!r} reaches from 0 to 1, got {value!r}")
            return float(value)
        if isinstance(self.dimension, Integer) and isinstance(value, float) and value.is_integer():
            value = int(value)  # numeric arrays have one type for all of their columns
        try:
            return self.dimension.unit(self.dimension.code_of(value))
        except ValueError as error:
            raise ValueError(f"axis {self.name!r}: {error}") from None

    def value(self, u: float) -> Any:
        """What stands on the axis at unit coordinate ``u``."""
        return float(u) if self.dimension is None else self.dimension.value(self.dimension.code(u))


@dataclass(frozen=True, eq=False, repr=False)
class Landscape:
    """Scores over chosen dimensions of the search scale, gridded or scattered.

    Make one with :meth:`from_search`, :meth:`from_trials`, :meth:`from_grid`, :meth:`from_points`
    or :func:`map_landscape`. Positions are unit coordinates: 0 and 1 are the ends of a dimension,
    and a dimension that is searched on a log scale is logarithmic here too. Arrays are read-only.

    Points that fill more than half of the cells between their own coordinates are a grid with
    holes; points in one cell are then averaged. All others are scattered.

    Attributes
    ----------
    axes : tuple of Axis
    scores : np.ndarray
        Larger is better, float64; of the grid's shape, or ``(n,)`` if scattered. NaN where a trial
        failed and in holes.
    failed : np.ndarray
        Where trials were evaluated and failed, of the same shape, bool.
    lines : tuple of np.ndarray or None
        Unit coordinates of the grid along each axis, increasing; None if scattered.
    places : np.ndarray or None
        Unit coordinates of scattered scores, shape (n, d); None on a grid. ``coordinates`` has
        those of both.
    noise_variance : float or None
        Variance of the noise in one score; None if unknown.
    lower, upper : tuple of float
        Corners of the window that is looked at, in unit coordinates.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1), "C": Real(1, 100, log=True)}, max_trials=20, seed=0)
    >>> _ = search.run(lambda x, C: -(x**2) - (C - 9) ** 2)
    >>> Landscape.from_search(search)
    Landscape(x, C (log): 20 scattered scores)
    >>> Landscape.from_grid([[0, 1], [2, 3]], {"depth": [1, 2], "lr": [0.01, 0.1]})
    Landscape(depth, lr (log): 2 x 2 grid, 4 scores)
    """

    axes: tuple[Axis, ...]
    scores: np.ndarray
    failed: np.ndarray
    lines: tuple[np.ndarray, ...] | None
    places: np.ndarray | None
    noise_variance: float | None
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def from_search(
        cls,
        search: Any,
        dims: Sequence[str] | None = None,
        *,
        noise_variance: float | None = None,
    ) -> Self:
        """The landscape that a search met: anything with a trial log in ``trials_`` or ``trials``.

        Parameters
        ----------
        search : ZoomSearch, FactorialZoom, fitted FractalSearchCV, FractalTuner or FractalOracle
        dims, noise_variance
            As in :meth:`from_trials`.

        Raises
        ------
        TypeError
            If ``search`` has no trial log, for instance because it is not fitted.
        """
        inner = getattr(getattr(search, "oracle", search), "search", search)  # of a Keras tuner
        for log in (getattr(search, "trials_", None), getattr(inner, "trials", None)):
            if isinstance(log, TrialLog):
                return cls.from_trials(log, dims, noise_variance=noise_variance)
        raise TypeError(
            f"this {type(search).__name__} has no trials to look at; it must be fitted first"
        )

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        dims: Sequence[str] | None = None,
        *,
        noise_variance: float | None = None,
    ) -> Self:
        """The landscape of told trials; running ones are left out.

        Dimensions that are not chosen are ignored, so that what they do appears as noise;
        :meth:`slice` and :meth:`project` are other ways to be rid of a dimension.

        The noise variance of one score is estimated where the trials permit. From ``k`` folds of
        ``n`` trials it is the mean square of what a sum of trial and fold effects leaves, divided
        by ``k``; splits that all trials share are no noise between them. Otherwise it is the
        pooled variance of candidates that were evaluated repeatedly. With fewer than 5 degrees of
        freedom it is unknown, unless all repeats agree exactly: then it is 0.

        Parameters
        ----------
        trials : TrialLog
        dims : sequence of str, optional
            Names of dimensions, in the order of the axes. By default all that every told trial
            has on one and the same scale. Trials without a chosen conditional dimension are left
            out.
        noise_variance : float, optional
            Known variance of the noise in one score, instead of an estimate.

        Raises
        ------
        ValueError
            If no trial was told, or a dimension is unknown, chosen twice, absent from all trials,
            or has several scales in a union of spaces.
        """
        told = [trial for trial in trials if trial.status != "running"]
        if not told:
            raise ValueError("trials must hold a told trial, got none")
        space = trials.space
        units = np.array([space.unit(trial.key) for trial in told])
        columns: dict[str, tuple[Dimension, np.ndarray] | None] = {}
        for parameter, u in zip(space.parameters, units.T, strict=True):
            name = parameter.name
            if name is None:
                continue
            if name not in columns:
                columns[name] = parameter.dimension, u
            elif (known := columns[name]) is not None:  # another member of a union has it too
                same = known[0] == parameter.dimension
                merged = np.where(np.isnan(u), known[1], u)
                columns[name] = (known[0], merged) if same else None
        if dims is None:
            dims = [
                name
                for name in space.names
                if (column := columns[name]) is not None and not np.isnan(column[1]).any()
            ]
        _check_names("dims", dims, space.names)
        chosen = []
        for name in dims:
            column = columns[name]
            if column is None:
                raise ValueError(f"dimension {name!r} has several scales in this union of spaces")
            chosen.append((Axis(name, column[0]), column[1]))
        points = np.column_stack([u for _, u in chosen])
        is_here = ~np.isnan(points).any(axis=1)
        if not is_here.any():
            raise ValueError(f"no told trial has all of the dimensions {list(dims)}")
        here = [trial for trial, is_in in zip(told, is_here, strict=True) if is_in]
        return cls._from_coordinates(
            tuple(axis for axis, _ in chosen),
            points[is_here],
            np.array([trial.score for trial in here]),
            np.array([trial.status == "failed" for trial in here]),
            _checked_variance(noise_variance) if noise_variance is not None else _noise(here),
        )

    @classmethod
    def from_grid(
        cls,
        scores: Any,
        axes: Mapping[str, Any] | None = None,
        *,
        failed: Any = None,
        noise_variance: float | None = None,
    ) -> Self:
        """The landscape of an array of scores, one array dimension per axis.

        Parameters
        ----------
        scores : array-like of float
            Larger is better; any shape. NaN is a hole; infinities are failures.
        axes : mapping, optional
            Name of each axis, in the order of the array's dimensions, and its values in any order:
            numbers on a log scale if they are geometric, as in :class:`Ordinal`. Or a dimension,
            which the grid divides into equal steps. By default equal steps of the unit cube.
        failed : array-like of bool, optional
            Where evaluations failed, of the same shape.
        noise_variance : float, optional
            Known variance of the noise in one score.

        Raises
        ------
        TypeError, ValueError
            If the array is empty, not numeric, or of another shape than the axes.
        """
        z, failures = _checked_scores(scores, failed)
        if z.ndim == 0:
            raise ValueError(f"scores must have at least one array dimension, got {scores!r}")
        axes = {f"x{i}": None for i in range(z.ndim)} if axes is None else axes
        if not isinstance(axes, Mapping) or len(axes) != z.ndim:
            raise ValueError(f"axes must map {z.ndim} names to values, got {axes!r}")
        named, lines = [], []
        for i, (name, given) in enumerate(axes.items()):
            axis, u = _grid_axis(name, given, z.shape[i])
            order = np.argsort(u, kind="stable")
            z, failures = np.take(z, order, axis=i), np.take(failures, order, axis=i)
            named.append(axis)
            lines.append(u[order])
        noise = None if noise_variance is None else _checked_variance(noise_variance)
        return cls._made(tuple(named), z, failures, tuple(lines), None, noise)

    @classmethod
    def from_points(
        cls,
        coordinates: Any,
        scores: Any,
        axes: Mapping[str, Any] | None = None,
        *,
        failed: Any = None,
        noise_variance: float | None = None,
    ) -> Self:
        """The landscape of scores at listed places.

        Parameters
        ----------
        coordinates : array-like, shape (n, d)
            Values on the axes; without ``axes``, unit coordinates.
        scores : array-like of float, shape (n,)
            Larger is better. NaN is a hole; infinities are failures.
        axes : mapping, optional
            Name and dimension of each axis, as for a :class:`SearchSpace`.
        failed, noise_variance
            As in :meth:`from_grid`.

        Raises
        ------
        TypeError, ValueError
            If the arrays are empty, not numeric, of shapes that do not fit, or outside the axes.
        """
        z, failures = _checked_scores(scores, failed)
        table = np.asarray(coordinates, dtype=None if axes else float)
        if z.ndim != 1 or table.ndim != 2 or len(table) != len(z) or table.shape[1] == 0:
            raise ValueError(
                "coordinates and scores must have shapes (n, d) and (n,), "
                f"got {table.shape} and {z.shape}"
            )
        if axes is None:
            if not np.all((table >= 0) & (table <= 1)):
                raise ValueError("coordinates without axes must be unit coordinates, 0 to 1")
            named = tuple(Axis(f"x{i}") for i in range(table.shape[1]))
            points = table.astype(float)
        else:
            if not isinstance(axes, Mapping) or len(axes) != table.shape[1]:
                raise ValueError(
                    f"axes must map {table.shape[1]} names to dimensions, got {axes!r}"
                )
            named = tuple(Axis(name, as_dimension(name, given)) for name, given in axes.items())
            columns = [
                [axis.unit(value) for value in column]
                for axis, column in zip(named, table.T.tolist(), strict=True)
            ]
            points = np.column_stack(columns)
        noise = None if noise_variance is None else _checked_variance(noise_variance)
        return cls._from_coordinates(named, points, z, failures, noise)

    @classmethod
    def _from_coordinates(
        cls,
        axes: tuple[Axis, ...],
        points: np.ndarray,
        scores: np.ndarray,
        failed: np.ndarray,
        noise: float | None,
    ) -> Self:
        """A grid if the points fill most of one, otherwise scattered."""
        lines = tuple(np.unique(u) for u in points.T)
        shape = tuple(map(len, lines))
        n_cells = math.prod(shape)
        if n_cells < 2 * len(points):
            cell = np.ravel_multi_index(
                [np.searchsorted(line, u) for line, u in zip(lines, points.T, strict=True)], shape
            )
            if 2 * len(np.unique(cell)) > n_cells:
                means = _mean_per_group(cell, scores, n_cells)
                failures = np.bincount(cell[failed], minlength=n_cells) > 0
                failures &= np.isnan(means)
                return cls._made(
                    axes, means.reshape(shape), failures.reshape(shape), lines, None, noise
                )
        return cls._made(axes, scores, failed, None, points, noise)

    @classmethod
    def _made(
        cls,
        axes: tuple[Axis, ...],
        scores: np.ndarray,
        failed: np.ndarray,
        lines: tuple[np.ndarray, ...] | None,
        places: np.ndarray | None,
        noise: float | None,
        lower: Sequence[float] | None = None,
        upper: Sequence[float] | None = None,
    ) -> Self:
        for array in (scores, failed, places, *(lines or ())):
            if array is not None:
                array.setflags(write=False)
        d = len(axes)
        corners = tuple(lower or (0.0,) * d), tuple(upper or (1.0,) * d)
        return cls(axes, scores, failed, lines, places, noise, *corners)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def n_dims(self) -> int:
        """How many axes there are."""
        return len(self.axes)

    @property
    def is_grid(self) -> bool:
        """Whether the scores lie on a grid, perhaps with holes."""
        return self.lines is not None

    @cached_property
    def spacing(self) -> tuple[float, ...] | None:
        """Distance of grid lines along each axis; None unless they are equally spaced on all."""
        if self.lines is None or any(len(line) < 2 for line in self.lines):
            return None
        steps = [np.diff(line) for line in self.lines]
        if not all(np.allclose(step, step.mean(), rtol=1e-6, atol=0) for step in steps):
            return None
        return tuple(float(step.mean()) for step in steps)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """Unit coordinates of all scores, shape (n, d), a grid's with the last axis fastest."""
        if self.places is not None:
            return self.places
        assert self.lines is not None
        return np.stack(np.meshgrid(*self.lines, indexing="ij"), axis=-1).reshape(-1, self.n_dims)

    @cached_property
    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit coordinates and values of the scores that are no failure and no hole."""
        z = self.scores.ravel()
        is_known = np.isfinite(z)
        return self.coordinates[is_known], z[is_known]

    @property
    def n_scores(self) -> int:
        """How many scores are known."""
        return int(np.isfinite(self.scores).sum())

    def __repr__(self) -> str:
        names = ", ".join(a.name + (" (log)" if a.is_log else "") for a in self.axes)
        failures = f", {self.failed.sum()} failed" if self.failed.any() else ""
        if self.is_grid:
            shape = " x ".join(map(str, self.scores.shape))
            return f"Landscape({names}: {shape} grid, {self.n_scores} scores{failures})"
        return f"Landscape({names}: {self.n_scores} scattered scores{failures})"

    def require_scale(self) -> None:
        """Refuse categories, where distances are needed.

        Raises
        ------
        ValueError
            Naming the axis and what to do about it.
        """
        for axis in self.axes:
            if not axis.has_scale:
                raise ValueError(
                    f"dimension {axis.name!r} is categorical, and its choices have no distances; "
                    f"look at one of them with slice({{{axis.name!r}: ...}})"
                )

    def window(self, lower: Sequence[float], upper: Sequence[float]) -> Self:
        """The part between two corners in unit coordinates, both included.

        Coordinates stay those of the whole landscape.

        Raises
        ------
        ValueError
            If the corners do not fit the axes, or there is nothing between them.
        """
        low, high = (np.asarray(corner, dtype=float) for corner in (lower, upper))
        if low.shape != (self.n_dims,) or high.shape != (self.n_dims,) or not np.all(low < high):
            raise ValueError(
                f"lower and upper must be {self.n_dims} numbers each, lower < upper, "
                f"got {lower!r} and {upper!r}"
            )
        pick: Any
        if self.lines is not None:
            inside = [
                (line >= a) & (line <= b) for line, a, b in zip(self.lines, low, high, strict=True)
            ]
            pick = np.ix_(*inside)
            lines = tuple(line[i] for line, i in zip(self.lines, inside, strict=True))
            places = None
        else:
            pick = np.all((self.coordinates >= low) & (self.coordinates <= high), axis=1)
            lines, places = None, self.coordinates[pick]
        scores = self.scores[pick]
        if scores.size == 0:
            raise ValueError(f"the window from {lower!r} to {upper!r} holds no score")
        corners = low.tolist(), high.tolist()
        return self._made(
            self.axes, scores, self.failed[pick], lines, places, self.noise_variance, *corners
        )

    def slice(self, at: Mapping[str, Any], *, within: float = 0.05) -> Self:
        """The landscape over the other axes, where some have given values.

        Parameters
        ----------
        at : mapping of str to value
            On a grid the nearest grid line is taken.
        within : float, default=0.05
            Scattered scores are taken if they are at most so far away in unit coordinates. Along
            categories it must be the choice itself.

        Raises
        ------
        ValueError
            If an axis is unknown, a value is not on it, no axis is left, or nothing is there.
        """
        _check_names("at", list(at), self.names)
        fixed = {self.names.index(name): value for name, value in at.items()}
        kept = self._without(fixed)
        u = {j: self.axes[j].unit(value) for j, value in fixed.items()}
        axes = tuple(self.axes[j] for j in kept)
        corners = [self.lower[j] for j in kept], [self.upper[j] for j in kept]
        if self.lines is not None:
            pick: list[Any] = [slice(None)] * self.n_dims
            for j, place in u.items():
                pick[j] = int(np.argmin(np.abs(self.lines[j] - place)))
            z, failed = self.scores[tuple(pick)].copy(), self.failed[tuple(pick)].copy()
            lines = tuple(self.lines[j] for j in kept)
            return self._made(axes, z, failed, lines, None, self.noise_variance, *corners)
        near = np.ones(len(self.coordinates), dtype=bool)
        for j, place in u.items():
            reach = within if self.axes[j].has_scale else 1e-9
            near &= np.abs(self.coordinates[:, j] - place) <= reach
        if not near.any():
            raise ValueError(f"no score lies within {within} of {dict(at)!r}")
        found = self._from_coordinates(
            axes,
            self.coordinates[near][:, kept],
            self.scores[near],
            self.failed[near],
            self.noise_variance,
        )
        return replace(found, lower=tuple(corners[0]), upper=tuple(corners[1]))

    def project(self, dims: Sequence[str], *, by: Literal["best", "mean"] = "best") -> Self:
        """The landscape over some axes, with the best or the mean score over the others.

        Scores with the same coordinates on the axes that are kept become one. Scattered scores
        rarely share any; they are then all kept, and what the other axes do appears as noise. A
        maximum over noisy scores is too high, and the more so the more there are; its noise
        variance is unknown, as is that of means over different numbers of scores.

        Parameters
        ----------
        dims : sequence of str
            Names of the axes to keep, in their new order.
        by : {"best", "mean"}, default="best"

        Raises
        ------
        ValueError
            If an axis is unknown or chosen twice, or ``by`` is neither.
        """
        _check_names("dims", dims, self.names)
        if by not in ("best", "mean"):
            raise ValueError(f"by must be 'best' or 'mean', got {by!r}")
        kept = [self.names.index(name) for name in dims]
        places, group = np.unique(self.coordinates[:, kept], axis=0, return_inverse=True)
        group = group.reshape(-1)  # numpy 2.0 gave it another shape
        z = self.scores.ravel()
        if by == "mean":
            scores = _mean_per_group(group, z, len(places))
        else:
            best = np.full(len(places), -np.inf)
            np.fmax.at(best, group, z)
            scores = np.where(np.isfinite(best), best, np.nan)
        failed = np.bincount(group[self.failed.ravel()], minlength=len(places)) > 0
        noise = self.noise_variance if len(kept) == self.n_dims else None
        found = self._from_coordinates(
            tuple(self.axes[j] for j in kept), places, scores, failed & np.isnan(scores), noise
        )
        lower, upper = (tuple(corner[j] for j in kept) for corner in (self.lower, self.upper))
        return replace(found, lower=lower, upper=upper)

    def _without(self, fixed: Iterable[int]) -> list[int]:
        kept = [j for j in range(self.n_dims) if j not in set(fixed)]
        if not kept:
            raise ValueError("at least one axis must be left")
        return kept

    def smoothed(self, bandwidth: float | None = None, *, at: Any = None) -> Self:
        """The landscape with its noise smoothed away, by a local linear fit.

        Exact on planes, at edges, beside gaps and for scattered scores; failures and holes weigh
        nothing. Gaussian weights of the distance in unit coordinates, the same along every axis.

        Parameters
        ----------
        bandwidth : float, optional
            Standard deviation of the weights. By default the one that best predicts each score
            from the others (leave-one-out; candidates by factors of sqrt 2, from half the distance
            to the 2 (d + 1)-th neighbour to one plane for all). It is widened where there are too
            few scores.
        at : int or array-like, shape (m, d), optional
            Unit coordinates to fit at, or so many equally spaced grid lines along each axis. By
            default where the scores are, and in the holes.

        Raises
        ------
        ValueError
            For a categorical axis, a bandwidth that is not positive, fewer than d + 2 scores, or
            scores on a line that determine no plane.

        References
        ----------
        Fan & Gijbels, Local Polynomial Modelling and Its Applications, 1996.

        Examples
        --------
        >>> plane = np.add.outer(np.arange(5.0), np.arange(5.0))
        >>> plane[1:3, 2] = np.nan
        >>> Landscape.from_grid(plane).smoothed().scores[0].round(6).tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]
        """
        x, y = self._fittable()
        shown = self.at(at)
        h = leave_one_out(x, y)[0] if bandwidth is None else bandwidth
        fit = local_linear(x, y, shown.coordinates, h)
        if not np.isfinite(fit.value).any():
            raise ValueError("the scores determine no plane; an axis has one value, or two are one")
        return shown.with_scores(fit.value.reshape(shown.scores.shape))

    def with_scores(self, scores: np.ndarray) -> Self:
        """Other values at the same places, of the same shape; their noise is unknown."""
        return self._made(
            self.axes,
            scores,
            self.failed,
            self.lines,
            self.places,
            None,
            self.lower,
            self.upper,
        )

    def _fittable(self) -> tuple[np.ndarray, np.ndarray]:
        """The known scores, if they suffice for a plane."""
        self.require_scale()
        x, y = self.known
        if len(y) < self.n_dims + 2:
            raise ValueError(
                f"a plane over {self.n_dims} axes needs {self.n_dims + 2} scores, got {len(y)}"
            )
        if np.abs(y).max() > LARGEST:
            raise ValueError(f"scores beyond {LARGEST} cannot be smoothed; take their ranks")
        return x, y

    def at(self, at: Any) -> Self:
        """Where to fit: here if None, on so many grid lines along each axis, or at listed places.

        Parameters
        ----------
        at : None, int, or array-like, shape (m, d)
            Of an int or an array the landscape has no scores; see :meth:`with_scores`.
        """
        if at is None:
            return self
        if isinstance(at, int | np.integer) and not isinstance(at, bool):
            if at < 2 or int(at) ** self.n_dims > _MAX_CELLS:
                raise ValueError(f"at must be 2 or more grid lines, at most 2^24 cells, got {at}")
            lines = tuple(
                np.linspace(a, b, int(at)) for a, b in zip(self.lower, self.upper, strict=True)
            )
            shape = (int(at),) * self.n_dims
            empty, nowhere = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
            return self._made(self.axes, empty, nowhere, lines, None, None, self.lower, self.upper)
        places = np.array(at, dtype=float)
        if places.ndim != 2 or places.shape[1] != self.n_dims or not np.isfinite(places).all():
            raise ValueError(
                f"at must be a number of grid lines or an array of shape (m, {self.n_dims}), "
                f"got {at!r}"
            )
        empty, nowhere = np.full(len(places), np.nan), np.zeros(len(places), dtype=bool)
        return self._made(self.axes, empty, nowhere, None, places, None, self.lower, self.upper)


def map_landscape(
    objective: Callable[..., float],
    space: SearchSpace | Mapping[str, Any],
    *,
    points_per_dim: int | None = None,
    n_points: int | None = None,
    n_jobs: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    seed: int | None = None,
) -> Landscape:
    """The landscape of an objective, evaluated for its own sake.

    Parameters
    ----------
    objective : callable
        ``objective(**params)`` returns the score, larger is better. If it raises, or returns no
        finite number, the trial failed.
    space : SearchSpace or mapping
    points_per_dim : int, optional
        Evaluate a full grid, as :class:`FactorialZoom` with one level does.
    n_points : int, optional
        Evaluate a space-filling sample instead: scrambled Sobol points. At most as many as there
        are candidates.
    n_jobs : int, optional
        Evaluations at a time, as in joblib.
    journal : path, optional
        File that keeps the trials; after a crash the same call evaluates only those that miss.
    seed : int, optional
        Of the sample; a grid needs none.

    Raises
    ------
    TypeError, ValueError
        If not exactly one of ``points_per_dim`` and ``n_points`` is given, or one is invalid.

    Examples
    --------
    >>> from fractal_tuner import Real
    >>> space = {"x": Real(0, 1), "y": Real(0, 1)}
    >>> map_landscape(lambda x, y: x * y, space, points_per_dim=3).scores.tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.25, 0.5], [0.0, 0.5, 1.0]]
    """
    from joblib import Parallel, delayed

    from fractal_tuner.search.factorial import FactorialZoom

    space = as_space(space)
    if (points_per_dim is None) == (n_points is None):
        raise ValueError("give one of points_per_dim and n_points")
    if points_per_dim is not None:
        search = FactorialZoom(space, points_per_dim=points_per_dim, levels=1, journal=journal)
        while search.ask(_MAX_CELLS):  # of a continued grid first those that were running
            pass
        log = search.trials
    else:
        log = _sample(space, n_points, journal, seed)
    try:
        pool = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
        jobs = (delayed(_evaluated)(objective, trial) for trial in log.pending)
        for trial_id, score, error in pool(jobs):
            log.finish(trial_id, score, error=error)
    finally:
        log.close()
    return Landscape.from_trials(log)


def _evaluated(objective: Callable[..., float], trial: Trial) -> tuple[int, float, str | None]:
    """Id, score and error of a trial."""
    try:
        return trial.id, float(objective(**trial.params)), None
    except Exception as error:
        return trial.id, math.nan, f"{type(error).__name__}: {error}"


def _sample(
    space: SearchSpace, n_points: Any, journal: str | os.PathLike[str] | None, seed: int | None
) -> TrialLog:
    """A log in which a space-filling sample was asked."""
    from fractal_tuner.search.base import at_least_one

    n = int(min(at_least_one("n_points", n_points), space.size))
    header = {"strategy": "map_landscape", "n_points": n, "seed": seed}
    log = TrialLog(space, journal, header=header)
    if len(log) == 0:  # the journal gets all of them at once, or none
        whole = Window.whole(len(space))
        log.add_all((key, whole) for key in _sobol_keys(space, n, log.header["seed"]))
    return log


def _sobol_keys(space: SearchSpace, n: int, seed: int) -> list[Key]:
    """``n`` different keys, of scrambled Sobol points; the list of all if most are wanted."""
    from scipy.stats import qmc

    if 2 * n >= space.size:
        keys = list(space.keys())
        order = np.random.default_rng([seed]).permutation(len(keys))[:n]
        return [keys[i] for i in sorted(order)]
    sobol = qmc.Sobol(len(space), rng=np.random.default_rng([seed]))
    found: dict[Key, None] = {}
    bits = (n - 1).bit_length()
    sample = sobol.random_base2(bits)
    while True:
        found |= dict.fromkeys(map(space.key_from_unit, sample))
        if len(found) >= n:
            return list(found)[:n]
        sample = sobol.random(2**bits)


def _noise(trials: Sequence[Trial]) -> float | None:
    """Variance of the noise in one score, from folds or repeats; None if unknown."""
    complete = [trial for trial in trials if trial.status == "complete"]
    folded = [t.folds for t in complete if len(t.folds) > 1 and np.isfinite(t.folds).all()]
    if folded:
        k = Counter(map(len, folded)).most_common(1)[0][0]
        table = np.array([folds for folds in folded if len(folds) == k])
        rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
        freedom = (len(table) - 1) * (k - 1)
        if freedom >= _LEAST_FREEDOM:
            return float((rest**2).sum() / freedom / k)
    repeats: dict[Key, list[float]] = {}
    for trial in complete:
        repeats.setdefault(trial.key, []).append(trial.score)
    groups = [np.array(scores) for scores in repeats.values() if len(scores) > 1]
    squares = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
    freedom = sum(len(group) - 1 for group in groups)
    if freedom >= _LEAST_FREEDOM or (freedom > 0 and squares == 0):
        return squares / freedom
    return None


def _mean_per_group(group: np.ndarray, z: np.ndarray, n_groups: int) -> np.ndarray:
    """Mean of the finite values in each group, NaN for groups without any; shape (n_groups,)."""
    is_known = np.isfinite(z)
    sums = np.bincount(group[is_known], weights=z[is_known], minlength=n_groups)
    counts = np.bincount(group[is_known], minlength=n_groups)
    means = np.full(n_groups, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _grid_axis(name: Any, given: Any, n: int) -> tuple[Axis, np.ndarray]:
    """An axis of a grid, and the unit coordinates of its ``n`` values in the order given."""
    even = np.linspace(0.0, 1.0, n) if n > 1 else np.array([0.5])
    if given is None:
        return Axis(name), even
    if isinstance(given, Dimension):
        dimension = given
        if dimension.is_categorical and dimension.n_values != n:
            raise ValueError(f"axis {name!r} has {n} cells for the choices of {dimension}")
        if dimension.n_values != n:
            return Axis(name, dimension), even
        return Axis(name, dimension), np.array(
            [dimension.unit(dimension.code_at(i)) for i in range(n)]
        )
    values = list(given)
    if len(values) != n:
        raise ValueError(f"axis {name!r} must have {n} values, got {len(values)}")
    if any(isinstance(value, str | bool | np.bool_ | tuple) or value is None for value in values):
        return _grid_axis(name, Categorical(values), n)
    try:
        dimension = Ordinal(values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"axis {name!r}: {error}") from None
    u = np.empty(n)
    u[np.argsort(values, kind="stable")] = [dimension.unit(i) for i in range(n)]
    return Axis(name, dimension), u


def _check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    if isinstance(names, str) or not names:
        raise ValueError(f"{what} must name at least one of {list(known)}, got {names!r}")
    for name in names:
        if name not in known:
            raise ValueError(f"{what} names {name!r}, which is none of {list(known)}")
    if len(set(names)) != len(names):
        raise ValueError(f"{what} names a dimension twice, got {list(names)}")


def _checked_scores(scores: Any, failed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the scores, NaN where failed, and of the failures."""
    z = np.array(scores, dtype=float)
    if z.size == 0:
        raise ValueError(f"scores must not be empty, got shape {z.shape}")
    failures = np.isinf(z)
    if failed is not None:
        given = np.asarray(failed)
        if given.dtype != bool or given.shape != z.shape:
            raise ValueError(
                f"failed must be bools of shape {z.shape}, got {given.dtype} {given.shape}"
            )
        failures |= given
    z[failures] = np.nan
    return z, failures


def _checked_variance(variance: float) -> float:
    if not (variance >= 0 and math.isfinite(variance)):
        raise ValueError(f"noise_variance must be a number of at least 0, got {variance!r}")
    return float(variance)
