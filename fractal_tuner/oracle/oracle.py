"""FractalOracle: the zooming search inside Keras Tuner."""

from __future__ import annotations

import math
import operator
import os
import time
import warnings
from collections.abc import Mapping
from typing import Any

import keras_tuner

from fractal_tuner.oracle.files import write_whole
from fractal_tuner.oracle.host import Hyperparameters, alone
from fractal_tuner.oracle.replay import Outcome, Replay
from fractal_tuner.oracle.translation import space_from_hyperparameters
from fractal_tuner.search import FactorialZoom, Search, ZoomSearch
from fractal_tuner.search.base import at_least_one
from fractal_tuner.space import SearchSpace

_IDLE_PAUSE = 0.05  # seconds; Keras Tuner asks again at once


class FractalOracle(keras_tuner.Oracle):
    """Keras Tuner oracle that proposes by an adaptive zooming grid search.

    The first parameters are those of ``keras_tuner.oracles.RandomSearchOracle``, in its order. Seed
    0 is a seed. A finite space is covered exactly once. With the same seed and the same results the
    same hyperparameters are proposed, also when a search is continued (``overwrite=False``).

    Parameters
    ----------
    objective : str, keras_tuner.Objective or list of these, optional
        What to optimize. May be left out where ``run_trial`` or ``HyperModel.fit`` returns one
        float, which is minimized.
    max_trials : int, default=10
        Trials to run at most; None or 0 for no limit.
    seed : int, optional
        None draws one, which is kept in the project folder.
    hyperparameters : keras_tuner.HyperParameters, optional
        Overrides or registers hyperparameters.
    allow_new_entries : bool, default=True
        Whether the hypermodel may ask for hyperparameters that ``hyperparameters`` does not have.
    tune_new_entries : bool, default=True
        Whether such hyperparameters are searched; if not they keep their defaults.
    max_retries_per_trial : int, default=0
        How often a trial that crashed, or whose score is NaN, is run again.
    max_consecutive_failed_trials : int, default=3
        After so many failed trials in a row the search stops with an error.
    strategy : {"zoom", "factorial"}, default="zoom"
        :class:`~fractal_tuner.ZoomSearch`, or full grids zoomed around the best,
        :class:`~fractal_tuner.FactorialZoom`.
    points_per_dim, levels : int, default=5, 3
        Size of a factorial grid, and how many of them; not used by "zoom".

    Raises
    ------
    TypeError, ValueError
        For an invalid option. A first factorial grid larger than ``max_trials`` is refused when the
        first trial is asked for.

    Examples
    --------
    >>> import keras_tuner
    >>> hp = keras_tuner.HyperParameters()
    >>> rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    >>> oracle = FractalOracle("val_loss", seed=0, hyperparameters=hp)
    >>> oracle.populate_space("00")["values"]
    {'rate': 0.0031}
    """

    hyperparameters: Any
    trials: dict[str, Any]
    ongoing_trials: dict[str, Any]
    start_order: list[str]
    end_order: list[str]
    _retry_queue: list[str]

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        strategy: str = "zoom",
        points_per_dim: int = 5,
        levels: int = 3,
    ) -> None:
        if strategy not in ("zoom", "factorial"):
            raise ValueError(f"strategy must be 'zoom' or 'factorial', got {strategy!r}")
        if max_trials:  # None and 0 are no limit, as in Keras Tuner
            at_least_one("max_trials", max_trials)
        if seed is not None and not hasattr(seed, "__index__"):
            raise TypeError(f"seed must be None or an integer, got {seed!r}")
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if seed is not None:  # Keras Tuner takes 0 for no seed
            self.seed = self._seed_state = operator.index(seed)
        self.strategy = strategy
        self.points_per_dim = at_least_one("points_per_dim", points_per_dim)
        self.levels = at_least_one("levels", levels)
        self._windows: dict[str, dict[str, Any]] = {}
        self._replay: Replay | None = None

    @property
    def search(self) -> Search:
        """The search, told all that the oracle knows; its scores are larger for better trials."""
        with alone(self):
            return self._up_to_date().search

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next hyperparameters: RUNNING with "values", IDLE or STOPPED; never raises.

        IDLE is answered only while a running trial can change the answer.
        """
        try:
            replay = self._up_to_date()
            for trial in replay.search.ask():
                values, self._windows[trial_id] = replay.propose(trial_id, trial)
                return {"status": "RUNNING", "values": values}
            search = replay.search
            # The first trial to end may bring entries that are asked for while it runs.
            may_grow = not self.end_order and self.allow_new_entries and self.tune_new_entries
            if search.trials.pending and (search.stop_reason is None or may_grow):
                return {"status": "IDLE", "values": None}
        except Exception as error:  # a chief that raised would leave its workers waiting
            message = f"the search ends early: {type(error).__name__}: {error}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        return {"status": "STOPPED", "values": None}

    def create_trial(self, tuner_id: str) -> Any:
        with alone(self):
            self._refuse_large_grid()
            trial = super().create_trial(tuner_id)
        if trial.status == "IDLE":
            time.sleep(_IDLE_PAUSE)
        return trial

    def get_space(self) -> Any:
        return Hyperparameters.of(self.hyperparameters.copy())

    def update_trial(self, *args: Any, **kwargs: Any) -> Any:
        with alone(self):
            return super().update_trial(*args, **kwargs)

    def end_trial(self, *args: Any, **kwargs: Any) -> None:
        """End a trial; see ``keras_tuner.Oracle.end_trial``."""
        with alone(self):
            try:
                super().end_trial(*args, **kwargs)
            except BaseException:  # it has ended all the same; as ongoing it would be waited for
                given = args[0] if args else kwargs.get("trial", kwargs.get("trial_id"))
                ended = getattr(given, "trial_id", given)
                left = {k: t for k, t in self.ongoing_trials.items() if t.trial_id != ended}
                self.ongoing_trials = left
                raise
            for trial_id in self._retry_queue:
                self._forget_metrics(trial_id)

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """The best trials, best first; those without a finite score come last."""
        scores = {
            t: score for t in self.trials if (score := self._score(self.trials[t])) is not None
        }
        ranked = sorted(scores, key=lambda t: -scores[t])
        if len(ranked) < num_trials:
            ranked += [t for t in self.trials if t not in scores]
        return [self.trials[t] for t in ranked[:num_trials]]

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "windows": self._windows}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._windows = dict(state.get("windows", {}))
        self._replay = None

    def save(self) -> str:
        with alone(self):
            return write_whole(self._get_oracle_fname(), self.get_state())

    def reload(self) -> None:
        """Continue from the project folder, also after a crash between two of its files."""
        with alone(self):
            super().reload()
            for trial_id in sorted(self.trials):
                if _has_ended(self.trials[trial_id]):
                    if trial_id not in self.end_order:
                        self.end_order.append(trial_id)
                elif trial_id not in self.start_order:  # it was never handed out
                    del self.trials[trial_id]
            # A chief saves trials as ongoing that have ended; those that have not are run again.
            started = [t for t in reversed(self.start_order) if t in self.trials]
            self._retry_queue = [t for t in started if not _has_ended(self.trials[t])]
            for trial_id in self._retry_queue:
                self._forget_metrics(trial_id)

    def _save_trial(self, trial: Any) -> None:
        path = os.path.join(self._get_trial_dir(trial.trial_id), "trial.json")
        write_whole(path, trial.get_state())

    def _record_values(self, trial: Any) -> None:
        trial.hyperparameters = Hyperparameters.of(trial.hyperparameters)
        super()._record_values(trial)

    def _forget_metrics(self, trial_id: str) -> None:
        """Make a trial ready to be run again: the tuner ignores results where there are some."""
        trial = self.trials[trial_id]
        trial.metrics = type(trial.metrics)()

    def _up_to_date(self) -> Replay:
        """The replay of all trials that were started, in the order of starting and of ending."""
        # Trials which the oracle was given, and did not run itself, come first.
        given = sorted(self.trials.keys() - set(self.start_order))
        started = [t for t in given + self.start_order if t in self.trials]
        asked = [(t, self.trials[t].hyperparameters.values) for t in started]
        running = {t.trial_id for t in self.ongoing_trials.values()} | set(self._retry_queue)
        elsewhere = self.trials.keys() - set(self.end_order)
        ended = dict.fromkeys([t for t in started if t in elsewhere] + self.end_order)
        still = self.trials.keys() - running
        told = [self._outcome(self.trials[t]) for t in ended if t in still]
        space = self.hyperparameters.space
        if self._replay is None or not self._replay.follow(space, asked, told, self._windows):
            self._replay = Replay(space, self._new_search)
            self._replay.follow(space, asked, told, self._windows)
        return self._replay

    def _score(self, trial: Any) -> float | None:
        """Larger is better; None for a failure."""
        if trial.status != "COMPLETED" or trial.score is None or not math.isfinite(trial.score):
            return None
        return float(trial.score) * self._sign

    def _outcome(self, trial: Any) -> Outcome:
        """What the search is told of a trial that has ended."""
        score = self._score(trial)
        if score is None or not trial.metrics.exists(self.objective.name):
            return trial.trial_id, score, ()
        history = trial.metrics.get_history(self.objective.name)
        # The step of the best mean is the one that gave the trial its score.
        found = (o.value for o in history if o.step == trial.best_step)
        folds = tuple(self._sign * value for value in next(found, ()))
        # A score of the user's own making (``score_trial``) may have nothing to do with them.
        is_mean = len(folds) > 1 and math.isclose(math.fsum(folds) / len(folds), score)
        return trial.trial_id, score, folds if is_mean else ()

    @property
    def _sign(self) -> int:
        return 1 if self.objective.direction == "max" else -1

    def _new_search(self, space: SearchSpace, max_trials: int | None = None) -> Search:
        # The budget is Keras Tuner's to keep: it may change when a search is continued.
        if self.strategy == "factorial":
            return FactorialZoom(
                space,
                points_per_dim=self.points_per_dim,
                levels=self.levels,
                max_trials=max_trials,
            )
        return ZoomSearch(space, max_trials=max_trials, seed=self.seed % 2**32, noise=True)

    def _refuse_large_grid(self) -> None:
        """ValueError if the first grid is larger than the budget; before the first trial only."""
        if self.strategy == "factorial" and self.max_trials and not self.trials:
            self._new_search(space_from_hyperparameters(self.hyperparameters), self.max_trials)


def _has_ended(trial: Any) -> bool:
    return trial.status == "FAILED" or (trial.status == "COMPLETED" and trial.score is not None)
