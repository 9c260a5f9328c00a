"""Trials with the scores of their folds, for tests."""

import math

import numpy as np

from fractal_tuner import Real, SearchSpace, TrialLog, Window


def logged(table, units=None, fit_times=None):
    """A log of trials with scores by fold, shape (n, k), or scores alone, shape (n,)."""
    table = np.asarray(table, dtype=float)
    n = len(table)
    units = np.linspace(0, 1, n)[:, None] if units is None else units
    space = SearchSpace({f"x{j}": Real(0, 1) for j in range(units.shape[1])})
    log = TrialLog(space)
    for i, (u, row) in enumerate(zip(units, table, strict=True)):
        trial = log.add(space.key_from_unit(u), Window.whole(len(space)))
        details = None
        if fit_times is not None:
            details = {"folds": [{"fit_time": fit_times[i]}] * max(row.size, 1)}
        folds = row.tolist() if row.ndim else ()
        log.finish(trial.id, float(np.mean(row)), folds=folds, details=details)
    return log


def simulated(rng, n=40, k=5, noise=0.1, smooth=0.0, share=None):
    """True scores of a bowl, and scores by fold; training data shared by folds are luck too."""
    u = np.vstack([rng.random((n // 2, 2)), rng.normal(0.4, 0.1, (n - n // 2, 2)).clip(0, 1)])
    truth = -4 * ((u - 0.4) ** 2).sum(1)
    waves = np.cos(u @ rng.normal(0, 4, (2, 40)) + rng.uniform(0, 6.28, 40)) / math.sqrt(20)
    luck = math.sqrt(smooth) * waves @ rng.standard_normal((40, k + 1))
    luck += math.sqrt(1 - smooth) * rng.standard_normal((n, k + 1))
    common = 1 / k if share is None else share
    luck = math.sqrt(common) * luck[:, :1] + math.sqrt(1 - common) * luck[:, 1:]
    return u, truth, truth[:, None] + 0.3 * rng.standard_normal(k) + noise * luck
