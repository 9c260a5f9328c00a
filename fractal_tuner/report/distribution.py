"""DistributionDisplay: how the scores of a search are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.readers.record import outcome
from fractal_tuner.report.display import Display
from fractal_tuner.report.drawing import (
    COLOR,
    FOREGROUND,
    SECOND,
    color_range,
    flags_of,
    how_many_unscored,
    legend_above,
    rows_of,
    say,
    short,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST_HALVES = 8  # scores, to compare the first half of a search with the second


class DistributionDisplay(Display):
    """The share of trials that reached a score, for every score; and that of each half.

    Failed and pruned trials reached none: a curve begins below 1 where there are any. Where the
    second half is right of the first, the search has learned where to look.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Parameters
    ----------
    score : array-like of float, shape (n_trials,)
        In the order of the trials; NaN where a trial failed or was pruned.
    score_name : str, default="score"
        What the scores are called.
    pruned : array-like of bool, shape (n_trials,), optional
        Which trials were stopped before their end: they are not counted as failed.

    Attributes
    ----------
    sorted : ndarray of float, shape (n_scores,)
        The scores, smallest first.
    share : ndarray of float, shape (n_scores,)
        Share of all trials with at least that score.
    halves : tuple of (ndarray, ndarray)
        The same two arrays for the first and the second half of the trials; empty for few trials.

    Examples
    --------
    >>> display = DistributionDisplay([0.2, float("nan"), 0.6, 0.4])
    >>> display.sorted.tolist(), display.share.tolist()
    ([0.2, 0.4, 0.6], [0.75, 0.5, 0.25])
    """

    title = "Distribution of scores"

    def __init__(self, score: Any, *, score_name: str = "score", pruned: Any = None) -> None:
        self.score = np.asarray(score, dtype=float)
        if self.score.ndim != 1:
            raise ValueError(f"score must have the shape (n_trials,), got {self.score.shape}")
        self.score_name = score_name
        self._unscored = how_many_unscored(self.score, flags_of(pruned, self.score))
        self.sorted, self.share = _reached(self.score)
        middle = len(self.score) // 2
        self.halves = tuple(
            _reached(half)
            for half in (self.score[:middle], self.score[middle:])
            if len(self.sorted) >= _LEAST_HALVES
        )
        self._range = color_range(self.score)
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls, trials: TrialLog, *, best: int | None = None, score_name: str = "score"
    ) -> Self:
        told = [t for t in trials if t.status != "running"]
        pruned = [outcome(t) == "pruned" for t in told]
        return cls([t.score for t in told], score_name=score_name, pruned=pruned)

    def table(self) -> list[dict[str, Any]]:
        """Scores and the share of trials that reached them."""
        return rows_of({"score": self.sorted, "share of trials": self.share})

    def _describe(self) -> str:
        failures = f"; of the other trials {self._unscored}" if self._unscored else ""
        if not len(self.sorted):
            return f"There are no scores{failures}."
        low, middle, high = np.quantile(self.sorted, [0.0, 0.5, 1.0]).tolist()
        if low == high:
            what = words.count(len(self.sorted), "score")
            return f"{what}, all {words.clean(self.score_name)} {words.number(low)}{failures}."
        text = (
            f"Half of the {words.count(len(self.sorted), 'score')} reach "
            f"{words.clean(self.score_name)} {words.number(middle)}; they lie between "
            f"{words.number(low)} and {words.number(high)}{failures}."
        )
        medians = [words.number(float(np.median(s))) for s, _ in self.halves if len(s)]
        if len(medians) == 2:
            text += (
                f" Half of the first half of trials reach {medians[0]}, of the second {medians[1]}."
            )
        return text

    def _draw(self, ax: Axes) -> None:
        if not len(self.sorted):
            ax.set_yticks([])
            say(ax, "no trial has a score" if len(self.score) else "no trials yet")
        else:
            self._step(ax, self.sorted, self.share, "all trials", color=COLOR, linewidth=2.0)
        for (score, share), name, color, line in zip(
            self.halves,
            ("first half", "second half"),
            (FOREGROUND, SECOND),
            (":", "--"),
            strict=False,
        ):
            self._step(ax, score, share, name, color=color, linestyle=line, linewidth=1.3)
        low, high = self._range
        room = 0.03 * (high - low)
        ax.set_xlim(low - room, high + room)
        ax.set_ylim(0.0, 1.03)
        ax.locator_params(axis="x", nbins=6)  # long numbers would touch
        ax.set_xlabel(short(self.score_name))
        ax.set_ylabel("share of trials that reach it")
        ax.grid()
        below = int((self.sorted < low).sum())
        note = f"{words.count(below, 'trial')} below this range" if below else ""
        legend_above(ax, note, n_columns=3)

    def _step(
        self, ax: Axes, score: np.ndarray, share: np.ndarray, name: str, **style: Any
    ) -> None:
        if not len(score):
            return
        room = self._range[1] - self._range[0]
        x = np.concatenate([[min(score[0], self._range[0]) - room], score, [score[-1]]])
        y = np.concatenate([share[:1], share, [0.0]])
        ax.step(x, y, where="pre", label=name, **style)


def _reached(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted scores, and the share of trials with at least each of them."""
    ordered = np.sort(score[np.isfinite(score)])
    n = len(ordered)
    first = np.searchsorted(ordered, ordered)  # equal scores are reached together
    return ordered, (n - first) / max(len(score), 1)
