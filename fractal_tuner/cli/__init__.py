"""The command ``fractal-tuner``.

Results go to stdout, messages and progress to stderr. ``exits.py`` says what the exit codes mean.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from fractal_tuner.cli import check, compare, demo, export, reports, show
from fractal_tuner.cli.arguments import Parser
from fractal_tuner.cli.exits import CommandError, Exit
from fractal_tuner.cli.printing import say

_COMMANDS = (demo, show, reports, export, compare, check)
_EPILOG = f"""\
SOURCE is a journal of this package, the folder of a Keras Tuner project, a CSV
file (cv_results_ of scikit-learn, trials_dataframe() of Optuna, or any table
with a column of scores), or an SQLite or journal file of Optuna. Nothing in it
is changed.

Results go to stdout, messages to stderr. Colours are left out if stdout is not
a terminal or NO_COLOR is set.

exit codes:
{Exit.listing()}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of ``fractal-tuner`` called with some arguments.

    Parameters
    ----------
    argv : sequence of str, optional
        Without it, those of the process.

    Examples
    --------
    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without ± is no reason to fail
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: say(f"warning: {message}")
            return _run(argv)
    except BrokenPipeError:  # as of "| head": who reads has enough
        _discard_output()
        return Exit.GOOD
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED


def _run(argv: Sequence[str] | None) -> int:
    options = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = options.command
    parser: Parser = options.parser
    try:
        code = command(options)
        if sys.stdout is not None:  # None where the caller closed it
            sys.stdout.flush()  # while a failure can still be told
    except CommandError as error:
        parser.fail(error.code, str(error))
    except BrokenPipeError:
        raise
    except OSError as error:  # commands tell of their own files themselves
        _discard_output()
        parser.fail(Exit.USAGE, f"cannot write the results: {error.strerror or error}")
    return code


def _discard_output() -> None:
    """Keep the interpreter from writing once more, at its end, where it cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> Parser:
    import fractal_tuner

    parser = Parser(
        prog="fractal-tuner",
        description="Hyperparameter search by an adaptive zooming grid: try it, and look at what\n"
        "this or another tool recorded of a search.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"fractal-tuner {fractal_tuner.__version__}"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_to(commands)
    return parser
