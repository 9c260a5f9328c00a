"""Maps: values over one or two axes as pictures, with what is known told from what is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fractal_tuner.landscape import Landscape
from fractal_tuner.report.drawing import FOREGROUND, GRID
from fractal_tuner.report.scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_CELLS = 48  # of a map of scattered scores, along each axis
_RASTER = 256  # pixels of an uneven grid, along each axis
_SHORTEST, _FARTHEST = 0.03, 0.15  # that a trial reaches, in unit coordinates
_EMPTY, _INTERPOLATED = "xx", "//"  # dots would take 46 kB


@dataclass(frozen=True, eq=False)
class Map:
    """Values on a grid over one or two axes.

    Attributes
    ----------
    scales : tuple of Scale
    lines : tuple of ndarray
        Unit coordinates of the grid along each axis, increasing.
    values : ndarray of float
        Of the grid's shape; NaN where there is none, or no score is near to support one.
    known : ndarray of bool
        Of the same shape: where there is a score; for scattered scores, where one is near. Other
        values are interpolated.
    """

    scales: tuple[Scale, ...]
    lines: tuple[np.ndarray, ...]
    values: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, shown: Landscape, measured: Landscape) -> Map:
        """The map of a landscape on a grid, without what no measured score supports."""
        assert shown.lines is not None
        values = np.asarray(shown.scores)
        known, supported = _support(shown, measured)
        return cls(
            tuple(Scale(axis.dimension) for axis in shown.axes),
            shown.lines,
            np.where(supported, values, np.nan),
            known & np.isfinite(values),
        )

    @classmethod
    def smoothed(
        cls,
        landscape: Landscape,
        n_lines: int = _CELLS,
        bandwidth: ArrayLike | None = None,
        *,
        measured: Landscape | None = None,
    ) -> Map:
        """The map of smoothed scores, on the landscape's own grid or on one of ``n_lines``.

        As :meth:`fractal_tuner.Landscape.smoothed`, with its ``bandwidth``. Of ``measured`` are
        all scores that support the map, where ``landscape`` has some of them.

        A smoothed score is kept between the lowest and the highest score: beyond lies what a fitted
        plane makes up.

        Raises
        ------
        ValueError
            As :meth:`fractal_tuner.Landscape.smoothed`.
        """
        shown = landscape.smoothed(bandwidth, at=map_places(landscape, n_lines))
        scores = landscape.known[1]
        return cls.of(
            shown.with_scores(np.clip(shown.scores, scores.min(), scores.max())),
            measured or landscape,
        )

    @property
    def is_empty(self) -> np.ndarray:
        """Where there is no value."""
        return np.asarray(np.isnan(self.values))

    @property
    def limits(self) -> np.ndarray:
        """Unit coordinates of the outer edges of the cells and of the space, shape (n_axes, 2)."""
        steps = [_step(line) for line in self.lines]
        return np.array(
            [
                [min(line[0] - s / 2, 0.0), max(line[-1] + s / 2, 1.0)]
                for line, s in zip(self.lines, steps, strict=True)
            ]
        )

    def draw(self, ax: Axes, ends: tuple[float, float], colors: str, *, hatch: bool = True) -> Any:
        """Draw over two axes; crossed out where there is no value, hatched if interpolated.

        Returns the image, for a colour bar.
        """
        from matplotlib.image import AxesImage

        lines, values, known = self._even()
        for side, scale in zip("xy", self.scales, strict=True):
            if scale.kind == "log":
                ax.set(**{f"{side}scale": "log"})
        ax.set_autoscale_on(False)
        # Cells are even on the axes, logarithmic or not; imshow would have them even in the data.
        (left, right), (low, high) = (
            scale.stretch([line[0] - _step(line) / 2, line[-1] + _step(line) / 2])
            for scale, line in zip(self.scales, lines, strict=True)
        )
        image = AxesImage(
            ax,
            cmap=colors,
            origin="lower",
            extent=(left, right, low, high),
            interpolation="nearest",
            transform=ax.transLimits + ax.transAxes,
            zorder=0,
        )
        image.set_data(values.T)
        image.set_clim(*ends)
        image.set_clip_path(ax.patch)
        ax.add_image(image)
        empty = np.isnan(values)
        for part, pattern in ((empty, _EMPTY), (~known & ~empty, _INTERPOLATED)):
            if hatch and part.any():
                self._draw_hatch(ax, lines, part, pattern)
        return image

    def _draw_hatch(
        self, ax: Axes, lines: list[np.ndarray], part: np.ndarray, pattern: str
    ) -> None:
        """Draw a pattern on some cells, as one path of a rectangle for each run of them."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        x, y = (
            scale.place(np.append(line - _step(line) / 2, line[-1] + _step(line) / 2))
            for scale, line in zip(self.scales, lines, strict=True)
        )
        sides = np.diff(np.pad(part, ((1, 1), (0, 0))).astype(int), axis=0).T  # 1 begins a run
        row, first = np.nonzero(sides == 1)
        last = np.nonzero(sides == -1)[1]
        corners = [(x[first], y[row]), (x[last], y[row]), (x[last], y[row + 1])]
        corners += [(x[first], y[row + 1]), (x[first], y[row])]
        vertices = np.stack([np.column_stack(corner) for corner in corners], axis=1).reshape(-1, 2)
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(row)
        color = GRID if pattern == _EMPTY else FOREGROUND
        style: dict[str, Any] = {"facecolor": "none", "edgecolor": color, "linewidth": 0.0}
        ax.add_patch(PathPatch(Path(vertices, codes), hatch=pattern, zorder=1, **style))

    def _even(self) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """The same on evenly spaced lines."""
        lines, values, known = list(self.lines), self.values, self.known
        for j, line in enumerate(lines):
            steps = np.diff(line)
            if len(line) < 3 or np.allclose(steps, steps.mean(), rtol=1e-6, atol=0):
                continue
            even = np.linspace(line[0], line[-1], _RASTER)
            nearest = np.searchsorted((line[1:] + line[:-1]) / 2, even)
            values, known = np.take(values, nearest, j), np.take(known, nearest, j)
            lines[j] = even
        return lines, values, known


