"""HistoryDisplay: the score of each trial, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
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
    standard_error,
    trials_of,
)
from fractal_tuner.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class HistoryDisplay:
    """The score of each trial and the best so far, against the trial's number.

    Make one with :meth:`from_search` or :meth:`from_trials`.

    Parameters
    ----------
    trial : array-like of int, shape (n_trials,)
        Numbers of the trials, counted from 1.
    score : array-like of float, shape (n_trials,)
        Larger is better; NaN where a trial failed.
    best : int or None, default=None
        Number of the trial to mark as the best.
    standard_error : float, default=nan
        Standard error of the best trial's score.
    score_name : str, default="score"
        Label of the scores.

    Attributes
    ----------
    best_so_far : ndarray of float, shape (n_trials,)
        NaN before the first success.
    floor : float
        Lowest score drawn in its place; those below, far outside the others, are at the edge.
    ax_ : matplotlib Axes
        Set by :meth:`plot`, like ``figure_``.
    figure_ : matplotlib Figure

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
    ) -> None:
        self.trial = np.asarray(trial, dtype=int)
        self.score = np.asarray(score, dtype=float)
        if self.trial.ndim != 1 or self.trial.shape != self.score.shape:
            raise ValueError(
                "trial and score must have one shape (n_trials,), "
                f"got {self.trial.shape} and {self.score.shape}"
            )
        self.best = best
        self.standard_error = standard_error
        self.score_name = score_name
        self.best_so_far = np.fmax.accumulate(self.score) if len(self.score) else self.score
        self.floor = floor_of(self.score)

    @classmethod
    def from_trials(
        cls, trials: Iterable[Trial], *, best: int | None = None, score_name: str = "score"
    ) -> Self:
        """The display of trials; running ones are left out.

        Parameters
        ----------
        trials : TrialLog or iterable of Trial
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            Label of the scores.
        """
        told = [t for t in trials if t.status != "running"]
        marked = best_of(told if best is None else [t for t in told if t.id == best])
        return cls(
            [t.id + 1 for t in told],
            [t.score for t in told],
            best=None if marked is None else marked.id + 1,
            standard_error=standard_error(marked.folds) if marked else math.nan,
            score_name=score_name,
        )

    @classmethod
    def from_search(cls, search: Any, *, score_name: str = "score") -> Self:
        """The display of a search: one of ours, or any fitted search of scikit-learn.

        Parameters
        ----------
        search : ZoomSearch, FactorialZoom, FractalTuner, or a fitted search of scikit-learn
        score_name : str, default="score"
            Label of the scores.

        Raises
        ------
        TypeError
            If it has no trials.
        """
        results = getattr(search, "cv_results_", None)
        if results is None or hasattr(search, "trials_"):
            log, recommended = trials_of(search)
            return cls.from_trials(log, best=recommended, score_name=score_name)
        metric = "score"
        if search.multimetric_:
            metric = search.refit if isinstance(search.refit, str) else next(iter(search.scorer_))
        scores = np.asarray(results[f"mean_test_{metric}"], dtype=float)
        best = getattr(search, "best_index_", None)
        if best is None and np.isfinite(scores).any():
            best = int(np.nanargmax(scores))
        folds = [results[f"split{i}_test_{metric}"] for i in range(search.n_splits_)]
        return cls(
            np.arange(1, len(scores) + 1),
            scores,
            best=None if best is None else int(best) + 1,
            standard_error=math.nan if best is None else standard_error(f[best] for f in folds),
            score_name=score_name,
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without it, on a new figure.
        """
        from matplotlib.ticker import MaxNLocator

        self.ax_, self.figure_ = ax, _ = axes_of(ax, (7.0, 4.0))
        failed = np.isnan(self.score)
        below = self.score < self.floor
        inside = ~failed & ~below
        at_edge = ax.get_xaxis_transform()
        dots: dict[str, Any] = {"color": COLOR, "linestyle": "none", "markeredgewidth": 0.6}
        if inside.any():
            ax.step(
                self.trial,
                np.where(self.best_so_far < self.floor, np.nan, self.best_so_far),
                where="post",
                color=COLOR,
                linewidth=1.8,
                label="best so far",
            )
            ax.plot(
                self.trial[inside],
                self.score[inside],
                marker="o",
                markersize=4.5,
                markerfacecolor="white",
                label="a trial",
                **dots,
            )
        else:
            ax.set_yticks([])
            say(ax, "no trials yet" if not failed.any() else "all trials failed")
        for marked, style, label in (
            (below, dots | {"marker": "v", "markersize": 6}, "a trial below this range"),
            (failed, FAILED, "a failed trial"),
        ):
            if marked.any():
                height = np.full(marked.sum(), 0.02)
                ax.plot(self.trial[marked], height, transform=at_edge, label=label, **style)
        at = self.trial == self.best
        if at.any():
            score = float(self.score[at][0])
            if math.isfinite(self.standard_error):
                ax.axhspan(
                    score - self.standard_error,
                    score + self.standard_error,
                    color=COLOR,
                    alpha=0.12,
                    linewidth=0,
                    label="best ± one standard error",
                )
            ax.plot(self.trial[at], [score], **BEST, label=f"best, trial {self.best}")
        ax.set_xlabel("trial")
        ax.set_ylabel(self.score_name)
        ax.set_xlim(0, self.trial.max(initial=1) + 1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        if len(self.trial):
            legend_above(ax)
        return self
