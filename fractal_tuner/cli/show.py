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
    pairs,
    print_json,
    print_lines,
    print_prose,
    print_table,
)
from fractal_tuner.cli.summaries import (
    OUTCOMES,
    summary_of_record,
    summary_of_trial,
)
from fractal_tuner.words import count, duration, number

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
        description="Print what was searched, how it ended, and the best trials. ± is a standard "
        "error of a score, judged by all trials where folds or repeats tell it; the table has that "
        "of each trial's own folds. Trials count from 1, as in pictures and reports; ids count "
        "from 0.",
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
            print_lines("", f"Best of {count(len(complete), 'trial')} by score:")
            _print_trials(top)
        print_prose(*record.notes, mark="note: ")
    return Exit.GOOD if complete else Exit.TOO_FEW


def _heading(record: Record, summary: dict[str, Any]) -> list[str]:
    counts = ", ".join(
        f"{summary[f'n_{end}']} {end}"
        for end in OUTCOMES
        if summary[f"n_{end}"] or end == "complete"
    )
    lines = [f"{clipped(record.tool, 40)}: {count(summary['n_trials'], 'trial')} ({counts})"]
    if summary["seconds"] is not None:
        lines[0] += f" in {duration(summary['seconds'])}"
    if record.stop_reason is not None:
        lines.append(f"ended by: {clipped(record.stop_reason, 60)}")
    best = summary["best"]
    if best is None:
        return [*lines, "no trial has a score"]
    lines += [
        "",
        f"Best, trial {best['id'] + 1}: {clipped(record.score_name, 32)} {_score(summary)}",
    ]
    width = max((len(clipped(name)) for name in best["params"]), default=0)
    for name, value in best["params"].items():
        lines.append(f"  {clipped(name):{width}}  {clipped(value, 50)}")
    return lines


def _score(summary: dict[str, Any]) -> str:
    error = summary["standard_error"]
    score = number(summary["best"]["score"], 5)
    return f"{score} ± {number(error, 2)} (standard error)" if error > 0 else score


def _print_trials(top: list[Trial]) -> None:
    from fractal_tuner.readers.record import standard_error

    rows = []
    for trial in top:
        summary = summary_of_trial(trial)
        score, error = number(summary["score"], 5), number(standard_error(trial.folds), 2)
        place = [str(summary["id"] + 1), score, error, str(summary["level"])]
        rows.append([*place, duration(summary["fit_time"]), pairs(summary["params"])])
    head = ["trial", "score", "SE of folds", "level", "fit", "parameters"]
    shown = [i for i in range(len(head)) if any(row[i] not in ("-", "0") for row in rows) or i < 2]
    print_table(
        [head[i] for i in shown], [[row[i] for i in shown] for row in rows], left=["parameters"]
    )
