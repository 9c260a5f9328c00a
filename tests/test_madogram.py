import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from fractal_tuner.analysis.madogram import Madogram
from fractal_tuner.fractals import takagi_surface, weierstrass_mandelbrot_surface


@pytest.mark.parametrize("surface", [takagi_surface, weierstrass_mandelbrot_surface])
@pytest.mark.parametrize("hurst", [0.3, 0.7])
def test_rough_surfaces_of_any_kind_have_their_exponent(surface, hurst):
    # Errors at 128 x 128: at most 0.042.
    z = surface(hurst, 128).values
    assert abs(Madogram.of_grid(z, [1 / 127] * 2).hurst - hurst) < 0.06


def test_noise_lowers_the_exponent_as_predicted():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.standard_normal((400, 500)), axis=1)  # variogram h / 2, along axis 1
    noisy = walk + rng.standard_normal(walk.shape)
    clean, found = (np.array([Madogram.of_grid(z, [1.0]).hurst for z in s]) for s in (walk, noisy))
    assert abs(clean.mean() - 0.5) < 0.01  # standard error 0.002
    expected = Madogram.of_grid(noisy[0], [1.0]).hurst_of(0.5, 0.5, 1.0)
    assert expected == pytest.approx(0.5 * math.log2(2.0 / 1.5))
    assert abs(found.mean() - expected) < 0.01


def test_a_plane_has_exponent_1_gridded_or_scattered():
    z = np.add.outer(np.arange(9.0), 2 * np.arange(7.0))
    z[3, 3] = np.nan
    assert Madogram.of_grid(z, [1.0, 1.0]).hurst == pytest.approx(1.0)
    u = np.random.default_rng(0).random((200, 2))
    assert Madogram.of_points(pdist(u), u.sum(1)).hurst > 0.9


def test_without_differences_there_is_no_exponent():
    for z in (np.zeros(9), np.full(9, np.nan), np.arange(2.0)):
        assert math.isnan(Madogram.of_grid(z, [1.0]).hurst)
    assert math.isnan(Madogram.of_grid(np.arange(2.0), [1.0]).hurst_of(0.5, 1.0, 0.0))
    u = np.random.default_rng(0).random((60, 2))
    assert math.isnan(Madogram.of_points(pdist(u), np.zeros(60)).hurst)


def test_the_spread_is_that_of_brownian_surfaces():
    # Of 100 draws each: standard errors of 0.07 of the standard deviation.
    axis = np.linspace(0, 1, 12)
    places = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    r = np.linalg.norm(places, axis=1)
    h = np.linalg.norm(places[:, None] - places, axis=-1)
    covariance = 0.5 * (r[:, None] + r - h) + 1e-10 * np.eye(len(places))  # H = 0.5
    draws = np.random.default_rng(1).standard_normal((len(places), 200))
    fields = (np.linalg.cholesky(covariance) @ draws).T.reshape(-1, 12, 12)
    found = np.std([Madogram.of_grid(field, [1 / 11] * 2).hurst for field in fields])
    assert Madogram.spread_of([axis, axis], 0.5, 0.5, 0.0) == pytest.approx(found, rel=0.25)
    assert Madogram.spread_of([axis, axis], 0.5, 0.5, 10.0) < 0.5 * found
