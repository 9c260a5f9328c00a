"""``analyze``, ``report`` and ``plot``: what a search found, in words, as a page, as a picture."""

from __future__ import annotations

import argparse
import inspect
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fractal_tuner.cli.arguments import (
    Commands,
    Parser,
    add_command,
    add_json,
    add_reading,
    read_source,
    whole_number,
)
from fractal_tuner.cli.exits import CommandError, Exit, cannot_write
from fractal_tuner.cli.printing import (
    busy,
    clipped,
    print_json,
    print_lines,
    print_prose,
    print_table,
    say,
)
from fractal_tuner.words import number, reason

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report

_PICTURES = (".pdf", ".png", ".svg")
_PAGES = (".html", ".htm", ".md", ".json", ".csv")


class Kinds:
    """The names of all displays; they are looked up only when they are needed."""

    def __iter__(self) -> Iterator[str]:
        from fractal_tuner import report

        for name in report.__all__:
            if name.endswith("Display"):
                yield re.sub(r"(?<!^)(?=[A-Z])", "-", name.removesuffix("Display")).lower()

    def __contains__(self, kind: object) -> bool:
        return kind in list(self)

    @staticmethod
    def display(kind: str) -> Any:
        """The display of a name."""
        from fractal_tuner import report

        return getattr(report, kind.title().replace("-", "") + "Display")


def add_to(commands: Commands) -> None:
    """Add the commands to a parser."""
    parser = add_command(
        commands,
        "analyze",
        _analyze,
        help="tell what a search found, how far to trust it, and what to do next",
        description="Run all analyzers: what was found, how far to trust it, what to do next, and "
        "each number with its 95 % interval, or the reason why there is none.",
    )
    add_reading(parser, "SOURCE")
    _add_analysis(parser)
    add_json(parser)

    parser = add_command(
        commands,
        "report",
        _report,
        help="write a page with all of it: one HTML file",
        description="Write what analyze tells, with pictures and all trials, as one HTML file "
        "without outside references; or as Markdown or JSON, or the trials as CSV.",
    )
    add_reading(parser, "SOURCE")
    parser.add_argument(
        "-o",
        "--out",
        type=_file_of(_PAGES),
        metavar="FILE",
        default=Path("report.html"),
        help=f"one of {', '.join(_PAGES)} (default: %(default)s)",
    )
    _add_analysis(parser)
    add_json(parser)

    parser = add_command(
        commands,
        "plot",
        _plot,
        help="draw one picture of a search",
        description="Draw one picture of a search. With --json, also print what it shows in words "
        "and the data behind it.",
    )
    parser.add_argument("kind", metavar="KIND", choices=Kinds(), help="%(choices)s")
    add_reading(parser, "SOURCE")
    parser.add_argument(
        "-o",
        "--out",
        type=_file_of(_PICTURES),
        metavar="FILE",
        help=f"one of {', '.join(_PICTURES)} (default: KIND.png)",
    )
    _add_dims(parser)
    add_json(parser)


def _add_analysis(parser: Parser) -> None:
    _add_dims(parser)
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        help="of the analyzers' random choices (default: %(default)s)",
    )


def _add_dims(parser: Parser) -> None:
    parser.add_argument(
        "--dim",
        action="append",
        dest="dims",
        metavar="NAME",
        help="a parameter to look at; may be given twice (default: those that matter most)",
    )


def _file_of(suffixes: tuple[str, ...]) -> Any:
    """A type for arguments that name a file of one of some kinds."""

    def parse(text: str) -> Path:
        if Path(text).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"{text!r} must end in one of {', '.join(suffixes)}")
        return Path(text)

    return parse


def _report_of(options: argparse.Namespace) -> Report:
    record = read_source(options, options.source)
    from fractal_tuner.report.report import analyze

    with busy(f"analyzing {len(record.trials)} trials"):
        try:
            return analyze(record, dims=options.dims, seed=options.seed)
        except ValueError as error:
            if options.dims is None:
                raise
            raise CommandError(Exit.USAGE, str(error)) from error


