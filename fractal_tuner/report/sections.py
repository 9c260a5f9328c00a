"""What stands on the page, in order: the same for HTML and Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, get_args

from fractal_tuner import words
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.landscape import Landscape
from fractal_tuner.readers.record import unpruned
from fractal_tuner.report.box_counting import BoxCountingDisplay
from fractal_tuner.report.coverage import CoverageDisplay
from fractal_tuner.report.display import Display
from fractal_tuner.report.distribution import DistributionDisplay
from fractal_tuner.report.history import HistoryDisplay
from fractal_tuner.report.importance_bars import ImportanceDisplay
from fractal_tuner.report.landscape_map import Kind, LandscapeDisplay
from fractal_tuner.report.noise_bars import NoiseDisplay
from fractal_tuner.report.pairs import ContourDisplay
from fractal_tuner.report.parallel import ParallelCoordinatesDisplay
from fractal_tuner.report.report import Report, foremost
from fractal_tuner.report.slices import SliceDisplay
from fractal_tuner.report.tables import Table, error_table, run_table, space_table, trial_table
from fractal_tuner.report.timeline import TimelineDisplay
from fractal_tuner.report.variogram import RoughnessDisplay
from fractal_tuner.report.zoom_path import ZoomPathDisplay
from fractal_tuner.report.zoomed_views import ZoomedViewsDisplay

_MOST_SLICES = 8
_MOST_PAIRED = 4
_D = TypeVar("_D", bound=Display)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    id, title : str
    text : tuple of str
        Sentences, each a paragraph. A section without pictures and tables says why.
    displays : tuple of Display
    tables : tuple of Table
    """

    id: str
    title: str
    text: tuple[str, ...] = ()
    displays: tuple[Display, ...] = ()
    tables: tuple[Table, ...] = ()


def sections(report: Report) -> tuple[Section, ...]:
    """The sections that follow answer and warnings."""
    made = (make(report) for make in _SECTIONS)
    return tuple(section for section in made if section is not None)


def _history(report: Report) -> Section:
    if not report.record.trials.told:
        return Section("history", "History", ("No trial has ended, so there is no history.",))
    record = report.record
    timed = any(t.started is not None and t.ended is not None for t in record.trials)
    scored = bool(report.complete)
    history = partial(HistoryDisplay.from_record, record, standard_error=report.standard_error)
    text, shown = _drawn(
        history if scored else None,
        partial(history, against="time") if scored and timed else None,
        partial(TimelineDisplay.from_record, record) if timed else None,
        partial(DistributionDisplay.from_record, record) if _differ(report) else None,
    )
    said = () if scored else ("No trial has a score, so there is no history of scores.",)
    return Section("history", "History", (*said, *text), shown)


def _differ(report: Report) -> bool:
    """Whether there are two scores: else most pictures would be of one colour."""
    return len({trial.score for trial in report.complete}) > 1


def _zoom_path(report: Report) -> Section | None:
    title = "Zoom path"
    levels = max((t.level for t in report.record.trials), default=0)
    if not levels and not report.record.zooms:
        return None
    if not levels:
        why = (
            "The search did not zoom: all trials were proposed from the whole space."
            if len(report.record.trials)
            else "There are no trials."
        )
        return Section("zoom-path", title, (why,))
    said = []
    if report.best is not None:
        said.append(
            f"Each zoom halves the window or more. The deepest trial was proposed at level "
            f"{levels}, the best one at level {report.best.level}."
        )
    text, shown = _drawn(
        partial(ZoomPathDisplay.from_record, report.record, dims=report.dims),
        partial(ZoomedViewsDisplay.from_record, report.record, dims=report.dims),
    )
    # A single view is that of the whole space, which the path shows.
    shown = tuple(d for d in shown if not isinstance(d, ZoomedViewsDisplay) or len(d.views) > 1)
    return Section("zoom-path", title, (*said, *text), shown)


def _landscape(report: Report) -> Section:
    title = "Landscape"
    if report.landscape is None:
        return Section("landscape", title, (_no_landscape(report),))
    table = _estimates(
        report,
        (
            "gradient_magnitude",
            "slope",
            "score per side of the unit cube, root mean square; large where a small change of "
            "parameters matters",
        ),
        (
            "local_complexity",
            "local complexity",
            "how much scores vary around local planes, beyond noise; 0 if noise explains all",
        ),
        (
            "basins",
            "regions of good scores",
            "with several, keep the second best and restart there",
        ),
        (
            "plateau_share",
            "neighbours alike",
            "share that differ by no more than noise; above 0.8 a coarser grid loses nothing",
        ),
        (
            "near_optimal_volume",
            "near-optimal volume",
            "share of the space that cannot be told from the best; where it is large, stop",
        ),
    )
    log = report.record.trials
    drawn = partial(
        LandscapeDisplay.from_record,
        report.record,
        dims=report.dims,
        landscape=Landscape.from_trials(unpruned(log), report.dims, space=log.space),
    )
    kinds = get_args(Kind) if _differ(report) else ("raw",)
    text, shown = _drawn(*(partial(drawn, kind=kind) for kind in kinds))
    lacking = [d for d in shown if d.kind != "raw" and d.reason is not None]
    if lacking:  # their pictures would be of the trials alone, as the first is
        whys = words.listing(f"{d.title.lower()} ({words.reason(str(d.reason))})" for d in lacking)
        text += (f"Not drawn: {whys}.",)
    shown = tuple(d for d in shown if d not in lacking)
    return Section("landscape", title, (_extent_of_landscape(report), *text), shown, (table,))


