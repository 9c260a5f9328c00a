"""Scale: one dimension as an axis of a picture."""

from __future__ import annotations

import contextlib
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from fractal_tuner.dimensions import Categorical, Dimension, Quantile
from fractal_tuner.report.drawing import log_ticks, power_text, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_TICKS = 12
_MARGIN = 0.03  # of the axis, beyond the space
_LINE_LENGTH = 50  # letters beside each other
_TICK_LETTERS = 6  # that a number and the room beside it take
_ROOM = 0.07  # between ticks, as a share of the axis
_GOLDEN = 0.618034


class Scale:
    """One dimension as an axis: its own values, on the scale on which it was searched.

    Parameters
    ----------
    dimension : Dimension or None
        None where the unit coordinate is the value.

    Attributes
    ----------
    kind : {"linear", "log", "category", "unit"}
        "unit" where neither scale is even along the axis: unit coordinates, with values for ticks.

    Examples
    --------
    >>> from fractal_tuner import Real
    >>> Scale(Real(1, 100, log=True)).place(np.array([0.0, 0.5, 1.0])).round(6).tolist()
    [1.0, 10.0, 100.0]
    """

    def __init__(self, dimension: Dimension | None) -> None:
        self._dimension = dimension
        self._low, self._high = 0.0, 1.0
        self.kind = "linear" if dimension is None else "unit"
        if dimension is None:
            return
        if dimension.is_categorical:
            self.kind = "category"
            self._low, self._high = -0.5, (dimension.n_values or 0) - 0.5
        elif not isinstance(dimension, Quantile):
            with contextlib.suppress(OverflowError):  # an integer may be larger than any float
                low, high = (float(dimension.value(dimension.code(u))) for u in (0.0, 1.0))
                self.kind = "log" if dimension.is_log else "linear"
                self._low, self._high = low, high

    @property
    def step(self) -> float:
        """How far apart, in unit coordinates, values lie at most; all of them for a category."""
        if self.kind == "category":
            return 1.0
        return float(np.diff(self.few_units()).max(initial=0.0))

    def place(self, unit: Any) -> np.ndarray:
        """Where unit coordinates lie on the axis."""
        unit = np.asarray(unit, dtype=float)
        if self.kind == "log":
            low, high = math.log(self._low), math.log(self._high)
            return np.asarray(np.exp(low + unit * (high - low)))
        if self._high - self._low == math.inf:
            return np.asarray((1 - unit) * self._low + unit * self._high)
        return np.asarray(self._low + unit * (self._high - self._low))

    def stretch(self, unit: Any) -> np.ndarray:
        """Where unit coordinates lie on the axis once its scale is undone: decades if it is log."""
        place = self.place(unit)
        return np.asarray(np.log10(place)) if self.kind == "log" else place

    def spread(self, unit: np.ndarray, trial: np.ndarray) -> np.ndarray:
        """Unit coordinates; those of a category beside each other, so that none is hidden."""
        if self.kind != "category" or self._dimension is None:
            return unit
        shift = (trial * _GOLDEN) % 1.0 - 0.5
        return unit + 0.6 * shift / (self._dimension.n_values or 1)

    def value(self, unit: float) -> Any:
        """The value at a unit coordinate, as a table shows it; None if there is none."""
        if math.isnan(unit):
            return None
        if self._dimension is None:
            return unit
        value = self._dimension.value(self._dimension.code(unit))
        return value if isinstance(value, str | bool | int | float | None) else str(value)

    def text(self, unit: float, length: int = 14) -> str:
        """The value at a unit coordinate, in a few letters."""
        value = self.value(unit)
        if self.kind == "category" or isinstance(value, str | bool) or value is None:
            return short(value, length)
        try:
            return power_text(float(f"{float(value):.3g}"))
        except OverflowError:  # an integer may be larger than any float
            return f"{Decimal(value):.3g}"

    def ticks(self) -> list[float]:
        """Unit coordinates of a few values from end to end."""
        if isinstance(self._dimension, Categorical):
            n = len(self._dimension.choices)
            return [(i + 0.5) / n for i in range(0, n, -(-n // 6))]
        few = _apart(self.few_units(), 0.15)
        return few or [0.0, 0.25, 0.5, 0.75, 1.0]

    def label(
        self,
        ax: Axes,
        side: str,
        name: str,
        limits: np.ndarray | None = None,
        *,
        letters: int = _LINE_LENGTH,
    ) -> None:
        """Give side "x" or "y" its scale, ticks, name, and limits from unit coordinates.

        There is room for so many ``letters``: longer names of categories are written at an angle.
        """
        from matplotlib.ticker import MaxNLocator

        axis = getattr(ax, f"{side}axis")
        ends = np.array((0.0, 1.0) if limits is None else limits)
        low, high = self.place(ends + np.array([-_MARGIN, _MARGIN]) * np.ptp(ends))
        if self._is_whole() and high - low < 2:  # ticks between integers would mean nothing
            low, high = np.floor(low), np.ceil(high)
        if self.kind == "log":
            ax.set(**{f"{side}scale": "log"})
        few = [u for u in _apart(self.few_units(), _ROOM * np.ptp(ends)) if ends[0] <= u <= ends[1]]
        if isinstance(self._dimension, Categorical):
            self._label_choices(ax, side, letters)
        elif self._dimension is not None and self.kind == "unit":
            ticks = np.linspace(ends[0], ends[1], 5)
            axis.set_ticks(ticks, [self.text(u) for u in ticks])
        elif few:
            axis.set_ticks(self.place(few), [self.text(u) for u in few])
            axis.minorticks_off()
        elif self.kind == "log":
            log_ticks(axis, float(low), float(high))
        else:
            steps = [1, 2, 2.5, 5, 10]
            axis.set_major_locator(
                MaxNLocator(letters // _TICK_LETTERS, steps=steps, integer=self._is_whole())
            )
        ax.set(**{f"{side}lim": (low, high), f"{side}label": short(name)})

    def _label_choices(self, ax: Axes, side: str, letters: int) -> None:
        assert isinstance(self._dimension, Categorical)
        choices = self._dimension.describe()["choices"]
        every = -(-len(choices) // _MOST_TICKS)
        texts = [
            short(choice, 24 if letters == _LINE_LENGTH else 14) for choice in choices[::every]
        ]
        steep = side == "x" and sum(map(len, texts)) > letters
        style = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if steep else {}
        getattr(ax, f"{side}axis").set_ticks(range(0, len(choices), every), texts, **style)

    def few_units(self) -> list[float]:
        """Unit coordinates of the values, if they are few."""
        d = self._dimension
        if d is None or d.n_values is None or d.n_values > _MOST_TICKS:
            return []
        return [d.unit(d.code_at(i)) for i in range(d.n_values)]

    def _is_whole(self) -> bool:
        """Whether there are integers only, from one whole number to another."""
        if self._dimension is None or self._dimension.n_values is None or self.kind == "log":
            return False
        return self._low.is_integer() and self._high.is_integer()


def _apart(units: list[float], gap: float) -> list[float]:
    """Those of increasing numbers that are not too near to the one before."""
    kept: list[float] = []
    for u in units:
        if not kept or u - kept[-1] >= gap:
            kept.append(u)
    return kept
