import math

import numpy as np
import pytest
from scipy.optimize import check_grad

from fractal_tuner.analysis.fitting import _objective, fit_axes

SMOOTHNESSES = (0.5, 1.5, 2.5, math.inf)


@pytest.mark.parametrize("smoothness", [None, *SMOOTHNESSES])
def test_the_gradient_is_that_of_the_likelihood(smoothness):
    rng = np.random.default_rng(0)
    x, z = rng.random((30, 2)), rng.standard_normal(30)
    theta = np.array([0.2, -0.3, -2.0] + ([0.4] if smoothness is None else []))
    error = check_grad(
        lambda t: _objective(t, smoothness, x, z)[0],
        lambda t: _objective(t, smoothness, x, z)[1],
        theta,
    )
    assert error < 1e-4


def test_a_stretched_field_is_found_out():
    # Standard deviation of the logarithm of the ratio over 20 seeds: 0.16; its bias: below 0.07.
    rng = np.random.default_rng(3)
    u = rng.random((200, 2))
    h = np.linalg.norm((u[:, None] - u) * (1.0, 5.0), axis=-1)
    z = np.linalg.cholesky(np.exp(-h / 5) + 1e-9 * np.eye(200)) @ rng.standard_normal(200)
    slow, fast = fit_axes(u, z).factors
    assert abs(math.log(fast / slow / 5)) < 0.6


def test_equal_scores_have_equal_factors():
    found = fit_axes(np.random.default_rng(0).random((20, 3)), np.full(20, 0.1))
    assert found.factors.tolist() == [1.0, 1.0, 1.0]
    assert math.isnan(found.log_likelihood)
