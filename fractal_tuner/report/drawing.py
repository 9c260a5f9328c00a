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


def trials_of(search: Any) -> tuple[TrialLog, int | None]:
    """The trials of a search of any kind, and the id of its best; None leaves it to the scores.

    Raises
    ------
    TypeError
        If ``search`` has no trials, for instance because it is not fitted.
    """
    inner = getattr(getattr(search, "oracle", search), "search", search)  # of a Keras tuner
    logs = [getattr(search, "trials_", None), getattr(inner, "trials", None)]
    log = next((log for log in logs if isinstance(log, TrialLog)), None)
    if log is None:
        kind = type(search).__name__
        raise TypeError(f"this {kind} has no trials to draw; an estimator must be fitted first")
    chosen = getattr(search, "best_params_", None)  # by refit, perhaps not for its score
    if chosen is not None:  # the trial's own; the rows of cv_results_ may stand in another order
        return log, next((t.id for t in log if t.params is chosen), None)
    try:  # where scores are noisy, the best is not the highest score
        best: Trial | None = getattr(search, "best_trial", None)
    except RuntimeError:
        best = None
    return log, None if best is None else best.id


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
        bbox_to_anchor=(0.06, 1.0),  # beside a common factor of the ticks
        ncols=2,
        frameon=False,
        fontsize="small",
        borderaxespad=0.2,
    )


def say(ax: Axes, text: str) -> None:
    """Words in the middle of axes that would be empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="#555555")


def short(text: object) -> str:
    """One line of a user's text, drawn as it is: matplotlib would read $ as mathematics."""
    line = " ".join(str(text).split())
    line = line if len(line) <= _LABEL_LENGTH else line[: _LABEL_LENGTH - 1] + "…"
    return line.replace("$", r"\$")
