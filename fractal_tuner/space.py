"""Search spaces: what users write, unit coordinates, conditions, unions.

Every candidate has a *key*, a tuple with one entry per parameter of the space: the number itself
for :class:`Real` and :class:`Integer`, the position in the list for :class:`Ordinal` and
:class:`Categorical`, the probability for :class:`Quantile`, and None for an inactive parameter.
Keys are plain JSON, so choices may be any Python objects: they are told apart by position, never
by ``==``.
"""

from __future__ import annotations

import itertools
import math
import operator
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

Params = dict[str, Any]
Code = float | int
Key = tuple[Code | None, ...]

MAX_TABLE = 2**16  # finite dimensions up to this many values are searched value by value
_TAIL = 1e-3  # probability cut off at each infinite end of a distribution
_STEPS = 2**40  # probabilities are multiples of 2^-40, so that a value leads back to its own
_EMPTY = "the search space is empty; give it at least one dimension"
_TOO_CLOSE = 1e-12  # on the unit scale; positions of a list are then spaced evenly instead


class Dimension:
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

    def code(self, u: float) -> Code:
        """The code of the value nearest to unit coordinate ``u``."""
        raise NotImplementedError

    def unit(self, code: Code) -> float:
        """The unit coordinate of a code."""
        raise NotImplementedError

    def value(self, code: Code) -> Any:
        """What the user's objective receives for a code."""
        raise NotImplementedError

    def code_of(self, value: Any) -> Code:
        """The code of a user's value; ValueError if it is not in the dimension."""
        raise NotImplementedError

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

    def describe(self) -> dict[str, Any]:
        """The dimension as plain JSON, for the header of a journal."""
        raise NotImplementedError


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
        given = tuple(_sequence("Ordinal values", values))
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
        given = tuple(_sequence("Categorical choices", choices))
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

    Equal steps of the search have equal probability. Where the support is infinite, a thousandth
    of the probability is cut off at that end.

    Parameters
    ----------
    distribution : object with ``ppf``
        For example a frozen distribution of :mod:`scipy.stats`.

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
    _low: float = field(init=False, repr=False, compare=False)
    _high: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ends = self.value(0.0), self.value(1.0)
        object.__setattr__(self, "_low", 0.0 if math.isfinite(ends[0]) else _rounded(_TAIL))
        object.__setattr__(self, "_high", 1.0 if math.isfinite(ends[1]) else _rounded(1 - _TAIL))
        low, high = self.value(self._low), self.value(self._high)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"a distribution needs finite increasing quantiles, got {low}, {high}")

    def code(self, u: float) -> float:
        share = self._low + min(max(u, 0.0), 1.0) * (self._high - self._low)
        return min(max(_rounded(share), self._low), self._high)

    def unit(self, code: Code) -> float:
        return min(max((code - self._low) / (self._high - self._low), 0.0), 1.0)

    def value(self, code: Code) -> float:
        return float(self.distribution.ppf(float(code)))

    def code_of(self, value: Any) -> float:
        number = _number_of(value, self)
        low, high = self.value(self._low), self.value(self._high)
        if not low <= number <= high:
            raise ValueError(f"{value!r} is outside {low!r} .. {high!r}")
        # Not the distribution function: its rounding errors would lead to another probability.
        first, last = round(self._low * _STEPS), round(self._high * _STEPS)
        return (
            bisect_left(range(last), number, first, key=lambda i: self.value(i / _STEPS)) / _STEPS
        )

    def describe(self) -> dict[str, Any]:
        quarters = [self.value(self.code(q)) for q in (0.0, 0.25, 0.5, 0.75, 1.0)]
        return {"type": "Quantile", "quartiles": quarters}


@dataclass(frozen=True)
class Condition:
    """A parameter is active only while its parent has one of some values.

    ``parent`` is an index into ``SearchSpace.parameters``, ``positions`` are positions among the
    parent's values.
    """

    parent: int
    positions: frozenset[int]


