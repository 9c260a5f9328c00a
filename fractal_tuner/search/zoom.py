"""ZoomSearch: the adaptive zooming grid search, on one page.

**Lattice.** All candidates are nodes of one dyadic lattice of the unit cube on the search scale, so
equal candidates are recognised exactly. The start is the centre and scrambled Sobol nodes: 3 and
one for each number, but six at most, and one for each category.

**Belief.** The response of a trial is ``z = (loss - best) / (median - best)``, growing with the
logarithm beyond 2. A random field ``z(x) = mu + Z(x) + e``, Matern of smoothness 1/2, 3/2 or 5/2
with a scale per dimension and a nugget, is fitted to the trials by restricted maximum posterior
whenever their number has grown by a fifth (:mod:`fractal_tuner.field`). The ``10 + 5 d`` trials
nearest to the best have a field of their own, which speaks for their neighbourhood as long as it
predicts better there (:mod:`fractal_tuner.search.neighbourhood`).

**Proposal.** A window of level ``k`` has half-width ``2^-k``; candidates are nodes of a grid of 9 a
side in it, 25 for each parameter, but 100 at least and 200 at most. With mean ``m``, standard
deviation ``s`` and target ``t`` (the best fitted value) they are ordered by ``log E max(t - z,
0)``; the first that is new is proposed. ``z`` has the tails of Student's t with 20 degrees of
freedom: where peaks stand on a plain, the field has the plain's variance, and by a Gaussian the
next peak would never be looked for.

**Levels.** The *next level* of a trial is that of the widest window around it which holds fewer
than ``3 + d / 2`` trials; levels down to one below it are open. So windows open as wider ones fill,
as cells of an adaptive grid do. There are ten levels up to 200 trials, then four more for each
doubling, 14 at most: a short search has better things to do than to be precise. Until ``2 (3 + d)``
trials are told, and then at every third ask, *all levels* compete: two fifths of the candidates are
nodes of a coarse global grid, the others of windows of the open levels of the six trials of best
fitted value, the better the more often. A rough field forgets fast, so wide windows win on it; a
smooth one rewards deep zoom. But expected improvement is short-sighted, and where the field is a
little too sure of itself, it stays where it is. So the asks in between compare like with like. One
looks at *one level*, drawn at random from those open around the best trial: into windows around ten
trials at most, the best ones of which no two windows overlap. The other looks into the *next level*
of the best trial, as a classic adaptive grid does, unless the trials in the window twice as wide
differ by less than a hundredth of a unit. Where the field is as rough as can be, it looks at one
level as well. (Where all parameters are categories, asks do not take turns, nor where there are so
few candidates that all are listed, on whatever level.)

**Elsewhere.** When ``2 (3 + d)`` trials have improved the best by less than a hundredth of a unit,
every other ask in which all levels would compete looks into another basin
(:mod:`fractal_tuner.search.heads`), on any level, as few trials will be told there, and asks what
improves on *its* best.

**Noise.** Where it is unknown and matters, the best candidate is asked a second time, once. Where
there is noise, ``t`` is lower by its standard deviation: smaller gains are not worth looking for.
Differences within a window are lost in it, so on rough fields too the ask of the next level is one
of all levels for the lowest ``m - s`` instead: for what may well be the best, to know it better.

**Many trials.** The field holds 300 trials: those near the best, the best, and a spread of others.

What was measured, each against the engine of its time, as changes of the mean log10 regret, on 150
landscapes (BBOB in 2 to 8 dimensions and rough ones of two kinds, a fifth of them with noise;
standard errors of 0.01 to 0.02, and of 0.03 at 200 trials). Without asks of one level, every other
one looking into the next level, the search is 0.05, 0.04 and 0.15 worse at 50, 100 and 200 trials,
all of it on rough and noisy ones. One level at every ask is up to 0.1 worse at 50 and 100 trials in
5 and 8 dimensions, and another 0.1 better at 200 on rough ones. With levels open everywhere, and
one level in place of the lowest bound, wins over TPE, CMA-ES and DIRECT are 0.01 fewer at all
budgets (0.007; 229 problems, 8 seeds or 16), and regrets a tie at 25 and 50 trials and 0.01 and
0.02 worse at 100 and 200 (0.01); two or three levels below the next one are ties with one. Windows
around the ten best trials, wherever they are, lose a third of the gain at 200 trials; windows that
overlap by half, or a first turn after twice as many trials are ties up to 0.04. Looking elsewhere
costs up to 0.03 (twice as often, 0.04 at 100 trials), but without it 64 of 80 narrow basins beside
a broad one are found instead of 78 (``examples/08_adaptive_grid.py``). Twice as many candidates
with up to four parameters are a tie (0.02), as are refits of the neighbourhood when a quarter of it
is new instead of 0.15, five or six steps of a refit instead of four, an additive part of the
correlation, and scales drawn with an error of 0.3 in their logarithm; with an error of 0.6, 0.04 to
0.07 worse. Coordinates warped by Kumaraswamy's distribution, 0.07 and 0.04 worse at 25 and 50. The
field that is likeliest for 300 evenly spread places, known beforehand, 0.05, 0.12, 0.24 and 0.36
worse: what helps is to know how scores vary where the search goes. Before asks took turns, refits
at a growth of three tenths were 0.04 and 0.05 worse at 25 and 50 trials; a knee of 1 0.08 and 0.11
worse at 100 and 200. A field of all places that is fitted to the more evenly spread half of its
trials, as spatial statistics declusters samples, was 0.07, 0.13 and 0.17 worse from 50 trials on.
With four and eight trials running at a time the search is a tie and 0.13 worse at 100 trials
(0.04).

Beyond 200 trials, on 148 landscapes (BBOB, rough ones, models; a ninth with noise; 4 seeds): with
150 trials in the field and ten levels at any number of trials, 0.37 and 0.53 worse at 400 and 1,000
(0.05, 0.07), and wins over CMA-ES are 0.63 and 0.50 instead of 0.66 and 0.55, over DIRECT 0.62 and
0.52 instead of 0.69 and 0.67. The 300 trials alone are worth 0.10 and 0.09 (82 landscapes; 0.03,
0.04). With all 14 levels from the first trial on, wins up to 200 trials are a tie, but at 100
trials 184 of 200 narrow basins are found instead of 197.

Over 66 landscapes (with models; A) and 42 rough or rippled ones (B), also before, with standard
errors of 0.03 and 0.06: without the neighbourhood 0.04 worse at 100 trials on A and 0.24 on B. A
lattice of 8 or 14 levels instead of 10, or a knee of 5 instead of 2, costs up to 0.05. Memory of
the evidence 0.9 instead of 0.97: a tie. On 16 noisy landscapes, without the margin for noise 0.07
better at 25 trials, 0.06 and 0.09 worse at 100 and 200 (0.04); half or a quarter of it is a tie,
twice as much no better than none. Tails with 20 degrees of freedom instead of a Gaussian's are a
tie on A, and help where peaks stand on a plain (``examples/08_adaptive_grid.py``); with 6 or 10
degrees, A is 0.05 to 0.08 worse at 50 trials. In 12 and 20 dimensions, a start of ``3 + d`` is 0.24
and 0.19 worse at 25 and 50 trials (0.05, 0.09), from 100 on a tie.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from fractal_tuner.field import one_blas_thread
from fractal_tuner.search.base import Search, StopReason
from fractal_tuner.search.heads import basin_heads
from fractal_tuner.search.improvement import log_expected_improvement
from fractal_tuner.search.lattice import DEPTH, Lattice
from fractal_tuner.search.surrogate import Belief, Surrogate
from fractal_tuner.space import Key, SearchSpace
from fractal_tuner.trials import Trial, Window

_CANDIDATES = 25, 100, 200  # of an ask: for each parameter, at least, at most
_GLOBAL_SHARE = 0.4  # of those of an ask of all levels
_N_CENTERS, _N_HEADS = 6, 10  # trials with windows, of all levels and of one
_CENTER_CHANCE, _HEAD_CHANCE = 0.5, 0.3  # of the first to have a window, else of the next, ...
_TOLERANCE: StopReason = "expected improvement below tolerance"
_MARGIN = 0.003  # of the median's distance from the best; what to gain where there are categories
_FULL_LIST = 1000  # finite spaces up to this size are listed rather than sampled
_REPEAT_FROM = 8  # trials, before which the best candidate is not asked again
_REPEAT_NOISE = 0.02  # in units of the response; less noise does not matter
_SAME_SCORE = 1e-9  # of a score: the rounding of one that is added up in another order
_PATIENCE = 2  # times 3 + d trials, after which asks take turns; so many may gain hardly anything
_PLAIN = 5  # times this patience, as long as all scores are equal
_TURNS = "one level", "next level", "all levels", "one level", "next level", "elsewhere"
_HARDLY = 0.01  # of the median's distance from the best
_FEW = 3, 0.5  # trials in a window: a constant, and for each parameter
_BEYOND = 1  # levels below the next one that are open as well
_DEPTHS = 10, 200, 4  # levels of up to so many trials, and more of them for each doubling
_NARROWEST_BASIN = 0.03  # a step of the global grid


class ZoomSearch(Search):
    """Adaptive zooming grid search.

    Each trial is chosen among nodes of a coarse grid over the whole space and of ever finer grids
    around the best trials, by the improvement that a random field fitted to all trials expects
    there. Levels of zoom compete with each other, and in between one is looked at by itself. The
    whole method stands on one page: :mod:`fractal_tuner.search.zoom`.

    Parameters
    ----------
    space : SearchSpace, mapping, or sequence of mappings
        A sequence is a union of spaces.
    max_trials : int or None
        Budget, at least 1; None for no limit.
    seed : int, optional
        The same seed and the same told trials give the same next ask. None draws one; it is kept in
        the journal.
    noise : bool, optional
        Whether the objective gives different scores for one candidate. With True the recommendation
        is the best fitted trial rather than the best observed one. None finds out where it matters,
        by asking the best candidate a second time; it does so once at most.
    journal : path, optional
        File that keeps the trials and continues the search after a crash.
    fingerprint : mapping, optional
        What the scores depend on, as plain JSON; a journal with another fingerprint is refused.
    max_time : float, optional
        Seconds from the first ask after which nothing more is proposed.
    target_score : float, optional
        Nothing more is proposed once a score reaches it.
    tolerance : float, optional
        Nothing more is proposed when neither the expected nor the found improvement of
        ``2 (3 + d)`` trials in a row exceeds this share of the distance from the best score to the
        median of the first. With 3e-4, 48 % of 296 searches of 200 trials ended early, after 153 on
        average over all and 127 over the easy ones. They lost 0.005 of that distance on average,
        and 6 % of them more than 0.02: on rough landscapes and such of many basins, where they stay
        in one that is not the best. With 1e-4, 37 % ended early, after 167 and 146, and lost 0.003.
        While all scores are equal, it takes five times as many trials.

    Raises
    ------
    TypeError, ValueError
        For an invalid space or option, or a journal of another search.

    See Also
    --------
    FactorialZoom : full grids, zoomed around the best; needs more trials.

    References
    ----------
    Jones, Schonlau & Welch, J. Glob. Optim. 13, 1998 (expected improvement); Kleinberg, Slivkins &
    Upfal, STOC 2008 (zooming); Regis & Shoemaker, Eng. Optim. 45, 2013 (sparse moves); Ament et
    al., NeurIPS 2023 (the logarithm of expected improvement); Tracey & Wolpert, arXiv
    1801.06147, 2018 (expected improvement under Student's t).

    Examples
    --------
    >>> from fractal_tuner import Real
    >>> search = ZoomSearch({"x": Real(-5, 5), "y": Real(-5, 5)}, max_trials=40, seed=0)
    >>> best = search.run(lambda x, y: -((x - 1) ** 2) - (y + 2) ** 2)
    >>> best.score > -1e-3
    True
    """

    _limits = (*Search._limits, "tolerance")

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        max_trials: int | None,
        seed: int | None = None,
        noise: bool | None = None,
        journal: str | os.PathLike[str] | None = None,
        fingerprint: Mapping[str, Any] | None = None,
        max_time: float | None = None,
        target_score: float | None = None,
        tolerance: float | None = None,
    ) -> None:
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ValueError(f"seed must be None or an integer of at least 0, got {seed!r}")
        if noise not in (None, True, False):
            raise ValueError(f"noise must be None, True or False, got {noise!r}")
        if tolerance is not None and not (isinstance(tolerance, numbers.Real) and tolerance > 0):
            raise ValueError(f"tolerance must be None or a positive number, got {tolerance!r}")
        self.tolerance = None if tolerance is None else float(tolerance)
        super().__init__(
            space,
            max_trials=max_trials,
            options={"seed": None if seed is None else int(seed), "noise": noise},
            journal=journal,
            fingerprint=fingerprint,
            max_time=max_time,
            target_score=target_score,
        )
        self.seed: int = self.trials.header["seed"]
        self.noise = noise
        self._finds_noise = noise is None
        self._size = self.space.size
        self._is_used_up = False
        self._lattice = Lattice(self.space)
        self._n_start = self._lattice.n_start
        per_parameter, fewest, most = _CANDIDATES
        self._n_candidates = min(max(per_parameter * self._lattice.n_free, fewest), most)
        self._patience = _PATIENCE * (3 + self._lattice.n_free)
        self._start = self._lattice.start(4 * self._n_start, np.random.default_rng([self.seed]))
        self._list = _FullList(self._lattice) if self._size <= _FULL_LIST else None
        self._n_unpromising = 0
        self._learned: list[Trial] = []
        self._places = np.empty((64, len(self.space)))
        self._first: dict[Key, Trial] = {}
        self._replay()

    @cached_property
    def _surrogate(self) -> Surrogate:
        """What the learned trials tell; pickles are without it, as it follows from them."""
        n = len(self._learned)
        surrogate = Surrogate(self._lattice.features(self._start[:1]).shape[1], self._n_start)
        with one_blas_thread():
            for place, trial in zip(self._places[:n], self._learned, strict=True):
                surrogate.tell(self._lattice.features(place[None])[0], -trial.score)
        return surrogate

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_surrogate"}

    def _learn(self, trial: Trial) -> None:
        super()._learn(trial)
        surrogate = self._surrogate  # of the trials before this one
        first = self._first.get(trial.key)
        if first is None or first.status == "failed":
            self._first[trial.key] = trial
        elif trial.status == "complete":
            difference = abs(trial.score - first.score)
            differs = difference > _SAME_SCORE * max(abs(trial.score), abs(first.score))
            if self._finds_noise:
                self.noise = bool(self.noise) or differs  # accuracies may well be equal twice
            if not differs:
                return  # two rows of one value would teach the field that there is no roughness
        place = self._lattice.place(trial.key)
        n = len(self._learned)
        if n == len(self._places):
            self._places = np.concatenate([self._places, np.empty_like(self._places)])
        self._places[n] = place
        self._learned.append(trial)
        features = self._lattice.features(place[None])
        before = surrogate.best
        with one_blas_thread():
            promised = math.inf if self.tolerance is None else self._promise(features)
            surrogate.tell(features[0], -trial.score)
        if self.tolerance is not None:
            gain = max(promised, before - surrogate.best)
            worth = self.tolerance * (self._gained() or surrogate.unit)
            hopeful = self._best is None or gain >= worth
            self._n_unpromising = 0 if hopeful else self._n_unpromising + 1
            if hopeful and self.stop_reason == _TOLERANCE:
                self.stop_reason = None  # a trial that was running then has changed it

    def _promise(self, features: np.ndarray) -> float:
        """The improvement of the score that was expected of a candidate, shape (1, n_features)."""
        belief = self._surrogate.belief
        if belief is None:
            return math.inf
        log_promise = log_expected_improvement(belief.target, *belief.predict(features))
        return float(np.exp(log_promise[0])) * self._surrogate.unit

    def _gained(self) -> float:
        """Distance of the best score from the median of the first."""
        losses = self._surrogate.losses[np.isfinite(self._surrogate.losses)]
        first = losses[: max(self._n_start, 12)]
        return max(float(np.median(first)) - self._surrogate.best, 0.0) if len(first) else 0.0

    def _propose(self) -> tuple[Key, Window] | None:
        belief = self._surrogate.belief
        if belief is None or self._best is None:
            return self._start_node() or self._any_node()
        rng = np.random.default_rng([self.seed, len(self.trials.told), len(self.trials.pending)])
        with one_blas_thread():
            return self._most_promising(self._view(belief), rng) or self._any_node()

    def _view(self, belief: Belief) -> _View:
        """What is believed of all trials, the running ones among them."""
        rows = self._surrogate.rows
        trials = [self._learned[row] for row in rows.tolist()]
        pending = self.trials.pending
        if not pending:
            return _View(belief, trials, self._places[rows], belief.whole.fitted)
        places = np.array([self._lattice.place(trial.key) for trial in pending])
        scores = np.array([self._expected.get(trial.id, math.nan) for trial in pending])
        z = self._surrogate.scaled(-scores)
        belief = belief.believing(self._lattice.features(places), z)
        fitted = belief.whole.fitted.copy()
        fitted[len(rows) :][np.isnan(scores)] = math.inf  # no place to zoom into yet
        return _View(belief, trials + pending, np.vstack([self._places[rows], places]), fitted)

    def _most_promising(self, view: _View, rng: np.random.Generator) -> tuple[Key, Window] | None:
        if self._best is not None and self._wants_repeat(view.belief):
            best = self._first[self._best.key]
            place = self._lattice.place(best.key)
            return best.key, self._lattice.window(self._depth, best.id, place)
        look = self._look(view.belief)
        return look(view, rng) or self._on_all_levels(view, rng)

    def _look(self, belief: Belief) -> Callable[..., tuple[Key, Window] | None]:
        """Which windows this ask looks into."""
        is_late = len(self.trials.told) >= self._patience
        if not is_late or self._list is not None or not self._lattice.n_numeric:
            return self._on_all_levels
        turn = _TURNS[len(self.trials) % len(_TURNS)]
        if turn == "next level" and self.noise:
            return self._at_lowest_bound
        if turn == "next level" and not belief.is_rough:
            return self._on_next_level
        if turn in ("one level", "next level"):
            return self._on_one_level
        if turn == "elsewhere" and self._has_stalled():
            return self._elsewhere
        return self._on_all_levels

    def _on_all_levels(self, view: _View, rng: np.random.Generator) -> tuple[Key, Window] | None:
        """A place of the coarse global grid, or in a window of any open level."""
        return self._best_of(view, *self._candidates(view, rng), view.belief.target)

    def _at_lowest_bound(self, view: _View, rng: np.random.Generator) -> tuple[Key, Window] | None:
        """Among the same places, that of the lowest mean less a standard deviation."""
        u, levels, centers = self._candidates(view, rng)
        mean, sd = view.belief.predict(self._lattice.features(u))
        return self._first_new(view, u, levels, centers, sd - mean)

    def _on_one_level(self, view: _View, rng: np.random.Generator) -> tuple[Key, Window] | None:
        """A place in windows of one open level, chosen at random, which do not overlap."""
        reach = self._lattice.reach(view.places, view.places)
        left = view.ranked
        level = int(rng.integers(1, self._deepest(reach[left[:1]])[0] + 1))
        heads: list[int] = []
        while len(left) and len(heads) < _N_HEADS:
            heads.append(int(left[0]))
            left = left[reach[left[0], left] > 2.0 * 0.5**level]
        centers = np.array(heads)[_drawn(len(heads), self._n_candidates, _HEAD_CHANCE, rng)]
        return self._on_level(view, centers, level, rng)

    def _on_next_level(self, view: _View, rng: np.random.Generator) -> tuple[Key, Window] | None:
        """A place in the widest window around the best trial which holds but few trials."""
        best = view.ranked[:1]
        reach = self._lattice.reach(view.places[best], view.places)
        level = int(self._next_levels(reach)[0])
        if level > self._depth:
            return None
        if np.ptp(view.belief.response[reach[0] <= 2.0 * 0.5**level]) < _HARDLY:
            return None  # a plateau, or an optimum that is flat at this scale
        centers = np.repeat(best, self._n_candidates)
        return self._on_level(view, centers, level, rng)

    def _next_levels(self, reach: np.ndarray) -> np.ndarray:
        """The levels of the widest windows around some trials which hold but few trials.

        ``reach``, shape (m, n), are the half-widths of windows around these that just hold each of
        all. The levels, shape (m,), are above DEPTH where windows of all levels hold more.
        """
        few = math.ceil(_FEW[0] + _FEW[1] * self._lattice.n_free)
        if reach.shape[1] < few:
            return np.ones(len(reach), int)
        farthest = np.partition(reach, few - 1, axis=1)[:, few - 1]
        return np.asarray(np.floor(-np.log2(np.maximum(farthest, 0.5**DEPTH))).astype(int) + 1)

    @property
    def _depth(self) -> int:
        """The deepest level that may be open; the more trials are told, the deeper."""
        depth, n, more = _DEPTHS
        doublings = math.log2(max(len(self.trials.told) / n, 1.0))
        return min(depth + math.floor(more * doublings), DEPTH)

    def _deepest(self, reach: np.ndarray) -> np.ndarray:
        """The deepest levels that are open around some trials; shapes as above."""
        return np.asarray(np.minimum(self._next_levels(reach) + _BEYOND, self._depth))

    def _on_level(
        self, view: _View, centers: np.ndarray, level: int, rng: np.random.Generator
    ) -> tuple[Key, Window] | None:
        """A place in windows of one level around some trials."""
        levels = np.full(len(centers), level)
        u = self._lattice.zoomed(view.places[centers], levels, rng)
        return self._best_of(view, u, levels, centers, view.belief.target)

    def _best_of(
        self,
        view: _View,
        u: np.ndarray,
        levels: np.ndarray,
        centers: np.ndarray,
        target: float,
    ) -> tuple[Key, Window] | None:
        """The new place of highest expected improvement on ``target``."""
        mean, sd = view.belief.predict(self._lattice.features(u))
        gain = log_expected_improvement(target - self._margin(view.belief), mean, sd)
        return self._first_new(view, u, levels, centers, gain)

    def _first_new(
        self,
        view: _View,
        u: np.ndarray,
        levels: np.ndarray,
        centers: np.ndarray,
        worth: np.ndarray,
    ) -> tuple[Key, Window] | None:
        """The new place that is worth most, and its window."""
        for i in np.argsort(-worth, kind="stable"):
            key = self.space.key_from_unit(u[i])
            if key not in self._keys:
                return key, self._window(view, u[i], int(levels[i]), int(centers[i]))
        return None

    def _candidates(
        self, view: _View, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places, and the level and the centre (a trial of the view) of each window."""
        best = view.ranked[:_N_CENTERS]
        if self._list is not None:
            u = self._list.left(self._keys)
            return u, self._lattice.level(u, view.places[best[0]]), np.full(len(u), best[0])
        n_global = int(_GLOBAL_SHARE * self._n_candidates)
        deepest = self._deepest(self._lattice.reach(view.places[best], view.places))
        drawn = _drawn(len(best), self._n_candidates - n_global, _CENTER_CHANCE, rng)
        centers, levels = best[drawn], rng.integers(1, deepest[drawn] + 1)
        near = self._lattice.zoomed(view.places[centers], levels, rng)
        u = np.vstack([self._lattice.scattered(n_global, rng), near])
        nowhere = np.zeros(n_global, int)
        return u, np.concatenate([nowhere, levels]), np.concatenate([nowhere, centers])

    def _has_stalled(self) -> bool:
        """Whether the best has hardly improved for a while."""
        n, lag = self._surrogate.n, self._patience
        if n < 2 * lag:
            return False
        before = np.nanmin(self._surrogate.losses[: n - lag], initial=math.inf)
        return bool(before - self._surrogate.best < _HARDLY * self._surrogate.unit)

    def _elsewhere(self, view: _View, rng: np.random.Generator) -> tuple[Key, Window] | None:
        """A place in another basin, which must improve on that basin's best trial only.

        The basins that may go deepest take turns.
        """
        told = slice(len(self._surrogate.rows))
        features, fitted = self._lattice.features(view.places[told]), view.fitted[told]
        heads, widths = basin_heads(features, fitted)
        apart = widths >= _NARROWEST_BASIN
        heads, widths = heads[apart], widths[apart]
        if not len(heads):
            return None
        turn = len(self.trials) // len(_TURNS) % len(heads)
        head, width = heads[turn], widths[turn]
        centers = np.full(self._n_candidates, head)
        levels = rng.integers(1, self._depth + 1, len(centers))
        u = self._lattice.zoomed(view.places[centers], levels, rng)
        away = cdist(self._lattice.features(u), features[[head]])[:, 0]
        inside = away <= 0.5 * width
        if not inside.any():
            return None
        target = float(fitted[head])
        return self._best_of(view, u[inside], levels[inside], centers[inside], target)

    def _window(self, view: _View, u: np.ndarray, level: int, center: int) -> Window:
        """The window of a level around a trial; a wider one if that does not hold the place ``u``.

        Values of a finite dimension may be further apart than a window is wide.
        """
        level = min(level, int(self._lattice.level(u[None], view.places[center])[0]))
        if level == 0:
            return self._lattice.window(0)
        return self._lattice.window(level, view.trials[center].id, view.places[center])

    def _margin(self, belief: Belief) -> float:
        """What a candidate must gain, in units of the response.

        Gains smaller than the noise are not worth looking for. With categories the search would
        otherwise refine one of them for ever. Asks for the lowest bound look for no gain.
        """
        margin = belief.whole.noise_sd if self.noise else 0.0
        if self._lattice.has_categories:
            margin = max(margin, _MARGIN * self._gained() / self._surrogate.unit)
        return margin

    def _wants_repeat(self, belief: Belief) -> bool:
        """Whether to ask the best candidate again: only a repeat tells noise from roughness."""
        return (
            self.noise is None
            and self._list is None
            and not self.trials.pending
            and len(self.trials.told) >= _REPEAT_FROM
            and len(self.trials) == len(self._keys)
            and belief.is_noisy
            and belief.whole.noise_sd > _REPEAT_NOISE
            and np.argmin(belief.whole.fitted) != np.argmin(belief.response)
        )

    def _start_node(self) -> tuple[Key, Window] | None:
        for u in self._start:
            key = self.space.key_from_unit(u)
            if key not in self._keys:
                return key, self._lattice.window(0)
        return None

    def _any_node(self) -> tuple[Key, Window] | None:
        """A random new candidate; in a finite space that is nearly used up, the first one left."""
        rng = np.random.default_rng([self.seed, len(self.trials)])
        for _ in range(_FULL_LIST):
            key = self.space.key_from_unit(rng.random(len(self.space)))
            if key not in self._keys:
                return key, self._lattice.window(0)
        if self._size == math.inf:  # a continuum so narrow that floats have no more values
            self._is_used_up = True
            return None
        left = filter(lambda key: key not in self._keys, self.space.keys())
        return next(left), self._lattice.window(0)

    def _end(self) -> StopReason | None:
        if self._is_used_up or len(self._keys) >= self._size:
            return "space exhausted"
        # While all scores are equal nothing is known: there may be a peak on this plain.
        patience = self._patience * (_PLAIN if self._surrogate.is_flat else 1)
        if self._n_unpromising >= patience:
            return _TOLERANCE
        return None

    def _recommend(self) -> Trial:
        best = super()._recommend()
        if not self.noise or self._surrogate.belief is None:
            return best
        mean, sd = self._surrogate.belief.whole.predict(self._surrogate.features)
        pessimistic = np.where(np.isnan(self._surrogate.losses), math.inf, mean + sd)
        return self._learned[int(np.argmin(pessimistic))]


@dataclass(frozen=True)
class _View:
    """What an ask sees of the trials in the field of all places, told ones and then running ones.

    Attributes
    ----------
    belief : Belief
    trials : list of Trial
    places : np.ndarray
        Shape (n, n_parameters).
    fitted : np.ndarray
        Fitted responses, shape (n,); infinity for a running trial of which nothing is expected.
    """

    belief: Belief
    trials: list[Trial]
    places: np.ndarray
    fitted: np.ndarray

    @property
    def ranked(self) -> np.ndarray:
        """The trials of finite fitted response, the best first."""
        order = np.argsort(self.fitted, kind="stable")
        return np.asarray(order[np.isfinite(self.fitted[order])])


def _drawn(n_ranks: int, n: int, chance: float, rng: np.random.Generator) -> np.ndarray:
    """``n`` ranks below ``n_ranks``: each is 0 with this chance, else 1 with it, and so on."""
    return np.asarray(np.minimum(rng.geometric(chance, n) - 1, n_ranks - 1))


class _FullList:
    """All candidates of a small finite space, and which of them are left."""

    def __init__(self, lattice: Lattice) -> None:
        self._keys = list(lattice.space.keys())
        self._u = np.array([lattice.place(key) for key in self._keys])

    def left(self, tried: set[Key]) -> np.ndarray:
        """Places of the candidates not in ``tried``, shape (n, n_parameters)."""
        return self._u[[key not in tried for key in self._keys]]
