"""Keras Tuner, and what of it has to be mended before it can be built on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras_tuner

# Private (since 1.4.7): `synchronized` keeps its lock for ever after an exception; see alone.
from keras_tuner.src.engine.oracle import LOCKS, THREADS

from fractal_tuner.oracle.translation import active_values, parents_first


class Hyperparameters(keras_tuner.HyperParameters):
    """Hyperparameters whose missing values are their defaults.

    Keras Tuner draws them without a seed, and loses the value of a name with two conditions.
    """

    @classmethod
    def of(cls, hyperparameters: Any) -> Hyperparameters:
        """The same hyperparameters with the safe methods; themselves if they have them."""
        if not isinstance(hyperparameters, cls):
            hyperparameters = cls.from_config(hyperparameters.get_config())
        return hyperparameters  # type: ignore[no-any-return]

    def copy(self) -> Hyperparameters:
        return type(self).from_config(self.get_config())  # type: ignore[no-any-return]

    def ensure_active_values(self) -> None:
        names = {hp.name for hp in self.space}
        strangers = {name: value for name, value in self.values.items() if name not in names}
        active = active_values(parents_first(self.space), self.values)
        self.values.clear()
        self.values.update(strangers | active)


@contextmanager
def alone(oracle: keras_tuner.Oracle) -> Iterator[None]:
    """Hold Keras Tuner's lock of an oracle, and give it back whatever happens."""
    name = threading.current_thread().name
    if THREADS[oracle] == name:
        yield
        return
    with LOCKS[oracle]:
        THREADS[oracle] = name
        try:
            yield
        finally:
            THREADS[oracle] = None
