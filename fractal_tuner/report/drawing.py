"""What the displays share: colours, marks, figures, panels, legends, words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fractal_tuner import words
from fractal_tuner.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Text, ticks, frames and edges; lines of a grid; the paper. A page may replace these three by
# colours of its own, for instance on a dark screen: nothing else is drawn in them.
FOREGROUND = "#1a1a1b"
GRID = "#c9c9ca"
BACKGROUND = "#fefefd"

COLOR = "#2f77c4"
SECOND = "#b8691b"
FAILURE = "#cf3b30"
SCORES = "viridis"  # colours of scores
AMOUNTS = "cividis"  # colours of what is not a score
MANY = 1500  # marks; more are drawn as one picture inside of a vector graphic

_LABEL_LENGTH = 24
_NOTE_LENGTH = 62
_HALF_DECADE, _FEW_DECADES = 5.0, 300.0  # ratios of the ends of an axis
_SUPERSCRIPT = str.maketrans(
    "-0123456789",
    "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079",
)
_MOST_ROWS = 300
_RC: dict[str, Any] = {
    "text.color": FOREGROUND,
    "axes.edgecolor": FOREGROUND,
    "axes.labelcolor": FOREGROUND,
    "axes.titlecolor": FOREGROUND,
    "xtick.color": FOREGROUND,
    "ytick.color": FOREGROUND,
    "hatch.color": FOREGROUND,
    "hatch.linewidth": 0.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "figure.facecolor": BACKGROUND,
    "axes.facecolor": BACKGROUND,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titley": 1.0,  # else it is looked for again at each step, which takes time
}
# Arguments of Axes.plot
BEST: dict[str, Any] = {
    "marker": "*",
    "linestyle": "none",
    "markersize": 15,
    "markerfacecolor": "#f2b705",
    "markeredgecolor": FOREGROUND,
    "markeredgewidth": 0.8,
    "zorder": 5,
}
FAILED: dict[str, Any] = {
    "marker": "x",
    "linestyle": "none",
    "color": FAILURE,
    "markersize": 6.5,
    "markeredgewidth": 1.6,
    "zorder": 3,
}
PRUNED = FAILED | {"marker": "+", "color": FOREGROUND, "markeredgewidth": 1.2}
DOTS: dict[str, Any] = {  # thin edges keep dark dots visible on a dark page
    "linestyle": "none",
    "marker": "o",
    "markersize": 5,
    "markerfacecolor": COLOR,
    "markeredgecolor": FOREGROUND,
    "markeredgewidth": 0.4,
}


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The complete trial with the highest score, the first asked of equals."""
    complete = [t for t in trials if t.status == "complete"]
    return max(complete, key=lambda t: (t.score, -t.id), default=None)


def unscored(score: np.ndarray, pruned: np.ndarray) -> list[tuple[np.ndarray, dict[str, Any], str]]:
    """Trials without a score: which they are, their marks, how they ended; failed ones first.

    Parameters
    ----------
    score : np.ndarray
        Shape (n,); NaN for those without.
    pruned : np.ndarray
        Shape (n,), of bool: which of them were stopped early, and have not failed.
    """
    missing = np.isnan(score)
    kinds = ((missing & ~pruned, FAILED, "failed"), (missing & pruned, PRUNED, "pruned"))
    return [kind for kind in kinds if kind[0].any()]


def flags_of(given: Any, score: np.ndarray) -> np.ndarray:
    """A flag for each score; none is set if they are not given."""
    flags = np.zeros(score.shape, dtype=bool) if given is None else np.asarray(given, dtype=bool)
    if flags.shape != score.shape:
        raise ValueError(f"pruned must have the shape of score, {score.shape}, got {flags.shape}")
    return flags


def how_many_unscored(score: np.ndarray, pruned: np.ndarray) -> str:
    """How many trials failed and how many were pruned, in words; empty if none."""
    counts = [f"{which.sum():,} {name}" for which, _, name in unscored(score, pruned)]
    return words.listing(counts)


