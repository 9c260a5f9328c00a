"""The winner's curse: the best score without the luck of having been chosen."""

import math
import tracemalloc

import numpy as np
import pytest
from folded import logged, simulated
from hypothesis import given, settings
from hypothesis import strategies as some

from fractal_tuner.analysis.noise import noise_share
from fractal_tuner.analysis.rivals import indistinguishable
from fractal_tuner.analysis.winner import corrected_best


def test_all_failed_gives_a_reason():
    log = logged([math.nan] * 5)
    assert indistinguishable(log).reason == "no trial is complete"
    assert corrected_best(log).reason == "no trial is complete"


def test_the_best_of_equal_trials_is_corrected_to_what_they_are():
    # 60 equal trials, 5 independent folds. Over 100 seeds the best is 0.103 too good, corrected
    # -0.00 with a standard deviation of 0.05 of one search; of the mean of 40 searches 0.008.
    rng = np.random.default_rng(0)
    found = [corrected_best(logged(0.1 * rng.standard_normal((60, 5)))) for _ in range(40)]
    assert np.mean([f.best for f in found]) > 0.09
    assert abs(np.mean([f.value for f in found])) < 0.03


@pytest.mark.parametrize(("common", "test_ratio"), [(0.0, 0.0), (0.2, None)])
def test_the_interval_of_a_clear_winner_covers_its_true_score(common, test_ratio):
    # Of 400 winners by far, with folds that are independent, or share a fifth of their variance as
    # Nadeau and Bengio suppose: a t-interval with 4 degrees of freedom covers 0.95, with a standard
    # deviation of 0.011. A tenth of its width covers 0.2, nine times its width all.
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        luck = math.sqrt(1 - common) * rng.standard_normal((4, 5))
        table = luck + math.sqrt(common) * rng.standard_normal((4, 1))
        table[2] += 20.0
        found = corrected_best(logged(table), test_ratio=test_ratio)
        covered.append(found.low <= 20.0 <= found.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.033)


@given(some.integers(0, 2**32 - 1), some.integers(1, 30), some.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_the_corrected_best_is_never_above_the_best(seed, n, k):
    table = np.random.default_rng(seed).standard_normal((n, k))
    found = corrected_best(logged(table))
    assert found.value <= found.best + 1e-12
    assert found.low <= found.value <= found.high
    shifted = corrected_best(logged(3 * table + 7))
    assert shifted.value == pytest.approx(3 * found.value + 7, abs=1e-9)


def test_a_clear_winner_is_not_corrected():
    table = np.zeros((20, 5))
    table[3] = 1 + np.arange(5) / 10
    assert corrected_best(logged(table)).optimism == pytest.approx(0)


def test_without_folds_there_is_no_correction():
    found = corrected_best(logged(np.arange(5.0)))
    assert found.reason == "no trial has folds"
    assert found.best == 4.0


@pytest.mark.slow
def test_a_large_table_is_corrected_and_compared_in_little_memory():
    rng = np.random.default_rng(0)
    log = logged(rng.standard_normal((100_000, 5)), rng.random((100_000, 1)))
    tracemalloc.start()
    try:
        corrected, chosen = corrected_best(log), indistinguishable(log)
        share = noise_share(log)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400e6
    assert corrected.value < 0.5 < corrected.best
    assert len(chosen.trials) > 1000
    assert share.value == pytest.approx(1, abs=0.05)


def test_something_else_than_trials_is_refused():
    with pytest.raises(TypeError, match="trials must be a TrialLog"):
        noise_share([])
    with pytest.raises(TypeError, match="trials must be"):
        indistinguishable(3)


@pytest.mark.parametrize("k", [5, 10, 20, 60])
def test_any_number_of_folds_tells_the_luck_of_choosing(k):
    # Scores of 40 candidates, all truly 0, in 20 draws; the best of them is too good by 0.22.
    tables = [np.random.default_rng(seed).normal(0, 0.1 * k**0.5, (40, k)) for seed in range(20)]
    found = [corrected_best(logged(table)) for table in tables]
    assert np.mean([f.best for f in found]) > 0.19
    # The standard deviation of a corrected score is 0.06 to 0.1, so that of the mean is 0.02.
    assert abs(np.mean([f.value for f in found])) < 0.06
    assert np.std([f.value for f in found]) < 0.16


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 60])
@pytest.mark.parametrize("k", [3, 10])
@pytest.mark.parametrize("common", [0.0, 0.9])
def test_the_correction_helps_and_does_not_overshoot(n, k, common):
    # In standard errors of a mean score. Over 108 settings of 80 searches each the mean error is
    # 1.04 before and 0.13 after, -0.28 to 0.71 in single ones; 60 searches tell it by 0.14.
    rng = np.random.default_rng([n, k])
    before, after = [], []
    for _ in range(60):
        u, truth, table = simulated(rng, n=n, k=k, noise=math.sqrt(k), smooth=common, share=0.0)
        table += truth.mean() - table.mean(0)  # luck of the folds that all candidates share
        found = corrected_best(logged(table, u))
        winner = int(np.argmax(table.mean(1)))
        before.append(found.best - truth[winner])
        after.append(found.value - truth[winner])
    assert abs(np.mean(after)) < np.mean(before)
    assert np.mean(after) > -0.45
    assert np.mean(np.square(after)) < np.mean(np.square(before))
