"""The trials that cannot be told from the best."""

import math
from dataclasses import replace

import numpy as np
import pytest
from folded import logged, simulated
from scipy.stats import multivariate_t

from fractal_tuner.analysis.rivals import _dunnett, indistinguishable


def test_a_single_trial_and_equal_trials_cannot_be_told_from_the_best():
    assert len(indistinguishable(logged([[1.0, 2.0, 3.0]])).trials) == 1
    assert len(indistinguishable(logged(np.tile([1.0, 2.0, 3.0], (7, 1)))).trials) == 7


def test_the_cheapest_is_that_of_shortest_fit_time():
    rng = np.random.default_rng(0)
    table = np.repeat([0.0, 1.0], 5)[:, None] + 0.01 * rng.standard_normal((10, 5))
    found = indistinguishable(logged(table, fit_times=[0.1] * 5 + [5.0, 4.0, 3.0, 2.0, 9.0]))
    assert {trial.id for trial in found.trials} == {5, 6, 7, 8, 9}
    assert found.cheapest.id == 8
    assert found.seconds[found.trials.index(found.cheapest)] == 2.0
    assert found.trials[0] is found.best


def timed(table, spans):
    spans = list(spans)
    return [
        replace(trial, started=a, ended=b)
        for trial, (a, b) in zip(logged(table), spans, strict=True)
    ]


def test_without_fit_times_the_cheapest_is_that_of_the_shortest_span_from_ask_to_tell():
    trials = timed([0.0, 1.0, 1.0, 1.0], [(0, 1), (1, 5), (5, 7), (9, 12)])
    found = indistinguishable(trials, noise_sd=0.01)
    assert found.seconds == (4.0, 2.0, 3.0)
    assert found.cheapest.id == 2


def test_spans_tell_no_time_where_any_two_trials_ran_at_a_time():
    # The bad trial beside the second was evaluated while it was: workers shared the machine.
    trials = timed([0.0, 1.0, 1.0, 1.0], [(2, 4), (1, 5), (5, 7), (9, 12)])
    found = indistinguishable(trials, noise_sd=0.01)
    assert len(found.trials) == 3
    assert found.cheapest is None
    assert all(math.isnan(time) for time in found.seconds)


def test_spans_tell_no_time_where_one_is_unknown():
    trials = timed([0.0, 1.0, 1.0, 1.0], [(0, 1), (1, 5), (5, None), (9, 12)])
    assert indistinguishable(trials, noise_sd=0.01).cheapest is None


def test_without_folds_the_noise_decides_and_without_noise_nothing():
    log = logged(np.arange(10.0))
    assert indistinguishable(log).reason is not None
    found = indistinguishable(log, noise_sd=1.0)
    assert found.source == "noise"
    assert len(found.trials) == 1 + math.floor(_dunnett(9, math.inf) * math.sqrt(2)) == 4
    assert len(indistinguishable(log, noise_sd=0.0).trials) == 1


@pytest.mark.parametrize(("n", "freedom"), [(1, 5), (3, 5), (4, 30), (6, 1e9)])
def test_critical_values_are_quantiles_of_the_largest_of_correlated_t_variables(n, freedom):
    correlation = (np.eye(n) + 1) / 2
    critical = _dunnett(n, freedom)
    below = multivariate_t(shape=correlation, df=min(freedom, 1e6), seed=0).cdf(
        np.full(n, critical), maxpts=20_000 * n
    )
    assert below == pytest.approx(0.95, abs=1e-3)


@pytest.mark.parametrize("smooth", [0.0, 0.9])
def test_the_truly_best_is_in_the_set(smooth):
    # In 18 settings, 100 seeds each, it was in 97 to 100 % of the sets.
    rng = np.random.default_rng(7)
    kept, sizes = [], []
    for _ in range(40):
        u, truth, table = simulated(rng, smooth=smooth)
        found = indistinguishable(logged(table, u))
        kept.append(int(np.argmax(truth)) in {trial.id for trial in found.trials})
        sizes.append(len(found.trials))
    assert np.mean(kept) >= 0.92
    assert np.mean(sizes) < 30


@pytest.mark.parametrize("name", ["noise_sd", "test_ratio"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_negative_and_infinite_parameters_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        indistinguishable(logged([[1.0, 2.0]]), **{name: value})
