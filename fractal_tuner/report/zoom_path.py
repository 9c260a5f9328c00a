"""ZoomPathDisplay: the nested windows by which the search came to the best trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.display import Display, Told, marked_of, two_dimensions
from fractal_tuner.report.drawing import (
    BACKGROUND,
    BEST,
    COLOR,
    DOTS,
    FOREGROUND,
    MANY,
    axes_of,
    best_of,
    color_bar,
    color_range,
    floor_of,
    legend_above,
    say,
    score_dots,
    short,
    styled,
    unscored,
)
from fractal_tuner.report.scales import Scale
from fractal_tuner.trials import Trial, TrialLog, Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL = 0.06  # room for the number of a level, as a share of the view
_SAME = 1e-9


class ZoomPathDisplay(Display):
    """The windows by which the search came to the best trial, over one or two dimensions.

    Drawn are, for each level up to that of the best trial, the last window that the search looked
    at before and that contains the best. Others led elsewhere; they are counted. Scores are
    colours; with one dimension they are the other axis. Trials in which a shown dimension is
    inactive are left out.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Attributes
    ----------
    dims : tuple of str
        One or two dimensions that are shown.
    unit : ndarray of float, shape (n_trials, n_dims)
        Unit coordinates of the told trials in which ``dims`` are active.
    score : ndarray of float, shape (n_trials,)
        NaN where a trial failed or was pruned.
    trial : ndarray of int, shape (n_trials,)
        Numbers of the trials, counted from 1.
    best : int or None
        Number of the marked trial.
    path : list of Window
        Windows that contain the best trial, the largest first, the last one that it was proposed
        from. Empty if no trial succeeded.
    n_detours : int
        Windows before the best trial that do not contain it.
    has_windows : bool
        Whether any trial was proposed from less than the whole space.
    region : ndarray of float, shape (n_dims, 2)
        Sides, in unit coordinates, of a box that holds the best quarter of the trials.
    n_hidden : int
        Told trials left out because a shown dimension was inactive.
    floor : float
        Lowest score with a colour of its own.
    note : str
        What the picture cannot show, in words.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1), "y": Real(1, 9, log=True)}, max_trials=20, seed=0)
    >>> _ = search.run(lambda x, y: -((x - 0.3) ** 2) - (y - 2) ** 2)
    >>> display = ZoomPathDisplay.from_search(search).plot()
    >>> display.dims, display.unit.shape, display.path[0].level
    (('x', 'y'), (20, 2), 0)
    """

    title = "Zoom path"
    size = (7.0, 5.4)

    def __init__(
        self,
        told: Told,
        path: Sequence[Window],
        *,
        n_detours: int = 0,
        has_windows: bool = True,
        levels: Sequence[dict[str, Any]] = (),
        n_dims: int | None = None,
        score_name: str = "score",
    ) -> None:
        shown = ~np.isnan(told.unit).any(axis=1)
        self.dims = told.names
        self.unit, self.score = told.unit[shown], told.score[shown]
        self.trial, self.best = told.trial[shown], told.best
        self._pruned = told.pruned[shown]
        self.path = list(path)
        self.n_detours, self.has_windows = n_detours, has_windows
        self.n_hidden = int((~shown).sum())
        self.floor = floor_of(self.score)
        self.score_name = score_name
        self._levels = list(levels)
        self._scales: tuple[Scale, ...] = told.scales
        self._places = np.column_stack(
            [
                scale.place(scale.spread(self.unit[:, j], self.trial))
                for j, scale in enumerate(self._scales)
            ]
        )
        self._sides = [
            np.array([(window.lower[i], window.upper[i]) for i in told.parameters])
            for window in self.path
        ]
        self.region = self._region()
        self.note = self._noted(len(told.names) if n_dims is None else n_dims)
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        *,
        best: int | None = None,
        score_name: str = "score",
        dims: str | Sequence[str] | None = None,
    ) -> Self:
        """The display of trials; running ones are left out.

        Parameters
        ----------
        trials : TrialLog
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            Label of the scores.
        dims : str or sequence of str, optional
            One or two dimensions to show. Without it, the first two that the best trial uses,
            numbers before categories.

        Raises
        ------
        ValueError
            If ``dims`` are not one or two different names of the space.
        """
        told = [t for t in trials if t.status != "running"]
        marked = marked_of(told, best)
        path, n_detours = path_to(trials, marked)
        return cls(
            Told.of(trials, checked_dims(trials, dims, marked), best=best),
            path,
            n_detours=n_detours,
            has_windows=any(t.level > 0 for t in told),
            levels=_by_level(told, path),
            n_dims=sum(
                p.name is not None and p.dimension.n_values != 1 for p in trials.space.parameters
            ),
            score_name=score_name,
        )

    def plot(self, ax: Axes | None = None, *, near: bool = False, colorbar: bool = True) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without it, on a new figure.
        near : bool, default=False
            Draw ``region`` instead of the whole space, and no legend.
        colorbar : bool, default=True
            Draw what the colours mean.
        """
        with styled():
            self.ax_, self.figure_ = axes_of(ax, self.size)
            self._draw(self.ax_, near=near, colorbar=colorbar)
        return self

    def table(self) -> list[dict[str, Any]]:
        """For each level: trials that windows of it proposed, their best score, their window."""
        return self._levels[:300]

    def _draw(self, ax: Axes, *, near: bool = False, colorbar: bool = True) -> None:
        for j, (side, name) in enumerate(zip("xy", self.dims, strict=False)):
            self._scales[j].label(ax, side, name, self.region[j] if near else None)
        if len(self.dims) == 1:
            ax.set_ylabel(short(self.score_name))
        self._draw_windows(ax, near)
        self._draw_trials(ax, colorbar)
        if not len(self.trial):
            say(ax, "no trials yet")
        if not near:
            legend_above(ax, self.note)

    def _draw_trials(self, ax: Axes, colorbar: bool) -> None:
        """Scores as colours or, with one dimension, as heights; failures, and the best."""
        flat = len(self.dims) == 1
        x = self._places[:, 0]
        y = self.score if flat else self._places[:, 1]
        scored = ~np.isnan(self.score)
        below = self.score < self.floor
        at_edge = ax.get_xaxis_transform()
        if flat:
            inside = scored & ~below
            ax.plot(x[inside], y[inside], **DOTS, rasterized=len(x) > MANY)
            if below.any():
                ax.plot(
                    x[below],
                    np.full(below.sum(), 0.02),
                    "v",
                    color=COLOR,
                    label="below this range",
                    transform=at_edge,
                )
        elif scored.any():
            dots = score_dots(ax, x, y, self.score, color_range(self.score))
            if colorbar and len(np.unique(self.score[scored])) > 1:
                color_bar(ax, dots, self.score_name, below=bool(below.any()))
        for gone, mark, name in unscored(self.score, self._pruned):
            ax.plot(
                x[gone],
                np.full(gone.sum(), 0.02) if flat else y[gone],
                **mark,
                label=name,
                transform=at_edge if flat else ax.transData,
            )
        if (self.trial == self.best).any():
            at = self.trial == self.best
            ax.plot(x[at], y[at], **BEST, label=f"best, trial {self.best}")

    def _draw_windows(self, ax: Axes, near: bool) -> None:
        """Rectangles with their levels; whole spaces are left out."""
        from matplotlib.patches import Rectangle

        flat = len(self.dims) == 1
        transform = ax.get_xaxis_transform() if flat else ax.transData
        view = self.region if near else np.tile([0.0, 1.0], (len(self.dims), 1))
        label: str | None = "windows around the best, by level"
        taken: list[np.ndarray] = []
        for window, sides in zip(self.path, self._sides, strict=True):
            if np.all(sides == [0.0, 1.0]):
                continue
            (left, right), (low, high) = (
                self._scales[j].place(sides[j]) if j < len(sides) else np.array([0.0, 1.0])
                for j in range(2)
            )
            ax.add_patch(
                Rectangle(
                    (left, low),
                    right - left,
                    high - low,
                    transform=transform,
                    facecolor="none",
                    edgecolor=FOREGROUND,
                    linewidth=1.4,
                    zorder=2,
                    label=label,
                )
            )
            label = None
            corner = _free_corner(sides, view, taken)
            if corner is None:
                continue
            at = [
                self._scales[j].place(corner[j]) if j < len(sides) else corner[j] for j in range(2)
            ]
            ax.annotate(
                str(window.level),
                (float(at[0]), float(at[1])),
                xycoords=transform,
                ha="center",
                va="center",
                fontsize="small",
                fontweight="bold",
                zorder=4,
                annotation_clip=True,
                bbox={"facecolor": BACKGROUND, "edgecolor": "none", "pad": 1.0, "alpha": 0.8},
            )

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

    def _noted(self, n_dims: int) -> str:
        notes = []
        if n_dims > len(self.dims):
            notes.append(
                f"{len(self.dims)} of {n_dims} dimensions: trials that differ in the others lie "
                "on each other"
            )
        if self.n_hidden:
            names = " and ".join(map(short, self.dims))
            notes.append(f"{words.count(self.n_hidden, 'trial')} without {names} left out")
        scores = self.score[~np.isnan(self.score)]
        if len(scores) and len(self.dims) > 1 and scores.min() == scores.max():
            what = "all scores are" if len(scores) > 1 else "its score is"
            notes.append(f"{what} {words.number(float(scores[0]))}")
        if len(self.trial) and not self.has_windows:
            notes.append("no zoom windows were recorded")
        elif self.best is not None and len(self.path) == 1:
            notes.append("the best was proposed from the whole space: no zoom led to it")
        return "\n".join(notes)

    def _describe(self) -> str:
        names = words.listing(map(words.clean, self.dims))
        text = f"{words.count(len(self.trial), 'trial')} over {names}"
        if self.best is None:
            return f"{text}; none succeeded." if len(self.trial) else f"{text}."
        levels = [window.level for window in self.path if window.level]
        at = self.trial == self.best
        text += f"; the best is trial {self.best}"
        if at.any():
            score = words.number(float(self.score[at][0]))
            text += f" with {words.clean(self.score_name)} {score}"
        if levels:
            text += (
                f". {words.count(len(levels), 'window')} around it, of level "
                f"{words.listing(map(str, levels))}, led there"
            )
            if self.n_detours:
                text += f"; {words.count(self.n_detours, 'window')} before it led elsewhere"
        notes = [line[0].upper() + line[1:] for line in self.note.split("\n") if line]
        text = ". ".join([text, *notes])
        return text.replace(r"\$", "$") + "."


