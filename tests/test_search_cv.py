"""FractalSearchCV behaves as scikit-learn's own searches do, and better where they fail."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.stats import expon, loguniform, randint, uniform
from sklearn import config_context, get_config, set_config
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ParameterGrid,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    FractalSearchCV,
    Integer,
    Real,
    SearchSpace,
    ZoomSearch,
)
from fractal_tuner.analysis.choice import robust_best

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]


class Bowl(ClassifierMixin, BaseEstimator):
    """Scores best at x = 0.3, y = 0.6, and a little differently on each fold; may fail."""

    def __init__(self, x=0.0, y=0.0, kind="round", fail=False, nan=False, log=None):
        self.x = x
        self.y = y
        self.kind = kind
        self.fail = fail
        self.nan = nan
        self.log = log

    def fit(self, X, y=None, sample_weight=None):
        if self.log is not None:
            with Path(self.log).open("a") as log:
                log.write(f"{self.x!r} {self.y!r} {self.fail!r}\n")
        self.seen_ = sample_weight
        self.classes_ = np.unique(y)
        if self.fail:
            raise RuntimeError("boom")
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y=None, sample_weight=None):
        if self.nan:
            return np.nan
        return -((self.x - 0.3) ** 2) - (self.y - 0.6) ** 2 + 0.01 * float(np.mean(X[:, 0]))


PLANE = {"x": Real(0, 1), "y": Real(0, 1)}


def bowl(space=None, **options):
    options = {"n_iter": 6, "cv": 3, "random_state": 0} | options
    return FractalSearchCV(options.pop("estimator", Bowl()), space or PLANE, **options)


def same_results(one, two):
    """Whether two cv_results_ agree in all but the times."""
    assert list(one) == list(two)
    for name in one:
        if "_time" not in name:
            assert_array_equal(one[name], two[name], err_msg=name)


def fits(log):
    return Path(log).read_text().splitlines() if Path(log).exists() else []


# As scikit-learn's own searches


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "grid"), [(LogisticRegression(), {"C": [0.1, 1]}), (Ridge(), {"alpha": [0.1, 1]})]
)
def test_scikit_learn_s_estimator_checks_pass(estimator, grid):
    # What scikit-learn expects of its own searches, with its reasons.
    expected = {
        "check_supervised_y_2d": "DataConversionWarning not caught",
        "check_requires_y_none": "Doesn't fail gracefully",
    }
    search = FractalSearchCV(estimator, grid, cv=2, error_score="raise", random_state=0)
    checks = check_estimator(search, expected_failed_checks=expected, on_skip=None)
    assert sum(check["status"] == "passed" for check in checks) > 30


@pytest.mark.parametrize(
    "grid",
    [
        {"C": [0.1, 1, 10], "kernel": ["linear", "rbf"]},
        {"C": [1, 0.1, 1, 10, 0.1]},
        [{"C": [0.1, 1]}, {"kernel": ["linear"], "C": [10, 1]}, {"C": [1, 10]}],
    ],
    ids=["grid", "values listed twice", "overlapping grids"],
)
def test_it_replaces_grid_search_by_its_name(grid):
    ours = FractalSearchCV(SVC(), grid, random_state=0).fit(X, Y)
    theirs = GridSearchCV(SVC(), grid).fit(X, Y)
    assert ours.best_score_ == theirs.best_score_
    assert set(theirs.cv_results_) == set(ours.cv_results_)
    same_results(ours.cv_results_, theirs.cv_results_)
    assert ours.best_params_ == theirs.best_params_
    assert ours.predict(X).shape == Y.shape
    assert ours.score(X, Y) == ours.best_estimator_.score(X, Y)


def test_the_space_may_have_the_name_that_grid_search_gives_it():
    search = FractalSearchCV(SVC(), param_grid={"C": [0.1, 1, 10]}, cv=3).fit(X, Y)
    assert len(search.trials_) == 3
    for options in ({}, {"param_grid": {"C": [1]}, "param_distributions": {"C": [1]}}):
        with pytest.raises(ValueError, match="param_distributions, or as param_grid"):
            FractalSearchCV(SVC(), **options).fit(X, Y)


@pytest.mark.parametrize("strategy", ["zoom", "factorial"])
def test_an_empty_grid_is_one_candidate(strategy):
    search = FractalSearchCV(SVC(), {}, strategy=strategy).fit(X, Y)
    same_results(search.cv_results_, GridSearchCV(SVC(), {}).fit(X, Y).cv_results_)
    assert search.best_params_ == {}


def test_a_list_longer_than_points_per_dim_is_a_grid_of_all_its_values():
    grid = {"C": np.logspace(-2, 2, 9), "kernel": ["linear", "rbf"]}
    search = FractalSearchCV(SVC(), grid, strategy="factorial", levels=1, n_iter=18, cv=3)
    theirs = GridSearchCV(SVC(), grid, cv=3).fit(X, Y)
    same_results(search.fit(X, Y).cv_results_, theirs.cv_results_)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_an_infinite_score_is_never_the_best():
    def score(estimator, X, y):
        return np.inf if estimator.C == 1 else estimator.C

    search = FractalSearchCV(SVC(), {"C": [0.1, 1, 10]}, scoring=score, cv=3).fit(X, Y)
    assert search.best_params_ == search.search_.best_trial.params == {"C": 10}
    assert np.isnan(search.cv_results_["mean_test_score"]).sum() == 1


def test_it_replaces_randomized_search_by_its_name():
    space = {"C": loguniform(1e-2, 1e2), "gamma": uniform(0.1, 1), "degree": randint(2, 5)}
    search = FractalSearchCV(SVC(), space, n_iter=7, random_state=0, cv=3).fit(X, Y)
    results = search.cv_results_
    assert len(results["params"]) == 7
    assert results["param_degree"].dtype.kind == "i"
    assert all(isinstance(params["degree"], int) for params in results["params"])
    assert search.stop_reason_ == "budget"
    assert isinstance(search.search_, ZoomSearch)
    assert [t.params for t in search.trials_] == results["params"]
    assert search.best_score_ == max(t.score for t in search.trials_)


def test_one_factorial_level_is_a_grid_search():
    grid = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1], "kernel": ["linear", "rbf"]}
    search = FractalSearchCV(SVC(), grid, strategy="factorial", levels=1, n_iter=None, cv=3)
    search.fit(X, Y)
    theirs = GridSearchCV(SVC(), grid, cv=3).fit(X, Y)
    same_results(
        search.cv_results_,
        theirs.cv_results_,
    )
    assert search.best_params_ == theirs.best_params_
    assert search.stop_reason_ == "grid complete"
    assert isinstance(search.search_, FactorialZoom)


def test_factorial_levels_zoom_in():
    search = bowl(strategy="factorial", points_per_dim=4, levels=3, n_iter=60).fit(X, Y)
    assert {trial.level for trial in search.trials_} == {0, 1, 2}
    assert abs(search.best_params_["x"] - 0.3) < 0.1


def test_a_finite_space_is_covered_exactly_once_without_a_warning():
    space = {"x": [0.0, 0.1, 0.2], "kind": ["round", None, ("a", 1), True]}
    search = bowl(space, n_iter=50).fit(X, Y)
    seen = [(params["x"], params["kind"]) for params in search.cv_results_["params"]]
    assert len(seen) == 12
    assert set(seen) == {(p["x"], p["kind"]) for p in ParameterGrid(space)}
    assert search.stop_reason_ == "space exhausted"


def test_the_same_seed_gives_the_same_search():
    one, two = bowl(random_state=3).fit(X, Y), bowl(random_state=3).fit(X, Y)
    same_results(one.cv_results_, two.cv_results_)
    instances = [bowl(random_state=np.random.RandomState(3)).fit(X, Y) for _ in range(2)]
    same_results(*(search.cv_results_ for search in instances))
    other = bowl(random_state=4).fit(X, Y)
    assert other.cv_results_["params"] != one.cv_results_["params"]
    state = np.random.RandomState(3)
    again = [bowl(random_state=state).fit(X, Y).cv_results_["params"] for _ in range(2)]
    assert again[0] != again[1]


def test_splits_are_drawn_once_for_the_whole_search():
    search = bowl({"x": [0.1, 0.1]}, cv=ShuffleSplit(3), n_iter=2).fit(X, Y)
    splits = [search.cv_results_[f"split{i}_test_score"] for i in range(3)]
    assert all(first == second for first, second in splits)
    once = (pair for pair in KFold(3).split(X))
    assert bowl(cv=once).fit(X, Y).n_splits_ == 3


def test_pipelines_and_estimators_as_values_are_searched():
    choices = [Ridge(), SVC(), KNeighborsClassifier()]
    pipe = Pipeline([("scale", StandardScaler()), ("clf", SVC())])
    space = [
        {"clf": choices[1:2], "clf__C": Real(0.1, 10, log=True)},
        {"clf": choices[2:], "clf__n_neighbors": Integer(1, 9), "scale": [None, MinMaxScaler()]},
    ]
    search = FractalSearchCV(pipe, space, n_iter=8, random_state=0, cv=3).fit(X, Y)
    assert {type(params["clf"]) for params in search.cv_results_["params"]} == {
        SVC,
        KNeighborsClassifier,
    }
    assert not any(hasattr(choice, "classes_") for choice in choices)
    assert search.best_estimator_[-1] is not search.best_params_["clf"]
    with pytest.raises(ValueError, match="Invalid parameter 'clf__gama' for estimator Pipeline"):
        FractalSearchCV(pipe, {"clf": choices, "clf__gama": [1, 2]}).fit(X, Y)


def test_values_go_through_unchanged():
    array, nested = np.array([1.0, 2.0]), {"a": [1]}
    space = {"kind": [array, nested, None, True, (1, 2)], "x": range(2), "y": np.array([0.5, 1.0])}
    search = bowl(space, n_iter=20).fit(X, Y)
    kinds = [params["kind"] for params in search.cv_results_["params"]]
    for value in (array, nested, None, True):
        assert any(kind is value for kind in kinds)
    assert search.cv_results_["param_kind"].dtype == object
    assert search.cv_results_["param_x"].dtype.kind == "i"
    assert search.best_params_["y"] == 0.5


def test_conditions_and_unions_leave_out_what_is_inactive():
    space = SearchSpace(
        {"kernel": Categorical(["rbf", "poly"]), "degree": Integer(2, 4)},
        conditions={"degree": ("kernel", ("poly",))},
    )
    search = FractalSearchCV(SVC(), space, cv=3, random_state=0).fit(X, Y)
    assert search.stop_reason_ == "space exhausted"
    assert len(search.cv_results_["params"]) == 4
    degree = search.cv_results_["param_degree"]
    assert_array_equal(degree.mask, search.cv_results_["param_kernel"] == "rbf")
    union = [{"kernel": ["linear"]}, {"kernel": ["rbf"], "gamma": [0.1, 1]}, {}]
    search = FractalSearchCV(SVC(), union, cv=3, random_state=0).fit(X, Y)
    params = search.cv_results_["params"]
    assert sorted(map(len, params)) == [0, 1, 2, 2]


def test_several_metrics_are_steered_by_the_one_that_refits():
    scoring = {"acc": "accuracy", "bal": make_scorer(balanced_accuracy_score)}
    space = {"max_depth": [1, 2, 3], "min_samples_leaf": [1, 5]}
    tree = DecisionTreeClassifier(random_state=0)
    search = FractalSearchCV(tree, space, scoring=scoring, refit="bal", cv=3).fit(X, Y)
    assert search.multimetric_
    assert search.best_score_ == search.cv_results_["mean_test_bal"].max()
    scores = sorted(t.score for t in search.trials_)
    assert scores == sorted(search.cv_results_["mean_test_bal"])
    assert search.score(X, Y) == balanced_accuracy_score(Y, search.predict(X))
    search = FractalSearchCV(tree, space, scoring=scoring, refit=False, cv=3).fit(X, Y)
    scores = sorted(t.score for t in search.trials_)
    assert scores == sorted(search.cv_results_["mean_test_acc"])
    assert not hasattr(search, "best_params_")
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        FractalSearchCV(tree, space, scoring=scoring, cv=3).fit(X, Y)


def two_scores(estimator, X, y):
    return {"acc": accuracy_score(y, estimator.predict(X)), "one": 1.0}


def test_a_callable_may_return_several_metrics(tmp_path):
    log = tmp_path / "fits"
    space = {"x": [0.1, 0.2], "fail": [True, False]}
    search = bowl(space, scoring=two_scores, refit="acc", error_score=-1)
    with pytest.warns(FitFailedWarning, match="6 fits failed out of a total of 12"):
        search.fit(X, Y)
    assert search.multimetric_
    assert not search.best_params_["fail"]
    assert sorted(search.cv_results_["mean_test_one"]) == [-1, -1, 1, 1]
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        bowl(estimator=Bowl(log=str(log)), scoring=two_scores, refit="no").fit(X, Y)
    assert len(fits(log)) == 3  # known after one candidate, so it ends there


def test_refit_may_be_a_function_or_off():
    search = bowl(refit=lambda results: int(results["rank_test_score"].argmax())).fit(X, Y)
    assert search.best_index_ == search.cv_results_["mean_test_score"].argmin()
    assert not hasattr(search, "best_score_")
    search = bowl(refit=False).fit(X, Y)
    assert not hasattr(search, "best_estimator_")
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]


def test_train_scores_are_kept_on_request():
    results = bowl(return_train_score=True).fit(X, Y).cv_results_
    assert {"mean_train_score", "split2_train_score", "std_train_score"} <= set(results)


def test_frames_sparse_matrices_and_lists_are_taken():
    frame = pd.DataFrame(X, columns=list("abcd"))
    tree = {"max_depth": [1, 2]}
    search = FractalSearchCV(DecisionTreeClassifier(), tree, cv=2).fit(frame, pd.Series(Y))
    assert list(search.feature_names_in_) == list("abcd")
    assert search.n_features_in_ == 4
    search = FractalSearchCV(DecisionTreeClassifier(), tree, cv=2).fit(sparse.coo_array(X), Y)
    assert search.predict(X).shape == Y.shape
    FractalSearchCV(DecisionTreeClassifier(), tree, cv=2).fit(X.tolist(), Y.tolist())


def test_precomputed_kernels_are_split_on_both_sides():
    search = FractalSearchCV(SVC(kernel="precomputed"), {"C": [0.1, 1.0]}, cv=3).fit(X @ X.T, Y)
    assert search.best_score_ > 0.9


def test_it_nests():
    search = FractalSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2, 3]}, cv=2)
    assert cross_val_score(search, X, Y, cv=3).mean() > 0.6
    outer = FractalSearchCV(search, {"n_iter": [1, 2]}, cv=2, random_state=0).fit(X, Y)
    assert outer.best_estimator_.n_iter == outer.best_params_["n_iter"]


def test_groups_and_weights_reach_what_asks_for_them():
    groups = np.arange(len(X)) % 3
    search = bowl(cv=GroupKFold(3)).fit(X, Y, groups=groups, sample_weight=np.ones(len(X)))
    assert_array_equal(search.best_estimator_.seen_, np.ones(len(X)))
    with config_context(enable_metadata_routing=True):
        estimator = Bowl().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = bowl(estimator=estimator, cv=GroupKFold(3))
        search.fit(X, Y, groups=groups, sample_weight=np.ones(len(X)))
        assert len(search.best_estimator_.seen_) == len(X)


@pytest.mark.parametrize("strategy", ["zoom", "factorial"])
def test_a_fitted_search_can_be_cloned_and_pickled(strategy, tmp_path):
    options = {"strategy": strategy, "points_per_dim": 2, "levels": 2, "n_iter": 8}
    search = bowl(journal=tmp_path / "j", **options).fit(X, Y)
    copy = pickle.loads(pickle.dumps(search))
    assert copy.best_params_ == search.best_params_
    same_results(copy.cv_results_, search.cv_results_)
    assert [t.score for t in copy.trials_] == [t.score for t in search.trials_]
    fresh = clone(search)
    assert not hasattr(fresh, "search_")
    assert fresh.get_params()["journal"] == search.journal


def test_fitting_again_begins_anew():
    search = bowl().fit(X, Y)
    first = search.trials_
    search.set_params(n_iter=4).fit(X, Y)
    assert (len(first), len(search.trials_)) == (6, 4)


# Budgets


def test_target_and_time_end_the_search():
    search = bowl(target_score=-10, n_iter=None).fit(X, Y)
    assert (search.stop_reason_, len(search.trials_)) == ("target", 1)
    search = bowl(max_time=0.3, n_iter=None).fit(X, Y)
    assert (search.stop_reason_, len(search.trials_) > 3) == ("time", True)
    with pytest.raises(ValueError, match="no candidate was evaluated in max_time=1e-09"):
        bowl(max_time=1e-9).fit(X, Y)


# Parallel


def test_the_result_does_not_depend_on_n_jobs_up_to_the_folds():
    alone = bowl(n_iter=12).fit(X, Y)
    with parallel_config(backend="threading"):
        same_results(bowl(n_iter=12, n_jobs=3).fit(X, Y).cv_results_, alone.cv_results_)
        pinned = bowl(n_iter=12, n_jobs=4, batch_size=1).fit(X, Y)
        by_two = bowl(n_iter=12, n_jobs=4).fit(X, Y)
    same_results(by_two.cv_results_, bowl(n_iter=12, batch_size=2).fit(X, Y).cv_results_)
    same_results(pinned.cv_results_, bowl(n_iter=12, batch_size=1).fit(X, Y).cv_results_)


@pytest.mark.slow
def test_the_result_is_the_same_in_processes(tmp_path):
    alone = bowl().fit(X, Y)
    search = bowl(n_jobs=2, journal=tmp_path / "j").fit(X, Y)
    same_results(search.cv_results_, alone.cv_results_)


# Failures


def test_a_failing_candidate_is_recorded_and_does_not_end_the_search():
    search = bowl({"x": [0.1, 0.2, 0.3], "fail": [True, False]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, Y)
    assert [warning.category for warning in caught] == [FitFailedWarning, UserWarning]
    assert "9 fits failed out of a total of 18" in str(caught[0].message)
    assert "non-finite" in str(caught[1].message)
    failed = [params["fail"] for params in search.cv_results_["params"]]
    assert sum(failed) == 3
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), failed)
    assert set(search.cv_results_["rank_test_score"][failed]) == {4}
    assert {t.error for t in search.trials_ if t.status == "failed"} == {"RuntimeError: boom"}
    assert search.best_params_ == {"x": 0.3, "fail": False}


class Wordy(Bowl):
    """Fails in several lines, or without a word."""

    def fit(self, X, y=None):
        raise ValueError(*(["no rows:\n  X\n  y\n"] if self.x else []))


def test_an_error_is_recorded_with_its_kind_and_the_first_line_of_its_message():
    search = bowl({"x": [0, 1]}, estimator=Wordy())
    with pytest.raises(ValueError, match="All the 6 fits failed"):
        search.fit(X, Y)
    assert {trial.error for trial in search.trials_} == {"ValueError", "ValueError: no rows:"}


class Weak(Bowl):
    """Has room for training data that begin with the first sample, and for no others."""

    first = X[0, 0]

    def fit(self, X, y=None):
        if X[0, 0] != self.first:
            raise MemoryError("no room")
        return super().fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_candidate_that_fails_in_some_folds_says_why():
    folds = [(np.arange(0, 30), np.arange(30, 50)), (np.arange(20, 50), np.arange(20))]
    search = bowl({"x": [0.1, 0.2]}, estimator=Weak(), cv=folds).fit(X, Y)
    assert {t.error for t in search.trials_} == {"1 of 2 fits failed: MemoryError: no room"}
    search = bowl({"x": [0.1, 0.2]}, estimator=Weak(), cv=folds, error_score=0).fit(X, Y)
    assert {t.status for t in search.trials_} == {"complete"}


def test_a_search_that_may_begin_no_fit_is_told_so():
    with pytest.raises(ValueError, match="pre_dispatch must let a fit begin, got 0"):
        bowl(n_jobs=2, pre_dispatch=0).fit(X, Y)


def test_no_fit_is_at_the_end_of_a_distribution():
    # An exponential distribution begins with 0, which is no C.
    space = {"C": expon(scale=100), "gamma": uniform(0, 4)}
    search = FractalSearchCV(SVC(), space, n_iter=40, cv=3, random_state=0, error_score="raise")
    search.fit(X, Y)
    assert min(params[name] for params in search.cv_results_["params"] for name in params) > 0


def test_a_number_for_error_score_counts_as_in_scikit_learn():
    search = bowl({"x": [0.1, 0.2], "fail": [True, False]}, error_score=-5)
    with pytest.warns(FitFailedWarning):
        search.fit(X, Y)
    failed = [params["fail"] for params in search.cv_results_["params"]]
    assert set(search.cv_results_["mean_test_score"][failed]) == {-5}
    assert all((t.status == "failed") == t.params["fail"] for t in search.trials_)


def test_scores_that_are_not_finite_are_failed_trials():
    search = bowl({"x": [0.1, 0.2], "nan": [True, False]})
    with pytest.warns(UserWarning, match="non-finite"):
        search.fit(X, Y)
    assert not search.best_params_["nan"]
    assert [t.status for t in search.trials_].count("failed") == 2


def test_when_all_fits_failed_the_error_says_why():
    search = bowl({"x": Real(0, 1)}, estimator=Bowl(fail=True))
    with pytest.raises(ValueError, match=r"(?s)All the 18 fits failed.*RuntimeError: boom"):
        search.fit(X, Y)
    assert len(search.trials_) == 6


def test_error_score_raise_raises_at_once(tmp_path):
    log = str(tmp_path / "fits")
    search = bowl(estimator=Bowl(fail=True, log=log), error_score="raise")
    with pytest.raises(RuntimeError, match="boom"):
        search.fit(X, Y)
    assert len(fits(log)) == 1


def test_searches_in_threads_do_not_disturb_each_other():
    alone = [bowl(n_iter=12, random_state=seed).fit(X, Y).cv_results_ for seed in range(4)]
    searches = [bowl(n_iter=12, random_state=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda search: search.fit(X, Y), searches))
    for one, other in zip(together, alone, strict=True):
        same_results(one.cv_results_, other)


# The honest best


def noisy_iris():
    rng = np.random.default_rng(0)
    return X + rng.standard_normal(X.shape), Y


def test_robust_refits_one_of_those_that_cannot_be_told_from_the_best():
    tree = DecisionTreeClassifier(random_state=0)
    space = {"min_samples_leaf": list(range(1, 30)), "max_depth": [2, 3, 5, 8]}
    search = FractalSearchCV(tree, space, n_iter=40, random_state=0, refit="robust")
    search.fit(*noisy_iris())
    chosen = robust_best(search.trials_, test_ratio=1 / 4)
    assert chosen is not search.search_.best_trial
    assert search.best_params_ == chosen.params
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert search.best_score_ == search.cv_results_["mean_test_score"][search.best_index_]
    assert search.best_estimator_.get_params()["max_depth"] == chosen.params["max_depth"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_robust_choice_has_not_lower_scores_than_its_neighbours(seed):
    # Scores of trees are steps, which the field takes for noise: it is nearly flat, and its highest
    # mean may be that of the lowest score.
    X, y = load_breast_cancer(return_X_y=True)
    space = {"max_depth": Integer(1, 20), "min_samples_leaf": Integer(1, 60)}
    tree = DecisionTreeClassifier(random_state=0)
    search = FractalSearchCV(tree, space, n_iter=30, random_state=seed, refit="robust")
    search.fit(X[::2], y[::2])
    assert search.cv_results_["rank_test_score"][search.best_index_] < 15


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_robust_is_as_scikit_learn_where_no_score_is_finite():
    options = {"estimator": Bowl(nan=True), "space": {"x": [0.1, 0.2]}}
    robust, plain = (bowl(**options, refit=refit).fit(X, Y) for refit in ("robust", True))
    assert robust.best_params_ == plain.best_params_
    assert np.isnan(robust.best_score_)


def test_robust_needs_one_metric():
    search = bowl(scoring=["accuracy", "f1_macro"], refit="robust")
    with pytest.raises(ValueError, match=r"needs one metric, got \['accuracy', 'f1_macro'\]"):
        search.fit(X, Y)


def test_the_corrected_best_is_below_the_best_and_needs_a_fit():
    search = bowl()
    assert not hasattr(search, "best_score_corrected_")
    tree = DecisionTreeClassifier(random_state=0)
    search = FractalSearchCV(tree, {"min_samples_leaf": list(range(1, 30))}, random_state=0)
    search.fit(*noisy_iris())
    assert search.best_score_ - 0.2 < search.best_score_corrected_ < search.best_score_


@pytest.mark.slow
def test_the_corrected_best_is_nearer_to_the_true_score():
    # 20 draws of five models, with 5 and with 10 folds: on average the best is too good by 0.023,
    # the corrected one too bad by 0.007; the standard errors are 0.003.
    leaves = {"max_depth": randint(1, 15), "min_samples_leaf": randint(1, 30)}
    models = [
        (SVC(), {"C": loguniform(1e-2, 1e3), "gamma": loguniform(1e-4, 1)}),
        (DecisionTreeClassifier(random_state=0), leaves),
        (KNeighborsClassifier(), {"n_neighbors": randint(1, 40), "p": uniform(1, 3)}),
    ]
    errors = []
    for seed in range(12):
        x, y = make_classification(2000, 12, n_informative=5, flip_y=0.1, random_state=seed)
        for model, space in models:
            search = FractalSearchCV(
                model, space, n_iter=30, random_state=seed, cv=5 + seed % 2 * 5
            )
            true = search.fit(x[:150], y[:150]).score(x[150:], y[150:])
            errors.append((search.best_score_ - true, search.best_score_corrected_ - true))
    best, corrected = np.mean(errors, axis=0)
    assert best > 0.01
    assert abs(corrected) < best


# Bad input


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ([], {}, "empty"),
        ({"x": []}, {}, "'x'.*non-empty"),
        ({"x": "abc"}, {}, "'x'.*'abc'"),
        ({"x": 3}, {}, "'x'.*3"),
        ({"x": np.array(3)}, {}, "'x'.*3"),
        ([("x", [1]), ("x", [2])], {}, "list of search spaces needs dicts"),
        ({"zz": [1, 2]}, {}, "'zz' for estimator Bowl.*'fail', 'kind', 'log', 'nan', 'x', 'y'"),
        ({"x__y": [1, 2]}, {}, "Invalid parameter 'x__y'"),
        (PLANE, {"n_iter": 0}, "'n_iter'.*range.*Got 0"),
        (PLANE, {"n_iter": 2.5}, "'n_iter'.*Got 2.5"),
        (PLANE, {"n_iter": True}, "n_iter must be an integer, got True"),
        (PLANE, {"strategy": "factorial", "tolerance": 0.1}, "tolerance needs strategy='zoom'"),
        (PLANE, {"strategy": "grid"}, "'strategy'.*Got 'grid'"),
        (PLANE, {"batch_size": 0}, "'batch_size'"),
        (PLANE, {"batch_size": True}, "batch_size must be an integer, got True"),
        (PLANE, {"max_time": 0}, "'max_time'"),
        (PLANE, {"levels": 0, "strategy": "factorial"}, "'levels'"),
        (PLANE, {"random_state": "a"}, "'random_state'"),
        (PLANE, {"random_state": -1}, "random_state|seed"),
        (PLANE, {"n_iter": None}, "n_iter=None needs"),
        (PLANE, {"scoring": "nope"}, "'scoring'"),
        (PLANE, {"strategy": "factorial", "points_per_dim": 32_000}, "n_iter=6"),
        (3, {}, "'param_distributions'"),
    ],
)
def test_bad_input_is_refused_before_any_fit(space, options, message, tmp_path):
    log = str(tmp_path / "fits")
    search = FractalSearchCV(Bowl(log=log), space, **({"n_iter": 6, "cv": 3} | options))
    with pytest.raises((ValueError, TypeError), match=message):
        search.fit(X, Y)
    assert fits(log) == []
    assert not hasattr(search, "search_")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Real(1, 1), "low < high.*low=1"),
        (lambda: Real(0, 1, log=True), "log=True needs .*low=0"),
        (lambda: SearchSpace([("x", [1, 2]), ("x", [3, 4])]), "duplicate.*'x'"),
    ],
)
def test_bad_dimensions_are_refused_when_they_are_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Loose(Bowl):
    """Takes parameters that get_params does not list, as some gradient boosting libraries do."""

    def set_params(self, **params):
        self.extra_ = params.pop("alias", None)
        return super().set_params(**params)


def test_an_estimator_may_take_more_than_it_lists():
    assert bowl({"alias": [1, 2]}, estimator=Loose()).fit(X, Y).best_params_["alias"] in (1, 2)


# Callbacks


def test_verbose_counts_nothing_where_there_is_no_budget(capsys):
    bowl(n_iter=None, strategy="factorial", points_per_dim=2, levels=1, verbose=1).fit(X, Y)
    assert capsys.readouterr().out.splitlines() == ["Fitting 3 folds for each candidate"]


class Extreme(Bowl):
    """Scores of some candidates have no finite mean."""

    def __init__(self, x=0.0, y=0.0, scores=()):
        super().__init__(x=x, y=y)
        self.scores = scores

    def score(self, X, y=None, sample_weight=None):
        if self.x < 0.5:
            return self.scores[round(abs(float(X[0, 0])) * 10) % 2]
        return super().score(X, y)


@pytest.mark.parametrize("scores", [(-1.5e308, -1.5e308), (np.inf, -np.inf)])
def test_scores_without_a_finite_mean_do_not_end_the_search(scores):
    search = bowl(estimator=Extreme(scores=scores), n_iter=8, cv=5, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, Y)
    assert len(search.trials_.told) == 8
    failed = [trial.params["x"] < 0.5 for trial in search.trials_ if trial.status == "failed"]
    assert failed
    assert all(failed)


class Meddling(Bowl):
    """Warns of the same thing at each fit, and then changes what is global."""

    def fit(self, X, y, sample_weight=None):
        if get_config()["display"] == "text":
            raise RuntimeError("the options are those of another fit")
        warnings.warn("of one thing", UserWarning, stacklevel=1)
        warnings.simplefilter("ignore")
        set_config(display="text")
        return super().fit(X, y, sample_weight)


def test_what_a_fit_does_to_warnings_and_options_ends_with_it():
    space = {"x": [0.1, 0.2], "y": [0.5]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        filters, options = list(warnings.filters), get_config()
        search = FractalSearchCV(Meddling(), space, cv=3, refit=False, error_score="raise")
        search.fit(X, Y)
        assert (warnings.filters, get_config()) == (filters, options)
    assert sum("of one thing" in str(warning.message) for warning in caught) == 2 * 3


def test_verbose_counts_all_candidates_of_the_search(capsys):
    bowl(n_iter=4, verbose=10).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    said = "Fitting 3 folds for each of at most 4 candidates, totalling at most 12 fits"
    assert lines[0] == said
    assert sum("totalling" in line for line in lines) == 1
    for candidate in range(1, 5):
        assert sum(f"; {candidate}/4] START" in line for line in lines) == 3


@pytest.mark.filterwarnings("ignore:The estimator Bowl does not support callbacks")
def test_progress_is_one_bar_for_the_search(capsys):
    callback = pytest.importorskip("sklearn.callback")  # since 1.9
    bowl().set_callbacks(callback.ProgressBar()).fit(X, Y)
    shown = capsys.readouterr().out
    assert shown.count("FractalSearchCV - search") >= 1
    assert "batch" not in shown
    assert "100%" in shown


@pytest.mark.slow
def test_progress_is_shown_for_processes_too(capsys):
    callback = pytest.importorskip("sklearn.callback")
    space = {"x": [0.1, 0.2, 0.3], "fail": [True, False]}
    search = bowl(space, n_jobs=2).set_callbacks(callback.ProgressBar())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, Y)
    assert len(search.trials_) == 6
    assert "100%" in capsys.readouterr().out


@pytest.mark.slow
def test_forty_trials_find_what_a_grid_of_four_hundred_finds():
    data, target = (part[::3] for part in load_digits(return_X_y=True))
    grid = {"C": np.logspace(-2, 4, 20), "gamma": np.logspace(-7, 0, 20)}
    best = GridSearchCV(SVC(), grid, cv=3).fit(data, target)
    deviation = best.cv_results_["std_test_score"][best.best_index_]
    space = {"C": loguniform(1e-2, 1e4), "gamma": loguniform(1e-7, 1)}
    for seed in range(3):
        search = FractalSearchCV(SVC(), space, n_iter=40, cv=3, random_state=seed)
        search.fit(data, target)
        assert search.best_score_ >= best.best_score_ - deviation / np.sqrt(3)
