"""What the commands share: the parser, the source, the form of the output."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from fractal_tuner.cli.exits import CommandError, Exit
from fractal_tuner.words import printable

if TYPE_CHECKING:
    from fractal_tuner.readers import Record
    from fractal_tuner.trials import Trial

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.fail(Exit.USAGE, f"{message} (see {self.prog} --help)")

    def fail(self, code: Exit, message: str) -> NoReturn:
        """End the process with a message on stderr."""
        line = " ".join(message.split())
        self.exit(code, f"{self.prog}: error: {printable(line)}\n")


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,
    description: str,
) -> Parser:
    """The parser of a command, without arguments yet."""
    parser = commands.add_parser(name, help=help, description=description, allow_abbrev=False)
    parser.set_defaults(command=run, parser=parser)
    return parser


def add_reading(parser: Parser, *sources: str) -> None:
    """The arguments that :func:`read_source` takes."""
    for name in sources:
        parser.add_argument(
            name.lower(),
            metavar=name,
            type=Path,
            help="journal, folder of a Keras Tuner project, CSV file, or storage file of Optuna",
        )
    parser.add_argument(
        "--score",
        metavar="NAME",
        help="metric or column that holds the scores (default: the one the search went by)",
    )
    direction = parser.add_mutually_exclusive_group()
    for flag, better in (("--maximize", "larger"), ("--minimize", "smaller")):
        direction.add_argument(
            flag,
            dest="maximize",
            action="store_const",
            const=flag == "--maximize",
            help=f"{better} values are better, where the source does not say it",
        )


def add_json(parser: Parser) -> None:
    """The choice of the form of the output."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def read_source(options: argparse.Namespace, path: Path) -> Record:
    """The record of a source that the user named."""
    from fractal_tuner.readers import read

    out: Path | None = getattr(options, "out", None)
    if (
        out is not None
        and out.exists()
        and path.resolve() in (out.resolve(), *out.resolve().parents)
    ):
        raise CommandError(Exit.USAGE, f"--out {out} would overwrite what was recorded in {path}")
    try:
        record = read(path, score=options.score, maximize=options.maximize)
        return replace(record, notes=tuple(map(_with_flags, record.notes)))
    except OSError as error:
        raise CommandError(
            Exit.UNREADABLE, f"cannot read {path}: {error.strerror or error}"
        ) from error
    except (ValueError, TypeError, ImportError) as error:
        raise CommandError(Exit.UNREADABLE, _with_flags(str(error))) from error
    except Exception as error:  # whatever is in the file, it is no fault of the user
        kind = type(error).__name__
        raise CommandError(Exit.UNREADABLE, f"cannot read {path}: {kind}: {error}") from error


def _with_flags(text: str) -> str:
    """What a reader says of its options, with the flags that stand for them here."""
    flags = {"maximize=True": "--maximize", "maximize=False": "--minimize", "score=": "--score"}
    return re.sub(
        r"\b(maximize=(?:True|False)|score=)(?=[\s,;]|$)", lambda found: flags[found.group()], text
    )


def best_trial(record: Record) -> Trial | None:
    """The trial that the tool chose, else that of the highest score; None without a score."""
    if record.best is not None:
        return record.trials[record.best]
    complete = (trial for trial in record.trials if trial.status == "complete")
    return max(complete, key=lambda trial: trial.score, default=None)


def whole_number(least: int, most: int = 10_000) -> Callable[[str], int]:
    """A type for arguments that are whole numbers within bounds."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {number}")
        if number > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}, got {number}")
        return number

    return parse