def _no_landscape(report: Report) -> str:
    return f"There is no landscape: {report.findings['roughness'].reason}."


def _extent_of_landscape(report: Report) -> str:
    """Which trials the numbers are of."""
    landscape, best = report.landscape, report.best
    if landscape is None or best is None:
        return ""
    foremost_first = foremost(report.record, report.findings, _MOST_SLICES)
    names = [words.clean(n, 40) for n in foremost_first if n in landscape.names]
    more = len(landscape.names) - len(names)
    names += [words.count(more, "other")] if more else []
    said = f"Measured over {words.listing(names)}"
    fixed = {
        p.name: best.params[p.name]
        for p in report.record.trials.space.parameters
        if p.dimension.is_categorical
        and p.dimension.n_values != 1
        and p.name is not None
        and p.name in best.params
    }
    if fixed:
        said += f", where {words.params(fixed)}"
    said += f": {words.count(landscape.n_scores, 'score')}."
    if fixed or set(landscape.names) != set(report.dims):
        shown = words.listing(words.clean(name, 40) for name in report.dims)
        said += f" The pictures are of all trials, over {shown}."
    return said


def _boxes(report: Report) -> Section:
    title, found = "Box counting", report.findings
    names = ("contour_dimension", "failure_dimension")
    reasons = list(dict.fromkeys(words.reason(str(found[name].reason)) for name in names))
    if all(found[name].reason is not None for name in names):
        why = f"No box-counting dimension was estimated ({words.listing(reasons)})."
        return Section("box-counting", title, (why,))
    table = _estimates(
        report,
        (
            names[0],
            "dimension of the contour at the median score",
            "near the number of axes less 1: a clear line between good and bad",
        ),
        (
            names[1],
            "dimension of the boundary of failures",
            "near the number of axes less 1: a margin keeps trials from failing",
        ),
    )
    text, shown = _drawn(
        *(
            partial(BoxCountingDisplay, found[name], of=of, smooth=report.landscape.n_dims - 1.0)
            for name, of in zip(
                names, ("the contour at the median score", "the edge of the failures"), strict=True
            )
            if report.landscape is not None and found[name].reason is None
        )
    )
    return Section("box-counting", title, text, shown, (table,))


def _roughness(report: Report) -> Section:
    title, rough = "Roughness", report.findings["roughness"]
    lengths = report.findings["correlation_lengths"]
    if report.landscape is None:
        return Section("roughness", title, (_no_landscape(report),))
    said = []
    if rough.reason is None:
        said.append(
            f"The landscape is {rough.verdict}: its Hurst exponent is "
            f"{words.number(rough.hurst, 2)} (95 % interval {words.number(rough.hurst_low, 2)} to "
            f"{words.number(rough.hurst_high, 2)}). This describes "
            f"{words.share(rough.explored)} of the space, that near the trials."
        )
    else:
        said.append(f"How rough the landscape is cannot be told: {words.reason(rough.reason)}.")
    tables: tuple[Table, ...] = ()
    if all(e.reason is not None for e in lengths):
        reasons = list(dict.fromkeys(words.reason(str(e.reason)) for e in lengths))
        said.append(f"Correlation lengths cannot be told: {words.listing(reasons)}.")
    else:
        rows = tuple(
            (words.clean(name), *_value_and_interval(e))
            for name, e in zip(report.landscape.names, lengths, strict=True)
        )
        head = ("parameter", "share of its range", "95 % interval")
        tables = (Table("Correlation lengths: steps of half of it are fine enough", head, rows),)
    known = rough.reason is None
    text, shown = _drawn(partial(RoughnessDisplay, report.landscape, rough) if known else None)
    return Section("roughness", title, (*said, *text), shown, tables)


