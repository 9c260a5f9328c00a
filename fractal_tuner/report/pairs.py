"""ContourDisplay: the scores over each pair of dimensions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.axes import Axis
from fractal_tuner.landscape import Landscape
from fractal_tuner.report.display import Display, Told, marked_of, parameters_by_name
from fractal_tuner.report.drawing import (
    BEST,
    FOREGROUND,
    MANY,
    SCORES,
    color_bar,
    color_range,
    legend_above,
    panels,
    say_instead,
    score_dots,
    unscored,
)
from fractal_tuner.report.maps import Map
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_DIMS = 4
_MOST_SCORES = 500  # that a pair is smoothed from
_MOST_CHOSEN_FROM = 200  # that its bandwidth is chosen by, which takes the most time
_CELLS = 24


class ContourDisplay(Display):
    """Smoothed scores over each pair of dimensions, with the trials and lines of equal score.

    What the other dimensions do is averaged by the smoothing. Places far from any trial are crossed
    out and left empty. Where a dimension of a pair is categorical, its trials alone are drawn, in
    the colours of their scores. All panels have one colour scale.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Attributes
    ----------
    dims : tuple of str
        Dimensions that are paired, at most 4.
    maps : dict of (str, str) to Map or None
        Smoothed scores over each pair, the dimension along x first; None where there are none.
    unit : ndarray of float, shape (n_trials, n_dims)
        Unit coordinates; NaN where a dimension is inactive.
    score : ndarray of float, shape (n_trials,)
        NaN where a trial failed or was pruned.
    n_dims : int
        Dimensions of the search that have more than one value.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1), "y": Real(0, 1)}, max_trials=20, seed=0)
    >>> _ = search.run(lambda x, y: -x * x - y)
    >>> display = ContourDisplay.from_search(search)
    >>> [pair for pair, found in display.maps.items() if found is not None]
    [('x', 'y')]
    """

    title = "Scores over pairs of dimensions"

    def __init__(
        self,
        told: Told,
        maps: dict[tuple[str, str], Map | None],
        *,
        n_dims: int | None = None,
        score_name: str = "score",
    ) -> None:
        self.dims, self._scales = told.names, told.scales
        self.unit, self.score, self.trial = told.unit, told.score, told.trial
        self._pruned = told.pruned
        self.best, self.score_name = told.best, score_name
        self.maps = maps
        self.n_dims = len(self.dims) if n_dims is None else n_dims
        n = max(len(self.dims) - 1, 1)
        self.size = (2.7 * n + 2.2, 2.5 * n + 1.0)
        shown = [found.values[found.known] for found in maps.values() if found is not None]
        self._ends = color_range(np.concatenate(shown)) if shown else color_range(self.score)
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        *,
        best: int | None = None,
        score_name: str = "score",
        dims: Sequence[str] | None = None,
    ) -> Self:
        """The display of trials; running ones are left out.

        Parameters
        ----------
        trials : TrialLog
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            What the scores are called.
        dims : sequence of str, optional
            Dimensions to pair; by default the first 4 with more than one value that the best trial
            uses, numbers before categories.

        Raises
        ------
        ValueError
            If ``dims`` are not different names of the space.
        """
        everything = Told.of(trials, best=best)
        if dims is None:
            marked = marked_of([t for t in trials if t.status != "running"], best)
            places = parameters_by_name(trials.space, marked)
            used = [n for n in everything.names if marked is None or n in marked.params]
            numbers_first = sorted(
                used, key=lambda n: trials.space.parameters[places[n]].dimension.is_categorical
            )
            chosen = set(numbers_first[:_MOST_DIMS])
            dims = [name for name in everything.names if name in chosen]
        told = Told.of(trials, dims, best=best)
        pairs = itertools.combinations(range(len(dims)), 2)
        maps = {(dims[i], dims[j]): _smoothed(trials, told, i, j) for i, j in pairs}
        return cls(told, maps, n_dims=len(everything.names), score_name=score_name)

    def table(self) -> list[dict[str, Any]]:
        """For each pair: where the smoothed score is highest near trials, and how high."""
        rows = []
        for pair, found in self.maps.items():
            row: dict[str, Any] = {"pair": " and ".join(pair)}
            if found is not None:
                near = np.where(found.known, found.values, -np.inf)
                i, j = np.unravel_index(int(near.argmax()), near.shape)
                row["highest smoothed score"] = float(near[i, j])
                for name, scale, line, k in zip(
                    ("first", "second"), found.scales, found.lines, (i, j), strict=True
                ):
                    row[f"at {name}"] = scale.value(float(line[k]))
            rows.append(row)
        return rows

    def _describe(self) -> str:
        if len(self.dims) < 2:
            return "There is no pair of dimensions."
        names = words.listing(map(words.clean, self.dims))
        text = f"Smoothed {words.clean(self.score_name)} over the pairs of {names}"
        if self.n_dims > len(self.dims):
            text += f", {len(self.dims)} of {self.n_dims} dimensions"
        if len(np.unique(self.score[np.isfinite(self.score)])) > 1:
            low, high = self._ends
            text += f"; colours from {words.number(low)} to {words.number(high)}"
        missing = sum(found is None for found in self.maps.values())
        if missing:
            text += f". {words.count(missing, 'pair')} without a smooth map: trials only"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        n = len(self.dims)
        if n < 2 or not len(self.trial):
            say_instead(ax, "no trials yet" if n > 1 else "one dimension has no pairs")
            return
        cells = [(row, column) for row in range(n - 1) for column in range(row + 1)]
        corner = [n - 2] if n > 2 else []  # that no pair uses
        head, grid = panels(
            ax, [*corner, *(row * (n - 1) + column for row, column in cells)], n - 1
        )
        notes = [f"{n} of {self.n_dims} dimensions"] if self.n_dims > n else []
        if any(found is not None and not found.known.all() for found in self.maps.values()):
            notes.append("crossed out: no trial is near")
        legend_above(head, "; ".join(notes))
        shown: Any = None
        for panel, (row, column) in zip(grid[len(corner) :], cells, strict=True):
            shown = self._draw_pair(panel, column, row + 1) or shown
            panel.tick_params(labelsize=8, labelbottom=row == n - 2, labelleft=column == 0)
            if row < n - 2:
                panel.set_xlabel("")
            if column:
                panel.set_ylabel("")
        if corner:
            grid[0].set_axis_off()
        if shown is not None and len(np.unique(self.score[np.isfinite(self.score)])) > 1:
            below = bool(np.nanmin(self.score, initial=np.inf) < self._ends[0])
            inside = grid[0].inset_axes((0.3, 0.05, 0.08, 0.9)) if corner else None
            color_bar(grid[0], shown, self.score_name, below=below, cax=inside)

    def _draw_pair(self, ax: Axes, i: int, j: int) -> Any:
        found = self.maps[self.dims[i], self.dims[j]]
        unit = np.column_stack(
            [self._scales[k].spread(self.unit[:, k], self.trial) for k in (i, j)]
        )
        x, y = (self._scales[k].place(u) for k, u in zip((i, j), unit.T, strict=True))
        shown: Any = None
        limits = np.tile([0.0, 1.0], (2, 1))
        active = ~np.isnan(unit).any(axis=1)
        scored = active & np.isfinite(self.score)
        if found is not None:
            limits = found.limits
            shown = found.draw(ax, self._ends, SCORES)
            lines = [s.place(u) for s, u in zip(found.scales, found.lines, strict=True)]
            if np.ptp(found.values[found.known]) > 0:
                style: dict[str, Any] = {"colors": FOREGROUND, "linewidths": 0.6}
                ax.contour(*lines, found.values.T, levels=6, zorder=1.5, **style)
            style = {"markeredgecolor": FOREGROUND, "markeredgewidth": 0.4}
            style |= {"markerfacecolor": "white", "rasterized": scored.sum() > MANY // 6}
            size = 2.6 if scored.sum() <= 300 else 1.4
            ax.plot(x[scored], y[scored], "o", markersize=size, zorder=3, **style)
        elif scored.any():
            shown = score_dots(ax, x[scored], y[scored], self.score[scored], self._ends)
        for which, mark, _ in unscored(self.score, self._pruned):
            gone = active & which
            ax.plot(x[gone], y[gone], **mark | {"markersize": 4})
        at = active & (self.trial == self.best)
        if at.any():
            ax.plot(x[at], y[at], **BEST | {"markersize": 11})
        for side, k, ends in zip("xy", (i, j), limits, strict=True):
            self._scales[k].label(ax, side, self.dims[k], ends, letters=24)
        return shown


def _smoothed(trials: TrialLog, told: Told, i: int, j: int) -> Map | None:
    """Smoothed scores over two dimensions; None for categories and too few scores."""
    if "category" in (told.scales[i].kind, told.scales[j].kind):
        return None
    shown = np.flatnonzero(np.isfinite(told.score) & ~np.isnan(told.unit[:, [i, j]]).any(axis=1))
    if not len(shown):
        return None
    parameters = (trials.space.parameters[told.parameters[k]] for k in (i, j))
    axes = tuple(Axis(str(p.name), p.dimension) for p in parameters)
    places, scores = told.unit[shown][:, [i, j]], told.score[shown]
    measured = replace(Landscape.from_points(places, scores), axes=axes)
    some = measured
    if len(shown) > _MOST_SCORES:
        few = np.sort(np.random.default_rng(0).choice(len(shown), _MOST_SCORES, replace=False))
        some = replace(Landscape.from_points(places[few], scores[few]), axes=axes)
    try:
        found = Map.smoothed(some, _CELLS, _bandwidth(some), measured=measured)
    except ValueError:  # too few, or on a line
        return None
    if not found.known.any():  # they lie between the cells
        return None
    return found


def _bandwidth(points: Landscape) -> np.ndarray | None:
    """Of many points the best bandwidth of some, narrower as ``n^(-1 / 6)``; None: choose."""
    places, scores = points.known
    if len(scores) <= _MOST_CHOSEN_FROM:
        return None
    some = Landscape.from_points(places[:_MOST_CHOSEN_FROM], scores[:_MOST_CHOSEN_FROM])
    some.smoothed(at=places[:1])  # refuses what has no best bandwidth
    return np.asarray(some.best_bandwidth[0] * (_MOST_CHOSEN_FROM / len(scores)) ** (1 / 6))