def floor_of(scores: np.ndarray) -> float:
    """The lowest score worth room on an axis; NaN if there is none.

    A few very low scores would flatten all the others. Where Tukey's fences leave them far outside,
    they are drawn at the edge of the axis instead.
    """
    finite = scores[np.isfinite(scores)]
    if len(finite) == 0:
        return math.nan
    lowest, quarter, three_quarters, highest = np.quantile(finite, [0.0, 0.25, 0.75, 1.0])
    fence = float(quarter - 1.5 * (three_quarters - quarter))
    inside = finite[finite >= fence].min()
    worth_it = highest > inside and inside - lowest > 0.5 * (highest - inside)
    return float(inside if worth_it else lowest)


def color_range(scores: np.ndarray) -> tuple[float, float]:
    """Ends of a colour scale: from :func:`floor_of` to the highest; never the same."""
    if not np.isfinite(scores).any():
        return 0.0, 1.0
    low, high = floor_of(scores), float(np.nanmax(scores))
    spare = 0.0 if high > low else max(abs(high), 1.0) * 1e-3
    return low - spare, high + spare


@contextmanager
def styled() -> Iterator[None]:
    """While it lasts, matplotlib draws in the colours of this module."""
    from matplotlib import rc_context

    with rc_context(cast("Any", _RC)):
        yield


def axes_of(ax: Axes | None, size: tuple[float, float]) -> tuple[Axes, Figure]:
    """``ax`` with its figure, or axes on a new figure that no window shows."""
    if ax is None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        return figure.add_subplot(), figure
    return ax, cast("Figure", ax.get_figure())


