"""``show``: the best trials of a search, at once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fractal_tuner.cli.arguments import (
    Commands,
    add_command,
    add_json,
    add_reading,
    read_source,
    whole_number,
)
from fractal_tuner.cli.exits import Exit
from fractal_tuner.cli.printing import (
    clipped,
    duration,
    number,
    pairs,
    print_json,
    print_lines,
    print_prose,
    print_table,
)
from fractal_tuner.cli.summaries import summary_of_record, summary_of_trial

if TYPE_CHECKING:
    from fractal_tuner.readers import Record
    from fractal_tuner.trials import Trial


def add_to(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands,
        "show",
        _run,
        help="print the best trials of a search",
        description="Print what was searched, how it ended, and the best trials. A score is "
        "followed by its standard error (SE) where the scores of folds are known. Trials count "
        "from 1, as in pictures and reports; the ids of --json and export count from 0.",
    )
    add_reading(parser, "SOURCE")
    parser.add_argument(
        "-n",
        "--top",
        type=whole_number(0, 1_000_000),
        default=5,
        metavar="N",
        help="how many of the best trials to list (default: %(default)s)",
    )
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    record = read_source(options, options.source)
    complete = [t for t in record.trials if t.status == "complete"]
    top = sorted(complete, key=lambda trial: -trial.score)[: options.top]
    summary = summary_of_record(record)
    if options.json:
        print_json(
            {"source": str(options.source)}
            | summary
            | {"top": [summary_of_trial(trial) for trial in top]}
        )
    else:
        print_lines(*_heading(record, summary))
        if top:
            print_lines("", f"Best of {len(complete)} by score:")
            _print_trials(top)
        print_prose(*record.notes, mark="note: ")
    return Exit.GOOD if complete else Exit.TOO_FEW


def _heading(record: Record, summary: dict[str, Any]) -> list[str]:
    counts = ", ".join(
        f"{summary[f'n_{status}']} {status}"
        for status in ("complete", "failed", "running")
        if summary[f"n_{status}"] or status == "complete"
    )
    lines = [f"{clipped(record.tool, 40)}: {summary['n_trials']} trials ({counts})"]
    if summary["seconds"] is not None:
        lines[0] += f" in {duration(summary['seconds'])}"
    if record.stop_reason is not None:
        lines.append(f"ended by: {clipped(record.stop_reason, 60)}")
    best = summary["best"]
    if best is None:
        return [*lines, "no trial has a score"]
    lines += ["", f"Best, trial {best['id'] + 1}: {clipped(record.score_name, 32)} {_score(best)}"]
    width = max((len(clipped(name)) for name in best["params"]), default=0)
    for name, value in best["params"].items():
        lines.append(f"  {clipped(name):{width}}  {clipped(value, 50)}")
    return lines


def _score(trial: dict[str, Any]) -> str:
    error = trial["standard_error"]
    score = number(trial["score"], 5)
    return score if error is None else f"{score} ± {number(error, 2)} (SE)"


def _print_trials(top: list[Trial]) -> None:
    rows = []
    for summary in map(summary_of_trial, top):
        score, error = number(summary["score"], 5), number(summary["standard_error"], 2)
        place = [str(summary["id"] + 1), score, error, str(summary["level"])]
        rows.append([*place, duration(summary["fit_time"]), pairs(summary["params"])])
    head = ["trial", "score", "SE", "level", "fit", "parameters"]
    shown = [i for i in range(len(head)) if any(row[i] not in ("-", "0") for row in rows) or i < 2]
    print_table(
        [head[i] for i in shown], [[row[i] for i in shown] for row in rows], left=["parameters"]
    )
