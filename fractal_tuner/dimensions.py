"""Dimensions: what one hyperparameter may be, and the scale on which it is searched.

A *code* stands for a value: the number itself for :class:`Real` and :class:`Integer`, the position
in the list for :class:`Ordinal` and :class:`Categorical`, the probability for :class:`Quantile`.
Codes are plain JSON, so choices may be any Python objects: they are told apart by position, never
by ``==``.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

Code = float | int

MAX_TABLE = 2**16  # finite dimensions up to this many values are searched value by value
_TAIL = 1e-3  # probability cut off at each end of a distribution
_STEPS = 2**40  # probabilities are multiples of 2^-40, so that a value leads back to its own
_TOO_CLOSE = 1e-12  # on the unit scale; positions of a list are then spaced evenly instead


class Dimension(ABC):
    """What one hyperparameter may be: values, and where they lie on the search scale [0, 1].

    A *code* is a value's entry in the key of a candidate. Subclasses: :class:`Real`,
    :class:`Integer`, :class:`Ordinal`, :class:`Categorical`, :class:`Quantile`.
    """

    is_categorical = False

    @property
    def is_log(self) -> bool:
        """Whether the search scale is logarithmic."""
        return False

    @property
    def n_values(self) -> int | None:
        """How many values there are; None for a continuum."""
        return None

    @property
    def is_table(self) -> bool:
        """Whether the values are few enough to be searched one by one."""
        return self.n_values is not None and self.n_values <= MAX_TABLE

    @abstractmethod
    def code(self, u: float) -> Code:
        """The code of the value nearest to unit coordinate ``u``."""

    @abstractmethod
    def unit(self, code: Code) -> float:
        """The unit coordinate of a code."""

    @abstractmethod
    def value(self, code: Code) -> Any:
        """What the user's objective receives for a code."""

    @abstractmethod
    def code_of(self, value: Any) -> Code:
        """The code of a user's value; ValueError if it is not in the dimension."""

    def code_at(self, index: int) -> int:
        """The code of the value at a position 0 .. n_values - 1; finite dimensions only."""
        return index

    def index_of(self, code: Code) -> int:
        """The position 0 .. n_values - 1 of a code; finite dimensions only."""
        return int(code)

    def snap(self, u: np.ndarray) -> np.ndarray:
        """Unit coordinates of the values nearest to ``u``, any shape.

        The identity on a continuum, and where values are too dense for floats to tell apart.
        """
        return u

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The dimension as plain JSON, for the header of a journal."""


@dataclass(frozen=True)
class Real(Dimension):
    """A real number between ``low`` and ``high``, both included.

    Parameters
    ----------
    low, high : float
        Finite bounds, ``low < high``.
    log : bool, default=False
        Search on a logarithmic scale; needs ``low > 0``.

    Raises
    ------
    TypeError
        If a bound is not a number, or ``log`` is not a bool.
    ValueError
        If the bounds are not finite, not increasing, or not positive on a log scale.

    Examples
    --------
    >>> Real(1e-4, 1.0, log=True).code(0.5)
    0.01
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, _finite_float("Real", name, getattr(self, name)))
        object.__setattr__(self, "log", _checked_log("Real", self.low, self.high, self.log))

    @property
    def is_log(self) -> bool:
        return self.log

    def code(self, u: float) -> float:
        if u <= 0 or u >= 1:
            return self.low if u <= 0 else self.high
        if not self.log:
            value = (1 - u) * self.low + u * self.high
        elif self.high < 2 * self.low:
            value = self.low * math.exp(u * _log_ratio(self.high, self.low))
        else:  # decimal logarithms, so that grids meet the powers of ten exactly
            exponent = (1 - u) * math.log10(self.low) + u * math.log10(self.high)
            value = 10.0 ** min(exponent, 308.25)
        return min(max(value, self.low), self.high)

    def unit(self, code: Code) -> float:
        return _position(code, self.low, self.high, self.log)

    def value(self, code: Code) -> float:
        return float(code)

    def code_of(self, value: Any) -> float:
        number = _number_of(value, self)
        if not self.low <= number <= self.high:
            raise ValueError(f"{value!r} is outside {self}")
        return number

    def describe(self) -> dict[str, Any]:
        return {"type": "Real", "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True)
class Integer(Dimension):
    """An integer between ``low`` and ``high``, both included; of any size, always exact.

    Parameters
    ----------
    low, high : int
        Bounds, ``low < high``.
    log : bool, default=False
        Search on a logarithmic scale; needs ``low >= 1``.

    Raises
    ------
    TypeError
        If a bound is not an integer, or ``log`` is not a bool.
    ValueError
        If the bounds do not increase, or ``low < 1`` on a log scale.

    Examples
    --------
    >>> Integer(0, 10**30).code(0.5)
    500000000000000000000000000000
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if not _is_integer(value):
                raise TypeError(f"Integer needs an integer for {name}, got {value!r}")
            object.__setattr__(self, name, operator.index(value))
        object.__setattr__(self, "log", _checked_log("Integer", self.low, self.high, self.log))

    @property
    def is_log(self) -> bool:
        return self.log

    @property
    def n_values(self) -> int:
        return self.high - self.low + 1

    def code(self, u: float) -> int:
        if u <= 0 or u >= 1:
            return self.low if u <= 0 else self.high
        # Fractions are exact where a float product would lose the last digits.
        if not self.log:
            value = self.low + round(Fraction(float(u)) * (self.high - self.low))
        elif (x := u * _log_ratio(self.high, self.low)) < 1:
            value = self.low + round(Fraction(math.expm1(x)) * self.low)
        else:
            doublings = int(x / math.log(2))  # exp(x) itself may be beyond the largest float
            share = Fraction(math.exp(x - doublings * math.log(2)))
            value = round(self.low * share * 2**doublings)
        return min(max(value, self.low), self.high)

    def unit(self, code: Code) -> float:
        return _position(code, self.low, self.high, self.log)

    def value(self, code: Code) -> int:
        return int(code)

    def code_of(self, value: Any) -> int:
        if not _is_integer(value):
            raise ValueError(f"{value!r} is not an integer, as {self} needs")
        number = operator.index(value)
        if not self.low <= number <= self.high:
            raise ValueError(f"{value!r} is outside {self}")
        return number

    def code_at(self, index: int) -> int:
        return self.low + index

    def index_of(self, code: Code) -> int:
        return int(code) - self.low

    def snap(self, u: np.ndarray) -> np.ndarray:
        if self.high.bit_length() > 1000 or self.low.bit_length() > 1000:
            return u  # beyond floats
        if not self.log:
            span = float(self.high - self.low)
            return np.asarray(np.rint(u * span) / span)
        low, width = float(self.low), _log_ratio(self.high, self.low)
        return np.asarray(np.log1p(np.rint(low * np.expm1(u * width)) / low) / width)

    def describe(self) -> dict[str, Any]:
        return {"type": "Integer", "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True)
class Ordinal(Dimension):
    """One of several numbers that have an order, searched on their own scale.

    Parameters
    ----------
    values : sequence of numbers
        Different finite numbers in any order, at least two; they are handed out as they were given.
    log : bool or None, default=None
        Whether distances count on a logarithmic scale. None chooses it for positive values whose
        ratios are more alike than their differences. Values too close together for either scale
        are spaced evenly.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two values, or one is not a finite number, or appears twice.

    Examples
    --------
    >>> [Ordinal([1, 10, 100, 1000]).unit(i) for i in (0, 1, 3)]
    [0.0, 0.3333333333333333, 1.0]
    """

    values: tuple[Any, ...]
    log: bool | None = None
    _positions: np.ndarray = field(init=False, repr=False, compare=False)

    def __init__(self, values: Iterable[Any], log: bool | None = None) -> None:
        given = tuple(as_sequence("Ordinal values", values))
        for value in given:
            if not _is_finite_number(value):
                raise TypeError(f"Ordinal needs finite numbers, got {value!r}")
        ordered = tuple(sorted(given))
        if len(ordered) < 2 or any(a == b for a, b in itertools.pairwise(ordered)):
            raise ValueError(f"Ordinal needs at least two different numbers, got {_short(given)}")
        if log is None:
            log = _is_geometric(ordered)
        log = _checked_log("Ordinal", ordered[0], ordered[-1], log)
        positions = _positions(ordered, log)
        if np.min(np.diff(positions)) < _TOO_CLOSE:
            positions = np.linspace(0.0, 1.0, len(ordered))
        for name, value in (("values", ordered), ("log", log), ("_positions", positions)):
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Ordinal)
            and self.log == other.log
            and _all_same(self.values, other.values)
        )

    def __hash__(self) -> int:
        return hash((self.values, self.log))

    @property
    def is_log(self) -> bool:
        return bool(self.log)

    @property
    def n_values(self) -> int:
        return len(self.values)

    def code(self, u: float) -> int:
        return int(nearest(self._positions, np.array(u)))

    def unit(self, code: Code) -> float:
        return float(self._positions[int(code)])

    def value(self, code: Code) -> Any:
        return self.values[int(code)]

    def code_of(self, value: Any) -> int:
        if _is_number(value):
            for index, known in enumerate(self.values):
                if known == value:
                    return index
        raise ValueError(f"{value!r} is not one of {_short(self.values)}")

    def snap(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(self._positions[nearest(self._positions, u)])

    def describe(self) -> dict[str, Any]:
        return {"type": "Ordinal", "values": [_json_label(v) for v in self.values], "log": self.log}


@dataclass(frozen=True)
class Categorical(Dimension):
    """One of several choices without an order; any Python objects, told apart by their position.

    Parameters
    ----------
    choices : sequence
        At least one choice, at most 65536.

    Raises
    ------
    TypeError, ValueError
        If ``choices`` is a string or no sequence, is empty or too long.

    Examples
    --------
    >>> Categorical(["rbf", "poly"]).n_values
    2
    """

    choices: tuple[Any, ...]

    is_categorical = True

    def __init__(self, choices: Iterable[Any]) -> None:
        given = tuple(as_sequence("Categorical choices", choices))
        if not given:
            raise ValueError("Categorical needs at least one choice, got an empty sequence")
        if len(given) > MAX_TABLE:
            raise ValueError(f"Categorical takes at most {MAX_TABLE} choices, got {len(given)}")
        object.__setattr__(self, "choices", given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Categorical) and _all_same(self.choices, other.choices)

    def __hash__(self) -> int:
        return hash(("Categorical", len(self.choices)))

    @property
    def n_values(self) -> int:
        return len(self.choices)

    def code(self, u: float) -> int:
        return min(int(max(u, 0.0) * len(self.choices)), len(self.choices) - 1)

    def unit(self, code: Code) -> float:
        return (int(code) + 0.5) / len(self.choices)

    def value(self, code: Code) -> Any:
        return self.choices[int(code)]

    def code_of(self, value: Any) -> int:
        for same in (operator.is_, _same):
            for index, choice in enumerate(self.choices):
                if same(choice, value):
                    return index
        raise ValueError(f"{value!r} is not one of {_short(self.choices)}")

    def describe(self) -> dict[str, Any]:
        return {"type": "Categorical", "choices": [_json_label(c) for c in self.choices]}


class Distribution(Protocol):
    """A probability distribution, as far as a search needs it."""

    def ppf(self, q: float, /) -> Any:
        """The value below which a share ``q`` of the probability lies."""


@dataclass(frozen=True)
class Quantile(Dimension):
    """A number searched on the scale of a continuous distribution's probabilities.

    Equal steps of the search have equal probability. A thousandth of it is cut off at each end: the
    end of a support may be infinite, or, like the zero of an exponential distribution, not allowed
    where its values are; random search never draws it.

    Parameters
    ----------
    distribution : object with ``ppf``
        For example a frozen distribution of :mod:`scipy.stats`.
    keep_ends : bool, default=False
        Whether nothing is cut off at finite ends.

    Raises
    ------
    ValueError
        If the distribution's quantiles are not finite and increasing.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> dimension = Quantile(norm(loc=3))
    >>> dimension.value(dimension.code(0.5))
    3.0
    """

    distribution: Distribution
    keep_ends: bool = False
    _low: float = field(init=False, repr=False, compare=False)
    _high: float = field(init=False, repr=False, compare=False)
    _ends: tuple[float, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, end, inner in (("_low", 0.0, _TAIL), ("_high", 1.0, 1 - _TAIL)):
            is_kept = self.keep_ends and math.isfinite(self.value(end))
            object.__setattr__(self, name, end if is_kept else _rounded(inner))
        low, high = self.value(self._low), self.value(self._high)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"a distribution needs finite increasing quantiles, got {low}, {high}")
        object.__setattr__(self, "_ends", (low, high))

    def code(self, u: float) -> float:
        share = self._low + min(max(u, 0.0), 1.0) * (self._high - self._low)
        return min(max(_rounded(share), self._low), self._high)

    def unit(self, code: Code) -> float:
        return min(max((code - self._low) / (self._high - self._low), 0.0), 1.0)

    def value(self, code: Code) -> float:
        return float(self.distribution.ppf(float(code)))

    def code_of(self, value: Any) -> float:
        number = _number_of(value, self)
        low, high = self._ends
        if not low <= number <= high:
            raise ValueError(f"{value!r} is outside {low!r} .. {high!r}")
        # The quantiles decide: rounding errors of the distribution function would lead to another
        # probability. It is near, though, and saves most of them.
        first, last = round(self._low * _STEPS), round(self._high * _STEPS)
        if hasattr(self.distribution, "cdf"):
            first, last = self._around(round(float(self.distribution.cdf(number)) * _STEPS), number)
        return (
            bisect_left(range(last), number, first, key=lambda i: self.value(i / _STEPS)) / _STEPS
        )

    def _around(self, guess: int, number: float) -> tuple[int, int]:
        """Steps near a guess whose values have a number between them."""
        first, last = round(self._low * _STEPS), round(self._high * _STEPS)
        low = high = min(max(guess, first), last)
        reach = 1
        while low > first and self.value((low - 1) / _STEPS) >= number:
            low, reach = max(low - reach, first), 2 * reach
        while high < last and self.value(high / _STEPS) < number:
            high, reach = min(high + reach, last), 2 * reach
        return low, high

    def describe(self) -> dict[str, Any]:
        quarters = [self.value(self.code(q)) for q in (0.0, 0.25, 0.5, 0.75, 1.0)]
        return {"type": "Quantile", "quartiles": quarters}


def as_dimension(name: str, given: Any, *, keep_ends: bool = False) -> Dimension:
    """A dimension from what users write for one: a dimension, a list, a frozen distribution.

    With ``keep_ends``, nothing is cut off at the finite ends of a distribution.

    Raises
    ------
    TypeError, ValueError
        If ``given`` is none of these; the message names the dimension.
    """
    if isinstance(given, Dimension):
        return given
    try:
        if hasattr(given, "ppf"):
            return _from_distribution(given, keep_ends)
        if hasattr(given, "rvs"):
            raise TypeError("a distribution needs the method ppf to be searched")
        return _from_values(
            as_sequence("a dimension that is no Real, Integer, ... or distribution", given)
        )
    except TypeError as error:
        raise TypeError(f"dimension {name!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"dimension {name!r}: {error}") from error


def nearest(positions: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Indices of the increasing ``positions``, shape (k,), nearest to each of ``u``, any shape."""
    return np.asarray(np.searchsorted((positions[1:] + positions[:-1]) / 2, u))


def _from_values(values: Sequence[Any]) -> Dimension:
    if not values:
        raise ValueError("a list of values needs at least one")
    if isinstance(values, range) and abs(values.step) == 1 and values[0] != values[-1]:
        low, high = sorted((values[0], values[-1]))
        return Integer(low, high)  # never listed, whatever its length
    if len(values) > 1 and all(map(_is_finite_number, values)) and len(set(values)) == len(values):
        return Ordinal(values)
    return Categorical(values)


def _from_distribution(given: Any, keep_ends: bool) -> Dimension:
    family = getattr(given, "dist", given)
    if hasattr(family, "xk"):  # scipy's rv_discrete(values=...), perhaps with a loc
        return _from_values((family.xk + (given.support()[0] - family.support()[0])).tolist())
    name = getattr(family, "name", "")
    if name == "uniform" or hasattr(family, "pmf"):
        is_whole = keep_ends or name == "randint"
        low, high = (
            end if is_whole and math.isfinite(end) else given.ppf(share)
            for end, share in zip(given.support(), (_TAIL, 1 - _TAIL), strict=True)
        )
        if name == "uniform":
            return Real(float(low), float(high))
        return Integer(int(low), int(high)) if low < high else Categorical([int(low)])
    if name in ("loguniform", "reciprocal"):
        low, high = map(float, given.support())
        # With a loc the logarithm is that of another number, and the middle is elsewhere.
        if low > 0 and math.isclose(given.ppf(0.5), math.sqrt(low) * math.sqrt(high)):
            return Real(low, high, log=True)
    return Quantile(given, keep_ends)


def as_sequence(what: str, given: Any) -> Sequence[Any]:
    """``given`` if it is a sequence, a 1-d array as a list; TypeError, naming it, if neither."""
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return list(given)
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise TypeError(f"{what} must be a list, tuple, range or 1-d array, got {given!r}")
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_finite_number(value: Any) -> bool:
    try:
        return _is_number(value) and math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def _is_integer(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool | np.bool_ | np.ndarray)


def _same(a: Any, b: Any) -> bool:
    """Whether two choices are one: the same object, or equal scalars (or tuples) of one type."""
    a, b = (x.item() if isinstance(x, np.generic) else x for x in (a, b))
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple | list):
        return _all_same(a, b)
    return isinstance(a, str | bytes | bool | int | float) and a == b


