"""Results on stdout, messages on stderr: lines, tables, JSON."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fractal_tuner.words import clean, printable, value

_NAME_LENGTH = 24


def clipped(text: object, length: int = _NAME_LENGTH) -> str:
    """Text in one line that fits a column of a terminal."""
    return clean(text, length)


def shown(given: Any) -> str:
    """A value of a parameter that fits a column of a terminal."""
    return value(given, _NAME_LENGTH)


def pairs(params: Mapping[str, Any]) -> str:
    """Parameters with their values, in one line."""
    return ", ".join(f"{clipped(name)}={shown(given)}" for name, given in params.items())


def say(message: object) -> None:
    """A message on stderr."""
    print(printable(message), file=sys.stderr)


def print_lines(*lines: str) -> None:
    """Lines of a result; what is a user's in them was made printable before."""
    print(*lines, sep="\n")


def print_prose(*sentences: str, mark: str = "") -> None:
    """A line for each sentence; on a terminal, folded at its width."""
    for sentence in sentences:
        line = mark + printable(sentence)
        if sys.stdout is not None and sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
            line = textwrap.fill(line, width, subsequent_indent=" " * len(mark))
        print(line)


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[str] = ()
) -> None:
    """A table as wide as the terminal; columns named in ``left`` are text, others numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold cyan", show_edge=False)
    for name in head:
        is_text = name in left
        table.add_column(
            Text(name),
            justify="left" if is_text else "right",
            overflow="fold",
            no_wrap=not is_text,
        )
    for row in rows:
        table.add_row(*map(Text, row))  # as it is: brackets are no markup
    console = Console()
    with console.capture() as captured:  # rich would end the process where a pipe is closed
        console.print(table)
    lines = captured.get().split("\n")
    print("\n".join(line.rstrip() for line in lines), end="")


@contextlib.contextmanager
def busy(message: str) -> Iterator[None]:
    """A sign of life on stderr, if that is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(message):
            yield
    else:
        yield


def print_json(result: Mapping[str, Any]) -> None:
    """One JSON object; numbers that JSON does not know are null."""
    print(json.dumps(plain(result), allow_nan=False, indent=2))


def plain(value: Any) -> Any:
    """``value`` as JSON: no NaN, no infinities, objects as text.

    Examples
    --------
    >>> plain({"a": float("nan"), "b": (1, None, {2})})
    {'a': None, 'b': [1, None, '{2}']}
    """
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)
