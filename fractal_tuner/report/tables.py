"""Tables of the page: the best trial, all trials, why some failed, what was run."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fractal_tuner
from fractal_tuner import words
from fractal_tuner.analysis.emulator import UNION
from fractal_tuner.readers.record import outcome, standard_error

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report

_MOST_CELLS = 10_000  # of the table of trials
_MOST_TRIALS = 1_000
_MOST_COLUMNS = 12  # parameters in it
_MOST_ERRORS = 20
_OF_FOLDS = "standard error of its folds"


@dataclass(frozen=True)
class Table:
    """Rows of text under a head.

    Attributes
    ----------
    caption : str
    head : tuple of str
    rows : tuple of tuples of str
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def best_table(report: Report) -> Table | None:
    """The parameters of the best trial, and of the cheapest that may be as good."""
    best = report.best
    if best is None or not best.params:
        return None
    tied = report.findings["indistinguishable"]
    cheap = tied.cheapest if tied.reason is None and tied.cheapest is not best else None
    head = ["parameter", f"trial {best.id + 1}, the best"]
    if cheap is not None:
        head.append(f"trial {cheap.id + 1}, cheapest of those as good")
    names = [n for n in report.names if n in best.params or (cheap and n in cheap.params)]
    chosen = [best] if cheap is None else [best, cheap]
    rows = [
        (words.clean(n), *(words.value(t.params[n]) if n in t.params else "-" for t in chosen))
        for n in names
    ]
    rows.append((words.clean(report.record.score_name), *(report.say(t.score) for t in chosen)))
    return Table("Parameters of the best trial", tuple(head), tuple(rows))


def trial_rows(report: Report) -> list[dict[str, Any]]:
    """A row of the page for each trial: number, how it ended, score, parameters, seconds."""
    return [
        {
            "trial": t.id + 1,
            "status": outcome(t),
            "score": t.score,
            "standard_error": standard_error(t.folds),
            "level": t.level,
            **{f"param_{name}": t.params.get(name, "") for name in report.names},
            "seconds": math.nan if t.started is None or t.ended is None else t.ended - t.started,
        }
        for t in report.record.trials
    ]


def trial_table(report: Report) -> tuple[Table, tuple[str, ...]]:
    """A row for each trial, and what is left out of it, in sentences."""
    rows = trial_rows(report)
    names = [n for n in report.names if any(f"param_{n}" in row for row in rows)]
    clipped = names[:_MOST_COLUMNS]
    heads = ["trial", "status", "score", "standard_error", *(f"param_{n}" for n in clipped)]
    heads += [
        head
        for head in ("level", "seconds")
        if any(row[head] and not math.isnan(row[head]) for row in rows)
    ]
    if all(math.isnan(row["standard_error"]) for row in rows):
        heads.remove("standard_error")
    most = min(_MOST_TRIALS, _MOST_CELLS // len(heads))
    shown = rows if len(rows) <= most else _foremost(rows, most)
    said = []
    if len(shown) < len(rows):
        said.append(
            f"The best {most - most // 2:,} and the first {most // 2:,} of the other trials of "
            f"{len(rows):,} are shown; save the report as .csv for all of them."
        )
    if len(clipped) < len(names):
        said.append(f"The first {len(clipped)} of {len(names)} parameters are shown.")
    titles = [
        words.clean(head.removeprefix("param_")) if head.startswith("param_") else head
        for head in heads
    ]
    titles = [_OF_FOLDS if title == "standard_error" else title for title in titles]
    table = Table(
        "Trials",
        tuple(titles),
        tuple(tuple(_cell(report, row, head) for head in heads) for row in shown),
    )
    return table, tuple(said)


def _foremost(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The best rows and the first of the others, in their order."""
    ranked = sorted(rows, key=lambda r: (math.isnan(r["score"]), -r["score"], r["trial"]))
    best = {row["trial"] for row in ranked[: most - most // 2]}
    others = [row["trial"] for row in rows if row["trial"] not in best][: most // 2]
    kept = best | set(others)
    return [row for row in rows if row["trial"] in kept]


def _cell(report: Report, row: dict[str, Any], head: str) -> str:
    value = row[head]
    if isinstance(value, float) and math.isnan(value):
        return ""
    if head == "score":
        return report.say(value)
    if head == "standard_error":
        return words.number(value, 2)
    if head == "seconds":
        return words.number(value, 3)
    return words.value(value)


def error_table(report: Report) -> Table:
    """Why trials failed, the most frequent reason first."""
    counted = tuple((error, f"{n:,}") for error, n in report.errors[:_MOST_ERRORS])
    return Table("Why trials failed", ("last line of the error", "trials"), counted)


def run_table(report: Report) -> Table:
    """What was run: tool, score, seed, versions, hash of the trials."""
    record = report.record
    log = record.trials
    facts = [
        ("tool", words.clean(record.tool)),
        ("score", f"{words.clean(record.score_name)}, larger is better"),
        ("seed", "not recorded" if record.seed is None else str(record.seed)),
        ("trials, SHA-256", _fingerprint(report)),
        ("fractal_tuner", fractal_tuner.__version__),
    ]
    for name in ("strategy", "data", "estimator", "scoring"):
        if name in log.header:
            given = log.header[name]
            text = given if isinstance(given, str) else json.dumps(given, sort_keys=True)
            facts.insert(-2, (name, words.clean(text, 200)))
    return Table("What was run", ("what", "value"), tuple(facts))


def space_table(report: Report) -> Table:
    """A row for each parameter: its values, and what it depends on."""
    parameters = report.record.trials.space.parameters
    names = [UNION if p.name is None else words.clean(p.name) for p in parameters]
    space: list[tuple[str, ...]] = []
    described = report.record.trials.space.describe()
    for name, p, d in zip(names, parameters, described, strict=True):
        parents = words.listing(names[c.parent] for c in p.conditions)
        space.append((name, d["type"], _extent(d), parents))
    head: tuple[str, ...] = ("parameter", "kind", "values", "depends on")
    if not any(row[-1] for row in space):
        head, space = head[:-1], [row[:-1] for row in space]
    return Table("Search space", head, tuple(space))


def _extent(described: dict[str, Any]) -> str:
    log = ", log scale" if described.get("log") else ""
    if "low" in described:
        low, high = words.value(described["low"]), words.value(described["high"])
        step = f", in steps of {words.value(described['step'])}" if "step" in described else ""
        return f"{low} to {high}{log}{step}"
    if "quartiles" in described:
        ends = described["quartiles"]
        return f"{words.value(ends[0])} to {words.value(ends[-1])}, by probability"
    values = described.get("values") or described.get("choices") or []
    shown = [words.value(v, 40) for v in values[:12]]
    more = [f"{len(values) - 12:,} more"] if len(values) > 12 else []
    return words.listing([*shown, *more]) + log


def _fingerprint(report: Report) -> str:
    """A hash of what was evaluated and how it scored."""
    told = [
        [list(t.key), t.status, repr(t.score), [repr(f) for f in t.folds]]
        for t in report.record.trials
    ]
    text = json.dumps([report.record.trials.space.describe(), told], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
