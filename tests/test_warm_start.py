"""A search that knows an earlier one begins with its best candidates, where they fit."""

import csv
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import uniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from fractal_tuner import FractalSearchCV, Integer, Real, SearchSpace, ZoomSearch
from fractal_tuner.warm_start import starting_points

X, Y = load_iris(return_X_y=True)
X, Y = X[::3], Y[::3]


class Bowl(ClassifierMixin, BaseEstimator):
    """Scores best at x = 0.3 and n = 4."""

    def __init__(self, x=0.5, n=2, kind="round"):
        self.x = x
        self.n = n
        self.kind = kind

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        return -abs(self.x - 0.3) - 0.1 * abs(self.n - 4)


PLANE = {"x": Real(0, 1), "n": Integer(1, 9)}
TABLE = [(0.9, 3, 0.1), (0.25, 4, 0.9), (0.2, 5, 0.8), (0.7, 8, 0.5), (0.4, 4, 0.85)]
BEST = {"x": 0.25, "n": 4}


def results(rows, names=("x", "n")):
    """Rows of values and a score as ``cv_results_``."""
    params = [dict(zip(names, row[:-1], strict=True)) for row in rows]
    return {"params": params, "mean_test_score": np.array([row[-1] for row in rows])}


def fitted(space=PLANE, estimator=None, **options):
    options = {"n_iter": 8, "cv": 2, "random_state": 0} | options
    return FractalSearchCV(estimator or Bowl(), space, **options).fit(X, Y)


def params(search):
    return search.cv_results_["params"]


# What it is made of


def our_search(folder):
    return fitted()


def our_journal(folder):
    fitted(journal=folder / "journal.jsonl")
    return folder / "journal.jsonl"


def a_zoom_search(folder):
    search = ZoomSearch(PLANE, max_trials=8, seed=0)
    search.run(lambda x, n: -abs(x - 0.3) - abs(n - 4))
    return search


def a_grid_search(folder):
    return GridSearchCV(Bowl(), {"x": [0.1, 0.35, 0.9], "n": [1, 4]}, cv=2).fit(X, Y)


def its_results(folder):
    return a_grid_search(folder).cv_results_


def a_randomized_search(folder):
    space = {"x": uniform(0, 1), "n": [2, 3, 4]}
    return RandomizedSearchCV(Bowl(), space, n_iter=8, cv=2, random_state=0).fit(X, Y)


def a_study(folder):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))  # it minimises
    study.optimize(
        lambda t: abs(t.suggest_float("x", 0, 1) - 0.3) + t.suggest_int("n", 1, 9), n_trials=8
    )
    return study


def a_csv_file(folder):
    path = folder / "trials.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("x", "n", "score"), *TABLE])
    return path


def a_data_frame(folder):
    return pd.DataFrame(TABLE, columns=["x", "n", "score"])


def best_of(source):
    if hasattr(source, "best_params_"):
        return source.best_params_
    if hasattr(source, "best_trial"):
        return source.best_trial.params
    if isinstance(source, dict):
        return source["params"][int(source["mean_test_score"].argmax())]
    return BEST


@pytest.mark.parametrize(
    "make",
    [
        our_search,
        a_zoom_search,
        a_grid_search,
        its_results,
        a_randomized_search,
        a_study,
        a_csv_file,
        a_data_frame,
    ],
)
def test_the_best_candidate_of_any_earlier_search_is_evaluated_first(make, tmp_path):
    source = make(tmp_path)
    search = fitted(warm_start_from=source)
    assert params(search)[0] == best_of(source)
    assert type(params(search)[0]["n"]) is int
    assert len(search.trials_) == 8  # what is carried over counts
    assert search.best_score_ >= search.cv_results_["mean_test_score"][0]


