"""The noise in the scores of trials, as folds and repeats tell it."""

import numpy as np

from fractal_tuner import Landscape, Real, SearchSpace, TrialLog, Window
from fractal_tuner.observations import score_noise

SPACE = SearchSpace({"x": Real(0, 1)})


def logged(table, places=None):
    """A log of trials with scores by fold, shape (n, k), or scores alone, shape (n,)."""
    table = np.asarray(table, dtype=float)
    places = np.linspace(0, 1, len(table)) if places is None else places
    log = TrialLog(SPACE)
    for u, row in zip(places, table, strict=True):
        trial = log.add(SPACE.key_from_unit(np.array([u])), Window.whole(1))
        log.finish(trial.id, float(np.mean(row)), folds=row.tolist() if row.ndim else ())
    return log


def test_two_folds_leave_one_degree_of_freedom_however_many_the_trials():
    # The luck of all trials may be one and the same, and two folds do not tell whether it is.
    assert score_noise(logged(np.random.default_rng(0).standard_normal((30, 2)))) is None


def test_trials_that_share_their_luck_are_as_few_as_one():
    # Each trial sees the same folds through a magnifying glass of its own.
    rng = np.random.default_rng(0)
    table = np.outer(1 + rng.random(30), rng.standard_normal(3))
    assert score_noise(logged(table)) is None
    assert score_noise(logged(rng.standard_normal((30, 3)))).freedom > 15


def test_folds_that_leave_too_little_freedom_give_way_to_repeats():
    table = np.random.default_rng(0).standard_normal((30, 2))
    found = score_noise(logged(table, np.repeat(np.linspace(0, 1, 15), 2)))
    assert (found.source, found.freedom) == ("repeats", 15)


def test_folds_that_agree_exactly_have_no_noise():
    found = score_noise(logged(np.repeat(np.arange(8.0)[:, None], 2, axis=1)))
    assert (found.variance, found.source) == (0.0, "folds")


def test_repeats_too_large_for_squares_do_not_tell_the_noise():
    places = np.repeat(np.linspace(0, 1, 10), 2)
    for size in (1e200, 1.7e308):
        scores = size * np.random.default_rng(0).uniform(-1, 1, 20)
        assert score_noise(logged(scores, places)) is None
        assert Landscape.from_trials(logged(scores, places)).noise_variance is None
