"""HistoryDisplay: the score of each trial, and the best so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.readers.record import error_of_best, outcome
from fractal_tuner.report.display import Display, marked_of
from fractal_tuner.report.drawing import (
    BACKGROUND,
    BEST,
    COLOR,
    MANY,
    flags_of,
    floor_of,
    how_many_unscored,
    legend_above,
    rows_of,
    say,
    short,
    time_unit,
    unscored,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class HistoryDisplay(Display):
    """The score of each trial and the best so far, against the trial's number or against time.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Parameters
    ----------
    trial : array-like of int, shape (n_trials,)
        Numbers of the trials, counted from 1.
    score : array-like of float, shape (n_trials,)
        Larger is better; NaN where a trial failed or was pruned.
    best : int or None, default=None
        Number of the trial to mark as the best.
    standard_error : float, default=nan
        Standard error of the best trial's score.
    score_name : str, default="score"
        Label of the scores.
    seconds : array-like of float, shape (n_trials,), optional
        When each trial ended. Given, scores are drawn against time; trials without a time, NaN, are
        left out.
    pruned : array-like of bool, shape (n_trials,), optional
        Which trials were stopped before their end: they are not shown as failed.

    Attributes
    ----------
    best_so_far : ndarray of float, shape (n_trials,)
        NaN before the first success.
    floor : float
        Lowest score drawn in its place; those below, far outside the others, are at the edge.
    n_hidden : int
        Trials left out, as it is not known when they ended.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1)}, max_trials=8, seed=0)
    >>> _ = search.run(lambda x: 1 - x * x)
    >>> display = HistoryDisplay.from_search(search).plot()
    >>> len(display.score), float(display.best_so_far[-1]), display.ax_.get_xlabel()
    (8, 1.0, 'trial')
    """

    def __init__(
        self,
        trial: Any,
        score: Any,
        *,
        best: int | None = None,
        standard_error: float = math.nan,
        score_name: str = "score",
        seconds: Any = None,
        pruned: Any = None,
    ) -> None:
        self.trial = np.asarray(trial, dtype=int)
        self.score = np.asarray(score, dtype=float)
        if self.trial.ndim != 1 or self.trial.shape != self.score.shape:
            raise ValueError(
                "trial and score must have one shape (n_trials,), "
                f"got {self.trial.shape} and {self.score.shape}"
            )
        self._pruned = flags_of(pruned, self.score)
        self.seconds: np.ndarray | None = None
        self.n_hidden = 0
        if seconds is not None:
            when = np.asarray(seconds, dtype=float)
            if when.shape != self.trial.shape:
                raise ValueError(
                    f"seconds must have the shape of trial, {self.trial.shape}, got {when.shape}"
                )
            self.n_hidden = int(np.isnan(when).sum())
            order = np.argsort(when, kind="stable")[: len(when) - self.n_hidden]
            self.trial, self.score, self.seconds = self.trial[order], self.score[order], when[order]
            self._pruned = self._pruned[order]
        self.best = best
        self.standard_error = standard_error
        self.score_name = score_name
        self.best_so_far = np.fmax.accumulate(self.score) if len(self.score) else self.score
        self.floor = floor_of(self.score)
        longest = 0.0 if self.seconds is None else float(self.seconds.max(initial=0.0))
        self._unit, unit = time_unit(longest)
        self._label = "trial" if seconds is None else f"{unit} since the first trial began"
        self.title = "Score of each trial" if seconds is None else "Score against time"
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        *,
        best: int | None = None,
        score_name: str = "score",
        against: Literal["trial", "time"] = "trial",
        standard_error: float | None = None,
    ) -> Self:
        """The display of trials; running ones are left out.

        Parameters
        ----------
        trials : TrialLog
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            Label of the scores.
        against : {"trial", "time"}, default="trial"
            What the scores are drawn against.
        standard_error : float, optional
            Of the best trial's score. Without it, what the folds or repeats of all trials tell;
            where they tell nothing, that of its own folds.

        Raises
        ------
        ValueError
            If ``against`` is neither.
        """
        if against not in ("trial", "time"):
            raise ValueError(f"against must be 'trial' or 'time', got {against!r}")
        told = [t for t in trials if t.status != "running"]
        marked = marked_of(told, best)
        if standard_error is None:
            standard_error = math.nan if marked is None else error_of_best(told, marked)
        seconds = None
        if against == "time":
            starts = [t.started for t in trials if t.started is not None]
            first = min(starts, default=math.nan)
            seconds = [math.nan if t.ended is None else t.ended - first for t in told]
        return cls(
            [t.id + 1 for t in told],
            [t.score for t in told],
            best=None if marked is None else marked.id + 1,
            standard_error=standard_error,
            score_name=score_name,
            seconds=seconds,
            pruned=[outcome(t) == "pruned" for t in told],
        )

    def table(self) -> list[dict[str, Any]]:
        """Trial, score and best so far, and the second in which the trial ended if drawn."""
        columns: dict[str, Any] = {"trial": self.trial}
        if self.seconds is not None:
            columns["seconds"] = self.seconds
        return rows_of(columns | {"score": self.score, "best so far": self.best_so_far})

    def _describe(self) -> str:
        text = words.count(len(self.trial), "trial")
        if gone := how_many_unscored(self.score, self._pruned):
            text += f", of them {gone}"
        at = self.trial == self.best
        if at.any():
            so_far = np.nan_to_num(self.best_so_far, nan=-np.inf)
            better = np.flatnonzero(so_far > np.append(-np.inf, so_far[:-1]))
            text += (
                f"; the best is trial {self.best} with {words.clean(self.score_name)} "
                f"{words.score(float(self.score[at][0]), self.standard_error)}"
            )
            if self.standard_error > 0:
                text += f" ± {words.number(self.standard_error, 2)} (one standard error)"
            text += f". The highest score was raised {words.count(len(better), 'time')}"
            text += f", last by trial {self.trial[better[-1]]}" if len(better) else ""
        if self.n_hidden:
            text += f". Of {words.count(self.n_hidden, 'trial')} no time is known"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        x = self.trial if self.seconds is None else self.seconds / self._unit
        scored = ~np.isnan(self.score)
        below = self.score < self.floor
        inside = scored & ~below
        missing = unscored(self.score, self._pruned)
        at_edge = ax.get_xaxis_transform()
        raster = len(x) > MANY
        dots: dict[str, Any] = {"color": COLOR, "linestyle": "none", "rasterized": raster}
        if inside.any():
            ax.step(
                x,
                np.where(self.best_so_far < self.floor, np.nan, self.best_so_far),
                where="post",
                color=COLOR,
                linewidth=1.8,
                label="best so far",
            )
            face: dict[str, Any] = {"markerfacecolor": BACKGROUND, "markeredgewidth": 0.8}
            size = 4.5 if len(x) <= 300 else 2.5
            ax.plot(
                x[inside], self.score[inside], "o", markersize=size, label="a trial", **face, **dots
            )
        else:
            ax.set_yticks([])
            nothing = "no trials yet" if not self.n_hidden else "it is not known when trials ended"
            say(ax, "no trial has a score" if len(x) else nothing)
        for marked, style, label in (
            (below, dots | {"marker": "v", "markersize": 6}, "a trial below this range"),
            *((gone, mark, f"a {name} trial") for gone, mark, name in missing),
        ):
            if marked.any():
                height = np.full(marked.sum(), 0.02)
                ax.plot(x[marked], height, transform=at_edge, label=label, **style)
        self._draw_best(ax, x)
        ax.set_xlabel(self._label)
        ax.set_ylabel(short(self.score_name))
        if self.seconds is None:
            ax.set_xlim(0, x.max(initial=1) + 1)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid()
        if len(x):
            hidden = f"no time is known of {words.count(self.n_hidden, 'trial')}"
            legend_above(ax, hidden if self.n_hidden else "")

    def _draw_best(self, ax: Axes, x: np.ndarray) -> None:
        at = self.trial == self.best
        if not at.any():
            return
        score = float(self.score[at][0])
        if self.standard_error > 0:
            ax.axhspan(
                score - self.standard_error,
                score + self.standard_error,
                color=COLOR,
                alpha=0.15,
                linewidth=0,
                label="best ± one standard error",
            )
        ax.plot(x[at], [score], **BEST, label=f"best, trial {self.best}")
