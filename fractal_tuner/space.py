"""Search spaces: what users write, unit coordinates, conditions, unions.

Every candidate has a *key*, a tuple with one entry per parameter of the space: the number itself for
:class:`Real` and :class:`Integer`, the position in the list for :class:`Ordinal` and
:class:`Categorical`, the probability for :class:`Quantile`, and None for an inactive parameter. Keys are
plain JSON, so choices may be any Python objects: they are told apart by position, never by ``==``.
"""

from __future__ import annotations

import math
import operator
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


class Dimension:
    """What one hyperparameter may be: values, and where they lie on the search scale [0, 1].

    A *code* is a value's entry in the key of a candidate. Subclasses: :class:`Real`, :class:`Integer`,
    :class:`Ordinal`, :class:`Categorical`, :class:`Quantile`.
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
        """Unit coordinates of the values nearest to ``u``, any shape; the identity on a continuum."""
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
        _check_bounds("Real", self.low, self.high, self.log)

    @property
    def is_log(self) -> bool:
        return self.log

    def code(self, u: float) -> float:
        if self.log:
            value = math.exp((1 - u) * math.log(self.low) + u * math.log(self.high))
        else:
            value = (1 - u) * self.low + u * self.high
        return self.low if u <= 0 else self.high if u >= 1 else min(max(value, self.low), self.high)

    def unit(self, code: Code) -> float:
        return _position(code, self.low, self.high, self.log)

    def value(self, code: Code) -> float:
        return float(code)

    def code_of(self, value: Any) -> float:
        number = _finite_float("a Real value", "value", value)
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
        If a bound is not an integer.
    ValueError
        If the bounds do not increase, or ``low < 1`` on a log scale.

    Examples
    --------
    >>> Integer(1, 10**30).code(0.5)
    500000000000000000000000000000
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, operator.index(value))
            except TypeError:
                raise TypeError(f"Integer needs an integer for {name}, got {value!r}") from None
        _check_bounds("Integer", self.low, self.high, self.log)

    @property
    def is_log(self) -> bool:
        return self.log

    @property
    def n_values(self) -> int:
        return self.high - self.low + 1

    def code(self, u: float) -> int:
        if u <= 0 or u >= 1:
            return self.low if u <= 0 else self.high
        if self.log:
            value = round(math.exp((1 - u) * math.log(self.low) + u * math.log(self.high)))
        else:  # exact where a float product would lose the last digits
            value = self.low + round(Fraction(u) * (self.high - self.low))
        return min(max(value, self.low), self.high)

    def unit(self, code: Code) -> float:
        return _position(code, self.low, self.high, self.log)

    def value(self, code: Code) -> int:
        return int(code)

    def code_of(self, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            raise ValueError(f"{value!r} is not an integer, as {self} needs") from None
        if not self.low <= number <= self.high:
            raise ValueError(f"{value!r} is outside {self}")
        return number

    def code_at(self, index: int) -> int:
        return self.low + index

    def index_of(self, code: Code) -> int:
        return int(code) - self.low

    def snap(self, u: np.ndarray) -> np.ndarray:
        if not self.log:
            return np.rint(u * (span := float(self.high - self.low))) / span
        low, width = float(self.low), math.log(self.high) - math.log(self.low)
        return np.asarray(np.log(np.rint(low * np.exp(u * width)) / low) / width)

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
        ratios are more alike than their differences.

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
        if any(not _is_number(v) or not math.isfinite(v) for v in given):
            raise TypeError(f"Ordinal needs finite numbers, got {given!r}")
        ordered = tuple(sorted(given))
        if len(ordered) < 2 or any(a == b for a, b in zip(ordered, ordered[1:], strict=False)):
            raise ValueError(f"Ordinal needs at least two different numbers, got {given!r}")
        if log and ordered[0] <= 0:
            raise ValueError(f"Ordinal with log=True needs positive numbers, got {ordered[0]!r}")
        log = _is_geometric(ordered) if log is None else log
        low, high = ordered[0], ordered[-1]
        for name, value in (
            ("values", ordered),
            ("log", log),
            ("_positions", np.array([_position(v, low, high, log) for v in ordered])),
        ):
            object.__setattr__(self, name, value)

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
        raise ValueError(f"{value!r} is not one of {self.values!r}")

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
        At least one choice.

    Raises
    ------
    TypeError, ValueError
        If ``choices`` is a string or no sequence, or is empty.

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
        object.__setattr__(self, "choices", given)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Categorical)
            and len(self.choices) == len(other.choices)
            and all(map(_same, self.choices, other.choices))
        )

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
        raise ValueError(f"{value!r} is not one of {self.choices!r}")

    def describe(self) -> dict[str, Any]:
        return {"type": "Categorical", "choices": [_json_label(c) for c in self.choices]}


class Distribution(Protocol):
    """A probability distribution, as far as a search needs it."""

    def ppf(self, q: float, /) -> Any:
        """The value below which a share ``q`` of the probability lies."""

    def cdf(self, x: Any, /) -> Any:
        """The share of the probability at or below ``x``."""


@dataclass(frozen=True)
class Quantile(Dimension):
    """A number searched on the scale of a continuous distribution's probabilities.

    Equal steps of the search have equal probability. Where the support is infinite, a thousandth of the
    probability is cut off at that end.

    Parameters
    ----------
    distribution : object with ``ppf`` and ``cdf``
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
        ends = float(self.distribution.ppf(0.0)), float(self.distribution.ppf(1.0))
        object.__setattr__(self, "_low", 0.0 if math.isfinite(ends[0]) else _TAIL)
        object.__setattr__(self, "_high", 1.0 if math.isfinite(ends[1]) else 1 - _TAIL)
        if not self.value(self._low) < self.value(self._high) < math.inf:
            raise ValueError(f"a distribution needs finite increasing quantiles, got {ends}")

    def code(self, u: float) -> float:
        return self._low + min(max(u, 0.0), 1.0) * (self._high - self._low)

    def unit(self, code: Code) -> float:
        return min(max((code - self._low) / (self._high - self._low), 0.0), 1.0)

    def value(self, code: Code) -> float:
        return float(self.distribution.ppf(float(code)))

    def code_of(self, value: Any) -> float:
        number = _finite_float("a Quantile value", "value", value)
        code = min(max(float(self.distribution.cdf(number)), self._low), self._high)
        low, high = self.value(self._low), self.value(self._high)
        if not low <= number <= high:
            raise ValueError(f"{value!r} is outside {low!r} .. {high!r}")
        return code

    def describe(self) -> dict[str, Any]:
        quarters = [self.value(self.code(q)) for q in (0.0, 0.25, 0.5, 0.75, 1.0)]
        return {"type": "Quantile", "quartiles": quarters}


