"""SliceDisplay: the scores along each dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.display import Display, Told
from fractal_tuner.report.drawing import (
    BEST,
    FOREGROUND,
    MANY,
    floor_of,
    legend_above,
    panels,
    rows_of,
    say_instead,
    short,
    unscored,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PANELS = 12
_COLUMNS = 4


class SliceDisplay(Display):
    """The score of each trial along each dimension, one panel for each; later trials are darker.

    What the other dimensions do is in the scatter. Trials in which a dimension is inactive are not
    in its panel.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Attributes
    ----------
    dims : tuple of str
        Dimensions that are shown, at most 12.
    unit : ndarray of float, shape (n_trials, n_dims)
        Unit coordinates; NaN where a dimension is inactive.
    score : ndarray of float, shape (n_trials,)
        NaN where a trial failed or was pruned.
    trial : ndarray of int, shape (n_trials,)
        Numbers of the trials, counted from 1.
    best : int or None
        Number of the marked trial.
    n_dims : int
        Dimensions of the search that have more than one value.
    floor : float
        Lowest score drawn in its place; those below are at the edge.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1), "kernel": ["a", "b"]}, max_trials=9, seed=0)
    >>> _ = search.run(lambda x, kernel: x)
    >>> SliceDisplay.from_search(search).dims
    ('x', 'kernel')
    """

    title = "Scores along each dimension"

    def __init__(self, told: Told, *, n_dims: int | None = None, score_name: str = "score") -> None:
        self.dims, self._scales = told.names, told.scales
        self.unit, self.score, self.trial = told.unit, told.score, told.trial
        self._pruned = told.pruned
        self.best, self.score_name = told.best, score_name
        self.n_dims = len(self.dims) if n_dims is None else n_dims
        self.floor = floor_of(self.score)
        n = len(self.dims)
        columns = min(max(n, 1), _COLUMNS)
        self.size = (max(2.6 * columns, 4.5), 2.5 * max(1, -(-n // _COLUMNS)) + 0.3)
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
            Dimensions to show; by default the first 12 that have more than one value.

        Raises
        ------
        ValueError
            If ``dims`` are not different names of the space.
        """
        told, n_dims = Told.of_most(trials, dims, _MOST_PANELS, best=best)
        return cls(told, n_dims=n_dims, score_name=score_name)

    def table(self) -> list[dict[str, Any]]:
        """Trials with their values and scores."""
        values = {
            name: [scale.value(float(u)) for u in self.unit[:, j]]
            for j, (name, scale) in enumerate(zip(self.dims, self._scales, strict=True))
        }
        return rows_of({"trial": self.trial, **values, "score": self.score})

    def _describe(self) -> str:
        text = f"{words.count(len(self.trial), 'trial')} along "
        text += words.listing(map(words.clean, self.dims)) or "no dimension"
        if self.n_dims > len(self.dims):
            text += f", {len(self.dims)} of {self.n_dims} dimensions"
        at = np.flatnonzero(self.trial == self.best)
        if len(at):
            values = words.listing(
                f"{words.clean(name)} = {words.value(scale.value(float(u)))}"
                for name, scale, u in zip(self.dims, self._scales, self.unit[at[0]], strict=True)
                if not np.isnan(u)
            )
            text += f"; the best, trial {self.best}, is at {values}"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        if not len(self.trial) or not self.dims:
            say_instead(ax, "no dimension has two values" if len(self.trial) else "no trials yet")
            return
        head, axes = panels(ax, range(len(self.dims)), _COLUMNS)
        self._explain(head)
        finite = self.score[np.isfinite(self.score)]
        for j, panel in enumerate(axes):
            self._draw_panel(panel, j)
            panel.tick_params(labelsize=8)
            if len(finite):
                low, high = self.floor, float(finite.max())
                room = 0.06 * (high - low) if high > low else max(abs(high), 1.0) * 0.05
                panel.set_ylim(low - 1.5 * room, high + room)
            else:
                panel.set_yticks([])
            if j % _COLUMNS:
                panel.tick_params(labelleft=False)
            else:
                panel.set_ylabel(short(self.score_name))

    def _explain(self, ax: Axes) -> None:
        """A legend for all panels, above them."""
        if (self.trial == self.best).any():
            ax.plot([], [], **BEST | {"markersize": 12}, label=f"best, trial {self.best}")
        if (self.score < self.floor).any():
            ax.plot([], [], "v", color=FOREGROUND, label="below this range", markersize=6)
        for _, style, name in unscored(self.score, self._pruned):
            ax.plot([], [], **style, label=name)
        note = "" if np.isnan(self.score).all() else "later trials are darker"
        if self.n_dims > len(self.dims):
            note += f"; {len(self.dims)} of {self.n_dims} dimensions"
        legend_above(ax, note, n_columns=3)

    def _draw_panel(self, ax: Axes, j: int) -> None:
        scale = self._scales[j]
        x = scale.place(scale.spread(self.unit[:, j], self.trial))
        active = ~np.isnan(self.unit[:, j])
        below = active & (self.score < self.floor)
        shown = active & ~np.isnan(self.score) & ~below
        scale.label(ax, "x", self.dims[j], letters=24)
        ax.scatter(
            x[shown],
            self.score[shown],
            c=self.trial[shown],
            cmap="Blues",
            vmin=-0.3 * len(self.trial),  # the first are not white
            vmax=float(self.trial.max()),
            s=18 if len(x) <= 300 else 8,
            edgecolors=FOREGROUND,
            linewidths=0.3,
            rasterized=shown.sum() * len(self.dims) > MANY,
        )
        edge = ax.get_xaxis_transform()
        small: dict[str, Any] = {"markersize": 4.5, "rasterized": len(x) > MANY}
        if below.any():
            style: dict[str, Any] = {"color": FOREGROUND, "transform": edge}
            ax.plot(x[below], np.full(below.sum(), 0.02), "v", **style, **small)
        for which, mark, _ in unscored(self.score, self._pruned):
            gone = active & which
            ax.plot(x[gone], np.full(gone.sum(), 0.02), **mark | small, transform=edge)
        at = active & (self.trial == self.best)
        if at.any():
            ax.plot(x[at], self.score[at], **BEST | {"markersize": 12})
        ax.grid()
