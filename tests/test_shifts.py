"""Correlations of maps, and how often unrelated maps seem related."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import pearsonr

from fractal_tuner import Landscape, Real
from fractal_tuner.analysis.shifts import map_correlation


def holed(z, share, seed=0):
    z = np.array(z)
    z[np.random.default_rng(seed).random(z.shape) < share] = np.nan
    return z


def smooth_field(rng, shape, length):
    """A stationary field without a seam: a part of a larger torus."""
    larger = [n + int(6 * length) + 4 for n in shape]
    whole = gaussian_filter(rng.standard_normal(larger), length, mode="wrap")
    return whole[tuple(slice(0, n) for n in shape)]


def test_a_map_goes_with_itself_and_against_its_opposite():
    z = smooth_field(np.random.default_rng(0), (20, 20), 1)
    same = map_correlation(Landscape.from_grid(z), Landscape.from_grid(3 + 2 * z))
    opposite = map_correlation(Landscape.from_grid(z), Landscape.from_grid(-z))
    assert same.value == pytest.approx(1)
    assert opposite.value == pytest.approx(-1)
    assert same.p_value == opposite.p_value == pytest.approx(1 / 1600)
    assert same.shifted[0] == same.value
    assert len(same.shifted) == 1600


def test_the_correlation_is_pearsons_over_the_cells_known_in_both():
    rng = np.random.default_rng(0)
    a, b = holed(rng.standard_normal((15, 11)), 0.2, 1), holed(rng.random((15, 11)), 0.2, 2)
    both = np.isfinite(a) & np.isfinite(b)
    found = map_correlation(Landscape.from_grid(a), Landscape.from_grid(b))
    assert found.value == pytest.approx(pearsonr(a[both], b[both])[0])
    assert found.n == both.sum()


@pytest.mark.parametrize("size", [1e-300, 1.7e308])
def test_scores_of_any_size_correlate(size):
    a, b = np.random.default_rng(0).random((2, 10, 10))
    small = map_correlation(Landscape.from_grid(a), Landscape.from_grid(b))
    found = map_correlation(Landscape.from_grid(size * a), Landscape.from_grid(b))
    assert found.value == pytest.approx(small.value)
    assert found.p_value == small.p_value


def test_shifts_are_those_of_the_mirrored_map():
    rng = np.random.default_rng(0)
    a, b = holed(rng.standard_normal((9, 8)), 0.1), rng.standard_normal((9, 8))
    found = map_correlation(Landscape.from_grid(a), Landscape.from_grid(b))
    mirrored = np.block([[b, b[:, ::-1]], [b[::-1], b[::-1, ::-1]]])
    known = np.isfinite(a)
    for row, column in ((0, 1), (4, 0), (13, 9)):
        moved = np.roll(mirrored, (-row, -column), (0, 1))[:9, :8]
        expected = pearsonr(a[known], moved[known])[0]
        assert found.shifted[16 * row + column] == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("length", [0.01, 1.0, 2.0, 3.0])
def test_unrelated_smooth_maps_are_found_related_as_often_as_the_level_says(length):
    # 400 pairs at 5 %: standard error 0.011. Measured with other seeds: 0.04 to 0.08.
    rng = np.random.default_rng(int(10 * length))
    ours, pearsons = [], []
    for _ in range(400):
        a, b = (smooth_field(rng, (20, 20), length) for _ in range(2))
        found = map_correlation(Landscape.from_grid(a), Landscape.from_grid(b))
        if found.reason is None:
            ours.append(found.p_value <= 0.05)
        pearsons.append(pearsonr(a.ravel(), b.ravel())[1] <= 0.05)
    assert 0.02 <= np.mean(ours) <= 0.085
    if length >= 1:
        assert np.mean(pearsons) > 0.35


@pytest.mark.slow
@pytest.mark.parametrize("related", [0.0, 0.5, 0.8])
def test_intervals_of_correlations_cover(related):
    # 150 pairs, nominal 0.95. Measured with 300 others, 4 lengths: 0.93 to 0.98.
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(150):
        a, b = (smooth_field(rng, (20, 20), 1) for _ in range(2))
        b = related * a + math.sqrt(1 - related**2) * b
        found = map_correlation(Landscape.from_grid(a), Landscape.from_grid(b))
        covered.append(found.low <= related <= found.high)
    assert np.mean(covered) >= 0.88


@pytest.mark.slow
def test_related_smooth_maps_are_found_related():
    # True correlation 0.7, correlation length of 2 cells of 20: found in 95 % of 200 pairs; with
    # 3 cells in 77 %.
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        a, b = (smooth_field(rng, (20, 20), 2) for _ in range(2))
        related = 0.7 * a + math.sqrt(1 - 0.49) * b
        p = map_correlation(Landscape.from_grid(a), Landscape.from_grid(related)).p_value
        found.append(p <= 0.05)
    assert np.mean(found) > 0.85


NOISE = Landscape.from_grid(np.random.default_rng(0).standard_normal((10, 10)))
SCATTERED = Landscape.from_points(np.random.default_rng(0).random((30, 2)), np.arange(30.0))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (SCATTERED, "scattered"),
        (Landscape.from_grid(np.ones((10, 10))), "constant"),
        (Landscape.from_grid(np.zeros((10, 10))), "constant"),
        (NOISE.with_scores(np.full((10, 10), np.nan)), "less than a third"),
        (NOISE.with_scores(NOISE.lines[0][:, None] + NOISE.lines[1]), "too smooth"),
    ],
    ids=["scattered", "ones", "zeros", "unknown", "plane"],
)
def test_maps_that_cannot_be_compared_get_a_reason(other, reason):
    found = map_correlation(other, other)
    assert math.isnan(found.value)
    assert math.isnan(found.p_value)
    assert reason in found.reason


def test_small_and_uneven_grids_get_a_reason():
    small = Landscape.from_grid(np.eye(7))
    assert "fewer than 8 cells" in map_correlation(small, small).reason
    z = np.random.default_rng(0).standard_normal(9)
    uneven = Landscape.from_grid(z, {"x": [1, 2, 3, 4, 5, 7, 8, 20, 21]})
    assert "equally spaced" in map_correlation(uneven, uneven).reason


def test_maps_of_different_cells_are_refused():
    with pytest.raises(ValueError, match="same cells"):
        map_correlation(
            NOISE, Landscape.from_grid(np.eye(10), {"a": range(10), "b": Real(0, 1)}).at(9)
        )
    with pytest.raises(ValueError, match="same cells"):
        map_correlation(NOISE, NOISE.slice({"x0": 0.0}))


def test_something_else_than_a_map_is_refused():
    with pytest.raises(TypeError, match="map_b must be a Landscape"):
        map_correlation(NOISE, NOISE.scores)
