"""Trials, and the crash-safe journal that keeps them.

A journal is an append-only file of JSON lines. The first line, the header, says which space, options and
data it belongs to; then follow ``ask`` and ``tell`` records. Each line carries a CRC-32 of itself and a
sequence number, is written by one system call, and a ``tell`` is on the disk before it is acknowledged.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Self

from fractal_tuner.space import Key, Params, SearchSpace

try:
    import fcntl
except ImportError:  # Windows: a journal there is not guarded against a second process
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
Status = Literal["running", "complete", "failed"]


@dataclass(frozen=True)
class Window:
    """The part of the unit cube a trial was proposed from.

    Attributes
    ----------
    level : int
        Zoom depth; 0 is the whole space.
    center : int or None
        Id of the trial in the middle of the window; None at level 0.
    lower, upper : tuple of float
        Corners in unit coordinates, one entry per parameter of the space.
    """

    level: int
    center: int | None
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def whole(cls, n_parameters: int) -> Self:
        """The window of level 0: all of the space."""
        return cls(0, None, (0.0,) * n_parameters, (1.0,) * n_parameters)


@dataclass(eq=False)
class Trial:
    """One evaluation of one candidate.

    Attributes
    ----------
    id : int
        0, 1, 2, ... in the order of asking.
    params : dict
        The active parameters, as the objective receives them.
    key : tuple
        The candidate's identity, see :meth:`SearchSpace.key`.
    window : Window
        Where the search was looking when it proposed the candidate.
    status : {"running", "complete", "failed"}
    score : float
        Larger is better; NaN until the trial is complete, and for ever if it failed.
    folds : tuple of float
        Scores of single folds or repeats, if told.
    error : str or None
        Why the trial failed.
    details : dict
        What the front end wants to keep with the trial; plain JSON.
    started, ended : float or None
        Unix times of ask and tell, in seconds.
    """

    id: int
    params: Params
    key: Key
    window: Window
    status: Status = "running"
    score: float = math.nan
    folds: tuple[float, ...] = ()
    error: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None

    @property
    def level(self) -> int:
        """Zoom depth of the window that proposed the trial; 0 is the whole space."""
        return self.window.level


class TrialLog:
    """All trials of a search in the order of asking, kept in a journal if there is one.

    Parameters
    ----------
    space : SearchSpace
    journal : path, optional
        File that keeps the trials. If it exists it is continued: its trials are in the log at once.
    header : mapping, optional
        What must be the same when a journal is continued; plain JSON. A seed that is None is drawn, or
        taken from the journal.
    budget : mapping, optional
        What may change when a journal is continued; plain JSON.

    Attributes
    ----------
    told : list of Trial
        Complete and failed trials, in the order of telling.
    header : dict
        As given, or as found in the journal.

    Raises
    ------
    ValueError
        If the file is no journal, is damaged before its last line, or belongs to another search; the
        message names the line or the difference.
    RuntimeError
        If another process is writing to the journal.

    Examples
    --------
    >>> log = TrialLog(SearchSpace({"x": [1, 2]}))
    >>> trial = log.add((0,), Window(0, None, (0.0,), (1.0,)))
    >>> log.finish(trial.id, score=0.5).status
    'complete'
    """

    def __init__(
        self,
        space: SearchSpace,
        journal: str | os.PathLike[str] | None = None,
        *,
        header: Mapping[str, Any] | None = None,
        budget: Mapping[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.told: list[Trial] = []
        self._trials: list[Trial] = []
        self._pending: dict[int, Trial] = {}
        self.header = dict(_plain(header or {})) | {"space": _plain(space.describe())}
        self._journal = None if journal is None else Journal(journal)
        try:
            if self._journal and self._journal.records:
                self._resume(self._journal.records)
                return
            if self.header.get("seed", 0) is None:
                self.header["seed"] = secrets.randbits(32)
            if self._journal:
                self._journal.append(
                    {"type": "header"} | self.header | {"budget": _plain(budget or {})}
                )
        except BaseException:
            self.close()
            raise

    @classmethod
    def read(cls, journal: str | os.PathLike[str], space: SearchSpace) -> Self:
        """The trials of a journal, without opening it for writing."""
        log = cls(space)
        records = Journal.read(journal)
        log.header = _without(records[0], "type", "budget") if records else {}
        for record in records[1:]:
            log._replay(record)
        return log

    def _resume(self, records: list[dict[str, Any]]) -> None:
        found = _without(records[0], "type", "budget")
        if records[0].get("type") != "header":
            raise ValueError(f"{self._journal} is not a journal: its first line is no header")
        # A seed that was drawn for the unbroken search is the seed of the continued one.
        if self.header.get("seed", 0) is None:
            self.header["seed"] = found.get("seed")
        for name in sorted(set(found) | set(self.header)):
            if name != "version" and found.get(name) != self.header.get(name):
                raise ValueError(
                    f"{self._journal} belongs to another search: its {name} is {found.get(name)!r}, "
                    f"here it is {self.header.get(name)!r}. Use another file, or the same {name}"
                )
        for record in records[1:]:
            self._replay(record)

    def _replay(self, record: dict[str, Any]) -> None:
        if record["type"] == "ask":
            level, center, lower, upper = record["window"]
            window = Window(level, center, tuple(lower), tuple(upper))
            self._insert(tuple(record["key"]), window, record["time"])
        else:
            self._settle(
                self._pending[record["id"]],
                math.nan if record["score"] is None else record["score"],
                tuple(map(float, record["folds"])),
                record["error"],
                record["details"],
                record["time"],
            )

    def add(self, key: Key, window: Window) -> Trial:
        """Record a proposal and return it as a running trial."""
        trial = self._insert(key, window, time.time())
        if self._journal:
            place = [window.level, window.center, window.lower, window.upper]
            record = {"type": "ask", "id": trial.id, "key": key, "window": place}
            self._journal.append(record | {"time": trial.started}, sync=False)
        return trial

    def _insert(self, key: Key, window: Window, started: float) -> Trial:
        trial = Trial(len(self._trials), self.space.params(key), key, window, started=started)
        self._trials.append(trial)
        self._pending[trial.id] = trial
        return trial

    def finish(
        self,
        trial_id: int,
        score: float = math.nan,
        *,
        folds: tuple[float, ...] = (),
        error: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Record the outcome of a running trial; a score that is not finite means that it failed.

        Raises
        ------
        ValueError
            If no trial of that id is running.
        """
        if trial_id not in self._pending:
            known = isinstance(trial_id, int) and 0 <= trial_id < len(self._trials)
            why = "was told before" if known else "was never asked"
            raise ValueError(f"trial {trial_id!r} {why}; running are {list(self._pending)}")
        trial = self._pending[trial_id]
        if error is None and not math.isfinite(score):
            error = f"the score is {score}"
        if error is not None:
            score = math.nan
        plain = _plain(details or {})
        now = time.time()
        if self._journal:
            record = {"type": "tell", "id": trial_id, "score": None if error is not None else score}
            record |= {"folds": _plain(folds), "error": error, "details": plain, "time": now}
            self._journal.append(record)
        self._settle(trial, score, folds, error, plain, now)
        return trial

    def _settle(
        self,
        trial: Trial,
        score: float,
        folds: tuple[float, ...],
        error: str | None,
        details: dict[str, Any],
        ended: float,
    ) -> None:
        trial.status = "complete" if error is None else "failed"
        trial.score, trial.folds, trial.error = score, folds, error
        trial.details, trial.ended = details, ended
        del self._pending[trial.id]
        self.told.append(trial)

    @property
    def pending(self) -> list[Trial]:
        """Trials asked and not yet told, in the order of asking."""
        return list(self._pending.values())

    def close(self) -> None:
        """Give the journal back, so that another process may continue it."""
        if self._journal:
            self._journal.close()

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials)

    def __getitem__(self, trial_id: int) -> Trial:
        return self._trials[trial_id]


