"""Keras Tuner: tuners, oracles, and project folders, which are read without Keras Tuner.

A project folder holds ``oracle.json`` and ``trial_<id>/trial.json``. Neither names the objective:
it is the metric whose best value is the score of every trial. Both are overwritten in place while
the search runs, so that a crash may leave the beginning of a file, or nothing of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeGuard

from fractal_tuner.dimensions import Dimension
from fractal_tuner.hyperparameters import dimension_of
from fractal_tuner.readers.record import Entry, Record, log_of, score_label
from fractal_tuner.space import Params, SearchSpace
from fractal_tuner.words import count

State = dict[str, Any]

_TUNER = "tuner/"  # what Hyperband keeps among the hyperparameters
_RESOURCE = "tuner/epochs"


def read_oracle(
    oracle: Any,
    name: str,
    *,
    space: SearchSpace | None,
    score: str | None,
    maximize: bool | None,
) -> Record:
    """The record of an oracle, or of the tuner that has it, called ``name``."""
    states = {trial_id: trial.get_state() for trial_id, trial in oracle.trials.items()}
    budget = getattr(oracle, "max_trials", None) or math.inf
    ended = len(states) >= budget and not oracle.ongoing_trials
    return _record(
        oracle.get_state(),
        states,
        name if name.startswith("Fractal") else f"Keras Tuner {name}",
        [],
        objective=(oracle.objective.name, oracle.objective.direction),
        stop_reason="budget" if ended else None,
        space=space,
        score=score,
        maximize=maximize,
    )


def read_project(
    path: Path, *, space: SearchSpace | None, score: str | None, maximize: bool | None
) -> Record:
    """The record of a project folder, or of the folder that holds a single one.

    Raises
    ------
    ValueError
        If there is no project, or several.
    """
    folder = _project(path)
    notes: list[str] = []
    oracle, is_whole = _load(folder / "oracle.json", folder, notes)
    tool = _tool(oracle)
    if not is_whole:  # a window may lack sides
        oracle.pop("windows", None)
    states: dict[str, State] = {}
    for inside in sorted(folder.glob("trial_*")):
        if inside.is_dir():
            trial_id = inside.name.removeprefix("trial_")
            states[trial_id] = _load(inside / "trial.json", folder, notes)[0]
    return _record(
        oracle,
        states,
        tool,
        notes,
        objective=None,
        stop_reason=None,
        space=space,
        score=score,
        maximize=maximize,
    )


def _project(path: Path) -> Path:
    def is_project(folder: Path) -> bool:
        trials = folder.glob("trial_*/trial.json")
        return (folder / "oracle.json").is_file() or next(trials, None) is not None

    if is_project(path):
        return path
    inside = sorted(f for f in path.iterdir() if f.is_dir() and is_project(f))
    if len(inside) != 1:
        found = f"several: {[f.name for f in inside]}" if inside else "none"
        raise ValueError(f"{path} must be the folder of one Keras Tuner project; it holds {found}")
    return inside[0]


def _tool(oracle: State) -> str:
    """The tuner, as far as the state of its oracle tells it."""
    if "windows" in oracle:
        return "FractalTuner"
    if "brackets" in oracle:
        return "Keras Tuner Hyperband"
    if "num_initial_points" in oracle:
        return "Keras Tuner BayesianOptimization"
    return "Keras Tuner"


def _load(file: Path, folder: Path, notes: list[str]) -> tuple[State, bool]:
    """The JSON object in a file, or what is whole of it; and whether that is all."""
    name = file.relative_to(folder)
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        notes.append(f"{name} is missing")
        return {}, False
    except OSError as error:
        notes.append(f"{name} cannot be read: {error.strerror}")
        return {}, False
    is_whole = True
    try:
        found, end = json.JSONDecoder().raw_decode(text.strip())
        if text.strip()[end:]:
            notes.append(f"{name} has the rest of an older file at its end, which was left out")
    except (json.JSONDecodeError, RecursionError):
        found, is_whole = whole_part(text), False
        left = "its beginning was read" if found else "nothing of it can be read"
        notes.append(f"{name} is torn: {left}")
    return (found, is_whole) if isinstance(found, dict) else ({}, False)


def whole_part(text: str) -> Any:
    """The value that the beginning of a JSON text describes, cut behind its last whole member."""
    closers: list[str] = []
    whole = ""
    in_string = escaped = False
    for i, character in enumerate(text):
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            closers.append("}" if character == "{" else "]")
        elif character in "}]" and closers:
            closers.pop()
            whole = text[: i + 1] + "".join(reversed(closers))
        elif character == ",":
            whole = text[:i] + "".join(reversed(closers))
    try:
        return json.loads(whole)
    except (json.JSONDecodeError, RecursionError):
        return None


def _record(
    oracle: State,
    states: Mapping[str, State],
    tool: str,
    notes: list[str],
    *,
    objective: tuple[str, str] | None,
    stop_reason: str | None,
    space: SearchSpace | None,
    score: str | None,
    maximize: bool | None,
) -> Record:
    started = [t for t in _names(oracle, "start_order") if t in states]
    order = dict.fromkeys(started + sorted(states))
    hps = _Hyperparameters(
        [_dict(state, "hyperparameters") for state in (oracle, *(states[t] for t in order))]
    )
    metric, direction = objective or _objective([states[t] for t in order], notes)
    if score is not None and score != metric:
        metric, direction = _named(score, states.values())
    larger = direction == "max" if maximize is None else maximize
    sign = 1 if larger else -1
    ends = {t: i for i, t in enumerate(_names(oracle, "end_order"))}
    waiting = {*_names(oracle, "retry_queue")}
    running = {t for t in _dict(oracle, "ongoing_trials").values() if isinstance(t, str)}
    starts = _dict(_dict(oracle, "display"), "trial_start")
    entries: dict[str, Entry] = {}
    late: dict[str, int] = {}
    for trial_id in order:
        state = states[trial_id]
        values = _dict(state, "hyperparameters").get("values")
        if not isinstance(values, dict) or "metrics" not in state:  # they are whole if it follows
            notes.append(f"trial {trial_id} is lost: its hyperparameters cannot be read")
            continue
        params, filled = hps.active(values)
        for name in filled:
            late[name] = late.get(name, 0) + 1
        entry = Entry(
            params, told=ends.get(trial_id, math.inf), started=_unix(starts.get(trial_id))
        )
        entry.details["trial_id"] = trial_id
        if _is_finite(epochs := values.get(_RESOURCE)):
            entry.resource = entry.details["epochs"] = float(epochs)
        _settle(
            entry, state, metric, sign, own=score is None, retried=trial_id in waiting | running
        )
        if entry.status == "running" and trial_id in ends:
            notes.append(f"the outcome of trial {trial_id} is lost")
        entries[trial_id] = entry
    for name, n in late.items():
        notes.append(f"{count(n, 'trial')} ran before {name!r} was known: its default is shown")
    _set_windows(entries, _dict(oracle, "windows"))
    log, _ = log_of(list(entries.values()), notes, space=space, known=hps.space or hps.dimensions)
    if not len(log):
        notes.append("no trial was recorded")
    seed = oracle.get("seed")
    label = score_label(metric, larger)
    return Record(log, tool, label, stop_reason=stop_reason, seed=seed, notes=tuple(notes))


def _settle(
    entry: Entry, state: State, metric: str, sign: int, *, own: bool, retried: bool
) -> None:
    """Write down how a trial ended; ``own`` if the score is that of the tuner."""
    # The score is written behind the metrics: without it they may not be whole.
    metrics = _metrics(state) if "score" in state else {}
    entry.details["metrics"] = {m: best for m, (best, _, _) in metrics.items()}
    status = state.get("status")
    best, _, folds = metrics.get(metric, (math.nan, "", []))
    value = state.get("score") if own or state.get("score") is None else best
    if retried or status in ("RUNNING", "IDLE", "STOPPED"):
        entry.status = "running"
    elif status in ("FAILED", "INVALID"):
        message = str(state.get("message") or "failed").strip()
        entry.status, entry.error = "failed", (message.splitlines() or ["failed"])[-1]
    elif isinstance(value, int | float) and math.isfinite(value):
        entry.score = sign * float(value)
        entry.folds = [sign * f for f in folds] if len(folds) > 1 else ()
    elif status == "COMPLETED" and value is not None:
        entry.status, entry.error = "failed", f"the score is {value}"
    else:  # a torn file, or a crash before the score
        entry.status = "running"


def _set_windows(entries: Mapping[str, Entry], windows: Mapping[str, Any]) -> None:
    """Where our own oracle was looking."""
    places: dict[Any, int] = {trial_id: place for place, trial_id in enumerate(entries)}
    for trial_id, entry in entries.items():
        if isinstance(found := windows.get(trial_id), dict):
            center = places.get(found.get("center"))
            entry.window = (found["level"], center, found["sides"])


def _objective(states: Sequence[State], notes: list[str]) -> tuple[str, str]:
    """The metric whose best value is every trial's score, and its direction."""
    scored = [(s["score"], _metrics(s)) for s in states if _is_finite(s.get("score"))]
    if not scored:
        return "score", "min"
    fitting = [
        (name, direction)
        for name, (_, direction, _) in scored[0][1].items()
        if all(
            name in metrics and math.isclose(metrics[name][0], score, rel_tol=1e-9)
            for score, metrics in scored
        )
    ]
    if not fitting:
        notes.append(
            "no metric has the scores of the trials as its best values: the score is taken to be "
            "minimised, as Keras Tuner does with several objectives; maximize=True reverses it"
        )
        return "score", "min"
    fitting.sort(key=lambda found: not found[0].startswith("val_"))
    if len(fitting) > 1:
        notes.append(
            f"the objective may be any of {', '.join(n for n, _ in fitting)}, which have the same "
            f"values; {fitting[0][0]!r} was taken, score= chooses another"
        )
    return fitting[0]


