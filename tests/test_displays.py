"""The displays: the arrays they draw, and that they draw anything a search can leave behind."""

import math
import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import norm
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

import fractal_tuner.report as report
from fractal_tuner import (
    Categorical,
    FactorialZoom,
    FractalSearchCV,
    HistoryDisplay,
    Integer,
    Landscape,
    Real,
    SearchSpace,
    TrialLog,
    Window,
    ZoomPathDisplay,
    ZoomSearch,
    analyze,
    box_dimension,
    gradient_magnitude,
    importance,
    indistinguishable,
    local_complexity,
    roughness,
)
from fractal_tuner.fractals import fractional_brownian_surface, sierpinski_carpet
from fractal_tuner.report import (
    BoxCountingDisplay,
    ContourDisplay,
    CoverageDisplay,
    DistributionDisplay,
    ImportanceDisplay,
    LandscapeDisplay,
    NoiseDisplay,
    ParallelCoordinatesDisplay,
    RoughnessDisplay,
    SliceDisplay,
    TimelineDisplay,
    ZoomedViewsDisplay,
)
from fractal_tuner.report.drawing import BACKGROUND, FOREGROUND, GRID
from fractal_tuner.report.scales import Scale
from fractal_tuner.report.sections import sections

SQUARE = {"x": Real(0, 1), "y": Real(1e-3, 1, log=True)}


def told(scores, space=SQUARE):
    """A search with the given scores; None is a failure."""
    search = ZoomSearch(space, max_trials=max(len(scores), 1), seed=0)
    for score in scores:
        if batch := search.ask():  # a small space may be exhausted
            search.tell(batch[0].id, score)
    return search


def rectangles(display):
    return [patch for patch in display.ax_.patches if type(patch).__name__ == "Rectangle"]


def texts(display):
    legend = display.ax_.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_history_is_the_scores_and_their_running_maximum():
    display = HistoryDisplay.from_search(told([0.2, None, 0.5, 0.4]))
    np.testing.assert_array_equal(display.trial, [1, 2, 3, 4])
    np.testing.assert_array_equal(display.score, [0.2, np.nan, 0.5, 0.4])
    np.testing.assert_array_equal(display.best_so_far, [0.2, 0.2, 0.5, 0.5])
    assert display.best == 3


def test_history_before_the_first_success_has_no_best():
    display = HistoryDisplay.from_search(told([None, 0.1]))
    np.testing.assert_array_equal(display.best_so_far, [np.nan, 0.1])
    assert HistoryDisplay.from_search(told([None])).best is None


def test_history_leaves_running_trials_out():
    search = told([0.1, 0.2, 0.3])
    search.max_trials = 4
    search.ask()
    assert len(HistoryDisplay.from_search(search).trial) == 3


def test_history_knows_the_standard_error_of_the_best():
    search = ZoomSearch(SQUARE, max_trials=1, seed=0)
    search.tell(search.ask()[0].id, 2.0, folds=[1.0, 2.0, 3.0])
    assert HistoryDisplay.from_search(search).standard_error == pytest.approx(1 / math.sqrt(3))


def test_all_displays_of_a_search_have_one_standard_error():
    search = ZoomSearch(SQUARE, max_trials=20, seed=0)
    rng = np.random.default_rng(0)
    while batch := search.ask():
        noise = rng.normal(size=3) if batch[0].id else np.zeros(3)  # its folds agree by chance
        folds = noise + 10.0 * (batch[0].id == 0)
        search.tell(batch[0].id, folds.mean(), folds=folds)
    found = analyze(search.trials)
    history = HistoryDisplay.from_trials(search.trials)
    assert history.best == 1
    assert history.standard_error == found.standard_error > 0.1
    assert f"10.00 ± {found.standard_error:.2g} (one standard error)" in history.description
    noise = NoiseDisplay.from_trials(search.trials).plot()
    np.testing.assert_array_equal(noise.error, found.standard_error)
    assert f"{found.standard_error:.2g} (one standard error)" in noise.description
    assert "± one standard error" in texts(noise)


def test_folds_that_tell_no_noise_are_said_to_be_of_one_trial():
    search = ZoomSearch(SQUARE, max_trials=2, seed=0)
    while batch := search.ask():
        search.tell(batch[0].id, 2.0 + batch[0].id, folds=[1.0, 2.0, 3.0 + 3 * batch[0].id])
    display = NoiseDisplay.from_search(search).plot()
    assert display.noise.reason is not None
    assert "± one standard error of its folds" in texts(display)


def test_the_history_of_a_page_has_the_error_that_the_field_tells():
    search = ZoomSearch(SQUARE, max_trials=80, seed=0)
    rng = np.random.default_rng(0)
    search.run(lambda x, y: x + 0.1 * rng.normal())
    found = analyze(search)
    assert found.findings["noise_share"].source == "field"
    (section,) = (s for s in sections(found) if s.id == "history")
    assert section.displays[0].standard_error == found.standard_error


