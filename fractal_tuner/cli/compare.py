"""``compare``: whether one search found better than another, noise considered."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fractal_tuner.cli.arguments import (
    Commands,
    add_command,
    add_json,
    add_reading,
    best_trial,
    read_source,
)
from fractal_tuner.cli.exits import Exit
from fractal_tuner.cli.printing import (
    clipped,
    print_json,
    print_lines,
    print_table,
    shown,
)
from fractal_tuner.cli.summaries import summary_of_record
from fractal_tuner.words import duration, number, printable

if TYPE_CHECKING:
    from fractal_tuner.readers import Record
    from fractal_tuner.trials import Trial

Verdict = Literal["A", "B", "not told apart", "unknown"]

_EXIT = {
    "A": Exit.FINDING,
    "B": Exit.FINDING,
    "not told apart": Exit.GOOD,
    "unknown": Exit.TOO_FEW,
}


def add_to(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands,
        "compare",
        _run,
        help="tell whether one search found better than another, noise considered",
        description="Compare the best trials of two searches by the same score. One is called "
        "better if, with 95 % confidence, none of the other's trials can be the best of all: fold "
        "by fold where all trials have as many folds (sound for any folds, sharp if they are the "
        "same), else by the noise of the scores. Exit code 1 if one is better, 0 if they cannot be "
        "told apart, 4 if the noise is unknown.",
    )
    add_reading(parser, "A", "B")
    add_json(parser)


@dataclass(frozen=True)
class Comparison:
    """Which of two searches found better.

    Attributes
    ----------
    verdict : {"A", "B", "not told apart", "unknown"}
        The better one.
    difference : float
        Score of A's best trial less that of B's; NaN if one has none.
    standard_error : float or None
        Of the difference, without regard to the choice of the best.
    method : {"folds", "noise"} or None
        Whether trials were compared fold by fold, or by the noise of their scores.
    n_contenders : tuple of int
        How many trials of A and of B may be the best of all.
    reason : str or None
        Why nothing can be said.
    """

    verdict: Verdict
    difference: float
    standard_error: float | None = None
    method: str | None = None
    n_contenders: tuple[int, int] = (0, 0)
    reason: str | None = None


def compared(a: Record, b: Record) -> Comparison:
    """The comparison of two records."""
    from fractal_tuner.analysis.rivals import indistinguishable

    bests = best_trial(a), best_trial(b)
    if bests[0] is None or bests[1] is None:
        return Comparison("unknown", math.nan, reason="a search without a score")
    difference = bests[0].score - bests[1].score
    of_a, of_b = _complete(a), _complete(b)
    noise: float | None = None
    if _have_equal_folds([*of_a, *of_b]):
        error = _paired_error(bests[0], bests[1])
    elif (noise := _noise(a, b)) is not None:
        error = math.sqrt(2) * noise
    else:
        reason = "the trials have no or other folds, and the noise is unknown"
        return Comparison("unknown", difference, reason=reason)
    found = indistinguishable([*of_a, *of_b], noise_sd=noise)
    ids = {id(trial) for trial in found.trials}
    n_a, n_b = (sum(id(t) in ids for t in trials) for trials in (of_a, of_b))
    verdict: Verdict = "not told apart" if n_a and n_b else "A" if n_a else "B"
    return Comparison(verdict, difference, error, found.source, (n_a, n_b))


def _complete(record: Record) -> list[Trial]:
    return [trial for trial in record.trials if trial.status == "complete"]


def _have_equal_folds(trials: Sequence[Trial]) -> bool:
    """Whether all trials have as many scores of folds, two at least."""
    n_folds = {len(trial.folds) for trial in trials}
    finite = all(math.isfinite(fold) for trial in trials for fold in trial.folds)
    return len(n_folds) == 1 and n_folds.pop() > 1 and finite


def _paired_error(a: Trial, b: Trial) -> float:
    """Standard error of a mean difference of folds (Nadeau & Bengio 2003)."""
    import numpy as np

    k = len(a.folds)
    return math.sqrt((1 / k + 1 / (k - 1)) * float(np.subtract(a.folds, b.folds).var(ddof=1)))


def _noise(a: Record, b: Record) -> float | None:
    """Standard deviation of the noise in a score of either search, None if one is unknown."""
    from fractal_tuner.analysis.noise import noise_share

    found = [noise_share(record.trials) for record in (a, b)]
    if any(noise.reason is not None for noise in found):
        return None
    return math.sqrt(sum(noise.sd**2 for noise in found) / 2)


def _run(options: argparse.Namespace) -> int:
    records = [read_source(options, path) for path in (options.a, options.b)]
    found = compared(*records)
    doubts = _doubts(*records)
    if options.json:
        print_json(
            {
                "a": {"source": str(options.a)} | summary_of_record(records[0]),
                "b": {"source": str(options.b)} | summary_of_record(records[1]),
                "verdict": found.verdict,
                "difference": found.difference,
                "standard_error": found.standard_error,
                "method": found.method,
                "n_contenders": list(found.n_contenders),
                "reason": found.reason,
                "doubts": doubts,
            }
        )
    else:
        _print(options, records, found)
        for doubt in doubts:
            print_lines(f"doubt: {printable(doubt)}")
    return _EXIT[found.verdict]


def _doubts(a: Record, b: Record) -> list[str]:
    """Why the scores of two records may not be of one kind."""
    doubts = []
    if a.score_name != b.score_name:
        doubts.append(f"the scores have two names, {a.score_name!r} and {b.score_name!r}")
    prints = [record.trials.header.get("fingerprint") or {} for record in (a, b)]
    for name in ("X", "y", "folds"):
        theirs = [fingerprint.get(name) for fingerprint in prints]
        if None not in theirs and theirs[0] != theirs[1]:
            doubts.append(f"the searches had different data: {name}")
    return doubts


def _print(options: argparse.Namespace, records: Sequence[Record], found: Comparison) -> None:
    summaries = [summary_of_record(record) for record in records]
    print_lines(f"A  {printable(options.a)}", f"B  {printable(options.b)}", "")
    bests = [summary["best"] or {} for summary in summaries]
    rows = [
        ["tool", *(clipped(summary["tool"], 26) for summary in summaries)],
        ["trials with a score", *(str(summary["n_complete"]) for summary in summaries)],
        ["time", *(duration(summary["seconds"]) for summary in summaries)],
        ["best trial", *(str(best["id"] + 1) if best else "-" for best in bests)],
        [
            clipped(records[0].score_name),
            *(number(best.get("score"), 5) for best in bests),
        ],
        ["its standard error", *(number(summary["standard_error"], 2) for summary in summaries)],
    ]
    params = [best.get("params", {}) for best in bests]
    for name in dict.fromkeys(name for values in params for name in values):
        row = [shown(values[name]) if name in values else "-" for values in params]
        rows.append([f"  {clipped(name)}", *row])
    print_table(["", "A", "B"], rows, left=[""])
    print_lines("", _sentence(found))


def _sentence(found: Comparison) -> str:
    if found.verdict == "unknown":
        return f"Nothing can be said: {printable(found.reason)}."
    leader = "A" if found.difference > 0 else "B"
    ahead, error = number(abs(found.difference)), number(found.standard_error, 2)
    first = f"The best of {leader} is ahead by {ahead} (standard error {error}): "
    if found.verdict != "not told apart":
        return (
            f"{first}more than noise.\n"
            f"With 95 % confidence the best of all trials is one of {found.verdict}'s."
        )
    n_a, n_b = found.n_contenders
    first = f"{first}no more than noise." if found.difference else "The best scores are equal."
    return f"{first}\n{n_a} of A's trials and {n_b} of B's may be the best of all."
