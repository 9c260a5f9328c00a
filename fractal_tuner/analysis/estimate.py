"""What every estimate carries: its doubt, and the reason when it abstains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, or NaN and the reason why there is none.

    Attributes
    ----------
    value : float
        The estimate; NaN if it abstains.
    low, high : float
        Ends of the 95 % interval; NaN where none is known.
    n : int
        Observations that entered.
    scales : tuple of float or None
        Smallest and largest scale that entered, as shares of the unit cube's side.
    fit : float or None
        Goodness of fit, 0 to 1; what it measures is said by the function that returns it.
    reason : str or None
        Why there is no value; None if there is one.

    Examples
    --------
    >>> Estimate.abstain("not enough data", n=3).value
    nan
    """

    value: float
    low: float
    high: float
    n: int
    scales: tuple[float, float] | None = None
    fit: float | None = None
    reason: str | None = None

    @classmethod
    def abstain(cls, reason: str, *, n: int, **more: Any) -> Self:
        """No value, for a reason; ``more`` are fields of a subclass that are known all the same."""
        return cls(math.nan, math.nan, math.nan, n, reason=reason, **more)
