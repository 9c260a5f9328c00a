"""``plot``: pictures of a search."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fractal_tuner.cli.arguments import Commands, add_command, add_reading, read_source
from fractal_tuner.cli.exits import CommandError, Exit, cannot_write
from fractal_tuner.cli.printing import say

_DISPLAYS = {"history": "HistoryDisplay", "zoom-path": "ZoomPathDisplay"}
_PICTURES = (".pdf", ".png", ".svg")


def add_to(commands: Commands) -> None:
    """Add the commands to a parser."""
    parser = add_command(
        commands,
        "plot",
        _plot,
        help="draw one picture of a search",
        description="Draw one picture of a search.",
    )
    parser.add_argument("kind", metavar="KIND", choices=_DISPLAYS, help=", ".join(_DISPLAYS))
    add_reading(parser, "SOURCE")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="a .png, .svg or .pdf file (default: KIND.png)",
    )


def _plot(options: argparse.Namespace) -> int:
    out: Path = options.out or Path(f"{options.kind}.png")
    if out.suffix.lower() not in _PICTURES:
        raise CommandError(Exit.USAGE, f"{out} must end in one of {', '.join(_PICTURES)}")
    record = read_source(options, options.source)
    from fractal_tuner import report

    display: Any = getattr(report, _DISPLAYS[options.kind])
    drawn = display.from_trials(record.trials, best=record.best, score_name=record.score_name)
    drawn.plot()
    try:
        drawn.figure_.savefig(out, dpi=110)
    except OSError as error:
        raise cannot_write(out, error) from error
    say(f"wrote {out}")
    return Exit.GOOD
