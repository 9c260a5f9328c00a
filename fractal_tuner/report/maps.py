"""Maps: values over one or two axes as pictures, with what is known told from what is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fractal_tuner.landscape import Landscape
from fractal_tuner.report.scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELLS = 48  # of a map of scattered scores, along each axis
_RASTER = 256  # pixels of an uneven grid, along each axis
_LEAST_REACH = 0.03


@dataclass(frozen=True, eq=False)
class Map:
    """Values on a grid over one or two axes.

    Attributes
    ----------
    scales : tuple of Scale
    lines : tuple of ndarray
        Unit coordinates of the grid along each axis, increasing.
    values : ndarray of float
        Of the grid's shape; NaN where there is none.
    known : ndarray of bool
        Of the same shape: where there is a score, or one near.
    """

    scales: tuple[Scale, ...]
    lines: tuple[np.ndarray, ...]
    values: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, shown: Landscape, measured: Landscape) -> Map:
        """The map of a landscape on a grid, and where it is supported by what was measured."""
        assert shown.lines is not None
        return cls(
            tuple(Scale(axis.dimension) for axis in shown.axes),
            shown.lines,
            np.asarray(shown.scores),
            known_part(shown, measured),
        )

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
        """Draw over two axes; hatched where nothing is known. The image, for a colour bar."""
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
        if hatch and not known.all():
            self._draw_hatch(ax, lines, known)
        return image

    def _draw_hatch(self, ax: Axes, lines: list[np.ndarray], known: np.ndarray) -> None:
        fine = [np.repeat(line, 4) for line in lines]
        for line, u in zip(lines, fine, strict=True):
            u += _step(line) * np.tile([-0.499, -0.17, 0.17, 0.499], len(line))
        unknown = np.kron(~known, np.ones((4, 4)))
        x, y = (scale.place(u) for scale, u in zip(self.scales, fine, strict=True))
        ax.contourf(x, y, unknown.T, levels=[0.5, 1.5], colors="none", hatches=["//"], zorder=1)

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


def map_places(landscape: Landscape) -> int | None:
    """Where to fit a map: on the landscape's own grid, or on one for scattered scores."""
    return None if landscape.is_grid else _CELLS


def known_part(shown: Landscape, measured: Landscape) -> np.ndarray:
    """Where a map rests on scores.

    On the grid of the scores: the cells that have one. Elsewhere: places that are not farther from
    a score, in unit coordinates, than a place is with a probability of 0.05 from the nearest of as
    many scores at random places: ``pi r^2 n = 3`` over two axes, ``2 r n = 3`` over one.
    """
    known = np.isfinite(measured.scores)
    if measured.is_grid and shown.scores.shape == measured.scores.shape:
        return np.asarray(known)
    places = measured.known[0]
    if not len(places):
        return np.zeros(shown.scores.shape, dtype=bool)
    from scipy.spatial import cKDTree

    n = len(places)
    reach = 1.5 / n if shown.n_dims == 1 else math.sqrt(3.0 / (math.pi * n))
    distance = cKDTree(places).query(shown.coordinates)[0]
    return np.asarray(distance <= max(reach, _LEAST_REACH)).reshape(shown.scores.shape)


def _step(line: np.ndarray) -> float:
    return float(line[-1] - line[0]) / (len(line) - 1) if len(line) > 1 else 1.0