def _all_same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(map(_same, a, b))


def _is_geometric(ordered: Sequence[Any]) -> bool:
    """Whether positive increasing numbers are spaced more evenly in ratio than in difference."""
    if ordered[0] <= 0 or len(ordered) < 3:
        return bool(ordered[0] > 0 and ordered[-1] / ordered[0] >= 10)
    linear, log = (np.std(np.diff(_positions(ordered, scale))) for scale in (False, True))
    return bool(log < linear - 1e-9 / len(ordered))


def _positions(ordered: Sequence[Any], log: bool) -> np.ndarray:
    return np.array([_position(value, ordered[0], ordered[-1], log) for value in ordered])


def _position(value: Code, low: Code, high: Code, log: bool) -> float:
    """Where ``value`` lies between ``low`` (0) and ``high`` (1)."""
    if log:
        return _log_ratio(value, low) / _log_ratio(high, low)
    if isinstance(value, int) or math.isfinite(high - low):
        return float((value - low) / (high - low))
    return (value / 2 - low / 2) / (high / 2 - low / 2)


def _log_ratio(a: Code, b: Code) -> float:
    """``log(a / b)`` of ``a >= b > 0``, to the last digits also where they are close."""
    return math.log1p((a - b) / b) if a < 2 * b else math.log(a) - math.log(b)