@dataclass(frozen=True)
class Condition:
    """A parameter is active only while its parent has one of some values.

    ``parent`` is an index into ``SearchSpace.parameters``, ``positions`` are positions among the parent's
    values.
    """

    parent: int
    positions: frozenset[int]


@dataclass(frozen=True)
class Parameter:
    """One named dimension of a space and the conditions, all of which must hold, for it to be active.

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
        ``{"degree": ("kernel", ("poly",))}``: ``degree`` is active only while ``kernel`` is one of
        ``("poly",)``. A list of such pairs means that all must hold.

    Attributes
    ----------
    parameters : tuple of Parameter
        Parents before the parameters that depend on them.
    names : tuple of str
        The users' names, in the order given.

    Raises
    ------
    TypeError, ValueError
        For an empty space, a name that is no string or appears twice, a dimension that is none, or a
        condition on an unknown parent or value.

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
        pairs = list(dimensions.items() if isinstance(dimensions, Mapping) else dimensions)
        if not pairs:
            raise ValueError("the search space is empty; give it at least one dimension")
        named: dict[str, Dimension] = {}
        for name, given in pairs:
            if not isinstance(name, str):
                raise TypeError(f"names of dimensions must be str, got {name!r}")
            if name in named:
                raise ValueError(f"duplicate name in the search space: {name!r}")
            named[name] = as_dimension(name, given)
        when = {name: _pairs(name, given) for name, given in (conditions or {}).items()}
        self._set(_ordered(named, when), tuple(named))

    def _set(self, parameters: Sequence[Parameter], names: tuple[str, ...]) -> None:
        self.parameters = tuple(parameters)
        self.names = names

    @classmethod
    def union(cls, spaces: Sequence[SearchSpace | Mapping[str, Any]]) -> SearchSpace:
        """One space whose candidates belong to any of several spaces.

        Parameters which several members define alike are shared, so that what one member learns about
        them helps the others. A member may be an empty mapping: a single candidate without parameters.

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
            raise ValueError("the search space is empty; give it at least one dimension")
        members = [
            s.parameters if isinstance(s, cls) else cls(s).parameters if s else () for s in spaces
        ]
        if len(members) == 1 and members[0]:
            return as_space(spaces[0])
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

        Nothing is listed: the count is exact and fast for any number of candidates. Without ``axes`` all
        values count.
        """
        return self._count(axes, ())

    def _count(self, axes: Sequence[Sequence[Code]] | None, head: Key) -> int | float:
        index = len(head)
        if index == len(self.parameters):
            return 1
        if not self.is_active(index, head):
            return self._count(axes, (*head, None))
        dimension = self.parameters[index].dimension
        uses = [c.positions for p in self.parameters for c in p.conditions if c.parent == index]
        if not uses:
            n_values = dimension.n_values if axes is None else len(axes[index])
            rest = self._count(axes, (*head, None))
            return math.inf if n_values is None else n_values * rest
        # Values that switch the same children on are counted once and multiplied.
        groups: dict[tuple[bool, ...], list[Code]] = {}
        for code in self._axis(index, axes):
            position = dimension.index_of(code)
            groups.setdefault(tuple(position in use for use in uses), []).append(code)
        return sum(len(g) * self._count(axes, (*head, g[0])) for g in groups.values())

    def keys(self, axes: Sequence[Sequence[Code]] | None = None) -> Iterator[Key]:
        """All keys with their codes on ``axes``, lazily, each once; the last parameter varies fastest.

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

    def is_active(self, index: int, key: Sequence[Code | None]) -> bool:
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

        Raises
        ------
        ValueError
            If a parameter is unknown, missing, inactive or outside its dimension.
        """
        if unknown := [name for name in params if name not in self.names]:
            raise ValueError(f"unknown parameter {unknown[0]!r}; the space has {list(self.names)}")
        members: Iterable[int | None] = (None,)
        if self.parameters[0].name is None:
            members = range(self.parameters[0].dimension.n_values or 0)
        problem = ""
        for member in members:
            try:
                return self._key(params, member)
            except ValueError as error:
                problem = str(error)
        raise ValueError(problem)

    def _key(self, params: Mapping[str, Any], member: int | None) -> Key:
        codes: list[Code | None] = []
        wanted = dict(params)
        for index, parameter in enumerate(self.parameters):
            if parameter.name is None:
                codes.append(member)
            elif not self.is_active(index, codes):
                codes.append(None)
            elif parameter.name not in wanted:
                raise ValueError(f"parameter {parameter.name!r} is missing from {dict(params)!r}")
            else:
                codes.append(parameter.dimension.code_of(wanted.pop(parameter.name)))
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
    """A dimension from what users write for one: a dimension, a list of values, a frozen distribution.

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
        values = list(_sequence("a list of values", given))
    except (TypeError, ValueError) as error:
        raise type(error)(f"dimension {name!r}: {error}") from error
    if not values:
        raise ValueError(f"dimension {name!r} has no values; a list of values needs at least one")
    is_scale = len(values) > 1 and all(_is_number(v) and math.isfinite(v) for v in values)
    if is_scale and len(set(values)) == len(values):
        return Ordinal(values)
    return Categorical(values)