def pruning():
    """Eight scores, a failure and two pruned trials, as Optuna leaves them."""
    search = told([*np.linspace(0.1, 0.8, 8), None, None, None])
    for trial in list(search.trials)[9:]:
        trial.details["pruned"] = True
    for trial in search.trials:
        trial.started, trial.ended = float(trial.id), trial.id + 1.0
    return search


@pytest.mark.parametrize("against", ["trial", "time"])
def test_history_tells_pruned_trials_from_failed_ones(against):
    display = HistoryDisplay.from_search(pruning(), against=against).plot()
    assert display.description.startswith("11 trials, of them 1 failed and 2 pruned; ")
    assert {"a failed trial", "a pruned trial"} <= set(texts(display))
    marks = {line.get_label(): len(line.get_xdata()) for line in display.ax_.lines}
    assert (marks["a failed trial"], marks["a pruned trial"]) == (1, 2)


def test_timeline_and_distribution_tell_pruned_trials_from_failed_ones():
    timeline = TimelineDisplay.from_search(pruning()).plot()
    assert timeline.status.tolist() == ["complete"] * 8 + ["failed", "pruned", "pruned"]
    assert texts(timeline) == ["complete", "failed", "pruned"]
    said = DistributionDisplay.from_search(pruning()).description
    assert "of the other trials 1 failed and 2 pruned" in said


@pytest.mark.parametrize("space", [SQUARE, {"x": Real(0, 1)}])
@pytest.mark.parametrize("kind", [SliceDisplay, ZoomPathDisplay, ZoomedViewsDisplay])
def test_places_of_pruned_trials_have_their_own_mark(kind, space):
    search = told([0.1, 0.2, None, None], space)
    search.trials[3].details["pruned"] = True
    display = kind.from_search(search).plot()
    legends = [ax.get_legend() for ax in display.figure_.axes if ax.get_legend()]
    assert {"failed", "pruned"} <= {t.get_text() for found in legends for t in found.get_texts()}
    marks = [line.get_marker() for ax in display.figure_.axes for line in ax.lines]
    assert {"x", "+"} <= set(marks)


def test_a_landscape_knows_no_pruned_trials():
    display = LandscapeDisplay.from_search(pruning())
    assert display.landscape.failed.sum() == 1
    search = told([None])
    search.trials[0].details["pruned"] = True
    assert LandscapeDisplay.from_search(search).reason == "all trials were pruned"
    assert "1 pruned" in HistoryDisplay.from_search(search).plot().description


def test_flags_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="pruned must have the shape of score"):
        HistoryDisplay([1, 2], [0.1, 0.2], pruned=[True])


def test_history_draws_far_outliers_at_the_edge_and_says_so():
    scores = [-50.0, *np.linspace(0.8, 0.9, 12)]
    display = HistoryDisplay.from_search(told(scores)).plot()
    assert display.floor == pytest.approx(0.8)
    assert display.ax_.get_ylim()[0] > 0.7
    assert "a trial below this range" in texts(display)


def test_history_reads_any_fitted_search_of_scikit_learn(blobs):
    search = GridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=3).fit(*blobs)
    display = HistoryDisplay.from_search(search)
    np.testing.assert_array_equal(display.score, search.cv_results_["mean_test_score"])
    assert display.best == search.best_index_ + 1
    both = GridSearchCV(
        SVC(), {"C": [0.1, 1]}, cv=3, scoring=["accuracy", "f1_macro"], refit=False
    ).fit(*blobs)
    scores = HistoryDisplay.from_search(both).score
    np.testing.assert_array_equal(scores, both.cv_results_["mean_test_accuracy"])


def test_both_displays_read_a_fitted_fractal_search(blobs):
    search = FractalSearchCV(SVC(), {"C": Real(0.1, 10, log=True)}, n_iter=4, cv=3, random_state=0)
    search.fit(*blobs)
    history = HistoryDisplay.from_search(search)
    np.testing.assert_array_equal(history.score, search.cv_results_["mean_test_score"])
    assert history.best == search.best_index_ + 1 == ZoomPathDisplay.from_search(search).best


def test_the_best_of_a_covered_grid_is_marked_though_its_rows_stand_in_another_order(blobs):
    grid = {"C": [1e-3, 0.1, 10.0], "gamma": [1e-3, 0.1, 10.0]}
    search = FractalSearchCV(SVC(), grid, n_iter=None, cv=3, random_state=0).fit(*blobs)
    for fitted in (search, pickle.loads(pickle.dumps(search))):
        best = fitted.trials_[HistoryDisplay.from_search(fitted).best - 1]
        assert best.params == fitted.best_params_
        assert best.id != fitted.best_index_


