"""RoughnessDisplay: the variogram of the scores, with the fitted field and its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.landscape import Landscape
from fractal_tuner.report.display import Display, marked_of, two_dimensions
from fractal_tuner.report.drawing import (
    BACKGROUND,
    COLOR,
    SECOND,
    legend_above,
    log_ticks,
    rows_of,
    say_instead,
    short,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fractal_tuner.analysis.roughness import Roughness

_LARGEST = 1e150  # beyond it squares overflow
_MOST_SCORES = 800  # of which pairs are formed
_BINS = 15
_LEAST_PAIRS = 20  # in a bin


class RoughnessDisplay(Display):
    """Half the mean squared difference of scores against their distance: the variogram.

    Where it leaves the noise with a slope of 2 on these logarithmic axes, the landscape is smooth;
    the flatter, the rougher: the slope is twice the Hurst exponent H, and the graph's dimension is
    d + 1 - H. The line is ``noise + c h^(2H)`` with the estimated H and noise; its height c is
    chosen to fit the points at smaller distances. It is fitted to the scores and not to the points,
    which weigh the pairs of a search that gathers around its optimum otherwise.

    Make one with :meth:`from_search`, :meth:`from_record`, :meth:`from_trials`, or of results.

    Parameters
    ----------
    landscape : Landscape
        Axes that were stretched for the estimate are stretched for the distances.
    found : Roughness
        See :func:`fractal_tuner.roughness`.

    Attributes
    ----------
    lag, value : ndarray of float, shape (n_bins,)
        Mean distance of the pairs in a bin, in ranges of the axes, and half their mean squared
        difference.
    pairs : ndarray of int, shape (n_bins,)
        How many pairs there are.
    model : ndarray of float, shape (n_bins,)
        The fitted variogram; NaN where there is none.
    noise : float
        Variance of the noise in a score, as estimated with the roughness, or else as it is known;
        NaN if neither.

    Examples
    --------
    >>> from fractal_tuner import roughness
    >>> u = np.random.default_rng(0).random((80, 2))
    >>> bump = Landscape.from_points(u, np.exp(-4 * ((u - 0.4) ** 2).sum(1)))
    >>> display = RoughnessDisplay(bump, roughness(bump))
    >>> bool(np.all(np.diff(display.value[:5]) > 0)), display.found.verdict
    (True, 'smooth')
    """

    title = "Roughness: the variogram of the scores"
    size = (6.4, 4.4)

    def __init__(self, landscape: Landscape | None, found: Roughness) -> None:
        self.found = found
        places, scores = (np.empty((0, 1)), np.empty(0)) if landscape is None else landscape.known
        if np.abs(scores).max(initial=0.0) > _LARGEST:
            places, scores = places[:0], scores[:0]
        variance = float(np.var(scores)) if len(scores) else math.nan
        if found.plane and len(scores):
            scores = scores - places @ np.array(found.plane)
        if len(found.factors) == places.shape[1]:
            places = places * np.array(found.factors)
        self.lag, self.value, self.pairs = _variogram(places, scores)
        self.noise = math.nan
        if found.reason is None and found.noise.reason is None:
            self.noise = found.noise.value * variance
        elif landscape is not None and landscape.noise_variance is not None:
            self.noise = landscape.noise_variance
        self.model = self._fitted()
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
        best : int, optional
            Id of the best trial: its dimensions are looked at.
        score_name : str, default="score"
            Not used.
        dims : sequence of str, optional
            Dimensions with a scale; by default the first two of them that the best trial uses.

        Raises
        ------
        ValueError
            If a dimension is unknown or categorical.
        """
        from fractal_tuner.analysis.roughness import Roughness, roughness

        told = [t for t in trials if t.status != "running"]
        names = dims or two_dimensions(trials.space, marked_of(told, best), scaled=True)
        if not told or not names:
            why = "no dimension has a scale" if told else "no trials yet"
            return cls(None, Roughness(math.nan, math.nan, math.nan, 0, reason=why))
        landscape = Landscape.from_trials(trials, names)
        return cls(landscape, roughness(landscape))

    def table(self) -> list[dict[str, Any]]:
        """Distances, the variogram, the fitted one, and how many pairs there are."""
        return rows_of(
            {
                "distance": self.lag,
                "variogram": self.value,
                "fitted": self.model,
                "pairs": self.pairs,
            }
        )

    def _fitted(self) -> np.ndarray:
        """The variogram of the fitted field at the lags."""
        nothing = np.full(self.lag.shape, math.nan)
        if self.found.reason is not None or not len(self.lag):
            return nothing
        noise = self.noise if math.isfinite(self.noise) else 0.0
        shape = self.lag ** (2.0 * min(self.found.hurst, 1.0))
        near = self.lag <= np.median(self.lag)
        rise = np.maximum(self.value[near] - noise, 0.0) / shape[near]
        height = float(np.average(rise, weights=self.pairs[near]))
        return np.asarray(noise + height * shape)

    def _describe(self) -> str:
        found = self.found
        n = words.count(found.n, "trial")
        if found.reason is not None:
            if found.verdict in ("noise", "constant"):
                return f"The verdict is {found.verdict}: {found.reason} ({n})."
            return f"The roughness of the scores cannot be told: {found.reason} ({n})."
        text = (
            f"The landscape reads {found.verdict}: graph dimension {found.value:.2f} "
            f"({found.low:.2f} to {found.high:.2f}) between {found.n_dims} (smooth) and "
            f"{found.n_dims + 1}, Hurst exponent {found.hurst:.2f}, from {n}"
        )
        if found.plane:
            text += ", once the plane that hides it is taken away"
        if math.isfinite(self.noise):
            text += f"; noise of standard deviation {words.number(math.sqrt(self.noise), 2)}"
        if math.isfinite(found.explored) and found.explored < 0.95:
            text += f". It describes the {words.share(found.explored)} of the space explored"
        return text + "."

    def _draw(self, ax: Axes) -> None:
        found = self.found
        drawn = self.value > 0
        if drawn.sum() < 2:
            say_instead(ax, f"no roughness: {found.reason or 'too few pairs of scores'}")
            return
        ax.set(xscale="log", yscale="log")
        dots: dict[str, Any] = {"markerfacecolor": BACKGROUND, "markeredgecolor": COLOR}
        ax.plot(self.lag[drawn], self.value[drawn], "o", label="pairs of trials", **dots)
        low = self.value[drawn].min()
        shown = self.model <= 1.5 * self.value.max()  # the field holds for small distances
        if shown.any():
            name = f"D = {found.value:.2f} ({found.low:.2f} to {found.high:.2f}), {found.verdict}"
            ax.plot(self.lag[shown], self.model[shown], color=COLOR, linewidth=1.8, label=name)
        if self.noise > 0:
            low = min(low, self.noise)
            style: dict[str, Any] = {"color": SECOND, "linestyle": "--", "linewidth": 1.5}
            ax.axhline(self.noise, label="noise", **style)
        ax.set_ylim(low / 2, self.value.max() * 2.5)
        for axis, ends in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            log_ticks(axis, *ends)
        ax.set_xlabel("distance (1: the range of an axis)")
        ax.set_ylabel("half the mean squared difference")
        ax.grid()
        note = "" if found.reason is None else f"{found.verdict}: {found.reason}"
        legend_above(ax, short(note, 90), n_columns=3)