@dataclass(frozen=True)
class Parameter:
    """One named dimension of a space, active only while all of its conditions hold.

    ``name`` is None for the hidden choice between the members of a union.
    """

    name: str | None
    dimension: Dimension
    conditions: tuple[Condition, ...] = ()


class SearchSpace:
    """All hyperparameters to search, with their conditions.

    Parameters
    ----------
    dimensions : mapping of str to dimension, or iterable of (str, dimension) pairs
        A dimension is a :class:`Real`, :class:`Integer`, :class:`Ordinal`, :class:`Categorical` or
        :class:`Quantile`, or what scikit-learn's searches take: a list of values (numbers become an
        :class:`Ordinal`, all else a :class:`Categorical`) or a frozen scipy distribution.
    conditions : mapping, optional
        ``{"degree": ("kernel", ("poly",))}``: ``degree`` is active only while ``kernel`` is active
        and one of ``("poly",)``. A list of such pairs means that all must hold.

    Attributes
    ----------
    parameters : tuple of Parameter
        Parents before the parameters that depend on them.
    names : tuple of str
        The users' names, in the order given.

    Raises
    ------
    TypeError, ValueError
        For an empty space, a name that is no string or appears twice, a dimension that is none,
        or a condition on an unknown parent or value.

    Examples
    --------
    >>> space = SearchSpace(
    ...     {"C": Real(0.1, 10, log=True), "kernel": ["rbf", "poly"], "degree": Integer(2, 4)},
    ...     conditions={"degree": ("kernel", ("poly",))},
    ... )
    >>> space.params(space.key_from_unit([0.5, 0.2, 0.9]))
    {'C': 1.0, 'kernel': 'rbf'}
    >>> SearchSpace({"a": [1, 2, 3], "b": ["x", "y"]}).size
    6
    """

    def __init__(
        self,
        dimensions: Mapping[str, Any] | Iterable[tuple[str, Any]],
        *,
        conditions: Mapping[str, Any] | None = None,
    ) -> None:
        named: dict[str, Dimension] = {}
        for name, given in _items(dimensions):
            if not isinstance(name, str):
                raise TypeError(f"names of dimensions must be str, got {name!r}")
            if name in named:
                raise ValueError(f"duplicate name in the search space: {name!r}")
            named[name] = as_dimension(name, given)
        if not named:
            raise ValueError(_EMPTY)
        if conditions is not None and not isinstance(conditions, Mapping):
            raise TypeError(f"conditions must be a mapping, got {conditions!r}")
        when = {name: _pairs(name, given) for name, given in (conditions or {}).items()}
        self._set(_ordered(named, when), tuple(named))

    def _set(self, parameters: Sequence[Parameter], names: tuple[str, ...]) -> None:
        self.parameters = tuple(parameters)
        self.names = names

    @classmethod
    def union(cls, spaces: Sequence[SearchSpace | Mapping[str, Any]]) -> SearchSpace:
        """One space whose candidates belong to any of several spaces.

        Parameters which several members define alike are shared, so that what one member learns
        about them helps the others. A member may be an empty mapping: a single candidate without
        parameters.

        Raises
        ------
        TypeError, ValueError
            If there is no member, or a member is no valid space.

        Examples
        --------
        >>> SearchSpace.union([{"kernel": ["linear"]}, {"kernel": ["rbf"], "gamma": [0.1, 1]}]).size
        3
        """
        if not spaces:
            raise ValueError(_EMPTY)
        if len(spaces) == 1 and spaces[0]:
            return as_space(spaces[0])
        members = [as_space(space).parameters if space else () for space in spaces]
        selector = Parameter(None, Categorical(range(len(members))))
        merged: list[Parameter] = [selector]
        owners: list[set[int]] = [set()]
        for member, parameters in enumerate(members):
            places: list[int] = []
            for parameter in parameters:
                conditions = tuple(
                    Condition(places[c.parent], c.positions) for c in parameter.conditions
                )
                moved = Parameter(parameter.name, parameter.dimension, conditions)
                alike = [
                    i for i, p in enumerate(merged) if i and p == moved and member not in owners[i]
                ]
                if not alike:
                    merged.append(moved)
                    owners.append(set())
                places.append(alike[0] if alike else len(merged) - 1)
                owners[places[-1]].add(member)
        union = cls.__new__(cls)
        union._set(
            [selector]
            + [
                Parameter(p.name, p.dimension, (Condition(0, frozenset(o)), *p.conditions))
                for p, o in zip(merged[1:], owners[1:], strict=True)
            ],
            tuple(dict.fromkeys(p.name for p in merged if p.name is not None)),
        )
        return union

    def __len__(self) -> int:
        return len(self.parameters)

    def __repr__(self) -> str:
        inside = ", ".join(
            f"{p.name}: {p.dimension}" for p in self.parameters if p.name is not None
        )
        return f"SearchSpace({{{inside}}})"

    @property
    def size(self) -> int | float:
        """How many different candidates there are: an exact int, or ``math.inf``."""
        return self.count()

    def count(self, axes: Sequence[Sequence[Code]] | None = None) -> int | float:
        """How many candidates have all their codes on ``axes``, one sequence per parameter.

        Nothing is listed: the count is exact and fast for any number of candidates. Without
        ``axes`` all values count.
        """
        return self._count(range(len(self)), {}, axes)

    def _count(
        self,
        indices: Sequence[int],
        codes: dict[int, Code | None],
        axes: Sequence[Sequence[Code]] | None,
    ) -> int | float:
        """The count over the parameters ``indices``, given the codes of others before them."""
        total: int | float = 1
        for first, *rest in self._independent(indices):
            if not self.is_active(first, codes):
                total = _product(total, self._count(rest, {**codes, first: None}, axes))
                continue
            dimension = self.parameters[first].dimension
            uses = [
                c.positions
                for i in rest
                for c in self.parameters[i].conditions
                if c.parent == first
            ]
            if not uses:
                n_values = dimension.n_values if axes is None else len(axes[first])
                total = _product(total, math.inf if n_values is None else n_values)
                continue
            # Values that switch the same children on are counted once and multiplied.
            alike: dict[tuple[bool, ...], list[Code]] = {}
            for code in self._axis(first, axes):
                position = dimension.index_of(code)
                alike.setdefault(tuple(position in use for use in uses), []).append(code)
            counts = [
                _product(len(same), self._count(rest, {**codes, first: same[0]}, axes))
                for same in alike.values()
            ]
            total = _product(total, math.inf if math.inf in counts else sum(counts))
        return total

    def _independent(self, indices: Sequence[int]) -> list[list[int]]:
        """``indices`` in groups without conditions between them; in each, parents come first."""
        groups: list[list[int]] = []
        for index in indices:
            parents = {c.parent for c in self.parameters[index].conditions}
            linked = [group for group in groups if not parents.isdisjoint(group)]
            groups = [group for group in groups if parents.isdisjoint(group)]
            groups.append(sorted({index, *itertools.chain(*linked)}))
        return groups

    def keys(self, axes: Sequence[Sequence[Code]] | None = None) -> Iterator[Key]:
        """All keys with their codes on ``axes``, lazily, each once; the last varies fastest.

        Raises
        ------
        ValueError
            If ``axes`` are not given and the space is not finite.
        """
        if axes is None and self.size == math.inf:
            raise ValueError("only a finite space can be listed")
        return self._keys(axes, ())

    def _keys(self, axes: Sequence[Sequence[Code]] | None, head: Key) -> Iterator[Key]:
        index = len(head)
        if index == len(self.parameters):
            yield head
        elif not self.is_active(index, head):
            yield from self._keys(axes, (*head, None))
        else:
            for code in self._axis(index, axes):
                yield from self._keys(axes, (*head, code))

    def _axis(self, index: int, axes: Sequence[Sequence[Code]] | None) -> Iterable[Code]:
        if axes is not None:
            return axes[index]
        dimension = self.parameters[index].dimension
        return map(dimension.code_at, range(dimension.n_values or 0))

    def is_active(self, index: int, key: Sequence[Code | None] | dict[int, Code | None]) -> bool:
        """Whether a parameter is active, given at least the entries before it in the key."""
        return all(
            (code := key[c.parent]) is not None
            and self.parameters[c.parent].dimension.index_of(code) in c.positions
            for c in self.parameters[index].conditions
        )

    def params(self, key: Key) -> Params:
        """The active parameters of a key, in the order in which the user named them."""
        values = {
            p.name: p.dimension.value(code)
            for p, code in zip(self.parameters, key, strict=True)
            if code is not None and p.name is not None
        }
        return {name: values[name] for name in self.names if name in values}

    def key(self, params: Mapping[str, Any]) -> Key:
        """The key of a user's parameters, the inverse of :meth:`params`.

        Where several members of a union have the same candidate, the first member's key.

        Raises
        ------
        ValueError
            If a parameter is unknown, missing, inactive or outside its dimension.
        """
        if unknown := [name for name in params if name not in self.names]:
            raise ValueError(f"unknown parameter {unknown[0]!r}; the space has {list(self.names)}")
        hidden = [index for index, p in enumerate(self.parameters) if p.name is None]
        choices = [range(self.parameters[index].dimension.n_values or 0) for index in hidden]
        problem = ""
        for members in itertools.product(*choices):
            try:
                return self._key(params, dict(zip(hidden, members, strict=True)))
            except ValueError as error:
                problem = str(error)
        raise ValueError(problem)

    def _key(self, params: Mapping[str, Any], members: Mapping[int, int]) -> Key:
        codes: list[Code | None] = []
        wanted = dict(params)
        for index, parameter in enumerate(self.parameters):
            name = parameter.name
            if not self.is_active(index, codes):
                codes.append(None)
            elif name is None:
                codes.append(members[index])
            elif name not in wanted:
                raise ValueError(f"parameter {name!r} is missing from {dict(params)!r}")
            else:
                try:
                    codes.append(parameter.dimension.code_of(wanted.pop(name)))
                except ValueError as error:
                    raise ValueError(f"parameter {name!r}: {error}") from None
        if wanted:
            raise ValueError(f"parameter {next(iter(wanted))!r} is not active in {dict(params)!r}")
        return tuple(codes)

    def key_from_unit(self, u: Sequence[float] | np.ndarray) -> Key:
        """The key of the candidate nearest to a point of the unit cube, shape (n_parameters,)."""
        codes: list[Code | None] = []
        for index, parameter in enumerate(self.parameters):
            active = self.is_active(index, codes)
            codes.append(parameter.dimension.code(float(u[index])) if active else None)
        return tuple(codes)

    def unit(self, key: Key) -> np.ndarray:
        """Unit coordinates of a key, shape (n_parameters,) float64; NaN where inactive."""
        return np.array(
            [
                math.nan if code is None else p.dimension.unit(code)
                for p, code in zip(self.parameters, key, strict=True)
            ]
        )

    def describe(self) -> list[dict[str, Any]]:
        """The space as plain JSON, one entry per parameter."""
        return [
            {
                "name": p.name,
                **p.dimension.describe(),
                "conditions": [[c.parent, sorted(c.positions)] for c in p.conditions],
            }
            for p in self.parameters
        ]