def _rounded(probability: float) -> float:
    return round(probability * _STEPS) / _STEPS


def _checked_log(kind: str, low: Any, high: Any, log: Any) -> bool:
    if not isinstance(log, bool | np.bool_):
        raise TypeError(f"{kind} needs True or False for log, got {log!r}")
    if not low < high:
        raise ValueError(f"{kind} needs low < high, got low={low!r}, high={high!r}")
    if log and low <= 0:
        raise ValueError(f"{kind} with log=True needs positive numbers, got low={low!r}")
    return bool(log)


def _finite_float(kind: str, name: str, value: Any) -> float:
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)
    except TypeError:
        raise TypeError(f"{kind} needs a number for {name}, got {value!r}") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{kind} needs a finite {name}, got {value!r}")
    return number


def _number_of(value: Any, dimension: Dimension) -> float:
    try:
        return _finite_float(str(dimension), "value", value)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _short(values: tuple[Any, ...]) -> str:
    """The values as an error message shows them."""
    return repr(values) if len(values) <= 20 else f"{values[:20]!r} and {len(values) - 20} more"


def _json_label(value: Any) -> Any:
    """A choice as JSON: a plain scalar itself, else its type, as a repr may hold addresses."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, tuple | list) and all(
        v is None or isinstance(v, str | int | float | bool) for v in value
    ):
        return repr(value)
    if hasattr(value, "__qualname__"):  # a function, a class
        return f"<{value.__module__}.{value.__qualname__}>"
    return f"<{type(value).__module__}.{type(value).__qualname__} object>"