def _exit_of(report: Report) -> Exit:
    return Exit.GOOD if report.complete else Exit.TOO_FEW


def _analyze(options: argparse.Namespace) -> int:
    report = _report_of(options)
    if options.json:
        print_json({"source": str(options.source)} | report.to_dict())
        return _exit_of(report)
    print_prose(report.answer, "", *report.trust)
    for kind, cautions in (("Warnings", report.warnings), ("Hints", report.hints)):
        if cautions:
            print_lines("", f"{kind}:")
            print_prose(*(caution.text for caution in cautions), mark="- ")
    if report.next_steps:
        print_lines("", "Next:")
        print_prose(*report.next_steps, mark="- ")
    _print_findings(report)
    print_prose(*report.record.notes, mark="note: ")
    return _exit_of(report)


def _print_findings(report: Report) -> None:
    """A table of what could be estimated, and a line for what could not."""
    rows, silent = [], []
    for name, found in _estimates(report):
        if found.reason is not None:
            silent.append(f"{clipped(name, 40)}: {reason(found.reason)}")
        else:
            numbers = [number(value, 3) for value in (found.value, found.low, found.high)]
            rows.append([clipped(name, 40), *numbers, str(found.n)])
    if rows:
        print_lines("", "Estimates, with 95 % intervals:")
        print_table(["quantity", "value", "from", "to", "n"], rows, left=["quantity"])
    if silent:
        print_lines("", "Not estimated:")
        print_prose(*silent, mark="- ")


def _estimates(report: Report) -> Iterator[tuple[str, Any]]:
    """All estimates among the findings, those of single dimensions too, with their names."""
    for name, found in report.findings.items():
        words = name.replace("_", " ")
        if isinstance(found, tuple):  # one for each axis of the landscape
            if len({one.reason for one in found}) == 1 and found[0].reason is not None:
                yield words, found[0]
            elif report.landscape is not None:
                axes = zip(report.landscape.axes, found, strict=True)
                yield from ((f"{words} of {clipped(axis.name)}", one) for axis, one in axes)
        elif hasattr(found, "total") and found.reason is None:
            yield from ((f"{words} of {clipped(dim)}", one) for dim, one in found.total.items())
        elif hasattr(found, "value") or found.reason is not None:
            yield words, found


def _report(options: argparse.Namespace) -> int:
    report = _report_of(options)
    try:
        with busy("drawing"):
            report.save(options.out)
    except OSError as error:
        raise cannot_write(options.out, error) from error
    if options.json:
        print_json({"out": str(options.out), "answer": report.answer})
    say(f"wrote {options.out}")
    return _exit_of(report)


def _plot(options: argparse.Namespace) -> int:
    from matplotlib import rc_context

    out: Path = options.out or Path(f"{options.kind}.png")
    record = read_source(options, options.source)
    make = Kinds.display(options.kind).from_record
    chosen = {}
    if options.dims is not None:
        if "dims" not in inspect.signature(Kinds.display(options.kind).from_trials).parameters:
            raise CommandError(Exit.USAGE, f"--dim does not apply to {options.kind}")
        chosen = {"dims": options.dims}
    try:
        display = make(record, **chosen).plot()
    except ValueError as error:
        code = Exit.TOO_FEW if options.dims is None else Exit.USAGE
        raise CommandError(code, str(error)) from error
    picture = io.BytesIO()
    kind = out.suffix.lower()[1:]
    undated = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with rc_context({"svg.hashsalt": "fractal-tuner"}):  # the same bytes each time
        display.figure_.savefig(picture, format=kind, dpi=110, metadata=undated[kind])
    try:
        out.write_bytes(picture.getvalue())
    except OSError as error:
        raise cannot_write(out, error) from error
    if options.json:
        said = {"title": display.title, "description": display.description}
        print_json({"kind": options.kind, "out": str(out)} | said | {"table": display.table()})
    say(f"wrote {out}")
    return Exit.GOOD if any(t.status == "complete" for t in record.trials) else Exit.TOO_FEW
