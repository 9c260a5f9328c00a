"""The random field: its likelihood, its predictions, expected improvement."""

import contextlib
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import t as student
from threadpoolctl import threadpool_info, threadpool_limits

from fractal_tuner.field import (
    SMOOTHNESS,
    Kriging,
    RandomField,
    _objective,
    matern,
    matern_and_slope,
    one_blas_thread,
)
from fractal_tuner.search.improvement import log_expected_improvement


def sample(nu, scales, nugget, n, rng):
    """Places in the unit cube and the values there of a field with these parameters."""
    x = rng.random((n, len(scales)))
    h2 = (((x[:, None] - x) / scales) ** 2).sum(-1)
    cov = matern(nu, h2) + nugget * np.eye(n)
    return x, np.linalg.cholesky(cov + 1e-10 * np.eye(n)) @ rng.normal(size=n)


@pytest.mark.parametrize("nu", SMOOTHNESS)
def test_the_correlation_is_the_matern_function_of_its_smoothness(nu):
    from scipy.special import gamma, kv

    h = np.array([1e-3, 0.1, 0.7, 2.0])
    s = math.sqrt(2 * nu) * h
    expected = 2 ** (1 - nu) / gamma(nu) * s**nu * kv(nu, s)
    np.testing.assert_allclose(matern(nu, h**2), expected, rtol=1e-6)


@pytest.mark.parametrize("nu", [*SMOOTHNESS, math.inf])
def test_the_slope_of_the_correlation_is_its_derivative(nu):
    h2 = np.array([1e-2, 0.3, 2.0])
    step = 1e-6
    expected = (matern(nu, h2 + step) - matern(nu, h2 - step)) / (2 * step)
    k, slope = matern_and_slope(nu, h2)
    np.testing.assert_allclose(k, matern(nu, h2), rtol=1e-14)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_an_infinite_smoothness_is_gaussian_and_any_other_is_refused():
    assert matern(math.inf, np.array([2.0]))[0] == math.exp(-1)
    for function in (matern, matern_and_slope):
        with pytest.raises(ValueError, match=r"nu must be 0.5, 1.5, 2.5 or inf, got 2"):
            function(2, np.ones(1))


def test_a_refit_of_many_steps_ends_where_the_posterior_is_flat():
    rng = np.random.default_rng(0)
    x, z = sample(1.5, np.array([0.3, 0.6]), 1e-2, 60, rng)
    for start in (RandomField.prior(2), RandomField(1.5, np.array([5.0, 0.05]), 0.5)):
        found = start.refit(x, z, 100)
        theta = np.log([*found.scales, found.nugget])
        value, _ = _objective(theta, found.nu, x, z)
        for step in 0.02 * np.vstack([np.eye(3), -np.eye(3)]):
            assert _objective(theta + step, found.nu, x, z)[0] > value


@pytest.mark.parametrize("nu", SMOOTHNESS)
def test_the_gradient_of_the_likelihood_is_its_slope(nu):
    rng = np.random.default_rng(0)
    x, z = sample(nu, np.array([0.4, 1.0, 3.0]), 0.01, 25, rng)
    theta = np.log([0.5, 0.8, 2.0, 0.02])
    _, gradient = _objective(theta, nu, x, z)
    for j in range(4):
        step = np.eye(4)[j] * 1e-5
        slope = (
            _objective(theta + step, nu, x, z)[0] - _objective(theta - step, nu, x, z)[0]
        ) / 2e-5
        assert gradient[j] == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_a_fit_finds_which_dimension_matters_and_how_much_noise_there_is():
    fits = []
    for seed in range(7):
        x, z = sample(2.5, np.array([0.3, 20.0]), 0.1, 120, np.random.default_rng(seed))
        fits.append(RandomField.prior(2).refit(x, z, iterations=30))
    assert np.median([fit.scales[1] / fit.scales[0] for fit in fits]) > 4
    assert 0.02 < np.median([fit.nugget for fit in fits]) < 0.3


