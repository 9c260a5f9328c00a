"""ParallelCoordinatesDisplay: each trial as a line through all dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.display import Display, Told
from fractal_tuner.report.drawing import (
    BACKGROUND,
    FOREGROUND,
    SCORES,
    color_range,
    rows_of,
    say_instead,
    short,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

BEST_LINES, OTHER_LINES = 100, 200


class ParallelCoordinatesDisplay(Display):
    """Each trial as a line through an axis for each dimension, and one for its score.

    Of many trials the best 100 are drawn and 200 of the others, drawn at random with a fixed seed.
    Failed trials have no score and are left out. A line has a gap where a dimension is inactive.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Attributes
    ----------
    dims : tuple of str
        Dimensions, in the order of the axes.
    unit : ndarray of float, shape (n_lines, n_dims)
        Unit coordinates of the lines, the worst trial first; NaN where a dimension is inactive.
    score : ndarray of float, shape (n_lines,)
    trial : ndarray of int, shape (n_lines,)
        Numbers of the trials, counted from 1.
    best : int or None
        Number of the trial that is drawn in black.
    n_trials : int
        Trials with a score; more than lines if some are left out.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1), "y": Real(0, 1)}, max_trials=9, seed=0)
    >>> _ = search.run(lambda x, y: x * y)
    >>> ParallelCoordinatesDisplay.from_search(search).unit.shape
    (9, 2)
    """

    title = "Parallel coordinates"

    def __init__(self, told: Told, *, score_name: str = "score") -> None:
        self.dims, self._scales = told.names, told.scales
        self.best, self.score_name = told.best, score_name
        lines = _chosen(told.score)
        self.unit, self.score, self.trial = told.unit[lines], told.score[lines], told.trial[lines]
        self.n_trials = int(np.isfinite(told.score).sum())
        self.size = (float(np.clip(1.15 * (len(self.dims) + 1) + 1.0, 5.0, 14.0)), 4.6)
        self._ends = color_range(self.score)
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
        """The display of trials.

        Parameters
        ----------
        trials : TrialLog
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            What the scores are called.
        dims : sequence of str, optional
            Dimensions, in the order of the axes; by default all that have more than one value.

        Raises
        ------
        ValueError
            If ``dims`` are not different names of the space.
        """
        return cls(Told.of(trials, dims, best=best), score_name=score_name)

    def table(self) -> list[dict[str, Any]]:
        """The lines, the best first."""
        values = {
            name: [scale.value(float(u)) for u in self.unit[::-1, j]]
            for j, (name, scale) in enumerate(zip(self.dims, self._scales, strict=True))
        }
        return rows_of({"trial": self.trial[::-1], **values, "score": self.score[::-1]})

    def _describe(self) -> str:
        n = len(self.dims)
        text = f"{words.count(len(self.trial), 'trial')} as lines through {words.count(n, 'axis')}"
        text = text.replace("axiss", "axes") + f" and {words.clean(self.score_name)}"
        if self.n_trials > len(self.trial):
            text += f": the best {BEST_LINES} of {self.n_trials:,}, and {OTHER_LINES} at random"
        if len(self.score):
            low, high = words.number(float(self.score.min())), words.number(float(self.score.max()))
            text += f"; scores from {low} to {high}"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        if not len(self.trial):
            say_instead(ax, "no trial has a score")
            return
        from matplotlib.collections import LineCollection

        n = len(self.dims)
        low, high = self._ends
        height = np.clip((self.score - low) / (high - low), 0.0, 1.0)
        spread = [s.spread(self.unit[:, j], self.trial) for j, s in enumerate(self._scales)]
        y = np.column_stack([*spread, height])
        ends = [np.column_stack([np.arange(n + 1), row]) for row in y]
        lines = LineCollection(
            ends,
            array=self.score,
            cmap=_colors(),
            linewidths=1.1 if len(y) <= 100 else 0.8,
            alpha=0.85,
            zorder=2,
        )
        lines.set_clim(low, high)
        ax.add_collection(lines)
        gap = np.isnan(np.pad(y, ((0, 0), (1, 1)), constant_values=np.nan))
        alone = ~gap[:, 1:-1] & gap[:, :-2] & gap[:, 2:]  # would be no line
        ax.plot(np.nonzero(alone)[1], y[alone], ".", color=FOREGROUND, markersize=3, zorder=2)
        at = np.flatnonzero(self.trial == self.best)
        if len(at):
            style: dict[str, Any] = {"color": FOREGROUND, "linewidth": 2.2, "zorder": 4}
            label = f"best, trial {self.best}"
            ax.plot(*ends[at[0]].T, "o--", markersize=4, label=label, **style)
        self._draw_axes(ax, n)

    def _draw_axes(self, ax: Axes, n: int) -> None:
        crowded = n > 8
        low, high = self._ends
        for j in range(n + 1):
            ax.axvline(j, color=FOREGROUND, linewidth=0.8, zorder=3)
            if j < n:
                scale = self._scales[j]
                ticks = scale.ticks()
                if crowded and len(ticks) > 3:
                    ticks = [ticks[0], ticks[-1]]
                texts = [scale.text(u, 8 if crowded else 14) for u in ticks]
            else:
                ticks = [0.0, 0.5, 1.0]
                texts = [words.number(low + u * (high - low)) for u in ticks]
            for u, text in zip(ticks, texts, strict=True):
                ax.text(
                    j + 0.04,
                    u,
                    text,
                    fontsize=8,
                    va="center",
                    zorder=5,
                    bbox={"facecolor": BACKGROUND, "edgecolor": "none", "pad": 0.8},
                )
        names = [short(name) for name in (*self.dims, self.score_name)]
        steep = crowded or max(map(len, names)) > 12
        style: dict[str, Any] = (
            {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if steep else {}
        )
        ax.set_xticks(range(n + 1), names, **style)
        ax.set_yticks([])
        ax.set_xlim(-0.2, n + 0.45)
        ax.set_ylim(-0.05, 1.05)
        ax.spines[:].set_visible(False)
        ax.tick_params(axis="x", length=0)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, fontsize="small")


def _colors() -> Colormap:
    """The colours of scores, without ends that thin lines lose on dark or light paper."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps[SCORES](np.linspace(0.3, 0.9, 256)))


def _chosen(score: np.ndarray) -> np.ndarray:
    """Positions of the trials that are drawn, the worst first."""
    known = np.flatnonzero(np.isfinite(score))
    ordered = known[np.argsort(score[known], kind="stable")]
    if len(ordered) <= BEST_LINES + OTHER_LINES:
        return ordered
    rest = ordered[:-BEST_LINES]
    some = np.random.default_rng(0).choice(len(rest), OTHER_LINES, replace=False)
    return np.concatenate([rest[np.sort(some)], ordered[-BEST_LINES:]])
