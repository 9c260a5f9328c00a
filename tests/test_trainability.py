"""The trainability landscape: one network at a time, all together; zooms; refusals."""

import itertools
import math

import numpy as np
import pytest

from fractal_tuner import trainability
from fractal_tuner.trainability import trainability_landscape, trainability_zooms


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


@pytest.mark.parametrize(
    "options",
    [{}, {"activation": "relu"}, {"batch_size": 16}, {"n_points": 1}],
    ids=["tanh", "ReLU", "minibatches", "one point"],
)
def test_giving_up_what_diverges_changes_no_verdict(options, monkeypatch):
    early = trainability_landscape(20, **options)
    monkeypatch.setattr(trainability, "_GIVEN_UP", math.inf)
    late = trainability_landscape(20, **options)
    np.testing.assert_array_equal(early.converged, late.converged)


def test_the_boundary_of_the_whole_square_is_nearly_a_plain_curve():
    found = trainability_landscape(64, steps=60).boundary_dimension()
    # Measured over seeds 0 to 4: 1.00 to 1.02.
    assert 1 <= found.low <= found.value < 1.3


def test_zooms_stay_inside_and_keep_the_boundary_in_view():
    zooms = trainability_zooms(3, 24, steps=30, width=4)
    for outer, inner in itertools.pairwise(zooms):
        for wide, narrow in ((outer.x, inner.x), (outer.y, inner.y)):
            assert wide[0] <= narrow[0] < narrow[-1] <= wide[-1] + 1e-12
            assert np.ptp(narrow) == pytest.approx(np.ptp(wide) / 4)
        assert 0 < inner.converged.mean() < 1


def test_a_landscape_says_what_it_is():
    assert repr(trainability_landscape(4, steps=20)) == (
        "Trainability(4 x 4, x -3 to 6, y -3 to 6, 44 % converged)"
    )


def table_row(name):
    """Values of a row of the table in the docstring of the zooms, NaN for "all"."""
    for line in trainability_zooms.__doc__.splitlines():
        if line.strip().startswith(name):
            return [math.nan if x == "all" else float(x) for x in line.split(name)[1].split()]
    raise AssertionError(f"no row {name!r}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"), [("tanh", {}), ("identity", {"activation": "identity"})]
)
def test_the_table_of_zooms_is_what_they_give(name, options):
    found = [zoom.boundary_dimension() for zoom in trainability_zooms(6, 128, **options)]
    expected = table_row(name)
    assert len(expected) == 6
    # The levels before chaos sets in are the same everywhere, to rounding.
    np.testing.assert_allclose([f.value for f in found[:3]], expected[:3], atol=0.006)
    for f, value in zip(found[3:], expected[3:], strict=True):
        if math.isnan(f.value):
            assert "it is everywhere" in f.reason
            assert math.isnan(value) or value > 1.8
        else:
            assert f.value > 1.8 if math.isnan(value) else abs(f.value - value) < 0.1


def test_zooms_end_where_there_is_no_boundary():
    assert len(trainability_zooms(3, 8, steps=20, x=(-6, -5), y=(-6, -5))) == 1


@pytest.mark.parametrize("options", [{}, {"batch_size": 4}], ids=["whole", "minibatches"])
def test_the_same_seed_gives_the_same_values(options):
    def made(seed):
        return trainability_landscape(5, steps=20, seed=seed, **options).measure

    np.testing.assert_array_equal(made(3), made(3))
    assert not np.array_equal(made(3), made(4))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: trainability_landscape(0), ValueError, "side"),
        (lambda: trainability_landscape(4, activation="gelu"), ValueError, "activation"),
        (lambda: trainability_landscape(4, vary="depth"), ValueError, "vary"),
        (lambda: trainability_landscape(4, x=(1, 1)), ValueError, "x needs"),
        (lambda: trainability_landscape(4, y=(0, math.inf)), ValueError, "y needs"),
        (lambda: trainability_landscape(4, batch_size=0), ValueError, "batch_size"),
        (lambda: trainability_landscape(4, n_points=0), ValueError, "n_points"),
        (lambda: trainability_landscape(4, width=2.5), TypeError, "width"),
        (lambda: trainability_landscape(4, steps=0), ValueError, "steps"),
        (lambda: trainability_landscape(4, seed=-1), ValueError, "seed must be at least 0"),
        (lambda: trainability_zooms(0), ValueError, "levels"),
        (lambda: trainability_zooms(2, 4), ValueError, "side"),
    ],
    ids=itertools.count(),
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
