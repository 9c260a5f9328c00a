"""Expected improvement, where what is predicted has the tails of Student's t."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.special import gamma, stdtr

_DEGREES_OF_FREEDOM = 20.0
_FARTHEST = 15.0  # in the inverse of sinh: more than a million standard deviations
_T_CONSTANT = float(
    gamma(0.5 * (_DEGREES_OF_FREEDOM + 1.0))
    / gamma(0.5 * _DEGREES_OF_FREEDOM)
    / math.sqrt(_DEGREES_OF_FREEDOM * math.pi)
)


def log_expected_improvement(goal: float, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Logarithm of ``E max(goal - y, 0)``, ``(y - mean) / sd`` having Student's t distribution.

    With ``t = (goal - mean) / sd``, its density ``f`` and distribution ``F`` of ``v = 20`` degrees
    of freedom: ``log sd + log[(v + t^2) f(t) / (v - 1) + t F(t)]`` (Tracey & Wolpert 2018). In the
    tail the terms differ by a part in ``v``, so that little is lost to rounding. The second
    logarithm is read from a table, to 1e-6, which ends at a million standard deviations.

    Examples
    --------
    >>> log_expected_improvement(0.0, np.array([0.0, 50.0]), np.array([1.0, 1.0])).round(2).tolist()
    [-0.88, -49.81]
    """
    return np.asarray(np.log(sd) + np.interp(np.arcsinh((goal - mean) / sd), *_standard_gains()))


@cache
def _standard_gains() -> tuple[np.ndarray, np.ndarray]:
    """Logarithm of the expected improvement at ``sinh`` of some places, where ``sd`` is 1.

    It is nearly linear in these places at both ends. Student's ``F`` takes ten times as long.
    """
    v, places = _DEGREES_OF_FREEDOM, np.linspace(-_FARTHEST, _FARTHEST, 2**15 + 1)
    t = np.sinh(places)
    density = _T_CONSTANT * (1.0 + t * t / v) ** (-0.5 * (v + 1.0))
    return places, np.log((v + t * t) / (v - 1.0) * density + t * stdtr(v, t))
