"""The page as Markdown: the same words and tables, no pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fractal_tuner.report.sections import sections
from fractal_tuner.report.tables import Table, best_table

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report

_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_MOST_ROWS = 50


def markdown(report: Report) -> str:
    """A report as Markdown.

    Parameters
    ----------
    report : Report
    """
    lines = ["# Search report", "", _plain(report.source), ""]
    lines += ["## Answer", "", f"**{_plain(report.answer)}**", ""]
    lines += ["### How far to trust it", "", *_items(report.trust)]
    lines += ["### What to do next", "", *_items(report.next_steps)]
    if (best := best_table(report)) is not None:
        lines += _table(best)
    warnings = [f"{c.text} {c.advice}" for c in report.warnings]
    lines += ["## Warnings", "", *_items(warnings or ["No rule found anything to warn of."])]
    if report.hints:
        lines += ["### Hints", "", *_items(f"{c.text} {c.advice}" for c in report.hints)]
    if report.notes:
        lines += ["### While reading", "", *_items(report.notes)]
    for section in sections(report):
        lines += [f"## {section.title}", ""]
        for sentence in section.text:
            lines += [_plain(sentence), ""]
        lines += _items(f"{d.title}: {d.description}" for d in section.displays)
        for table in section.tables:
            lines += _table(table)
    return "\n".join(lines).rstrip() + "\n"


def _items(texts: Iterable[str]) -> list[str]:
    items = [f"- {_plain(text)}" for text in texts]
    return [*items, ""] if items else []


def _table(table: Table) -> list[str]:
    rows = table.rows[:_MOST_ROWS]
    more = len(table.rows) - len(rows)
    return [
        f"{_plain(table.caption)}" + (f", {more:,} rows left out" if more else ""),
        "",
        _row(table.head),
        _row("---" for _ in table.head),
        *map(_row, rows),
        "",
    ]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(c if c == '---' else _plain(c) for c in cells)} |"


def _plain(text: str) -> str:
    """Text whose characters mean themselves."""
    return _MEANS_SOMETHING.sub(r"\\\1", text)
