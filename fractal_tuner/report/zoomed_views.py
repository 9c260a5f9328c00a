"""ZoomedViewsDisplay: the scores at successive levels of zoom, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.display import Display, Told, marked_of
from fractal_tuner.report.drawing import (
    BEST,
    DOTS,
    FOREGROUND,
    color_bar,
    color_range,
    legend_above,
    panels,
    say,
    say_instead,
    score_dots,
    short,
    unscored,
)
from fractal_tuner.report.zoom_path import checked_dims, path_to
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_VIEWS = 4
_FACTORS = (1.0, 4.0, 16.0)  # of views where no windows were recorded


class ZoomedViewsDisplay(Display):
    """The trials in the whole space and in ever smaller windows around the best, side by side.

    The windows are those of :class:`ZoomPathDisplay`; where none led to the best, boxes 4 and 16
    times smaller than the space. Each view has its own colours: what looks flat from afar may be
    rough from near, and the scale says by how little. The next view is outlined in the one before.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Attributes
    ----------
    dims : tuple of str
        One or two dimensions that are shown.
    views : list of ndarray of float, shape (n_dims, 2)
        Sides of each window in unit coordinates, the whole space first.
    names : list of str
        What each view is.
    inside : list of ndarray of bool, shape (n_trials,)
        Which trials lie in each view; in the dimensions that are not shown, they may lie anywhere.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1), "y": Real(1, 9, log=True)}, max_trials=20, seed=0)
    >>> _ = search.run(lambda x, y: -((x - 0.3) ** 2) - (y - 2) ** 2)
    >>> display = ZoomedViewsDisplay.from_search(search)
    >>> display.names[0], int(display.inside[0].sum())
    ('whole space', 20)
    """

    title = "Zoomed views"

    def __init__(
        self,
        told: Told,
        views: Sequence[np.ndarray],
        names: Sequence[str],
        *,
        score_name: str = "score",
    ) -> None:
        shown = ~np.isnan(told.unit).any(axis=1)
        self.dims, self._scales = told.names, told.scales
        self.unit, self.score, self.trial = told.unit[shown], told.score[shown], told.trial[shown]
        self._pruned = told.pruned[shown]
        self.best, self.score_name = told.best, score_name
        self.views, self.names = list(views), list(names)
        self.inside = [
            ((self.unit >= view[:, 0] - 1e-9) & (self.unit <= view[:, 1] + 1e-9)).all(axis=1)
            for view in self.views
        ]
        self.size = (3.4 * max(len(self.views), 1) + 0.6, 3.9)
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
            Id of the trial in the middle; without it, that of the highest score.
        score_name : str, default="score"
            What the scores are called.
        dims : str or sequence of str, optional
            One or two dimensions, as in :meth:`ZoomPathDisplay.from_trials`.

        Raises
        ------
        ValueError
            If ``dims`` are not one or two different names of the space.
        """
        marked = marked_of([t for t in trials if t.status != "running"], best)
        told = Told.of(trials, checked_dims(trials, dims, marked), best=best)
        at = told.unit[told.trial == told.best]
        whole = np.tile([0.0, 1.0], (len(told.names), 1))
        views, names = [whole], ["whole space"]
        if marked is not None and not np.isnan(at).any():
            for window in path_to(trials, marked)[0]:
                sides = np.array([(window.lower[i], window.upper[i]) for i in told.parameters])
                # A window may be narrower than the step of an integer.
                sides = np.stack(
                    [np.minimum(sides[:, 0], at[0]), np.maximum(sides[:, 1], at[0])], 1
                )
                if np.prod(np.ptp(sides, axis=1)) < 0.9 * np.prod(np.ptp(views[-1], axis=1)):
                    views.append(sides)
                    names.append(f"window of level {window.level}")
            if len(views) == 1:
                views, names = _boxes(told, at[0])
        if len(views) > _MOST_VIEWS:  # both ends, and evenly between
            kept = np.linspace(0, len(views) - 1, _MOST_VIEWS).round().astype(int)
            views, names = [views[i] for i in kept], [names[i] for i in kept]
        return cls(told, views, names, score_name=score_name)

    def table(self) -> list[dict[str, Any]]:
        """For each view: its sides, the trials in it, and their lowest and highest score."""
        rows = []
        for name, view, inside in zip(self.names, self.views, self.inside, strict=True):
            row: dict[str, Any] = {"view": name}
            for dim, scale, (low, high) in zip(self.dims, self._scales, view, strict=True):
                row[f"{dim} from"], row[f"{dim} to"] = scale.value(low), scale.value(high)
            scores = self.score[inside & ~np.isnan(self.score)]
            row |= {"trials": int(inside.sum())}
            ends = (float(scores.min()), float(scores.max())) if len(scores) else (None, None)
            rows.append(row | {"lowest score": ends[0], "highest score": ends[1]})
        return rows

    def _describe(self) -> str:
        parts = []
        for row in self.table():
            text = f"{row['view']}: {words.count(row['trials'], 'trial')}"
            if row["lowest score"] is not None:
                low, high = words.number(row["lowest score"]), words.number(row["highest score"])
                text += f", {words.clean(self.score_name)} {low} to {high}"
            parts.append(text)
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}."

    def _draw(self, ax: Axes) -> None:
        if not len(self.trial):
            say_instead(ax, "no trials yet")
            return
        head, axes = panels(ax, range(len(self.views)), _MOST_VIEWS)
        self._explain(head)
        for k, (panel, view, inside) in enumerate(zip(axes, self.views, self.inside, strict=True)):
            self._draw_view(panel, view, inside)
            panel.set_title(f"{self.names[k]}\n{words.count(int(inside.sum()), 'trial')}", size=9)
            if k + 1 < len(self.views) and len(self.dims) == 2:
                self._outline(panel, self.views[k + 1])

    def _explain(self, ax: Axes) -> None:
        """A legend for all views, above them."""
        if (self.trial == self.best).any():
            ax.plot([], [], **BEST | {"markersize": 12}, label=f"best, trial {self.best}")
        for _, mark, name in unscored(self.score, self._pruned):
            ax.plot([], [], **mark, label=name)
        several = len(self.views) > 1 and len(self.dims) == 2
        legend_above(ax, "frames: the next view; each view has its own colours" if several else "")

    def _draw_view(self, ax: Axes, view: np.ndarray, inside: np.ndarray) -> None:
        unit, score, trial = self.unit[inside], self.score[inside], self.trial[inside]
        places = [
            scale.place(scale.spread(unit[:, j], trial)) for j, scale in enumerate(self._scales)
        ]
        for side, scale, name, ends in zip("xy", self._scales, self.dims, view, strict=False):
            scale.label(ax, side, name, ends, letters=24 if side == "x" else 50)
            ax.tick_params(labelsize=8)
        scored = ~np.isnan(score)
        if len(self.dims) == 1:
            ax.set_ylabel(short(self.score_name))
            ax.plot(places[0], score, **DOTS)
            places.append(np.where(scored, score, 0.02))
        elif scored.any():
            shown = color_range(score)
            dots = score_dots(ax, places[0], places[1], score, shown)
            if np.nanmin(score) < np.nanmax(score):
                below = bool(np.nanmin(score) < shown[0])
                color_bar(ax, dots, self.score_name, below=below, location="bottom", pad=0.03)
        transform = ax.get_xaxis_transform() if len(self.dims) == 1 else ax.transData
        for gone, mark, _ in unscored(score, self._pruned[inside]):
            ax.plot(places[0][gone], places[1][gone], **mark, transform=transform)
        at = trial == self.best
        if at.any():
            ax.plot(places[0][at], places[1][at], **BEST)
        if not inside.any():
            say(ax, "no trials here")

    def _outline(self, ax: Axes, view: np.ndarray) -> None:
        from matplotlib.patches import Rectangle

        (left, right), (low, high) = (
            scale.place(sides) for scale, sides in zip(self._scales, view, strict=True)
        )
        style: dict[str, Any] = {"facecolor": "none", "edgecolor": FOREGROUND, "linewidth": 1.4}
        ax.add_patch(Rectangle((left, low), right - left, high - low, zorder=4, **style))


def _boxes(told: Told, middle: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
    """The whole space, and boxes around a place that still hold some trials."""
    views, names = [], []
    for factor in _FACTORS:
        is_number = np.array([scale.kind != "category" for scale in told.scales])
        half = np.where(is_number, 0.5 / factor, 0.5)
        low = np.clip(middle - half, 0.0, 1.0 - 2 * half)
        view = np.column_stack([low, low + 2 * half])
        inside = ((told.unit >= view[:, 0]) & (told.unit <= view[:, 1])).all(axis=1)
        if factor == 1.0 or inside.sum() >= 3:
            views.append(view)
            names.append("whole space" if factor == 1.0 else f"{factor:g} times nearer")
    return views, names