def nearest(positions: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Indices of the increasing ``positions``, shape (k,), nearest to each of ``u``, any shape."""
    return np.asarray(np.searchsorted((positions[1:] + positions[:-1]) / 2, u))


def _from_distribution(given: Any) -> Dimension:
    family = getattr(getattr(given, "dist", None), "name", "")
    if family in ("uniform", "loguniform", "reciprocal"):
        low, high = map(float, given.support())
        shifted = family != "uniform" and given.ppf(0.5) / math.sqrt(low * high) - 1 > 1e-9
        if not shifted:
            return Real(low, high, log=family != "uniform")
    if hasattr(getattr(given, "dist", None), "pmf"):
        low, high = (
            int(end if math.isfinite(end) else given.ppf(q))
            for end, q in zip(given.support(), (_TAIL, 1 - _TAIL), strict=True)
        )
        return Integer(low, high) if low < high else Categorical([low])
    return Quantile(given)


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


def _sequence(what: str, given: Any) -> Iterable[Any]:
    if isinstance(given, np.ndarray) and given.ndim == 1:
        return list(given)
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise TypeError(f"{what} must be a list, tuple, range or 1-d array, got {given!r}")
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _same(a: Any, b: Any) -> bool:
    """Whether two choices are one: the same object, or equal scalars of one type."""
    scalar = isinstance(a, str | bytes | bool | int | float | np.generic)
    return a is b or (scalar and type(a) is type(b) and bool(a == b))


def _is_geometric(ordered: Sequence[Any]) -> bool:
    """Whether positive increasing numbers are spaced more evenly in ratio than in difference."""
    if ordered[0] <= 0 or len(ordered) < 3:
        return len(ordered) == 2 and ordered[0] > 0 and ordered[1] / ordered[0] >= 10
    linear, logs = np.diff(np.float64(ordered)), np.diff(np.log(np.float64(ordered)))
    return bool(np.std(logs) / np.mean(logs) < np.std(linear) / np.mean(linear) - 1e-9)


def _position(value: Code, low: Code, high: Code, log: bool) -> float:
    if log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    if isinstance(value, int):
        return (value - low) / (high - low)
    return (value / 2 - low / 2) / (high / 2 - low / 2)  # halves: high - low may overflow


def _check_bounds(kind: str, low: Code, high: Code, log: bool) -> None:
    if not low < high:
        raise ValueError(f"{kind} needs low < high, got low={low!r}, high={high!r}")
    if log and low <= 0:
        raise ValueError(f"{kind} with log=True needs low > 0, got low={low!r}")


def _finite_float(kind: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{kind} needs a number for {name}, got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{kind} needs a finite {name}, got {value!r}")
    return number


def _json_label(value: Any) -> Any:
    """A choice as JSON: itself if it is a plain scalar, else its type (a repr may hold addresses)."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, tuple | list) and all(
        isinstance(v, str | int | float | bool) for v in value
    ):
        return repr(value)
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
