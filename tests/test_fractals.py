"""Generators of known truth: their values, dimensions, seeds, and refusals."""

import itertools
import math

import numpy as np
import pytest

from fractal_tuner import fractals
from fractal_tuner.analysis.boxcount import boundary, box_dimension
from fractal_tuner.fractals import trainability_landscape


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
        lambda seed: trainability_landscape(5, steps=20, seed=seed).measure,
        lambda seed: trainability_landscape(5, steps=20, seed=seed, batch_size=4).measure,
    ],
    ids=["Brownian", "Weierstrass", "trainability", "minibatches"],
)
def test_the_same_seed_gives_the_same_values(make):
    np.testing.assert_array_equal(make(3), make(3))
    assert not np.array_equal(make(3), make(4))


# ---------------------------------------------------------------------------------- trainability


def losses_one_by_one(rate0, rate1, *, activation, steps, width, n_points, offset=0.0, seed=0):
    """The definition, one network at a time, gradients by the chain rule on whole matrices."""
    phi, slope = {
        "tanh": (lambda z: np.tanh(math.sqrt(2) * z), lambda h: math.sqrt(2) * (1 - h**2)),
        "relu": (lambda z: math.sqrt(2) * np.maximum(z, 0), lambda h: math.sqrt(2) * (h > 0)),
        "identity": (lambda z: z, np.ones_like),
    }[activation]
    rng = np.random.default_rng(seed)
    w0, w1 = rng.normal(size=(width, width)) + offset, rng.normal(size=width)
    x, y = rng.normal(size=(n_points, width)), rng.normal(size=n_points)
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            hidden = phi(x @ w0 / math.sqrt(width))
            error = hidden @ w1 / width - y
            losses.append(np.mean(error**2))
            back = 2 * error[:, None] * w1 / width / n_points * slope(hidden)
            gradient1 = 2 * hidden.T @ error / width / n_points
            w0 = w0 - rate0 * x.T @ back / math.sqrt(width)
            w1 = w1 - rate1 * gradient1
    return np.array(losses)


def measure_one_by_one(losses):
    v = losses / losses[0]
    v = np.minimum(np.where(np.isfinite(v), v, 1e6), 1e6)
    return -v.sum() if v[-20:].mean() < 1 else (1 / v).sum()


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
@pytest.mark.parametrize("n_points", [None, 1])
def test_the_grid_holds_what_one_network_at_a_time_gives(activation, n_points):
    side, steps, width = 12, 40, 4
    grid = trainability_landscape(
        side, x=(-2, 4), y=(-2, 4), activation=activation, steps=steps, width=width,
        n_points=n_points,
    )  # fmt: skip
    n = n_points or (width if activation == "identity" else width * (width + 1))
    expected = [
        [
            measure_one_by_one(
                losses_one_by_one(
                    10**a, 10**b, activation=activation, steps=steps, width=width, n_points=n
                )
            )
            for b in grid.y
        ]
        for a in grid.x
    ]
    # Chaos near the boundary turns the last bit of a sum into another course.
    same = np.isclose(grid.measure, expected, rtol=1e-6)
    assert same.mean() > 0.9
    assert (grid.converged == (np.array(expected) < 0)).mean() > 0.97


def test_an_offset_moves_the_initial_weights():
    grid = trainability_landscape(3, x=(-1, 1), y=(-2, 0), vary="initial offset", steps=30, width=3)
    losses = losses_one_by_one(
        0.1, 0.1, activation="tanh", steps=30, width=3, n_points=12, offset=-1.0
    )
    assert grid.measure[0, 1] == pytest.approx(measure_one_by_one(losses))


def test_small_rates_converge_and_large_ones_diverge():
    for activation in ("tanh", "relu", "identity"):
        grid = trainability_landscape(8, activation=activation, steps=60)
        assert grid.converged[0, 0]
        assert not grid.converged[-1, -1]
        assert np.isfinite(grid.measure).all()


def test_a_batch_of_points_changes_the_course_but_not_the_picture():
    whole = trainability_landscape(16, steps=60)
    parts = trainability_landscape(16, steps=60, batch_size=16)
    assert not np.array_equal(whole.measure, parts.measure)
    assert (whole.converged == parts.converged).mean() > 0.7


def test_zooms_stay_inside_and_keep_the_boundary_in_view():
    zooms = fractals.trainability_zooms(3, 24, steps=30, width=4)
    for outer, inner in itertools.pairwise(zooms):
        for wide, narrow in ((outer.x, inner.x), (outer.y, inner.y)):
            assert wide[0] <= narrow[0] < narrow[-1] <= wide[-1] + 1e-12
            assert np.ptp(narrow) == pytest.approx(np.ptp(wide) / 4)
        assert 0 < inner.converged.mean() < 1


def test_zooms_end_where_there_is_no_boundary():
    assert len(fractals.trainability_zooms(3, 8, steps=20, x=(-6, -5), y=(-6, -5))) == 1


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
        (lambda: trainability_landscape(4, activation="gelu"), ValueError, "activation"),
        (lambda: trainability_landscape(4, vary="depth"), ValueError, "vary"),
        (lambda: trainability_landscape(4, x=(1, 1)), ValueError, "x needs"),
        (lambda: trainability_landscape(4, y=(0, math.inf)), ValueError, "y needs"),
        (lambda: trainability_landscape(4, batch_size=0), ValueError, "batch_size"),
        (lambda: trainability_landscape(4, steps=0), ValueError, "steps"),
        (lambda: fractals.trainability_zooms(2, 4), ValueError, "side"),
    ],
    ids=itertools.count(),
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
