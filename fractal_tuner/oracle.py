"""FractalOracle and FractalTuner: the zooming search inside Keras Tuner.

Keras Tuner owns the trials. The search is a replay of them: it is told, in order, what the oracle's
trials were and how they ended, and asked for one more. While it lives it is fed only what is new;
it is built anew when the space has grown or a project is continued, with the same proposals either
way.
"""

from __future__ import annotations

import itertools
import json
import math
import operator
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fractal_tuner.dimensions import Dimension
from fractal_tuner.hyperparameters import dimension_of
from fractal_tuner.search import FactorialZoom, Search, ZoomSearch
from fractal_tuner.search.base import at_least_one
from fractal_tuner.space import Params, SearchSpace
from fractal_tuner.trials import Trial, Window

try:
    import keras_tuner

    # Private (since 1.4.7): `synchronized` keeps its lock for ever after an exception; see _alone.
    from keras_tuner.src.engine.oracle import LOCKS, THREADS
except ImportError as missing:
    raise ImportError(
        "FractalOracle needs Keras Tuner: pip install 'fractal-tuner[keras]'"
    ) from missing

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report

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
        self._replay: _Replay | None = None

    @property
    def search(self) -> Search:
        """The search, told all that the oracle knows; its scores are larger for better trials."""
        with _alone(self):
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
        with _alone(self):
            self._refuse_large_grid()
            trial = super().create_trial(tuner_id)
        if trial.status == "IDLE":
            time.sleep(_IDLE_PAUSE)
        return trial

    def get_space(self) -> Any:
        return _Hyperparameters.of(self.hyperparameters.copy())

    def update_trial(self, *args: Any, **kwargs: Any) -> Any:
        with _alone(self):
            return super().update_trial(*args, **kwargs)

    def end_trial(self, *args: Any, **kwargs: Any) -> None:
        """End a trial; see ``keras_tuner.Oracle.end_trial``."""
        with _alone(self):
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
        with _alone(self):
            return _write_whole(self._get_oracle_fname(), self.get_state())

    def reload(self) -> None:
        """Continue from the project folder, also after a crash between two of its files."""
        with _alone(self):
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
        _write_whole(path, trial.get_state())

    def _record_values(self, trial: Any) -> None:
        trial.hyperparameters = _Hyperparameters.of(trial.hyperparameters)
        super()._record_values(trial)

    def _forget_metrics(self, trial_id: str) -> None:
        """Make a trial ready to be run again: the tuner ignores results where there are some."""
        trial = self.trials[trial_id]
        trial.metrics = type(trial.metrics)()

    def _up_to_date(self) -> _Replay:
        """The replay of all trials that were started, in the order of starting and of ending."""
        # Trials which the oracle was given, and did not run itself, come first.
        given = sorted(self.trials.keys() - set(self.start_order))
        started = [t for t in given + self.start_order if t in self.trials]
        asked = [(t, self.trials[t].hyperparameters.values) for t in started]
        running = {t.trial_id for t in self.ongoing_trials.values()} | set(self._retry_queue)
        elsewhere = self.trials.keys() - set(self.end_order)
        ended = dict.fromkeys([t for t in started if t in elsewhere] + self.end_order)
        still = self.trials.keys() - running
        told = [(t, self._score(self.trials[t])) for t in ended if t in still]
        space = self.hyperparameters.space
        if self._replay is None or not self._replay.follow(space, asked, told, self._windows):
            self._replay = _Replay(space, self._new_search)
            self._replay.follow(space, asked, told, self._windows)
        return self._replay

    def _score(self, trial: Any) -> float | None:
        """Larger is better; None for a failure."""
        if trial.status != "COMPLETED" or trial.score is None or not math.isfinite(trial.score):
            return None
        return float(trial.score) * (1 if self.objective.direction == "max" else -1)

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