def test_a_choice_of_refit_is_the_trial_that_is_marked(blobs):
    search = FractalSearchCV(
        SVC(), {"C": Real(0.1, 10)}, n_iter=4, cv=3, random_state=0, refit=lambda results: 3
    )
    assert HistoryDisplay.from_search(search.fit(*blobs)).best == 4


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")
def test_both_displays_read_a_keras_tuner(tmp_path):
    pytest.importorskip("keras_tuner")
    from fractal_tuner import FractalTuner

    class Parabola(FractalTuner):
        def run_trial(self, trial, **options):
            return (trial.hyperparameters.Float("x", -5, 5) - 1) ** 2

    tuner = Parabola(max_trials=6, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    history, path = HistoryDisplay.from_search(tuner), ZoomPathDisplay.from_search(tuner.oracle)
    losses = [trial.score for trial in tuner.oracle.trials.values()]
    np.testing.assert_allclose(history.score, -np.array(losses))
    assert history.best == path.best == int(np.argmin(losses)) + 1
    assert path.dims == ("x",)


@pytest.mark.parametrize("display", [HistoryDisplay, ZoomPathDisplay])
def test_a_search_that_is_not_fitted_is_refused(display):
    with pytest.raises(TypeError, match="holds no trials that can be read; it must be fitted"):
        display.from_search(FractalSearchCV(SVC(), {"C": [1, 2]}))


def test_the_path_leads_from_the_whole_space_to_the_best_trial_through_windows_that_hold_it():
    search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=40, seed=0)
    best = search.run(lambda x, y: -((x - 0.3) ** 2) - (y - 0.7) ** 2)
    display = ZoomPathDisplay.from_search(search)
    assert display.path[0].level == 0
    assert display.path[-1] == best.window
    assert best.level > 1
    place = search.trials.space.unit(best.key)
    for window in display.path:
        assert np.all((place >= window.lower) & (place <= window.upper))
    levels = [window.level for window in display.path]
    assert levels == sorted(set(levels))
    before = {trial.window for trial in search.trials if trial.id <= best.id}
    beside = [w for w in before if np.any((place < w.lower) | (place > w.upper))]
    assert display.n_detours == len(beside)


def test_the_path_of_a_factorial_search_is_nested_and_drawn_on_the_search_scale():
    search = FactorialZoom(
        {"x": Real(0, 1), "y": Real(1, 1e4, log=True)}, points_per_dim=5, levels=3
    )
    search.run(lambda x, y: -((x - 0.3) ** 2) - (math.log10(y) - 1.2) ** 2)
    display = ZoomPathDisplay.from_search(search).plot()
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xscale() == "linear"
    boxes = sorted((r.get_bbox() for r in rectangles(display)), key=lambda box: -box.width)
    assert boxes[0].extents == pytest.approx((0.0, 1.0, 0.5, 100.0))
    assert boxes[1].extents == pytest.approx((0.125, 10**0.5, 0.375, 10**1.5))


def test_trials_are_drawn_at_their_own_values():
    search = told([0.1, 0.2, 0.3])
    display = ZoomPathDisplay.from_search(search).plot()
    drawn = display.ax_.collections[0].get_offsets()
    np.testing.assert_allclose(drawn, [list(t.params.values()) for t in search.trials])
    np.testing.assert_array_equal(display.ax_.collections[0].get_array(), [0.1, 0.2, 0.3])


def test_the_region_holds_the_best_quarter():
    search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=20, seed=0)
    search.run(lambda x, y: -((x - 0.3) ** 2) - (y - 0.7) ** 2)
    display = ZoomPathDisplay.from_search(search).plot(near=True)
    low, high = display.region.T
    best = display.unit[np.argsort(-display.score)[:5]]
    assert ((best >= low) & (best <= high)).all()
    left, right = display.ax_.get_xlim()
    assert 0 < left <= best[:, 0].min()
    assert best[:, 0].max() <= right < 1


def test_trials_without_a_shown_parameter_are_counted_and_left_out():
    space = SearchSpace(
        {"C": Real(0.1, 10, log=True), "kernel": ["rbf", "poly"], "degree": Integer(2, 4)},
        conditions={"degree": ("kernel", ("poly",))},
    )
    search = ZoomSearch(space, max_trials=12, seed=0)
    search.run(lambda **params: params.get("degree", 0) - abs(params["C"] - 1))
    display = ZoomPathDisplay.from_search(search, dims=("C", "degree")).plot()
    n_poly = sum("degree" in trial.params for trial in search.trials)
    assert (len(display.trial), display.n_hidden) == (n_poly, 12 - n_poly)
    assert f"{12 - n_poly} trials without C and degree left out" in display.note


def test_numbers_are_shown_before_categories_unless_named():
    search = told([0.1, 0.2], {"kernel": ["rbf", "poly"], "C": Real(0, 1), "gamma": Real(0, 1)})
    assert ZoomPathDisplay.from_search(search).dims == ("C", "gamma")
    assert ZoomPathDisplay.from_search(search, dims=("kernel", "C")).dims == ("kernel", "C")
    assert ZoomPathDisplay.from_search(search, dims="C").dims == ("C",)


