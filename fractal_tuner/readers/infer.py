"""A search space from the values that were tried."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fractal_tuner.dimensions import Categorical, Dimension, Integer, Ordinal, Real
from fractal_tuner.space import Params, SearchSpace

_MOST_STEPS = 1000  # different numbers that may still be a list
_LOG_RATIO = 100  # two decades


def infer_space(params: Iterable[Mapping[str, Any]]) -> SearchSpace:
    """The smallest search space that holds some candidates.

    A column of numbers that come back twice or more on average is an :class:`Ordinal`; of other
    integers an :class:`Integer`; of other numbers a :class:`Real`; of anything else, and of a
    single value, a :class:`Categorical`. The scale is logarithmic where positive values span more
    than two decades and are more evenly spread on it (in the distance of Kolmogorov and Smirnov
    from a uniform distribution). The bounds are the extremes that were tried.

    Parameters
    ----------
    params : iterable of mapping
        One per candidate. Where they differ in the names they have, the space is the union of one
        space per set of names.

    Examples
    --------
    >>> infer_space([{"C": 0.01, "k": "a"}, {"C": 0.5, "k": "b"}, {"C": 20.0, "k": "a"}])
    SearchSpace({C: Real(low=0.01, high=20.0, log=True), k: Categorical(choices=('a', 'b'))})
    """
    return space_of([dict(p) for p in params], {})[0]


def space_of(
    params: Sequence[Params], known: Mapping[str, Dimension]
) -> tuple[SearchSpace, list[Params]]:
    """A space that holds all candidates, and the candidates with one object for equal values.

    A ``known`` dimension is kept if all values are in it.
    """
    first: dict[tuple[str, Hashable], Any] = {}
    same = [{n: first.setdefault((n, _identity(v)), v) for n, v in p.items()} for p in params]
    columns: dict[str, list[Any]] = {}
    for p in same:
        for name, value in p.items():
            columns.setdefault(name, []).append(value)
    dimensions = {
        name: known[name] if name in known and _fits(known[name], values) else _dimension(values)
        for name, values in columns.items()
    }
    patterns = dict.fromkeys(tuple(n for n in columns if n in p) for p in same)
    if len(patterns) == 1 and dimensions:
        return SearchSpace(dimensions), same
    members = [{n: dimensions[n] for n in pattern} for pattern in patterns]
    return SearchSpace.union(members or [{}]), same


def _identity(value: Any) -> Hashable:
    """What equal values of one type share."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.shape, str(value.dtype), value.tobytes()
    if callable(value):
        return id(value)
    if isinstance(value, list | tuple | set | dict) or not _compares(value):
        return type(value), repr(value)  # contents, or what an estimator says of itself
    try:
        hash(value)
    except TypeError:
        return type(value), repr(value)
    return type(value), value


def _compares(value: Any) -> bool:
    """Whether its type says what is equal, rather than that only itself is."""
    return any("__eq__" in vars(cls) for cls in type(value).__mro__ if cls is not object)


def _fits(dimension: Dimension, values: Sequence[Any]) -> bool:
    try:
        for value in {id(v): v for v in values}.values():
            dimension.code_of(value)
    except ValueError:
        return False
    return True


def _dimension(values: Sequence[Any]) -> Dimension:
    """The dimension of a column; equal values are one object."""
    different = list({id(v): v for v in values}.values())
    numbers = [v.item() if isinstance(v, np.generic) else v for v in different]
    if not all(map(_is_finite_number, numbers)) or len(set(numbers)) < 2:
        return Categorical(different)
    ordered = sorted(set(numbers))
    integral = all(isinstance(v, int) for v in ordered)
    low, high = ordered[0], ordered[-1]
    if integral and high - low + 1 == len(ordered):
        return Integer(low, high)
    if 2 * len(ordered) <= len(values) and len(ordered) <= _MOST_STEPS:
        return Ordinal(ordered)
    log = _is_log_spread(ordered)
    return Integer(low, high, log) if integral else Real(low, high, log)


def _is_finite_number(value: Any) -> bool:
    try:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
    except OverflowError:  # an int beyond the largest float
        return True


def _is_log_spread(ordered: Sequence[float]) -> bool:
    low, high = ordered[0], ordered[-1]
    if low <= 0 or high <= _LOG_RATIO * low:
        return False
    middles = (np.arange(len(ordered)) + 0.5) / len(ordered)
    linear = [(v - low) / (high - low) for v in ordered]
    width = math.log(high) - math.log(low)
    log = [(math.log(v) - math.log(low)) / width for v in ordered]
    return bool(np.abs(log - middles).max() < np.abs(linear - middles).max())