def as_space(given: Any) -> SearchSpace:
    """A search space from a space, a mapping, or a list of these (a union).

    Raises
    ------
    TypeError, ValueError
        If ``given`` is none of these, or no valid space.
    """
    if isinstance(given, SearchSpace):
        return given
    if isinstance(given, Mapping):
        return SearchSpace(given)
    if isinstance(given, Sequence) and not isinstance(given, str):
        for member in given:
            if not isinstance(member, Mapping | SearchSpace):
                raise TypeError(
                    f"a list of search spaces needs dicts or SearchSpace, got {member!r}"
                )
        return SearchSpace.union(given)
    raise TypeError(
        f"a search space must be a dict, a list of dicts or a SearchSpace, got {given!r}"
    )


def as_dimension(name: str, given: Any) -> Dimension:
    """A dimension from what users write for one: a dimension, a list, a frozen distribution.

    Raises
    ------
    TypeError, ValueError
        If ``given`` is none of these; the message names the dimension.
    """
    if isinstance(given, Dimension):
        return given
    try:
        if hasattr(given, "ppf"):
            return _from_distribution(given)
        if hasattr(given, "rvs"):
            raise TypeError("a distribution needs the method ppf to be searched")
        return _from_values(_sequence("a dimension that is no distribution with ppf", given))
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


