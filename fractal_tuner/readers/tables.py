"""Tables: data frames and CSV files, of scikit-learn, of Optuna, or plain ones; and ours."""

from __future__ import annotations

import ast
import csv
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from fractal_tuner.readers.cv_results import record_of
from fractal_tuner.readers.optuna_study import entry_of
from fractal_tuner.readers.record import Entry, Record, log_of, outcome, plain, score_label
from fractal_tuner.space import SearchSpace
from fractal_tuner.words import count, printable

Columns = Mapping[str, Sequence[Any]]

_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the start of a formula
_INTEGER = re.compile(r"[+-]?\d+")
_POINT, _COMMA = (
    re.compile(rf"[+-]?\d*{mark}\d*(e[+-]?\d+)?", re.IGNORECASE) for mark in (r"\.", ",")
)
_MINIMISED = {"loss", "error", "mse", "rmse", "mae", "cost", "logloss", "perplexity", "regret"}


def read_csv(
    path: Path, *, space: SearchSpace | None, score: str | None, maximize: bool | None
) -> Record:
    """The record of a CSV file with a line of names: the same shapes as :func:`read_frame`.

    Separated by commas, semicolons or tabs, whichever the first line has most of. Where it is no
    comma and no number has a point, commas are those of decimals, as spreadsheets write them in
    most of Europe. An empty cell is a parameter that the trial does not have.

    Raises
    ------
    ValueError
        If there are no columns, or a name appears twice.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    notes: list[str] = []
    try:
        lines = [line for line in csv.reader(text.splitlines(True), delimiter=delimiter) if line]
    except csv.Error as error:
        raise ValueError(f"{path} is not a readable CSV file: {error}") from error
    if not lines:
        raise ValueError(f"{path} is empty: it has no line of names")
    names, *rows = lines
    whole = [row for row in rows if len(row) == len(names)]
    if len(whole) < len(rows):
        lost = len(rows) - len(whole)
        notes.append(f"{count(lost, 'line')} of {path.name} without the right number of cells lost")
    _refuse_repeated(names)
    cells = {cell.strip() for row in whole for cell in row}
    if (
        delimiter != ","
        and not any(map(_POINT.fullmatch, cells))
        and any(map(_COMMA.fullmatch, cells))
    ):
        whole = [[_with_point(cell) for cell in row] for row in whole]
        notes.append("commas within numbers were read as decimal points")
    columns = {name: [_cell(row[i]) for row in whole] for i, name in enumerate(names)}
    return _read(columns, notes, space, score, maximize)


def write_csv(record: Record, file: TextIO) -> None:
    """Write the trials as a table that :func:`read_csv` and readers of ``cv_results_`` know.

    Trials count from 1, "started" from the first of them, in seconds. Text that a spreadsheet would
    compute begins with an apostrophe (OWASP, CSV Injection), control characters are escaped.
    """
    trials, names = list(record.trials), record.trials.space.names
    n_folds = max((len(trial.folds) for trial in trials), default=0)
    begin = min((t.started for t in trials if t.started is not None), default=None)
    head = ["trial", "status", *(f"param_{name}" for name in names), "mean_test_score"]
    head += [f"split{i}_test_score" for i in range(n_folds)]
    table = csv.writer(file, lineterminator="\n")
    table.writerow(map(_harmless, [*head, "mean_fit_time", "started", "seconds", "level", "error"]))
    for t in trials:
        folds = [*t.folds, *[""] * (n_folds - len(t.folds))]
        row = [t.id + 1, outcome(t), *(t.params.get(name, "") for name in names), t.score, *folds]
        row += [t.details.get("fit_time", ""), _less(t.started, begin), _less(t.ended, t.started)]
        table.writerow(map(_harmless, [*row, t.level, t.error or ""]))


def _less(a: float | None, b: float | None) -> float | str:
    return "" if a is None or b is None else a - b


def _harmless(cell: Any) -> Any:
    """What is written for a value: numbers in full, nothing for what is no number, safe text."""
    cell = plain(cell)
    if isinstance(cell, bool | int | float):
        return "" if isinstance(cell, float) and not math.isfinite(cell) else cell
    text = printable(cell)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def read_frame(
    frame: Any, *, space: SearchSpace | None, score: str | None, maximize: bool | None
) -> Record:
    """The record of a data frame: ``cv_results_``, Optuna's ``trials_dataframe()``, or plain.

    In a plain one, ``score`` names the column of scores ("score" if it is not given), and all other
    columns are parameters; with ``space`` those that it has.
    """
    names = [
        "_".join(filter(None, map(str, c))) if isinstance(c, tuple) else str(c)
        for c in frame.columns
    ]
    _refuse_repeated(names)
    columns = {n: list(frame[c]) for n, c in zip(names, frame.columns, strict=True)}
    return _read(columns, [], space, score, maximize)


def _read(
    columns: Columns,
    notes: list[str],
    space: SearchSpace | None,
    score: str | None,
    maximize: bool | None,
) -> Record:
    columns = {n: c for n, c in columns.items() if n and not re.fullmatch(r"Unnamed: \d+", n)}
    if not columns:
        raise ValueError("the table has no columns")
    if any(name.startswith("param_") for name in columns):  # one of our reports, or one like it
        column = "score" if score is None else score
        if column in columns:
            columns = {f"mean_test_{column}" if n == column else n: c for n, c in columns.items()}
    if any(name.startswith("mean_test_") for name in columns):
        record, _ = record_of(
            {n: [None if is_missing(v) else v for v in c] for n, c in columns.items()},
            _recorded_params(columns),
            "table",
            space=space,
            score=score,
            maximize=maximize,
        )
        return Record(record.trials, "table", record.score_name, notes=(*notes, *record.notes))
    if "state" in columns and any(re.fullmatch(r"value|values_.*", n) for n in columns):
        return _optuna_table(columns, notes, space, score, maximize)
    return _plain_table(columns, notes, space, score, maximize)


def _recorded_params(columns: Columns) -> list[dict[str, Any]]:
    """The candidates of ``cv_results_``: as dicts where they are whole, else from the columns."""
    given = columns.get("params")
    if given is not None:
        whole = [_literal(value) if isinstance(value, str) else value for value in given]
        if all(isinstance(value, Mapping) for value in whole):
            return [dict(value) for value in whole]
    found = {n[6:]: c for n, c in columns.items() if n.startswith("param_")}
    return _rows(found, _n_rows(columns))


def _optuna_table(
    columns: Columns,
    notes: list[str],
    space: SearchSpace | None,
    score: str | None,
    maximize: bool | None,
) -> Record:
    names = [n for n in columns if re.fullmatch(r"value|values_.*", n)]
    column = names[0] if score is None else score
    if column not in columns and f"values_{column}" in columns:
        column = f"values_{column}"
    if column not in names:
        raise ValueError(f"score {score!r} is not a column of objective values: {names}")
    if len(names) > 1 and score is None:
        notes.append(f"of the objectives {', '.join(names)} the first was taken as the score")
    name = column.removeprefix("values_")
    larger = _direction(name, maximize, notes)
    found = {n[7:]: c for n, c in columns.items() if n.startswith("params_")}
    params = _rows(found, _n_rows(columns))
    entries = []
    for row, values in enumerate(params):
        cell = {n: None if is_missing(c[row]) else c[row] for n, c in columns.items()}
        value = cell[column]
        entry = entry_of(
            cell.get("number", row),
            str(cell["state"]).rpartition(".")[2],
            values,
            None if value is None else float(value) if larger else -float(value),
            _unix(cell.get("datetime_start")),
            _unix(cell.get("datetime_complete")),
        )
        entries += [entry] if entry is not None else []
    log, _ = log_of(entries, notes, space=space)
    return Record(log, "table", score_label(name, larger), notes=tuple(notes))


def _plain_table(
    columns: Columns,
    notes: list[str],
    space: SearchSpace | None,
    score: str | None,
    maximize: bool | None,
) -> Record:
    column = "score" if score is None else score
    if column not in columns:
        raise ValueError(
            f"the table has no column {column!r}; name the one that holds the scores by score=, "
            f"one of {list(columns)}"
        )
    larger = _direction(column, maximize, notes)
    wanted = [n for n in columns if n != column and (space is None or n in space.names)]
    left = [n for n in columns if n != column and n not in wanted]
    if left:
        notes.append(f"columns that are not in the given space were left out: {', '.join(left)}")
    entries = []
    params = _rows({n: columns[n] for n in wanted}, _n_rows(columns))
    for values, cell in zip(params, columns[column], strict=True):
        try:
            value = math.nan if is_missing(cell) else float(cell)
        except (TypeError, ValueError):
            raise ValueError(f"column {column!r} must hold numbers, got {cell!r}") from None
        entry = Entry(values, value if larger else -value)
        if not math.isfinite(value):
            entry.status, entry.error = "failed", f"the table has no finite {column!r} here"
        entries.append(entry)
    log, _ = log_of(entries, notes, space=space)
    return Record(log, "table", score_label(column, larger), notes=tuple(notes))


def _direction(name: str, maximize: bool | None, notes: list[str]) -> bool:
    """Whether larger is better; a table does not say it."""
    if maximize is not None:
        return maximize
    words = set(re.split(r"[\W_]+", name.lower()))
    larger = not words & _MINIMISED or "neg" in words or name.startswith("-")
    best = "larger" if larger else "smaller"
    notes.append(
        f"{best} values of {name!r} were taken for better ones, as the table does not say; "
        f"maximize={not larger} reverses it"
    )
    return larger


def _rows(columns: Columns, n_rows: int) -> list[dict[str, Any]]:
    """One dict per row, without missing values; floats that stand for integers as integers."""
    repaired = {name: _repaired(column) for name, column in columns.items()}
    return [
        {name: column[i] for name, column in repaired.items() if not is_missing(column[i])}
        for i in range(n_rows)
    ]


def _n_rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _repaired(column: Sequence[Any]) -> list[Any]:
    """A column with the integers that a table made floats because others were missing."""
    values = [v.item() if hasattr(v, "item") and not hasattr(v, "__len__") else v for v in column]
    missing = [is_missing(v) for v in values]
    there = [v for v, gone in zip(values, missing, strict=True) if not gone]
    if any(missing) and there and all(isinstance(v, float) and v.is_integer() for v in there):
        return [v if gone else int(v) for v, gone in zip(values, missing, strict=True)]
    return values


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: NaN, or what pandas has for it. None may be a value."""
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType", "MaskedConstant")


def _cell(text: str) -> Any:
    """What a cell of a CSV file says."""
    text = text.strip()
    if not text:
        return math.nan
    if text in ("True", "False"):
        return text == "True"
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 1000 else text
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _with_point(cell: str) -> str:
    """A cell with the point that Python's numbers have."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell.strip()) else cell


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _unix(value: Any) -> float | None:
    """Seconds since 1970 of a local time."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if hasattr(value, "to_pydatetime"):  # pandas takes a time without zone for UTC
        value = value.to_pydatetime()
    return value.timestamp() if isinstance(value, datetime) else None


def _refuse_repeated(names: Sequence[str]) -> None:
    repeated = next((n for i, n in enumerate(names) if n and n in names[:i]), None)
    if repeated is not None:
        raise ValueError(f"the table has several columns named {repeated!r}")
