"""ZoomPathDisplay: the nested windows that led to the best trial."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner.report.drawing import (
    BEST,
    COLOR,
    FAILED,
    axes_of,
    best_of,
    floor_of,
    legend_above,
    say,
    short,
    trials_of,
)
from fractal_tuner.trials import Trial, TrialLog, Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fractal_tuner.dimensions import Dimension
    from fractal_tuner.space import SearchSpace

_MOST_TICKS = 12
_MARGIN = 0.03  # of the axis, beyond the space
_FEW_DECADES, _HALF_DECADE = 300.0, 5.0  # ratios of the ends of an axis
_ROOM_FOR_TEXT = 0.05  # of the axis
_LINE_LENGTH = 50  # letters beside each other
_GOLDEN = 0.618034


class ZoomPathDisplay:
    """The windows that led to the best trial, over the trials of one or two dimensions.

    A window belongs to the path if it proposed the best trial, or the trial in the middle of
    another window of the path. Scores are colours; with one dimension they are the other axis.
    Trials in which a shown dimension is inactive are left out. Of each level which the path does
    not visit, the window that proposed its best trial is drawn in dashes.

    Make one with :meth:`from_search` or :meth:`from_trials`.

    Attributes
    ----------
    dims : tuple of str
        One or two dimensions that are shown.
    unit : ndarray of float, shape (n_trials, n_dims)
        Unit coordinates of the told trials in which ``dims`` are active.
    score : ndarray of float, shape (n_trials,)
        NaN where a trial failed.
    trial : ndarray of int, shape (n_trials,)
        Numbers of the trials, counted from 1.
    best : int or None
        Number of the marked trial.
    path : list of Window
        From the whole space to the window that proposed the best trial.
    others : list of Window
        For each level not on the path, the window that proposed the best trial of that level.
    region : ndarray of float, shape (n_dims, 2)
        Sides, in unit coordinates, of a box that holds the best quarter of the trials.
    n_hidden : int
        Told trials left out because a shown dimension was inactive.
    floor : float
        Lowest score with a colour of its own.
    ax_ : matplotlib Axes
        Set by :meth:`plot`, like ``figure_``.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1), "y": Real(1, 9, log=True)}, max_trials=20, seed=0)
    >>> _ = search.run(lambda x, y: -((x - 0.3) ** 2) - (y - 2) ** 2)
    >>> display = ZoomPathDisplay.from_search(search).plot()
    >>> display.dims, display.unit.shape, display.path[0].level
    (('x', 'y'), (20, 2), 0)
    """

    def __init__(
        self,
        space: SearchSpace,
        parameters: Sequence[int],
        trials: Sequence[Trial],
        path: Sequence[Window],
        others: Sequence[Window] = (),
        *,
        best: int | None = None,
        score_name: str = "score",
    ) -> None:
        units = np.array([space.unit(t.key)[list(parameters)] for t in trials])
        units = units.reshape(len(trials), len(parameters))
        shown = ~np.isnan(units).any(axis=1)
        self.unit = units[shown]
        self.score = np.array([t.score for t in trials], dtype=float)[shown]
        self.trial = np.array([t.id + 1 for t in trials], dtype=int)[shown]
        self.best = None if best is None else best + 1
        self.path = list(path)
        self.n_hidden = int((~shown).sum())
        self.floor = floor_of(self.score)
        self.score_name = score_name
        self.dims = tuple(str(space.parameters[i].name) for i in parameters)
        self._scales = [_Scale(space.parameters[i].dimension) for i in parameters]
        self._places = np.column_stack(
            [
                scale.place(scale.spread(self.unit[:, j], self.trial))
                for j, scale in enumerate(self._scales)
            ]
        )
        self.others = list(others)
        self._sides = {
            window: [(window.lower[i], window.upper[i]) for i in parameters]
            for window in (*self.path, *self.others)
        }
        self.region = self._region()

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        *,
        dims: str | Sequence[str] | None = None,
        best: int | None = None,
        score_name: str = "score",
    ) -> Self:
        """The display of trials; running ones are left out.

        Parameters
        ----------
        trials : TrialLog
        dims : str or sequence of str, optional
            One or two dimensions to show. Without it, the first two that the best trial uses,
            numbers before categories.
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            Label of the scores.

        Raises
        ------
        ValueError
            If ``dims`` are not one or two different names of the space.
        """
        told = [t for t in trials if t.status != "running"]
        marked = best_of(told) if best is None else trials[best]
        path = _path(trials, marked)
        return cls(
            trials.space,
            _parameters(trials.space, dims, marked),
            told,
            path,
            _others(told, path),
            best=None if marked is None else marked.id,
            score_name=score_name,
        )

    @classmethod
    def from_search(
        cls, search: Any, *, dims: str | Sequence[str] | None = None, score_name: str = "score"
    ) -> Self:
        """The display of a search.

        Parameters
        ----------
        search : ZoomSearch, FactorialZoom, FractalTuner, or fitted FractalSearchCV
        dims, score_name
            As in :meth:`from_trials`.

        Raises
        ------
        TypeError
            If the search has no trials.
        ValueError
            If ``dims`` are not one or two different names of the space.
        """
        log, best = trials_of(search)
        return cls.from_trials(log, dims=dims, best=best, score_name=score_name)

    def plot(self, ax: Axes | None = None, *, near: bool = False) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without it, on a new figure.
        near : bool, default=False
            Draw ``region`` instead of the whole space, and neither colour bar nor legend.
        """
        self.ax_, self.figure_ = ax, _ = axes_of(ax, (7.0, 5.0))
        for j, (side, name) in enumerate(zip("xy", self.dims, strict=False)):
            self._scales[j].label(ax, side, name, self.region[j] if near else None)
        if len(self.dims) == 1:
            ax.set_ylabel(self.score_name)
        self._draw_windows(ax, near)
        self._draw_trials(ax, near)
        if self.n_hidden:
            what = "trial does" if self.n_hidden == 1 else "trials do"
            names = " and ".join(map(short, self.dims))
            ax.plot([], [], " ", label=f"{self.n_hidden} {what} not use {names}")
        if not len(self.trial):
            say(ax, "no trials yet")
        if not near and ax.get_legend_handles_labels()[0]:
            legend_above(ax)
        ax.spines[["top", "right"]].set_visible(False)
        return self

    def _draw_trials(self, ax: Axes, near: bool) -> None:
        """Scores as colours or, with one dimension, as heights; failures, and the best."""
        flat = len(self.dims) == 1
        x = self._places[:, 0]
        y = self.score if flat else self._places[:, 1]
        failed = np.isnan(self.score)
        below = self.score < self.floor
        at_edge = ax.get_xaxis_transform()
        if flat:
            inside = ~failed & ~below
            ax.plot(x[inside], y[inside], "o", color=COLOR, markersize=5, alpha=0.8)
            if below.any():
                ax.plot(
                    x[below],
                    np.full(below.sum(), 0.02),
                    "v",
                    color=COLOR,
                    label="below this range",
                    transform=at_edge,
                )
        elif not failed.all():
            top = float(np.nanmax(self.score))
            spare = 0.0 if top > self.floor else max(abs(top), 1.0) * 1e-3
            dots = ax.scatter(
                x[~failed],
                y[~failed],
                c=self.score[~failed],
                vmin=self.floor - spare,
                vmax=top + spare,
                cmap="viridis",
                s=42,
                edgecolors="white",
                linewidths=0.8,
                zorder=3,
            )
            if not near:
                extend = "min" if below.any() else "neither"
                bar = self.figure_.colorbar(dots, ax=ax, extend=extend)
                bar.set_label(self.score_name)
        if failed.any():
            ax.plot(
                x[failed],
                np.full(failed.sum(), 0.02) if flat else y[failed],
                **FAILED,
                label="failed",
                transform=at_edge if flat else ax.transData,
            )
        if (self.trial == self.best).any():
            at = self.trial == self.best
            ax.plot(x[at], y[at], **BEST, label=f"best, trial {self.best}")

    def _region(self) -> np.ndarray:
        order = np.argsort(-self.score, kind="stable")[: int(np.isfinite(self.score).sum())]
        if len(order) < 2:
            return np.tile([0.0, 1.0], (len(self.dims), 1))
        best = self.unit[order[: max(len(order) // 4, 2)]]
        low, high = best.min(axis=0), best.max(axis=0)
        room = np.maximum(0.1 * (high - low), 0.01)
        for j, scale in enumerate(self._scales):
            room[j] = max(room[j], scale.step)
        return np.column_stack([low - room, high + room]).clip(0.0, 1.0)

    def _draw_windows(self, ax: Axes, near: bool) -> None:
        """Rectangles with their levels; whole spaces are left out."""
        from matplotlib.patches import Rectangle

        flat = len(self.dims) == 1
        transform = ax.get_xaxis_transform() if flat else ax.transData
        styles: dict[bool, dict[str, Any]] = {
            True: {"facecolor": (0, 0, 0, 0.04), "edgecolor": "black", "linewidth": 1.6},
            False: {"facecolor": "none", "edgecolor": "#777777", "linewidth": 0.9, "ls": "--"},
        }
        labels = {
            True: "window that led to the best, with its level",
            False: "best window of a further level",
        }
        view = self.region if near else np.tile([0.0, 1.0], (len(self.dims), 1))
        for window in (*self.path, *self.others):
            sides = np.array(self._sides[window])
            if np.all(sides == [0.0, 1.0]):
                continue
            on_path = window in self.path
            (left, right), (low, high) = (
                self._scales[j].place(sides[j]) if j < len(sides) else (0.0, 1.0) for j in range(2)
            )
            ax.add_patch(
                Rectangle(
                    (left, low),
                    right - left,
                    high - low,
                    transform=transform,
                    zorder=2,
                    label=labels.pop(on_path, None),
                    **styles[on_path],
                )
            )
            if np.any(np.ptp(sides, axis=1) < _ROOM_FOR_TEXT * np.ptp(view, axis=1)):
                continue
            ax.annotate(
                str(window.level),
                (left, high),
                xycoords=transform,
                xytext=(2, -2),
                textcoords="offset points",
                va="top",
                fontsize="small" if on_path else "x-small",
                fontweight="bold" if on_path else "normal",
                zorder=4,
                annotation_clip=True,
            )


class _Scale:
    """One dimension as an axis: its own values, on the scale on which it was searched."""

    def __init__(self, dimension: Dimension) -> None:
        from fractal_tuner.dimensions import Quantile

        self._dimension = dimension
        self._low, self._high = 0.0, 1.0
        self.kind = "unit"
        if dimension.is_categorical:
            self.kind = "category"
            self._low, self._high = -0.5, (dimension.n_values or 0) - 0.5
        elif not isinstance(dimension, Quantile):
            with contextlib.suppress(OverflowError):  # an integer may be larger than any float
                low, high = (float(dimension.value(dimension.code(u))) for u in (0.0, 1.0))
                self.kind = "log" if dimension.is_log else "linear"
                self._low, self._high = low, high

    @property
    def step(self) -> float:
        """How far apart, in unit coordinates, values lie at most; all of them for a category."""
        if self.kind == "category":
            return 1.0
        n_values = self._dimension.n_values
        if n_values is None or n_values > _MOST_TICKS:
            return 0.0
        units = [self._dimension.unit(self._dimension.code_at(i)) for i in range(n_values)]
        return float(np.diff(units).max(initial=0.0))

    def place(self, unit: np.ndarray) -> np.ndarray:
        """Where unit coordinates lie on the axis."""
        if self.kind == "log":
            low, high = math.log(self._low), math.log(self._high)
            return np.asarray(np.exp(low + unit * (high - low)))
        return np.asarray(self._low + unit * (self._high - self._low))

    def spread(self, unit: np.ndarray, trial: np.ndarray) -> np.ndarray:
        """Unit coordinates; those of a category beside each other, so that none is hidden."""
        if self.kind != "category":
            return unit
        shift = (trial * _GOLDEN) % 1.0 - 0.5
        return unit + 0.6 * shift / (self._dimension.n_values or 1)

    def label(self, ax: Axes, side: str, name: str, limits: np.ndarray | None = None) -> None:
        """Give side "x" or "y" its scale, ticks, name, and limits from unit coordinates."""
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

        axis = getattr(ax, f"{side}axis")
        ends = np.array((0.0, 1.0) if limits is None else limits)
        low, high = self.place(ends + np.array([-_MARGIN, _MARGIN]) * np.ptp(ends))
        if self.kind == "log":
            ax.set(**{f"{side}scale": "log"})
            if high / low < _FEW_DECADES:  # powers of ten alone would be too few ticks
                few = high / low < _HALF_DECADE
                axis.set_major_locator(
                    MaxNLocator(5) if few else LogLocator(subs=(1.0, 2.0, 5.0), numticks=99)
                )
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
        elif self.kind == "category":
            choices = self._dimension.describe()["choices"]
            every = -(-len(choices) // _MOST_TICKS)
            texts = [short(choice) for choice in choices[::every]]
            steep = side == "x" and sum(map(len, texts)) > _LINE_LENGTH
            style = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if steep else {}
            axis.set_ticks(range(0, len(choices), every), texts, **style)
        elif self.kind == "unit":
            ticks = np.linspace(ends[0], ends[1], 5)
            values = [self._dimension.value(self._dimension.code(u)) for u in ticks]
            axis.set_ticks(ticks, [f"{Decimal(value):.3g}" for value in values])
        elif self._dimension.n_values is not None and self._is_whole():
            axis.set_major_locator(MaxNLocator(integer=True))
        ax.set(**{f"{side}lim": (low, high), f"{side}label": short(name)})

    def _is_whole(self) -> bool:
        """Whether the ends are whole numbers, so that the ticks should be."""
        return self._low.is_integer() and self._high.is_integer()


def _path(trials: TrialLog, best: Trial | None) -> list[Window]:
    """The window that proposed the best trial, that of the trial in its middle, and so on."""
    path: list[Window] = []
    trial = best
    while trial is not None:
        path.insert(0, trial.window)
        trial = None if trial.window.center is None else trials[trial.window.center]
    return path


def _others(told: Sequence[Trial], path: Sequence[Window]) -> list[Window]:
    """For each level that ``path`` leaves out, the window of its best trial."""
    levels = {t.level for t in told} - {w.level for w in path} - {0}
    best = (best_of(t for t in told if t.level == level) for level in sorted(levels))
    return [trial.window for trial in best if trial is not None]


def _parameters(
    space: SearchSpace, dims: str | Sequence[str] | None, best: Trial | None
) -> list[int]:
    """Positions in ``space.parameters`` of the dimensions to show."""
    used = [
        i
        for i, p in enumerate(space.parameters)
        if p.name is not None and (best is None or best.key[i] is not None)
    ]
    if dims is None:
        # sorted() is stable: numbers first, then categories, then dimensions with a single value
        named = [i for i, p in enumerate(space.parameters) if p.name is not None]
        ranked = sorted(used or named, key=lambda i: _rank(space.parameters[i].dimension))
        return sorted(ranked[:2])
    names = (dims,) if isinstance(dims, str) else tuple(dims)
    if not 1 <= len(names) <= 2 or len(set(names)) < len(names) or set(names) - set(space.names):
        raise ValueError(
            f"dims must be one or two different names of {list(space.names)}, got {dims!r}"
        )
    # In a union a name may stand for several parameters; the best trial says which.
    places = {p.name: i for i, p in reversed(list(enumerate(space.parameters)))}
    places |= {space.parameters[i].name: i for i in used}
    return [places[name] for name in names]


def _rank(dimension: Dimension) -> int:
    return 2 if dimension.n_values == 1 else int(dimension.is_categorical)
