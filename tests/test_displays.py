"""The displays: the arrays they draw, and that they draw anything a search can leave behind."""

import math
import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    FractalSearchCV,
    HistoryDisplay,
    Integer,
    Real,
    SearchSpace,
    ZoomPathDisplay,
    ZoomSearch,
)

SQUARE = {"x": Real(0, 1), "y": Real(1e-3, 1, log=True)}


def told(scores, space=SQUARE):
    """A search with the given scores; None is a failure."""
    search = ZoomSearch(space, max_trials=max(len(scores), 1), seed=0)
    for score in scores:
        search.tell(search.ask()[0].id, score)
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
}
SCORES = {
    "no trials": [],
    "one trial": [0.5],
    "two trials": [0.5, 0.1],
    "all failed": [None, math.nan],
    "some failed": [None, 0.1],
    "constant": [0.5, 0.5],
    "huge": [-1e300, 1e300],
}


CASES = [("two numbers", name) for name in SCORES]
CASES += [(name, scores) for name in SPACES for scores in ("no trials", "some failed", "constant")]


@pytest.mark.parametrize(("space", "scores"), sorted(set(CASES)))
def test_anything_a_search_leaves_behind_can_be_drawn(space, scores):
    search = told(SCORES[scores], SPACES[space])
    path = ZoomPathDisplay.from_search(search)
    for near in (False, True):
        path.plot(near=near).figure_.draw_without_rendering()
    assert len(path.trial) + path.n_hidden == len(SCORES[scores])
    succeeded = [s is not None and math.isfinite(s) for s in SCORES[scores]]
    assert (path.best is not None) == any(succeeded)


@pytest.mark.parametrize("scores", SCORES.values(), ids=SCORES)
def test_the_history_of_anything_can_be_drawn(scores):
    HistoryDisplay.from_search(told(scores)).plot().figure_.draw_without_rendering()


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    return rng.normal(size=(60, 2)) + y[:, None], y
