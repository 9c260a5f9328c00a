"""The analyzers together: one way to call them, one cost."""

import math
import time

import numpy as np
import pytest

import fractal_tuner
from fractal_tuner import Landscape, Real

OF_LANDSCAPES = (
    "roughness",
    "correlation_lengths",
    "gradient_magnitude",
    "local_complexity",
    "basins",
    "plateau_share",
    "near_optimal_volume",
    "failure_dimension",
    "importance",
)
OF_TRIALS = ("noise_share", "indistinguishable", "corrected_best", "domain_edges", "importance")


@pytest.mark.parametrize("name", OF_LANDSCAPES)
def test_analyzers_of_landscapes_take_nothing_else(name):
    with pytest.raises(TypeError, match=r"must be a (TrialLog or a )?Landscape"):
        getattr(fractal_tuner, name)(np.zeros((9, 9)))


@pytest.mark.parametrize("name", OF_LANDSCAPES)
@pytest.mark.parametrize("is_grid", [False, True])
def test_a_landscape_without_a_score_is_a_reason(name, is_grid):
    nothing = np.full((9, 9), np.nan)
    places = np.random.default_rng(0).random((81, 2))
    landscape = (
        Landscape.from_grid(nothing, noise_variance=1.0)
        if is_grid
        else Landscape.from_points(places, nothing.ravel(), noise_variance=1.0)
    )
    found = getattr(fractal_tuner, name)(landscape)
    assert all(f.reason for f in (found if isinstance(found, tuple) else [found]))


@pytest.mark.slow
def test_all_analyzers_of_a_search_of_60_trials_take_2_s_together():
    from sklearn.datasets import load_breast_cancer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    search = fractal_tuner.FractalSearchCV(
        make_pipeline(StandardScaler(), SVC()),
        {"svc__C": Real(1e-3, 1e3, log=True), "svc__gamma": Real(1e-5, 10, log=True)},
        n_iter=60,
        cv=5,
        random_state=0,
    )
    search.fit(*load_breast_cancer(return_X_y=True))
    fractal_tuner.box_dimension(np.eye(30, dtype=bool))  # imports what is imported late

    start = time.process_time()
    trials, landscape = search.trials_, Landscape.from_search(search)
    found = {name: getattr(fractal_tuner, name)(trials) for name in OF_TRIALS}
    found |= {name: getattr(fractal_tuner, name)(landscape) for name in OF_LANDSCAPES}
    smooth = landscape.smoothed(at=32)
    found["contour_dimension"] = fractal_tuner.contour_dimension(smooth, np.median(smooth.scores))
    found["map_correlation"] = fractal_tuner.map_correlation(
        smooth, fractal_tuner.gradient_magnitude(landscape, at=32).map
    )
    spent = time.process_time() - start
    assert spent < 2.0

    assert found["noise_share"].source == "folds"
    assert found["roughness"].verdict in {"smooth", "not enough data"}


@pytest.mark.parametrize("name", ["plateau_share", "near_optimal_volume"])
def test_unknown_noise_is_a_reason(name):
    found = getattr(fractal_tuner, name)(Landscape.from_grid(np.eye(9)))
    assert math.isnan(found.value)
    assert "the noise is unknown" in found.reason


@pytest.mark.parametrize("name", ["basins", "near_optimal_volume"])
@pytest.mark.parametrize("scores", [[1.0], [math.nan] * 20, [2.0] * 20, [1.0, math.inf] * 3])
def test_too_few_or_constant_scores_are_a_reason(name, scores):
    found = getattr(fractal_tuner, name)(Landscape.from_grid(scores, noise_variance=1.0))
    assert math.isnan(found.value)
    assert found.reason


@pytest.mark.parametrize(
    "name", ["corrected_best", "domain_edges", "importance", "noise_share", "near_optimal_volume"]
)
def test_a_search_in_place_of_its_trials_is_told_what_to_give(name):
    search = fractal_tuner.ZoomSearch({"x": Real(0, 1)}, max_trials=3, seed=0)
    with pytest.raises(TypeError, match="got ZoomSearch; give its trials"):
        getattr(fractal_tuner, name)(search)