def path_to(trials: TrialLog, best: Trial | None) -> tuple[list[Window], int]:
    """The windows by which the search came to a trial, and how many there were beside it.

    For each level up to that of the trial, the last window that was looked at before and contains
    it; and the number of the other windows before it that do not.
    """
    if best is None:
        return [], 0
    before = list(dict.fromkeys(t.window for t in trials if t.id <= best.id))
    place = trials.space.unit(best.key)
    low = np.array([window.lower for window in before]) - _SAME
    high = np.array([window.upper for window in before]) + _SAME
    outside = (place < low) | (place > high)  # NaN, inactive, is neither
    holds = np.logical_not(np.any(outside, axis=1))
    last = {w.level: w for w, is_in in zip(before, holds, strict=True) if is_in}
    last[best.level] = best.window
    levels = sorted(level for level in last if level <= best.level)
    return [last[level] for level in levels], int((~holds).sum())


def checked_dims(
    trials: TrialLog, dims: str | Sequence[str] | None, best: Trial | None
) -> list[str]:
    """One or two names: those given, or the first two that the best trial uses."""
    names = list(trials.space.names)
    if dims is None:
        return two_dimensions(trials.space, best)
    given = [dims] if isinstance(dims, str) else list(dims)
    if not 1 <= len(given) <= 2 or len(set(given)) < len(given) or set(given) - set(names):
        raise ValueError(f"dims must be one or two different names of {names}, got {dims!r}")
    return given


