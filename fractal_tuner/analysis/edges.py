"""Edges of the domain: the ends of dimensions that the best trial has reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fractal_tuner.analysis.emulator import Design, Emulator
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.landscape import check_trials

if TYPE_CHECKING:
    from fractal_tuner.dimensions import Code, Dimension
    from fractal_tuner.trials import Trial, TrialLog

_NEAR = 0.05  # of a dimension's range: next to its end, and the step of slopes
_LEAST_VALUES = 3  # of fewer, each is an end
_FEW = 5  # values: of fewer, one step from the end is not next to it
_LEAST_QUALITY = 0.1  # R^2 of a field that knows more of scores left out than their mean
_N_DRAWS = 200


@dataclass(frozen=True)
class Edge:
    """A dimension whose end the best trial has reached.

    Attributes
    ----------
    name : str
    side : {"low", "high"}
        Which end.
    value, bound : object
        The best trial's value, and the value at the end.
    is_on : bool
        Whether the best is on the end; otherwise it is next to it.
    slope : Estimate
        By how much the score grows towards the end over the last twentieth of the range, with its
        95 % interval; a reason if no field could be fitted, or it predicts too badly.
    """

    name: str
    side: Literal["low", "high"]
    value: Any
    bound: Any
    is_on: bool
    slope: Estimate

    @property
    def points_outward(self) -> bool | None:
        """Whether scores grow towards the end; None if the slope's interval holds 0."""
        if self.slope.low > 0:
            return True
        return False if self.slope.high < 0 else None


@dataclass(frozen=True)
class DomainEdges:
    """The dimensions whose ends the best trial has reached.

    Attributes
    ----------
    edges : tuple of Edge
        In the order of the space; empty if the best is inside.
    best : Trial or None
    reason : str or None
        Why nothing can be said; None if something can.
    """

    edges: tuple[Edge, ...] = ()
    best: Trial | None = None
    reason: str | None = None


def domain_edges(trials: TrialLog) -> DomainEdges:
    """The dimensions on or next to whose end the best trial is, and the slope there.

    What to do with it: where the slope points outward, or may (None) and the best is on the end,
    and values beyond it make sense, widen the dimension on that side and search on. Where it points
    inward the best is near the end by chance or with reason: leave it.

    Next to an end is within 0.05 of the range, on the scale of the search; of finite dimensions
    with at least 5 values, also the last value but one. Categories and pairs of values have no
    ends; conditional dimensions count where they are active in the best trial. The slope is the
    difference of a random field fitted to the scores, between the end and a twentieth of the range
    inside (at least one value), the other parameters as in the best trial; its interval holds 95 %
    of 200 draws. A field that does not predict scores left out (R^2 below 0.1) has taken
    what happens there for noise, and has no slope.

    Parameters
    ----------
    trials : TrialLog

    Returns
    -------
    DomainEdges
        With a ``reason`` if no trial is complete, or the scores do not differ.

    Raises
    ------
    TypeError
        If ``trials`` is no trial log.

    Notes
    -----
    Measured on bowls, half of them with waves, in 2 and 4 dimensions, 30 and 60 trials of a zooming
    search, 12 seeds each: with noise of 0, 0.02 and 0.1 of the scores' range, an optimum at 0.4 was
    never called an edge. One at 0.97 was in 109 of 144 cases, and no slope surely pointed outward.
    One at 1.3 was in 139; it did in all 48 without noise, 34 of 48 with noise 0.02, and 12 of 43
    with 0.1. A dimension that does nothing was called an edge in 36 cases, with such a slope in 2.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=20, seed=0)
    >>> _ = search.run(lambda x, y: x - (y - 0.4) ** 2)
    >>> [(edge.name, edge.side, edge.points_outward) for edge in domain_edges(search.trials).edges]
    [('x', 'high', True)]
    """
    check_trials(trials)
    complete = [trial for trial in trials if trial.status == "complete"]
    if not complete:
        return DomainEdges(reason="no trial is complete")
    if len({trial.score for trial in complete}) == 1 < len(complete):
        return DomainEdges(reason="the scores do not differ")
    best = max(complete, key=lambda trial: trial.score)
    parameters = trials.space.parameters
    ends = {
        j: (code, end)
        for j, (parameter, code) in enumerate(zip(parameters, best.key, strict=True))
        if code is not None and (end := _end(parameter.dimension, code)) is not None
    }
    if not ends:
        return DomainEdges(best=best)
    design = Design.of(trials)
    place = np.array(trials.space.unit(best.key))
    rise = _rises(design)
    edges = []
    for j, (code, end) in ends.items():
        dimension = parameters[j].dimension
        bound = dimension.code(end)
        edges.append(
            Edge(
                design.names[j],
                "high" if end else "low",
                dimension.value(code),
                dimension.value(bound),
                code == bound,
                rise(place, j, _inward(dimension, end), end),
            )
        )
    return DomainEdges(tuple(edges), best)


def _end(dimension: Dimension, code: Code) -> float | None:
    """The unit coordinate of the end that a value is on or next to; None if it is inside."""
    n = dimension.n_values
    if dimension.is_categorical or (n is not None and n < _LEAST_VALUES):
        return None
    u = dimension.unit(code)
    end = float(u > 0.5)
    if abs(u - end) <= _NEAR:
        return end
    if n is None or n < _FEW:
        return None
    position = dimension.index_of(code)
    return 0.0 if position == 1 else 1.0 if position == n - 2 else None


def _rises(design: Design) -> Callable[[np.ndarray, int, float, float], Estimate]:
    """By how much the scores rise at a place, along a column from one coordinate to another."""
    reason = design.problem()
    emulator = None if reason else Emulator(design)
    if emulator is None or not emulator.quality >= _LEAST_QUALITY:
        why = reason or "no field fitted to the scores predicts those left out"
        return lambda *_: Estimate.abstain(why, n=design.n)

    def rise(place: np.ndarray, column: int, start: float, stop: float) -> Estimate:
        both = np.array([place, place])
        both[:, column] = start, stop
        value = float(np.diff(emulator.mean(both))[0])
        draws = np.diff(emulator.draws(both, _N_DRAWS, 0), axis=0)
        low, high = np.quantile(draws, [0.025, 0.975]).tolist()
        return Estimate(value, min(low, value), max(high, value), design.n)

    return rise


def _inward(dimension: Dimension, end: float) -> float:
    """A twentieth of the range inside of an end, and at least one value."""
    inside = dimension.unit(dimension.code(abs(end - _NEAR)))
    n = dimension.n_values
    if inside == end and n is not None:
        step = 1 if end == 0.0 else -1
        at = dimension.index_of(dimension.code(end))
        inside = dimension.unit(dimension.code_at(at + step))
    return inside
