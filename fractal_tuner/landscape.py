"""Landscape: scores over chosen dimensions of the search scale, gridded or scattered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from fractal_tuner.axes import Axis, check_names, grid_axes, named_axes
from fractal_tuner.observations import score_noise, trial_axes
from fractal_tuner.smoothing import LARGEST, leave_one_out, local_linear
from fractal_tuner.space import SearchSpace
from fractal_tuner.trials import Trial, TrialLog

_MAX_CELLS = 2**24
_MANY = 2**16  # places of a fit, unless more are asked for
_SAME = 1e-9  # unit coordinates of one choice


@dataclass(frozen=True, eq=False, repr=False)
class Landscape:
    """Scores over chosen dimensions of the search scale, gridded or scattered.

    Make one with :meth:`from_search`, :meth:`from_trials`, :meth:`from_grid`, :meth:`from_points`
    or :func:`map_landscape`. Positions are unit coordinates: 0 and 1 are the ends of a dimension,
    and a dimension that is searched on a log scale is logarithmic here too. Arrays are read-only.

    Points that fill more than half of the cells between their own coordinates are a grid with
    holes; points in one cell are then averaged, and so is their noise. All others are scattered.

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
        Variance of the noise in one of ``scores``; None if unknown, or not the same in all because
        they are means of different numbers. Of folds: what another split of the same data would
        change.
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
        trials: TrialLog | Iterable[Trial],
        dims: Sequence[str] | None = None,
        *,
        space: SearchSpace | None = None,
        noise_variance: float | None = None,
    ) -> Self:
        """The landscape of told trials; running ones are left out.

        Dimensions that are not chosen are ignored, so that what they do appears as noise, of a
        variance that is unknown; :meth:`slice` and :meth:`project` are other ways to be rid of a
        dimension.

        Parameters
        ----------
        trials : TrialLog or iterable of Trial
        dims : sequence of str, optional
            Names of dimensions, in the order of the axes. By default all that every told trial
            has on one and the same scale. Trials without a chosen conditional dimension are left
            out.
        space : SearchSpace, optional
            That the trials are of; a log knows its own.
        noise_variance : float, optional
            Known variance of the noise in the score of one trial, with what dimensions that are
            not chosen do. By default, and if those do not vary, it is estimated from folds or
            repeats if there are enough, see :func:`fractal_tuner.observations.score_noise`.

        Raises
        ------
        TypeError
            If the trials are none, or come without a space.
        ValueError
            If no trial was told, or a dimension is unknown, chosen twice, absent from all trials,
            or has several scales in a union of spaces.
        """
        if isinstance(trials, TrialLog):
            space = trials.space
        told = list(trials) if isinstance(trials, Iterable) else [trials]
        if not all(isinstance(trial, Trial) for trial in told):
            raise TypeError(f"trials must be a TrialLog or trials, got {trials!r}")
        told = [trial for trial in told if trial.status != "running"]
        if not told:
            raise ValueError("trials must hold a told trial, got none")
        if not isinstance(space, SearchSpace):
            raise TypeError(
                f"trials that are in no log need their SearchSpace, got space={space!r}"
            )
        chosen = trial_axes(told, space, dims)
        points = np.column_stack([u for _, u in chosen])
        is_here = ~np.isnan(points).any(axis=1)
        if not is_here.any():
            raise ValueError(
                f"no told trial has all of the dimensions {[a.name for a, _ in chosen]}"
            )
        here = [trial for trial, is_in in zip(told, is_here, strict=True) if is_in]
        axes = tuple(axis for axis, _ in chosen)
        if noise_variance is not None:
            noise: float | None = _checked_variance(noise_variance)
        else:
            told_noise = None if _ignored_vary(here, space, axes) else score_noise(here)
            noise = told_noise.variance if told_noise else None
        return cls._from_coordinates(
            axes,
            points[is_here],
            np.array([trial.score for trial in here]),
            np.array([trial.status == "failed" for trial in here]),
            noise,
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
        named, lines = [], []
        for i, (axis, u) in enumerate(grid_axes(axes, z.shape)):
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
        table = _numbers("coordinates", coordinates) if axes is None else _table(coordinates)
        if z.ndim != 1 or table.ndim != 2 or len(table) != len(z) or table.shape[1] == 0:
            raise ValueError(
                "coordinates and scores must have shapes (n, d) and (n,), "
                f"got {table.shape} and {z.shape}"
            )
        if axes is None:
            if not np.all((table >= 0) & (table <= 1)):
                raise ValueError("coordinates without axes must be unit coordinates, 0 to 1")
            named, points = tuple(Axis(f"x{i}") for i in range(table.shape[1])), table
        else:
            named = named_axes(axes, table.shape[1])
            points = np.column_stack(
                [axis.units(column) for axis, column in zip(named, table.T, strict=True)]
            )
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
                means, noise = _mean_per_group(cell, scores, n_cells, noise)
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

    @cached_property
    def best_bandwidth(self) -> tuple[np.ndarray, float]:
        """Bandwidths that best predict each score from the others, and their mean squared error.

        See :func:`fractal_tuner.smoothing.leave_one_out`.
        """
        return leave_one_out(*self.known)

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

        Coordinates stay those of the whole landscape; a window of a window is their intersection.

        Raises
        ------
        ValueError
            If the corners do not fit the axes, or there is nothing between them.
        """
        low, high = _numbers("lower", lower), _numbers("upper", upper)
        if low.shape != (self.n_dims,) or high.shape != (self.n_dims,) or not np.all(low < high):
            raise ValueError(
                f"lower and upper must be {self.n_dims} numbers each, lower < upper, "
                f"got {lower!r} and {upper!r}"
            )
        low, high = np.maximum(low, self.lower), np.minimum(high, self.upper)
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
        check_names("at", at, self.names)
        if not (isinstance(within, Real) and within >= 0):
            raise ValueError(f"within must be a number of at least 0, got {within!r}")
        fixed = {self.names.index(name): value for name, value in at.items()}
        kept = self._without(fixed)
        u = {j: self.axes[j].unit(value) for j, value in fixed.items()}
        axes = tuple(self.axes[j] for j in kept)
        corners = [self.lower[j] for j in kept], [self.upper[j] for j in kept]
        if self.lines is not None:
            pick: list[Any] = [slice(None)] * self.n_dims
            for j, place in u.items():
                distance = np.abs(self.lines[j] - place)
                pick[j] = int(np.argmin(distance))
                if not self.axes[j].has_scale and distance[pick[j]] > _SAME:
                    raise ValueError(f"no score has the choice {at[self.names[j]]!r}")
            z, failed = self.scores[tuple(pick)].copy(), self.failed[tuple(pick)].copy()
            lines = tuple(self.lines[j] for j in kept)
            return self._made(axes, z, failed, lines, None, self.noise_variance, *corners)
        near = np.ones(len(self.coordinates), dtype=bool)
        for j, place in u.items():
            reach = within if self.axes[j].has_scale else _SAME
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
        variance is unknown, as is that of means unless each is over the same places of the other
        axes, as on a full grid.

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
        check_names("dims", dims, self.names)
        if by not in ("best", "mean"):
            raise ValueError(f"by must be 'best' or 'mean', got {by!r}")
        kept = [self.names.index(name) for name in dims]
        places, group = np.unique(self.coordinates[:, kept], axis=0, return_inverse=True)
        group = group.reshape(-1)  # numpy 2.0 gave it another shape
        z = self.scores.ravel()
        if by == "mean":
            scores, noise = _mean_per_group(group, z, len(places), self.noise_variance)
        else:
            noise = self.noise_variance if len(places) == len(z) else None
            best = np.full(len(places), -np.inf)
            np.fmax.at(best, group, z)
            scores = np.where(np.isfinite(best), best, np.nan)
        failed = np.bincount(group[self.failed.ravel()], minlength=len(places)) > 0
        if not self._is_alike_over(kept):
            noise = None
        found = self._from_coordinates(
            tuple(self.axes[j] for j in kept), places, scores, failed & np.isnan(scores), noise
        )
        lower, upper = (tuple(corner[j] for j in kept) for corner in (self.lower, self.upper))
        return replace(found, lower=lower, upper=upper)

    def _is_alike_over(self, kept: list[int]) -> bool:
        """Whether places that differ on the other axes alone are the same ones everywhere.

        Then what the other axes do is in all means alike; otherwise it is noise between them.
        """
        if len(kept) == self.n_dims:
            return True
        if self.lines is None:
            return False
        known = np.moveaxis(np.isfinite(self.scores), kept, range(len(kept)))
        rows = known.reshape(math.prod(known.shape[: len(kept)]), -1)
        rows = rows[rows.any(axis=1)]
        return bool((rows == rows[:1]).all())

    def _without(self, fixed: Iterable[int]) -> list[int]:
        kept = [j for j in range(self.n_dims) if j not in set(fixed)]
        if not kept:
            raise ValueError("at least one axis must be left")
        return kept

    def smoothed(self, bandwidth: ArrayLike | None = None, *, at: Any = None) -> Self:
        """The landscape with its noise smoothed away, by a local linear fit.

        Exact on planes, at edges, beside gaps and for scattered scores; failures and holes weigh
        nothing. Gaussian weights of the distance in unit coordinates.

        Parameters
        ----------
        bandwidth : float or array-like, shape (d,), optional
            Standard deviation of the weights, for all axes or each. By default the one that best
            predicts each score from the others, see :func:`fractal_tuner.smoothing.leave_one_out`;
            along an axis that does not matter it is wider than the cube. It is widened where there
            are too few scores.
        at : int or array-like, shape (m, d), optional
            Unit coordinates to fit at, or so many equally spaced grid lines along each axis. By
            default where the scores are, and in the holes; of more than 65536 on a regular grid of
            at most so many cells.

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
        h = self.best_bandwidth[0] if bandwidth is None else bandwidth
        fit = local_linear(x, y, shown.coordinates, h)
        if not np.isfinite(fit.value).any():
            raise ValueError("the scores determine no plane; an axis has one value, or two are one")
        return shown.with_scores(fit.value.reshape(shown.scores.shape))

    def with_scores(self, scores: ArrayLike) -> Self:
        """Other values at the same places; their noise is unknown.

        Parameters
        ----------
        scores : array-like of float
            Of the shape of ``scores``; copied.

        Raises
        ------
        ValueError
            If they have another shape.
        """
        z = _numbers("scores", scores)
        if z.shape != self.scores.shape:
            raise ValueError(f"scores must have the shape {self.scores.shape}, got {z.shape}")
        return self._made(
            self.axes,
            z,
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
        """Where to fit: on so many grid lines along each axis, or at listed places.

        By default here, or, of more than 65536 places, on a grid of at most so many cells.

        Parameters
        ----------
        at : None, int, or array-like, shape (m, d)
            Of an int or an array the landscape has no scores; see :meth:`with_scores`. Places are
            unit coordinates within the landscape.

        Raises
        ------
        ValueError
            For fewer than 2 lines, too many cells, or places of another shape or outside.
        """
        if at is None:
            if self.scores.size <= _MANY:
                return self
            at = max(2, int(_MANY ** (1 / self.n_dims) + 1e-9))
        if isinstance(at, int | np.integer) and not isinstance(at, bool):
            if at < 2 or int(at) ** self.n_dims > _MAX_CELLS:
                raise ValueError(f"at must be 2 or more grid lines, at most 2^24 cells, got {at}")
            lines = tuple(
                np.linspace(a, b, int(at)) for a, b in zip(self.lower, self.upper, strict=True)
            )
            shape = (int(at),) * self.n_dims
            empty, nowhere = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
            return self._made(self.axes, empty, nowhere, lines, None, None, self.lower, self.upper)
        places = _numbers("at", at)
        if places.ndim != 2 or places.shape[1] != self.n_dims or not np.isfinite(places).all():
            raise ValueError(
                f"at must be a number of grid lines or an array of shape (m, {self.n_dims}), "
                f"got {at!r}"
            )
        beyond = (places < np.array(self.lower) - _SAME) | (places > np.array(self.upper) + _SAME)
        if beyond.any():
            raise ValueError(
                f"at must lie within the landscape, {self.lower} to {self.upper}, "
                f"got {places[beyond.any(1)][0].tolist()}"
            )
        empty, nowhere = np.full(len(places), np.nan), np.zeros(len(places), dtype=bool)
        return self._made(self.axes, empty, nowhere, None, places, None, self.lower, self.upper)


def check_landscape(given: Any, name: str = "landscape") -> None:
    """TypeError, naming the parameter, unless it is a landscape."""
    if not isinstance(given, Landscape):
        raise TypeError(
            f"{name} must be a Landscape, got {type(given).__name__}; "
            "Landscape.from_points and from_grid make one of arrays"
        )


def check_trials(given: Any, expected: str = "a TrialLog") -> None:
    """TypeError, saying what is expected, unless it is a trial log."""
    if isinstance(given, TrialLog):
        return
    kept = [
        name for name in ("trials", "trials_") if isinstance(getattr(given, name, None), TrialLog)
    ]
    hint = f"; give its {kept[0]}" if kept else ""
    raise TypeError(f"trials must be {expected}, got {type(given).__name__}{hint}")


def _ignored_vary(trials: Sequence[Trial], space: SearchSpace, axes: Iterable[Axis]) -> bool:
    """Whether trials differ along a dimension that is none of the axes."""
    names = {axis.name for axis in axes}
    return any(
        parameter.name not in names and len({trial.key[j] for trial in trials}) > 1
        for j, parameter in enumerate(space.parameters)
    )


def _mean_per_group(
    group: np.ndarray, z: np.ndarray, n_groups: int, noise: float | None
) -> tuple[np.ndarray, float | None]:
    """Mean of the finite values in each group, NaN without any, (n_groups,); its noise variance."""
    is_known = np.isfinite(z)
    sums = np.bincount(group[is_known], weights=z[is_known], minlength=n_groups)
    counts = np.bincount(group[is_known], minlength=n_groups)
    means = np.full(n_groups, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    different = np.unique(counts[counts > 0])
    if noise and len(different) > 0:  # no noise has no mean either
        noise = noise / int(different[0]) if len(different) == 1 else None
    return means, noise


def _checked_scores(scores: Any, failed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the scores, NaN where failed, and of the failures."""
    z = _numbers("scores", scores)
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


def _numbers(what: str, given: Any) -> np.ndarray:
    """A copy as floats, NaN where masked; an error that names what is none."""
    try:
        if np.iscomplexobj(given):
            raise TypeError("complex numbers have no order")
        if np.ma.isMaskedArray(given):
            given = np.ma.filled(given.astype(float), np.nan)
        return np.array(given, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(f"{what} must be an array of numbers: {error}") from None


def _table(given: Any) -> np.ndarray:
    """Values in rows; what is no array keeps the type of each."""
    return given if isinstance(given, np.ndarray) else np.array(given, dtype=object)


def _checked_variance(variance: float) -> float:
    is_number = isinstance(variance, Real) and not isinstance(variance, bool)
    if not (is_number and variance >= 0 and math.isfinite(variance)):
        raise ValueError(f"noise_variance must be a number of at least 0, got {variance!r}")
    return float(variance)
