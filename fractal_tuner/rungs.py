"""Which configuration trains on: asynchronous successive halving.

All configurations train for the few epochs of the lowest rung; of each rung the best ``1 / factor``
train on to the next one, as soon as they are known to be among them (Li et al., MLSys 2020). Nobody
waits for a rung to be complete, and all there is to remember are the runs themselves.

Which are the best is not decided by the scores of their rung. After few epochs, what learns fast
looks good, and need not be what is good in the end; a search that believed it would go the wrong
way for all its trials. What a rung adds to a score is therefore a random field over the
configurations, fitted to those who reached it (Kennedy & O'Hagan, Biometrika 87, 2000, with factor
1), and what counts is the score that a configuration is expected to have when it is fully trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fractal_tuner.field import Kriging, RandomField, one_blas_thread
from fractal_tuner.search.base import at_least_one

# The names under which Keras Tuner's Hyperband keeps them among the values of a trial.
EPOCHS, INITIAL_EPOCH, PARENT = "tuner/epochs", "tuner/initial_epoch", "tuner/trial_id"

_OUTLIER = 5.0  # median deviations from the median
_ITERATIONS = 6  # of a fit


Standings = dict[str, tuple[str, float]]


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
    n_runs : int
        How many runs there are at most, if none fails, when the first one trains fully.

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
    >>> runs = {"a": Run(0, score=0.7), "b": Run(0, score=0.9), "c": Run(0, score=0.8)}
    >>> rungs.next(runs, rungs.standings(runs, {}))
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
        self.n_runs = sum(self.factor**k for k in range(n_below + 1))

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

    def next(
        self, runs: Mapping[str, Run], standings: Standings, *, is_last_call: bool = False
    ) -> str | None:
        """The run to be continued now, that of the highest rung first; None if none is.

        Parameters
        ----------
        runs : mapping of str to Run
            All so far, in the order of their beginning.
        standings : dict
            Of these runs, by :meth:`standings`.
        is_last_call : bool
            Whether no new configuration will come: shares of runs are then rounded up, so that at
            least one configuration is trained fully.
        """
        begun = _begun(runs)
        expected = {
            first: (runs[name].score or 0.0) + lacks for first, (name, lacks) in standings.items()
        }
        continued = {run.parent for run in runs.values()}
        for rung in range(len(self.epochs) - 2, -1, -1):
            known = [n for n, run in runs.items() if run.rung == rung and run.score is not None]
            share = -(-len(known) // self.factor) if is_last_call else len(known) // self.factor
            best = sorted(known, key=lambda name: -expected[begun[name]])[:share]
            waiting = [name for name in best if name not in continued]
            if waiting:
                return waiting[0]
        return None

    def standings(
        self, runs: Mapping[str, Run], places: Mapping[str, np.ndarray | None]
    ) -> Standings:
        """The highest run of each configuration, and what its score lacks of a full training's.

        What the highest rung has measured is left as it is. Where fewer configurations than there
        are features have reached a rung, it adds the same everywhere: the median.

        Parameters
        ----------
        runs : mapping of str to Run
            All so far, in the order of their beginning.
        places : mapping of str to np.ndarray or None
            Of first runs, the features of their configurations in the unit cube, shape
            (n_features,). To one without a place a rung adds the median.

        Returns
        -------
        dict of str to (str, float)
            For the first run of each configuration that has a score, in the order of beginning.

        Examples
        --------
        >>> a, b = Run(0, score=0.5), Run(0, score=0.6)
        >>> on = Run(1, parent="b", score=0.75)
        >>> Rungs(max_epochs=3).standings({"a": a, "b": b, "b on": on}, {})
        {'a': ('a', 0.15), 'b': ('b on', 0.0)}
        """
        begun = _begun(runs)
        highest: dict[str, str] = {}
        gains: list[dict[str, float]] = [{} for _ in self.epochs]
        for name, run in runs.items():
            if run.score is None:
                continue
            parent = runs.get(run.parent or "")
            if parent is not None and parent.score is not None:
                gains[run.rung][begun[name]] = run.score - parent.score
            highest[begun[name]] = name
        lacks = dict.fromkeys(highest, 0.0)
        for rung in range(1, len(self.epochs)):
            below = [first for first, name in highest.items() if runs[name].rung < rung]
            for first, gain in _expected_gains(gains[rung], below, places).items():
                lacks[first] += gain
        return {first: (name, lacks[first]) for first, name in highest.items()}


def _begun(runs: Mapping[str, Run]) -> dict[str, str]:
    """The first run of each run's configuration."""
    begun: dict[str | None, str] = {}
    for name, run in runs.items():
        begun[name] = begun.get(run.parent, name)
    return begun  # type: ignore[return-value]


def _expected_gains(
    known: Mapping[str, float], wanted: Sequence[str], places: Mapping[str, np.ndarray | None]
) -> dict[str, float]:
    """What a rung adds to the scores of configurations, from what it is known to have added."""
    if not known:
        return {}
    gains = np.array(list(known.values()))
    middle = float(np.median(gains))
    expected = dict.fromkeys(wanted, middle)
    spread = float(np.median(np.abs(gains - middle)))
    x = [place for first in known if (place := places.get(first)) is not None]
    at = {first: place for first in wanted if (place := places.get(first)) is not None}
    if not at or len(x) < len(known) or len(x) <= len(x[0]) or not spread > 0:
        return expected
    z = np.clip((gains - middle) / spread, -_OUTLIER, _OUTLIER)
    with one_blas_thread():
        field = RandomField.prior(len(x[0])).refit(np.array(x), z, _ITERATIONS)
        kriging = Kriging(field, np.array(x))
        kriging.observe(z)
        mean, _ = kriging.predict(np.array(list(at.values())))
    return expected | dict(zip(at, (middle + spread * mean).tolist(), strict=True))
