"""TrainabilityDisplay: where a network trains, at successive levels of zoom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.drawing import BACKGROUND, FOREGROUND, axes_of, color_bar, plain, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from fractal_tuner.trainability import Trainability

# Light where training converged, dark where it diverged, and farthest apart at the boundary, where
# both are slow: in grey too.
_CONVERGED = ("Blues_r", 0.5, 1.0)
_DIVERGED = ("inferno_r", 0.5, 0.97)
_SHARES = (0.02, 0.98)  # of the cells on either side: beyond, colours end
_N_COLORS = 16  # of an animation
_STAY, _PASS = 1500, 120  # milliseconds at a level, and on the way to the next


class TrainabilityDisplay:
    """Where training converges over two learning rates, and windows of it near the boundary.

    Cells that converged are light, those that diverged dark; within both, what is slower is nearer
    the boundary in colour. Each level has colours of its own: their scale says how little they
    differ. The next level is outlined in the one before.

    Parameters
    ----------
    zooms : sequence of Trainability
        Each a window of the one before, as of
        :func:`~fractal_tuner.trainability.trainability_zooms`.
    names : tuple of str
        What the axes are.

    Attributes
    ----------
    edges : ndarray of float, shape (n_levels, 2, 2)
        Outer edges of the cells of each level, on the axes x and y.
    ends : ndarray of float, shape (n_levels, 2, 2)
        Of the colours of each level: those of converged and those of diverged cells.
    dimensions : list of BoxDimension
        Of the boundary, of each level.
    title, description : str
        What the picture shows, and what there is to see.
    ax_, figure_ : matplotlib Axes and Figure
        Set by :meth:`plot`.

    Examples
    --------
    >>> from fractal_tuner.trainability import trainability_zooms
    >>> display = TrainabilityDisplay(trainability_zooms(2, 40, steps=20))
    >>> [round(row["decades"], 2) for row in display.table()]
    [9.0, 2.25]
    """

    title = "Where training converges"
    size = (6.4, 5.0)

    def __init__(
        self,
        zooms: Sequence[Trainability],
        *,
        names: tuple[str, str] = (
            "log10 learning rate, input layer",
            "log10 learning rate, output layer",
        ),
    ) -> None:
        if not zooms:
            raise ValueError("zooms must hold at least one landscape")
        self.zooms, self.names = list(zooms), names
        self.edges = np.array([[_outer(zoom.x), _outer(zoom.y)] for zoom in zooms])
        self.ends = np.array([_ends(zoom) for zoom in zooms])
        self.dimensions = [zoom.boundary_dimension() for zoom in zooms]
        self.description = self._describe()

    def plot(self, ax: Axes | None = None, *, level: int = 0, bars: bool = True) -> Self:
        """Draw one level.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without it, on a new figure.
        level : int, default=0
            0 is the whole.
        bars : bool, default=True
            Say what the colours are.
        """
        with styled():
            self.ax_, self.figure_ = axes_of(ax, self.size)
            self._draw(self.ax_, level)
            self._outline(self.ax_, level)
            self.ax_.set(xlim=self.edges[level, 0], ylim=self.edges[level, 1])
            self.ax_.set_title(self._name(level), size="medium")
            if bars:
                self._explain(self.ax_, level)
        return self

    ax_: Axes
    figure_: Figure

    def animate(self, path: str | Path, *, between: int = 3, pixels: int = 192) -> None:
        """Write a way through all levels as an animated picture, GIF or PNG.

        It stays at each level, and moves to the next at a constant ratio while that one fades in.

        Parameters
        ----------
        path : path
            Its ending decides on the form.
        between : int, default=3
            Pictures from one level to the next.
        pixels : int, default=192
            Side of the map; best the number of cells.
        """
        from PIL import Image

        pictures, times = [], []
        for picture, time in self._frames(between, pixels):
            pictures.append(Image.fromarray(picture))
            times.append(time)
        # One palette for all, or the colours flicker.
        every = Image.fromarray(np.concatenate([np.asarray(picture) for picture in pictures]))
        palette = every.quantize(_N_COLORS, Image.Quantize.MAXCOVERAGE)
        first, *others = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
        first.save(path, save_all=True, append_images=others, duration=times, loop=0, optimize=True)

    def view(self, position: float) -> np.ndarray:
        """Edges of a view on the way through the levels, on the axes x and y, shape (2, 2).

        Parameters
        ----------
        position : float
            A level, or between two: at 1.25 the view has gone a quarter of the way from level 1 to
            level 2, at a constant ratio of widths.
        """
        if not 0 <= position <= len(self.zooms) - 1:
            raise ValueError(f"position must be in 0 to {len(self.zooms) - 1}, got {position}")
        level = min(int(position), max(len(self.zooms) - 2, 0))
        part, here = position - level, self.edges[level]
        if part == 0:
            return np.array(here)
        there = self.edges[level + 1]
        ratio = np.ptp(there, axis=1, keepdims=True) / np.ptp(here, axis=1, keepdims=True)
        return np.asarray(here + (1 - ratio**part) / (1 - ratio) * (there - here))

    def table(self) -> list[dict[str, Any]]:
        """For each level: its width, the share of cells that converged, the dimension."""
        return [
            {
                "level": level,
                "decades": float(zoom.x[-1] - zoom.x[0]),
                "converged": float(zoom.converged.mean()),
                "dimension": plain(found.value),
                "low": plain(found.low),
                "high": plain(found.high),
                "reason": found.reason,
            }
            for level, (zoom, found) in enumerate(zip(self.zooms, self.dimensions, strict=True))
        ]

    def _describe(self) -> str:
        parts = []
        for row in self.table():
            text = f"{row['decades']:.2g} decades: {100 * row['converged']:.0f} % converged, "
            if row["reason"] is None:
                text += f"boundary of dimension {row['dimension']:.1f} "
                text += f"({row['low']:.1f} to {row['high']:.1f})"
            else:
                text += f"no dimension ({row['reason']})"
            parts.append(text)
        return f"{words.count(len(parts), 'level')}. {'; '.join(parts)}."

    def _name(self, level: int) -> str:
        decades = self.zooms[level].x[-1] - self.zooms[level].x[0]
        return f"level {level}: {decades:.2g} decades wide"

    def _draw(self, ax: Axes, level: int, alpha: float = 1.0) -> None:
        zoom, ends = self.zooms[level], self.ends[level]
        converged = zoom.converged
        colors = np.empty((*converged.shape, 4))
        for side, shown in enumerate((converged, ~converged)):
            map_ = _colors(side)
            colors[shown] = map_(_share(np.abs(zoom.measure[shown]), ends[side]))
        ax.imshow(
            colors.swapaxes(0, 1),
            origin="lower",
            extent=tuple(self.edges[level].ravel()),
            interpolation="nearest",
            alpha=alpha,
            zorder=level,
        )
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        for axis in (ax.xaxis, ax.yaxis):
            _few_ticks(axis)

    def _outline(self, ax: Axes, level: int) -> None:
        """The window of the next level, in two colours: one is seen on whatever it lies on."""
        from matplotlib.patches import Rectangle

        if level + 1 == len(self.zooms):
            return
        (left, right), (low, high) = self.edges[level + 1]
        for color, width in ((BACKGROUND, 3.0), (FOREGROUND, 1.2)):
            frame = Rectangle(
                (left, low),
                right - left,
                high - low,
                facecolor="none",
                edgecolor=color,
                linewidth=width,
                zorder=len(self.zooms),
            )
            ax.add_patch(frame)

    def _explain(self, ax: Axes, level: int) -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm

        labels = (
            "converged: ends below first loss\nsum of loss / first loss",
            "diverged: ends above first loss\nsum of first loss / loss",
        )
        for side, label in enumerate(labels):
            shown = ScalarMappable(LogNorm(*self.ends[level, side]), _colors(side))
            place = ax.inset_axes((1.04, 0.54 * side, 0.05, 0.46))
            color_bar(ax, shown, "", cax=place)
            place.set_ylabel(label, size="small")
            _few_ticks(place.yaxis, self.ends[level, side, 1] / self.ends[level, side, 0])
            place.tick_params(labelsize=8)

    def _frames(self, between: int, pixels: int) -> Iterator[tuple[np.ndarray, int]]:
        """Pictures, shape (height, width, 3) uint8, and for how many milliseconds."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        last = len(self.zooms) - 1
        for frame in range(last * between + 1):
            level, step = divmod(frame, between)
            with styled():
                width, height = pixels + 78, pixels + 74
                figure = Figure(figsize=(width / 100, height / 100), dpi=100)
                canvas: Any = FigureCanvasAgg(figure)
                ax = figure.add_axes((66 / width, 38 / height, pixels / width, pixels / height))
                self._draw(ax, level)
                if step:
                    self._draw(ax, level + 1, alpha=step / between)
                self._outline(ax, level)
                ax.set(**dict(zip(("xlim", "ylim"), self.view(frame / between), strict=True)))
                ax.tick_params(labelsize=7)
                ax.xaxis.label.set_fontsize(8)
                ax.yaxis.label.set_fontsize(8)
                ax.yaxis.set_label_coords(-56 / pixels, 0.5)
                ax.set_title(f"{self._name(level)}\nlight: converged, dark: diverged", size=8)
                canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy(), _PASS if step else _STAY