def _from_distribution(given: Any) -> Dimension:
    family = getattr(given, "dist", given)
    if hasattr(family, "xk"):  # scipy's rv_discrete(values=...)
        return _from_values(family.xk.tolist())
    if hasattr(family, "pmf"):
        first, last = (
            int(end if math.isfinite(end) else given.ppf(q))
            for end, q in zip(given.support(), (_TAIL, 1 - _TAIL), strict=True)
        )
        return Integer(first, last) if first < last else Categorical([first])
    name = getattr(family, "name", "")
    if name in ("uniform", "loguniform", "reciprocal"):
        low, high = map(float, given.support())
        if name == "uniform":
            return Real(low, high)
        # With a loc the logarithm is that of another number, and the middle is elsewhere.
        if low > 0 and math.isclose(given.ppf(0.5), math.sqrt(low) * math.sqrt(high)):
            return Real(low, high, log=True)
    return Quantile(given)


def _items(dimensions: Any) -> Iterable[tuple[Any, Any]]:
    """The (name, dimension) pairs of a user's search space."""
    if isinstance(dimensions, Mapping):
        return dimensions.items()
    pairs = list(dimensions) if isinstance(dimensions, Iterable) else [dimensions]
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"a search space must be a mapping or (name, dimension) pairs, got {pair!r}"
            )
    return pairs


