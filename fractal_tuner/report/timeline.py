"""TimelineDisplay: when each trial ran."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.readers.record import outcome
from fractal_tuner.report.display import Display
from fractal_tuner.report.drawing import (
    COLOR,
    FAILURE,
    FOREGROUND,
    GRID,
    MANY,
    SECOND,
    legend_above,
    rows_of,
    say_instead,
    time_unit,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TimelineDisplay(Display):
    """When each trial began and ended: one row for each.

    Steep stretches are fast trials; rows above each other ran at the same time.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Attributes
    ----------
    trial : ndarray of int, shape (n_trials,)
        Numbers of the trials of which begin and end are known, counted from 1.
    start, end : ndarray of float, shape (n_trials,)
        Seconds since the first trial began. A running trial ends with the last that ended.
    status : ndarray of str, shape (n_trials,)
        "complete", "failed", "pruned" or "running".
    n_hidden : int
        Trials of which begin or end is unknown.
    busy : float
        Trials that ran at a time on average; NaN without trials.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1)}, max_trials=8, seed=0)
    >>> _ = search.run(lambda x: 1 - x * x)
    >>> display = TimelineDisplay.from_search(search)
    >>> len(display.trial), bool((display.end >= display.start).all())
    (8, True)
    """

    title = "When each trial ran"

    def __init__(self, trial: Any, start: Any, end: Any, status: Any, *, n_hidden: int = 0) -> None:
        self.trial = np.asarray(trial, dtype=int)
        self.start, self.end = (np.asarray(side, dtype=float) for side in (start, end))
        self.status = np.asarray(status, dtype=str)
        if not self.trial.shape == self.start.shape == self.end.shape == self.status.shape:
            raise ValueError("trial, start, end and status must have one shape (n_trials,)")
        self.n_hidden = n_hidden
        spent = self.end - self.start
        span = float(self.end.max() - self.start.min()) if len(self.trial) else math.nan
        self.busy = float(spent.sum()) / span if span > 0 else math.nan
        self._unit, self._unit_name = time_unit(span if span > 0 else 0.0)
        self.description = self._describe(spent, span)

    @classmethod
    def from_trials(
        cls, trials: TrialLog, *, best: int | None = None, score_name: str = "score"
    ) -> Self:
        ends = [t.ended for t in trials if t.ended is not None]
        starts = [t.started for t in trials if t.started is not None]
        last, first = max(ends + starts, default=math.nan), min(starts, default=math.nan)
        spans = [
            (
                t.id + 1,
                t.started - first,
                (last if t.ended is None else t.ended) - first,
                outcome(t),
            )
            for t in trials
            if t.started is not None and (t.ended is not None or t.status == "running")
        ]
        columns = zip(*spans, strict=True) if spans else ([],) * 4
        return cls(*map(list, columns), n_hidden=len(trials) - len(spans))

    def table(self) -> list[dict[str, Any]]:
        """Trial, status, and seconds since the first trial began."""
        return rows_of(
            {"trial": self.trial, "status": self.status, "start": self.start, "end": self.end}
        )

    def _describe(self, spent: np.ndarray, span: float) -> str:
        if not len(self.trial):
            return "It was not recorded when trials ran."
        times = [span, float(np.median(spent)), float(spent.max())]
        whole, middle, longest = map(words.duration, times)
        text = f"{words.count(len(self.trial), 'trial')} in {whole}"
        text += f"; the median took {middle}, the longest {longest}"
        if math.isfinite(self.busy):
            text += f". On average {words.number(self.busy)} ran at a time"
        if self.n_hidden:
            text += f". Of {words.count(self.n_hidden, 'trial')} begin or end is unknown"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        from matplotlib.collections import PolyCollection
        from matplotlib.ticker import MaxNLocator

        if not len(self.trial):
            say_instead(
                ax, "it was not recorded when trials ran" if self.n_hidden else "no trials yet"
            )
            return
        styles: dict[str, dict[str, Any]] = {
            "complete": {"facecolor": COLOR, "edgecolor": COLOR},
            "failed": {"facecolor": FAILURE, "edgecolor": FAILURE, "hatch": "xxx"},
            "pruned": {"facecolor": SECOND, "edgecolor": SECOND, "hatch": "..."},
            "running": {"facecolor": GRID, "edgecolor": FOREGROUND, "hatch": "///"},
        }
        half = 0.4 if len(self.trial) <= 120 else 0.5
        across = np.stack([self.start, self.end, self.end, self.start], axis=1) / self._unit
        along = self.trial[:, None] + half * np.array([-1, -1, 1, 1])
        for status, style in styles.items():
            at = self.status == status
            if at.any():
                bars = PolyCollection(
                    list(np.stack([across[at], along[at]], axis=2)),
                    linewidth=0.8,  # so that the fastest are seen
                    label=status,
                    rasterized=len(self.trial) > MANY // 3,
                    **style,
                )
                ax.add_collection(bars)
        ax.set_xlabel(f"{self._unit_name} since the first trial began")
        ax.set_ylabel("trial")
        ax.set_ylim(self.trial.max() + 1, self.trial.min() - 1)
        ax.set_xlim(0, 1.03 * across.max() or 1.0)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="x")
        hidden = f"begin or end of {words.count(self.n_hidden, 'trial')} unknown"
        legend_above(ax, hidden if self.n_hidden else "", n_columns=3)