class FractalTuner(keras_tuner.Tuner):
    """Adaptive zooming grid search for Keras models; replaces ``keras_tuner.RandomSearch``.

    Parameters
    ----------
    hypermodel : keras_tuner.HyperModel or callable
        Takes hyperparameters, returns a compiled Keras model. May be left out where ``run_trial``
        is overridden.
    objective, max_trials, seed, hyperparameters, tune_new_entries, allow_new_entries, \
    max_retries_per_trial, max_consecutive_failed_trials, strategy, points_per_dim, levels
        As in :class:`FractalOracle`.
    **kwargs
        As in ``keras_tuner.Tuner``: ``directory``, ``project_name``, ``overwrite``,
        ``executions_per_trial``, ...

    Raises
    ------
    TypeError, ValueError
        For an invalid option, or a first factorial grid larger than ``max_trials``.

    Examples
    --------
    >>> import tempfile, warnings
    >>> class Parabola(FractalTuner):
    ...     def run_trial(self, trial, **options):
    ...         return (trial.hyperparameters.Float("x", -5, 5) - 1) ** 2
    >>> tuner = Parabola(max_trials=15, seed=0, directory=tempfile.mkdtemp())
    >>> with warnings.catch_warnings(action="ignore"):  # Keras Tuner calls deprecated functions
    ...     tuner.search(verbose=0)
    >>> abs(tuner.get_best_hyperparameters()[0]["x"] - 1) < 0.1
    True
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        strategy: str = "zoom",
        points_per_dim: int = 5,
        levels: int = 3,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = FractalOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            strategy=strategy,
            points_per_dim=points_per_dim,
            levels=levels,
        )
        super().__init__(oracle, hypermodel, **kwargs)
        oracle._refuse_large_grid()

    def on_search_begin(self) -> None:
        """Make the project one that can be continued before its first trial ends."""
        super().on_search_begin()
        self.save()

    def save(self) -> None:
        if not self._is_worker():
            self.oracle.save()
        _write_whole(self._get_tuner_fname(), self.get_state())

    def report(self, **options: Any) -> Report:
        """What was found, how far to trust it, and what to do next.

        Parameters
        ----------
        **options
            As in :func:`fractal_tuner.report.report.analyze`, for instance ``dims``.
        """
        from fractal_tuner.report.report import analyze

        return analyze(self, **options)


def space_from_hyperparameters(hyperparameters: Any) -> SearchSpace:
    """The search space of Keras Tuner's ``HyperParameters``, conditional scopes included.

    Where one name stands under several conditions, the later ones carry theirs in their name.
    Entries that depend on a continuous parent are left out; they keep their defaults. An Int with
    sampling "reverse_log" is searched on a linear scale.

    Parameters
    ----------
    hyperparameters : keras_tuner.HyperParameters

    Returns
    -------
    SearchSpace

    Examples
    --------
    >>> import keras_tuner
    >>> hp = keras_tuner.HyperParameters()
    >>> kind = hp.Choice("kind", ["mlp", "cnn"])
    >>> with hp.conditional_scope("kind", ["mlp"]):
    ...     units = hp.Int("units", 16, 64, step=16)
    >>> space_from_hyperparameters(hp).size
    5
    """
    return _Translation(hyperparameters.space).space


class _Hyperparameters(keras_tuner.HyperParameters):
    """Hyperparameters whose missing values are their defaults.

    Keras Tuner draws them without a seed, and loses the value of a name with two conditions.
    """

    @classmethod
    def of(cls, hyperparameters: Any) -> _Hyperparameters:
        """The same hyperparameters with the safe methods; themselves if they have them."""
        if not isinstance(hyperparameters, cls):
            hyperparameters = cls.from_config(hyperparameters.get_config())
        return hyperparameters  # type: ignore[no-any-return]

    def copy(self) -> _Hyperparameters:
        return type(self).from_config(self.get_config())  # type: ignore[no-any-return]

    def ensure_active_values(self) -> None:
        names = {hp.name for hp in self.space}
        strangers = {name: value for name, value in self.values.items() if name not in names}
        active = _active_values(_parents_first(self.space), self.values)
        self.values.clear()
        self.values.update(strangers | active)


class _Replay:
    """A living search, and the part of the oracle's history that it has seen."""

    def __init__(self, space: Sequence[Any], new_search: Callable[[SearchSpace], Search]) -> None:
        self._entries = list(space)
        self._translation = _Translation(space)
        self._names = {hp.name for hp in space}
        self._asked: list[tuple[str, Params]] = []
        self._told: list[tuple[str, float | None]] = []
        self._ids: dict[str, int] = {}  # Keras Tuner's -> the search's
        self.search = new_search(self._translation.space)

    def follow(
        self,
        space: Sequence[Any],
        asked: Iterable[tuple[str, Params]],
        told: list[tuple[str, float | None]],
        windows: Mapping[str, Mapping[str, Any]],
    ) -> bool:
        """Feed what is new to the search; False if the rest is not what it has seen."""
        asked = [
            (trial_id, {n: v for n, v in values.items() if n in self._names})
            for trial_id, values in asked
        ]
        n_asked, n_told = len(self._asked), len(self._told)
        same_space = len(space) == len(self._entries) and all(
            map(operator.is_, space, self._entries)
        )
        if not same_space or asked[:n_asked] != self._asked or told[:n_told] != self._told:
            return False
        for trial_id, values in asked[n_asked:]:
            window = self._window(windows.get(trial_id))
            try:
                trial = self.search.add(self._translation.params(values), window=window)
            except ValueError:  # outside of the space: it cannot teach the search
                continue
            self._ids[trial_id] = trial.id
        for trial_id, score in told[n_told:]:
            if trial_id in self._ids:
                error = "failed" if score is None else None
                details = {"trial_id": trial_id}
                self.search.tell(self._ids[trial_id], score, error=error, details=details)
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


