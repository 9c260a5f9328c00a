"""How many regions of good scores there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fractal_tuner import Categorical, Integer, Landscape
from fractal_tuner.analysis.basins import basins

SIDE = np.linspace(0, 1, 20)
X, Y = np.meshgrid(SIDE, SIDE, indexing="ij")
TWO = np.exp(-30 * ((X - 0.25) ** 2 + (Y - 0.3) ** 2)) + 0.8 * np.exp(
    -30 * ((X - 0.75) ** 2 + (Y - 0.7) ** 2)
)
BUMP = np.exp(-8 * ((X - 0.4) ** 2 + (Y - 0.6) ** 2))


def test_basins_of_a_grid_without_noise_are_exact():
    z = np.array([[3.0, 1.0, 2.0], [1.0, 0.0, 1.0], [5.0, 1.0, 4.0]])
    found = basins(Landscape.from_grid(np.kron(z, np.ones((2, 2))), noise_variance=0.0))
    # Descend from 5 to the lowest, from 4 to 1 (to reach 5), from 3 to 1 and from 2 to 1.
    assert found.persistence.tolist() == [5.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize("noise", [0.05, 0.2])
@pytest.mark.parametrize(("z", "n"), [(0 * X, 1), (BUMP, 1), (TWO, 2)])
def test_noise_makes_no_basins(z, n, noise):
    # Over 5 seeds each all are right.
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


@pytest.mark.slow
def test_large_grids_take_little_time_and_memory():
    z = np.random.default_rng(0).standard_normal((1000, 1000)).cumsum(0).cumsum(1)
    assert basins(Landscape.from_grid(z, noise_variance=0.0)).persistence[0] == np.ptp(z)


@pytest.mark.parametrize("how", ["grid", "scattered"])
@pytest.mark.parametrize("kind", ["bump", "ridge", "plane"])
def test_little_noise_and_gaps_between_scores_make_no_basins(how, kind):
    # Islands of the field's mean above twice the noise would be two or more in a third of these.
    def f(x, y):
        ridge = 1 - 6 * (y - 0.2 - 0.6 * (2 * x - 1) ** 2) ** 2 - (x - 0.6) ** 2
        return {"bump": np.exp(-60 * ((x - 0.3) ** 2 + (y - 0.6) ** 2)), "ridge": ridge}.get(
            kind, x - y
        )

    for seed in range(4):
        rng = np.random.default_rng(seed)
        noise = 0.01 * rng.standard_normal(400)
        if how == "grid":
            z = f(X, Y) + noise.reshape(X.shape)
            landscape = Landscape.from_grid(z, noise_variance=1e-4)
        else:
            u = rng.random((80, 2))
            landscape = Landscape.from_points(u, f(*u.T) + noise[:80], noise_variance=1e-4)
        found = basins(landscape)
        assert found.value == 1.0
        assert found.high >= 1.0


def test_a_second_region_that_few_scores_show_is_possible_but_not_sure():
    rng = np.random.default_rng(0)
    u = np.vstack([0.25 + 0.05 * rng.standard_normal((40, 2)), rng.random((20, 2))]).clip(0, 1)
    z = np.exp(-40 * ((u - 0.25) ** 2).sum(1)) + 0.5 * np.exp(-200 * ((u - u[-1]) ** 2).sum(1))
    found = basins(Landscape.from_points(u, z + 0.1 * rng.standard_normal(60), noise_variance=0.01))
    assert found.value == 1.0
    assert found.high > 1.0


def test_integers_with_few_values_are_one_region():
    # 25 places: the trials, and the places that paths lead over, lie on each other.
    axes = {"a": Integer(1, 5), "b": Integer(1, 5)}
    places = np.random.default_rng(0).integers(1, 6, (60, 2))
    z = -((places - 3) ** 2).sum(1) + 0.1 * np.random.default_rng(1).standard_normal(60)
    assert basins(Landscape.from_points(places, z, axes)).value == 1.0


def test_choices_alone_have_no_regions():
    axes = {"a": Categorical(list("abcd")), "b": Categorical(list("abc"))}
    z = np.random.default_rng(0).random((4, 3))
    assert "no regions" in basins(Landscape.from_grid(z, axes)).reason
