"""What the displays share: the trials of a search, a range of scores, figures, marks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fractal_tuner.trials import Trial, TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOR = "#1f5fa8"
_LABEL_LENGTH = 24
# Arguments of Axes.plot
BEST: dict[str, Any] = {
    "marker": "*",
    "linestyle": "none",
    "markersize": 16,
    "markerfacecolor": "#f2b705",
    "markeredgecolor": "black",
    "markeredgewidth": 0.8,
    "zorder": 5,
}
FAILED: dict[str, Any] = {
    "marker": "x",
    "linestyle": "none",
    "color": "#b3261e",
    "markersize": 6.5,
    "markeredgewidth": 1.6,
    "zorder": 3,
}


def log_of(search: Any) -> TrialLog:
    """The trials of a search, whatever its kind.

    Raises
    ------
    TypeError
        If ``search`` has none, for instance because it is not fitted.
    """
    for name in ("trials", "trials_"):
        if isinstance(trials := getattr(search, name, None), TrialLog):
            return trials
    raise TypeError(
        f"{search!r} has no trials to draw; a search inside an estimator must be fitted"
    )


def recommended(search: Any) -> int | None:
    """The id of the trial a search recommends; None if no trial is complete."""
    search = getattr(search, "search_", search)
    try:
        best: Trial = search.best_trial
    except RuntimeError:
        return None
    return best.id


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """The complete trial with the highest score, the first asked of equals."""
    complete = [t for t in trials if t.status == "complete"]
    return max(complete, key=lambda t: (t.score, -t.id), default=None)


def standard_error(folds: Iterable[float]) -> float:
    """Standard error of the mean of fold scores; NaN for fewer than two."""
    values = np.array(list(folds), dtype=float)
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


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


def axes_of(ax: Axes | None, size: tuple[float, float]) -> tuple[Axes, Figure]:
    """``ax`` with its figure, or axes on a new figure that no window shows."""
    if ax is None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        return figure.add_subplot(), figure
    return ax, cast("Figure", ax.get_figure())


def legend_above(ax: Axes) -> None:
    """A legend that hides nothing, above the axes."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize="small",
        borderaxespad=0.2,
    )


def short(text: object) -> str:
    """One line of a user's text, drawn as it is: matplotlib would read $ as mathematics."""
    line = " ".join(str(text).split())
    line = line if len(line) <= _LABEL_LENGTH else line[: _LABEL_LENGTH - 1] + "…"
    return line.replace("$", r"\$")