def _importance(report: Report) -> Section:
    found = report.findings["importance"]
    said = []
    if found.reason is not None:
        said.append(f"Which dimensions matter cannot be told: {words.reason(found.reason)}.")
    else:
        name, most = max(found.total.items(), key=lambda item: item[1].value)
        others = [share.value for other, share in found.total.items() if other != name]
        matters = "matters" if most.low > max(others, default=0.0) else "seems to matter"
        said.append(
            f"{words.clean(name, 40)} {matters} most: {words.share(min(most.value, 1.0))} of the "
            "variance over the space goes away where it is fixed (95 % interval "
            f"{words.share(max(most.low, 0.0))} to {words.share(min(most.high, 1.0))})."
        )
    names = foremost(report.record, report.findings, _MOST_SLICES)
    if len(names) < len(report.names):
        said.append(
            f"Along {len(names)} of {len(report.names)} dimensions, those that matter most as far "
            "as that is known:"
        )
    kinds = (SliceDisplay, ParallelCoordinatesDisplay) if _differ(report) else ()
    paired = foremost(report.record, report.findings, _MOST_PAIRED)
    text, shown = _drawn(
        partial(ImportanceDisplay, found) if found.reason is None else None,
        *(partial(kind.from_record, report.record, dims=names) for kind in kinds),
        partial(ContourDisplay.from_record, report.record, dims=paired)
        if _differ(report) and len(paired) > 1
        else None,
    )
    return Section("importance", "Importance and slices", (*said, *text), shown)


def _coverage(report: Report) -> Section:
    if not report.record.trials.told:
        return Section("coverage", "Coverage", ("No trial has ended: nothing is covered.",))
    text, shown = _drawn(partial(CoverageDisplay.from_record, report.record))
    return Section("coverage", "Coverage", text, shown)


def _noise(report: Report) -> Section:
    noise = report.findings["noise_share"]
    if noise.reason is not None:
        why = f"How noisy a score is cannot be told: {words.reason(noise.reason)}."
        return Section("noise", "Noise", (why,))
    table = _estimates(
        report,
        (
            "noise_share",
            "noise",
            "share of the variance of scores; above 0.5 the best is a draw, below 0.05 the order "
            "of the trials can be trusted",
        ),
    )
    text, shown = _drawn(partial(NoiseDisplay.from_record, report.record))
    return Section("noise", "Noise", text, shown, (table,))


def _trials(report: Report) -> Section:
    if not len(report.record.trials):
        return Section("trials", "Trials", ("There are no trials.",))
    table, said = trial_table(report)
    why = (error_table(report),) if report.errors else ()
    return Section("trials", "Trials", said, (), (table, *why))


def _reproduce(report: Report) -> Section:
    same = "The same trials give this page again, byte for byte, with the same versions."
    tables = run_table(report), space_table(report)
    return Section("reproduce", "Reproduce", (same,), (), tables)


def _how_to_read(report: Report) -> Section:
    return Section(
        "how-to-read",
        "How to read this page",
        (
            "A trial is one evaluation of one candidate: one value for each parameter. Trials are "
            "numbered from 1 in the order in which they were asked for. Larger scores are better; "
            "what was minimised is negated.",
            "± is one standard error of a score, judged by all trials where they tell it: a few "
            "folds of one trial may agree by chance. The table of trials has that of each trial's "
            "own folds. An interval holds the truth in 95 % of cases. Where the data do not "
            "suffice for a number, the reason is given instead.",
            "Two trials that cannot be told apart may still differ: there was not enough data "
            "to see it. Trials of a search crowd around its best ones, so that what is said of "
            "the landscape holds near the trials.",
            "The dimension of a graph or a boundary says how its detail grows as one zooms in: a "
            "smooth graph over d parameters has d, one that fills space d + 1. Roughness that is "
            "only noise is not counted.",
        ),
    )


_SECTIONS: tuple[Callable[[Report], Section | None], ...] = (
    _history,
    _zoom_path,
    _landscape,
    _boxes,
    _roughness,
    _importance,
    _coverage,
    _noise,
    _trials,
    _reproduce,
    _how_to_read,
)


def _estimates(report: Report, *wanted: tuple[str, str, str]) -> Table:
    """A row for each finding of a name: what it is called, value, interval, what it means."""
    rows = tuple(
        (what, *_value_and_interval(report.findings[name]), meaning)
        for name, what, meaning in wanted
    )
    return Table("What was measured", ("what", "value", "95 % interval", "meaning"), rows)


def _value_and_interval(found: Estimate) -> tuple[str, str]:
    """Of an estimate without a value the reason."""
    known = math.isfinite(found.low) and math.isfinite(found.high)
    if found.reason is not None:
        return f"unknown: {words.reason(found.reason)}", ""
    low, high = words.number(found.low, 3), words.number(found.high, 3)
    return words.number(found.value, 3), f"{low} to {high}" if known else "unknown"


def _drawn(
    *makers: Callable[[], _D] | None,
) -> tuple[tuple[str, ...], tuple[_D, ...]]:
    """What makers of displays make, and why they cannot; None makes nothing."""
    said: list[str] = []
    shown: list[_D] = []
    for make in makers:
        if make is None:
            continue
        try:
            shown.append(make())
        except ValueError as error:
            said.append(f"Not drawn: {words.clean(error, 200)}.")
    return tuple(dict.fromkeys(said)), tuple(shown)
