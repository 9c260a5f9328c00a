"""The journal of this package."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fractal_tuner.dimensions import Categorical, Dimension, Integer, Ordinal, Quantile, Real
from fractal_tuner.readers.logs import rescored
from fractal_tuner.readers.record import Record
from fractal_tuner.space import Condition, Parameter, SearchSpace
from fractal_tuner.trials import Journal, TrialLog


def read_journal(
    path: Path, *, space: SearchSpace | None, score: str | None, maximize: bool | None
) -> Record:
    """The record of a journal, which another process may be writing to.

    The space is rebuilt from the header, unless it is given: names, scales and positions are those
    of the search; choices that are no plain values are known by their type alone, values on the
    scale of a distribution approximately, from its quartiles.

    Raises
    ------
    ValueError
        If the file is no journal, is damaged before its last line, or has another space.
    """
    *lines, rest = path.read_bytes().split(b"\n")
    records = Journal.read(path)  # later: what was being written may be whole by now
    is_whole = len(records) >= len(lines) + bool(rest)
    notes: list[str] = []
    if not records:
        empty = space or SearchSpace.union([{}])
        return Record(TrialLog(empty), "journal", notes=(f"{path.name} holds no whole line yet",))
    header = records[0]
    if space is None:
        if not isinstance(header.get("space"), list):
            raise ValueError(f"{path} is not a journal: its first line has no search space")
        space = _RecordedSpace(header["space"], notes)
    log = TrialLog.read(path, space)
    if not is_whole:
        notes.append(
            f"the last line of {path.name} is not whole (a write was cut off, or is going on); "
            "the lines before it were read"
        )
    fingerprint = header.get("fingerprint") or {}
    name = fingerprint.get("steering metric") or fingerprint.get("scoring")
    copy, label = rescored(log, name if isinstance(name, str) else "score", score, maximize)
    return Record(
        copy,
        "journal",
        label,
        stop_reason=_stop_reason(log, header.get("budget") or {}),
        seed=header.get("seed"),
        notes=tuple(notes),
    )


def _stop_reason(log: TrialLog, budget: Mapping[str, Any]) -> str | None:
    """The reason that trials and budget show; time and a full grid leave no trace."""
    if not len(log) or log.pending:
        return None
    target, most = budget.get("target_score"), budget.get("max_trials")
    if (
        target is not None
        and max((t.score for t in log.told if t.error is None), default=-math.inf) >= target
    ):
        return "target"
    if len({trial.key for trial in log}) == log.space.size:
        return "space exhausted"
    return "budget" if most is not None and len(log) >= most else None


class _RecordedSpace(SearchSpace):
    """A search space made of its description."""

    def __init__(self, described: Sequence[Mapping[str, Any]], notes: list[str]) -> None:
        self._described = [dict(d) for d in described]
        self.parameters = tuple(
            Parameter(
                d["name"],
                _dimension(d, notes),
                tuple(Condition(p, frozenset(positions)) for p, positions in d["conditions"]),
            )
            for d in self._described
        )
        self.names = tuple(dict.fromkeys(p.name for p in self.parameters if p.name is not None))

    def describe(self) -> list[dict[str, Any]]:
        return self._described


def _dimension(described: Mapping[str, Any], notes: list[str]) -> Dimension:
    kind, name = described["type"], described["name"]
    if kind == "Real":
        return Real(described["low"], described["high"], described["log"])
    if kind == "Integer":
        return Integer(described["low"], described["high"], described["log"])
    if kind == "Ordinal":
        return Ordinal(described["values"], described["log"])
    if kind == "Quantile":
        notes.append(
            f"values of {name!r} are approximate: of its distribution the journal has the "
            "quartiles alone"
        )
        return Quantile(_Quartiles(tuple(described["quartiles"])), keep_ends=True)
    if kind == "Categorical":
        labels = described["choices"]
        if any(isinstance(label, str) and label.startswith("<") for label in labels):
            notes.append(f"choices of {name!r} are objects, which the journal knows by their type")
        return Categorical(_told_apart(labels))
    raise ValueError(f"dimension {name!r} of the journal is of an unknown type, {kind!r}")


def _told_apart(labels: Sequence[Any]) -> list[Any]:
    """Labels with a number where several are the same."""
    return [
        f"{label} ({labels[: i + 1].count(label)})" if labels.count(label) > 1 else label
        for i, label in enumerate(labels)
    ]


class _Quartiles:
    """A distribution with given quartiles, uniform between them."""

    def __init__(self, quartiles: tuple[float, ...]) -> None:
        self._quartiles = quartiles

    def ppf(self, q: float, /) -> float:
        below = min(int(4 * q), 3)
        low, high = self._quartiles[below : below + 2]
        return low + (4 * q - below) * (high - low)
