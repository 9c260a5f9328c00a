"""BoxCountingDisplay: box counts, the fitted line, and the dimension that is its slope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.display import Display, marked_of, two_dimensions
from fractal_tuner.report.drawing import (
    COLOR,
    DOTS,
    SECOND,
    legend_above,
    log_ticks,
    say_instead,
    short,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fractal_tuner.analysis.boxfit import BoxDimension

Of = Literal["contour", "failures"]


class BoxCountingDisplay(Display):
    """How many boxes of each size meet a set, and the box-counting dimension.

    The line has the slope of the estimate, the band the slopes of its interval, around the middle
    of the counts; a dotted line has the slope of a smooth boundary. The dimension is corrected for
    edges and cells, and the points may bend away from its line. Where there is no estimate its
    reason is drawn.

    Make one with :meth:`from_search`, :meth:`from_record`, :meth:`from_trials`, or of a result.

    Parameters
    ----------
    found : BoxDimension
        See :func:`fractal_tuner.box_dimension` and those for boundaries.
    of : str, default="set"
        What was counted, in words.
    smooth : float or None, default=None
        Dimension of a smooth set of its kind, for comparison: 1 for a curve.

    Attributes
    ----------
    sizes, counts : ndarray of float, shape (n_sizes,)
        Sides of the boxes and how many met the set; empty if none were counted.
    line, low_line, high_line : ndarray of float, shape (n_sizes,)
        Counts on the fitted line, and on those with the slopes of the interval's ends.

    Examples
    --------
    >>> from fractal_tuner import boundary_dimension
    >>> x = np.linspace(-1, 1, 100)
    >>> found = boundary_dimension(np.hypot(x[:, None], x) < 0.7)
    >>> display = BoxCountingDisplay(found, of="a circle", smooth=1.0)
    >>> display.description[:53]
    'The box-counting dimension of a circle is 1.0 (1.0 to'
    """

    size = (6.4, 4.4)

    def __init__(
        self, found: BoxDimension, *, of: str = "set", smooth: float | None = None
    ) -> None:
        self.found, self.of, self.smooth = found, of, smooth
        self.title = f"Box counting of {of}"
        empty = np.empty(0)
        counts = found.counts
        self.sizes = empty if counts is None else np.asarray(counts.sizes, dtype=float)
        self.counts = empty if counts is None else np.asarray(counts.counts, dtype=float)
        self._middle = np.log(self.sizes).mean() if len(self.sizes) else math.nan
        self.line, self.low_line, self.high_line = (
            self._line(slope) for slope in (found.value, found.low, found.high)
        )
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        *,
        best: int | None = None,
        score_name: str = "score",
        dims: Sequence[str] | None = None,
        of: Of = "contour",
        threshold: float | None = None,
    ) -> Self:
        """The display of a boundary in trials on a grid.

        Parameters
        ----------
        trials : TrialLog
        best : int, optional
            Id of the best trial: its dimensions are looked at.
        score_name : str, default="score"
            What the scores are called.
        dims : sequence of str, optional
            Dimensions of the grid; by default the first two with a scale that the best trial uses.
        of : {"contour", "failures"}, default="contour"
            The boundary between scores above and below a threshold, or around failed trials.
        threshold : float, optional
            Of the contour; by default the median score.

        Raises
        ------
        ValueError
            If ``of`` is neither, or a dimension is unknown or categorical.
        """
        from fractal_tuner.analysis.boxcount import contour_dimension, failure_dimension
        from fractal_tuner.analysis.boxfit import BoxDimension
        from fractal_tuner.landscape import Landscape

        if of not in ("contour", "failures"):
            raise ValueError(f"of must be 'contour' or 'failures', got {of!r}")
        told = [t for t in trials if t.status != "running"]
        names = dims or two_dimensions(trials.space, marked_of(told, best), scaled=True)
        scores = [t.score for t in told if t.status == "complete"]
        if of == "failures":
            what = "the edge of the failures"
        elif scores:
            threshold = float(np.median(scores)) if threshold is None else threshold
            what = f"the contour {words.clean(score_name)} = {words.number(threshold)}"
        else:
            what = "a contour"
        reason = None if scores and names else "no trial has a score"
        reason = reason if names else "no dimension has a scale"
        landscape = None if reason else Landscape.from_trials(trials, names)
        if landscape is not None and landscape.is_grid and min(landscape.scores.shape) < 2:
            reason = "the trials lie on a line"
        if reason is not None or landscape is None:
            nothing = BoxDimension(math.nan, math.nan, math.nan, len(scores), reason=reason)
            return cls(nothing, of=what)
        found = (
            failure_dimension(landscape)
            if of == "failures" or threshold is None
            else contour_dimension(landscape, threshold)
        )
        return cls(found, of=what, smooth=landscape.n_dims - 1.0)

    def table(self) -> list[dict[str, Any]]:
        """Sizes, counts, and counts on the line."""
        return [
            {"size": float(s), "count": float(n), "line": None if math.isnan(at) else float(at)}
            for s, n, at in zip(self.sizes, self.counts, self.line, strict=True)
        ]

    def _line(self, slope: float) -> np.ndarray:
        """Counts on a line through the middle of the points; NaN without a slope."""
        if not len(self.sizes):
            return np.empty(0)
        height = float(np.log(self.counts).mean())
        return np.asarray(np.exp(height - slope * (np.log(self.sizes) - self._middle)))

    def _describe(self) -> str:
        found = self.found
        if found.reason is not None:
            return f"The box-counting dimension of {self.of} cannot be estimated: {found.reason}."
        text = (
            f"The box-counting dimension of {self.of} is {found.value:.1f} "
            f"({found.low:.1f} to {found.high:.1f}), from {words.count(len(self.sizes), 'size')} "
            f"of boxes between {words.number(float(self.sizes.min()))} and "
            f"{words.number(float(self.sizes.max()))}"
        )
        if self.smooth is not None:
            text += f"; a smooth one has {self.smooth:g}"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        found = self.found
        if not len(self.sizes):
            say_instead(ax, f"not estimable: {found.reason or 'nothing was counted'}")
            return
        ax.set(xscale="log", yscale="log")
        ax.plot(self.sizes, self.counts, **DOTS | {"markersize": 7}, label="counts", zorder=4)
        if found.reason is None:
            value = f"D = {found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
            ax.plot(self.sizes, self.line, color=COLOR, linewidth=1.8, label=value)
            low, high = self.low_line, self.high_line
            ax.fill_between(
                self.sizes, np.minimum(low, high), np.maximum(low, high), color=COLOR, alpha=0.18
            )
        if self.smooth is not None:
            style: dict[str, Any] = {"color": SECOND, "linestyle": ":", "linewidth": 1.6}
            line = self._line(self.smooth)
            ax.plot(self.sizes, line, label=f"smooth: {self.smooth:g}", **style)
        whole = bool(np.all(self.sizes == np.round(self.sizes)))
        ax.set_xlabel("side of a box" + (" (cells of the grid)" if whole else ""))
        ax.set_ylabel("boxes that meet the set")
        log_ticks(ax.xaxis, self.sizes.min(), self.sizes.max())
        log_ticks(ax.yaxis, self.counts.min(), self.counts.max())
        ax.grid(which="major")
        note = "" if found.reason is None else f"not estimable: {short(found.reason, 70)}"
        legend_above(ax, note, n_columns=3)
