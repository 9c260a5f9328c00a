"""Rules: what in a search should make its reader careful, and what to do about it.

Each rule is a function of a report with a named threshold; it returns a :class:`Caution` or None.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fractal_tuner import words
from fractal_tuner.report.drawing import best_of

if TYPE_CHECKING:
    from fractal_tuner.analysis.edges import Edge
    from fractal_tuner.report.report import Report

FEW_TRIALS = 10
FAILED_SHARE = 0.1
NOISE_SHARE = 0.5
TIED_SHARE = 0.25
OPTIMISM = 0.1  # standard errors of the best score: worth a word
MUCH_OPTIMISM = 1.0  # standard errors: worth a warning
LATE_SHARE = 0.1  # of the trials, the last
LATE_GAIN = 0.05  # of the way from the median score to the best
GAIN = 2.0  # standard deviations of the noise in a score
REPEATED_SHARE = 0.1
CHEAPER = 0.8  # times the best trial's seconds
IDLE = 0.1  # upper end of a dimension's total share of variance
ROUGH = 0.5  # Hurst exponent
FINE_STEPS = 0.8  # share of neighbours alike


@dataclass(frozen=True)
class Caution:
    """What a rule has found.

    Attributes
    ----------
    rule : str
        Name of the rule's function.
    kind : {"warning", "hint"}
        A warning limits what the answer is worth; a hint saves time.
    text : str
        What is the matter, with its numbers.
    advice : str
        What to do next.
    """

    rule: str
    kind: Literal["warning", "hint"]
    text: str
    advice: str


Rule = Callable[["Report"], Caution | None]


def cautions(report: Report) -> tuple[Caution, ...]:
    """What the rules have found, the most serious first."""
    return tuple(found for rule in RULES if (found := rule(report)) is not None)


def nothing_scored(report: Report) -> Caution | None:
    """No trial has a score."""
    if report.complete:
        return None
    if not report.failed and not report.pruned:
        running = bool(len(report.record.trials))
        return _warning(
            nothing_scored,
            "No trial has ended yet." if running else "There are no trials.",
            "Wait for the first trials to end." if running else "Run some trials.",
        )
    n = len(report.failed) + len(report.pruned)
    text = f"{words.count(n, 'trial')} ended, none with a score: {_how_they_ended(report)}."
    if not report.failed:
        return _warning(nothing_scored, text, "Prune later, so that some trials end.")
    return _warning(
        nothing_scored,
        text + _most_frequent_error(report),
        "Evaluate one candidate by hand until it no longer fails.",
    )


def few_trials(report: Report) -> Caution | None:
    """Fewer than FEW_TRIALS trials have a score."""
    n = len(report.complete)
    if n == 0 or n >= FEW_TRIALS:
        return None
    return _warning(
        few_trials,
        f"Only {words.count(n, 'trial')} {'has' if n == 1 else 'have'} a score: too few to say "
        "what matters or where the optimum is.",
        f"Let the search go on to {5 * max(len(report.names), 2)} trials or more.",
    )


def failures(report: Report) -> Caution | None:
    """More than FAILED_SHARE of the trials failed, pruned ones aside."""
    n = len(report.complete) + len(report.failed)
    if not report.complete or len(report.failed) <= FAILED_SHARE * n:
        return None
    which = "trials that were not pruned" if report.pruned else "trials"
    share = words.share(len(report.failed) / n)
    text = f"{len(report.failed):,} of {n:,} {which} failed ({share})."
    return _warning(
        failures,
        text + _most_frequent_error(report),
        "Find out which parameters the failed trials have in common, and leave that part of the "
        "space out.",
    )


def equal_scores(report: Report) -> Caution | None:
    """All scores are the same."""
    scores = {t.score for t in report.complete}
    if len(report.complete) < 2 or len(scores) > 1:
        return None
    return _warning(
        equal_scores,
        f"All scores are equal ({words.number(scores.pop())}): no parameter made a difference.",
        "Check that the parameters reach the model and that the score can change.",
    )


def mostly_noise(report: Report) -> Caution | None:
    """Noise is more than NOISE_SHARE of the scores' variance."""
    noise = report.findings["noise_share"]
    if noise.reason is not None or noise.value <= NOISE_SHARE:
        return None
    return _warning(
        mostly_noise,
        f"Noise makes {words.share(min(noise.value, 1.0))} of the differences between scores: "
        "which trial came out best is largely luck.",
        "Use more folds or repeats for each trial rather than more trials.",
    )


def unknown_noise(report: Report) -> Caution | None:
    """Neither folds, repeats nor neighbours tell how noisy a score is."""
    noise = report.findings["noise_share"]
    if noise.reason is None or len(report.complete) < FEW_TRIALS or equal_scores(report):
        return None
    return _warning(
        unknown_noise,
        f"How noisy a score is cannot be told: {words.reason(noise.reason)}.",
        "Evaluate the best candidate five times more with other seeds, and see how much its "
        "score changes.",
    )