@dataclass(frozen=True)
class _Entry:
    """One hyperparameter in the search space: its name there, and the parents' values it needs."""

    name: str
    hp: Any
    dimension: Dimension
    when: dict[str, list[Any]]


class _Translation:
    """Keras Tuner's values <-> parameters of a search space."""

    def __init__(self, space: Iterable[Any]) -> None:
        self._hps = _parents_first(space)
        self._entries: list[_Entry] = []
        for hp in self._hps:
            dimension = dimension_of(type(hp).__name__, hp.get_config())
            for when in self._scopes(hp):
                # Of entries with one name that can be active together, the first one is searched.
                if not any(
                    _both(e.when, when) is not None for e in self._entries if e.hp.name == hp.name
                ):
                    self._entries.append(_Entry(self._new_name(hp), hp, dimension, when))
        self.space = (
            SearchSpace(
                {e.name: e.dimension for e in self._entries},
                conditions={e.name: [*e.when.items()] for e in self._entries},
            )
            if self._entries
            else SearchSpace.union([{}])  # a single candidate without parameters
        )

    def values(self, params: Params) -> Params:
        """Keras Tuner's active values of a candidate."""
        found = {e.hp.name: params[e.name] for e in self._entries if e.name in params}
        return _active_values(self._hps, found)

    def params(self, values: Params) -> Params:
        """The candidate of Keras Tuner's values; entries found later have their defaults."""
        found = _active_values(self._hps, values)
        params: Params = {}
        for entry in self._entries:
            if all(
                parent in params and params[parent] in some for parent, some in entry.when.items()
            ):
                params[entry.name] = found.get(entry.hp.name)
        return params

    def _scopes(self, hp: Any) -> list[dict[str, list[Any]]]:
        """The conditions of an entry in the search space, one scope for each way to meet them."""
        scopes: list[dict[str, list[Any]]] = [{}]
        for condition in hp.conditions:
            ways = []
            for parent in (e for e in self._entries if e.hp.name == condition.name):
                if (size := parent.dimension.n_values) is not None and parent.dimension.is_table:
                    known = (
                        parent.dimension.value(parent.dimension.code_at(i)) for i in range(size)
                    )
                    some = [value for value in known if value in condition.values]
                    ways.append({**parent.when, parent.name: some})
            pairs = itertools.product(scopes, ways)
            scopes = [scope for pair in pairs if (scope := _both(*pair)) is not None]
        return scopes

    def _new_name(self, hp: Any) -> str:
        """A name of its own: that of the entry, with its condition and a number where needed."""
        taken = {e.name for e in self._entries} | {h.name for h in self._hps} - {hp.name}
        scope = ", ".join(f"{c.name}={'|'.join(map(str, c.values))}" for c in hp.conditions)
        name, number = str(hp.name), 1
        while name in taken:
            name = f"{hp.name} ({scope})" if number == 1 else f"{hp.name} ({scope}, {number})"
            number += 1
        return name


def _both(a: dict[str, list[Any]], b: dict[str, list[Any]]) -> dict[str, list[Any]] | None:
    """What holds when two scopes hold; None if they exclude each other."""
    both = {**a, **b, **{name: [v for v in a[name] if v in b[name]] for name in a if name in b}}
    return both if all(both.values()) else None


def _parents_first(space: Iterable[Any]) -> list[Any]:
    """Hyperparameters with parents before children; gRPC sorts them by type."""
    left, ordered = list(space), []
    while left:
        names = {hp.name for hp in left}
        free = (
            hp
            for hp in left
            if not any(c.name in names and c.name != hp.name for c in hp.conditions)
        )
        ordered.append(next(free, left[0]))
        left = [hp for hp in left if hp is not ordered[-1]]
    return ordered


def _active_values(hps: Iterable[Any], values: Mapping[str, Any]) -> Params:
    """The values of the active ones of ``hps`` (parents first), defaults where there are none."""
    active: Params = {}
    for hp in hps:
        if hp.name not in active and all(c.is_active(active) for c in hp.conditions):
            active[hp.name] = values.get(hp.name, hp.default)
    return active


@contextmanager
def _alone(oracle: FractalOracle) -> Iterator[None]:
    """Hold Keras Tuner's lock of an oracle, and give it back whatever happens."""
    name = threading.current_thread().name
    if THREADS[oracle] == name:
        yield
        return
    with LOCKS[oracle]:
        THREADS[oracle] = name
        try:
            yield
        finally:
            THREADS[oracle] = None


def _has_ended(trial: Any) -> bool:
    return trial.status == "FAILED" or (trial.status == "COMPLETED" and trial.score is not None)


def _write_whole(path: str, state: Any) -> str:
    """Write JSON so that a reader finds the old file or the new one, and nothing between."""
    text = json.dumps(state)
    if "://" in path:  # an object store, which replaces whole objects anyway
        with keras_tuner.src.backend.io.File(path, "w") as file:
            file.write(text)
        return text
    temporary = Path(f"{path}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return text
