"""Replay: a search that is told what the trials of an oracle were."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fractal_tuner.oracle.translation import Translation
from fractal_tuner.search import Search
from fractal_tuner.search.lattice import Lattice
from fractal_tuner.space import Params, SearchSpace
from fractal_tuner.trials import Trial, Window

# A trial's id; its score, larger is better, None for a failure; the scores of its executions.
Outcome = tuple[str, float | None, tuple[float, ...]]


class Replay:
    """A living search, and the part of the oracle's history that it has seen."""

    def __init__(self, space: Sequence[Any], new_search: Callable[[SearchSpace], Search]) -> None:
        self._entries = list(space)
        self._translation = Translation(space)
        self._names = {hp.name for hp in space}
        self._asked: list[tuple[str, Params]] = []
        self._told: list[Outcome] = []
        self._ids: dict[str, int] = {}  # Keras Tuner's -> the search's
        self.search = new_search(self._translation.space)
        self._lattice = Lattice(self._translation.space)

    def is_of(self, space: Sequence[Any]) -> bool:
        """Whether a space is the one that this search has."""
        return len(space) == len(self._entries) and all(map(operator.is_, space, self._entries))

    def features(self, values: Params) -> np.ndarray | None:
        """Keras Tuner's values in the unit cube, shape (n_features,); None outside of the space."""
        try:
            key = self.search.space.key(self._translation.params(values))
        except ValueError:
            return None
        features: np.ndarray = self._lattice.features(self._lattice.place(key)[None])[0]
        return features

    def follow(
        self,
        asked: Iterable[tuple[str, Params]],
        told: list[Outcome],
        windows: Mapping[str, Mapping[str, Any]],
    ) -> bool:
        """Feed what is new to the search; False if the rest is not what it has seen."""
        asked = [
            (trial_id, {n: v for n, v in values.items() if n in self._names})
            for trial_id, values in asked
        ]
        n_asked, n_told = len(self._asked), len(self._told)
        if asked[:n_asked] != self._asked or told[:n_told] != self._told:
            return False
        for trial_id, values in asked[n_asked:]:
            window = self._window(windows.get(trial_id))
            try:
                trial = self.search.add(self._translation.params(values), window=window)
            except ValueError:  # outside of the space: it cannot teach the search
                continue
            self._ids[trial_id] = trial.id
        for trial_id, score, folds in told[n_told:]:
            if trial_id in self._ids:
                self.search.tell(
                    self._ids[trial_id],
                    score,
                    error="failed" if score is None else None,
                    folds=folds,
                    details={"trial_id": trial_id},
                )
        self._asked, self._told = asked, told
        return True

    def propose(self, trial_id: str, trial: Trial) -> tuple[Params, dict[str, Any]]:
        """Keras Tuner's values for a proposal, and its window as plain JSON."""
        values = self._translation.values(trial.params)
        hosts = {own: host for host, own in self._ids.items()}
        self._ids[trial_id] = trial.id
        self._asked.append((trial_id, dict(values)))
        window = trial.window
        sides = zip(self.search.space.parameters, window.lower, window.upper, strict=True)
        record = {
            "level": window.level,
            "center": None if window.center is None else hosts.get(window.center),
            "sides": {p.name: [low, high] for p, low, high in sides if p.name is not None},
        }
        return values, record

    def _window(self, record: Mapping[str, Any] | None) -> Window | None:
        """The window that :meth:`propose` wrote down, in a space that may have grown since."""
        if record is None:
            return None
        sides = [record["sides"].get(p.name, (0.0, 1.0)) for p in self.search.space.parameters]
        lower, upper = zip(*sides, strict=True)
        return Window(record["level"], self._ids.get(record["center"]), lower, upper)