def many_tied(report: Report) -> Caution | None:
    """More than TIED_SHARE of the trials cannot be told from the best."""
    tied = report.findings["indistinguishable"]
    n = len(report.complete)
    if tied.reason is not None or n < FEW_TRIALS or len(tied.trials) <= TIED_SHARE * n:
        return None
    return _warning(
        many_tied,
        f"{len(tied.trials):,} of {n:,} trials cannot be told from the best.",
        f"Choose among the {len(tied.trials):,} trials that may be the best by cost or simplicity; "
        "to tell them apart, evaluate them on more folds.",
    )


def optimistic(report: Report) -> Caution | None:
    """The best score is too good by more than OPTIMISM of its standard errors."""
    corrected, best = report.findings["corrected_best"], report.best
    if best is None or corrected.reason is not None or best.score < corrected.best:
        return None  # one that was not chosen for its score
    if not corrected.optimism > OPTIMISM * report.standard_error:
        return None
    many = corrected.optimism > MUCH_OPTIMISM * report.standard_error
    return (_warning if many else _hint)(
        optimistic,
        f"The best score is probably too good by {words.number(corrected.optimism, 2)}"
        f"{', more than its standard error' if many else ''}: it is the highest of "
        f"{words.count(len(report.complete), 'noisy score')}.",
        f"Report {report.say(corrected.value)} in place of {report.say(best.score)} for the best "
        "trial, or its score on data that the search has not seen.",
    )


def at_edge(report: Report) -> Caution | None:
    """Scores grow towards an end where the best trial is, or may grow beyond one it is on."""
    edges = _open_edges(report)
    if not edges or len(report.complete) < FEW_TRIALS:
        return None
    places = words.listing(
        (
            f"{words.clean(e.name, 40)} = {words.value(e.value)} "
            f"({e.side} end {words.value(e.bound)})"
            for e in edges
        ),
        4,
    )
    sure = any(edge.points_outward for edge in edges)
    return _warning(
        at_edge,
        f"The best trial is at the edge of the search space: {places}. Scores "
        f"{'still grow' if sure else 'may grow'} beyond it.",
        f"Widen {words.names(e.name for e in edges)} on that side where such values make sense, "
        "and search on.",
    )


def late_gain(report: Report) -> Caution | None:
    """The last LATE_SHARE of the trials raised the best by more than GAIN noise and LATE_GAIN."""
    noise = report.findings["noise_share"]
    n = len(report.record.trials.told)
    if noise.reason is not None or len(report.complete) < 2 * FEW_TRIALS:
        return None
    early = best_of(report.record.trials.told[: n - math.ceil(LATE_SHARE * n)])
    best = best_of(report.complete)
    if early is None or best is None:
        return None
    middle = statistics.median(t.score for t in report.complete)
    if best.score - early.score <= max(GAIN * noise.sd, LATE_GAIN * (best.score - middle)):
        return None
    return _warning(
        late_gain,
        f"The last {words.share(LATE_SHARE)} of the trials still raised the best score by "
        f"{words.number(best.score - early.score, 2)}, which is more than noise.",
        "Let the search go on: it had not settled.",
    )


def repeated(report: Report) -> Caution | None:
    """More than REPEATED_SHARE of the trials evaluate a candidate again."""
    n = len(report.complete)
    again = n - len({t.key for t in report.complete})
    if n < FEW_TRIALS or again <= REPEATED_SHARE * n:
        return None
    exact = sum(k - 1 for k in Counter((t.key, t.score) for t in report.complete).values())
    if exact == again:
        return _warning(
            repeated,
            f"{again:,} of {n:,} trials evaluated a candidate again and found exactly the same "
            "score: they taught nothing.",
            "Search with a tool that remembers what it evaluated, such as this package.",
        )
    return _hint(
        repeated,
        f"{again:,} of {n:,} trials evaluated a candidate again.",
        "Repeat candidates to learn the noise, and otherwise try new ones.",
    )


def unended(report: Report) -> Caution | None:
    """Some trials never ended."""
    n = len(report.record.trials.pending)
    if n == 0 or not report.complete:
        return None
    return _warning(
        unended,
        f"{words.count(n, 'trial')} had not ended when this was recorded.",
        "Make the report again once the search has ended.",
    )


def not_the_highest(report: Report) -> Caution | None:
    """The tool chose another trial than that of the highest score, GAIN noise apart."""
    best, highest = report.best, best_of(report.complete)
    if best is None or highest is None or best.score >= highest.score:
        return None
    noise = report.findings["noise_share"]
    gap = highest.score - best.score
    if noise.reason is None and gap <= GAIN * noise.sd:
        return None
    return _warning(
        not_the_highest,
        f"{words.clean(report.record.tool)} chose trial {best.id + 1} although trial "
        f"{highest.id + 1} has a score higher by {words.number(gap, 2)}.",
        f"Compare trial {best.id + 1} and trial {highest.id + 1} before you decide.",
    )