@pytest.mark.parametrize(("nu", "rough"), [(0.5, True), (2.5, False)])
def test_a_fit_tells_a_rough_field_from_a_smooth_one(nu, rough):
    right = 0
    for seed in range(10):
        x, z = sample(nu, np.array([0.4, 0.4]), 0.0, 100, np.random.default_rng(seed))
        right += (RandomField.prior(2).refit(x, z, iterations=20).nu < 2.5) == rough
    assert right >= 8


def test_without_noise_the_prediction_passes_through_the_values():
    rng = np.random.default_rng(2)
    x = rng.random((20, 2))
    z = np.sin(5 * x[:, 0]) + x[:, 1]
    kriging = Kriging(RandomField(2.5, np.array([0.5, 0.5]), 1e-6), x)
    kriging.observe(z)
    mean, sd = kriging.predict(x)
    np.testing.assert_allclose(mean, z, atol=1e-3)
    assert sd.max() < 0.01


def test_prediction_intervals_cover_what_they_say():
    inside = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scales = np.array([0.5, 0.8])
        x, z = sample(1.5, scales, 0.0, 60, rng)
        kriging = Kriging(RandomField(1.5, scales, 1e-6), x[:40])
        kriging.observe(z[:40])
        mean, sd = kriging.predict(x[40:])
        inside.append(np.abs(z[40:] - mean) < 1.96 * sd)
    assert 0.90 < np.mean(inside) < 0.99  # 600 points, dependent within a field


def test_appending_places_one_by_one_gives_the_same_prediction():
    rng = np.random.default_rng(3)
    x, z = rng.random((80, 3)), rng.normal(size=80)
    field = RandomField(1.5, np.array([0.4, 0.9, 2.0]), 0.01)
    whole, grown = Kriging(field, x), Kriging(field, x[:5])
    for place in x[5:]:
        grown.append(place)
    whole.observe(z)
    grown.observe(z)
    at = rng.random((10, 3))
    np.testing.assert_allclose(grown.predict(at), whole.predict(at), rtol=1e-8)
    np.testing.assert_allclose(grown.fitted, whole.fitted, rtol=1e-8)


def test_a_copy_leaves_the_original_as_it_was():
    rng = np.random.default_rng(4)
    x, z = rng.random((10, 2)), rng.normal(size=10)
    kriging = Kriging(RandomField.prior(2), x)
    kriging.observe(z)
    before = kriging.predict(x)
    twin = kriging.copy()
    twin.append(np.array([0.5, 0.5]))
    twin.observe(np.append(z, 100.0))
    np.testing.assert_array_equal(kriging.predict(x), before)


def test_equal_places_of_a_smooth_field_do_not_break_it():
    x = np.repeat(np.random.default_rng(5).random((10, 2)), 3, axis=0)
    kriging = Kriging(RandomField(2.5, np.array([30.0, 30.0]), 1e-6), x)
    kriging.append(x[0])
    kriging.observe(np.ones(31))
    mean, sd = kriging.predict(x)
    assert np.isfinite(mean).all()
    assert np.isfinite(sd).all()


@pytest.mark.parametrize("t", [-20.0, -6.0, -1.01, -0.99, 0.0, 3.0])
def test_expected_improvement_is_the_mean_of_what_is_gained(t):
    sd = 0.7
    far = -200 * max(1.0, abs(t)) * sd  # beyond it there is less than 1e-30 of all
    law = student(20, -t * sd, sd)
    gain, _ = quad(
        lambda y: -y * law.pdf(y), far, 0.0, epsabs=0.0, limit=500, points=[-sd, -9 * sd]
    )
    value = log_expected_improvement(0.0, np.array([-t * sd]), np.array([sd]))[0]
    assert value == pytest.approx(math.log(gain), rel=1e-6)


def test_expected_improvement_still_orders_hopeless_candidates():
    t = -np.logspace(0, 6, 50)
    value = log_expected_improvement(0.0, -t, np.ones(50))
    assert np.isfinite(value).all()
    assert (np.diff(value) < 0).all()


def test_linear_algebra_has_as_many_threads_afterwards_as_before():
    def threads():
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("the library has no threads")
        with one_blas_thread():
            with contextlib.suppress(RuntimeError), one_blas_thread():
                assert threads() == {1}
                raise RuntimeError
            assert threads() == {1}
        assert threads() == {2}