class Journal:
    """An append-only file of checked JSON lines with a single writer.

    Opening locks the file, reads it, and cuts a torn last line off (a copy of it goes to
    ``<name>.torn-1``, ``-2``, ...). Attribute ``records`` holds what was found.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        self._file: IO[bytes] = open(self.path, "ab+", buffering=0)  # noqa: SIM115 (held open)
        try:
            self._lock()
            self.records = self._recover()
        except BaseException:
            self._file.close()
            raise
        self._size = self._file.seek(0, os.SEEK_END)
        if is_new and hasattr(os, "O_DIRECTORY"):  # the name of the file must survive too
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """The records of a journal; a torn last line is left out."""
        data = Path(path).read_bytes()
        return _parse(data, str(path))[0]

    def append(self, record: Mapping[str, Any], *, sync: bool = True) -> None:
        """Write one record; with ``sync`` it is on the disk when the call returns.

        Raises
        ------
        OSError
            If it cannot be written; the journal is then as it was before.
        """
        body = json.dumps({"v": FORMAT, "seq": len(self.records)} | dict(record), allow_nan=False)
        line = _sealed(body)
        try:
            written = os.write(self._file.fileno(), line)
            if written != len(line):
                raise OSError(
                    f"only {written} of {len(line)} bytes could be written to {self.path}"
                )
            if sync:
                os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self.records.append(dict(record))

    def close(self) -> None:
        """Release the lock and the file."""
        self._file.close()

    def __str__(self) -> str:
        return str(self.path)

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError(f"{self.path} is being written by another process") from error

    def _recover(self) -> list[dict[str, Any]]:
        self._file.seek(0)
        data = self._file.read()
        records, good = _parse(data, str(self.path))
        if good < len(data):
            if not records and b"\n" in data:
                raise ValueError(
                    f"{self.path} is not a journal of fractal_tuner; it is left untouched"
                )
            number = 1
            while (aside := self.path.with_name(f"{self.path.name}.torn-{number}")).exists():
                number += 1
            aside.write_bytes(data[good:])
            self._file.truncate(good)
        return records


def _sealed(body: str) -> bytes:
    """A line of a journal: ``body``, a JSON object, with its checksum as first entry."""
    return f'{{"crc":"{zlib.crc32(body.encode()):08x}",{body[1:]}\n'.encode()


def _parse(data: bytes, name: str) -> tuple[list[dict[str, Any]], int]:
    """The records of a journal, and the length of the part that is whole."""
    records: list[dict[str, Any]] = []
    good = 0
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        body = b"{" + line[len(b'{"crc":"12345678",') :].rstrip(b"\n")
        if not line.endswith(b"\n") or line != _sealed(body.decode(errors="replace")):
            if number == len(lines):
                break
            raise ValueError(f"line {number} of {name} is damaged; the lines before it are whole")
        record = json.loads(body)
        if record.pop("v") != FORMAT:
            raise ValueError(f"line {number} of {name} has a format this version cannot read")
        if record.pop("seq") != len(records):
            raise ValueError(f"line {number} of {name} is out of sequence")
        records.append(record)
        good += len(line)
    return records, good


def _without(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def _plain(value: Any) -> Any:
    """``value`` as JSON would return it; numbers that JSON does not know become strings."""
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{value!r} cannot be kept in a journal")