def _named(metric: str, states: Iterable[State]) -> tuple[str, str]:
    """A metric that the user names, and its direction."""
    directions = {m: d for state in states for m, (_, d, _) in _metrics(state).items()}
    if metric not in directions:
        raise ValueError(f"score {metric!r} was not recorded; recorded are {sorted(directions)}")
    return metric, directions[metric]


def _metrics(state: State) -> dict[str, tuple[float, str, list[float]]]:
    """Best value of each metric, its direction, and the values of the executions behind it."""
    found: dict[str, tuple[float, str, list[float]]] = {}
    for name, history in _dict(_dict(state, "metrics"), "metrics").items():
        if not isinstance(history, dict):
            continue
        direction = history.get("direction", "min")
        means = []
        for observation in _list(history, "observations"):
            values = observation.get("value") if isinstance(observation, dict) else None
            values = values if isinstance(values, list) else [values]
            if values and all(map(_is_finite, values)):
                means.append((math.fsum(values) / len(values), [float(v) for v in values]))
        if means:
            best = (max if direction == "max" else min)(means, key=lambda pair: pair[0])
            found[name] = best[0], direction, best[1]
    return found


@dataclass(frozen=True)
class _Hyperparameter:
    """One entry of a space: its configuration, and the parents' values that it needs."""

    name: str
    config: State
    when: tuple[tuple[str, list[Any]], ...]

    @classmethod
    def of(cls, found: Any) -> Self | None:
        """The entry that was written down; None if it is not whole."""
        if not isinstance(found, dict) or not isinstance(config := found.get("config"), dict):
            return None
        name, conditions = config.get("name"), config.get("conditions", [])
        if not isinstance(name, str) or name.startswith(_TUNER) or not isinstance(conditions, list):
            return None
        when = []
        for condition in conditions:
            parent = _dict(condition, "config") if isinstance(condition, dict) else {}
            if not isinstance(parent.get("name"), str) or not isinstance(
                parent.get("values"), list
            ):
                return None
            when.append((parent["name"], parent["values"]))
        return cls(name, config | {"kind": found.get("class_name")}, tuple(when))


