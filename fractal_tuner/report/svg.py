"""Pictures inside of a page: matplotlib's SVG without what belongs to a file of its own."""

from __future__ import annotations

import base64
import io
import re
import warnings
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fractal_tuner.report.drawing import BACKGROUND, FOREGROUND, GRID

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fractal_tuner.report.display import Display

# What depends on neither the user's settings of matplotlib nor the time.
_RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "fractal_tuner", "savefig.dpi": 96}
_COLORS = {FOREGROUND: "var(--fg)", GRID: "var(--grid)", BACKGROUND: "var(--card)"}
_WIDTH = 5.2  # inches of a picture with one panel: its text can be read on a telephone
_WIDE = 7.5  # inches; what is wider has several panels
_HEAVY = 2700  # characters on a square inch; what is heavier is drawn as dots
_MARK, _VERTEX = 150, 14  # characters that one takes
_MANY_POINTS = 100
_NO_MARKER = ("None", "none", " ", "", None)

_TAG = re.compile(r"<[^>]+>")
_REFERENCE = re.compile(r'\b(id="|href="#|url\(#)')
_DOTS = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
_PATH = re.compile(r'\bd="[^"]*"')
_DECIMALS = re.compile(r"(\.\d\d)\d+")  # a hundredth of a point is enough
_FONT = re.compile(r"font-family: [^;\"]*;? ?")  # the page's own is narrower than matplotlib's
_COLOR = re.compile("|".join(_COLORS), re.IGNORECASE)
_FILE_ONLY = re.compile(r"<metadata>.*?</metadata>|<style\b.*?</style>|<!--.*?-->", re.DOTALL)
# Characters that HTML forbids, or that turn the direction of what follows.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Picture:
    """An SVG element, and whether it is one for the whole width of a page.

    The page's style says how large an inch, its ``--width``, is at least and at most.
    """

    svg: str
    is_wide: bool


def picture_of(display: Display, name: str) -> Picture:
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
        width, height = map(float, figure.get_size_inches())
        if width <= _WIDE:
            width, height = _WIDTH, _WIDTH * height / width
        figure.set_size_inches(width, height)
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            _pull_legends_inside(figure)
            figure.set_layout_engine(None)  # savefig would lay it out again, and draw twice
        if _weight(figure) > _HEAVY * width * height:
            _rasterize(figure)
        text = _saved(figure)
    svg = _inline(text, name, width, display)
    return Picture(svg, width > _WIDE)


def _pull_legends_inside(figure: Figure) -> None:
    """Move legends that are wider than their axes to the left, as far as there is room."""
    for ax in figure.axes:
        if (legend := ax.get_legend()) is not None:
            box, room = legend.get_window_extent(), figure.bbox
            shift = min(max(box.x1 - room.x1, 0.0), max(box.x0 - room.x0, 0.0))
            if shift > 0.0:
                corner = ax.transAxes.inverted().transform((box.x0 - shift, box.y0))
                legend.set_loc("lower left")
                legend.borderaxespad = 0.0
                legend.set_bbox_to_anchor(tuple(corner), transform=ax.transAxes)


def _saved(figure: Figure) -> str:
    """The file that matplotlib writes, without what belongs to a file alone, in fewer words."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = _FILE_ONLY.sub("", text[text.index("<svg") :])
    return _DOTS.sub(lambda m: _fewer_colors(m.group(1)), _TAG.sub(_shorter, text))


def _shorter(tag: re.Match[str]) -> str:
    """A tag without the fonts, which are the page's, and the places after a hundredth."""
    text = _FONT.sub("", tag.group().replace("xlink:href", "href"))
    return _PATH.sub(lambda m: _DECIMALS.sub(r"\1", m.group().replace("\n", "")), text)


def _fewer_colors(base64_png: str) -> str:
    """A picture of dots as a data URI, with at most 64 colours: a fifth of the size."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(base64_png)))
    file = io.BytesIO()
    image.quantize(64, method=Image.Quantize.FASTOCTREE).save(file, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _weight(figure: Figure) -> int:
    """About how many characters the marks, lines and areas of a figure take."""
    marks = vertices = 0
    for ax in figure.axes:
        for line in ax.lines:
            if line.get_rasterized():
                continue
            marks += np.size(line.get_xdata()) if line.get_marker() not in _NO_MARKER else 1
            vertices += np.size(line.get_xdata()) if line.get_linestyle() != "None" else 0
        for collection in ax.collections:
            if collection.get_rasterized():  # as in colour bars
                continue
            paths, places = collection.get_paths(), len(np.atleast_2d(collection.get_offsets()))
            marks += max(len(paths), places)
            if places <= 1:
                vertices += sum(np.shape(path.vertices)[0] for path in paths)
        marks += len(ax.patches)
    return _MARK * marks + _VERTEX * vertices


def _rasterize(figure: Figure) -> None:
    """Have all with many points drawn as dots; axes and text stay as they are."""
    for ax in figure.axes:
        for line in ax.lines:
            line.set_rasterized(np.size(line.get_xdata()) > _MANY_POINTS)
        several = len(ax.lines) > _MANY_POINTS
        for artist in (*ax.collections, *ax.patches, *(ax.lines if several else ())):
            artist.set_rasterized(True)


def _inline(text: str, name: str, width: float, display: Display) -> str:
    text = _TAG.sub(lambda tag: _mended(tag.group(), name), text)
    head, _, body = text.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    label = (
        f'<svg role="img" {view.group() if view else ""} '
        f'style="--width: {width:.2f}" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(display.title)}</title>'
        f'<desc id="{name}-desc">{escape(display.description)}</desc>'
    )
    return _CONTROL.sub("\ufffd", label + body)


def _mended(tag: str, name: str) -> str:
    """A tag with ids of its own and the page's colours; texts between tags are not touched."""
    tag = _REFERENCE.sub(lambda m: f"{m.group()}{name}-", tag)
    return _COLOR.sub(lambda m: _COLORS[m.group().lower()], tag)
