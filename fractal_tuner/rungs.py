"""Which configuration trains on: asynchronous successive halving.

All configurations train for the few epochs of the lowest rung; of each rung the best ``1 / factor``
train on to the next one, as soon as they are known to be among them (Li et al., MLSys 2020). Nobody
waits for a rung to be complete, and all there is to remember are the runs themselves.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fractal_tuner.search.base import at_least_one

# The names under which Keras Tuner's Hyperband keeps them among the values of a trial.
EPOCHS, INITIAL_EPOCH, PARENT = "tuner/epochs", "tuner/initial_epoch", "tuner/trial_id"


@dataclass(frozen=True)
class Run:
    """One training of a configuration, from the end of the rung before to the end of its own.

    Parameters
    ----------
    rung : int
        0 is the lowest.
    parent : str or None
        The run it continues.
    score : float or None
        Larger is better; None while it is running, and if it failed.
    """

    rung: int
    parent: str | None = None
    score: float | None = None


class Rungs:
    """Numbers of epochs after which the best of the configurations so far train on.

    Parameters
    ----------
    max_epochs : int
        Epochs of a full training.
    factor : int, default=3
        A rung has ``factor`` times as many epochs as the one below, and of ``factor`` runs one goes
        on. At least 2.
    min_epochs : int, default=1
        The lowest rung has no fewer.

    Attributes
    ----------
    epochs : tuple of int
        Of each rung, counted from the beginning.

    Raises
    ------
    TypeError, ValueError
        For numbers that are no integers, or out of their range.

    References
    ----------
    Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht & Talwalkar, MLSys 2020.

    Examples
    --------
    >>> rungs = Rungs(max_epochs=9)
    >>> rungs.epochs
    (1, 3, 9)
    >>> rungs.next({"a": Run(0, score=0.7), "b": Run(0, score=0.9), "c": Run(0, score=0.8)})
    'b'
    """

    def __init__(self, max_epochs: int, factor: int = 3, min_epochs: int = 1) -> None:
        top = at_least_one("max_epochs", max_epochs)
        lowest = at_least_one("min_epochs", min_epochs)
        self.factor = at_least_one("factor", factor)
        if self.factor < 2:
            raise ValueError(f"factor must be at least 2, got {factor}")
        if lowest > top:
            raise ValueError(f"min_epochs must be at most max_epochs={top}, got {lowest}")
        n_below = 0
        while lowest * self.factor ** (n_below + 1) <= top:
            n_below += 1
        self.epochs = tuple(-(-top // self.factor**k) for k in range(n_below, -1, -1))

    def values(self, rung: int = 0, parent: str | None = None) -> dict[str, Any]:
        """What a trial is told of its run, under the names that Hyperband has for it."""
        start = self.epochs[rung - 1] if rung else 0
        values = {
            EPOCHS: self.epochs[rung],
            INITIAL_EPOCH: start,
            "tuner/bracket": 0,
            "tuner/round": rung,
        }
        return values if parent is None else values | {PARENT: parent}

    def run(self, values: Mapping[str, Any], score: float | None) -> Run | None:
        """The run of a trial with these values; None if it ended on none of these rungs.

        A trial without a number of epochs was trained fully.
        """
        epochs = values.get(EPOCHS, self.epochs[-1])
        if epochs not in self.epochs:
            return None
        return Run(self.epochs.index(epochs), values.get(PARENT), score)

    def next(self, runs: Mapping[str, Run], *, is_last_call: bool = False) -> str | None:
        """The run to be continued now, that of the highest rung first; None if none is.

        Parameters
        ----------
        runs : mapping of str to Run
            All so far, in the order of their beginning.
        is_last_call : bool
            Whether no new configuration will come: shares of runs are then rounded up, so that at
            least one configuration is trained fully.
        """
        continued = {run.parent for run in runs.values()}
        for rung in range(len(self.epochs) - 2, -1, -1):
            scores = {
                name: run.score
                for name, run in runs.items()
                if run.rung == rung and run.score is not None
            }
            n = -(-len(scores) // self.factor) if is_last_call else len(scores) // self.factor
            best = sorted(scores, key=lambda name: -scores[name])[:n]
            waiting = [name for name in best if name not in continued]
            if waiting:
                return waiting[0]
        return None

    def standings(self, runs: Mapping[str, Run]) -> dict[str, tuple[str, float]]:
        """The highest run of each configuration, and what its score lacks of a full training's.

        Scores of different rungs cannot be compared: training helps. What each rung adds is the
        median over those who reached it; the sum of that over the rungs above a run is what it
        lacks. Scores of the highest rung are left as they are, and the order within a rung is kept.

        Returns
        -------
        dict of str to (str, float)
            For the first run of each configuration that has a score, in the order of beginning.

        Examples
        --------
        >>> a, b = Run(0, score=0.5), Run(0, score=0.6)
        >>> on = Run(1, parent="b", score=0.75)
        >>> Rungs(max_epochs=3).standings({"a": a, "b": b, "b on": on})
        {'a': ('a', 0.15), 'b': ('b on', 0.0)}
        """
        gains: list[list[float]] = [[] for _ in self.epochs]
        first: dict[str | None, str] = {}
        highest: dict[str, str] = {}
        for name, run in runs.items():
            first[name] = first.get(run.parent, name)
            if run.score is not None:
                highest[first[name]] = name
                parent = runs.get(run.parent or "")
                if parent is not None and parent.score is not None:
                    gains[run.rung].append(run.score - parent.score)
        gain = [statistics.median(some) if some else 0.0 for some in gains]
        return {
            begun: (name, math.fsum(gain[runs[name].rung + 1 :])) for begun, name in highest.items()
        }
