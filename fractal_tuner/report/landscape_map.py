"""LandscapeDisplay: the scores over one or two dimensions, as they are or analysed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from fractal_tuner import words
from fractal_tuner.landscape import Landscape
from fractal_tuner.readers.record import unpruned
from fractal_tuner.report.display import Display, marked_of, two_dimensions
from fractal_tuner.report.drawing import (
    AMOUNTS,
    BEST,
    COLOR,
    DOTS,
    FAILED,
    FOREGROUND,
    MANY,
    SCORES,
    color_bar,
    color_range,
    legend_above,
    rows_of,
    say_instead,
    score_dots,
    short,
)
from fractal_tuner.report.maps import Map, map_places
from fractal_tuner.report.scales import Scale
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["raw", "smoothed", "gradient", "complexity"]
_TITLES = {
    "raw": "Scores as measured",
    "smoothed": "Smoothed scores",
    "gradient": "Steepness of the scores",
    "complexity": "Local complexity of the scores",
}
_LABELS = {
    "raw": "{}",
    "smoothed": "{}",
    "gradient": "{} per range of an axis",
    "complexity": "spread of {} around local planes",
}


class LandscapeDisplay(Display):
    """Scores over one or two dimensions: as measured, smoothed, their steepness or complexity.

    Where no trial is near, nothing is shown and the place is crossed out. Cells of a grid that were
    not measured, beside others that were, are hatched: they are interpolated. Steepness is the
    length of the gradient, in score per range of an axis; complexity is how far scores lie beside
    their local plane, beyond the noise where that is known.

    Make one with :meth:`from_search`, :meth:`from_record`, :meth:`from_trials`, or of a landscape.

    Parameters
    ----------
    landscape : Landscape or None
        Over one or two axes; ``project`` or ``slice`` one that has more. None draws ``reason``.
    kind : {"raw", "smoothed", "gradient", "complexity"}, default="raw"
    score_name : str, default="score"
        What the scores are called.
    best : tuple of int and array, optional
        Number and unit coordinates of the trial to mark.
    n_dims : int, optional
        Dimensions of the search; more than the landscape has are said.
    reason : str, optional
        Why there is no landscape.

    Attributes
    ----------
    map : Map or None
        What is drawn as an image, or as a line over one axis; None if only trials are.
    reason : str or None
        Why there is no map, where there should be one.
    note : str
        What the picture cannot show, in words.

    Examples
    --------
    >>> landscape = Landscape.from_grid([[0, 1, 2], [1, np.nan, 3], [2, 3, 4]])
    >>> display = LandscapeDisplay(landscape, "smoothed")
    >>> round(float(display.map.values[1, 1]), 6), bool(display.map.known[1, 1])
    (2.0, False)
    """

    size = (6.4, 5.0)

    def __init__(
        self,
        landscape: Landscape | None,
        kind: Kind = "raw",
        *,
        score_name: str = "score",
        best: tuple[int, Any] | None = None,
        n_dims: int | None = None,
        reason: str | None = None,
    ) -> None:
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {get_args(Kind)}, got {kind!r}")
        if landscape is not None and landscape.n_dims > 2:
            raise ValueError(
                f"a landscape over {landscape.n_dims} axes cannot be drawn: project or slice it"
            )
        self.landscape, self.kind, self.score_name = landscape, kind, score_name
        self.best = best
        self.map: Map | None = None
        self.reason = reason
        if landscape is not None:
            self.map, self.reason = _map_of(landscape, kind)
        self.title = _TITLES[kind]
        self.label = _LABELS[kind].format(words.clean(score_name))
        self.note = self._noted(n_dims)
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls,
        trials: TrialLog,
        *,
        best: int | None = None,
        score_name: str = "score",
        dims: str | Sequence[str] | None = None,
        kind: Kind = "raw",
        landscape: Landscape | None = None,
    ) -> Self:
        """The display of trials; running and pruned ones are left out.

        Parameters
        ----------
        trials : TrialLog
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            What the scores are called.
        dims : str or sequence of str, optional
            One or two dimensions. Without it, the first two with a scale that the best trial uses.
        kind : {"raw", "smoothed", "gradient", "complexity"}, default="raw"
        landscape : Landscape, optional
            That of another display of the same trials and ``dims``: it knows its bandwidths, which
            take the most time.

        Raises
        ------
        ValueError
            If ``dims`` are not one or two different names of the space, or ``kind`` is unknown.
        """
        told = [t for t in trials if t.status != "running"]
        marked = marked_of(told, best)
        if dims is None:
            chosen = two_dimensions(trials.space, marked, scaled=True)
            chosen = chosen or two_dimensions(trials.space, marked)
        else:
            chosen = [dims] if isinstance(dims, str) else list(dims)
        names = [p.name for p in trials.space.parameters if p.name is not None]
        if not 1 <= len(set(chosen)) == len(chosen) <= 2 or set(chosen) - set(names):
            raise ValueError(f"dims must be one or two different names of {names}, got {dims!r}")
        options: dict[str, Any] = {"kind": kind, "score_name": score_name}
        whole = unpruned(told)
        if not whole:
            why = "all trials were pruned" if told else "no trials yet"
            return cls(None, reason=why, **options)
        try:
            landscape = landscape or Landscape.from_trials(whole, chosen, space=trials.space)
        except ValueError as error:  # of a union of spaces, or a dimension that no trial has
            return cls(None, reason=str(error), **options)
        if marked is not None:
            own = (
                Landscape.from_trials([marked], chosen, space=trials.space).coordinates[0]
                if (set(chosen) <= set(marked.params))
                else None
            )
            options["best"] = None if own is None else (marked.id + 1, own)
        varied = sum(
            p.name is not None and p.dimension.n_values != 1 for p in trials.space.parameters
        )
        return cls(landscape, n_dims=varied, **options)

    def table(self) -> list[dict[str, Any]]:
        """Cells of the map, or trials: values of the dimensions, what is shown, whether known."""
        if self.landscape is None:
            return []
        lines, values = self.landscape.coordinates, self.landscape.scores.ravel()
        measured = np.isfinite(values)
        if self.map is not None:
            grids = np.meshgrid(*self.map.lines, indexing="ij")
            lines = np.stack(grids, axis=-1).reshape(-1, len(self.map.lines))
            values = self.map.values.ravel()
            measured = self.map.known.ravel() & self.landscape.is_grid
        kinds = np.select(
            [np.isnan(values), measured], ["no score near", "measured"], "interpolated"
        )
        every = max(1, len(values) // 300)
        places = lines[::every]
        columns: dict[str, Any] = {
            axis.name: [Scale(axis.dimension).value(float(u)) for u in places[:, j]]
            for j, axis in enumerate(self.landscape.axes)
        }
        return rows_of(columns | {self.label: values[::every], "support": kinds[::every]})

    def _noted(self, n_dims: int | None) -> str:
        notes = []
        if self.landscape is not None:
            shown = self.landscape.n_dims
            if n_dims is not None and n_dims > shown:
                notes.append(f"{shown} of {n_dims} dimensions: what the others do appears as noise")
            if self.reason is not None:
                notes.append(f"trials only: {self.reason}")
            elif self.map is not None:
                if self.map.is_empty.any():
                    mark = "crossed out" if shown == 2 else "gap"
                    what = "no score" if self.kind == "raw" else "no trial is near"
                    notes.append(f"{mark}: {what}")
                if (~self.map.known & ~self.map.is_empty).any():
                    notes.append(f"{'hatched' if shown == 2 else 'dotted'}: interpolated")
            scores = self.landscape.known[1]
            if len(scores) and scores.min() == scores.max():
                what = "all scores are" if len(scores) > 1 else "the only score is"
                notes.append(f"{what} {words.number(float(scores[0]))}")
        return "\n".join(notes)

    def _describe(self) -> str:
        if self.landscape is None:
            return f"There is no landscape: {self.reason}."
        names = words.listing(map(words.clean, self.landscape.names))
        n = words.count(self.landscape.n_scores, "score")
        text = f"{self.title} over {names}, from {n}"
        shown, label = self.landscape.scores, words.clean(self.score_name)
        if self.map is not None:
            shown = np.where(self.map.known, self.map.values, np.nan)
            label = self.label
        if np.isfinite(shown).any():
            low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
            text += f": {label} from {words.number(low)} to {words.number(high)}"
            text += f", highest at {self._where(shown)}" if high > low else ""
        if self.map is not None:
            empty = self.map.is_empty
            what = "Without a score" if self.kind == "raw" else "Empty, far from any trial"
            for part, name in ((empty, what), (~self.map.known & ~empty, "Interpolated")):
                if part.any():
                    text += f". {name}: {words.share(float(part.mean()))} of the picture"
        n_failed = int(self.landscape.failed.sum())
        text += f". {words.count(n_failed, 'trial')} failed" if n_failed else ""
        if self.reason is not None:
            text += f". There is no map: {self.reason}"
        return text + "."

    def _where(self, shown: np.ndarray) -> str:
        """The values of the dimensions at the highest place."""
        assert self.landscape is not None
        top = int(np.nanargmax(shown))
        if self.map is None:
            place = self.landscape.coordinates[top]
        else:
            index = np.unravel_index(top, shown.shape)
            place = np.array([line[i] for line, i in zip(self.map.lines, index, strict=True)])
        return words.listing(
            f"{words.clean(axis.name)} = {words.value(Scale(axis.dimension).value(float(u)))}"
            for axis, u in zip(self.landscape.axes, place, strict=True)
        )

    def _draw(self, ax: Axes) -> None:
        if self.landscape is None:
            say_instead(ax, self.reason or "there is no landscape")
            return
        scales = [Scale(axis.dimension) for axis in self.landscape.axes]
        if self.landscape.n_dims == 1:
            self._draw_line(ax, scales[0])
        else:
            self._draw_map(ax, scales)
        limits = np.tile([0.0, 1.0], (len(scales), 1)) if self.map is None else self.map.limits
        for side, scale, axis, ends in zip("xy", scales, self.landscape.axes, limits, strict=False):
            scale.label(ax, side, axis.name, ends)
        legend_above(ax, self.note)

    def _draw_map(self, ax: Axes, scales: Sequence[Scale]) -> None:
        assert self.landscape is not None
        places = self.landscape.coordinates
        x, y = (scale.place(u) for scale, u in zip(scales, places.T, strict=True))
        z, failed = self.landscape.scores.ravel(), self.landscape.failed.ravel()
        is_score = self.kind in ("raw", "smoothed")
        shown: Any = None
        if self.map is not None:
            values = np.where(self.map.known, self.map.values, np.nan)
            ends = color_range(values) if is_score else (0.0, color_range(values)[1])
            shown = self.map.draw(ax, ends, SCORES if is_score else AMOUNTS)
            if not self.landscape.is_grid:
                ax.plot(
                    x[np.isfinite(z)],
                    y[np.isfinite(z)],
                    "o",
                    markersize=4 if len(z) <= 300 else 2,
                    markerfacecolor="white",
                    markeredgecolor=FOREGROUND,
                    markeredgewidth=0.5,
                    rasterized=len(z) > MANY,
                    label="trial",
                )
        elif np.isfinite(z).any():
            ends = color_range(z)
            shown = score_dots(ax, x, y, z, ends)
        if shown is not None:
            values = z if self.map is None else values
            least, most = float(np.nanmin(values)), float(np.nanmax(values))
            if least < most:
                label = self.score_name if self.map is None else self.label
                color_bar(ax, shown, label, below=least < ends[0])
        if failed.any():
            style = FAILED if failed.sum() <= 300 else FAILED | {"markersize": 3}
            ax.plot(x[failed], y[failed], **style, label="failed", rasterized=failed.sum() > MANY)
        if self.best is not None:
            at = [scale.place([u]) for scale, u in zip(scales, self.best[1], strict=True)]
            ax.plot(*at, **BEST, label=f"best, trial {self.best[0]}")

    def _draw_line(self, ax: Axes, scale: Scale) -> None:
        assert self.landscape is not None
        x = scale.place(self.landscape.coordinates[:, 0])
        z, failed = self.landscape.scores.ravel(), self.landscape.failed.ravel()
        if self.kind in ("raw", "smoothed"):
            ax.plot(x, z, **DOTS, label="trial", rasterized=len(z) > MANY)
            if self.best is not None:
                at = scale.place([self.best[1][0]])
                height = z[np.abs(x - at[0]).argmin()]
                ax.plot(at, [height], **BEST, label=f"best, trial {self.best[0]}")
        if self.map is not None and self.kind != "raw":
            line = scale.place(self.map.lines[0])
            values = self.map.values
            ax.plot(line, values, ":", color=COLOR, linewidth=2.0)
            known = np.where(self.map.known, values, np.nan)
            ax.plot(line, known, color=COLOR, linewidth=2.0, label=self.title.lower())
        if failed.any():
            edge = ax.get_xaxis_transform()
            height = np.full(failed.sum(), 0.02)
            ax.plot(x[failed], height, **FAILED, label="failed", transform=edge)
        ax.set_ylabel(short(self.label, 40))
        ax.grid()


def _map_of(landscape: Landscape, kind: Kind) -> tuple[Map | None, str | None]:
    """What to draw as an image, or why there is none."""
    from fractal_tuner.analysis.local import gradient_magnitude, local_complexity

    if kind == "raw":
        is_map = landscape.is_grid and min(landscape.scores.shape) > 1
        return (Map.of(landscape, landscape) if is_map else None), None
    try:
        if kind == "smoothed":
            return Map.smoothed(landscape), None
        analyse = gradient_magnitude if kind == "gradient" else local_complexity
        found = analyse(landscape, at=map_places(landscape))
    except (ValueError, OverflowError) as error:  # an integer may be larger than any float
        return None, str(error).split(";")[0]
    if found.map is None:
        return None, found.reason
    return Map.of(found.map, landscape), None
