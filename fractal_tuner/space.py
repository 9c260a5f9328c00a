"""Search spaces: named dimensions, conditions between them, unions.

Every candidate has a *key*, a tuple with one entry per parameter of the space: the code of its
value, and None for an inactive parameter.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fractal_tuner.dimensions import Categorical, Code, Dimension, as_dimension, as_sequence

Params = dict[str, Any]
Key = tuple[Code | None, ...]

_EMPTY = "the search space is empty; give it at least one dimension"


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
        :class:`Ordinal`, all else a :class:`Categorical`) or a frozen scipy distribution (without
        the outermost thousandth of probability at each end, but for ``loguniform``, ``randint`` and
        ``rv_discrete(values=...)``).
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
    >>> from fractal_tuner import Integer, Real
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

    def key(self, params: Mapping[str, Any], *, ignore_others: bool = False) -> Key:
        """The key of a user's parameters, the inverse of :meth:`params`.

        Where several members of a union have the same candidate, the first member's key.

        Parameters
        ----------
        params : mapping
        ignore_others : bool
            Whether parameters that are unknown or inactive are ignored.

        Raises
        ------
        ValueError
            If a parameter is unknown, missing, inactive or outside its dimension.
        """
        if ignore_others:
            params = {name: params[name] for name in self.names if name in params}
        if unknown := [name for name in params if name not in self.names]:
            raise ValueError(f"unknown parameter {unknown[0]!r}; the space has {list(self.names)}")
        hidden = [index for index, p in enumerate(self.parameters) if p.name is None]
        choices = [range(self.parameters[index].dimension.n_values or 0) for index in hidden]
        problem = ""
        for members in itertools.product(*choices):
            try:
                return self._key(params, dict(zip(hidden, members, strict=True)), ignore_others)
            except ValueError as error:
                problem = str(error)
        raise ValueError(problem)

    def _key(
        self, params: Mapping[str, Any], members: Mapping[int, int], ignore_inactive: bool
    ) -> Key:
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
        if wanted and not ignore_inactive:
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
        return [(parent, list(as_sequence("values", values))) for parent, values in listed]
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


def _product(a: int | float, b: int | float) -> int | float:
    """``a * b`` of counts; an int may be too large to meet ``math.inf`` in a product."""
    return math.inf if math.inf in (a, b) else a * b
