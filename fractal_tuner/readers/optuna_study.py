"""Optuna's studies, and the files that store them."""

from __future__ import annotations

import math
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fractal_tuner.dimensions import (
    MAX_TABLE,
    Categorical,
    Dimension,
    Integer,
    Ordinal,
    Real,
)
from fractal_tuner.readers.record import Entry, Record, log_of, score_label
from fractal_tuner.space import SearchSpace
from fractal_tuner.words import count

SQLITE = b"SQLite format 3\x00"


def read_study(
    study: Any,
    *,
    space: SearchSpace | None,
    score: str | None,
    maximize: bool | None,
    notes: Sequence[str] = (),
) -> Record:
    """The record of a study.

    Pruned trials have no score: what they last reported is none of a whole trial. Trials that only
    wait are left out.

    Raises
    ------
    ValueError
        If ``score`` names none of the objectives.
    """
    mended = list(notes)
    which, name, larger = _objective(study, score, maximize, mended)
    trials = study.get_trials(deepcopy=False)
    entries = []
    for trial in trials:
        reported = trial.intermediate_values
        step = max(reported, default=None)
        value = trial.values[which] if trial.values and which < len(trial.values) else None
        entry = entry_of(
            trial.number,
            trial.state.name,
            dict(trial.params),
            None if value is None else value if larger else -value,
            None if trial.datetime_start is None else trial.datetime_start.timestamp(),
            None if trial.datetime_complete is None else trial.datetime_complete.timestamp(),
            pruned_at=None if step is None else f"at step {step}, where it had {reported[step]:g}",
            reason=trial.system_attrs.get("fail_reason"),
        )
        if entry is None:
            continue
        if trial.user_attrs:
            entry.details["user_attrs"] = dict(trial.user_attrs)
        entries.append(entry)
    if waiting := len(trials) - len(entries):
        mended.append(f"{count(waiting, 'trial')} that had not begun left out")
    if pruned := sum(entry.details.get("pruned", False) for entry in entries):
        mended.append(
            f"{count(pruned, 'trial')} pruned: without a score, as what a trial reports on its way "
            "is none of a whole trial"
        )
    log, _ = log_of(entries, mended, space=space, known=_dimensions(trials, mended))
    return Record(log, "Optuna study", score_label(name, larger), notes=tuple(mended))


def entry_of(
    number: Any,
    state: str,
    params: dict[str, Any],
    score: float | None,
    started: float | None,
    ended: float | None,
    *,
    pruned_at: str | None = None,
    reason: str | None = None,
) -> Entry | None:
    """The entry of one of Optuna's trials; None for one that has not begun."""
    entry = Entry(params, started=started, ended=ended, details={"number": int(number)})
    entry.told = math.inf if ended is None else ended
    if state == "WAITING":
        return None
    if state == "RUNNING":
        entry.status = "running"
    elif state == "PRUNED":
        entry.status, entry.error = "failed", f"pruned {pruned_at or ''}".strip()
        entry.details["pruned"] = True
    elif state == "COMPLETE" and score is not None and math.isfinite(score):
        entry.score = score
    else:
        entry.status = "failed"
        entry.error = reason or ("no finite value" if state == "COMPLETE" else "failed")
    return entry


def read_storage(
    path: Path, *, space: SearchSpace | None, score: str | None, maximize: bool | None
) -> Record:
    """The record of the only study in an SQLite file or journal file of Optuna.

    Neither is written to: the one is opened for reading only, of the other a copy is read.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    ValueError
        If the file is no storage of Optuna, or holds no study or several.
    """
    try:
        import optuna
    except ImportError as missing:
        raise ImportError(
            "reading a storage of Optuna needs Optuna: pip install 'fractal-tuner[optuna]'"
        ) from missing

    notes: list[str] = []
    opened = _sqlite if _begins_with(path, SQLITE) else _journal
    with opened(path, notes) as storage:
        names = [study.study_name for study in storage.get_all_studies()]
        if len(names) != 1:
            found = f"several studies, {names}" if names else "no study"
            raise ValueError(
                f"{path} holds {found}; load one with optuna.load_study and read that instead"
            )
        study = optuna.load_study(study_name=names[0], storage=storage)
        return read_study(study, space=space, score=score, maximize=maximize, notes=notes)


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


@contextmanager
def _sqlite(path: Path, notes: list[str]) -> Iterator[Any]:
    """The storage in a database, opened for reading only."""
    from optuna.storages import RDBStorage

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)

    try:
        with closing(connect()) as base:
            tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise ValueError(f"{path} is not a readable database: {error}") from error
    if not {"studies", "trials", "version_info", "alembic_version"} <= tables:
        raise ValueError(f"{path} is a database, but no storage of Optuna")
    engine_options = {"creator": connect}
    storage = RDBStorage("sqlite://", engine_options, skip_table_creation=True)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def _journal(path: Path, notes: list[str]) -> Iterator[Any]:
    """The storage in the whole lines of a journal, copied."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        notes.append(f"the last line of {path.name} was cut off")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "journal")
        copy.write_bytes(whole)
        try:
            storage = JournalStorage(JournalFileBackend(str(copy)))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path} is a damaged journal of Optuna: {error}") from error
        yield storage


def _objective(
    study: Any, score: str | None, maximize: bool | None, notes: list[str]
) -> tuple[int, str, bool]:
    """Position, name and direction of the objective that is read."""
    n = len(study.directions)
    names = study.metric_names or (["value"] if n == 1 else [f"values_{i}" for i in range(n)])
    if score is not None and score not in names:
        raise ValueError(f"score {score!r} is not an objective of the study; it has {names}")
    if score is None and n > 1:
        notes.append(f"of the objectives {', '.join(names)} the first was taken as the score")
    which = 0 if score is None else names.index(score)
    larger = study.directions[which].name == "MAXIMIZE" if maximize is None else maximize
    return which, names[which], larger


def _dimensions(trials: Sequence[Any], notes: list[str]) -> dict[str, Dimension]:
    """The dimensions that the trials were suggested from; the widest where they changed."""
    found: dict[str, list[Any]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            known = found.setdefault(name, [])
            if distribution not in known:
                known.append(distribution)
    dimensions: dict[str, Dimension] = {}
    for name, several in found.items():
        kinds = {(type(d), getattr(d, "log", None), getattr(d, "step", None)) for d in several}
        if len(several) == 1:
            dimensions[name] = _dimension(several[0])
        elif len(kinds) == 1 and hasattr(several[0], "low"):
            low, high = min(d.low for d in several), max(d.high for d in several)
            dimensions[name] = _dimension(type(several[0])(low, high, *_options(several[0])))
            notes.append(f"the bounds of {name!r} changed: the widest are taken")
        else:
            notes.append(f"the distribution of {name!r} changed: its values are taken instead")
    return dimensions


def _options(distribution: Any) -> tuple[Any, ...]:
    return distribution.log, distribution.step


def _dimension(distribution: Any) -> Dimension:
    if hasattr(distribution, "choices"):
        return Categorical(distribution.choices)
    low, high, step = distribution.low, distribution.high, distribution.step
    is_integer = isinstance(low, int) and isinstance(high, int)
    if low == high:
        return Categorical([low])
    if is_integer and step in (None, 1):
        return Integer(low, high, distribution.log)
    if step is not None and (high - low) / step < MAX_TABLE:
        steps = [low + i * step for i in range(int((high - low) / step + 1e-8) + 1)]
        return Ordinal(steps) if len(steps) > 1 else Categorical(steps)
    return Real(low, high, distribution.log)
