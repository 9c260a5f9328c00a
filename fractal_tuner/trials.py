"""Trials, and the crash-safe journal that keeps them.

A journal is an append-only file of JSON lines. The first line, the header, says which space,
options and data it belongs to; then follow ``ask`` and ``tell`` records. Each line carries a CRC-32
of itself and a sequence number, is written by one system call, and a ``tell`` is on the disk before
it is acknowledged.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import secrets
import time
import warnings
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Self

from fractal_tuner import __version__
from fractal_tuner.space import Key, Params, SearchSpace

try:
    import fcntl
except ImportError:  # Windows: a journal there is not guarded against a second process
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
Status = Literal["running", "complete", "failed"]


@dataclass(frozen=True, slots=True)
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
        Why the trial failed; None if it did not.
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
        File that keeps the trials; "~" is the user's folder. If it exists it is continued: its
        trials are in the log at once.
    header : mapping, optional
        What must be the same when a journal is continued; plain JSON. A seed that is None is drawn,
        or taken from the journal.
    budget : mapping, optional
        What may change when a journal is continued; plain JSON.

    Attributes
    ----------
    told : list of Trial
        Complete and failed trials, in the order of telling.
    header : dict
        As given, or as found in the journal; with the space, and the version of the package that
        began the journal. Any version continues a journal whose format it knows; no trial is lost,
        but what is proposed next is up to the version that runs.

    Raises
    ------
    ValueError
        If the file is no journal, is damaged before its last line, or belongs to another search;
        the message names the line or the difference.
    RuntimeError
        If another search, in this process or another one, is writing to the journal.
    OSError
        If the journal cannot be opened or written.

    Warns
    -----
    RuntimeWarning
        If the last line of the journal was torn, and where it is kept.

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
        self.header = {"version": __version__, **_plain(header or {})}
        self.header["space"] = _plain(space.describe())
        plain_budget = _plain(budget or {})
        self._journal = None if journal is None else Journal(journal)
        try:
            if self._journal and self._journal.found:
                self._resume(self._journal.path, self._journal.found)
                self._journal.found = []
                return
            if self.header.get("seed", 0) is None:
                self.header["seed"] = secrets.randbits(32)
            if self._journal:
                self._journal.append({"type": "header"} | self.header | {"budget": plain_budget})
        except BaseException:
            self.close()
            raise

    @classmethod
    def read(cls, journal: str | os.PathLike[str], space: SearchSpace) -> Self:
        """The trials of a journal, without opening it for writing.

        Raises
        ------
        ValueError
            If the file is no journal, is damaged before its last line, or has another space.
        OSError
            If the file cannot be read.
        """
        log = cls(space)
        records = Journal.read(journal)
        if records:
            log.header = {"space": log.header["space"]}
            log._resume(Path(journal), records, compared=("space",))
        return log

    def _resume(
        self, path: Path, records: list[dict[str, Any]], compared: tuple[str, ...] | None = None
    ) -> None:
        if records[0].get("type") != "header":
            raise ValueError(f"{path} is not a journal: its first line is no header")
        found = {k: v for k, v in records[0].items() if k not in ("type", "budget")}
        # A seed that was drawn for the unbroken search is the seed of the continued one.
        if self.header.get("seed", 0) is None:
            self.header["seed"] = found.get("seed")
        first = ("strategy", "space")  # what else differs may follow from these
        others = sorted({*found, *self.header} - {"version", *first})
        for name in compared or (*first, *others):
            if not _equal(found.get(name), self.header.get(name)):
                refusal = _refusal(name, found.get(name), self.header.get(name))
                raise ValueError(f"{path} belongs to another search: {refusal}")
        self.header = found
        for record in records[1:]:
            self._replay(record)

    def _replay(self, record: dict[str, Any]) -> None:
        # A Ctrl-C just after a record was written leaves it unanswered; then it is written again,
        # and what was written last is what the interrupted search went on with.
        if record["type"] == "ask":
            level, center, lower, upper = record["window"]
            window = Window(level, center, tuple(lower), tuple(upper))
            key = tuple(record["key"])
            self._forget(record["id"])
            self._insert(
                Trial(record["id"], self.space.params(key), key, window, started=record["time"])
            )
        else:
            trial = self._trials[record["id"]]
            if trial.status != "running":
                self.told.remove(trial)
                self._pending[trial.id] = trial
            self._settle(
                trial,
                math.nan if record["score"] is None else record["score"],
                tuple(map(float, record["folds"])),
                record["error"],
                record["details"],
                record["time"],
            )

    def add(self, key: Key, window: Window) -> Trial:
        """Record a proposal and return it as a running trial.

        Raises
        ------
        OSError
            If the journal cannot be written; the trial is then not in the log.
        """
        return self.add_all([(key, window)])[0]

    def add_all(self, proposals: Iterable[tuple[Key, Window]]) -> list[Trial]:
        """Record proposals as running trials: all of them or, if one fails, none.

        Each is in the log before the next one is drawn. The journal gets all by one system call,
        so that a crash does not divide what was asked together.

        Raises
        ------
        OSError
            If the journal cannot be written; the trials are then not in the log.
        """
        first = len(self)
        try:
            for key, window in proposals:
                params = self.space.params(key)
                self._insert(Trial(len(self), params, key, window, started=time.time()))
            trials = self._trials[first:]
            if self._journal and trials:
                self._journal.append(*map(_ask_record, trials), sync=False)
        except BaseException:
            self._forget(first)
            raise
        return trials

    def _forget(self, first: int) -> None:
        for trial in self._trials[first:]:
            self._pending.pop(trial.id, None)
        del self._trials[first:]

    def _insert(self, trial: Trial) -> None:
        self._trials.append(trial)
        self._pending[trial.id] = trial

    def finish(
        self,
        trial_id: int,
        score: float = math.nan,
        *,
        folds: Sequence[float] = (),
        error: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Record the outcome of a running trial; a score that is not finite means that it failed.

        Raises
        ------
        TypeError
            If the details are no plain JSON.
        ValueError
            If no trial of that id is running.
        OSError
            If the journal cannot be written; the trial is then still running.
        """
        trial = self.running(trial_id)
        score, folds = float(score), tuple(map(float, folds))
        if error is None and not math.isfinite(score):
            error = f"the score is {score}"
        if error is not None:
            score = math.nan
        plain = _plain(details or {})
        now = time.time()
        if self._journal:
            record = {"type": "tell", "id": trial.id, "score": None if error is not None else score}
            record |= {"folds": _plain(folds), "error": error, "details": plain, "time": now}
            self._journal.append(record)
        self._settle(trial, score, folds, error, plain, now)
        return trial

    def running(self, trial_id: int) -> Trial:
        """The running trial of an id.

        Raises
        ------
        ValueError
            If there is none.
        """
        if trial_id not in self._pending:
            known = isinstance(trial_id, Integral) and 0 <= trial_id < len(self._trials)
            why = "was told before" if known else "was never asked"
            raise ValueError(f"trial {trial_id!r} {why}; running are {list(self._pending)}")
        return self._pending[trial_id]

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
    ``<name>.torn-1``, ``-2``, ...). Attribute ``found`` holds the records that were in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        if self.path.exists() and not self.path.is_file():
            raise ValueError(f"{os.fspath(path)!r} cannot be a journal: it is no regular file")
        if self.path.parent.exists() and not self.path.parent.is_dir():
            raise ValueError(f"{self.path} cannot be a journal: {self.path.parent} is no folder")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file: int | None = os.open(self.path, flags, 0o666)
        self._close_file = weakref.finalize(self, os.close, self._file)
        try:
            self._lock(self._file)
            self.found = self._recover(self._file)
        except BaseException:
            self.close()
            raise
        self._n_records = len(self.found)
        self._size = os.fstat(self._file).st_size
        if is_new and hasattr(os, "O_DIRECTORY"):  # the name of the file must survive too
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """The records of a journal; a torn last line is left out."""
        return _parse(Path(path).expanduser().read_bytes(), str(path))[0]

    def append(self, *records: Mapping[str, Any], sync: bool = True) -> None:
        """Write records at once; with ``sync`` they are on the disk when the call returns.

        Raises
        ------
        RuntimeError
            If the journal was closed.
        OSError
            If they cannot be written; the journal is then as it was before.
        """
        if self._file is None:
            raise RuntimeError(f"{self.path} was closed; a new search continues it")
        numbered = enumerate(records, start=self._n_records)
        bodies = ({"v": FORMAT, "seq": number} | dict(record) for number, record in numbered)
        lines = b"".join(_sealed(json.dumps(body, allow_nan=False)) for body in bodies)
        size, n_records = self._size, self._n_records
        try:
            written = os.write(self._file, lines)
            if written != len(lines):
                raise OSError(
                    f"only {written} of {len(lines)} bytes could be written to {self.path}"
                )
            if sync:
                os.fsync(self._file)
            self._size, self._n_records = size + len(lines), n_records + len(records)
        except BaseException:  # KeyboardInterrupt too
            self._size, self._n_records = size, n_records
            try:
                os.ftruncate(self._file, size)
            except OSError:  # nothing may follow a torn line
                self.close()
            raise

    def close(self) -> None:
        """Release the lock and the file."""
        if self._file is not None:
            self._close_file()
            self._file = None

    def __str__(self) -> str:
        return str(self.path)

    def __getstate__(self) -> dict[str, Any]:
        if self._file is not None:
            raise TypeError(f"a search that writes to {self.path} cannot be copied; close it first")
        return {name: value for name, value in self.__dict__.items() if name != "_close_file"}

    def _lock(self, file: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(
                f"{self.path} is being written by another search; close() it, or wait for the "
                "process that runs it"
            ) from error

    def _recover(self, file: int) -> list[dict[str, Any]]:
        data = self.path.read_bytes()
        records, good = _parse(data, str(self.path))
        if good < len(data):
            number = 1
            while (aside := self.path.with_name(f"{self.path.name}.torn-{number}")).exists():
                number += 1
            with open(aside, "xb") as copy:
                copy.write(data[good:])
                copy.flush()
                os.fsync(copy.fileno())
            os.ftruncate(file, good)
            warnings.warn(
                f"the last line of {self.path} was torn; it is kept in {aside}",
                RuntimeWarning,
                stacklevel=6,
            )
        return records


_MAGIC = b'{"crc":"'
_HASH = re.compile("'[0-9a-f]{32,}'")  # tells a reader nothing


def _ask_record(trial: Trial) -> dict[str, Any]:
    window = trial.window
    place = [window.level, window.center, window.lower, window.upper]
    record = {"type": "ask", "id": trial.id, "key": trial.key, "window": place}
    return record | {"time": trial.started}


def _sealed(body: str) -> bytes:
    """A line of a journal: ``body``, a JSON object, with its checksum as first entry."""
    return f'{{"crc":"{zlib.crc32(body.encode()):08x}",{body[1:]}\n'.encode()


def _parse(data: bytes, name: str) -> tuple[list[dict[str, Any]], int]:
    """The records of a journal, and the length of the part that is whole."""
    if not data.startswith(_MAGIC[: len(data)]):
        raise ValueError(
            f"{name} is not a journal: line 1 is no header of one; it is left untouched"
        )
    records: list[dict[str, Any]] = []
    good = 0
    lines = io.BytesIO(data).readlines()
    for number, line in enumerate(lines, start=1):
        body = b"{" + line[len(b'{"crc":"12345678",') :].rstrip(b"\n")
        if line != _sealed(body.decode(errors="replace")):
            if number == len(lines) and (records or not line.endswith(b"\n")):
                break
            raise ValueError(f"line {number} of {name} is damaged; the lines before it are whole")
        record = json.loads(body)
        if (version := record.pop("v", None)) != FORMAT:
            raise ValueError(
                f"line {number} of {name} has format {version}, this version of fractal_tuner "
                f"reads format {FORMAT}: use the version that wrote it, or another journal"
            )
        if record.pop("seq", None) != len(records):
            raise ValueError(f"line {number} of {name} is out of sequence")
        records.append(record)
        good += len(line)
    return records, good


_OTHER_DATA = "a journal holds for one set of data: use another journal for other data"
# What to do about a difference, by the entry of the header or of the fingerprint.
_ADVICE = {
    "X": _OTHER_DATA,
    "y": _OTHER_DATA,
    "fit": _OTHER_DATA,
    "score": _OTHER_DATA,
    "folds": "set random_state and all else of the splitter as they were, or use another journal",
    "seed": "set it (random_state) as it was, or to None, or use another journal",
    "space": "use another journal for another space; it can begin with the best candidates of this "
    "one, see warm_start_from and starting_points",
}


def _refusal(name: str, found: Any, here: Any) -> str:
    """What of a header's entry differs, and what to do about it."""
    place, theirs, ours = _difference(name, found, here)
    entry = place.removeprefix("fingerprint ")
    if _HASH.fullmatch(theirs) and _HASH.fullmatch(ours):
        said = f"its fingerprint of {entry} differs"
    else:
        said = f"its {place} is {theirs}, here it is {ours}"
    advice = _ADVICE.get(entry.split()[0], "set it as it was, or use another journal")
    return f"{said}; {advice}"


def _equal(a: Any, b: Any) -> bool:
    """Whether two pieces of plain JSON are written alike: 1, 1.0 and true are three values."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _difference(place: str, a: Any, b: Any) -> tuple[str, str, str]:
    """The innermost place where two pieces of plain JSON differ, and what they have there."""
    if isinstance(a, dict) and isinstance(b, dict):
        key = next(k for k in [*a, *b] if not _equal(a.get(k), b.get(k)))
        return _difference(f"{place} {key}", a.get(key), b.get(key))
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        index = next(i for i, pair in enumerate(zip(a, b, strict=True)) if not _equal(*pair))
        a, b = a[index], b[index]
        names = [side.get("name") for side in (a, b) if isinstance(side, dict)]
        is_named = len(names) == 2 and names[0] == names[1] is not None
        return _difference(f"{place} {names[0] if is_named else index}", a, b)
    return place, _brief(a), _brief(b)


def _brief(value: Any) -> str:
    """A value as an error message shows it; of parameters their names."""
    if isinstance(value, list) and all(isinstance(v, dict) and "name" in v for v in value):
        value = [v["name"] for v in value]
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _plain(value: Any) -> Any:
    """``value`` as JSON would return it; numbers that JSON does not know become strings."""
    if type(value) is float and math.isfinite(value):  # as most are
        return value
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"a journal keeps plain JSON, which {value!r} is not")