def test_a_journal_is_an_earlier_search_by_its_path(tmp_path):
    path = our_journal(tmp_path)
    before = path.read_bytes()
    for source in (path, str(path)):
        assert params(fitted(warm_start_from=source))[0] == fitted().best_params_
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (3, TypeError, "int holds no trials that can be read"),
        ([1, 2], TypeError, "list holds no trials that can be read"),
        ({"x": [1]}, TypeError, "must be cv_results_"),
        (FractalSearchCV(Bowl(), PLANE), TypeError, "FractalSearchCV"),
        ("nowhere.csv", OSError, "nowhere.csv"),
    ],
)
def test_what_is_no_earlier_search_is_refused(source, error, message):
    with pytest.raises(error, match=message):
        fitted(warm_start_from=source)


def test_an_earlier_search_without_a_score_is_none(tmp_path):
    unstarted = ZoomSearch(PLANE, max_trials=8)
    failed = ZoomSearch(PLANE, max_trials=8)
    failed.tell(failed.ask()[0].id, error="no luck")
    for source in (unstarted, failed, results([])):
        with pytest.warns(UserWarning, match="warm start: the earlier search has no complete"):
            search = fitted(warm_start_from=source)
        assert params(search) == params(fitted())


def test_failed_and_running_trials_are_left_out():
    earlier = ZoomSearch(PLANE, max_trials=8, seed=0)
    first, second, _ = earlier.ask(3)
    earlier.tell(first.id, 0.5)
    earlier.tell(second.id, error="no luck")
    assert starting_points(earlier, PLANE) == [first.params]


# What fits


def test_values_outside_of_other_ranges_are_left_out_and_counted():
    space = {"x": Real(0.3, 1), "n": Integer(1, 6)}
    said = (
        "warm start: 3 of 5 complete trials do not fit the space, and are ignored; the best of "
        r"them: parameter 'x': .*0\.25"
    )
    with pytest.warns(UserWarning, match=said):
        assert starting_points(results(TABLE), space)[0] == {"x": 0.4, "n": 4}


def test_a_search_that_nothing_fits_begins_as_any():
    with pytest.warns(UserWarning, match="5 of 5 complete trials do not fit"):
        search = fitted({"x": Real(2, 3)}, warm_start_from=results(TABLE))
    assert params(search) == params(fitted({"x": Real(2, 3)}))


def test_a_search_of_other_parameters_is_told_apart_from_one_that_fits():
    said = r"5 of 5 .*parameters \['model__n', 'model__x'\] are none of the space's, .*\['n', 'x'\]"
    with pytest.warns(UserWarning, match=said):
        search = fitted(warm_start_from=results(TABLE, names=("model__x", "model__n")))
    assert params(search) == params(fitted())


def test_members_of_a_union_are_told_apart_by_their_parameters():
    space = [{}, {"x": Real(0, 1)}, {"x": Real(0, 1), "n": Integer(1, 9)}]
    table = {"params": [{"x": 0.5, "n": 3}, {}, {"x": 0.25}], "mean_test_score": [3.0, 2.0, 1.0]}
    assert starting_points(table, space)[0] == {"x": 0.5, "n": 3}
    assert starting_points(table | {"mean_test_score": [1.0, 3.0, 2.0]}, space)[0] == {}


def test_new_parameters_are_as_the_estimator_has_them_and_old_ones_are_ignored():
    space = {"x": Real(0, 1), "kind": ["square", "round"]}
    search = fitted(space, warm_start_from=results(TABLE))
    assert params(search)[0] == {"x": 0.25, "kind": "round"}
    with pytest.warns(UserWarning, match="5 of 5 .*parameter 'kind': .*'oval'"):
        fitted(space, estimator=Bowl(kind="oval"), warm_start_from=results(TABLE))
    with pytest.warns(UserWarning, match="5 of 5 .*parameter 'kind' is missing"):
        assert starting_points(results(TABLE), space) == []