@pytest.mark.parametrize("dims", [("x", "z"), ("x", "x"), (), ("x", "y", "x")])
def test_dimensions_that_cannot_be_shown_are_named(dims):
    with pytest.raises(ValueError, match=r"one or two different names of \['x', 'y'\]"):
        ZoomPathDisplay.from_search(told([0.1]), dims=dims)


def test_a_parameter_of_two_members_of_a_union_is_shown_as_the_best_trial_used_it():
    search = ZoomSearch([{"C": Real(0, 1)}, {"C": Real(5, 9), "g": Real(0, 1)}], max_trials=12)
    search.run(lambda **params: params["C"])
    display = ZoomPathDisplay.from_search(search, dims="C").plot()
    assert display.ax_.get_xlim()[0] > 4
    assert display.n_hidden == sum("g" not in trial.params for trial in search.trials)


def test_drawing_computes_nothing_and_may_be_repeated_on_given_axes():
    figure, (left, right) = plt.subplots(1, 2)
    for display in (HistoryDisplay, ZoomPathDisplay):
        made = display.from_search(told([0.1, 0.3, 0.2]))
        before = {name: repr(value) for name, value in vars(made).items()}
        assert made.plot(left) is made
        assert made.plot(right).ax_ is right
        assert made.figure_ is figure
        assert {name: repr(vars(made)[name]) for name in before} == before
    plt.close(figure)


def test_a_new_figure_is_not_held_by_pyplot():
    HistoryDisplay.from_search(told([0.1])).plot()
    assert plt.get_fignums() == []


def test_a_grid_search_has_trials_but_no_zoom_windows(blobs):
    search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [0.1, 1]}, cv=3).fit(*blobs)
    display = ZoomPathDisplay.from_search(search).plot()
    assert len(display.trial) == 6
    assert "no zoom windows were recorded" in display.note
    assert rectangles(display) == []


def test_a_best_that_no_zoom_led_to_is_said():
    search = FactorialZoom({"x": Real(0, 1)}, points_per_dim=5, levels=2)
    search.run(lambda x: -abs(x - 0.5))
    display = ZoomPathDisplay.from_search(search)
    assert [window.level for window in display.path] == [0]
    assert "no zoom led to it" in display.note


def test_levels_that_would_be_written_over_each_other_are_moved_or_left_out():
    search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=60, seed=1)
    search.run(lambda x, y: -((x - 0.01) ** 2) - (y - 0.99) ** 2)
    display = ZoomPathDisplay.from_search(search).plot()
    places = np.array([text.get_position() for text in display.ax_.texts])
    apart = np.abs(places[:, None] - places[None]).max(-1) + np.eye(len(places))
    assert len(places) >= 2
    assert apart.min() >= 0.06 - 1e-9


def test_history_against_time_follows_the_clock():
    search = told([0.1, 0.2, 0.3])
    for trial, ended in zip(search.trials, (30.0, 10.0, 20.0), strict=True):
        trial.started, trial.ended = 0.0, ended
    display = HistoryDisplay.from_trials(search.trials, against="time")
    np.testing.assert_array_equal(display.seconds, [10.0, 20.0, 30.0])
    np.testing.assert_array_equal(display.best_so_far, [0.2, 0.3, 0.3])
    assert "seconds" in display.table()[0]
    with pytest.raises(ValueError, match="against"):
        HistoryDisplay.from_trials(search.trials, against="score")


def test_history_leaves_out_trials_without_a_time_and_says_so(blobs):
    search = GridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=3).fit(*blobs)
    display = HistoryDisplay.from_search(search, against="time")
    assert (len(display.trial), display.n_hidden) == (0, 3)
    display.plot().figure_.draw_without_rendering()


def test_the_timeline_spans_from_ask_to_tell():
    search = told([0.1, None, 0.3])
    for trial, start in zip(search.trials, (100.0, 101.0, 103.0), strict=True):
        trial.started, trial.ended = start, start + 2.0
    display = TimelineDisplay.from_search(search)
    np.testing.assert_array_equal(display.start, [0.0, 1.0, 3.0])
    np.testing.assert_array_equal(display.end, [2.0, 3.0, 5.0])
    assert display.status.tolist() == ["complete", "failed", "complete"]
    assert display.busy == pytest.approx(6 / 5)


def test_the_distribution_counts_failures_as_trials_that_reached_nothing():
    display = DistributionDisplay.from_search(told([0.3, None, 0.1, 0.3]))
    np.testing.assert_array_equal(display.sorted, [0.1, 0.3, 0.3])
    np.testing.assert_array_equal(display.share, [0.75, 0.5, 0.5])


def bumpy(n_lines=12):
    u = np.linspace(0, 1, n_lines)
    z = np.add.outer(np.sin(4 * u), u**2)
    z[2, 3] = np.nan
    failed = np.zeros(z.shape, dtype=bool)
    failed[5, 6] = True
    axes = {"x": Real(0, 1), "C": Real(1e-3, 1, log=True)}
    return Landscape.from_grid(z, axes, failed=failed)