def rough(report: Report) -> Caution | None:
    """The landscape is rough at all scales seen: its Hurst exponent is below ROUGH."""
    found = report.findings["roughness"]
    if found.reason is not None or getattr(found, "verdict", "") != "rough":
        return None
    if found.hurst_high >= ROUGH:
        return None
    return _warning(
        rough,
        f"The landscape is rough at the scales measured (Hurst exponent "
        f"{words.number(found.hurst, 2)}, 95 % interval {words.number(found.hurst_low, 2)} to "
        f"{words.number(found.hurst_high, 2)}): a candidate tells little about its neighbours.",
        "Look for what makes training erratic before searching more finely.",
    )


def cheaper(report: Report) -> Caution | None:
    """A trial as good as the best takes less than CHEAPER of its time."""
    tied = report.findings["indistinguishable"]
    if tied.reason is not None or tied.cheapest is None or report.best is None:
        return None
    seconds = {t.id: s for t, s in zip(tied.trials, tied.seconds, strict=True)}
    mine, other = seconds.get(report.best.id, math.nan), seconds[tied.cheapest.id]
    if not other < CHEAPER * mine:
        return None
    return _hint(
        cheaper,
        f"Trial {tied.cheapest.id + 1} cannot be told from the best and took "
        f"{words.duration(other)} instead of {words.duration(mine)}.",
        f"Take trial {tied.cheapest.id + 1} if that difference in cost matters: "
        f"{words.params(tied.cheapest.params)}.",
    )


def idle(report: Report) -> Caution | None:
    """A dimension's total share is below IDLE, interval and all, and it need not be widened."""
    open_ends = {edge.name for edge in _open_edges(report)}
    used = {} if report.best is None else report.best.params
    names = [name for name in _idle_names(report) if name in used and name not in open_ends]
    if not names:
        return None
    listed = words.names(names)
    return _hint(
        idle,
        f"{listed} {'makes' if len(names) == 1 else 'make'} hardly any difference over the space "
        f"(each less than {words.share(IDLE)} of the variance, interval and all).",
        f"Fix {listed} at the best trial's values in the next search.",
    )


def fine_steps(report: Report) -> Caution | None:
    """On a grid, more than FINE_STEPS of neighbouring trials differ by less than the noise.

    Elsewhere that only says that a search went close to its best.
    """
    found = report.findings["plateau_share"]
    is_grid = report.landscape is not None and report.landscape.is_grid
    if not is_grid or found.reason is not None or not found.low > FINE_STEPS:
        return None
    return _hint(
        fine_steps,
        f"{words.share(min(found.value, 1.0))} of neighbouring trials differ by no more than "
        "noise: the steps are finer than the landscape.",
        "Take a coarser grid, or fewer values of each dimension.",
    )


RULES: tuple[Rule, ...] = (
    nothing_scored,
    equal_scores,
    few_trials,
    unended,
    failures,
    at_edge,
    mostly_noise,
    unknown_noise,
    late_gain,
    not_the_highest,
    many_tied,
    optimistic,
    rough,
    repeated,
    cheaper,
    idle,
    fine_steps,
)


def _open_edges(report: Report) -> list[Edge]:
    """Ends that the best trial has reached, and beyond which scores may be better.

    Where it is not clear that scores grow towards an end, the best must be on it, the dimension
    must matter, and no trial that may be as good have another value.
    """
    tied = report.findings["indistinguishable"]
    others = tied.trials if tied.reason is None else ()
    idle_names = _idle_names(report)
    return [
        edge
        for edge in report.findings["domain_edges"].edges
        if edge.points_outward
        or (
            edge.points_outward is None
            and edge.is_on
            and edge.name not in idle_names
            and all(trial.params.get(edge.name, edge.value) == edge.value for trial in others)
        )
    ]


def _idle_names(report: Report) -> list[str]:
    """The dimensions that surely make hardly any difference."""
    found = report.findings["importance"]
    if found.reason is not None:
        return []
    return [name for name, e in found.total.items() if e.reason is None and e.high < IDLE]


def _how_they_ended(report: Report) -> str:
    counted = ((len(report.failed), "failed"), (len(report.pruned), "pruned"))
    return words.listing(f"{n:,} {what}" for n, what in counted if n)


def _most_frequent_error(report: Report) -> str:
    if not report.errors:
        return ""
    error, n = report.errors[0]
    return words.sentence(f" The most frequent reason ({words.count(n, 'time')}): {error}")


def _warning(rule: Rule, text: str, advice: str) -> Caution:
    return Caution(rule.__name__, "warning", text, advice)


def _hint(rule: Rule, text: str, advice: str) -> Caution:
    return Caution(rule.__name__, "hint", text, advice)