def test_numbers_may_change_their_type():
    # A table knows only floats; an integer dimension takes those that are whole.
    rows = [(0, 4.0, 0.9), (1, 4.5, 0.95)]
    with pytest.warns(UserWarning, match=r"1 of 2 .*parameter 'n': .*4\.5"):
        found = starting_points(results(rows), PLANE)
    assert found == [{"x": 0.0, "n": 4}]
    assert [type(v) for v in found[0].values()] == [float, int]
    with pytest.warns(UserWarning, match="1 of 2"):
        assert starting_points(results(rows), {"x": [0, 1], "n": [2, 4]}) == [{"x": 0, "n": 4}]


def test_conditional_parameters_are_taken_where_they_are_active():
    space = SearchSpace(
        {"kernel": ["rbf", "poly"], "C": Real(0.1, 10, log=True), "degree": Integer(2, 4)},
        conditions={"degree": ("kernel", ["poly"])},
    )
    rows = [("rbf", 1.0, 3, 0.9), ("poly", 2.0, 2, 0.8), ("poly", 2.0, 9, 0.7)]
    with pytest.warns(UserWarning, match="1 of 3 .*'degree'"):
        found = starting_points(results(rows, ("kernel", "C", "degree")), space)
    assert found[0] == {"kernel": "rbf", "C": 1.0}
    search = SVC(degree=2)
    found = starting_points(
        results([("poly", 5.0, 0.8)], ("kernel", "C")), space, defaults=search.get_params()
    )
    assert found == [{"kernel": "poly", "C": 5.0, "degree": 2}]


def test_members_of_a_union_take_what_fits_them():
    space = [{"kernel": ["linear"], "C": Real(0.1, 10)}, {"kernel": ["rbf"], "gamma": Real(0, 1)}]
    earlier = {
        "params": [{"kernel": "rbf", "gamma": 0.5}, {"kernel": "linear", "C": 2.0}],
        "mean_test_score": np.array([0.8, 0.9]),
    }
    found = starting_points(earlier, space)
    assert found[0] == {"kernel": "linear", "C": 2.0}
    assert {"kernel": "rbf", "gamma": 0.5} in found


def test_choices_are_the_objects_of_the_new_space():
    choices = [SVC(), KNeighborsClassifier(), None, ("a", 1), np.array([1.0, 2.0])]
    rows = [(choice, 0.1 * i) for i, choice in enumerate(choices)]
    for i, choice in enumerate(choices):
        found = starting_points(results([*rows[:i], (choice, 9.0)], ("kind",)), {"kind": choices})
        assert found[0]["kind"] is choice
    pipe = Pipeline([("clf", SVC())])
    earlier = GridSearchCV(pipe, {"clf": choices[:2]}, cv=2).fit(X, Y)
    search = fitted({"clf": choices[:2]}, pipe, warm_start_from=earlier)
    assert search.trials_[0].params["clf"] is earlier.best_params_["clf"]


def test_choices_that_are_written_alike_are_taken_for_each_other(tmp_path):
    rows = [(SVC(), 0.1), (SVC(C=2), 0.3), (KNeighborsClassifier(), 0.2)]
    choices = [KNeighborsClassifier(), SVC(), SVC(C=2)]
    pd.DataFrame(results(rows, ("clf",))["params"]).assign(score=[0.1, 0.3, 0.2]).to_csv(
        tmp_path / "table.csv", index=False
    )
    for source in (results(rows, ("clf",)), tmp_path / "table.csv"):
        assert starting_points(source, {"clf": choices})[0]["clf"] is choices[2]
    with pytest.warns(UserWarning, match="1 of 3 complete trials do not fit"):  # which of the two?
        starting_points(results(rows, ("clf",)), {"clf": [*choices, SVC(C=2)]})