def test_landscapes_are_drawn_as_the_analyzers_see_them():
    landscape = bumpy()
    expected = {
        "raw": landscape.scores,
        "smoothed": np.minimum(landscape.smoothed().scores, np.nanmax(landscape.scores)).clip(
            np.nanmin(landscape.scores)
        ),
        "gradient": gradient_magnitude(landscape).map.scores,
        "complexity": local_complexity(landscape).map.scores,
    }
    for kind, values in expected.items():
        display = LandscapeDisplay(landscape, kind)
        np.testing.assert_array_equal(display.map.values, values)
        np.testing.assert_array_equal(display.map.known, np.isfinite(landscape.scores))
        image = display.plot().ax_.images[0]
        np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), values.T)


def test_cells_lie_evenly_on_a_logarithmic_axis():
    ax = LandscapeDisplay(bumpy(12)).plot().ax_
    assert ax.get_yscale() == "log"
    image = ax.images[0]
    left, right, low, high = image.get_extent()
    corners = image.get_transform().transform([(left, low), (right, high)])
    first = ax.transData.transform((0.0, 1e-3)), ax.transData.transform((1.0, 1.0))
    half_cell = (first[1] - first[0]) / 11 / 2
    np.testing.assert_allclose(corners[0], first[0] - half_cell)
    np.testing.assert_allclose(corners[1], first[1] + half_cell)


def test_nothing_is_shown_far_from_any_trial():
    rng = np.random.default_rng(0)
    corner = Landscape.from_points(0.3 * rng.random((60, 2)), rng.random(60))
    display = LandscapeDisplay(corner, "smoothed")
    shown = display.map.known
    assert shown[0, 0]
    assert not shown[-1, -1]
    assert 0.1 < shown.mean() < 0.35
    assert "crossed out: no trial is near" in display.note
    assert np.isnan(display.map.values[~shown]).all()
    support = {row["support"] for row in display.table()}
    assert support == {"interpolated", "no score near"}


def test_a_smoothed_score_invents_no_peak():
    # A slope that ends in a corner: a plane through it would go on to 2 at the other one.
    u = 0.3 * np.random.default_rng(0).random((60, 2))
    display = LandscapeDisplay(Landscape.from_points(u, u.sum(1)), "smoothed").plot()
    image = display.ax_.images[0]
    assert np.nanmax(display.map.values) <= u.sum(1).max()
    assert image.get_clim()[1] <= u.sum(1).max()
    assert image.get_array().mask.mean() > 0.6


def test_holes_between_measured_cells_are_interpolated_and_others_empty():
    z = np.add.outer(np.arange(9.0), np.arange(9.0))
    z[2, 2] = z[5:, 5:] = np.nan
    found = LandscapeDisplay(Landscape.from_grid(z), "smoothed").map
    assert not found.known[2, 2]
    assert found.values[2, 2] == pytest.approx(4)
    assert np.isfinite(found.values[5, 5:]).all()
    assert found.is_empty.sum() == 9


def test_no_gap_is_shown_between_integers():
    u, k = np.random.default_rng(0).random(60), np.arange(60) % 5
    axes = {"x": Real(0, 1), "depth": Integer(1, 5)}
    landscape = Landscape.from_points(np.column_stack([u, k + 1]), u + k, axes)
    assert LandscapeDisplay(landscape, "smoothed").map.known.mean() > 0.95


def test_what_a_lonely_trial_reaches_depends_on_how_dense_trials_are():
    rng = np.random.default_rng(0)
    crowd, few = 0.5 + 0.02 * rng.random((200, 2)), np.array([[0.1, 0.1], [0.2, 0.1], [0.1, 0.2]])
    u = np.concatenate([crowd, few])
    found = LandscapeDisplay(Landscape.from_points(u, u.sum(1)), "smoothed").map
    x, y = np.meshgrid(*found.lines, indexing="ij")
    assert found.known[np.hypot(x - 0.15, y - 0.15) < 0.08].all()
    assert not found.known[x > 0.6].any()
    assert not found.known[(abs(x - 0.51) < 0.1) & (abs(y - 0.6) < 0.03)].any()


def test_a_crowd_reaches_as_far_as_an_even_grid_of_as_many():
    rng = np.random.default_rng(0)
    u = np.concatenate([0.5 + 0.01 * rng.random((30, 2)), rng.random((30, 2))])
    found = LandscapeDisplay(Landscape.from_points(u, u.sum(1)), "smoothed").map
    x, y = np.meshgrid(*found.lines, indexing="ij")
    assert found.known[np.hypot(x - 0.505, y - 0.505) < 0.5 * math.sqrt(2 / 60)].all()


def test_a_landscape_that_cannot_be_smoothed_shows_its_trials_and_says_why():
    display = LandscapeDisplay.from_search(told([0.1, 0.2]), kind="smoothed")
    assert display.map is None
    assert "needs 4 scores" in display.note
    with pytest.raises(ValueError, match="kind"):
        LandscapeDisplay.from_search(told([0.1]), kind="pretty")
    with pytest.raises(ValueError, match="project or slice"):
        LandscapeDisplay(Landscape.from_grid(np.zeros((3, 3, 3))))