def panels(ax: Axes, places: Sequence[int], n_columns: int) -> tuple[Axes, list[Axes]]:
    """Axes in rows in the place of ``ax``, which itself is drawn no more.

    Parameters
    ----------
    ax : matplotlib Axes
    places : sequence of int
        Which places to fill, counted along the rows.
    n_columns : int

    Returns
    -------
    tuple of Axes and list of Axes
        A place above the panels for a legend of all of them, and the panels.
    """
    from matplotlib.gridspec import GridSpec

    ax.set_axis_off()
    figure = cast("Figure", ax.get_figure())
    n = max(places) + 1
    n_columns = min(n, n_columns)
    n_rows = -(-n // n_columns)
    spec: Any = ax.get_subplotspec()
    if spec is None:  # axes at a place of their own
        box = ax.get_position()
        sides = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        spec = GridSpec(1, 1, figure=figure, **sides)[0]
    above, below = spec.subgridspec(2, 1, height_ratios=(0.001, 1.0))
    head = figure.add_subplot(above)
    head.set_axis_off()
    grid = below.subgridspec(n_rows, n_columns)
    return head, [figure.add_subplot(grid[divmod(k, n_columns)]) for k in places]


def legend_above(ax: Axes, note: str = "", *, n_columns: int = 2) -> None:
    """A legend that hides nothing, above the axes, and over it a note."""
    from textwrap import fill

    handles, labels = ax.get_legend_handles_labels()
    if not handles and not note:
        return
    lines = [fill(line, _NOTE_LENGTH) for line in note.split("\n") if line]
    legend = ax.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0.06, 1.0),  # beside a common factor of the ticks
        ncols=n_columns,
        frameon=False,
        fontsize="small",
        borderaxespad=0.2,
        title="\n".join(lines) or None,
        title_fontsize="small",
        alignment="left",
    )
    # Only its height takes room: axes narrower than their legend would be squeezed.
    legend.set_in_layout(False)
    n_lines = sum(line.count("\n") + 1 for line in lines) + bool(lines)
    n_lines += math.ceil(1.6 * -(-len(handles) // n_columns))
    ax.set_title("\n".join([" "] * n_lines), loc="right", fontsize="small", pad=3.0)


def say(ax: Axes, text: str) -> None:
    """Words in the middle of axes that would be empty."""
    from textwrap import fill

    ax.text(
        0.5,
        0.5,
        fill(text, 46).replace("$", r"\$"),
        transform=ax.transAxes,
        ha="center",
        va="center",
        zorder=6,
    )


def say_instead(ax: Axes, text: str) -> None:
    """Words instead of a picture: no axes around them."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    say(ax, text)


def short(text: object, length: int = _LABEL_LENGTH) -> str:
    """One line of a user's text, as in tables; matplotlib would read $ as mathematics."""
    return words.clean(text, length).replace("$", r"\$")


def plain(value: Any) -> Any:
    """A value in a table: None for what is not a finite number."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rows_of(columns: dict[str, Iterable[Any]], most: int = _MOST_ROWS) -> list[dict[str, Any]]:
    """Rows of a table; of more than ``most``, some that are evenly spread, with both ends."""
    rows = [
        dict(zip(columns, map(plain, row), strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    if len(rows) <= most:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, most).round().astype(int)]


def time_unit(seconds: float) -> tuple[float, str]:
    """The unit in which so many seconds are easy to read: its length and its name."""
    for length, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * length:
            return length, name
    return (1e-3, "milliseconds") if 0 < seconds < 0.1 else (1.0, "seconds")


def score_dots(
    ax: Axes, x: np.ndarray, y: np.ndarray, score: np.ndarray, ends: tuple[float, float]
) -> Any:
    """Dots in the colours of scores, the highest on top; their collection, for a colour bar.

    Parameters
    ----------
    ax : matplotlib Axes
    x, y, score : np.ndarray
        Shape (n,); failures, NaN, are left out.
    ends : tuple of float
        Of the colour scale.
    """
    order = np.argsort(score, kind="stable")[: int(np.isfinite(score).sum())]
    return ax.scatter(
        x[order],
        y[order],
        c=score[order],
        vmin=ends[0],
        vmax=ends[1],
        cmap=SCORES,
        s=38 if len(order) <= 300 else 16,
        edgecolors=FOREGROUND,
        linewidths=0.5 if len(order) <= 300 else 0.25,
        rasterized=len(order) > MANY,
        zorder=3,
    )


def color_bar(
    ax: Axes,
    shown: Any,
    label: str,
    *,
    below: bool = False,
    cax: Axes | None = None,
    **options: Any,
) -> None:
    """A colour bar at the right of ``ax`` or in ``cax``; ``below``: some values lie below it."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    figure = cast("Figure", ax.get_figure())
    place: dict[str, Any] = {"ax": ax} if cax is None else {"cax": cax}
    bar = figure.colorbar(shown, extend="min" if below else "neither", **place, **options)
    bar.set_label(short(label, 44))
    if bar.orientation == "horizontal":
        bar.locator = MaxNLocator(3)
    if isinstance(bar.formatter, ScalarFormatter):  # others never move numbers to the end
        bar.formatter.set_useOffset(False)
    cast("Any", bar.outline).set_linewidth(0.5)


def log_ticks(axis: Any, low: float, high: float) -> None:
    """Numbers on a logarithmic axis from ``low`` to ``high``, without mathematical typesetting.

    Typesetting takes most of the time of a drawing, and its text cannot be read out. Ticks without
    a number take time, too.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ratio = high / low
    if ratio < _HALF_DECADE:
        axis.set_major_locator(MaxNLocator(5))
    elif ratio < _FEW_DECADES:  # powers of ten alone would be too few
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=99))
    else:
        axis.set_major_locator(LogLocator())
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_text(value)))


def power_text(value: float) -> str:
    """A tick of a logarithmic axis.

    Examples
    --------
    >>> power_text(0.01), power_text(1e-7), power_text(20.0)
    ('0.01', '10\u207b\u2077', '20')
    """
    if 1e-3 <= abs(value) < 1e4 or value <= 0:
        return f"{value:g}"
    exponent = round(math.log10(value))
    if not math.isclose(value, 10.0**exponent, rel_tol=1e-6):
        return f"{value:g}"
    return "10" + str(exponent).translate(_SUPERSCRIPT)
