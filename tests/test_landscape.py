"""Landscapes: what they keep of trials and arrays, slices, projections, windows, smoothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    FractalSearchCV,
    Integer,
    Landscape,
    Ordinal,
    Real,
    SearchSpace,
    TrialLog,
    Window,
    ZoomSearch,
)
from fractal_tuner.axes import Axis


def plane(coordinates, slopes=(2.0, -5.0), at_zero=3.0):
    return at_zero + coordinates @ np.asarray(slopes)


def with_holes(z, share, seed=0):
    holed = np.array(z)
    holed[np.random.default_rng(seed).random(holed.shape) < share] = np.nan
    return holed


def log_of(space, told):
    """A log in which ``(params, score, folds)`` were told; a score of None failed."""
    log = TrialLog(SearchSpace(space) if isinstance(space, dict) else space)
    for params, score, folds in told:
        trial = log.add(log.space.key(params), Window.whole(len(log.space)))
        log.finish(trial.id, np.nan if score is None else score, folds=folds)
    return log


SQUARE = {"x": Real(0, 1), "y": Real(0, 1)}
UNIT_GRID = np.stack(np.meshgrid(*[np.linspace(0, 1, 20)] * 2, indexing="ij"), axis=-1)


# What it keeps


def test_a_grid_search_gives_a_grid():
    space = {"c": Real(0.01, 100, log=True), "depth": Integer(1, 3)}
    search = FactorialZoom(space, points_per_dim=5, levels=1)
    search.run(lambda c, depth: np.log10(c) + depth)
    landscape = Landscape.from_search(search)
    assert landscape.names == ("c", "depth")
    assert landscape.scores.tolist() == np.add.outer([-2, -1, 0, 1, 2], [1, 2, 3]).tolist()
    assert [axis.is_log for axis in landscape.axes] == [True, False]
    assert [axis.length for axis in landscape.axes] == [4.0, 2.0]
    values = [landscape.axes[0].value(u) for u in landscape.lines[0]]
    np.testing.assert_allclose(values, [0.01, 0.1, 1, 10, 100])
    assert landscape.spacing == (0.25, 0.5)


def test_a_zooming_search_gives_scattered_scores_in_the_order_of_asking():
    search = ZoomSearch(SQUARE, max_trials=15, seed=0)
    search.run(lambda x, y: x - y)
    landscape = Landscape.from_search(search)
    assert not landscape.is_grid
    assert landscape.lines is None
    assert landscape.spacing is None
    np.testing.assert_array_equal(
        landscape.coordinates, [list(t.params.values()) for t in search.trials]
    )
    np.testing.assert_array_equal(landscape.scores, [t.score for t in search.trials])


def test_failures_are_kept_where_they_are_and_holes_are_no_failures():
    told = [({"x": x, "y": y}, x + y, ()) for x in (0, 0.5, 1) for y in (0, 1)]
    told[1] = (told[1][0], None, ())
    del told[4]
    landscape = Landscape.from_trials(log_of(SQUARE, told))
    assert landscape.is_grid
    np.testing.assert_array_equal(np.isnan(landscape.scores), [[0, 1], [0, 0], [1, 0]])
    np.testing.assert_array_equal(landscape.failed, [[0, 1], [0, 0], [0, 0]])
    assert landscape.n_scores == 4
    assert repr(landscape) == "Landscape(x, y: 3 x 2 grid, 4 scores, 1 failed)"


def test_infinite_scores_of_arrays_failed():
    landscape = Landscape.from_grid([1.0, np.inf, np.nan, -np.inf])
    assert landscape.failed.tolist() == [False, True, False, True]
    assert np.isnan(landscape.scores[1:]).all()


def test_running_trials_are_left_out():
    log = log_of(SQUARE, [({"x": 0.2, "y": 0.3}, 1.0, ())])
    log.add((0.5, 0.5), Window.whole(2))
    assert Landscape.from_trials(log).n_scores == 1


def test_all_trials_failed_is_a_landscape_without_scores():
    landscape = Landscape.from_trials(log_of(SQUARE, [({"x": 0.2, "y": 0.3}, None, ())]))
    assert landscape.n_scores == 0
    assert landscape.failed.all()


def test_chosen_dimensions_come_in_the_order_chosen():
    log = log_of(SQUARE, [({"x": x, "y": x**2}, x, ()) for x in (0.1, 0.4, 0.7)])
    landscape = Landscape.from_trials(log, ["y", "x"])
    assert landscape.names == ("y", "x")
    assert Landscape.from_trials(log, ["y"]).coordinates.shape == (3, 1)


def test_trials_without_a_conditional_dimension_are_left_out_where_it_is_chosen():
    space = SearchSpace(
        {"kernel": Categorical(["rbf", "poly"]), "C": Real(1, 2), "degree": Integer(2, 4)},
        conditions={"degree": ("kernel", ("poly",))},
    )
    told = [
        ({"kernel": "rbf", "C": 1.0}, 1.0, ()),
        ({"kernel": "poly", "C": 1.5, "degree": 3}, 2.0, ()),
    ]
    log = log_of(space, told)
    assert Landscape.from_trials(log).names == ("kernel", "C")
    only = Landscape.from_trials(log, ["C", "degree"])
    assert only.known[1].tolist() == [2.0]


def test_dimensions_of_a_union_are_merged_only_on_one_scale():
    alike = SearchSpace.union([{"C": Real(1, 2)}, {"C": Real(1, 2), "g": Real(0, 1)}])
    told = [({"C": 1.0}, 1.0, ()), ({"C": 2.0, "g": 0.5}, 2.0, ())]
    assert Landscape.from_trials(log_of(alike, told)).coordinates.tolist() == [[0.0], [1.0]]
    other = SearchSpace.union([{"C": Real(1, 2)}, {"C": Real(1, 4), "g": Real(0, 1)}])
    with pytest.raises(ValueError, match="'C' has several scales"):
        Landscape.from_trials(log_of(other, told), ["C"])


def test_arrays_are_read_only_and_the_users_are_not_touched():
    z = np.arange(6.0).reshape(2, 3)
    landscape = Landscape.from_grid(z)
    with pytest.raises(ValueError, match="read-only"):
        landscape.scores[0, 0] = 1
    z[0, 0] = 7
    assert landscape.scores[0, 0] == 0


def test_other_scores_are_copied_and_of_the_same_shape():
    landscape = Landscape.from_grid(np.zeros((2, 3)))
    z = np.arange(6.0).reshape(2, 3)
    other = landscape.with_scores(z)
    z[0, 0] = 7
    assert other.scores[0, 0] == 0
    with pytest.raises(ValueError, match=r"scores must have the shape \(2, 3\), got \(3, 2\)"):
        landscape.with_scores(z.T)


def test_values_of_a_grid_axis_may_come_in_any_order():
    forth = Landscape.from_grid([1.0, 2.0, 3.0], {"x": [1, 10, 100]})
    back = Landscape.from_grid([3.0, 1.0, 2.0], {"x": [100, 1, 10]})
    assert forth.scores.tolist() == back.scores.tolist()
    assert forth.lines[0].tolist() == back.lines[0].tolist() == [0.0, 0.5, 1.0]
    assert forth.axes[0].is_log


def test_points_are_values_on_the_axes_if_there_are_axes():
    axes = {"lr": Real(1e-4, 1, log=True), "units": Ordinal([16, 32, 64])}
    landscape = Landscape.from_points([[0.01, 16], [1, 32]], [0.1, 0.2], axes)
    np.testing.assert_allclose(landscape.coordinates, [[0.5, 0.0], [1.0, 0.5]])
    with pytest.raises(ValueError, match="axis 'lr'"):
        Landscape.from_points([[2, 16]], [0.1], axes)


def test_points_on_most_of_a_grid_are_a_grid_and_repeats_are_averaged():
    landscape = Landscape.from_points([[0, 0], [0, 1], [1, 0], [0, 1]], [1, 2, 3, 4])
    np.testing.assert_array_equal(landscape.scores, [[1, 3], [3, np.nan]])


def test_means_have_less_noise_than_one_score_and_of_different_numbers_an_unknown_one():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    twice = np.repeat(corners, 2, axis=0)
    scores = np.arange(8.0)
    assert Landscape.from_points(corners, scores[:4], noise_variance=2.0).noise_variance == 2.0
    assert Landscape.from_points(twice, scores, noise_variance=2.0).noise_variance == 1.0
    assert Landscape.from_points(twice[1:], scores[1:], noise_variance=2.0).noise_variance is None
    assert Landscape.from_points(twice[1:], scores[1:], noise_variance=0.0).noise_variance == 0.0
    scores[0] = np.nan  # a failure is in no mean
    assert Landscape.from_points(twice, scores, noise_variance=2.0).noise_variance is None
    scores[1] = np.nan
    assert Landscape.from_points(twice, scores, noise_variance=2.0).noise_variance == 1.0


def test_repeats_of_scattered_scores_keep_their_noise_until_they_are_averaged():
    places = np.repeat(np.random.default_rng(0).random((30, 2)), 2, axis=0)
    landscape = Landscape.from_points(places, np.arange(60.0), noise_variance=2.0)
    assert landscape.noise_variance == 2.0
    assert landscape.project(["x1", "x0"], by="mean").noise_variance == 1.0
    assert landscape.project(["x1", "x0"], by="best").noise_variance is None


def test_the_noise_of_averaged_repeats_is_that_of_their_scatter_around_the_truth():
    # 20 x 20 cells of 4 repeats each, sd 0.2: a mean has variance 0.01; 400 of them tell it with a
    # standard deviation of 7 %, 1200 degrees of freedom that of a score with 4 %.
    rng = np.random.default_rng(0)
    u = np.repeat(UNIT_GRID.reshape(-1, 2), 4, axis=0)
    told = [({"x": x, "y": y}, x - y + 0.2 * rng.standard_normal(), ()) for x, y in u.tolist()]
    landscape = Landscape.from_trials(log_of(SQUARE, told))
    assert landscape.is_grid
    scatter = (landscape.scores - plane(UNIT_GRID, (1.0, -1.0), 0.0)).var()
    assert landscape.noise_variance == pytest.approx(0.01, rel=0.15)
    assert scatter == pytest.approx(landscape.noise_variance, rel=0.3)


# Noise


def test_noise_from_folds_leaves_out_what_all_trials_share():
    # 200 trials, 5 folds, sd 0.3 within: the variance of a mean is 0.018. Of 20 seeds the estimates
    # have a standard deviation of 5 %.
    rng = np.random.default_rng(0)
    effects = 10 * rng.standard_normal(5)
    told = []
    for x in rng.random(200):
        folds = x + effects + 0.3 * rng.standard_normal(5)
        told.append(({"x": x, "y": 0.5}, folds.mean(), tuple(folds)))
    noise = Landscape.from_trials(log_of(SQUARE, told)).noise_variance
    assert noise == pytest.approx(0.018, rel=0.2)


def test_noise_from_repeats():
    rng = np.random.default_rng(0)
    told = [
        ({"x": x, "y": x}, x + 0.1 * rng.standard_normal(), ())
        for x in rng.random(100)
        for _ in range(3)
    ]
    noise = Landscape.from_trials(log_of(SQUARE, told)).noise_variance
    assert noise == pytest.approx(0.01, rel=0.4)  # 200 degrees of freedom: sd 10 %


def test_noise_is_unknown_without_repeats_and_from_few():
    once = [({"x": x, "y": x}, x, ()) for x in (0.1, 0.2, 0.3)]
    assert Landscape.from_trials(log_of(SQUARE, once)).noise_variance is None
    twice = [*once, ({"x": 0.1, "y": 0.1}, 0.4, ())]
    assert Landscape.from_trials(log_of(SQUARE, twice)).noise_variance is None
    exact = [*once, ({"x": 0.1, "y": 0.1}, 0.1, ())]
    assert Landscape.from_trials(log_of(SQUARE, exact)).noise_variance == 0
    assert Landscape.from_trials(log_of(SQUARE, once), noise_variance=2).noise_variance == 2


def test_the_noise_is_unknown_where_a_dimension_that_varies_is_ignored():
    rng = np.random.default_rng(0)
    told, resting = [], []
    for x, y in rng.random((60, 2)).tolist():
        folds = 0.1 * rng.standard_normal(5)
        told.append(({"x": x, "y": y}, x + 10 * y + folds.mean(), tuple(x + 10 * y + folds)))
        resting.append(({"x": x, "y": 0.5}, x + folds.mean(), tuple(x + folds)))
    assert Landscape.from_trials(log_of(SQUARE, told)).noise_variance is not None
    assert Landscape.from_trials(log_of(SQUARE, told), ["y", "x"]).noise_variance is not None
    assert Landscape.from_trials(log_of(SQUARE, told), ["x"]).noise_variance is None
    assert (
        Landscape.from_trials(log_of(SQUARE, told), ["x"], noise_variance=8.0).noise_variance == 8
    )
    assert Landscape.from_trials(log_of(SQUARE, resting), ["x"]).noise_variance is not None


# Windows, slices, projections


def test_a_window_keeps_coordinates():
    landscape = Landscape.from_grid(UNIT_GRID[..., 0])
    part = landscape.window([0.4, 0.0], [1.0, 0.5])
    assert part.scores.shape == (12, 10)
    np.testing.assert_array_equal(part.scores.ravel(), part.coordinates[:, 0])
    assert (part.lower, part.upper) == ((0.4, 0.0), (1.0, 0.5))
    scattered = Landscape.from_points(np.random.default_rng(0).random((50, 2)), np.zeros(50))
    assert scattered.window([0, 0], [0.5, 1]).coordinates[:, 0].max() <= 0.5


def test_a_slice_of_a_grid_is_its_nearest_plane():
    z = np.arange(24.0).reshape(2, 3, 4)
    landscape = Landscape.from_grid(z, {"a": [0, 1], "b": [0, 1, 2], "c": Real(0, 3)})
    np.testing.assert_array_equal(landscape.slice({"c": 1.2}).scores, z[:, :, 1])
    assert landscape.slice({"a": 1, "c": 3}).names == ("b",)


def test_a_slice_of_scattered_scores_is_what_lies_near():
    x = np.random.default_rng(0).random((300, 3))
    landscape = Landscape.from_points(x, x[:, 2])
    part = landscape.slice({"x2": 0.5}, within=0.1)
    assert 0.4 <= part.scores.min() <= part.scores.max() <= 0.6
    assert len(part.scores) == (np.abs(x[:, 2] - 0.5) <= 0.1).sum()


def test_a_slice_rids_a_landscape_of_categories():
    kernel = Categorical(["rbf", "poly"])
    told = [
        ({"x": x, "kernel": k}, x + (k == "poly"), ())
        for x in np.linspace(0, 1, 6)
        for k in kernel.choices
    ]
    landscape = Landscape.from_trials(log_of({"x": Real(0, 1), "kernel": kernel}, told))
    with pytest.raises(ValueError, match="'kernel' is categorical"):
        landscape.smoothed()
    poly = landscape.slice({"kernel": "poly"})
    np.testing.assert_allclose(poly.smoothed().scores, 1 + np.linspace(0, 1, 6))


def test_a_projection_takes_the_best_or_the_mean():
    z = np.array([[1.0, 5.0, np.nan], [np.nan, np.inf, np.nan]])
    landscape = Landscape.from_grid(z, {"a": [0, 1], "b": [0, 1, 2]}, noise_variance=1.0)
    assert landscape.project(["a"]).scores[0] == 5
    assert landscape.project(["a"], by="mean").scores[0] == 3
    assert landscape.project(["a"]).failed.tolist() == [False, True]
    assert landscape.project(["a"]).noise_variance is None
    turned = landscape.project(["b", "a"])
    np.testing.assert_array_equal(turned.scores, landscape.scores.T)
    assert turned.noise_variance == 1


def test_means_over_the_same_cells_have_the_noise_of_means():
    z = np.random.default_rng(0).random((4, 5, 6))

    def noise(z):
        landscape = Landscape.from_grid(z, noise_variance=0.09)
        return landscape.project(["x2", "x0"], by="mean").noise_variance

    assert noise(z) == pytest.approx(0.09 / 5)
    z[0, 1, 0] = np.nan  # a mean of fewer
    assert noise(z) is None
    z[:, 1] = np.nan  # one missing in all
    assert noise(z) == pytest.approx(0.09 / 4)
    z[:, 2] = np.where(np.arange(6) % 2, np.nan, z[:, 2])
    z[:, 3] = np.where(np.arange(6) % 2, z[:, 3], np.nan)  # as many, but of other places
    assert noise(z) is None


# Smoothing


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("bandwidth", [None, 0.01, 0.1, 100.0])
def test_smoothing_is_exact_on_planes_at_edges_and_with_gaps(share, bandwidth):
    z = plane(UNIT_GRID)
    smooth = Landscape.from_grid(with_holes(z, share)).smoothed(bandwidth)
    np.testing.assert_allclose(smooth.scores, z, atol=1e-10)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_smoothing_is_exact_on_planes_of_scattered_scores(d):
    x = np.random.default_rng(d).random((60, d))
    slopes = np.arange(1.0, d + 1)
    landscape = Landscape.from_points(x, 1e6 + x @ slopes)
    corners = landscape.smoothed(at=2)
    assert corners.is_grid
    np.testing.assert_allclose(corners.scores.ravel(), 1e6 + corners.coordinates @ slopes)


@given(some.floats(0.01, 100), some.floats(-100, 100), some.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_smoothing_goes_along_with_affine_changes_and_mirrored_axes(factor, offset, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.random((25, 2)), rng.standard_normal(25)
    at = rng.random((5, 2))
    smooth = Landscape.from_points(x, y).smoothed(0.2, at=at).scores
    changed = Landscape.from_points(x, offset + factor * y).smoothed(0.2, at=at).scores
    np.testing.assert_allclose(changed, offset + factor * smooth, atol=1e-6)
    mirrored = Landscape.from_points(1 - x[:, ::-1], y).smoothed(0.2, at=1 - at[:, ::-1]).scores
    np.testing.assert_allclose(mirrored, smooth, atol=1e-8)


def test_the_bandwidth_left_out_scores_choose_grows_with_the_noise():
    # Root mean squared errors over 5 seeds: 0.008 without noise, 0.024 of 0.05, 0.060 of 0.2.
    centre = np.array([0.4, 0.6])
    bump = np.exp(-((UNIT_GRID - centre) ** 2).sum(-1) / 0.08)
    for sd, most in ((0.0, 0.012), (0.05, 0.035), (0.2, 0.09)):
        noise = sd * np.random.default_rng(0).standard_normal(bump.shape)
        smooth = Landscape.from_grid(bump + noise).smoothed()
        assert np.sqrt(np.mean((smooth.scores - bump) ** 2)) < most


def test_smoothing_says_nothing_far_from_all_scores():
    x = 0.01 * np.random.default_rng(0).random((30, 2))
    smooth = Landscape.from_points(x, x[:, 0]).smoothed(at=[[0.005, 0.005], [1.0, 1.0]])
    np.testing.assert_allclose(smooth.scores, [0.005, np.nan])


# Bad input

GRID = Landscape.from_grid(np.zeros((3, 3)))


BAD = [
    (lambda: Landscape.from_grid([]), "scores must not be empty"),
    (lambda: Landscape.from_grid(3.0), "at least one array dimension"),
    (lambda: Landscape.from_grid([1, 2], {"x": [1, 2, 3]}), "axis 'x' must have 2 values"),
    (lambda: Landscape.from_grid([1, 2], {"x": [1, 1]}), "axis 'x'.*different numbers"),
    (lambda: Landscape.from_grid([[1, 2]], {"x": [1]}), "axes must map 2 names"),
    (lambda: Landscape.from_grid([1, 2], {"x": Categorical(list("abc"))}), "axis 'x' has 2 cells"),
    (lambda: Landscape.from_grid([1, 2], failed=[0, 1]), "failed must be bools"),
    (lambda: Landscape.from_grid([1, 2], noise_variance=-1), "noise_variance"),
    (lambda: Landscape.from_grid([1, 2], noise_variance=True), "noise_variance"),
    (lambda: Landscape.from_points([], []), "scores must not be empty"),
    (lambda: Landscape.from_points([[0.1], [0.2]], [1]), "shapes"),
    (lambda: Landscape.from_points([[0.1], [1.2]], [1, 2]), "unit coordinates"),
    (lambda: Landscape.from_points([[np.nan], [0.2]], [1, 2]), "unit coordinates"),
    (lambda: Landscape.from_trials(TrialLog(SearchSpace(SQUARE))), "told trial"),
    (lambda: Landscape.from_trials(log_of(SQUARE, [({"x": 0, "y": 0}, 1, ())]), ["z"]), "'z'"),
    (lambda: GRID.window([0, 0], [0, 1]), "lower < upper"),
    (lambda: GRID.window([0], [1]), "2 numbers each"),
    (lambda: GRID.window([0.1, 0.1], [0.2, 0.2]), "holds no score"),
    (lambda: GRID.slice({"x0": 0, "x1": 0}), "one axis must be left"),
    (lambda: GRID.slice({"z": 0}), "'z'"),
    (lambda: GRID.slice({"x0": 2}), "axis 'x0': it reaches from 0 to 1"),
    (lambda: GRID.project(["x0", "x0"]), "twice"),
    (lambda: GRID.project("x0"), r"dims must name dimensions in a list, as \['x0'\]"),
    (lambda: GRID.smoothed(bandwidth=True), "bandwidth must be a positive number"),
    (
        lambda: Landscape.from_grid(np.eye(2), {"x": Real(0, 1), "y": Real(0, 1)}).slice(
            {"x": np.nan}
        ),
        "needs a finite value",
    ),
    (lambda: GRID.project(["x0"], by="worst"), "'worst'"),
    (lambda: GRID.smoothed(0), "bandwidth"),
    (lambda: GRID.with_scores(np.diag([1e200, 1, 2])).smoothed(), "beyond 1e\\+150"),
    (lambda: GRID.smoothed(at=[[1, 2, 3]]), "shape"),
    (lambda: GRID.smoothed(at=10**6), "2\\^24"),
    (lambda: Landscape.from_grid(np.full((5, 5), np.nan)).smoothed(), "needs 4 scores, got 0"),
    (lambda: Landscape.from_points([[0.5, 0.5]], [1]).smoothed(), "needs 4 scores, got 1"),
    (lambda: Landscape.from_points([[0.5, 0.5]] * 9, range(9)).smoothed(), "got 1"),
    (
        lambda: Landscape.from_points([[x, x] for x in (0, 0.1, 0.2, 0.4, 1)], range(5)).smoothed(),
        "determine no plane",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=map(str, range(len(BAD))))
def test_bad_input_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_a_search_that_is_not_fitted_is_named():
    with pytest.raises(TypeError, match="int has no trials"):
        Landscape.from_search(3)


# Where it comes from


def test_trials_outside_of_a_log_need_their_space():
    log = log_of(SQUARE, [({"x": x, "y": x**2}, x, ()) for x in (0.1, 0.4, 0.7)])
    loose = Landscape.from_trials(list(log)[1:], space=log.space)
    assert loose.known[1].tolist() == [0.4, 0.7]
    with pytest.raises(TypeError, match="need their SearchSpace"):
        Landscape.from_trials(list(log))
    for nothing in (3, [1, 2], "trials"):
        with pytest.raises(TypeError, match="trials must be a TrialLog or trials"):
            Landscape.from_trials(nothing)


def test_a_fitted_search_of_scikit_learn_has_a_landscape():
    from sklearn.datasets import make_classification
    from sklearn.tree import DecisionTreeClassifier

    x, y = make_classification(60, random_state=0)
    space = {"max_depth": Integer(1, 8), "criterion": ["gini", "entropy"]}
    search = FractalSearchCV(
        DecisionTreeClassifier(random_state=0), space, n_iter=8, cv=3, random_state=0
    )
    with pytest.raises(TypeError, match="must be fitted first"):
        Landscape.from_search(search)
    landscape = Landscape.from_search(search.fit(x, y))
    assert landscape.names == ("max_depth", "criterion")
    assert landscape.n_scores == 8
    assert landscape.noise_variance > 0  # from folds


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")
def test_a_tuner_of_keras_has_a_landscape(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")
    from fractal_tuner import FractalOracle

    hp = keras_tuner.HyperParameters()
    hp.Float("lr", 1e-4, 1e-1, sampling="log")
    objective = keras_tuner.Objective("score", "min")
    oracle = FractalOracle(objective, max_trials=6, seed=0, hyperparameters=hp)
    oracle._set_project_dir(str(tmp_path), "project")
    oracle.verbose = 0
    for _ in range(6):
        trial = oracle.create_trial("tuner")
        oracle.update_trial(trial.trial_id, {"score": trial.hyperparameters["lr"]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    landscape = Landscape.from_search(oracle)
    assert landscape.axes[0].is_log
    values = [landscape.axes[0].value(u) for u in landscape.known[0][:, 0]]
    np.testing.assert_allclose(landscape.known[1], -np.array(values))  # larger is better


def test_tables_keep_the_type_of_each_value():
    axes = {"kernel": ["rbf", "poly"], "C": Real(0.1, 10, log=True), "shuffle": [True, False]}
    rows = [["rbf", 0.1, True], ["poly", 10, False], ["poly", 1, True]]
    landscape = Landscape.from_points(rows, [1, 2, 3], axes)
    expected = [[0.25, 0, 0.25], [0.75, 1, 0.75], [0.75, 0.5, 0.25]]
    np.testing.assert_allclose(landscape.coordinates, expected)
    frame = Landscape.from_points(np.array(rows, dtype=object), [1, 2, 3], axes)
    np.testing.assert_array_equal(frame.coordinates, landscape.coordinates)


def test_units_of_many_values_are_those_of_each():
    rng = np.random.default_rng(0)
    for dimension, values in (
        (Real(-3, 5), rng.uniform(-3, 5, 50)),
        (Real(1e-5, 1, log=True), 10 ** rng.uniform(-5, 0, 50)),
        (Real(-1.7e308, 1.7e308), np.array([-1.7e308, 0, 1.7e308])),
        (Integer(1, 1000, log=True), rng.integers(1, 1001, 50)),
        (Ordinal([1, 10, 100]), np.array([1.0, 10.0, 100.0, 10.0])),
    ):
        axis = Axis("x", dimension)
        each = [axis.unit(value) for value in values]
        np.testing.assert_allclose(axis.units(values), each, atol=1e-15)
        for end in (dimension.value(dimension.code(u)) for u in (0.0, 1.0)):
            assert axis.units(np.array([end]))[0] in (0.0, 1.0)


def test_masked_scores_are_holes():
    masked = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
    np.testing.assert_array_equal(Landscape.from_grid(masked).scores, [1, np.nan, 3])


# Views and properties


def test_a_choice_that_was_never_tried_has_no_slice():
    kernel = Categorical(["rbf", "poly", "linear"])
    told = [({"x": x, "kernel": k}, x, ()) for x in (0, 0.5, 1) for k in ("rbf", "poly")]
    landscape = Landscape.from_trials(log_of({"x": Real(0, 1), "kernel": kernel}, told))
    assert landscape.is_grid
    with pytest.raises(ValueError, match="no score has the choice 'linear'"):
        landscape.slice({"kernel": "linear"})


def test_windows_beyond_the_cube_and_of_windows_are_intersections():
    landscape = Landscape.from_grid(UNIT_GRID[..., 0])
    beyond = landscape.window([-5, -5], [0.5, 5])
    assert (beyond.lower, beyond.upper) == ((0.0, 0.0), (0.5, 1.0))
    assert beyond.smoothed(at=3).lines[0].tolist() == [0.0, 0.25, 0.5]
    inner = beyond.window([0.2, 0.2], [0.9, 0.9])
    assert (inner.lower, inner.upper) == ((0.2, 0.2), (0.5, 0.9))
    for outside in ([2, 2], [3, 3]), ([-3, -3], [-2, -2]):
        with pytest.raises(ValueError, match="holds no score"):
            landscape.window(*outside)
    with pytest.raises(ValueError, match="holds no score"):
        beyond.window([0.6, 0], [1, 1])


@given(
    some.integers(0, 999),
    some.booleans(),
    some.permutations(range(3)),
    some.lists(some.booleans(), min_size=3, max_size=3),
    some.floats(0.01, 100),
    some.floats(-100, 100),
)
@settings(max_examples=25, deadline=None)
def test_views_go_along_with_permuted_and_mirrored_axes_and_affine_scores(
    seed, is_grid, order, is_mirrored, factor, offset
):
    rng = np.random.default_rng(seed)
    x = rng.random((40, 3))
    if is_grid:
        x = np.stack(np.meshgrid(*[np.linspace(0, 1, n) for n in (3, 4, 5)]), -1).reshape(-1, 3)
    y = rng.standard_normal(len(x))
    y[rng.random(len(x)) < 0.1] = np.nan
    sign = np.where(is_mirrored, -1.0, 1.0)
    moved = np.where(is_mirrored, 1 - x, x)
    names = [f"x{j}" for j in range(3)]
    other = Landscape.from_points(
        moved[:, list(order)], offset + factor * y, {names[j]: Real(0, 1) for j in order}
    )
    plain = Landscape.from_points(x, y, {name: Real(0, 1) for name in names})

    def back(view):
        """Places and scores of a view of the other landscape, as they are in the plain one."""
        places = view.coordinates[:, [view.names.index(n) for n in names if n in view.names]]
        kept = [names.index(n) for n in names if n in view.names]
        places = np.where(sign[kept] < 0, 1 - places, places)
        return np.column_stack([places, (view.scores.ravel() - offset) / factor])

    def same(mine, others):
        mine = np.column_stack([mine.coordinates, mine.scores.ravel()])
        mine, others = (np.round(table, 6) + 0.0 for table in (mine, back(others)))
        for table in (mine, others):
            assert len(mine) == len(others)
            table[np.isnan(table)] = 1e9
        mine, others = (table[np.lexsort(table.T)] for table in (mine, others))
        np.testing.assert_allclose(mine, others, atol=2e-6)

    same(plain, other)
    at = {"x1": 0.4}
    mirrored_at = {"x1": 0.6 if is_mirrored[1] else 0.4}
    same(plain.slice(at, within=0.25), other.slice(mirrored_at, within=0.25))
    for by in ("best", "mean"):
        same(plain.project(["x0", "x2"], by=by), other.project(["x0", "x2"], by=by))
    low, high = np.array([0.1, 0.1, 0.1]), np.array([0.8, 0.9, 0.7])
    ends = np.where(is_mirrored, 1 - np.array([low, high]), [low, high])[:, list(order)]
    same(plain.window(low, high), other.window(ends.min(0), ends.max(0)))


# Bandwidths


def test_an_axis_that_does_not_matter_gets_a_wide_bandwidth():
    # Root mean squared errors at 500 random places, over 5 seeds: 0.006 to 0.009; with the best
    # single bandwidth of nine for all axes 0.15 to 0.18.
    x = np.random.default_rng(0).random((150, 3))

    def ridge(x):
        return np.exp(-((x[:, 0] - 0.6) ** 2) / 0.02)

    landscape = Landscape.from_points(x, ridge(x))
    h, error = landscape.best_bandwidth
    assert h[0] < 0.1
    assert min(h[1:]) > 1
    assert error < 0.05**2
    at = np.random.default_rng(1).random((500, 3))
    rmse = np.sqrt(np.mean((landscape.smoothed(at=at).scores - ridge(at)) ** 2))
    assert rmse < 0.02
    alike = landscape.smoothed(float(np.exp(np.mean(np.log([h[0], 0.3, 0.3])))), at=at)
    assert np.sqrt(np.mean((alike.scores - ridge(at)) ** 2)) > 2 * rmse


def test_bandwidths_may_be_given_for_each_axis():
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 2)), rng.standard_normal(60)
    landscape = Landscape.from_points(x, y)
    at = rng.random((9, 2))
    both = landscape.smoothed([0.2, 0.2], at=at)
    np.testing.assert_allclose(both.scores, landscape.smoothed(0.2, at=at).scores)
    turned = Landscape.from_points(x[:, ::-1], y).smoothed([0.4, 0.1], at=at[:, ::-1])
    np.testing.assert_allclose(turned.scores, landscape.smoothed([0.1, 0.4], at=at).scores)


def test_many_scores_are_sampled_with_the_bandwidth_that_was_asked_for():
    # Over 10 seeds the errors are at most 0.003; a thousand nearest neighbours would make the kink
    # below sharp.
    x = np.random.default_rng(0).random((20_000, 1))
    kink = np.abs(x[:, 0] - 0.5)
    smooth = Landscape.from_points(x, kink).smoothed(0.1, at=[[0.5], [0.25]])
    expected = [0.1 * np.sqrt(2 / np.pi), 0.25]
    np.testing.assert_allclose(smooth.scores, expected, atol=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 5])
def test_a_million_scores_are_no_burden(d):
    # Measured: 0.5 GB at most beyond the arrays, of 8 MB a column; 2 to 20 seconds for a fit.
    rng = np.random.default_rng(0)
    x = rng.random((10**6, d))
    landscape = Landscape.from_points(x, x[:, 0] + 0.1 * rng.standard_normal(10**6))
    assert landscape.window([0.2] * d, [0.6] * d).n_scores > 1000
    assert landscape.slice({"x1": 0.5}, within=0.01).n_scores == pytest.approx(20_000, rel=0.05)
    assert landscape.project(["x0"]).n_scores == 10**6
    smooth = landscape.smoothed()
    assert smooth.scores.size <= 2**16
    error = smooth.scores.ravel() - smooth.coordinates[:, 0]
    assert np.sqrt(np.mean(error**2)) < 0.02


@pytest.mark.parametrize("at", [[[2.0, 0.5]], [[0.5, -0.1]]])
def test_places_outside_are_refused(at):
    landscape = Landscape.from_points(np.random.default_rng(0).random((9, 2)), np.arange(9.0))
    with pytest.raises(ValueError, match="at must lie within the landscape"):
        landscape.smoothed(0.5, at=at)