class _Hyperparameters:
    """The hyperparameters of a project: dimensions, conditions and defaults.

    Parameters
    ----------
    configs : iterable of dict
        ``HyperParameters.get_config()`` of the oracle and the trials; the first that has an entry
        under some conditions decides.
    """

    def __init__(self, configs: Iterable[State]) -> None:
        found: dict[str, _Hyperparameter] = {}
        for config in configs:
            if "values" in config:  # it is written behind the space, which is whole then
                for hp in map(_Hyperparameter.of, _list(config, "space")):
                    if hp is not None:
                        found.setdefault(f"{hp.name!r} {hp.when!r}", hp)
        self._hps = _parents_first(list(found.values()))
        self.dimensions: dict[str, Dimension] = {}
        for hp in self._hps:
            if (dimension := _dimension(hp.config)) is not None:
                self.dimensions.setdefault(hp.name, dimension)
        self.space = self._space()

    def _space(self) -> SearchSpace | None:
        """The space with its conditions; None where one name stands under several of them."""
        if not self._hps or len(self.dimensions) < len(self._hps):
            return None
        try:
            return SearchSpace(
                {hp.name: self.dimensions[hp.name] for hp in self._hps},
                conditions={hp.name: hp.when for hp in self._hps if hp.when},
            )
        except (TypeError, ValueError):  # a condition that cannot be met, or on a continuum
            return None

    def active(self, values: Params) -> tuple[Params, list[str]]:
        """The active ones of a trial's values, and the names of those that are defaults."""
        params: Params = {}
        filled = []
        for hp in self._hps:
            if hp.name not in params and all(params.get(p) in some for p, some in hp.when):
                if hp.name not in values:
                    filled.append(hp.name)
                params[hp.name] = values.get(hp.name, _default(hp.config))
        names = {hp.name for hp in self._hps}
        strangers = {n: v for n, v in values.items() if n not in names and not n.startswith(_TUNER)}
        return params | strangers, filled


def _parents_first(hps: list[_Hyperparameter]) -> list[_Hyperparameter]:
    """Hyperparameters with parents before children; a circle is broken at its first entry."""
    ordered = []
    while hps:
        names = {hp.name for hp in hps}
        hp = next((hp for hp in hps if all(p not in names for p, _ in hp.when)), hps[0])
        hps.remove(hp)
        ordered.append(hp)
    return ordered


def _default(config: State) -> Any:
    for name in ("default", "value", "min_value"):
        if config.get(name) is not None:
            return config[name]
    return next(iter(_list(config, "values")), False)


def _dimension(config: State) -> Dimension | None:
    """The dimension of a hyperparameter; None where its description cannot be understood."""
    try:
        return dimension_of(config["kind"], config)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None


def _dict(state: State, name: str) -> State:
    found = state.get(name)
    return found if isinstance(found, dict) else {}


def _list(state: State, name: str) -> list[Any]:
    found = state.get(name)
    return found if isinstance(found, list) else []


def _names(state: State, name: str) -> list[str]:
    return [v for v in _list(state, name) if isinstance(v, str)]


def _is_finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _unix(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
