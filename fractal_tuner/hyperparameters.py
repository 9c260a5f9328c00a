"""Keras Tuner's hyperparameters as dimensions, from their configurations: without Keras Tuner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fractal_tuner.dimensions import Categorical, Code, Dimension, Integer, Ordinal, Quantile, Real


def dimension_of(kind: str, config: Mapping[str, Any]) -> Dimension:
    """The dimension of a hyperparameter.

    Parameters
    ----------
    kind : {"Float", "Int", "Choice", "Boolean", "Fixed"}
        The name of its class.
    config : mapping
        What its ``get_config()`` returns.

    Raises
    ------
    KeyError, TypeError, ValueError, ArithmeticError
        If there is no such hyperparameter.

    Examples
    --------
    >>> dimension_of("Float", {"min_value": 1e-4, "max_value": 1.0, "sampling": "log"})
    Real(low=0.0001, high=1.0, log=True)
    """
    if kind in ("Int", "Float"):
        return _numbers(config, is_integer=kind == "Int")
    if kind == "Boolean":
        return Categorical([True, False])
    if kind == "Fixed":
        return Categorical([config["value"]])
    if kind == "Choice":
        values = list(dict.fromkeys(config["values"]))
        is_scale = config.get("ordered") and all(map(math.isfinite, values))
        return Ordinal(values) if is_scale and len(values) > 1 else Categorical(values)
    raise ValueError(f"Keras Tuner has no hyperparameter of class {kind!r}")


def _numbers(config: Mapping[str, Any], *, is_integer: bool) -> Dimension:
    low, high, step = config["min_value"], config["max_value"], config.get("step")
    sampling = config.get("sampling") or "linear"
    is_log = sampling == "log"
    if low == high:
        return Categorical([low])
    if step is None and sampling == "reverse_log" and not is_integer:
        return Quantile(_ReverseLog(low, high), keep_ends=True)
    if step is None or (is_integer and step == 1):
        return Integer(low, high, is_log) if is_integer else Real(low, high, is_log)
    if sampling == "linear":
        n = int((high - low) / step + 1e-8) + 1  # the end is a value
        return Steps(low, step, n) if n > 1 else Categorical([low])
    powers = [low * step**i for i in range(int(math.log(high / low, step) + 1e-8) + 1)]
    values = powers if is_log else [low + high - power for power in powers]
    return Ordinal(values, is_log) if len(values) > 1 else Categorical(values)


@dataclass(frozen=True)
class _ReverseLog:
    """Keras Tuner's sampling "reverse_log", a logarithmic scale in a mirror, as a distribution."""

    low: float
    high: float

    def ppf(self, q: float, /) -> float:
        mirrored = float(self.low * (self.high / self.low) ** (1 - q))
        return min(max(self.low + self.high - mirrored, self.low), self.high)


@dataclass(frozen=True)
class Steps(Dimension):
    """Numbers a step apart, perhaps too many to be listed; codes are their positions.

    Parameters
    ----------
    low, step : float
    n : int
        How many there are, at least two.

    Examples
    --------
    >>> Steps(16, 16, 4).value(3)
    64
    """

    low: float
    step: float
    n: int

    @property
    def n_values(self) -> int:
        return self.n

    def code(self, u: float) -> int:
        return min(max(round(u * (self.n - 1)), 0), self.n - 1)

    def unit(self, code: Code) -> float:
        return code / (self.n - 1)

    def value(self, code: Code) -> float:
        return self.low + int(code) * self.step

    def code_of(self, value: Any) -> int:
        try:
            position = (value - self.low) / self.step
            code = self.code(position / (self.n - 1))
        except (TypeError, ValueError, OverflowError):  # no number, NaN, infinite
            position, code = math.nan, 0
        if not abs(position - code) <= 1e-6:
            raise ValueError(f"{value!r} is not one of the steps of {self}")
        return code

    def snap(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(np.rint(u * (self.n - 1)) / (self.n - 1))

    def describe(self) -> dict[str, Any]:
        high = self.value(self.n - 1)
        return {"type": "Steps", "low": self.low, "high": high, "step": self.step, "n": self.n}