def _by_level(told: Sequence[Trial], path: Sequence[Window]) -> list[dict[str, Any]]:
    """What each level brought."""
    rows = []
    on_path = {window.level for window in path}
    for level in sorted({t.level for t in told}):
        here = [t for t in told if t.level == level]
        best = best_of(here)
        rows.append(
            {
                "level": level,
                "trials": len(here),
                "best score": None if best is None else best.score,
                "best trial": None if best is None else best.id + 1,
                "on the path": level in on_path,
            }
        )
    return rows


def _free_corner(sides: np.ndarray, view: np.ndarray, taken: list[np.ndarray]) -> np.ndarray | None:
    """Where the number of a level has room, just inside a corner of its window.

    Unit coordinates, shape (2,); of one dimension the other is a height. ``taken`` are the places
    of other numbers, in shares of the view.
    """
    if len(sides) == 1:
        sides, view = np.vstack([sides, [0.0, 1.0]]), np.vstack([view, [0.0, 1.0]])
    scaled = (sides - view[:, :1]) / np.ptp(view, axis=1, keepdims=True)
    if np.any(np.ptp(scaled, axis=1) < 1.2 * _LABEL):
        return None
    inset = np.array([_LABEL / 2, -_LABEL / 2])
    for x in scaled[0] + inset:
        for y in (scaled[1] + inset)[::-1]:
            place = np.array([x, y])
            is_in = np.all((place >= 0) & (place <= 1))
            if is_in and all(np.abs(place - other).max() >= _LABEL for other in taken):
                taken.append(place)
                return np.asarray(view[:, 0] + place * np.ptp(view, axis=1))
    return None