def test_more_dimensions_than_trials_are_a_reason():
    rng = np.random.default_rng(0)
    landscape = Landscape.from_points(rng.random((12, 20)), rng.random(12), noise_variance=0.1)
    assert (
        fractal_tuner.near_optimal_volume(landscape).reason
        == "20 dimensions are too many for 12 scores"
    )
    assert fractal_tuner.basins(landscape).reason == "20 dimensions are too many for 12 scores"


@pytest.mark.parametrize("name", ["indistinguishable", "corrected_best", "robust_best"])
@pytest.mark.parametrize("wrong", [None, 3, "abc", [1, 2], np.zeros((5, 5)), object()])
def test_what_holds_no_trials_is_refused(name, wrong):
    with pytest.raises(TypeError, match="trials must be a TrialLog"):
        getattr(fractal_tuner, name)(wrong)


@pytest.mark.parametrize("name", ["importance", "near_optimal_volume", "correlation_lengths"])
@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, True])
def test_seeds_are_integers_of_at_least_0(name, seed):
    landscape = Landscape.from_grid(np.eye(9), noise_variance=1.0)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0"):
        getattr(fractal_tuner, name)(landscape, seed=seed)


@pytest.mark.parametrize("value", ["a", [1], np.ones(2), True])
def test_parameters_that_are_no_numbers_are_named(value):
    log = fractal_tuner.TrialLog(fractal_tuner.SearchSpace({"x": Real(0, 1)}))
    for name, parameter in [
        ("near_optimal_volume", "noise_sd"),
        ("indistinguishable", "noise_sd"),
        ("indistinguishable", "test_ratio"),
        ("corrected_best", "test_ratio"),
    ]:
        with pytest.raises(TypeError, match=f"{parameter} must be None or a finite number"):
            getattr(fractal_tuner, name)(log, **{parameter: value})


RANDOM = np.random.default_rng(0)
PLACES, SCORES = RANDOM.random((60, 2)), RANDOM.random(60)
STRANGE = {
    "a single score": ([[0.5, 0.5]], [1.0]),
    "two scores": (PLACES[:2], [1.0, 2.0]),
    "infinities": (PLACES, np.where(SCORES < 0.3, np.inf, SCORES)),
    "one dimension": (PLACES[:, :1], SCORES),
    "all in one place": (np.full((60, 2), 0.5), SCORES),
    "three places": (np.repeat(PLACES[:3], 20, axis=0), SCORES),
    "on a line": (PLACES[:, [0, 0]], SCORES),
    "huge": (PLACES, 1e200 * SCORES),
    "tiny": (PLACES, 1e-200 * SCORES),
    "one huge": (PLACES, np.append(SCORES[1:], 1e150)),
    "nearly equal": (PLACES, 1e9 + 1e-3 * SCORES),
    "more dimensions than scores": (RANDOM.random((12, 40)), RANDOM.random(12)),
    "nearly as many dimensions": (RANDOM.random((24, 20)), SCORES[:24]),
}


@pytest.mark.parametrize("name", [name for name in OF_LANDSCAPES if name != "roughness"])
@pytest.mark.parametrize("what", STRANGE)
def test_strange_landscapes_get_a_number_in_its_interval_or_a_reason(name, what):
    landscape = Landscape.from_points(*STRANGE[what], noise_variance=0.1)
    found = getattr(fractal_tuner, name)(landscape)
    for estimate in found if isinstance(found, tuple) else [found]:
        if name == "importance":
            assert (estimate.main == {}) == (estimate.reason is not None)
        elif math.isnan(estimate.value):
            assert estimate.reason
        else:
            assert math.isfinite(estimate.value)
            assert not estimate.low > estimate.value
            assert not estimate.high < estimate.value
