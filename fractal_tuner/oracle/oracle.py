"""FractalOracle: the zooming search inside Keras Tuner."""

from __future__ import annotations

import math
import numbers
import operator
import os
import time
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras_tuner

# Private (since 1.4.7).
from keras_tuner.src.distribute.utils import is_chief_oracle

from fractal_tuner.oracle.files import write_whole
from fractal_tuner.oracle.host import Hyperparameters, alone
from fractal_tuner.oracle.project import read_project
from fractal_tuner.oracle.replay import Outcome, Replay
from fractal_tuner.oracle.resume import resume
from fractal_tuner.oracle.translation import space_from_hyperparameters
from fractal_tuner.oracle.workers import Attendance
from fractal_tuner.rungs import EPOCHS, Run, Rungs, Standings
from fractal_tuner.search import FactorialZoom, Search, ZoomSearch
from fractal_tuner.search.base import at_least_one
from fractal_tuner.space import Params, SearchSpace

_IDLE_PAUSE = 0.05  # seconds; Keras Tuner asks again at once


class _Progress(NamedTuple):
    """Who trained how far: the runs, and where their configurations stand."""

    runs: dict[str, Run]
    standings: Standings


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
    max_epochs : int, optional
        Epochs of a full training. With it, most configurations train for a few epochs only, and
        those expected to be best go on, each time as a new trial that counts in ``max_trials``; see
        :class:`~fractal_tuner.rungs.Rungs`, of whose ``n_runs`` it must be no less. In the mean a
        trial trains for two or three times ``min_epochs``. As in Keras Tuner's Hyperband, the
        values of a trial hold "tuner/epochs" and "tuner/initial_epoch", between which it trains,
        and "tuner/trial_id", the trial it continues. None trains each trial for the epochs that
        ``search`` is given.
    factor, min_epochs : int, default=3, 1
        Of ``factor`` trials with equal epochs the best goes on, to ``factor`` times as many; a new
        configuration trains for ``min_epochs`` or a little more. Only with ``max_epochs``.
    worker_timeout : float, optional
        In a distributed search, seconds of silence after which a worker is taken for dead: its
        trial is given to another one, and the chief no longer waits for it. None waits for ever, as
        Keras Tuner does. The workers of a :class:`FractalTuner` give signs of life while a trial
        runs; those of other tuners do not, so that it must be longer than any trial.

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
    failure: RuntimeError | None = None  # why a chief ends its search early
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
        max_epochs: int | None = None,
        factor: int = 3,
        min_epochs: int = 1,
        worker_timeout: float | None = None,
    ) -> None:
        if strategy not in ("zoom", "factorial"):
            raise ValueError(f"strategy must be 'zoom' or 'factorial', got {strategy!r}")
        if max_trials:  # None and 0 are no limit, as in Keras Tuner
            at_least_one("max_trials", max_trials)
        if seed is not None and not hasattr(seed, "__index__"):
            raise TypeError(f"seed must be None or an integer, got {seed!r}")
        if worker_timeout is not None and not (
            isinstance(worker_timeout, numbers.Real) and 0 < worker_timeout < math.inf
        ):
            got = f"got {worker_timeout!r}"
            raise ValueError(f"worker_timeout must be None or a positive number, {got}")
        self.worker_timeout = worker_timeout
        self._attendance = Attendance(worker_timeout)
        self._restored: set[str] = set()  # workers whose trials were found in the project folder
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=None if seed is None else 1,  # 0 would be none; the true one is set below
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if seed is not None:
            self.seed = self._seed_state = operator.index(seed)
        self.strategy = strategy
        self.points_per_dim = at_least_one("points_per_dim", points_per_dim)
        self.levels = at_least_one("levels", levels)
        self.rungs = None if max_epochs is None else Rungs(max_epochs, factor, min_epochs)
        if self.rungs is None and (factor, min_epochs) != (3, 1):
            raise ValueError("factor and min_epochs need max_epochs, which is None")
        if self.rungs is not None and strategy != "zoom":
            raise ValueError(f"max_epochs needs strategy='zoom', got {strategy!r}")
        if self.rungs is not None and max_trials and max_trials < self.rungs.n_runs:
            raise ValueError(
                f"max_trials must be at least {self.rungs.n_runs}, got {max_trials}: it may take "
                f"that many until a configuration trains for max_epochs={max_epochs}; with larger "
                "min_epochs it takes fewer"
            )
        self._windows: dict[str, dict[str, Any]] = {}
        self._replay: Replay | None = None

    @property
    def search(self) -> Search:
        """The search, told all that the oracle knows; its scores are larger for better trials."""
        with alone(self):
            return self._up_to_date(self._progress()).search

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next hyperparameters: RUNNING with "values", IDLE or STOPPED; never raises.

        IDLE is answered only while a running trial can change the answer.
        """
        try:
            if self.failure is not None:
                return {"status": "STOPPED", "values": None}
            progress = self._progress()
            if (values := self._continuation(trial_id, progress)) is not None:
                return {"status": "RUNNING", "values": values}
            replay = self._up_to_date(progress)
            for trial in replay.search.ask():
                values, self._windows[trial_id] = replay.propose(trial_id, trial)
                if self.rungs is not None:
                    values |= self.rungs.values()
                return {"status": "RUNNING", "values": values}
            search = replay.search
            # The first trial to end may bring entries that are asked for while it runs.
            may_grow = not self.end_order and self.allow_new_entries and self.tune_new_entries
            if search.trials.pending and (search.stop_reason is None or may_grow):
                return {"status": "IDLE", "values": None}
            if self.rungs is not None and self.ongoing_trials:  # others may go on when they end
                return {"status": "IDLE", "values": None}
            if (values := self._continuation(trial_id, progress, is_last_call=True)) is not None:
                return {"status": "RUNNING", "values": values}
        except Exception as error:  # a chief that raised would leave its workers waiting
            message = f"the search ends early: {type(error).__name__}: {error}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        return {"status": "STOPPED", "values": None}

    def _continuation(
        self, trial_id: str, progress: _Progress, *, is_last_call: bool = False
    ) -> Params | None:
        """The values of a trial that trains on where another one ended, if one is to do so now."""
        if self.rungs is None:
            return None
        parent = self.rungs.next(*progress, is_last_call=is_last_call)
        if parent is None:
            return None
        if parent in self._windows:
            self._windows[trial_id] = self._windows[parent]
        values = self.trials[parent].hyperparameters.values
        return {**values, **self.rungs.values(progress.runs[parent].rung + 1, parent)}

    def create_trial(self, tuner_id: str) -> Any:
        with alone(self):
            self._refuse_large_grid()
            self._attendance.hear(tuner_id)
            if tuner_id in self._restored & self.ongoing_trials.keys():  # it was started anew, too
                self._forget_metrics(self.ongoing_trials[tuner_id].trial_id)
            self._restored.discard(tuner_id)
            trial = super().create_trial(tuner_id)
            if trial.status == "STOPPED" and self.ongoing_trials and self.worker_timeout:
                # Somebody must be left to run the trials of workers that may die.
                trial.status = "IDLE"
                self.tuner_ids.add(tuner_id)
        if trial.status == "IDLE":
            time.sleep(_IDLE_PAUSE)
        return trial

    def get_trial(self, trial_id: str) -> Any:
        with alone(self):
            self._hear_of(trial_id)
            return super().get_trial(trial_id)

    @property
    def tuner_ids(self) -> set[str]:
        """The workers for which a chief waits: those that are not taken for dead."""
        self._give_up_silent_workers()
        return self._tuner_ids

    @tuner_ids.setter
    def tuner_ids(self, tuner_ids: set[str]) -> None:
        self._tuner_ids = tuner_ids

    def get_space(self) -> Any:
        return Hyperparameters.of(self.hyperparameters.copy())

    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> Any:
        with alone(self):
            self._hear_of(trial_id)
            if trial_id in self.end_order:  # by a worker that was taken for dead, or instead of it
                return self.trials[trial_id]
            return super().update_trial(trial_id, metrics, step=step)

    def end_trial(self, *args: Any, **kwargs: Any) -> None:
        """End a trial, once; see ``keras_tuner.Oracle.end_trial``."""
        given: Any = args[0] if args else kwargs.get("trial", kwargs.get("trial_id"))
        trial_id: str = getattr(given, "trial_id", given)
        with alone(self):
            self._hear_of(trial_id)
            if trial_id in self.end_order:
                return
            try:
                super().end_trial(*args, **kwargs)
            finally:  # after an exception, too, it would be waited for as an ongoing one
                left = {w: t for w, t in self.ongoing_trials.items() if t.trial_id != trial_id}
                self.ongoing_trials = left
            queue = dict.fromkeys(self._retry_queue)  # two workers may have failed with one trial
            self._retry_queue = [t for t in queue if t not in self.end_order]
            for waiting in self._retry_queue:
                self._forget_metrics(waiting)

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
        # The values are in the files of the trials, too: each makes up for the loss of the other.
        values = {t: trial.hyperparameters.values for t, trial in self.trials.items()}
        return {
            **super().get_state(),
            "windows": self._windows,
            "values": values,
            "tuner_ids": sorted(self._tuner_ids),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        seed = self.seed
        super().set_state(state)
        if "windows" not in state:  # another oracle's, whose seed is not that of our search
            self.seed = self._seed_state = seed
        self._windows = dict(state.get("windows", {}))
        self._replay = None

    def save(self) -> str:
        with alone(self):
            return write_whole(self._get_oracle_fname(), self.get_state())

    def reload(self) -> None:
        """Continue from the project folder, of this or another oracle, also after a crash.

        A trial that had not ended is run again, first. A file that is torn or missing is made up
        for by the others.

        Raises
        ------
        RuntimeError
            If the folder holds no search, or one for another objective.

        Warns
        -----
        RuntimeWarning
            If a file is torn or missing; what is lost with it.
        """
        with alone(self):
            resume(self, read_project(self._project_dir))

    def _check_consecutive_failures(self) -> None:
        try:
            super()._check_consecutive_failures()
        except RuntimeError as error:
            if not is_chief_oracle():
                raise
            # Raised here it would end one worker, and the chief would wait for ever.
            if self.failure is None:
                warnings.warn(f"the search ends early: {error}", RuntimeWarning, stacklevel=2)
            self.failure = error

    def _hear_of(self, trial_id: str) -> None:
        """Note that the worker lives that runs a trial."""
        for worker, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self._attendance.hear(worker)

    def _give_up_silent_workers(self) -> None:
        workers = sorted(self._tuner_ids | self.ongoing_trials.keys())
        for worker in self._attendance.silent(workers):
            self._tuner_ids.discard(worker)
            if (trial := self.ongoing_trials.pop(worker, None)) is not None:
                self._forget_metrics(trial.trial_id)
                self._retry_queue.insert(0, trial.trial_id)  # the last one is the next

    def _save_trial(self, trial: Any) -> None:
        trial_id = trial.trial_id
        record = {"seed": self.seed, "window": self._windows.get(trial_id)}
        if trial_id in self.end_order:
            record["ended"] = self.end_order.index(trial_id)
        path = os.path.join(self._get_trial_dir(trial_id), "trial.json")
        write_whole(path, {**trial.get_state(), "search": record})

    def _record_values(self, trial: Any) -> None:
        trial.hyperparameters = Hyperparameters.of(trial.hyperparameters)
        super()._record_values(trial)

    def _forget_metrics(self, trial_id: str) -> None:
        """Make a trial ready to be run again: the tuner ignores results where there are some."""
        trial = self.trials[trial_id]
        trial.metrics = type(trial.metrics)()

    def _progress(self) -> _Progress:
        space = self.hyperparameters.space
        if self._replay is None or not self._replay.is_of(space):
            self._replay = Replay(space, self._new_search)
        rungs = self.rungs or self._highest_rung()
        runs = self._runs(rungs)
        places = {}
        if self.rungs is not None:
            for trial_id in runs:
                values = self.trials[trial_id].hyperparameters.values
                places[trial_id] = self._replay.features(values)
        return _Progress(runs, rungs.standings(runs, places))

    def _up_to_date(self, progress: _Progress) -> Replay:
        """The replay of all configurations, in the order of starting and of ending."""
        runs, standings = progress
        begun = {t: run for t, run in runs.items() if run.parent not in runs}
        asked = [(t, self.trials[t].hyperparameters.values) for t in begun]
        elsewhere = begun.keys() - set(self.end_order)
        ended = dict.fromkeys([t for t in begun if t in elsewhere] + self.end_order)
        still = begun.keys() - self._running()
        told = [self._outcome(t, *standings.get(t, (t, 0.0))) for t in ended if t in still]
        if self._replay is None or not self._replay.follow(asked, told, self._windows):
            self._replay = Replay(self.hyperparameters.space, self._new_search)
            self._replay.follow(asked, told, self._windows)
        return self._replay

    def _running(self) -> set[str]:
        return {t.trial_id for t in self.ongoing_trials.values()} | set(self._retry_queue)

    def _runs(self, rungs: Rungs) -> dict[str, Run]:
        """The trials that ended on rungs, or will, in the order of their beginning."""
        # Trials which the oracle was given, and did not run itself, come first.
        given = sorted(self.trials.keys() - set(self.start_order))
        running = self._running()
        runs = {}
        for trial_id in given + self.start_order:
            if (trial := self.trials.get(trial_id)) is not None:
                score = None if trial_id in running else self._score(trial)
                run = rungs.run(trial.hyperparameters.values, score)
                if run is not None:
                    runs[trial_id] = run
        return runs

    def _highest_rung(self) -> Rungs:
        """A single rung, as high as any trial went: another oracle's may have trained for less."""
        values = (trial.hyperparameters.values for trial in self.trials.values())
        most = max((v[EPOCHS] for v in values if EPOCHS in v), default=1)
        return Rungs(most, min_epochs=most)

    def _score(self, trial: Any) -> float | None:
        """Larger is better; None for a failure."""
        if trial.status != "COMPLETED" or trial.score is None or not math.isfinite(trial.score):
            return None
        return float(trial.score) * self._sign

    def _outcome(self, begun: str, trial_id: str, lacks: float) -> Outcome:
        """What the search is told of the configuration that trial ``begun`` was the first of.

        ``trial_id`` is the one that trained it longest, and ``lacks`` is to be added to its score.
        """
        trial = self.trials[trial_id]
        score = self._score(trial)
        if score is None:
            return begun, None, ()
        folds: tuple[float, ...] = ()
        if trial.metrics.exists(self.objective.name):
            history = trial.metrics.get_history(self.objective.name)
            # The step of the best mean is the one that gave the trial its score.
            found = (o.value for o in history if o.step == trial.best_step)
            folds = tuple(self._sign * value for value in next(found, ()))
        # A score of the user's own making (``score_trial``) may have nothing to do with them.
        is_mean = len(folds) > 1 and math.isclose(math.fsum(folds) / len(folds), score)
        return begun, score + lacks, tuple(f + lacks for f in folds) if is_mean else ()

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
