"""``export``: trials in forms that other programs read."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fractal_tuner.cli.arguments import Commands, add_command, add_reading, read_source
from fractal_tuner.cli.exits import CommandError, Exit, cannot_write
from fractal_tuner.cli.printing import plain, printable, say
from fractal_tuner.cli.summaries import fit_time, summary_of_trial

if TYPE_CHECKING:
    from fractal_tuner.readers import Record

_FORMULA = ("=", "+", "-", "@")  # what spreadsheets take for the start of a formula


def add_to(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands,
        "export",
        _run,
        help="write all trials as CSV, JSON lines, or a study of Optuna",
        description="Write all trials. csv: one line each, in the columns of scikit-learn's "
        "cv_results_; text that a spreadsheet would take for a formula begins with an apostrophe, "
        "control characters are escaped. "
        "jsonl: one JSON object each, with what is in no column. optuna: a study in a new SQLite "
        "file, for Optuna's plots and dashboard.",
    )
    add_reading(parser, "SOURCE")
    parser.add_argument(
        "--format", choices=["csv", "jsonl", "optuna"], default="csv", help="default: %(default)s"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write (default: stdout; a study of Optuna needs a file that is new)",
    )


def _run(options: argparse.Namespace) -> int:
    out: Path | None = options.out
    if options.format == "optuna":
        if out is None:
            raise CommandError(Exit.USAGE, "--format optuna needs --out FILE")
        if out.exists():
            raise CommandError(Exit.USAGE, f"{out} exists; a study goes to a new file")
    record = read_source(options, options.source)
    if options.format == "optuna":
        from fractal_tuner.cli.optuna_file import write_study

        assert out is not None
        write_study(record, out)
    else:
        write = _write_csv if options.format == "csv" else _write_json_lines
        if out is None:
            write(record, sys.stdout)
        else:
            with _replaced(out) as file:
                write(record, file)
    if out is not None:
        say(f"wrote {len(record.trials)} trials to {out}")
    return Exit.GOOD


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """A file that takes the place of ``path`` once it is whole."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fractal-tuner-") as folder:
            part = Path(folder, "part")
            with part.open("w", newline="", encoding="utf-8") as file:
                yield file
            os.replace(part, path)
    except OSError as error:
        raise cannot_write(path, error) from error


def _write_json_lines(record: Record, file: TextIO) -> None:
    for trial in record.trials:
        summary = summary_of_trial(trial) | {"details": trial.details}
        file.write(json.dumps(plain(summary), allow_nan=False) + "\n")


def _write_csv(record: Record, file: TextIO) -> None:
    """As ``cv_results_``, which every reader of tables here and elsewhere knows."""
    names = list(record.trials.space.names)
    n_folds = max((len(trial.folds) for trial in record.trials), default=0)
    table = csv.writer(file, lineterminator="\n")
    head = ["id", "status", *(f"param_{name}" for name in names), "mean_test_score"]
    head += [f"split{i}_test_score" for i in range(n_folds)]
    table.writerow([_cell(name) for name in [*head, "mean_fit_time", "level", "error"]])
    for trial in record.trials:
        folds = [*trial.folds, *[None] * (n_folds - len(trial.folds))]
        row = [trial.id, trial.status, *(trial.params.get(name) for name in names), trial.score]
        table.writerow(
            [_cell(v) for v in [*row, *folds, fit_time(trial), trial.level, trial.error]]
        )


def _cell(value: Any) -> Any:
    """What is written for a value: numbers in full, nothing for what is no number, safe text."""
    value = plain(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