def map_places(landscape: Landscape, n_lines: int = _CELLS) -> int | None:
    """Where to fit a map: on the landscape's own grid, or on one for scattered scores."""
    return None if landscape.is_grid else n_lines


def _support(shown: Landscape, measured: Landscape) -> tuple[np.ndarray, np.ndarray]:
    """Where a map is known, and where it has a value that scores support.

    On the grid of the scores: the cells that have one, and these with all beside them. Elsewhere,
    both times: places that are not farther from the nearest score than that score is from the third
    to it (the second over one axis), where scores are as dense as around it; and 0.15 at most.
    Where they crowd, as around the best, they reach as far as those of an even grid of as many
    would have to. Between the values of an axis that has few there is nothing to be far from.
    """
    known = np.isfinite(measured.scores)
    if measured.is_grid and shown.scores.shape == measured.scores.shape:
        from scipy.ndimage import binary_dilation

        return known, binary_dilation(known, np.ones((3,) * known.ndim))
    from scipy.spatial import cKDTree

    places = np.unique(measured.known[0], axis=0)
    if not len(places):
        nowhere = np.zeros(shown.scores.shape, dtype=bool)
        return nowhere, nowhere
    tree = cKDTree(places)
    k = min(shown.n_dims + 1, len(places) - 1) + 1  # the first is the place itself
    beside = np.asarray(tree.query(places, k=[k])[0])[:, 0]
    distance, nearest = tree.query(shown.coordinates)
    step = max(Scale(axis.dimension).step for axis in shown.axes)
    evenly = 0.5 * math.sqrt(shown.n_dims) * len(places) ** (-1.0 / shown.n_dims)
    reach = np.clip(beside, max(_SHORTEST, evenly), _FARTHEST).clip(0.6 * step)
    near = (distance <= reach[nearest]).reshape(shown.scores.shape)
    return near, near


def _step(line: np.ndarray) -> float:
    return float(line[-1] - line[0]) / (len(line) - 1) if len(line) > 1 else 1.0