def _variogram(places: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, ...]:
    """Bins of equally many steps in log distance: mean distance, half mean square, pairs."""
    if len(scores) > _MOST_SCORES:
        rows = np.random.default_rng(0).choice(len(scores), _MOST_SCORES, replace=False)
        places, scores = places[np.sort(rows)], scores[np.sort(rows)]
    nothing = np.empty(0), np.empty(0), np.empty(0, dtype=int)
    if len(scores) < 3:
        return nothing
    from scipy.spatial.distance import pdist

    distance = pdist(places)
    half = 0.5 * pdist(scores[:, None], "sqeuclidean")
    apart = distance > 0
    distance, half = distance[apart], half[apart]
    if len(distance) < _LEAST_PAIRS:
        return nothing
    least = float(np.quantile(distance, 0.005))
    edges = np.geomspace(least, float(distance.max()) * (1 + 1e-9), _BINS + 1)
    if not edges[0] < edges[-1]:
        return nothing
    which = np.digitize(distance, edges) - 1
    which = np.clip(which, 0, _BINS - 1)
    pairs = np.bincount(which, minlength=_BINS)
    kept = pairs >= _LEAST_PAIRS
    sums = [np.bincount(which, weights=values, minlength=_BINS) for values in (distance, half)]
    lag, value = (total[kept] / pairs[kept] for total in sums)
    return lag, value, pairs[kept]
