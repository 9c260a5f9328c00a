"""``check``: whether a source is whole, and says the same when it is opened again."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fractal_tuner.cli.arguments import (
    Commands,
    add_command,
    add_json,
    add_reading,
    read_source,
)
from fractal_tuner.cli.exits import CommandError, Exit
from fractal_tuner.cli.printing import busy, print_json, print_lines, print_prose
from fractal_tuner.words import count, printable

if TYPE_CHECKING:
    from fractal_tuner.readers import Record
    from fractal_tuner.trials import Trial, TrialLog

_HEAD = b'{"crc":"'
_MOST_IDS = 10  # named in one line


def add_to(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands,
        "check",
        _run,
        help="look for damage, trials that do not replay, and repeated candidates",
        description="Check each line of a journal (checksum, sequence, meaning) or each file of a "
        "Keras Tuner project, and open a copy of a journal as a continued search would, which must "
        "give the same trials. Exit code 1 if anything is wrong; a source that is being written to "
        "may be cut off at its end. Candidates that were evaluated more than once are listed; they "
        "are no fault, as repeats tell the noise. Ids count from 0, as in the journal.",
    )
    add_reading(parser, "SOURCE")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    source: Path = options.source
    with busy("checking"):
        findings = list(_damage(source))
        notes: tuple[str, ...] = ()
        n_trials: int | None = None
        repeats: list[list[int]] = []
        try:
            record = read_source(options, source)
        except CommandError as failure:
            if not findings:
                raise
            findings.append(_finding("unreadable", str(failure)))
        else:
            n_trials, notes = len(record.trials), record.notes
            repeats = _repeats(record)
            if _is_journal(source):
                findings += _replay(source)
    if options.json:
        print_json(
            {
                "source": str(source),
                "n_trials": n_trials,
                "findings": findings,
                "repeats": repeats,
                "notes": list(notes),
            }
        )
    else:
        for finding in findings:
            place = "" if finding["line"] is None else f"line {finding['line']}: "
            print_lines(f"{finding['kind']}: {place}{printable(finding['text'])}")
        for ids in repeats:
            named = ", ".join(map(str, ids[:_MOST_IDS])) + ", ..." * (len(ids) > _MOST_IDS)
            print_lines(f"repeated: the trials with ids {named} are of one candidate")
        print_prose(*notes, mark="note: ")
        trials = "" if n_trials is None else f"{count(n_trials, 'trial')}, "
        print_lines(f"{trials}{len(findings) or 'no'} finding{'s'[: len(findings) != 1]}")
    return Exit.FINDING if findings else Exit.GOOD


def _finding(kind: str, text: str, line: int | None = None) -> dict[str, Any]:
    return {"kind": kind, "line": line, "text": text}


def _is_journal(source: Path) -> bool:
    if not source.is_file():
        return False
    with source.open("rb") as file:
        return file.read(len(_HEAD)) == _HEAD


def _damage(source: Path) -> Iterator[dict[str, Any]]:
    """What is wrong with files, before anybody reads meaning into them."""
    try:
        if source.is_dir():
            yield from _damage_in_project(source)
        elif _is_journal(source):
            yield from _damage_in_journal(source.read_bytes())
    except OSError as error:
        message = f"cannot read {source}: {error.strerror or error}"
        raise CommandError(Exit.UNREADABLE, message) from error


def _damage_in_project(folder: Path) -> Iterator[dict[str, Any]]:
    names = ("oracle.json", "tuner0.json", "trial_*/trial.json")
    for file in sorted(file for name in names for file in folder.rglob(name)):
        try:
            json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            yield _finding("damage", f"{file.relative_to(folder)} is not whole: {error}")
    for trial in sorted(folder.rglob("trial_*/")):
        if trial.is_dir() and not (trial / "trial.json").exists():
            yield _finding("damage", f"{trial.relative_to(folder)} has no trial.json")


def _damage_in_journal(data: bytes) -> Iterator[dict[str, Any]]:
    """Findings on each line: checksum, sequence number, and whether it can follow those before.

    The lines are read by other code than that of the package: a check that shares the code of what
    it checks shares its errors.
    """
    lines = data.split(b"\n")
    last = lines.pop()
    status: list[str] = []
    for i, line in enumerate(lines):
        for kind, text in _faults(line, i, status):
            yield _finding(kind, text, i + 1)
    if last:
        text = "is not whole: a write was cut off, or is going on"
        yield _finding("torn", text, len(lines) + 1)


def _faults(line: bytes, index: int, status: list[str]) -> Iterator[tuple[str, str]]:
    """Kinds and texts of what is wrong with a line; ``status`` of the trials is kept up to it."""
    n = len(_HEAD)
    body = b"{" + line[n + 10 :]
    claimed = line[n : n + 8]
    if line[:n] != _HEAD or line[n + 8 : n + 10] != b'",':
        yield "damage", "has no checksum"
        return
    if claimed != f"{zlib.crc32(body):08x}".encode():
        yield "damage", "does not match its checksum"
        return
    try:
        record = json.loads(body)
        if record["seq"] != index:
            yield "sequence", f"has number {record['seq']}, where {index} is due"
        if (record["type"] == "header") != (index == 0):
            yield "meaning", f"is of type {record['type']!r}, which cannot be here"
        elif record["type"] == "ask":
            yield from _faults_of_ask(record, status)
        elif record["type"] == "tell":
            yield from _faults_of_tell(record, status)
        elif record["type"] != "header":
            yield "meaning", f"is of an unknown type, {record['type']!r}"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        yield "meaning", f"is no record of a journal: {type(error).__name__}: {error}"


def _faults_of_ask(record: dict[str, Any], status: list[str]) -> Iterator[tuple[str, str]]:
    trial_id = record["id"]
    if not 0 <= trial_id <= len(status):
        yield "meaning", f"asks trial {trial_id}, where {len(status)} is due"
        return
    # An interrupted ask may have been written and then asked anew; a told trial may not.
    if "told" in status[trial_id:]:
        yield "meaning", f"asks trial {trial_id}, which was told before"
    del status[trial_id:]
    status.append("asked")
    level, center, *_ = record["window"]
    if center is not None and not 0 <= center < trial_id:
        yield "meaning", f"has a window around trial {center}, which was not asked before"
    if (level == 0) != (center is None):
        yield "meaning", f"has a window at level {level} around trial {center}"


def _faults_of_tell(record: dict[str, Any], status: list[str]) -> Iterator[tuple[str, str]]:
    trial_id = record["id"]
    if not 0 <= trial_id < len(status):
        yield "meaning", f"tells trial {trial_id}, which was never asked"
        return
    if (record["score"] is None) != (record["error"] is not None):
        yield "meaning", "has both a score and an error, or neither"
    status[trial_id] = "told"


def _repeats(record: Record) -> list[list[int]]:
    """Ids of trials of the same candidate, where there are several."""
    by_key: dict[Any, list[int]] = {}
    for trial in record.trials:
        by_key.setdefault(trial.key, []).append(trial.id)
    return [ids for ids in by_key.values() if len(ids) > 1]


def _replay(source: Path) -> Iterator[dict[str, Any]]:
    """What differs between the trials that are read and those that a continued search has."""
    from fractal_tuner.readers import read
    from fractal_tuner.trials import TrialLog

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copyfile(source, Path(folder, source.name)))
        before = copy.read_bytes()
        trials = read(copy).trials
        header = {k: v for k, v in trials.header.items() if k not in ("space", "version")}
        try:
            with warnings.catch_warnings(record=True):  # of a torn line, which was found before
                warnings.simplefilter("always")
                log = TrialLog(trials.space, copy, header=header)
        except (OSError, RuntimeError, ValueError) as error:
            yield _finding("replay", f"a continued search would fail: {error}")
            return
        log.close()
        if not before.startswith(copy.read_bytes()):
            yield _finding("replay", "opening the journal changes it")
    yield from _differences(log, trials)


def _differences(log: TrialLog, read: TrialLog) -> Iterator[dict[str, Any]]:
    if len(log) != len(read):
        text = f"a continued search has {len(log)} trials, {len(read)} were read"
        yield _finding("replay", text)
    elif [t.id for t in log.told] != [t.id for t in read.told]:
        yield _finding("replay", "a continued search has the trials told in another order")
    for ours, theirs in zip(log, read, strict=False):
        if _identity(ours) != _identity(theirs):
            yield _finding("replay", f"a continued search has another trial {ours.id}")


def _identity(trial: Trial) -> tuple[Any, ...]:
    score = None if math.isnan(trial.score) else trial.score
    return trial.key, trial.window, trial.status, score, trial.error
