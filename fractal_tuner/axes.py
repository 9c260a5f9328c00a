"""Axes of a landscape: names, scales, and the way from values to unit coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fractal_tuner.dimensions import (
    Categorical,
    Dimension,
    Integer,
    Ordinal,
    Quantile,
    Real,
    as_dimension,
)


@dataclass(frozen=True)
class Axis:
    """One dimension of a landscape.

    Attributes
    ----------
    name : str
    dimension : Dimension or None
        Translates unit coordinates to values; None where the unit coordinate is the value.
    """

    name: str
    dimension: Dimension | None = None

    @property
    def is_log(self) -> bool:
        """Whether the search scale is logarithmic."""
        return self.dimension is not None and self.dimension.is_log

    @property
    def has_scale(self) -> bool:
        """Whether distances along the axis mean something; not along categories."""
        return self.dimension is None or not self.dimension.is_categorical

    @property
    def length(self) -> float:
        """Decades from end to end of a log axis, the difference of the ends of a linear one.

        NaN where equal steps along the axis are no equal steps of either kind: categories, and
        the probabilities of a distribution. Infinite where no float is so large.
        """
        if self.dimension is None:
            return 1.0
        if isinstance(self.dimension, Categorical | Quantile):
            return math.nan
        low, high = (self.dimension.value(self.dimension.code(end)) for end in (0.0, 1.0))
        if self.is_log:
            return math.log10(high) - math.log10(low)
        try:
            return float(high - low)
        except OverflowError:  # integers have no largest one
            return math.inf

    def unit(self, value: Any) -> float:
        """The unit coordinate of a value; ValueError, naming the axis, if it is not on it."""
        try:
            if self.dimension is None:
                if not 0.0 <= value <= 1.0:
                    raise ValueError(f"it reaches from 0 to 1, got {value!r}")
                return float(value)
            if isinstance(self.dimension, Integer) and isinstance(value, float | np.floating):
                # Numeric arrays have one type for all of their columns.
                value = int(value) if float(value).is_integer() else value
            return self.dimension.unit(self.dimension.code_of(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"axis {self.name!r}: {error}") from None

    def units(self, values: np.ndarray) -> np.ndarray:
        """Unit coordinates of many values, shape (n,); ValueError if one is not on the axis."""
        given = self.dimension
        if isinstance(given, Real) and values.dtype.kind in "iuf":
            v = values.astype(float)
            outside = ~((v >= given.low) & (v <= given.high))  # NaN too
            if outside.any():
                self.unit(values[outside][0].item())  # says what is wrong
            ends = np.array([given.low, given.high])
            (low, high), v = (np.log(z) if given.log else z / 2 for z in (ends, v))
            return np.asarray((v - low) / (high - low))
        known: dict[Any, float] = {}
        found = np.empty(len(values))
        for i, value in enumerate(values.tolist()):
            try:
                key = type(value), value
                if key not in known:
                    known[key] = self.unit(value)
                found[i] = known[key]
            except TypeError:  # a choice that cannot be hashed
                found[i] = self.unit(value)
        return found

    def value(self, u: float) -> Any:
        """What stands on the axis at unit coordinate ``u``."""
        return float(u) if self.dimension is None else self.dimension.value(self.dimension.code(u))


def named_axes(axes: Any, n: int) -> tuple[Axis, ...]:
    """Axes from ``n`` names and dimensions, as a search space has them."""
    return tuple(Axis(name, as_dimension(name, given)) for name, given in _items(axes, n))


def grid_axes(axes: Any, shape: Sequence[int]) -> list[tuple[Axis, np.ndarray]]:
    """Axes of a grid, and the unit coordinates of its lines in the order given.

    Parameters
    ----------
    axes : mapping or None
        Name of each axis, and its values, a dimension, or None for equal steps of the unit cube.
    shape : sequence of int
        Of the grid.
    """
    if axes is None:
        axes = {f"x{i}": None for i in range(len(shape))}
    items = _items(axes, len(shape))
    return [_grid_axis(name, given, n) for (name, given), n in zip(items, shape, strict=True)]


def check_names(what: str, names: Any, known: Sequence[str]) -> None:
    """Refuse names that are no list, unknown, or there twice."""
    if isinstance(names, str):
        raise ValueError(f"{what} must name dimensions in a list, as [{names!r}], got {names!r}")
    names = list(names) if isinstance(names, Iterable) else names
    if not isinstance(names, list) or not names:
        raise ValueError(f"{what} must name at least one of {list(known)}, got {names!r}")
    for name in names:
        if name not in known:
            raise ValueError(f"{what} names {name!r}, which is none of {list(known)}")
    if len(set(names)) != len(names):
        raise ValueError(f"{what} names a dimension twice, got {names}")


def _items(axes: Any, n: int) -> list[tuple[str, Any]]:
    if not isinstance(axes, Mapping) or len(axes) != n:
        raise ValueError(f"axes must map {n} names, one for each axis, got {axes!r}")
    for name in axes:
        if not isinstance(name, str):
            raise TypeError(f"names of axes must be str, got {name!r}")
    return list(axes.items())


def _grid_axis(name: str, given: Any, n: int) -> tuple[Axis, np.ndarray]:
    even = np.linspace(0.0, 1.0, n) if n > 1 else np.array([0.5])
    if given is None:
        return Axis(name), even
    if isinstance(given, Dimension):
        if given.is_categorical and given.n_values != n:
            raise ValueError(f"axis {name!r} has {n} cells for the choices of {given}")
        if given.n_values != n:
            return Axis(name, given), even
        return Axis(name, given), np.array([given.unit(given.code_at(i)) for i in range(n)])
    try:
        values = list(given)
    except TypeError:
        raise TypeError(f"axis {name!r} must have {n} values, got {given!r}") from None
    if len(values) != n:
        raise ValueError(f"axis {name!r} must have {n} values, got {len(values)}")
    if any(isinstance(value, str | bool | np.bool_ | tuple) or value is None for value in values):
        return _grid_axis(name, Categorical(values), n)
    try:
        dimension = Ordinal(values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"axis {name!r}: {error}") from None
    u = np.empty(n)
    u[np.argsort(values, kind="stable")] = [dimension.unit(i) for i in range(n)]
    return Axis(name, dimension), u
