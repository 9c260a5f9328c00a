"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import count
from typing import TYPE_CHECKING, Any

import fractal_tuner
from fractal_tuner import words
from fractal_tuner.report.sections import sections
from fractal_tuner.report.svg import picture_of
from fractal_tuner.report.tables import Table, best_table

if TYPE_CHECKING:
    from markupsafe import Markup

    from fractal_tuner.report.display import Display
    from fractal_tuner.report.report import Report

_MOST_ROWS, _MOST_CELLS = 100, 600  # behind a picture
_FROM_THE_RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+")


def page(report: Report) -> str:
    """A report as an HTML page: no outside reference, the same bytes for the same trials.

    Parameters
    ----------
    report : Report

    Raises
    ------
    ImportError
        Without jinja2.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fractal_tuner.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["isolated"] = _isolated
    script = environment.get_template("sort.js").render().strip()
    numbers = count(1)
    return environment.get_template("report.html.j2").render(
        report=report,
        version=fractal_tuner.__version__,
        best=best_table(report),
        sections=[
            {
                "id": s.id,
                "title": s.title,
                "text": s.text,
                "tables": s.tables,
                "figures": [_figure(d, f"figure-{next(numbers)}") for d in s.displays],
            }
            for s in sections(report)
        ],
        script=_markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _figure(display: Display, name: str) -> dict[str, Any]:
    rows = display.table()
    head = tuple(dict.fromkeys(key for row in rows for key in row))
    most = min(_MOST_ROWS, _MOST_CELLS // max(len(head), 1))
    left_out = len(rows) - most
    rows = rows if left_out <= 0 else [rows[i * len(rows) // most] for i in range(most)]
    cells = tuple(
        tuple("" if row.get(key) is None else words.value(row[key]) for key in head) for row in rows
    )
    picture = picture_of(display, name)
    return {
        "title": display.title,
        "description": display.description,
        "svg": _markup(picture.svg),
        "is_wide": picture.is_wide,
        "table": Table(
            f"Data of: {display.title}"
            + (f" ({most} rows, evenly chosen of {most + left_out:,})" if left_out > 0 else ""),
            tuple(map(words.clean, head)),
            cells,
        ),
    }


def _isolated(text: str) -> Markup:
    """Escaped text in which words written from the right do not move those beside them."""
    from markupsafe import Markup, escape

    return Markup(_FROM_THE_RIGHT.sub(lambda m: f"<bdi>{m.group()}</bdi>", str(escape(text))))


def _markup(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)