def _outer(centres: np.ndarray) -> tuple[float, float]:
    """Outer edges of cells."""
    half = (centres[-1] - centres[0]) / max(len(centres) - 1, 1) / 2
    return float(centres[0] - half), float(centres[-1] + half)


def _ends(zoom: Trainability) -> list[tuple[float, float]]:
    """Ends of colours, of converged and diverged cells; never the same."""
    ends = []
    for shown in (zoom.converged, ~zoom.converged):
        low, high = np.quantile(np.abs(zoom.measure[shown]), _SHARES) if shown.any() else (1, 1)
        ends.append((float(low), float(max(high, low * 1.01))))
    return ends


def _share(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Positions on a logarithmic scale, 0 to 1."""
    low, high = np.log(ends)
    return np.asarray(np.clip((np.log(values) - low) / (high - low), 0.0, 1.0))


def _colors(side: int) -> Colormap:
    """Part of a colour map: of what converged (0) or diverged (1), the fast ones first."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    name, start, end = (_CONVERGED, _DIVERGED)[side]
    return ListedColormap(colormaps[name](np.linspace(start, end, 256)))


def _few_ticks(axis: Any, ratio: float = 1.0) -> None:
    """Few ticks with all their digits; of ends with a large ratio, on a logarithmic scale."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

    axis.set_major_locator(MaxNLocator(4) if ratio < 4 else LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    plain_numbers = ScalarFormatter(useOffset=False)
    plain_numbers.set_scientific(False)
    axis.set_major_formatter(plain_numbers)