def test_more_dimensions_than_are_shown_are_said():
    search = told([0.1, 0.2, 0.3], {"x": Real(0, 1), "y": Real(0, 1), "z": Real(0, 1)})
    assert "2 of 3 dimensions" in ZoomPathDisplay.from_search(search).note
    assert "2 of 3 dimensions" in LandscapeDisplay.from_search(search).note


def test_zoomed_views_are_nested_and_hold_the_best():
    search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=40, seed=0)
    search.run(lambda x, y: -((x - 0.3) ** 2) - (y - 0.7) ** 2)
    display = ZoomedViewsDisplay.from_search(search)
    assert 2 <= len(display.views) <= 4
    at = display.unit[display.trial == display.best][0]
    areas = [np.prod(np.ptp(view, axis=1)) for view in display.views]
    assert areas == sorted(areas, reverse=True)
    for view, inside in zip(display.views, display.inside, strict=True):
        assert np.all((at >= view[:, 0]) & (at <= view[:, 1]))
        assert inside[display.trial == display.best].all()
    labels = [ax.get_ylabel() for ax in display.plot().figure_.axes if ax.get_xlabel() == "x"]
    assert labels == ["y"] * len(display.views)


def test_the_line_of_box_counts_has_the_slope_of_the_estimate():
    found = box_dimension(sierpinski_carpet(4).values)
    display = BoxCountingDisplay(found, of="a carpet")
    slope = np.polyfit(np.log(display.sizes), np.log(display.line), 1)[0]
    assert -slope == pytest.approx(found.value)
    np.testing.assert_array_equal(display.counts, found.counts.counts)


def test_box_counts_of_scattered_trials_give_the_reason_instead():
    display = BoxCountingDisplay.from_search(told([0.1, 0.2, 0.3])).plot()
    assert "boxes are counted on a grid" in display.description
    assert any("not estimable" in text.get_text() for text in display.ax_.texts)


def test_the_variogram_of_a_plane_is_half_its_squared_rise():
    line = np.linspace(0, 1, 60)
    plane = Landscape.from_grid(line)
    display = RoughnessDisplay(plane, roughness(plane))
    # Distances within a bin differ by up to a third: their mean square exceeds their squared mean.
    np.testing.assert_allclose(display.value, display.lag**2 / 2, rtol=0.03)
    assert display.pairs.min() >= 20


def test_no_number_is_drawn_for_roughness_that_is_not_known():
    noise = Landscape.from_grid(np.random.default_rng(0).standard_normal((20, 20)))
    display = RoughnessDisplay(noise, roughness(noise)).plot()
    assert np.isnan(display.model).all()
    assert "D =" not in " ".join(texts(display))
    assert "noise" in display.description


def test_slices_show_each_dimension_where_it_is_active():
    space = SearchSpace(
        {"C": Real(0.1, 10, log=True), "kernel": ["rbf", "poly"], "degree": Integer(2, 4)},
        conditions={"degree": ("kernel", ("poly",))},
    )
    search = ZoomSearch(space, max_trials=12, seed=0)
    search.run(lambda **params: params["C"])
    display = SliceDisplay.from_search(search)
    assert display.dims == ("C", "kernel", "degree")
    has_degree = ["degree" in trial.params for trial in search.trials]
    np.testing.assert_array_equal(~np.isnan(display.unit[:, 2]), has_degree)
    scales = [panel.get_xscale() for panel in display.plot().figure_.axes]
    assert scales.count("log") == 1


def test_pairs_share_one_smoothing_and_leave_categories_to_dots():
    space = {"x": Real(0, 1), "y": Real(0, 1), "kernel": ["a", "b"]}
    search = ZoomSearch(space, max_trials=30, seed=0)
    search.run(lambda x, y, kernel: x + y)
    display = ContourDisplay.from_search(search)
    assert {pair for pair, found in display.maps.items() if found is not None} == {("x", "y")}
    found = display.maps["x", "y"]
    plane = np.add.outer(*found.lines)[found.known].clip(display.score.min(), display.score.max())
    np.testing.assert_allclose(found.values[found.known], plane, atol=1e-6)


def test_pairs_of_many_trials_are_smoothed_as_those_of_some():
    u = np.random.default_rng(0).random((400, 2))
    log = TrialLog(SearchSpace(SQUARE))
    for trial in log.add_all((log.space.key_from_unit(v), Window.whole(2)) for v in u):
        log.finish(trial.id, math.sin(3 * u[trial.id, 0]) + u[trial.id, 1])
    (found,) = ContourDisplay.from_trials(log).maps.values()
    expected = np.add.outer(np.sin(3 * found.lines[0]), found.lines[1])
    assert found.known.mean() > 0.9
    assert np.abs(found.values - expected)[found.known].max() < 0.1