def _pairs(name: str, given: Any) -> list[tuple[str, list[Any]]]:
    """The (parent, values) pairs of one user's condition."""
    try:
        listed = [given] if isinstance(given, tuple) and isinstance(given[0], str) else list(given)
        return [(parent, list(_sequence("values", values))) for parent, values in listed]
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"the condition of {name!r} must be (parent, values) or a list of these, got {given!r}"
        ) from error


def _ordered(
    named: dict[str, Dimension], when: dict[str, list[tuple[str, list[Any]]]]
) -> list[Parameter]:
    """Parameters with parents first, otherwise in the order given."""
    for name, pairs in when.items():
        for unknown in [n for n in (name, *(parent for parent, _ in pairs)) if n not in named]:
            raise ValueError(f"unknown name {unknown!r} in conditions; the space has {list(named)}")
    places: dict[str, int] = {}
    parameters: list[Parameter] = []
    while len(places) < len(named):
        ready = [
            n for n in named if n not in places and all(p in places for p, _ in when.get(n, ()))
        ]
        if not ready:
            raise ValueError(
                f"conditions form a circle among {[n for n in named if n not in places]}"
            )
        name = ready[0]
        conditions = tuple(
            _condition(name, p, named[p], places[p], v) for p, v in when.get(name, ())
        )
        places[name] = len(parameters)
        parameters.append(Parameter(name, named[name], conditions))
    return parameters


def _condition(
    name: str, parent: str, dimension: Dimension, place: int, values: list[Any]
) -> Condition:
    if not dimension.is_table:
        raise ValueError(f"{name!r} cannot depend on {parent!r}: {dimension} has too many values")
    try:
        positions = frozenset(dimension.index_of(dimension.code_of(v)) for v in values)
    except ValueError as error:
        raise ValueError(f"the condition of {name!r} on {parent!r}: {error}") from error
    if not positions:
        raise ValueError(f"the condition of {name!r} on {parent!r} names no value")
    return Condition(place, positions)


def _sequence(what: str, given: Any) -> Sequence[Any]:
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


def _product(a: int | float, b: int | float) -> int | float:
    """``a * b`` of counts; an int may be too large to meet ``math.inf`` in a product."""
    return math.inf if math.inf in (a, b) else a * b


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
        return _finite_float(str(dimension), "a value", value)
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
