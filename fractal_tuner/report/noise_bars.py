"""NoiseDisplay: the best trials with their noise, and which cannot be told from the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.readers.record import standard_error
from fractal_tuner.report.display import Display
from fractal_tuner.report.drawing import (
    BACKGROUND,
    COLOR,
    FOREGROUND,
    GRID,
    legend_above,
    rows_of,
    say_instead,
    short,
)
from fractal_tuner.trials import Trial, TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fractal_tuner.analysis.noise import NoiseShare
    from fractal_tuner.analysis.rivals import Indistinguishable

_MOST = 30
_LETTERS = 60  # that the axis has room for


class NoiseDisplay(Display):
    """The best trials with their folds and standard errors; full: not to be told from the best.

    The standard error of a score is that which all trials tell; where they tell nothing, each has
    that of its own folds, if it has any.

    Make one with :meth:`from_search`, :meth:`from_record`, :meth:`from_trials`, or of results.

    Parameters
    ----------
    trials : sequence of Trial
        Complete ones are drawn, the 30 of highest score.
    tied : Indistinguishable
        See :func:`fractal_tuner.indistinguishable`.
    noise : NoiseShare
        See :func:`fractal_tuner.noise_share`.
    score_name : str, default="score"
        What the scores are called.

    Attributes
    ----------
    trial : ndarray of int, shape (n_trials,)
        Numbers of the drawn trials, best score first, counted from 1.
    score, error : ndarray of float, shape (n_trials,)
        Scores and their standard errors, NaN where unknown.
    folds : list of ndarray of float
        Scores of the folds of each drawn trial.
    is_tied : ndarray of bool, shape (n_trials,)
        Whether a trial cannot be told from the best.

    Examples
    --------
    >>> from fractal_tuner import FactorialZoom
    >>> search = FactorialZoom({"x": [1, 2, 3, 4]}, levels=1)
    >>> for trial in search.ask(4):
    ...     folds = [trial.id + noise for noise in (-0.1, 0.0, 0.1)]
    ...     _ = search.tell(trial.id, sum(folds) / 3, folds=folds)
    >>> NoiseDisplay.from_search(search).trial.tolist()
    [4, 3, 2, 1]
    """

    title = "The best trials and their noise"

    def __init__(
        self,
        trials: Sequence[Trial],
        tied: Indistinguishable,
        noise: NoiseShare,
        *,
        score_name: str = "score",
    ) -> None:
        self.tied, self.noise, self.score_name = tied, noise, score_name
        complete = [t for t in trials if t.status == "complete"]
        shown = sorted(complete, key=lambda t: (-t.score, t.id))[:_MOST]
        among = {t.id for t in tied.trials}
        self.n_complete = len(complete)
        self.trial = np.array([t.id + 1 for t in shown], dtype=int)
        self.score = np.array([t.score for t in shown], dtype=float)
        self.folds = [np.array(t.folds, dtype=float) for t in shown]
        is_known = noise.reason is None
        errors = [noise.sd if is_known else standard_error(t.folds) for t in shown]
        self.error = np.array(errors, dtype=float)
        self.is_tied = np.array([t.id in among for t in shown], dtype=bool)
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls, trials: TrialLog, *, best: int | None = None, score_name: str = "score"
    ) -> Self:
        from fractal_tuner.analysis.noise import noise_share
        from fractal_tuner.analysis.rivals import indistinguishable

        noise = noise_share(trials)
        sd = noise.sd if noise.reason is None else None
        tied = indistinguishable(trials, noise_sd=sd)
        return cls(list(trials), tied, noise, score_name=score_name)

    def table(self) -> list[dict[str, Any]]:
        """The drawn trials: score, standard error, whether it may be the best."""
        return rows_of(
            {
                "trial": self.trial,
                "score": self.score,
                "standard error": self.error,
                "may be the best": self.is_tied,
            }
        )

    def _describe(self) -> str:
        if not self.n_complete:
            return "No trial has a score."
        text = f"The best {len(self.trial)} of {words.count(self.n_complete, 'trial')}"
        if self.tied.reason is None:
            n = len(self.tied.trials)
            text += f"; {words.count(n, 'trial')} cannot be told from the best"
            text = text.replace("; 1 trial cannot be told from the best", "; no other may be best")
        else:
            text += f"; which may be the best is unknown: {self.tied.reason}"
        if self.noise.reason is None:
            text += (
                f". A score is uncertain by {words.number(self.noise.sd, 2)} (one standard error), "
                f"{words.share(self.noise.value)} of the variance between trials"
            )
        else:
            text += f". The noise is unknown: {self.noise.reason}"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        if not len(self.trial):
            say_instead(ax, "no trial has a score")
            return
        x = np.arange(len(self.trial))
        n_folds = sum(map(len, self.folds))
        if n_folds:
            places = np.repeat(x, [len(f) for f in self.folds])
            style: dict[str, Any] = {"color": FOREGROUND, "alpha": 0.45, "markersize": 6}
            ax.plot(places, np.concatenate(self.folds), "_", label="a fold", **style)
        if (np.nan_to_num(self.error) > 0).any():
            label = "± one standard error" + ("" if self.noise.reason is None else " of its folds")
            style = {"fmt": "none", "ecolor": COLOR, "elinewidth": 2.0}
            ax.errorbar(
                x,
                self.score,
                yerr=np.nan_to_num(self.error),
                label=label,
                **style,
            )
        edge: dict[str, Any] = {"linestyle": "none", "markeredgecolor": FOREGROUND}
        known = self.tied.reason is None
        for marked, face, marker, name in (
            (self.is_tied, COLOR, "o", "not to be told from the best"),
            (~self.is_tied & known, BACKGROUND, "s", "worse than the best"),
            (np.full(len(x), not known), GRID, "o", "a trial"),
        ):
            if marked.any():
                style = edge | {"marker": marker, "markerfacecolor": face, "markersize": 6}
                ax.plot(x[marked], self.score[marked], label=name, **style)
        letters = max(len(str(t)) for t in self.trial) + 2  # with the room between two
        every = -(-len(x) * letters // _LETTERS)
        ax.set_xticks(x[::every], [str(t) for t in self.trial[::every]], size=8)
        ax.set_xlabel("trial, best score first")
        ax.set_ylabel(short(self.score_name))
        ax.grid(axis="y")
        notes = []
        if self.n_complete > len(x):
            notes.append(f"the best {len(x)} of {self.n_complete:,} trials")
        if self.noise.reason is not None:
            notes.append(f"noise unknown: {self.noise.reason}")
        legend_above(ax, "\n".join(short(note, 88) for note in notes))
