"""map_landscape: evaluate a landscape for its own sake, on a grid or a space-filling sample."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fractal_tuner.landscape import Landscape
from fractal_tuner.space import Key, SearchSpace, as_space
from fractal_tuner.trials import Trial, TrialLog, Window

_MAX_POINTS = 2**20  # their trials take about 1 GB


def map_landscape(
    objective: Callable[..., float],
    space: SearchSpace | Mapping[str, Any],
    *,
    points_per_dim: int | None = None,
    n_points: int | None = None,
    n_jobs: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    seed: int | None = None,
) -> Landscape:
    """The landscape of an objective, evaluated for its own sake.

    Shows a progress bar on stderr while that is a terminal.

    Parameters
    ----------
    objective : callable
        ``objective(**params)`` returns the score, larger is better. If it raises, or returns no
        finite number, the trial failed. With several jobs it must be one that joblib can send to
        other processes.
    space : SearchSpace or mapping
    points_per_dim : int, optional
        Evaluate a full grid, as :class:`FactorialZoom` with one level does; of at most 2^20 points.
    n_points : int, optional
        Evaluate a space-filling sample instead: scrambled Sobol points. At most as many as there
        are candidates.
    n_jobs : int, optional
        Evaluations at a time, as in joblib. The landscape does not depend on it.
    journal : path, optional
        File that keeps the trials; after a crash the same call evaluates only those that miss.
    seed : int, optional
        Of the sample; a grid needs none.

    Raises
    ------
    RuntimeError
        If all trials failed; the message holds the failures.
    TypeError, ValueError
        If not exactly one of ``points_per_dim`` and ``n_points`` is given, one is invalid, the
        objective cannot be called, or the journal belongs to another mapping.

    Examples
    --------
    >>> from fractal_tuner import Real
    >>> space = {"x": Real(0, 1), "y": Real(0, 1)}
    >>> map_landscape(lambda x, y: x * y, space, points_per_dim=3).scores.tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.25, 0.5], [0.0, 0.5, 1.0]]
    """
    from joblib import Parallel, delayed

    from fractal_tuner.progress import progress
    from fractal_tuner.search.factorial import FactorialZoom

    if not callable(objective):
        raise TypeError(f"objective must be callable, got {objective!r}")
    space = as_space(space)
    if (points_per_dim is None) == (n_points is None):
        raise ValueError("give one of points_per_dim and n_points")
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int)):
        raise TypeError(f"n_jobs must be None or an integer, got {n_jobs!r}")
    if n_jobs == 0:
        raise ValueError(
            "n_jobs must not be 0: 1 is one evaluation at a time, -1 one per processor"
        )
    is_seed = isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0
    if seed is not None and not is_seed:
        raise ValueError(f"seed must be None or an integer of at least 0, got {seed!r}")
    if journal is not None and not isinstance(journal, str | os.PathLike):
        raise TypeError(f"journal must be None or a path, got {journal!r}")
    if points_per_dim is not None:
        search = FactorialZoom(
            space,
            points_per_dim=points_per_dim,
            levels=1,
            max_trials=_MAX_POINTS,
            journal=journal,
        )
        while search.ask(_MAX_POINTS):  # of a continued grid first those that were running
            pass
        log = search.trials
    else:
        log = _sample(space, n_points, journal, seed)
    try:
        pool = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
        pending = log.pending
        jobs = (delayed(_evaluated)(objective, trial) for trial in pending)
        for trial_id, score, error in progress(pool(jobs), "evaluating", len(pending)):
            log.finish(trial_id, score, error=error)
    finally:
        log.close()
    if all(trial.error is not None for trial in log.told):
        raise RuntimeError(_failures(log.told))
    return Landscape.from_trials(log)


def _evaluated(objective: Callable[..., float], trial: Trial) -> tuple[int, float, str | None]:
    """Id, score and error of a trial."""
    try:
        return trial.id, float(objective(**trial.params)), None
    except Exception as error:
        return trial.id, math.nan, f"{type(error).__name__}: {error}"


def _failures(told: Sequence[Trial]) -> str:
    """What went wrong where nothing went well."""
    reasons = Counter(str(trial.error) for trial in told)
    listed = "; ".join(f"{error} ({n} times)" for error, n in reasons.most_common(5))
    more = f"; and {len(reasons) - 5} other errors" if len(reasons) > 5 else ""
    return f"all {len(told)} trials failed: {listed}{more}"


def _sample(
    space: SearchSpace, n_points: Any, journal: str | os.PathLike[str] | None, seed: int | None
) -> TrialLog:
    """A log in which a space-filling sample was asked."""
    from fractal_tuner.search.base import at_least_one

    if at_least_one("n_points", n_points) > _MAX_POINTS:
        raise ValueError(f"n_points must be at most {_MAX_POINTS}, got {n_points}")
    n = int(min(n_points, space.size))
    header = {"strategy": "map_landscape", "n_points": n, "seed": seed}
    log = TrialLog(space, journal, header=header)
    if len(log) == 0:  # the journal gets all of them at once, or none
        whole = Window.whole(len(space))
        log.add_all((key, whole) for key in _sobol_keys(space, n, log.header["seed"]))
    return log


def _sobol_keys(space: SearchSpace, n: int, seed: int) -> list[Key]:
    """``n`` different keys, of scrambled Sobol points; the list of all if most are wanted."""
    from scipy.stats import qmc

    if 2 * n >= space.size:
        keys = list(space.keys())
        order = np.random.default_rng([seed]).permutation(len(keys))[:n]
        return [keys[i] for i in sorted(order)]
    sobol = qmc.Sobol(len(space), rng=np.random.default_rng([seed]))
    found: dict[Key, None] = {}
    bits = (n - 1).bit_length()
    sample = sobol.random_base2(bits)
    while True:
        found |= dict.fromkeys(map(space.key_from_unit, sample))
        if len(found) >= n:
            return list(found)[:n]
        sample = sobol.random(2**bits)
