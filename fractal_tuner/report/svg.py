"""Pictures inside of a page: matplotlib's SVG without what belongs to a file of its own."""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fractal_tuner.report.drawing import BACKGROUND, FOREGROUND, GRID

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fractal_tuner.report.display import Display

# What depends on neither the user's settings of matplotlib nor the time.
_RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "fractal_tuner", "savefig.dpi": 110}
_COLORS = {FOREGROUND: "var(--fg)", GRID: "var(--grid)", BACKGROUND: "var(--card)"}
_WIDTH = 5.4  # inches: text of 10 points stays readable on a telephone
_HEAVY = 120_000  # characters; what is heavier is drawn as a picture of dots
_MANY_POINTS = 200

_TAG = re.compile(r"<[^>]+>")
_REFERENCE = re.compile(r'\b(id="|href="#|url\(#)')
_FONT = re.compile(r"font-family: [^;\"]*;? ?")  # the page's own is narrower than matplotlib's
_COLOR = re.compile("|".join(_COLORS), re.IGNORECASE)
_FILE_ONLY = re.compile(r"<metadata>.*?</metadata>|<style\b.*?</style>|<!--.*?-->", re.DOTALL)
# Characters that HTML forbids, or that turn the direction of what follows.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def svg_of(display: Display, name: str) -> str:
    """A display as an SVG element to be put into a page.

    Ids begin with ``name``, so that those of several pictures differ; three colours become
    variables of the page's style. The element is an image to screen readers, with the display's
    title and description.

    Parameters
    ----------
    display : Display
    name : str
        Unique in the page; letters, digits and hyphens.
    """
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser has glyphs for letters that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message=".* not applied", category=UserWarning)
        matplotlib.rcdefaults()
        for setting, value in _RC.items():
            matplotlib.rcParams[setting] = value
        figure = display.plot().figure_
        width, height = figure.get_size_inches()
        figure.set_size_inches(_WIDTH, _WIDTH * height / width)
        text = _saved(figure)
        if len(text) > _HEAVY:
            _rasterize(figure)
            text = _saved(figure)
    return _inline(text, name, display.title, display.description)


def _saved(figure: Figure) -> str:
    """The file that matplotlib writes, without creator and date."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _rasterize(figure: Figure) -> None:
    """Have all with many points drawn as dots; axes and text stay as they are."""
    for ax in figure.axes:
        for line in ax.lines:
            line.set_rasterized(np.size(line.get_xdata()) > _MANY_POINTS)
        several = len(ax.lines) > _MANY_POINTS
        for artist in (*ax.collections, *ax.patches, *(ax.lines if several else ())):
            artist.set_rasterized(True)


def _inline(text: str, name: str, title: str, description: str) -> str:
    start = text.index("<svg")
    text = _FILE_ONLY.sub("", text[start:])
    text = _TAG.sub(lambda tag: _mended(tag.group(), name), text)
    head, _, body = text.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    label = (
        f'<svg role="img" {view.group() if view else ""} '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
    )
    return _CONTROL.sub("\ufffd", label + body)


def _mended(tag: str, name: str) -> str:
    """A tag with ids of its own and the page's colours; texts between tags are not touched."""
    tag = _FONT.sub("", tag.replace("xlink:href", "href"))
    tag = _REFERENCE.sub(lambda m: f"{m.group()}{name}-", tag)
    return _COLOR.sub(lambda m: _COLORS[m.group().lower()], tag)