def test_pairs_have_no_gap_between_integers_nor_where_trials_are_left_out():
    n = 3000
    u = np.random.default_rng(0).random((n, 2))
    space = SearchSpace({"x": Real(0, 1), "depth": Integer(1, 5)})
    log = TrialLog(space)
    for trial in log.add_all((space.key_from_unit(v), Window.whole(2)) for v in u):
        log.finish(trial.id, u[trial.id, 0])
    (found,) = ContourDisplay.from_trials(log).maps.values()
    assert found.known.all()


def test_every_trial_has_a_row_in_the_timeline():
    search = told([0.1, None, 0.3])
    for trial in search.trials:
        trial.started, trial.ended = 10.0 * trial.id, 10.0 * trial.id + 5
    bars = TimelineDisplay.from_search(search).plot().ax_.collections
    ends = {
        b.get_label(): [p.get_extents().intervalx.tolist() for p in b.get_paths()] for b in bars
    }
    assert ends == {"complete": [[0, 5], [20, 25]], "failed": [[10, 15]]}


def test_numbers_that_are_whole_have_whole_ticks_however_near_one_looks():
    ax = plt.figure().add_subplot()
    Scale(Integer(1, 1000)).label(ax, "x", "n", np.array([0.5, 0.5001]))
    ticks = ax.get_xticks()
    assert np.array_equal(ticks, np.round(ticks))
    plt.close(ax.figure)


def test_parallel_coordinates_keep_the_best_and_some_others():
    scores = np.random.default_rng(0).permutation(400.0 + np.arange(400))
    log = told(list(scores), {"x": Real(0, 1), "y": Real(0, 1)}).trials
    display = ParallelCoordinatesDisplay.from_trials(log)
    assert len(display.score) == 300
    assert set(display.score) >= set(np.sort(scores)[-100:])
    again = ParallelCoordinatesDisplay.from_trials(log)
    np.testing.assert_array_equal(display.trial, again.trial)
    assert np.all(np.diff(display.score) > 0)


