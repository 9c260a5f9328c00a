"""Repeated maps, and what their noise alone would show."""

import numpy as np
import pytest

from fractal_tuner import FactorialZoom, Integer, Real
from fractal_tuner.noise_floor import NoiseFloor, map_repeats

SPACE = {"x": Real(0, 1), "rate": Real(1e-4, 1e-1, log=True)}


def repeated(train, points=8, repeats=4, **options):
    return map_repeats(train, SPACE, points_per_dim=points, repeats=repeats, **options)


def noisy(seed, x, rate):
    """A tilted plane whose noise grows along x."""
    return x + np.log10(rate) + (0.05 + 0.2 * x) * np.random.default_rng(seed).standard_normal()


def test_each_repeat_has_a_seed_of_its_own():
    seeds = []
    repeated(lambda seed, **_: seeds.append(seed) or 0.0)
    assert sorted(seeds) == list(range(8 * 8 * 4))


def test_an_interrupted_map_goes_on(tmp_path):
    calls = []

    def train(seed, **params):
        calls.append(seed)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return noisy(seed, **params)

    journal = tmp_path / "map.jsonl"
    with pytest.raises(KeyboardInterrupt):
        repeated(train, points=3, journal=journal)
    trials = repeated(train, points=3, journal=journal)
    assert len(calls) == 9 * 4 + 2  # two seeds of the cell that was interrupted came twice
    assert [t.folds for t in trials] == [t.folds for t in repeated(noisy, points=3)]


def test_a_journal_of_other_data_is_refused(tmp_path):
    journal = tmp_path / "map.jsonl"
    repeated(noisy, points=2, journal=journal, fingerprint={"data": "some"})
    with pytest.raises(ValueError, match="data"):
        repeated(noisy, points=2, journal=journal, fingerprint={"data": "other"})


@pytest.mark.parametrize("repeats", [2, 3, 4, 5])
def test_noise_alone_is_as_large_as_that_of_the_means_and_holds_no_landscape(repeats):
    # 24 x 24 cells: the ratio of the two standard deviations scatters by 0.04 over seeds.
    found = NoiseFloor.of(repeated(noisy, points=24, repeats=repeats))
    truth = np.add.outer(np.linspace(0, 1, 24), np.linspace(-4, -1, 24))
    error = found.landscape.scores - truth
    assert found.noise.scores.std() / error.std() == pytest.approx(1, abs=0.15)
    assert np.corrcoef(found.noise.scores.ravel(), truth.ravel())[0, 1] == pytest.approx(0, abs=0.2)
    sd = np.sqrt(np.mean((0.05 + 0.2 * np.linspace(0, 1, 24)) ** 2))
    assert found.training_sd.low < sd < found.training_sd.high


def test_without_noise_there_is_none():
    found = NoiseFloor.of(repeated(lambda seed, x, rate: x + np.log10(rate)))
    assert found.training_sd.value == 0
    assert found.noise.scores.tolist() == np.zeros((8, 8)).tolist()
    assert found.is_certain.all()
    assert "roughness          smooth" in found.summary()


def test_halves_are_of_different_repeats():
    found = NoiseFloor.of(repeated(lambda seed, **_: seed % 4))
    first, other = found.halves
    assert (first.scores == 0.5).all()
    assert (other.scores == 2.5).all()


def test_a_failed_cell_is_a_hole():
    def train(seed, x, rate):
        return np.nan if x == 0 and rate < 1.1e-4 else noisy(seed, x, rate)

    found = NoiseFloor.of(repeated(train))
    assert np.isnan(found.landscape.scores).sum() == 1
    assert np.isfinite(found.training_sd.value)
    assert "steep cells" not in found.summary()  # smoothing would spread the hole
    assert len(found.plot_sets().axes) == 3


def test_even_lines_are_laid_over_uneven_integers():
    space = {"a": Integer(8, 64), "b": Integer(32, 256)}
    trials = map_repeats(lambda seed, a, b: a + b + seed % 3, space, points_per_dim=10, repeats=3)
    found = NoiseFloor.of(trials)
    assert found.landscape.spacing is None
    assert found.smoothed(found.landscape).spacing is not None


def test_trials_without_repeats_are_refused():
    search = FactorialZoom({"x": Real(0, 1)}, points_per_dim=3, levels=1)
    search.run(lambda x: x)
    with pytest.raises(ValueError, match="at least 2"):
        NoiseFloor.of(search.trials)


def test_the_pictures_have_equal_colours_above_and_below():
    found = NoiseFloor.of(repeated(noisy, points=4, repeats=2))
    figure = found.plot_maps("accuracy")
    limits = [ax.images[0].get_clim() for ax in figure.axes[:8]]
    assert limits[:4] == limits[4:]
    assert len(found.plot_sets("accuracy").axes) == 3