def test_a_journal_cannot_give_back_objects_but_everything_else(tmp_path):
    space = {"x": [0.1, 0.3], "kind": ["round", None, np.array([1.0])]}
    earlier = fitted(space, journal=tmp_path / "j")
    known = [t for t in earlier.trials_ if not isinstance(t.params["kind"], np.ndarray)]
    best = max(known, key=lambda t: t.score)
    with pytest.warns(UserWarning, match=r"2 of 6 complete .*parameter 'kind'"):
        found = starting_points(tmp_path / "j", space)
    assert found[0] == best.params


def test_equal_candidates_are_carried_over_once():
    found = starting_points(results([(0.25, 4, 0.9), (0.25, 4, 0.8), (0.25, 4, 0.7)]), PLANE)
    assert found == [BEST]


# What comes of it


def test_what_is_carried_over_is_no_more_than_the_usual_start():
    rng = np.random.default_rng(0)
    rows = [(x, 4, s) for x, s in rng.random((60, 2))]
    found = starting_points(results(rows), PLANE)
    assert 1 <= len(found) <= 3 + len(PLANE)
    best = max(rows, key=lambda row: row[-1])
    assert found[0] == {"x": best[0], "n": 4}
    search = fitted(warm_start_from=results(rows))
    assert params(search)[: len(found)] == found


def test_the_budget_holds_for_what_is_carried_over():
    search = fitted(n_iter=1, warm_start_from=results(TABLE))
    assert params(search) == [BEST]
    assert search.stop_reason_ == "budget"


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_a_warm_start_that_broke_anywhere_goes_on_to_the_same_end(batch_size, tmp_path):
    options = {"warm_start_from": results(TABLE), "batch_size": batch_size}
    journal = tmp_path / "journal.jsonl"
    unbroken = fitted(**options)
    fitted(**options, journal=journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    for n_lines in range(len(lines)):
        journal.write_bytes(b"".join(lines[:n_lines]))
        search = fitted(**options, journal=journal)
        assert params(search) == params(unbroken)
        for name in ("mean_test_score", "split1_test_score", "rank_test_score"):
            assert_array_equal(search.cv_results_[name], unbroken.cv_results_[name])


def test_a_grid_has_its_own_points(tmp_path):
    journal = tmp_path / "journal.jsonl"
    options = {"strategy": "factorial", "points_per_dim": 2, "journal": journal}
    with pytest.raises(ValueError, match="warm_start_from needs strategy='zoom'"):
        fitted(**options, warm_start_from=results(TABLE))
    assert not journal.exists()


def test_a_clone_keeps_the_earlier_search():
    earlier = fitted()
    later = FractalSearchCV(
        Bowl(), PLANE, n_iter=3, cv=2, random_state=0, warm_start_from=earlier, error_score="raise"
    )
    assert clone(later).warm_start_from is earlier
    assert cross_val_score(later, X, Y, cv=2, error_score="raise").max() <= 0
    assert params(clone(later).fit(X, Y))[0] == earlier.best_params_


def test_the_earlier_search_is_not_the_search_itself():
    search = fitted()
    with pytest.raises(ValueError, match="warm_start_from is this very search"):
        search.set_params(warm_start_from=search).fit(X, Y)
    assert len(search.trials_) == 8


@pytest.mark.slow
def test_workers_do_not_need_the_earlier_search(tmp_path):
    with ZoomSearch(PLANE, max_trials=5, seed=0, journal=tmp_path / "j") as earlier:
        trial = earlier.ask()[0]
        earlier.tell(trial.id, 1.0)  # its journal is open, so that it cannot be copied
        search = fitted(warm_start_from=earlier, n_jobs=2)
    assert params(search)[0] == trial.params
    assert pickle.loads(pickle.dumps(search)).warm_start_from.trials[0].params == trial.params


@pytest.mark.parametrize("source", [3, [{"x": 0.5}], Bowl(), "missing.csv"])
def test_the_error_names_the_parameter(source):
    with pytest.raises((TypeError, FileNotFoundError), match="warm_start_from: "):
        fitted(warm_start_from=source)
