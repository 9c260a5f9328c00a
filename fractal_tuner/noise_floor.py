"""A landscape whose cells were trained with several seeds, beside the noise of its own repeats.

A picture of scores shows the landscape and the luck of the seeds alike, and smoothing makes hills
of both. Half of the repeats minus the other half, scaled to the noise of a mean, is luck alone: no
landscape is left in it, whatever the noise is like in each cell. What a picture of the scores shows
must be larger than what the same picture of that luck shows, or come back with other seeds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from textwrap import fill
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import stats
from scipy.ndimage import uniform_filter

from fractal_tuner import words
from fractal_tuner.analysis.boxcount import contour_dimension
from fractal_tuner.analysis.boxfit import BoxDimension
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.local import gradient_magnitude, local_complexity
from fractal_tuner.analysis.lookalikes import LogLogLine, steep_cell_counts
from fractal_tuner.analysis.rivals import indistinguishable
from fractal_tuner.analysis.roughness import Roughness, roughness
from fractal_tuner.analysis.shifts import map_correlation
from fractal_tuner.landscape import Landscape
from fractal_tuner.trials import Trial, TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHUFFLES = 200
_NORMAL = 1.96
_CONSTANT = 1e-9  # relative spread that rounding alone can cause


def map_repeats(
    train: Callable[..., float],
    space: Mapping[str, Any],
    *,
    points_per_dim: int,
    repeats: int,
    journal: str | os.PathLike[str] | None = None,
    fingerprint: Mapping[str, Any] | None = None,
) -> TrialLog:
    """The trials of a full grid; the folds of each are its scores with several seeds.

    Parameters
    ----------
    train : callable
        ``train(seed, **params)`` returns the score, larger is better. No two calls have one seed.
    space : mapping
    points_per_dim, repeats : int
    journal : path, optional
        File that keeps the trials; after a crash the same call trains only those that miss.
    fingerprint : mapping, optional
        What else the scores depend on; a journal with another one is refused.

    Examples
    --------
    >>> from fractal_tuner import Real
    >>> trials = map_repeats(
    ...     lambda seed, x: x + seed, {"x": Real(0, 1)}, points_per_dim=2, repeats=2
    ... )
    >>> [(trial.score, trial.folds) for trial in trials]
    [(0.5, (0.0, 1.0)), (3.5, (3.0, 4.0))]
    """
    from fractal_tuner.progress import progress
    from fractal_tuner.search.factorial import FactorialZoom

    search = FactorialZoom(
        space,
        points_per_dim=points_per_dim,
        levels=1,
        journal=journal,
        fingerprint={"repeats": repeats, **(fingerprint or {})},
    )

    def asked() -> Iterator[Trial]:
        while batch := search.ask():
            yield from batch

    with search:
        left = points_per_dim ** len(search.space) - len(search.trials.told)
        for trial in progress(asked(), "training", left):
            seeds = range(repeats * trial.id, repeats * (trial.id + 1))
            scores = [float(train(seed, **trial.params)) for seed in seeds]
            search.tell(trial.id, float(np.mean(scores)), folds=scores)
    return search.trials


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """What a repeated map shows, and what its noise alone would show.

    Attributes
    ----------
    trials : TrialLog
        On a full grid over two axes, with the repeats of each as its folds.
    landscape : Landscape
        Means of the repeats; knows their noise.
    repeats : np.ndarray
        Scores of the repeats, shape (*grid, k).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def train(seed, x, y):
    ...     return x + 0.1 * rng.standard_normal()
    >>> from fractal_tuner import Real
    >>> space = {"x": Real(0, 1), "y": Real(0, 1)}
    >>> found = NoiseFloor.of(map_repeats(train, space, points_per_dim=8, repeats=4))
    >>> round(float(found.landscape.scores.std()), 2), round(float(found.noise.scores.std()), 2)
    (0.33, 0.05)
    """

    trials: TrialLog
    landscape: Landscape
    repeats: np.ndarray

    @classmethod
    def of(cls, trials: TrialLog) -> Self:
        """Of the trials of :func:`map_repeats`; ValueError unless each has the same repeats."""
        told = trials.told
        k = {len(trial.folds) for trial in told}
        if len(k) != 1 or min(k) < 2:
            raise ValueError(f"all trials must have as many folds, at least 2, got {sorted(k)}")
        variance = np.array([np.var(trial.folds, ddof=1) for trial in told])
        # Of seeds of their own, unlike splits of the same data, all of the scatter is noise.
        noise = float(np.nanmean(variance)) / min(k)
        landscape = Landscape.from_trials(trials, noise_variance=noise)
        if landscape.lines is None or len(landscape.lines) != 2:
            raise ValueError(f"trials must be a grid over two axes, got {landscape!r}")
        repeats = np.full((*landscape.scores.shape, min(k)), np.nan)
        for trial in told:
            u = trials.space.unit(trial.key)
            at = (np.abs(line - x).argmin() for line, x in zip(landscape.lines, u, strict=True))
            repeats[tuple(at)] = trial.folds
        return cls(trials, landscape, repeats)

    @cached_property
    def noise(self) -> Landscape:
        """Noise alone, as large as that of the means; its mean is 0."""
        return self._luck(self.repeats)

    def shuffled(self, rng: np.random.Generator) -> Landscape:
        """Noise alone, of another choice of halves in each cell."""
        return self._luck(rng.permuted(self.repeats, axis=-1))

    def _luck(self, repeats: np.ndarray) -> Landscape:
        k = repeats.shape[-1]
        half = k // 2
        weights = np.repeat([1 / half, -1 / (k - half)], [half, k - half])
        weights /= np.linalg.norm(weights) * math.sqrt(k)
        return self.landscape.with_scores(repeats @ weights)

    @cached_property
    def halves(self) -> tuple[Landscape, Landscape]:
        """Means of the first and of the other half of the repeats."""
        half = self.repeats.shape[-1] // 2
        first, other = self.repeats[..., :half].mean(-1), self.repeats[..., half:].mean(-1)
        return self.landscape.with_scores(first), self.landscape.with_scores(other)

    @cached_property
    def training_sd(self) -> Estimate:
        """Standard deviation of the noise in one training; the interval holds if cells differ."""
        cells = self.repeats.var(-1, ddof=1).ravel()
        cells = cells[np.isfinite(cells)]
        n, mean = len(cells), float(cells.mean())
        half = float(stats.t.ppf(0.975, n - 1) * cells.std(ddof=1)) / math.sqrt(n)
        low, high = max(0.0, mean - half), mean + half
        return Estimate(math.sqrt(mean), math.sqrt(low), math.sqrt(high), n)

    @cached_property
    def roughness(self) -> Roughness:
        """Of the landscape, with the noise known."""
        return roughness(self.landscape)

    def smoothed(self, landscape: Landscape) -> Landscape:
        """Smoothed over one cell, as pictures often are."""
        return landscape.smoothed(self._cell, at=self._lines)

    def steepness(self, landscape: Landscape) -> Landscape:
        """Length of the gradient of what is smoothed over one cell."""
        found = gradient_magnitude(landscape, bandwidth=self._cell, at=self._lines)
        return found.map or landscape.with_scores(np.full_like(landscape.scores, np.nan))

    def complexity(self, landscape: Landscape) -> Landscape:
        """Spread around local planes, the noise included."""
        found = local_complexity(replace(landscape, noise_variance=None), at=self._lines)
        return found.map or landscape.with_scores(np.full_like(landscape.scores, np.nan))

    @property
    def _cell(self) -> float:
        return 1.0 / (max(map(int, self.landscape.scores.shape)) - 1)

    @property
    def _lines(self) -> int | None:
        """Where the grid's own lines are uneven, as those of integers may be, even ones."""
        return None if self.landscape.spacing else max(self.landscape.scores.shape)

    @cached_property
    def threshold(self) -> float:
        """The median score, where the level set is cut."""
        return float(np.nanmedian(self.landscape.scores))

    @cached_property
    def is_certain(self) -> np.ndarray:
        """Cells farther from the threshold than 1.96 standard errors of their mean, bool.

        The noise is that of the 3 x 3 cells around: in a landscape it need not be the same.
        """
        variance = self.repeats.var(-1, ddof=1) / self.repeats.shape[-1]
        known = np.where(np.isfinite(variance), variance, self.landscape.noise_variance)
        error = np.sqrt(uniform_filter(known, 3, mode="nearest"))
        return np.asarray(np.abs(self.landscape.scores - self.threshold) > _NORMAL * error)

    def summary(self, score_name: str = "score") -> str:
        """The findings in lines, each with its doubt."""
        z = self.landscape.scores
        k = self.repeats.shape[-1]
        one, mean_sd = self.training_sd, math.sqrt(self.landscape.noise_variance or 0.0)
        usual = float(np.nanmedian(self.repeats.std(-1, ddof=1)))
        share = mean_sd**2 / float(np.nanvar(z, ddof=1))
        rows = [
            (
                score_name,
                f"{np.nanmin(z):.3f} to {np.nanmax(z):.3f}, means of {k} trainings in each of "
                f"{z.size} cells",
            ),
            (
                "noise",
                f"one training scatters by {_said(one, 4)}, a mean by {mean_sd:.4f}: "
                f"{words.share(share)} of the variance between cells; in half of the cells a "
                f"training scatters by less than {usual:.4f}",
            ),
            ("best", self._best()),
            ("roughness", self._rough()),
            ("steepness", self._steep()),
            ("complexity", f"{_said(local_complexity(self.landscape), 4)} beyond the noise"),
            (f"  and {score_name}", self._goes_along()),
            ("two sets of seeds", "the picture of one correlates with that of the other:"),
            ("  steepness", _correlated(*map(self.steepness, self.halves))),
            ("  complexity", _correlated(*map(self.complexity, self.halves))),
            ("level set", self._level()),
            ("  its boundary", _said(self._boundary(), 2)),
        ]
        if np.isfinite(z).all():
            rows.append(("steep cells", self._recipe()))
        room = " " * 19
        return "\n".join(
            fill(
                text,
                98,
                initial_indent=f"{name:19}",
                subsequent_indent=room,
                break_on_hyphens=False,
            )
            for name, text in rows
        )

    def _best(self) -> str:
        found = indistinguishable(self.trials, test_ratio=0.0)  # seeds are independent
        if found.best is None:
            return "none"
        return (
            f"{words.params(found.best.params)}: {found.best.score:.3f}; "
            f"{len(found.trials)} of {words.count(len(self.trials), 'cell')} may be the best"
        )

    def _rough(self) -> str:
        found = self.roughness
        if found.reason is not None:
            return f"{found.verdict}: {found.reason}"
        return f"{found.verdict}, graph dimension {_said(found, 2)} between 2 and 3"

    def _steep(self) -> str:
        found = gradient_magnitude(self.landscape)
        if found.map is None:
            return _said(found, 3)
        clear = int((found.map.scores > 2 * found.standard_error).sum())
        return f"{_said(found, 3)} per range of an axis; clear of its noise in {clear} cells"

    def _goes_along(self) -> str:
        level = self.smoothed(self.landscape) if self._lines else self.landscape
        return _correlated(level, self.complexity(self.landscape), pearson=True)

    def _level(self) -> str:
        n = int(np.count_nonzero(~self.is_certain))
        return f"{n} of {self.is_certain.size} cells are too near the median to have a side"

    def _boundary(self) -> BoxDimension:
        error = math.sqrt(self.landscape.noise_variance or 0.0)
        return contour_dimension(self.landscape.scores, self.threshold, noise_sd=error)

    @cached_property
    def steep_cells_slope(self) -> tuple[float, float, float]:
        """The slides' dimension, and the 2.5 and 97.5 % quantiles of that of noise alone."""
        rng = np.random.default_rng(0)
        alone = [-self._steep_cells(self.shuffled(rng)).slope for _ in range(_SHUFFLES)]
        low, high = np.quantile(alone, [0.025, 0.975])
        return -self._steep_cells(self.landscape).slope, float(low), float(high)

    def _recipe(self) -> str:
        slope, low, high = self.steep_cells_slope
        return f"the slides' dimension is {slope:.2f}; of noise alone {low:.2f} to {high:.2f}"

    def _steep_cells(self, landscape: Landscape) -> LogLogLine:
        return steep_cell_counts(landscape.scores)

    def plot_maps(self, score_name: str = "score") -> Figure:
        """Scores, smoothed, their gradient and complexity; as measured, and of noise alone."""
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        from fractal_tuner.report.drawing import AMOUNTS, SCORES, short, styled
        from fractal_tuner.report.maps import Map

        middle = float(np.nanmean(self.landscape.scores))
        lifted = self.noise.with_scores(middle + self.noise.scores)  # in the colours above it
        columns: list[tuple[str, str, Callable[[Landscape], Landscape], str]] = [
            ("Measured", score_name, lambda shown: shown, SCORES),
            ("Smoothed", score_name, self.smoothed, SCORES),
            ("Gradient magnitude", f"{score_name} per range", self.steepness, AMOUNTS),
            ("Local complexity", f"spread of {score_name}", self.complexity, AMOUNTS),
        ]
        with styled(), rc_context({"font.size": 12}):
            figure = Figure(figsize=(14, 6.6), layout="constrained")
            axes = figure.subplots(2, 4)
            for j, (title, label, picture, colors) in enumerate(columns):
                both = [
                    Map.of(picture(shown), self.landscape) for shown in (self.landscape, lifted)
                ]
                values = np.concatenate([found.values.ravel() for found in both])
                low, high = np.nanmin(values), np.nanmax(values)
                ends = (low if colors == SCORES else 0.0, high)
                for i, found in enumerate(both):
                    ax = axes[i, j]
                    image = found.draw(ax, ends, colors)
                    for side, scale, name, limits in zip(
                        "xy", found.scales, self.landscape.names, found.limits, strict=True
                    ):
                        scale.label(ax, side, name, limits)
                        if (side, i) == ("x", 0) or (side == "y" and j > 0):
                            ax.set(**{f"{side}label": ""})
                    if ax.get_xscale() == "linear":
                        ax.locator_params(axis="x", nbins=5)
                bar = figure.colorbar(image, ax=axes[:, j], location="bottom", aspect=18, pad=0.02)
                bar.set_label(short(label, 30))
                bar.ax.xaxis.set_major_locator(MaxNLocator(3))
                axes[0, j].set_title(title)
            k = self.repeats.shape[-1]
            for ax, text in zip(axes[:, 0], (f"mean of {k} seeds", "noise alone"), strict=True):
                ax.set_ylabel(f"{text}\n\n{short(self.landscape.names[1])}")
        return figure

    def plot_sets(self, score_name: str = "score") -> Figure:
        """The level set, the slides' count of steep cells, and the variogram."""
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        from fractal_tuner.report.drawing import styled
        from fractal_tuner.report.maps import Map
        from fractal_tuner.report.variogram import RoughnessDisplay

        with styled(), rc_context({"font.size": 12, "legend.fontsize": 11}):
            figure = Figure(figsize=(14, 4.6), layout="constrained")
            left, middle, right = figure.subplots(1, 3)
            above = self.landscape.with_scores(self.landscape.scores > self.threshold)
            shown = Map.of(above, self.landscape)
            shown = replace(shown, known=self.is_certain)
            shown.draw(left, (-1.0, 2.0), "Greys_r")
            for side, scale, name, limits in zip(
                "xy", shown.scales, self.landscape.names, shown.limits, strict=True
            ):
                scale.label(left, side, name, limits)
            left.set_title(f"Bright: {score_name} above its median\nhatched: within its noise")

            self._draw_steep_cells(middle)
            RoughnessDisplay(self.landscape, self.roughness).plot(right)
            right.set_title("", loc="right")  # the room of a legend above
            right.set_title(f"The variogram of the means\nverdict: {self.roughness.verdict}")
            right.legend(frameon=False, loc="upper left")
        return figure

    def _draw_steep_cells(self, ax: Axes) -> None:
        from fractal_tuner.report.drawing import COLOR, SECOND, log_ticks, say_instead

        if not np.isfinite(self.landscape.scores).all():
            say_instead(ax, "the slides' count needs all cells, and some failed")
            return
        rng = np.random.default_rng(0)
        for i in range(20):
            line = self._steep_cells(self.shuffled(rng))
            label = "noise alone, 20 times" if i == 0 else None
            ax.loglog(line.x, line.y, color=SECOND, alpha=0.35, label=label)
        line = self._steep_cells(self.landscape)
        ax.loglog(line.x, line.y, "o-", color=COLOR, label="measured")
        log_ticks(ax.yaxis, line.y.min(), line.y.max())
        ax.set_xticks(line.x, [f"{side:g}" for side in line.x])
        ax.minorticks_off()
        ax.set(xlabel="side of a box, in cells", ylabel="boxes with a steep cell")
        slope, low, high = self.steep_cells_slope
        noise = f"noise alone {low:.2f} to {high:.2f}"
        ax.set_title(f"The slides' count of steep cells\nD = {slope:.2f}, {noise}")
        ax.legend(frameon=False)


def _said(found: Estimate, digits: int) -> str:
    """An estimate with its interval, or why there is none."""
    if found.reason is not None:
        return f"not estimated, {found.reason}"
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _correlated(one: Landscape, other: Landscape, *, pearson: bool = False) -> str:
    """How two maps correlate, with a p-value that knows that neighbours are alike, if any."""
    both = np.isfinite(one.scores) & np.isfinite(other.scores)
    a, b = one.scores[both], other.scores[both]
    if any(z.std() <= _CONSTANT * np.abs(z).max() for z in (a, b)):
        return "not estimated, a map is constant"
    plain = stats.pearsonr(a, b)
    found = map_correlation(one, other)
    text = f"r = {plain.statistic:.2f}"
    if found.reason is None:
        text += f" ({found.low:.2f} to {found.high:.2f}), p = {found.p_value:.2f}"
    else:
        text += f", no p-value: {found.reason}"
    return text + (f" (of independent cells: {plain.pvalue:.2g})" if pearson else "")
