"""``export``: trials in forms that other programs read."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from fractal_tuner.cli.arguments import (
    Commands,
    add_command,
    add_json,
    add_reading,
    read_source,
)
from fractal_tuner.cli.exits import CommandError, Exit, cannot_write
from fractal_tuner.cli.printing import plain, print_json, say
from fractal_tuner.cli.summaries import summary_of_trial
from fractal_tuner.words import count

if TYPE_CHECKING:
    from fractal_tuner.readers import Record


def add_to(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands,
        "export",
        _run,
        help="write all trials as CSV, JSON lines, or a study of Optuna",
        description="Write all trials. csv: one line each, in the columns of scikit-learn's "
        "cv_results_, as a report saves them; text that a spreadsheet would take for a formula "
        "begins with an apostrophe, control characters are escaped. jsonl: one JSON object each, "
        "with what is in no column. optuna: a study in a new SQLite file, for Optuna's plots and "
        "dashboard. Trials of csv count from 1, ids of jsonl and optuna from 0.",
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
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    out: Path | None = options.out
    if options.format == "optuna":
        if out is None:
            raise CommandError(Exit.USAGE, "--format optuna needs --out FILE")
        if out.exists():
            raise CommandError(Exit.USAGE, f"{out} exists; a study goes to a new file")
    if options.json and out is None:
        raise CommandError(Exit.USAGE, "--json needs --out FILE: else the trials go to stdout")
    record = read_source(options, options.source)
    if options.format == "optuna":
        from fractal_tuner.cli.optuna_file import write_study

        assert out is not None
        write_study(record, out)
    else:
        from fractal_tuner.readers.tables import write_csv

        write = write_csv if options.format == "csv" else _write_json_lines
        if out is None:
            write(record, sys.stdout)
        else:
            with _replaced(out) as file:
                write(record, file)
    n = len(record.trials)
    if options.json:
        print_json({"out": str(out), "format": options.format, "n_trials": n})
    if out is not None:
        say(f"wrote {count(n, 'trial')} to {out}")
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
