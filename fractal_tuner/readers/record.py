"""Record: what was recorded of a search, and how it is made of what a tool left behind."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fractal_tuner.dimensions import Dimension
from fractal_tuner.readers.infer import space_of
from fractal_tuner.space import Key, Params, SearchSpace
from fractal_tuner.trials import Status, Trial, TrialLog, Window
from fractal_tuner.words import count

Outcome = Literal["running", "complete", "failed", "pruned"]

INFERRED = (
    "the search space was inferred from the values that were tried: its real limits are unknown"
)


@dataclass(frozen=True)
class Record:
    """What was recorded of a search, by whatever tool.

    Attributes
    ----------
    trials : TrialLog
        A copy, with the space in ``trials.space``. Scores: larger is better, NaN where a trial
        failed. ``details["fit_time"]`` holds the mean seconds of a fit where they are known.
    tool : str
        For instance "FractalSearchCV", "GridSearchCV", "Keras Tuner RandomSearch", "Optuna study",
        "journal" or "table".
    score_name : str
        For instance "accuracy"; of a minimised objective "negated val_loss".
    best : int or None
        Id of the trial that the tool itself chose; None for the highest score.
    stop_reason : str or None
        Why the search ended, where that is known.
    seed : int or None
    notes : tuple of str
        What was lost, guessed or mended while reading, in words.
    """

    trials: TrialLog
    tool: str
    score_name: str = "score"
    best: int | None = None
    stop_reason: str | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def zooms(self) -> bool:
        """Whether the trials were recorded by this package, whose searches have windows."""
        known = ("Fractal", "ZoomSearch", "FactorialZoom", "journal", "trial log")
        return self.tool.startswith(known) or any(trial.level for trial in self.trials)


@dataclass
class Entry:
    """One evaluation as another tool recorded it.

    ``window`` is (level, index of the entry in its centre, sides by name) where the tool zooms;
    ``resource`` is what a multi-fidelity search spent on it; ``told`` orders the ends of trials.
    """

    params: Params
    score: float = math.nan
    status: Status = "complete"
    folds: Sequence[float] = ()
    error: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    told: float = math.inf
    resource: float | None = None
    window: tuple[int, int | None, Mapping[str, Sequence[float]]] | None = None


def score_label(name: str, maximize: bool) -> str:
    """What the scores are called once larger is better."""
    return name if maximize else f"negated {name}"


def log_of(
    entries: Sequence[Entry],
    notes: list[str],
    *,
    space: SearchSpace | None = None,
    known: SearchSpace | Mapping[str, Dimension] | None = None,
) -> tuple[TrialLog, list[int | None]]:
    """A log of entries, and the id of the trial that each of them became.

    Parameters
    ----------
    entries : sequence of Entry
        In the order of asking.
    notes : list of str
        Appended to.
    space : SearchSpace, optional
        What the user says it is: entries outside are left out.
    known : SearchSpace or mapping of str to Dimension, optional
        What the tool says it was: where it does not fit the values, they decide.

    Raises
    ------
    ValueError
        If there are entries and all of them are outside of ``space``.
    """
    keys = _keys_in(entries, space, notes) if space is not None else None
    if keys is None and isinstance(known, SearchSpace):
        space, keys = known, [_key_in(known, entry.params) for entry in entries]
        if None in keys:
            n = keys.count(None)
            notes.append(
                f"{count(n, 'trial')} did not fit the search space that the tool recorded; "
                "where needed it was replaced by the values that were tried"
            )
            known, keys = _flat(known), None
    if keys is None or space is None:
        dimensions = {} if known is None or isinstance(known, SearchSpace) else known
        if not dimensions and any(entry.params for entry in entries):
            notes.append(INFERRED)
        space, params = space_of([entry.params for entry in entries], dimensions)
        keys = [space.key(p) for p in params]
    kept = _best_funded(entries, keys, notes)
    return _filled(space, entries, keys, kept)


def outcome(trial: Trial) -> Outcome:
    """How a trial ended: its status, but "pruned" where its tool stopped it before its end."""
    is_pruned = trial.status == "failed" and trial.details.get("pruned") is True
    return "pruned" if is_pruned else trial.status


def unpruned(trials: Iterable[Trial]) -> list[Trial]:
    """The trials without those that were pruned, which are no failures of their places."""
    return [trial for trial in trials if outcome(trial) != "pruned"]


def standard_error(folds: Iterable[float]) -> float:
    """Standard error of the mean of fold scores; NaN for fewer than two."""
    values = np.array(list(folds), dtype=float)
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def error_of_best(trials: Iterable[Trial], best: Trial | None) -> float:
    """Standard error of the best trial's score; NaN where it is unknown.

    By the folds or repeats of all trials; where they do not tell, by its own folds.
    """
    from fractal_tuner.observations import score_noise

    noise = score_noise(trial for trial in trials if trial.status == "complete")
    if noise is not None:
        return math.sqrt(noise.variance)
    return math.nan if best is None else standard_error(best.folds)


def copy_of(log: TrialLog, score_of: Callable[[Trial], tuple[float, Sequence[float]]]) -> TrialLog:
    """A copy of a log with other scores, ``score_of(trial)``: a score and those of its folds.

    Ids, windows, times and the order of telling stay. Where folds have times, their mean is the
    trial's ``details["fit_time"]``.
    """
    copy = TrialLog(log.space)
    copy.header = dict(log.header)
    source = list(log)
    for mine, trial in zip(copy.add_all((t.key, t.window) for t in source), source, strict=True):
        mine.started, mine.params = trial.started, trial.params
    for trial in log.told:
        score, folds = score_of(trial) if trial.status == "complete" else (math.nan, trial.folds)
        details = trial.details | _fit_time(trial.details)
        mine = copy.finish(trial.id, score, folds=folds, error=trial.error, details=details)
        mine.ended = trial.ended
    return copy


def plain(value: Any) -> Any:
    """``value`` as JSON; what JSON does not know as text."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def _fit_time(details: Mapping[str, Any]) -> dict[str, float]:
    """Mean seconds of a fit in a trial of FractalSearchCV."""
    folds = details.get("folds")
    if "fit_time" in details or not isinstance(folds, list) or not folds:
        return {}
    times = [fold.get("fit_time") for fold in folds if isinstance(fold, dict)]
    good = [t for t in times if isinstance(t, int | float) and math.isfinite(t)]
    return {"fit_time": math.fsum(good) / len(good)} if len(good) == len(folds) else {}


