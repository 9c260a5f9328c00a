"""Importance: which dimensions, and which pairs of them, the scores depend on.

The scores are emulated by a random field (:mod:`~fractal_tuner.analysis.emulator`) whose quality is
stated, and whose variance over the whole space is divided among the dimensions. Draws from the
field given the scores carry the doubt about places where nothing was evaluated into the shares.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fractal_tuner.analysis.emulator import Design, Emulator, check_seed, sobol_points
from fractal_tuner.analysis.estimate import Estimate

if TYPE_CHECKING:
    from fractal_tuner.landscape import Landscape
    from fractal_tuner.trials import TrialLog


_N_POINTS = 1024
_N_PARTS = 4  # scrambled one by one
_QUANTILE = 3.18  # 0.975 of Student's t with 3 degrees of freedom
_N_DRAWS = 48
_MAX_PAIRED = 8


@dataclass(frozen=True, eq=False)
class Importance:
    """Shares of the scores' variance over the space, without the noise's.

    Attributes
    ----------
    main : dict of str to Estimate
        Share of what each dimension does by itself, averaged over the others.
    total : dict of str to Estimate
        Share of all that goes away where the dimension is fixed: with its interactions.
    pairs : dict of (str, str) to Estimate
        Share of what two dimensions do together beyond what each does by itself; between the 8
        dimensions of largest total. Larger first.
    quality : float
        ``R^2`` over the space of the emulator for scores that are left out one at a time, each
        weighted by the part of the space that is nearest to it; NaN if there is none.
    n : int
        Trials with a score.
    reason : str or None
        Why there are no shares; None if there are.
    """

    main: dict[str, Estimate]
    total: dict[str, Estimate]
    pairs: dict[tuple[str, str], Estimate]
    quality: float
    n: int
    reason: str | None = None


def importance(trials: TrialLog | Landscape, *, seed: int = 0) -> Importance:
    """Shares of the scores' variance that dimensions and pairs of them explain.

    Functional analysis of variance: for independent coordinates, uniform on the search scale,
    ``Var f = sum_i V_i + sum_ij V_ij + ...`` with ``V_i = Var E[f | u_i]`` and ``V_ij = Var E[f |
    u_i, u_j] - V_i - V_j``. ``f`` is a random field fitted to the scores; the moments are taken
    over 4 times 256 scrambled Sobol points, of two sets of which columns are exchanged (pick and
    freeze). The value is the share in the field's mean. The interval holds 95 % of the shares in 48
    draws of the field, and is wider at both ends by the sampling error of the points and by ``1 -
    R^2``: what the emulator does not explain may be any dimension's.

    What to do with it: a dimension whose *total* is small, interval and all (``high`` below 0.1,
    say), may be fixed at its best value. Where the pairs are small, dimensions may be tuned one
    after the other. A pair with a large share must be looked at together. Shares say where scores
    *differ*, over the whole space, bad regions and all; around the best another dimension may
    matter.

    Categories enter one-hot. A conditional dimension does nothing where it is inactive: its share
    is that of the whole space, not of the part where it counts. In a union of spaces the choice
    between them is called ``"(sub-space)"``.

    Parameters
    ----------
    trials : TrialLog or Landscape
        Of more than 300 scores a random 300 enter.
    seed : int, default=0
        Of the Sobol points and the draws.

    Returns
    -------
    Importance
        With a ``reason`` and without shares for fewer than 10 scores, or more dimensions than
        scores, for scores that do not differ, and where the emulator's ``R^2`` for scores left out
        is below 0.5, once adjusted for the parameters it fitted: shares of a function that is not
        the landscape are worse than none.

    Notes
    -----
    Root mean square errors (main, total) from 60 and 120 uniform trials, 5 seeds each. Without
    noise: Ishigami function 0.04, 0.11 and 0.03, 0.04 (functions of one dimension are partly taken
    for interactions); Sobol' g-function of 5 dimensions 0.02, 0.02 and 0.02, 0.01; plane 0.001;
    product of two dimensions 0.001, 0.004; of three 0.05, 0.01 and 0.05, 0.00 (the sampling error
    of the points). With noise of half the spread the product of three 0.08, 0.15 and 0.06, 0.04.
    Intervals covered all shares.

    From 60 trials of a zooming search, which crowd around the optimum, 10 seeds: 0.09 (main) and
    0.10 (total) for a quadratic bowl, 0.02 and 0.04 for a hill with interactions; of 20 histories
    of the Ishigami function, 60 or 120 trials long, 17 get no shares, and the others wrong ones by
    about 0.3, inside of their intervals.

    References
    ----------
    Sobol', Math. Comput. Simul. 55, 2001; Saltelli et al., Comput. Phys. Commun. 181, 2010 (table
    2, b); Hutter, Hoos & Leyton-Brown, ICML 2014 (for hyperparameters); Le Gratiet, Cannamela &
    Iooss, SIAM/ASA J. Uncertain. Quantif. 2, 2014 (intervals from draws of the field).

    Examples
    --------
    >>> from fractal_tuner import Landscape
    >>> u = np.random.default_rng(0).random((60, 3))
    >>> found = importance(Landscape.from_points(u, u[:, 0] + 2 * u[:, 1]))
    >>> [round(share.value, 1) for share in found.main.values()]
    [0.2, 0.8, 0.0]
    """
    check_seed(seed)
    design = Design.of(trials)
    groups = design.groups
    reason = design.problem()
    if reason is not None:
        return Importance({}, {}, {}, math.nan, design.n, reason)
    emulator = Emulator(design)
    if (reason := emulator.problem()) is not None:
        return Importance({}, {}, {}, emulator.quality, design.n, reason)
    moments = _Moments(design, lambda points: emulator.mean_and_draws(points, _N_DRAWS, seed), seed)
    names = list(groups)
    main = {name: moments.closed(groups[name]) for name in names}
    total = {name: moments.total(groups[name]) for name in names}
    leading = sorted(names, key=lambda name: -float(total[name][:, 0].mean()))[:_MAX_PAIRED]
    pairs = {
        (a, b): moments.closed(groups[a] + groups[b]) - main[a] - main[b]
        for a, b in itertools.combinations([name for name in names if name in leading], 2)
    }
    unexplained = max(0.0, 1.0 - emulator.quality)

    def share(values: np.ndarray) -> Estimate:
        return _share(values, unexplained, design.n)

    found = {pair: share(values) for pair, values in pairs.items()}
    return Importance(
        {name: share(values) for name, values in main.items()},
        {name: share(values) for name, values in total.items()},
        dict(sorted(found.items(), key=lambda item: -item[1].value)),
        emulator.quality,
        design.n,
    )


class _Moments:
    """Shares of the variance of functions, by picking some coordinates and freezing the others."""

    def __init__(
        self, design: Design, functions: Callable[[np.ndarray], np.ndarray], seed: int
    ) -> None:
        p = len(design.names)
        parts = [
            sobol_points(_N_POINTS // _N_PARTS, 2 * p, _N_PARTS * seed + i) for i in range(_N_PARTS)
        ]
        both = np.concatenate(parts)
        self._a, self._b = both[:, :p], both[:, p:]
        self._design, self._functions = design, functions
        self._fa, self._fb = self._at(self._a), self._at(self._b)
        pooled = np.concatenate([self._fa, self._fb])
        self._mean, self._variance = pooled.mean(0), pooled.var(0)

    def _at(self, u: np.ndarray) -> np.ndarray:
        return self._functions(self._design.candidates(u))

    def _mixed(self, columns: Sequence[int]) -> np.ndarray:
        """Values where ``columns`` are those of A and the others those of B."""
        u = self._b.copy()
        u[:, columns] = self._a[:, columns]
        return self._at(u)

    def closed(self, columns: Sequence[int]) -> np.ndarray:
        """Share of what some columns do by themselves and together, (n_parts, n_functions)."""
        return self._share((self._fa - self._mean) * (self._mixed(columns) - self._fb))

    def total(self, columns: Sequence[int]) -> np.ndarray:
        """Share of what goes away where some columns are fixed, (n_parts, n_functions)."""
        return self._share(0.5 * (self._mixed(columns) - self._fb) ** 2)

    def _share(self, moments: np.ndarray) -> np.ndarray:
        """Shares by the parts of the points, which are scrambled one by one."""
        parts = moments.reshape(_N_PARTS, -1, moments.shape[1])
        return np.asarray(parts.mean(1) / self._variance)


def _share(values: np.ndarray, unexplained: float, n: int) -> Estimate:
    """The share of the first function; its interval from all, wider by what none explains.

    And by the sampling error of the points, from the spread of their parts.
    """
    shares = values.mean(0)
    value = float(np.clip(shares[0], 0.0, 1.0))
    error = _QUANTILE * float(values[:, 0].std(ddof=1)) / math.sqrt(_N_PARTS) + unexplained
    low, high = np.quantile(shares[1:], [0.025, 0.975]).tolist()
    low, high = min(low, value) - error, max(high, value) + error
    return Estimate(value, max(low, 0.0), min(high, 1.0), n)