def luminance(color):
    part = np.asarray(to_rgb(color))
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def contrast(a, b):
    """The ratio of WCAG 2, from 1 to 21."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_lines_are_lost_on_neither_paper():
    lines = ParallelCoordinatesDisplay.from_search(told(np.linspace(0, 1, 9))).plot()
    (drawn,) = lines.ax_.collections
    drawn.update_scalarmappable()
    for paper in (BACKGROUND, "#1c1d21"):  # light and dark
        assert min(contrast(color, paper) for color in drawn.get_colors()) > 1.5


def test_counts_can_be_read_on_their_colours():
    display = CoverageDisplay.from_search(told(range(40))).plot()
    faces = {tuple(p.get_center().round(6)): p.get_facecolor() for p in display.ax_.patches}
    counts = [t for t in display.ax_.texts if tuple(np.round(t.get_position(), 6)) in faces]
    assert len(counts) >= 10
    for text in counts:
        face = faces[tuple(np.round(text.get_position(), 6))]
        assert contrast(text.get_color(), face) >= 4.5


def test_importance_is_drawn_as_it_was_found_or_with_its_reason():
    u = np.random.default_rng(0).random((60, 3))
    found = importance(Landscape.from_points(u, u[:, 0] + 2 * u[:, 1] + 3 * u[:, 0] * u[:, 1]))
    display = ImportanceDisplay(found)
    assert display.names[:3] == sorted(found.total, key=lambda name: -found.total[name].value)
    assert display.names[3] == "x0 with x1"
    np.testing.assert_array_equal(display.total[:2], [found.total[n].value for n in ("x1", "x0")])
    silent = ImportanceDisplay.from_search(told([0.1, 0.2])).plot()
    assert "not enough data" in silent.description
    assert silent.table() == []


def test_coverage_counts_trials_and_finds_a_hole():
    search = FactorialZoom({"x": Real(0, 1), "n": [1, 2, 4]}, points_per_dim=5, levels=1)
    search.run(lambda x, n: x)
    display = CoverageDisplay.from_search(search)
    assert [counts.sum() for counts in display.counts] == [15, 15]
    np.testing.assert_array_equal(display.counts[1], [5, 5, 5])
    half = told([0.1] * 3, {"x": Real(0, 1)}).trials
    places = sorted(trial.params["x"] for trial in half)
    low, high = CoverageDisplay.from_trials(half).hole["x"]
    gap = max(np.diff([-places[0], *places, 2 - places[-1]]))
    assert high - low <= gap + 1e-9
    assert not any(low + 1e-3 < place < high - 1e-3 for place in places)


def test_noise_shows_the_best_with_their_folds():
    search = ZoomSearch(SQUARE, max_trials=12, seed=0)
    rng = np.random.default_rng(0)
    while batch := search.ask():
        folds = batch[0].id + rng.normal(size=5)
        search.tell(batch[0].id, folds.mean(), folds=folds)
    display = NoiseDisplay.from_search(search)
    assert np.all(np.diff(display.score) <= 0)
    tied = {trial.id + 1 for trial in indistinguishable(search.trials).trials}
    assert set(display.trial[display.is_tied]) == tied
    np.testing.assert_array_equal(display.error, display.noise.sd)
    assert display.noise.sd == pytest.approx(1 / math.sqrt(5), rel=0.3)


SPACES = {
    "two numbers": SQUARE,
    "one number": {"x": Real(0, 1)},
    "one category": {"kernel": ["rbf", "poly"]},
    "categories": {"a": ["u", "$\\bad{", "line\nbreak"], "b": [None, "x" * 200]},
    "a category with many choices": {"a": Categorical(range(60)), "b": Real(0, 1)},
    "a single value": {"a": ["only"], "b": [1, 2]},
    "a distribution": {"x": norm(), "n": Integer(1, 5)},
    "integers beyond float": {"n": Integer(1, 10**400), "m": Integer(1, 2**70, log=True)},
    "an empty member": [{"x": Real(0, 1)}, {}],
    "twenty numbers": {f"parameter_{i}": Real(0, 1) for i in range(20)},
    "hostile names": {
        "<script>": Real(0, 1),
        "$x_{": Real(0, 1),
        "a\nb" * 300: ["=cmd()", "\u202eabc"],
    },
}
SCORES = {
    "no trials": [],
    "one trial": [0.5],
    "two trials": [0.5, 0.1],
    "all failed": [None, math.nan],
    "some failed": [None, 0.1],
    "constant": [0.5, 0.5],
    "huge": [-1e300, 1e300],
    "a dozen": [0.1 * (i % 5) for i in range(11)] + [None],
}
CASES = {("two numbers", name) for name in SCORES}
CASES |= {(name, scores) for name in SPACES for scores in ("no trials", "some failed", "a dozen")}
QUICK = {("two numbers", "two trials"), ("two numbers", "all failed"), ("one number", "a dozen")}
QUICK |= {("hostile names", "some failed"), ("integers beyond float", "no trials")}
DISPLAYS = [getattr(report, name) for name in report.__all__ if name.endswith("Display")]


@pytest.mark.parametrize(
    ("space", "scores"),
    [
        pytest.param(*case, marks=[] if case in QUICK else pytest.mark.slow)
        for case in sorted(CASES)
    ],
)
def test_anything_a_search_leaves_behind_can_be_drawn(space, scores):
    search = told(SCORES[scores], SPACES[space])
    for kind in DISPLAYS:
        display = kind.from_search(search)
        display.plot().figure_.draw_without_rendering()
        assert display.title
        assert display.description.endswith(".")
        assert len(display.table()) <= 300
    for kind in ("smoothed", "gradient", "complexity"):
        LandscapeDisplay.from_search(search, kind=kind).plot().figure_.draw_without_rendering()
    path = ZoomPathDisplay.from_search(search).plot(near=True)
    path.figure_.draw_without_rendering()
    assert len(path.trial) + path.n_hidden == len(search.trials)
    succeeded = [trial.status == "complete" for trial in search.trials]
    assert (path.best is not None) == any(succeeded)


@pytest.mark.parametrize("kind", DISPLAYS)
def test_a_display_draws_on_given_axes_and_computes_nothing_then(kind):
    figure, (left, right) = plt.subplots(1, 2)
    display = kind.from_search(told(SCORES["a dozen"]))
    before = {name: repr(value) for name, value in vars(display).items()}
    assert display.plot(left) is display
    assert display.plot(right).ax_ is right
    assert display.figure_ is figure
    assert {name: repr(vars(display)[name]) for name in before} == before
    display.plot(figure.add_axes((0.1, 0.1, 0.3, 0.3)))
    plt.close(figure)


@pytest.mark.parametrize("kind", DISPLAYS)
def test_text_and_frames_have_the_colours_that_a_page_replaces(kind):
    display = kind.from_search(told(SCORES["a dozen"])).plot()
    display.figure_.draw_without_rendering()
    own = {FOREGROUND, BACKGROUND, GRID, "white", "black"}  # the last two on dots and cells
    for ax in display.figure_.axes:
        words = [ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()]
        assert {text.get_color() for text in [*words, *ax.texts]} <= own
    assert display.figure_.get_facecolor() == pytest.approx(
        plt.matplotlib.colors.to_rgba(BACKGROUND)
    )


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    return rng.normal(size=(60, 2)) + y[:, None], y


def test_the_variogram_is_of_what_a_plane_leaves_where_the_dimension_is():
    rough = fractional_brownian_surface(0.2, 20, rng=0).values
    tilted = rough + 20 * rough.std() * np.linspace(0, 1, 20)[:, None]
    level, shown = (
        RoughnessDisplay(landscape, roughness(landscape))
        for landscape in map(Landscape.from_grid, (rough, tilted))
    )
    assert shown.found.plane[0] == pytest.approx(20 * rough.std(), rel=0.2)
    assert shown.value.max() < 2 * level.value.max()
    assert "plane" in shown.description
