"""Generators of known truth: their values, dimensions, seeds, and refusals."""

import itertools
import math

import numpy as np
import pytest

from fractal_tuner import fractals
from fractal_tuner.analysis.boundaries import boundary
from fractal_tuner.analysis.boxcount import box_dimension


@pytest.mark.parametrize(
    ("fractal", "cells", "dimension"),
    [
        (fractals.cantor_dust(3), 4**3, 1.2619),
        (fractals.cantor_dust(3, d=1), 2**3, 0.6309),
        (fractals.cantor_dust(2, d=3), 8**2, 1.8928),
        (fractals.sierpinski_carpet(3), 8**3, 1.8928),
        (fractals.sierpinski_triangle(4), 3**4, 1.5850),
        (fractals.menger_sponge(2), 20**2, 2.7268),
    ],
    ids=itertools.count(),
)
def test_self_similar_sets_have_their_cells_and_their_dimension(fractal, cells, dimension):
    assert fractal.of == "set"
    assert fractal.values.dtype == bool
    assert np.count_nonzero(fractal.values) == cells
    assert fractal.dimension == pytest.approx(dimension, abs=5e-5)


def test_the_koch_curve_is_one_piece():
    from scipy.ndimage import label

    koch = fractals.koch_curve(200)
    assert label(koch.values, np.ones((3, 3)))[1] == 1
    assert koch.values.any(axis=1).all()  # it goes all the way across
    assert koch.dimension == pytest.approx(1.2619, abs=5e-5)


def test_the_julia_set_of_zero_is_a_disk():
    disk = fractals.julia_set(0, side=400)
    assert disk.values.mean() == pytest.approx(math.pi / 3.6**2, rel=0.01)
    assert disk.dimension == 1.0
    assert math.isnan(fractals.julia_set(0.3, side=8).dimension)
    assert fractals.julia_set(0.1j, side=8).dimension == pytest.approx(1.0036, abs=1e-4)


def test_the_mandelbrot_set_has_its_area_and_fools_the_box_count():
    found = fractals.mandelbrot_set(512)
    assert found.values.mean() * 2.5**2 == pytest.approx(1.507, abs=0.02)  # Andreadis & Karakasidis
    # Truth 2: the scales at which that shows are far below any affordable cell.
    assert box_dimension(boundary(found.values)).value == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize("hurst", [0.2, 0.5, 0.75, 0.9])
def test_fractional_brownian_increments_grow_by_the_power_law(hurst):
    # Standard error over these 200 surfaces, measured: below 0.04 at lags 1, 4, 0.12 at 16.
    side, ratios = 33, []
    for seed in range(200):
        z = fractals.fractional_brownian_surface(hurst, side, rng=seed).values
        ratios.append(
            [np.mean((z[k:] - z[:-k]) ** 2) / (k / (side - 1)) ** (2 * hurst) for k in (1, 4, 16)]
            + [np.mean((z[4:, 4:] - z[:-4, :-4]) ** 2) / (math.sqrt(2) / 8) ** (2 * hurst)]
        )
    np.testing.assert_allclose(np.mean(ratios, 0), 1, atol=0.25)
    np.testing.assert_allclose(np.mean(ratios, 0)[:2], 1, atol=0.12)


@pytest.mark.parametrize("hurst", [0.01, 0.1, 0.5, 0.75, 0.76, 0.9, 0.99])
@pytest.mark.parametrize("side", [2, 3, 20, 64])
def test_every_exponent_has_an_embedding(hurst, side):
    found = fractals.fractional_brownian_surface(hurst, side)
    assert np.isfinite(found.values).all()
    assert found.dimension == 3 - hurst


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("name", ["takagi_surface", "weierstrass_mandelbrot_surface"])
def test_deterministic_surfaces_roughen_by_their_exponent(name, hurst):
    z = getattr(fractals, name)(hurst, 300).values
    steps = [1, 2, 4, 8, 16]
    spread = [np.mean(np.abs(z[k:] - z[:-k])) for k in steps]
    slope = np.polyfit(np.log(steps), np.log(spread), 1)[0]
    # The sums end at the grid's own frequency, which flattens small steps: measured up to 0.11.
    assert slope == pytest.approx(hurst, abs=0.15)


def test_a_rippled_bump_is_smooth_and_of_zero_mean():
    found = fractals.rippled_bump(101)
    assert found.values[50, 50] == 0
    np.testing.assert_allclose(found.values, -found.values[::-1], atol=1e-12)
    assert found.dimension == 2.0


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: fractals.fractional_brownian_surface(0.5, 9, rng=seed).values,
        lambda seed: fractals.weierstrass_mandelbrot_surface(0.5, 9, rng=seed).values,
    ],
    ids=["Brownian", "Weierstrass"],
)
def test_the_same_seed_gives_the_same_values(make):
    np.testing.assert_array_equal(make(3), make(3))
    assert not np.array_equal(make(3), make(4))


# ---------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fractals.cantor_dust(0), ValueError, "levels"),
        (lambda: fractals.cantor_dust(2.0), TypeError, "levels"),
        (lambda: fractals.koch_curve(1), ValueError, "side"),
        (lambda: fractals.julia_set(complex("nan")), ValueError, "c must"),
        (lambda: fractals.fractional_brownian_surface(1.0), ValueError, "hurst"),
        (lambda: fractals.fractional_brownian_surface(math.nan), ValueError, "hurst"),
        (lambda: fractals.takagi_surface(0.5, 1), ValueError, "side"),
        (lambda: fractals.julia_set("a"), TypeError, "c must be a number, got 'a'"),
        (lambda: fractals.takagi_surface("a"), TypeError, "hurst must be a number, got 'a'"),
        (lambda: fractals.sierpinski_carpet(20), ValueError, "levels must be at most 9 over 2"),
        (lambda: fractals.menger_sponge(9), ValueError, "levels must be at most 6 over 3"),
        (lambda: fractals.sierpinski_triangle(16), ValueError, "levels must be at most 15"),
        (lambda: fractals.cantor_dust(2, 10), ValueError, "levels must be at most 1 over 10"),
        (lambda: fractals.fractional_brownian_surface(0.5, rng=-1), ValueError, "rng must be"),
        (lambda: fractals.weierstrass_mandelbrot_surface(0.5, rng="a"), TypeError, "rng must be"),
    ],
    ids=itertools.count(),
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
