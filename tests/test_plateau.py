"""How much of a landscape differs by less than the noise."""

import numpy as np

from fractal_tuner import Landscape
from fractal_tuner.analysis.plateau import plateau_share

SIDE = np.linspace(0, 1, 20)
X, Y = np.meshgrid(SIDE, SIDE, indexing="ij")


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
