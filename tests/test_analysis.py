"""The analyzers together: one way to call them, one cost."""

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
