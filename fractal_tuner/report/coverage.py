"""CoverageDisplay: which parts of the space were tried, and the largest that was not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.display import Display, Told
from fractal_tuner.report.drawing import (
    BACKGROUND,
    FOREGROUND,
    legend_above,
    say_instead,
    short,
)
from fractal_tuner.report.scales import Scale
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PARTS = 10  # of a dimension with more values
_N_POINTS = 2048
_MOST_DIMS = 20
_DARK = 0.77  # share of the largest count, beyond which light numbers are read best


class CoverageDisplay(Display):
    """How many trials each part of each dimension has, and the largest part of space without any.

    A dimension is divided into ten equal parts of its search scale, or into its values if they are
    few. Parts without a trial are hatched. The largest empty box is a cube in unit coordinates
    around the one of 2048 Sobol points that is farthest from all trials, over the dimensions that
    have a scale and are always active: it is not the largest there is, but nearly.

    Make one with :meth:`from_search`, :meth:`from_record` or :meth:`from_trials`.

    Attributes
    ----------
    dims : tuple of str
    counts : list of ndarray of int
        Trials in each part of each dimension.
    parts : list of list of str
        What each part is.
    n_inactive : list of int
        Trials in which each dimension is inactive.
    hole : dict of str to (object, object)
        Ends of the empty box along each dimension; empty if none was looked for.
    hole_share : float
        Share of the space in that box, of the dimensions looked at; NaN without one.

    Examples
    --------
    >>> from fractal_tuner import FactorialZoom, Real
    >>> search = FactorialZoom({"x": Real(0, 1)}, points_per_dim=3, levels=1)
    >>> _ = search.run(lambda x: x)
    >>> display = CoverageDisplay.from_search(search)
    >>> display.counts[0].tolist(), round(display.hole_share, 1)
    ([1, 0, 0, 0, 0, 1, 0, 0, 0, 1], 0.5)
    """

    title = "What was tried"

    def __init__(self, told: Told, *, n_dims: int | None = None) -> None:
        self.dims, self._scales = told.names, told.scales
        self.n_trials = len(told.trial)
        self.n_dims = len(self.dims) if n_dims is None else n_dims
        edges = [_edges(scale) for scale in told.scales]
        active = [u[~np.isnan(u)] for u in told.unit.T]
        self.counts = [np.histogram(u, bins=e)[0] for u, e in zip(active, edges, strict=True)]
        self.parts = [_names(scale, e) for scale, e in zip(told.scales, edges, strict=True)]
        self.n_inactive = [int(np.isnan(u).sum()) for u in told.unit.T]
        self.hole, self.hole_share = _hole(told)
        self.size = (7.4, 1.3 + (0.5 if len(self.dims) <= 8 else 0.4) * max(len(self.dims), 2))
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        *,
        best: int | None = None,
        score_name: str = "score",
        dims: Sequence[str] | None = None,
    ) -> Self:
        """The display of trials; running ones are left out.

        Parameters
        ----------
        trials : TrialLog
        best, score_name
            Not used: all trials count alike.
        dims : sequence of str, optional
            Dimensions to show; by default the first 20 that have more than one value.

        Raises
        ------
        ValueError
            If ``dims`` are not different names of the space.
        """
        told, n_dims = Told.of_most(trials, dims, _MOST_DIMS, best=best)
        return cls(told, n_dims=n_dims)

    def table(self) -> list[dict[str, Any]]:
        """Trials in each part of each dimension."""
        return [
            {"dimension": name, "part": part, "trials": int(count)}
            for name, parts, counts in zip(self.dims, self.parts, self.counts, strict=True)
            for part, count in zip(parts, counts, strict=True)
        ][:300]

    def _describe(self) -> str:
        if not self.n_trials:
            return "There are no trials."
        empty = [
            f"{words.clean(name)} {int((counts == 0).sum())} of {len(counts)}"
            for name, counts in zip(self.dims, self.counts, strict=True)
            if (counts == 0).any()
        ]
        text = f"{words.count(self.n_trials, 'trial')}; parts without a trial: "
        text += words.listing(empty[:8]) if empty else "none"
        if len(empty) > 8:
            text += f", and of {words.count(len(empty) - 8, 'more dimension')}"
        if self.hole:
            ends = [
                f"{words.clean(name)} {words.value(low)} to {words.value(high)}"
                for name, (low, high) in list(self.hole.items())[:6]
            ]
            text += (
                f". The largest box without a trial that was found holds "
                f"{words.share(self.hole_share)} of the space: {words.listing(ends)}"
            )
        return text + "."

    def _draw(self, ax: Axes) -> None:
        from matplotlib.patches import Rectangle

        if not self.n_trials or not self.dims:
            say_instead(ax, "no dimension has two values" if self.n_trials else "no trials yet")
            return
        from matplotlib import colormaps

        colors = colormaps["Blues"]
        for j, (counts, scale) in enumerate(zip(self.counts, self._scales, strict=True)):
            edges = np.linspace(0.0, 1.0, len(counts) + 1)
            most = max(int(counts.max()), 1)
            for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
                style: dict[str, Any] = {"edgecolor": FOREGROUND, "linewidth": 0.5}
                if count:
                    style["facecolor"] = colors(0.1 + 0.8 * count / most)
                else:
                    style |= {"facecolor": BACKGROUND, "hatch": "////"}
                ax.add_patch(Rectangle((left, j - 0.3), right - left, 0.6, **style))
                if count:
                    tone = "white" if count > _DARK * most else "black"
                    middle = (left + right) / 2
                    ax.text(middle, j, f"{count}", ha="center", va="center", size=7.5, color=tone)
            few = scale.kind == "category" or len(counts) < _PARTS
            texts = self.parts[j] if few else [scale.text(0.0), scale.text(1.0)]
            places = (edges[:-1] + edges[1:]) / 2 if few else np.array([0.0, 1.0])
            for place, text, side in zip(
                places, texts, ["center"] * len(texts) if few else ["left", "right"], strict=True
            ):
                ax.text(place, j + 0.32, short(text, 14), ha=side, va="top", size=7.5)
        ax.set_xlim(-0.01, 1.01)
        ax.set_ylim(len(self.dims) - 0.4, -0.5)
        names = [
            short(name) + (f"\n(inactive in {n})" if n else "")
            for name, n in zip(self.dims, self.n_inactive, strict=True)
        ]
        ax.set_yticks(range(len(names)), names)
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        note = "trials in each part; hatched: none"
        if self.n_dims > len(self.dims):
            note += f"; {len(self.dims)} of {self.n_dims} dimensions"
        if self.hole:
            note += f"\nlargest empty box found: {words.share(self.hole_share)} of the space"
        legend_above(ax, note)


def _edges(scale: Scale) -> np.ndarray:
    """Unit coordinates of the ends of the parts."""
    values = scale.few_units()
    if len(values) < 2:
        return np.linspace(0.0, 1.0, _PARTS + 1)
    middles = (np.array(values[1:]) + np.array(values[:-1])) / 2
    return np.concatenate([[-1e-9], middles, [1.0 + 1e-9]])


def _names(scale: Scale, edges: np.ndarray) -> list[str]:
    values = scale.few_units()
    if len(values) >= 2:
        return [scale.text(u, 40) for u in values]
    ends = [scale.text(float(u)) for u in edges]
    return [f"{low} to {high}" for low, high in itertools.pairwise(ends)]


def _hole(told: Told) -> tuple[dict[str, tuple[Any, Any]], float]:
    """The box around the place that is farthest from all trials, and its share of the space."""
    columns = [
        j
        for j, scale in enumerate(told.scales)
        if scale.kind != "category" and not np.isnan(told.unit[:, j]).any()
    ]
    if not columns or not len(told.trial):
        return {}, float("nan")
    from scipy.spatial import cKDTree
    from scipy.stats import qmc

    generator = np.random.default_rng(0)
    points = qmc.Sobol(len(columns), rng=generator).random(_N_POINTS)
    reach = np.asarray(cKDTree(told.unit[:, columns]).query(points, p=np.inf)[0])
    top = int(reach.argmax())
    low = np.maximum(points[top] - reach[top], 0.0)
    high = np.minimum(points[top] + reach[top], 1.0)
    ends = {
        told.names[j]: (told.scales[j].value(float(a)), told.scales[j].value(float(b)))
        for j, a, b in zip(columns, low, high, strict=True)
    }
    return ends, float(np.prod(high - low))
