"""Edges of the domain, basins, plateaux and near-optimal volume."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    Integer,
    Landscape,
    Ordinal,
    Real,
    SearchSpace,
    TrialLog,
    Window,
    ZoomSearch,
)
from fractal_tuner.analysis.importance import importance
from fractal_tuner.analysis.noise import corrected_best, noise_share
from fractal_tuner.analysis.optimum import (
    basins,
    domain_edges,
    near_optimal_volume,
    plateau_share,
)

SIDE = np.linspace(0, 1, 20)
X, Y = np.meshgrid(SIDE, SIDE, indexing="ij")
TWO = np.exp(-30 * ((X - 0.25) ** 2 + (Y - 0.3) ** 2)) + 0.8 * np.exp(
    -30 * ((X - 0.75) ** 2 + (Y - 0.7) ** 2)
)
BUMP = np.exp(-8 * ((X - 0.4) ** 2 + (Y - 0.6) ** 2))


def evaluated(space, objective, n=40, seed=0, **conditions):
    space = space if isinstance(space, SearchSpace) else SearchSpace(space)
    log = TrialLog(space)
    for u in np.random.default_rng(seed).random((n, len(space))):
        trial = log.add(space.key_from_unit(u), Window.whole(len(space)))
        log.finish(trial.id, objective(**trial.params))
    return log


# Edges of the domain


def test_the_ends_that_the_best_has_reached_and_the_slopes_there():
    space = {"c": Real(1e-3, 1e3, log=True), "depth": Integer(1, 20), "p": Ordinal([1, 2, 5])}
    log = evaluated(space, lambda c, depth, p: math.log10(c) - 0.05 * (depth - 10) ** 2 - 3 * p)
    found = domain_edges(log)
    assert {(edge.name, edge.side) for edge in found.edges} >= {("p", "low")}
    assert "depth" not in {edge.name for edge in found.edges}
    edge = next(edge for edge in found.edges if edge.name == "p")
    assert (edge.value, edge.bound, edge.is_on, edge.points_outward) == (1, 1, True, True)


def test_next_to_an_end_is_near_it_or_one_value_away():
    space = SearchSpace({"x": Real(0, 100), "n": Integer(0, 9)})
    log = TrialLog(space)
    for x, n, score in [(50, 5, 0.0), (96, 1, 1.0)]:
        trial = log.add(space.key({"x": x, "n": n}), Window.whole(2))
        log.finish(trial.id, score)
    edges = domain_edges(log).edges
    assert [(edge.name, edge.side, edge.is_on) for edge in edges] == [
        ("x", "high", False),
        ("n", "low", False),
    ]
    assert all("not enough data" in edge.slope.reason for edge in edges)
    assert edges[0].points_outward is None


def test_categories_pairs_and_inactive_dimensions_have_no_ends():
    space = SearchSpace(
        {"kind": Categorical(["a", "b"]), "flag": Ordinal([0, 1]), "x": Real(0, 1)},
        conditions={"x": ("kind", ("b",))},
    )
    log = evaluated(space, lambda kind, flag, x=0.0: float(kind == "a") + flag - x)
    assert domain_edges(log).edges == ()


def test_a_field_that_predicts_nothing_has_no_slope():
    # Waves of three rows: the field that is fitted to a sample takes them for noise, and had a
    # slope of -0.03 (-0.06 to 0.001) where scores rise by 0.05.
    space = {"a": list(np.linspace(0.001, 0.1, 50)), "b": list(np.linspace(10, 100, 50))}
    search = FactorialZoom(space, levels=1, max_trials=2500)
    search.run(lambda a, b: np.sin(10 * a) * np.cos(b) * np.exp(-(a**2) - (b / 100) ** 2))
    (edge,) = domain_edges(search.trials).edges
    assert (edge.name, edge.side, edge.is_on) == ("a", "high", True)
    assert "predicts" in edge.slope.reason
    assert edge.points_outward is None


def test_edges_of_a_search_without_a_score():
    log = TrialLog(SearchSpace({"x": Real(0, 1)}))
    assert domain_edges(log).reason == "no trial is complete"


# Basins


def test_basins_of_a_grid_without_noise_are_exact():
    z = np.array([[3.0, 1.0, 2.0], [1.0, 0.0, 1.0], [5.0, 1.0, 4.0]])
    found = basins(Landscape.from_grid(np.kron(z, np.ones((2, 2))), noise_variance=0.0))
    # Descend from 5 to the lowest, from 4 to 1 (to reach 5), from 3 to 1 and from 2 to 1.
    assert found.persistence.tolist() == [5.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize("noise", [0.05, 0.2])
@pytest.mark.parametrize(("z", "n"), [(0 * X, 1), (BUMP, 1), (TWO, 2)])
def test_noise_makes_no_basins(z, n, noise):
    # Over 8 seeds each: 1.0 of white noise and of one bump, 1.9 to 2.0 of two.
    counts = []
    for seed in range(5):
        noisy = z + noise * np.random.default_rng(seed).standard_normal(z.shape)
        counts.append(basins(Landscape.from_grid(noisy, noise_variance=noise**2)).value)
    assert np.mean(counts) == pytest.approx(n, abs=0.25)


def test_basins_of_scattered_scores():
    rng = np.random.default_rng(0)
    u = rng.random((150, 2))
    z = np.abs(np.sin(2 * np.pi * u[:, 0])) - u[:, 1] ** 2
    found = basins(
        Landscape.from_points(u, z + 0.05 * rng.standard_normal(150), noise_variance=0.0025)
    )
    assert found.value == 2.0
    assert sorted(found.peaks[:, 0]) == pytest.approx([0.25, 0.75], abs=0.1)


@given(some.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_basins_do_not_depend_on_the_order_or_direction_of_axes_or_the_unit(seed):
    z = np.random.default_rng(seed).integers(0, 1000, (5, 6)).astype(float)
    depths = [
        basins(Landscape.from_grid(a, noise_variance=0.0)).persistence
        for a in (z, z.T, z[::-1], 2 * z + 3)
    ]
    for other in depths[1:3]:
        np.testing.assert_allclose(np.sort(other), np.sort(depths[0]))
    np.testing.assert_allclose(depths[3], 2 * depths[0])
    assert depths[0].max() == np.ptp(z)


def test_choices_of_a_category_are_all_neighbours():
    z = np.array([[0.0, 3.0, 1.0, 4.0]]).T + np.zeros((4, 3))
    axes = {"kind": Categorical(["a", "b", "c", "d"]), "x": None}
    assert basins(Landscape.from_grid(z, axes, noise_variance=0.0)).value == 1.0
    assert basins(Landscape.from_grid(z, axes, noise_variance=0.01)).value == 1.0


@pytest.mark.parametrize("analyze", [basins, plateau_share, near_optimal_volume])
def test_unknown_noise_is_a_reason(analyze):
    found = analyze(Landscape.from_grid(BUMP))
    assert math.isnan(found.value)
    assert "the noise is unknown" in found.reason


@pytest.mark.parametrize("analyze", [basins, near_optimal_volume])
@pytest.mark.parametrize("scores", [[1.0], [math.nan] * 20, [2.0] * 20, [1.0, math.inf] * 3])
def test_too_few_or_constant_scores_are_a_reason(analyze, scores):
    found = analyze(Landscape.from_grid(scores, noise_variance=1.0))
    assert math.isnan(found.value)
    assert found.reason


@pytest.mark.slow
def test_large_grids_take_little_time_and_memory():
    z = np.random.default_rng(0).standard_normal((1000, 1000)).cumsum(0).cumsum(1)
    assert basins(Landscape.from_grid(z, noise_variance=0.0)).persistence[0] == np.ptp(z)


# Plateaux


def test_a_plateau_is_all_noise_and_a_slope_has_none():
    noise = np.random.default_rng(0).standard_normal(X.shape)
    assert plateau_share(Landscape.from_grid(noise, noise_variance=1.0)).value > 0.9
    steep = Landscape.from_grid(100 * X + 100 * Y + noise, noise_variance=1.0)
    assert plateau_share(steep).value < 0.05
    assert plateau_share(Landscape.from_grid(0 * X, noise_variance=0.0)).value == 1.0


def test_half_a_plateau():
    z = np.where(X < 0.5, 0.0, 200 * X + 200 * Y)
    z = z + np.random.default_rng(0).standard_normal(X.shape)
    found = plateau_share(Landscape.from_grid(z, noise_variance=1.0))
    assert found.low < 0.5 < found.high


def test_the_plateau_of_many_scattered_scores_is_that_of_all():
    # A plane that rises by 80 s.d.: in 20 seeds the nearest neighbours of 3000 give 0.89 to 0.98,
    # those of 300, which are three times as far apart, 0.51 to 0.78.
    rng = np.random.default_rng(0)
    u = rng.random((3000, 2))
    z = 80 * u[:, 0] + rng.standard_normal(3000)
    found = plateau_share(Landscape.from_points(u, z, noise_variance=1.0))
    assert found.value > 0.85
    assert found.n >= 3000


def test_a_single_score_has_no_neighbours():
    found = plateau_share(Landscape.from_points([[0.5, 0.5]], [1.0], noise_variance=1.0))
    assert found.reason == "no two neighbours have scores"


# Near-optimal volume


@pytest.mark.parametrize("seed", range(3))
def test_the_volume_of_a_bowl_is_a_disc_s(seed):
    # f = -|x - c|^2, so the volume within c sd is pi c sd = 0.126 and 0.251.
    rng = np.random.default_rng(seed)
    u = rng.random((100, 2))
    y = -((u - 0.5) ** 2).sum(1) + 0.04 * rng.standard_normal(100)
    found = near_optimal_volume(Landscape.from_points(u, y), noise_sd=0.04)
    assert found.low < 0.126 < found.high
    assert found.within_two.low < 0.251 < found.within_two.high
    assert found.high < 0.35


def test_the_interval_of_a_known_volume_holds_the_sampling_error_of_the_points():
    # Without noise and with 40 scores near the summit the field is exact, and some 50 Sobol points
    # lie within reach: without their sampling error 15 of 20 intervals would cover.
    rng = np.random.default_rng(0)
    u = np.vstack([0.5 + 0.03 * rng.standard_normal((40, 2)), rng.random((60, 2))])
    landscape = Landscape.from_points(u, -((u - 0.5) ** 2).sum(1))
    found = [near_optimal_volume(landscape, noise_sd=0.004, seed=seed) for seed in range(20)]
    assert all(f.low < np.pi * 0.004 < f.high for f in found)
    assert all(f.high < 2 * f.low + 0.004 for f in found)


@pytest.mark.parametrize("is_grid", [True, False])
def test_a_sharp_summit_is_within_the_interval(is_grid):
    # f = -|x - c|, so the volume within c sd is pi (c sd)^2; the field's mean is round.
    rng = np.random.default_rng(0)
    u = np.column_stack([X.ravel(), Y.ravel()]) if is_grid else rng.random((100, 2))
    sd = 0.2 * 0.14
    z = -np.linalg.norm(u - 0.5, axis=1) + sd * rng.standard_normal(len(u))
    found = near_optimal_volume(Landscape.from_points(u, z), noise_sd=sd)
    assert found.low <= np.pi * sd**2 <= found.high
    assert found.within_two.low <= 4 * np.pi * sd**2 <= found.within_two.high


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_an_invalid_noise_is_refused(value):
    with pytest.raises(ValueError, match="noise_sd"):
        near_optimal_volume(Landscape.from_grid(BUMP), noise_sd=value)


def test_without_noise_there_is_no_near_optimal_volume():
    found = near_optimal_volume(Landscape.from_grid(BUMP, noise_variance=0.0))
    assert "without noise" in found.reason


def test_equal_scores_have_no_best_and_a_list_has_no_domain():
    log = evaluated({"x": Real(0, 1)}, lambda x: 1.0)
    assert domain_edges(log).reason == "the scores do not differ"
    with pytest.raises(TypeError, match="trials must be a TrialLog"):
        domain_edges([1])


@pytest.mark.parametrize(
    "analyze", [corrected_best, domain_edges, importance, noise_share, near_optimal_volume]
)
def test_a_search_in_place_of_its_trials_is_told_what_to_give(analyze):
    search = ZoomSearch({"x": Real(0, 1)}, max_trials=3, seed=0)
    with pytest.raises(TypeError, match="got ZoomSearch; give its trials"):
        analyze(search)


def test_more_dimensions_than_trials_are_a_reason():
    rng = np.random.default_rng(0)
    landscape = Landscape.from_points(rng.random((12, 20)), rng.random(12), noise_variance=0.1)
    assert near_optimal_volume(landscape).reason == "20 dimensions are too many for 12 scores"
    assert basins(landscape).reason == "20 dimensions are too many for 12 scores"
