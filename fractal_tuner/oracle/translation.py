"""Keras Tuner's hyperparameters <-> parameters of a search space."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fractal_tuner.dimensions import Dimension
from fractal_tuner.hyperparameters import dimension_of
from fractal_tuner.space import Params, SearchSpace


def space_from_hyperparameters(hyperparameters: Any) -> SearchSpace:
    """The search space of Keras Tuner's ``HyperParameters``, conditional scopes included.

    Where one name stands under several conditions, the later ones carry theirs in their name.
    Entries that depend on a continuous parent are left out; they keep their defaults. An Int with
    sampling "reverse_log" is searched on a linear scale.

    Parameters
    ----------
    hyperparameters : keras_tuner.HyperParameters

    Returns
    -------
    SearchSpace

    Examples
    --------
    >>> import keras_tuner
    >>> hp = keras_tuner.HyperParameters()
    >>> kind = hp.Choice("kind", ["mlp", "cnn"])
    >>> with hp.conditional_scope("kind", ["mlp"]):
    ...     units = hp.Int("units", 16, 64, step=16)
    >>> space_from_hyperparameters(hp).size
    5
    """
    return Translation(hyperparameters.space).space


@dataclass(frozen=True)
class _Entry:
    """One hyperparameter in the search space: its name there, and the parents' values it needs."""

    name: str
    hp: Any
    dimension: Dimension
    when: dict[str, list[Any]]


class Translation:
    """Keras Tuner's values <-> parameters of a search space."""

    def __init__(self, space: Iterable[Any]) -> None:
        self._hps = parents_first(space)
        self._entries: list[_Entry] = []
        for hp in self._hps:
            dimension = dimension_of(type(hp).__name__, hp.get_config())
            for when in self._scopes(hp):
                # Of entries with one name that can be active together, the first one is searched.
                if not any(
                    _both(e.when, when) is not None for e in self._entries if e.hp.name == hp.name
                ):
                    self._entries.append(_Entry(self._new_name(hp), hp, dimension, when))
        self.space = (
            SearchSpace(
                {e.name: e.dimension for e in self._entries},
                conditions={e.name: [*e.when.items()] for e in self._entries},
            )
            if self._entries
            else SearchSpace.union([{}])  # a single candidate without parameters
        )

    def values(self, params: Params) -> Params:
        """Keras Tuner's active values of a candidate."""
        found = {e.hp.name: params[e.name] for e in self._entries if e.name in params}
        return active_values(self._hps, found)

    def params(self, values: Params) -> Params:
        """The candidate of Keras Tuner's values; entries found later have their defaults."""
        found = active_values(self._hps, values)
        params: Params = {}
        for entry in self._entries:
            if all(
                parent in params and params[parent] in some for parent, some in entry.when.items()
            ):
                params[entry.name] = found.get(entry.hp.name)
        return params

    def _scopes(self, hp: Any) -> list[dict[str, list[Any]]]:
        """The conditions of an entry in the search space, one scope for each way to meet them."""
        scopes: list[dict[str, list[Any]]] = [{}]
        for condition in hp.conditions:
            ways = []
            for parent in (e for e in self._entries if e.hp.name == condition.name):
                if (size := parent.dimension.n_values) is not None and parent.dimension.is_table:
                    known = (
                        parent.dimension.value(parent.dimension.code_at(i)) for i in range(size)
                    )
                    some = [value for value in known if value in condition.values]
                    ways.append({**parent.when, parent.name: some})
            pairs = itertools.product(scopes, ways)
            scopes = [scope for pair in pairs if (scope := _both(*pair)) is not None]
        return scopes

    def _new_name(self, hp: Any) -> str:
        """A name of its own: that of the entry, with its condition and a number where needed."""
        taken = {e.name for e in self._entries} | {h.name for h in self._hps} - {hp.name}
        scope = ", ".join(f"{c.name}={'|'.join(map(str, c.values))}" for c in hp.conditions)
        name, number = str(hp.name), 1
        while name in taken:
            name = f"{hp.name} ({scope})" if number == 1 else f"{hp.name} ({scope}, {number})"
            number += 1
        return name


def _both(a: dict[str, list[Any]], b: dict[str, list[Any]]) -> dict[str, list[Any]] | None:
    """What holds when two scopes hold; None if they exclude each other."""
    both = {**a, **b, **{name: [v for v in a[name] if v in b[name]] for name in a if name in b}}
    return both if all(both.values()) else None


def parents_first(space: Iterable[Any]) -> list[Any]:
    """Hyperparameters with parents before children; gRPC sorts them by type."""
    left, ordered = list(space), []
    while left:
        names = {hp.name for hp in left}
        free = (
            hp
            for hp in left
            if not any(c.name in names and c.name != hp.name for c in hp.conditions)
        )
        ordered.append(next(free, left[0]))
        left = [hp for hp in left if hp is not ordered[-1]]
    return ordered


def active_values(hps: Iterable[Any], values: Mapping[str, Any]) -> Params:
    """The values of the active ones of ``hps`` (parents first), defaults where there are none."""
    active: Params = {}
    for hp in hps:
        if hp.name not in active and all(c.is_active(active) for c in hp.conditions):
            active[hp.name] = values.get(hp.name, hp.default)
    return active