def _key_in(space: SearchSpace, params: Params) -> Key | None:
    try:
        return space.key(params)
    except ValueError:
        return None


def _keys_in(entries: Sequence[Entry], space: SearchSpace, notes: list[str]) -> list[Key | None]:
    """Keys of entries in the user's space, which need not have all of their parameters."""
    if extra := sorted({n for e in entries for n in e.params} - set(space.names)):
        notes.append(f"not in the given space, and left out: {', '.join(map(repr, extra))}")
    inside = [{n: v for n, v in e.params.items() if n in space.names} for e in entries]
    keys = [_key_in(space, params) for params in inside]
    n = keys.count(None)
    if n and n == len(keys):
        space.key(inside[0])  # raises, and says why
    if n:
        notes.append(f"{count(n, 'trial')} outside of the given space left out")
    return keys


def _flat(space: SearchSpace) -> dict[str, Dimension]:
    """The dimensions of a space by name; of names with several, none."""
    found: dict[str, Dimension] = {}
    several: set[str] = set()
    for p in space.parameters:
        if p.name is not None and found.setdefault(p.name, p.dimension) != p.dimension:
            several.add(p.name)
    return {name: dimension for name, dimension in found.items() if name not in several}


def _best_funded(
    entries: Sequence[Entry], keys: Sequence[Key | None], notes: list[str]
) -> list[bool]:
    """Which entries stay: of a candidate that met several resources, the one with the most.

    Scores that were measured with different resources are no repeats of each other.
    """
    most: dict[Key, float] = {}
    for entry, key in zip(entries, keys, strict=True):
        if key is not None and entry.resource is not None and entry.status != "running":
            most[key] = max(entry.resource, most.get(key, -math.inf))
    kept = [
        key is not None and (entry.resource is None or entry.resource >= most.get(key, -math.inf))
        for entry, key in zip(entries, keys, strict=True)
    ]
    if n := sum(key is not None for key in keys) - sum(kept):
        notes.append(f"{count(n, 'evaluation')} repeated later with more resources left out")
    if len(levels := {e.resource for e in entries if e.resource is not None}) > 1:
        notes.append(
            f"candidates were given from {min(levels):g} to {max(levels):g} resources (samples, "
            "epochs): their scores are not of one kind, and comparisons between them are rough"
        )
    return kept


def _filled(
    space: SearchSpace,
    entries: Sequence[Entry],
    keys: Sequence[Key | None],
    kept: Sequence[bool],
) -> tuple[TrialLog, list[int | None]]:
    numbers = itertools.count()
    ids = [next(numbers) if keep else None for keep in kept]
    rows = [
        (entry, key)
        for entry, key, keep in zip(entries, keys, kept, strict=True)
        if keep and key is not None
    ]
    log = TrialLog(space)
    proposals = ((key, _window(space, entry, ids)) for entry, key in rows)
    trials = log.add_all(proposals)
    for trial, (entry, _) in zip(trials, rows, strict=True):
        trial.started, trial.details = entry.started, plain(entry.details)
    ended = [pair for pair in zip(trials, rows, strict=True) if pair[1][0].status != "running"]
    for trial, (entry, _) in sorted(ended, key=lambda pair: pair[1][0].told):
        log.finish(
            trial.id,
            entry.score,
            folds=entry.folds,
            error=(entry.error or "failed") if entry.status == "failed" else None,
            details=trial.details,
        )
        trial.ended = entry.ended
    return log, ids


def _window(space: SearchSpace, entry: Entry, ids: Sequence[int | None]) -> Window:
    if entry.window is None:
        return Window.whole(len(space))
    level, center, sides = entry.window
    found = [sides.get(p.name or "", (0.0, 1.0)) for p in space.parameters]
    return Window(
        level,
        None if center is None else ids[center],
        tuple(float(low) for low, _ in found),
        tuple(float(high) for _, high in found),
    )
