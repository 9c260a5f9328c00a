"""Mapping a landscape for its own sake: grids, space-filling samples, crashes, bad input."""

import numpy as np
import pytest

from fractal_tuner import Categorical, Integer, Real, SearchSpace, map_landscape

SQUARE = {"x": Real(0, 1), "y": Real(0, 1)}


def product(x, y):
    if x > 0.9 and y > 0.9:
        raise ArithmeticError("diverged")
    return x * y


@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_landscape_is_mapped_on_a_grid(n_jobs):
    landscape = map_landscape(product, SQUARE, points_per_dim=5, n_jobs=n_jobs)
    u = np.linspace(0, 1, 5)
    expected = np.outer(u, u)
    expected[-1, -1] = np.nan
    np.testing.assert_array_equal(landscape.scores, expected)
    assert landscape.failed.sum() == 1


def test_a_landscape_is_mapped_on_a_space_filling_sample():
    landscape = map_landscape(product, SQUARE, n_points=40, seed=3)
    again = map_landscape(product, SQUARE, n_points=40, seed=3)
    np.testing.assert_array_equal(landscape.coordinates, again.coordinates)
    assert len(landscape.scores) == 40
    halves = (landscape.coordinates > 0.5).sum(0)
    assert np.all(np.abs(halves - 20) <= 4)


def test_a_finite_space_is_sampled_without_repeats():
    space = {"a": range(1, 8), "b": ["p", "q"]}
    landscape = map_landscape(lambda a, b: a + (b == "q"), space, n_points=100)
    assert landscape.n_scores == 14


@pytest.mark.parametrize("how", [{"points_per_dim": 4}, {"n_points": 16}])
def test_a_mapping_that_broke_is_continued(tmp_path, how):
    calls = []

    def objective(x, y):
        calls.append((x, y))
        if len(calls) == 7:
            raise KeyboardInterrupt
        return x * y

    journal = tmp_path / "map.jsonl"
    with pytest.raises(KeyboardInterrupt):
        map_landscape(objective, SQUARE, **how, journal=journal, seed=1)
    landscape = map_landscape(objective, SQUARE, **how, journal=journal, seed=1)
    assert landscape.n_scores == 16
    assert len(calls) == 17
    assert len(set(calls)) == 16


@pytest.mark.parametrize(
    "how", [{}, {"points_per_dim": 3, "n_points": 3}, {"n_points": 0}, {"points_per_dim": 0}]
)
def test_a_mapping_needs_one_size(how):
    with pytest.raises(ValueError, match=r"n_points|points_per_dim"):
        map_landscape(product, SQUARE, **how)


def test_the_number_of_jobs_does_not_change_the_landscape():
    # Threads share the objective, so that nothing need be sent to other processes.
    from joblib import parallel_config

    one = map_landscape(product, SQUARE, n_points=20, seed=0)
    with parallel_config(backend="threading"):
        two = map_landscape(product, SQUARE, n_points=20, seed=0, n_jobs=2)
    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_array_equal(one.coordinates, two.coordinates)


def test_a_mapping_keeps_log_integer_and_categorical_axes():
    space = {
        "lr": Real(1e-4, 1, log=True),
        "depth": Integer(1, 3),
        "kernel": Categorical(["rbf", "poly"]),
    }
    landscape = map_landscape(
        lambda lr, depth, kernel: np.log10(lr) + depth + (kernel == "poly"),
        space,
        points_per_dim=5,
    )
    assert landscape.scores.shape == (5, 3, 2)
    poly = landscape.slice({"kernel": "poly"})
    np.testing.assert_allclose(poly.scores, np.add.outer(np.arange(-4, 1), [2, 3, 4]))
    np.testing.assert_allclose(poly.smoothed().scores, poly.scores, atol=1e-9)


def test_a_mapping_of_conditional_dimensions_is_sliced_where_they_are_active():
    space = SearchSpace(
        {"kernel": ["rbf", "poly"], "c": [1, 2, 3], "degree": [2, 3, 4]},
        conditions={"degree": ("kernel", ("poly",))},
    )
    landscape = map_landscape(lambda kernel, c, degree=0: c + 10 * degree, space, points_per_dim=3)
    assert landscape.names == ("kernel", "c")  # noise is what the degree does
    assert landscape.scores.shape == (2, 3)


def test_a_journal_of_another_mapping_is_refused(tmp_path):
    journal = tmp_path / "map.jsonl"
    map_landscape(product, SQUARE, n_points=5, seed=0, journal=journal)
    with pytest.raises(ValueError, match="n_points"):
        map_landscape(product, SQUARE, n_points=6, seed=0, journal=journal)


@pytest.mark.parametrize("how", [{"points_per_dim": 3}, {"n_points": 9, "seed": 0}])
def test_an_objective_that_always_fails_says_why(how, tmp_path):
    with pytest.raises(RuntimeError, match=r"all 9 trials failed: .*argument 'x'.* \(9 times\)"):
        map_landscape(lambda rate, y: rate, SQUARE, **how)
    journal = tmp_path / "map.jsonl"
    for _ in range(2):  # nothing is evaluated again
        with pytest.raises(RuntimeError, match="all 9 trials failed: "):
            map_landscape(lambda x, y: np.inf, SQUARE, **how, journal=journal)
    with pytest.raises(RuntimeError, match="and 4 other errors"):
        map_landscape(lambda x, y: {}[x, y], SQUARE, **how)


def test_one_success_among_failures_is_a_landscape():
    landscape = map_landscape(lambda x, y: 1 / ((x, y) == (0, 0)), SQUARE, points_per_dim=3)
    assert landscape.n_scores == 1
    assert landscape.failed.sum() == 8


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"points_per_dim": 2000}, "4000000 points"),
        ({"n_points": 2**21}, "n_points must be at most"),
        ({"n_points": 2.5}, "n_points"),
        ({"points_per_dim": "many"}, "points_per_dim"),
        ({"n_points": 4, "n_jobs": 0}, "n_jobs must not be 0"),
        ({"n_points": 4, "n_jobs": "all"}, "n_jobs must be None or an integer, got 'all'"),
        ({"n_points": 4, "seed": -1}, "seed must be None or an integer of at least 0, got -1"),
        ({"n_points": 4, "seed": True}, "seed must be None or an integer of at least 0, got True"),
        ({"n_points": 4, "journal": 5}, "journal must be None or a path, got 5"),
    ],
)
def test_what_cannot_be_mapped_is_refused_before_anything_is_built(how, message):
    with pytest.raises((TypeError, ValueError), match=message):
        map_landscape(product, SQUARE, **how)


def test_an_objective_must_be_callable():
    with pytest.raises(TypeError, match="objective must be callable"):
        map_landscape(3, SQUARE, n_points=4)
