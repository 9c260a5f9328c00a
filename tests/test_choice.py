"""The robust choice: a good trial among good ones, rather than a lucky one."""

import numpy as np
import pytest

from fractal_tuner import FactorialZoom, Real, ZoomSearch
from fractal_tuner.analysis.choice import robust_best
from fractal_tuner.analysis.rivals import indistinguishable


def told(true, noise, seed, n=40, k=5):
    """A grid search of a line whose folds are noisy."""
    rng = np.random.default_rng(seed)
    search = FactorialZoom({"x": list(np.linspace(0, 1, n))}, levels=1)
    for trial in search.ask(n):
        folds = true(trial.params["x"]) + noise * rng.standard_normal(k)
        search.tell(trial.id, folds.mean(), folds=folds)
    return search


def hill(x):
    return -4 * (x - 0.3) ** 2


def test_on_noisy_folds_it_is_truly_better_than_the_best_score():
    # 40 seeds: mean true score of the best -0.057, of the robust one -0.008; standard errors 0.011
    # and 0.002.
    best, robust = [], []
    for seed in range(20):
        search = told(hill, 0.5, seed)
        best.append(hill(search.best_trial.params["x"]))
        robust.append(hill(robust_best(search.trials).params["x"]))
    assert np.mean(robust) > np.mean(best)


def test_it_cannot_be_told_from_the_best():
    for seed in range(5):
        search = told(hill, 0.1, seed)
        assert robust_best(search.trials) in indistinguishable(search.trials).trials


def test_without_noise_it_is_the_best():
    search = told(hill, 0.0, 0)
    assert robust_best(search.trials) is search.best_trial


def test_without_folds_or_with_few_trials_it_is_the_best():
    search = ZoomSearch({"x": Real(0, 1)}, max_trials=20, seed=0)
    assert robust_best(search.trials if search.run(hill) else None) is search.best_trial
    few = told(hill, 0.5, 0, n=6)
    assert robust_best(few.trials) is few.best_trial


def test_failed_trials_are_left_out():
    search = told(hill, 0.5, 0, n=20)
    failing = FactorialZoom({"x": list(np.linspace(0, 1, 20))}, levels=1)
    for trial, like in zip(failing.ask(20), search.trials, strict=True):
        if trial.id % 3 == 0:
            failing.tell(trial.id, error="boom")
        else:
            failing.tell(trial.id, like.score, folds=like.folds)
    assert robust_best(failing.trials).status == "complete"
    with pytest.raises(RuntimeError, match="no trial is complete"):
        robust_best(FactorialZoom({"x": [1, 2]}, levels=1).trials)
