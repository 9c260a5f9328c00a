"""How much of the space cannot be told from the best."""

import math

import numpy as np
import pytest

from fractal_tuner import Landscape, Real, ZoomSearch
from fractal_tuner.analysis.volume import near_optimal_volume

SIDE = np.linspace(0, 1, 20)
X, Y = np.meshgrid(SIDE, SIDE, indexing="ij")
BUMP = np.exp(-8 * ((X - 0.4) ** 2 + (Y - 0.6) ** 2))


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


@pytest.mark.parametrize("power", [1, 2])
def test_trials_of_a_search_tell_a_round_summit_from_a_sharp_one(power):
    # In 32 searches each, no tip had a value, and 31 bowls one of 0.7 to 1.2 times the true share.
    sd = 0.05 if power == 1 else 0.02
    true = math.pi * sd ** (2 / power)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=60, seed=seed)
        search.run(
            lambda x, y, rng=rng: (
                -(math.hypot(x - 0.45, y - 0.45) ** power) + sd * rng.standard_normal()
            )
        )
        found = near_optimal_volume(search.trials, noise_sd=sd)
        assert found.low <= true <= found.high
        if power == 1:
            assert math.isnan(found.value)
            assert "at most" in found.reason
        else:
            assert found.value == pytest.approx(true, rel=0.4)
