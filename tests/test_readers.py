import json
import math
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import expon, loguniform, norm, uniform
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (makes the next import work)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    FractalSearchCV,
    Integer,
    Ordinal,
    Real,
    SearchSpace,
    TrialLog,
    Window,
    ZoomSearch,
)
from fractal_tuner.cli.optuna_file import write_study
from fractal_tuner.hyperparameters import Steps
from fractal_tuner.readers import Record, infer_space, read
from fractal_tuner.readers.record import outcome
from fractal_tuner.readers.tables import write_csv

X, Y = load_iris(return_X_y=True)
HOSTILE = ["<script>alert(1)</script>", "=cmd()", "a\nb", "x" * 1000, "\u202eabc", "", "ß$_{x}$"]


def dimension(space, name):
    return next(p.dimension for p in space.parameters if p.name == name)


def scores(record):
    return [trial.score for trial in record.trials]


def said(record, *words):
    return any(all(word in note for word in words) for note in record.notes)


# Searches of this package


def test_a_search_is_read_with_its_choice_and_its_reason_to_stop():
    search = ZoomSearch({"x": Real(-1, 1)}, max_trials=12, seed=3, noise=True)
    rng = np.random.default_rng(0)
    search.run(lambda x: 1 - x * x + 0.1 * rng.normal())
    record = read(search)
    assert (record.tool, record.stop_reason, record.seed) == ("ZoomSearch", "budget", 3)
    assert record.best == search.best_trial.id
    assert record.notes == ()
    for mine, theirs in zip(record.trials, search.trials, strict=True):
        assert vars(mine) == vars(theirs)
    assert [t.id for t in record.trials.told] == [t.id for t in search.trials.told]


def test_a_record_does_not_change_when_its_search_goes_on():
    search = ZoomSearch({"x": Real(-1, 1)}, max_trials=10, seed=0)
    search.run(lambda x: x, n_trials=4)
    record = read(search)
    search.run(lambda x: x)
    assert len(record.trials) == 4
    assert len(search.trials) == 10


def test_a_search_without_a_success_has_no_choice():
    search = FactorialZoom({"x": [1, 2]}, levels=1)
    with pytest.raises(RuntimeError):
        search.run(lambda x: math.nan)
    record = read(search)
    assert record.best is None
    assert [t.status for t in record.trials] == ["failed", "failed"]


def test_running_trials_and_the_order_of_telling_are_kept():
    search = ZoomSearch({"x": Real(-1, 1)}, max_trials=4, seed=0)
    a, b, c = search.ask(3)
    search.tell(c.id, 1.0)
    search.tell(a.id, error="no")
    record = read(search.trials)
    assert [t.status for t in record.trials] == ["failed", "running", "complete"]
    assert [t.id for t in record.trials.told] == [c.id, a.id]
    assert record.trials.pending[0].id == b.id
    assert read(record) is record


def test_fractal_search_cv_is_read_with_the_times_of_its_fits(tmp_path):
    space = {"C": loguniform(0.1, 10), "kernel": ["rbf", "linear"]}
    search = FractalSearchCV(
        SVC(), space, n_iter=6, scoring="accuracy", random_state=0, journal=tmp_path / "journal"
    ).fit(X, Y)
    for source in (search, tmp_path / "journal"):
        record = read(source)
        assert (record.score_name, record.stop_reason, record.seed) == ("accuracy", "budget", 0)
        assert scores(record) == scores(read(search.trials_))
        trial = record.trials[2]
        fits = [fold["fit_time"] for fold in trial.details["folds"]]
        assert trial.details["fit_time"] == pytest.approx(np.mean(fits))
    record = read(search)
    assert record.trials[record.best].params == search.best_params_
    assert "fit_time" not in search.trials_[2].details  # it is a copy that was written to


def test_another_metric_of_fractal_search_cv_can_be_the_score():
    search = FractalSearchCV(
        SVC(),
        {"C": loguniform(1e-3, 10)},
        n_iter=5,
        scoring=["accuracy", "f1_macro"],
        refit="accuracy",
        random_state=0,
    ).fit(X, Y)
    assert read(search).score_name == "accuracy"
    record = read(search, score="f1_macro")
    assert record.score_name == "f1_macro"
    assert record.best is None
    assert scores(record) == pytest.approx(list(search.cv_results_["mean_test_f1_macro"]))
    negated = read(search, score="f1_macro", maximize=False)
    assert negated.score_name == "negated f1_macro"
    assert scores(negated) == pytest.approx([-s for s in scores(record)])
    with pytest.raises(ValueError, match=r"'recall' was not recorded.*accuracy.*f1_macro"):
        read(search, score="recall")


def test_options_that_do_not_apply_are_refused():
    search = ZoomSearch({"x": Real(-1, 1)}, max_trials=2, seed=0)
    with pytest.raises(ValueError, match="space does not apply to a ZoomSearch"):
        read(search, space={"x": [1, 2]})
    with pytest.raises(ValueError, match="maximize=False"):
        read(search, maximize=False)
    with pytest.raises(ValueError, match="score and maximize"):
        read(read(search), score="loss")


@pytest.mark.parametrize("source", [None, 3, object(), [1, 2], {"a": 1}])
def test_what_holds_no_trials_is_refused(source):
    with pytest.raises(TypeError):
        read(source)


def test_a_search_that_is_not_fitted_is_refused():
    for search in (GridSearchCV(SVC(), {"C": [1]}), FractalSearchCV(SVC(), {"C": [1, 2]})):
        with pytest.raises(TypeError, match="fitted first"):
            read(search)


# Journals


def journal_of(path, space, n=6, function=lambda **params: 0.0, **options):
    with ZoomSearch(space, max_trials=n, seed=1, journal=path, **options) as search:
        search.run(function)
    return search


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace({"x": Real(1e-3, 1, log=True), "n": Integer(1, 50), "k": ["a", None, True, 2]}),
        SearchSpace({"x": Ordinal([1, 2, 4, 8]), "y": [0.1, 7.0]}),
        SearchSpace(
            {"kernel": ["rbf", "poly"], "degree": Integer(2, 5)},
            conditions={"degree": ("kernel", ("poly",))},
        ),
        SearchSpace.union([{"a": [1, 2], "b": Real(0, 1)}, {"b": Real(0, 1), "c": ["x"]}, {}]),
    ],
    ids=["plain", "ordinal", "conditions", "union"],
)
def test_the_space_of_a_journal_comes_from_its_header(tmp_path, space):
    search = journal_of(tmp_path / "j", space, function=lambda **params: len(params))
    record = read(tmp_path / "j")
    assert (record.tool, record.stop_reason) == ("journal", search.stop_reason)
    assert record.seed == 1
    assert record.notes == ()
    assert record.trials.space.describe() == space.describe()
    assert record.trials.space.parameters == space.parameters
    for mine, theirs in zip(record.trials, search.trials, strict=True):
        assert vars(mine) == vars(theirs)


def test_choices_that_are_objects_are_told_apart_by_number(tmp_path):
    space = {"clf": [SVC(), SVC(C=2), DecisionTreeClassifier()], "x": Real(0, 1)}
    search = journal_of(tmp_path / "j", space, 8)
    record = read(tmp_path / "j")
    assert [t.key for t in record.trials] == [t.key for t in search.trials]
    names = dimension(record.trials.space, "clf").choices
    assert len(set(names)) == 3
    assert "SVC" in names[1]
    assert said(record, "'clf'", "objects")
    whole = read(tmp_path / "j", space=space)
    assert whole.notes == ()
    assert whole.trials[0].params["clf"] in space["clf"]


def test_values_of_a_distribution_are_near_those_of_the_search(tmp_path):
    search = journal_of(tmp_path / "j", {"x": norm(3, 1)}, 9)
    record = read(tmp_path / "j")
    assert said(record, "'x'", "approximate")
    for mine, theirs in zip(record.trials, search.trials, strict=True):
        # Between quartiles the line is off by at most 1.5 in the tails of a normal distribution.
        assert mine.params["x"] == pytest.approx(theirs.params["x"], abs=1.5)
        assert mine.key == theirs.key


def test_a_journal_of_another_space_is_refused(tmp_path):
    journal_of(tmp_path / "j", {"x": Real(0, 1)})
    with pytest.raises(ValueError, match="space"):
        read(tmp_path / "j", space={"x": Real(0, 2)})


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_a_journal_that_was_killed_in_a_write_is_read_up_to_it(tmp_path, cut):
    path = tmp_path / "j"
    search = journal_of(path, {"x": Real(0, 1)})
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    record = read(path)
    assert said(record, "last line", "not whole")
    assert [t.score for t in record.trials][:5] == [t.score for t in search.trials][:5]
    assert [t.status for t in record.trials][5:] in (["running"], [])
    assert path.read_bytes() == data[:-cut]
    assert [f.name for f in tmp_path.iterdir()] == ["j"]


def test_every_beginning_of_a_journal_is_read_or_refused(tmp_path):
    path = tmp_path / "j"
    journal_of(path, {"x": Real(0, 1)}, 2)
    data = path.read_bytes()
    n = []
    for length in range(1, len(data) + 1):
        path.write_bytes(data[:length])
        try:
            n.append(len(read(path).trials.told))
        except ValueError:
            assert length < len(b'{"crc":"')
    assert n == sorted(n)
    assert n[-1] == 2


def test_damage_inside_a_journal_is_named(tmp_path):
    path = tmp_path / "j"
    journal_of(path, {"x": Real(0, 1)})
    lines = path.read_bytes().splitlines(True)
    lines[3] = lines[3].replace(b"1", b"2")
    path.write_bytes(b"".join(lines))
    with pytest.raises(ValueError, match="line 4"):
        read(path)


def test_a_journal_is_read_while_it_is_written(tmp_path):
    path = tmp_path / "j"
    script = textwrap.dedent(f"""
        import time
        from fractal_tuner import Real, Window, ZoomSearch
        search = ZoomSearch({{"x": Real(0, 1)}}, max_trials=None, seed=0, journal={str(path)!r})
        end = time.monotonic() + 60
        while time.monotonic() < end and len(search.trials) < 3000:
            search.trials.finish(search.trials.add((0.5,), Window.whole(1)).id, 1.0)
    """)
    writer = subprocess.Popen([sys.executable, "-c", script])
    try:
        seen = []
        end = time.monotonic() + 30
        while len(set(seen)) < 5 and time.monotonic() < end:
            if path.exists() and path.stat().st_size:
                seen.append(len(read(path).trials.told))
        assert len(set(seen)) >= 5
        assert seen == sorted(seen)
        assert writer.poll() is None  # it was writing all the time, and was not disturbed
    finally:
        writer.kill()
        writer.wait()
    assert len(read(path).trials) >= seen[-1]


def test_reasons_to_stop_are_seen_in_a_journal(tmp_path):
    journal_of(tmp_path / "a", {"x": Real(0, 1)}, 9, lambda x: x, target_score=0.4)
    assert read(tmp_path / "a").stop_reason == "target"
    with ZoomSearch({"x": Real(0, 1)}, max_trials=9, seed=0, journal=tmp_path / "b") as search:
        search.run(lambda x: x, n_trials=3)
    assert read(tmp_path / "b").stop_reason is None


# scikit-learn


def test_a_grid_search_is_read_with_masked_parameters_and_folds():
    grid = [
        {"kernel": ["rbf"], "C": [0.1, 1, 10], "gamma": [0.1, 1]},
        {"kernel": ["linear"], "C": [0.1, 1]},
    ]
    search = GridSearchCV(SVC(), grid, cv=3, scoring="accuracy").fit(X, Y)
    record = read(search)
    assert (record.tool, record.score_name, record.notes) == ("GridSearchCV", "accuracy", ())
    assert [t.params for t in record.trials] == search.cv_results_["params"]
    assert scores(record) == pytest.approx(list(search.cv_results_["mean_test_score"]))
    assert record.best == search.best_index_
    assert record.trials.space.size == 8
    trial = record.trials[4]
    assert trial.folds == tuple(search.cv_results_[f"split{i}_test_score"][4] for i in range(3))
    assert trial.details["fit_time"] == search.cv_results_["mean_fit_time"][4]
    assert read(search.cv_results_).trials[4].params == trial.params


def test_why_a_search_ended_shows_in_what_it_was_given():
    grid = {"C": [0.1, 1.0, 10.0], "gamma": [0.1, 1.0]}
    options = {"cv": 2, "random_state": 0}
    assert read(GridSearchCV(SVC(), grid, cv=2).fit(X, Y)).stop_reason == "space exhausted"
    some = RandomizedSearchCV(SVC(), grid, n_iter=4, **options).fit(X, Y)
    assert read(some).stop_reason == "budget"
    halving = HalvingRandomSearchCV(SVC(), grid, n_candidates=3, **options).fit(X, Y)
    assert read(halving).stop_reason is None


def test_parameters_that_are_estimators_lists_arrays_and_functions_are_kept():
    steps = [("f", FunctionTransformer()), ("c", SVC())]
    grid = {
        "f__func": [np.log1p, None],
        "c": [SVC(), SVC(C=2), LogisticRegression(max_iter=200)],
        "c__class_weight": [None, {0: 1, 1: 2, 2: 3}],
    }
    search = GridSearchCV(Pipeline(steps), grid, cv=2).fit(X, Y)
    for source in (search, search.cv_results_, pd.DataFrame(search.cv_results_)):
        record = read(source)
        assert [t.params["c"] for t in record.trials] == [
            p["c"] for p in search.cv_results_["params"]
        ]
        assert record.trials.space.size == 12
        assert len({t.key for t in record.trials}) == 12


def test_unhashable_values_are_told_apart_by_what_they_hold():
    values = [[1, 2], [1, 2], [3], np.array([1.0, 2.0]), np.array([1.0, 2.0]), {"a": 1}, {"a": 1}]
    params = [{"v": v} for v in values]
    results = {"params": params, "mean_test_score": np.arange(7.0)}
    record = read(results)
    keys = [t.key for t in record.trials]
    assert keys[0] == keys[1]
    assert keys[3] == keys[4]
    assert keys[5] == keys[6]
    assert len(set(keys)) == 4


def test_fits_that_failed_are_failed_trials():
    search = GridSearchCV(SVC(), {"C": [-1.0, 1.0, 2.0]}, cv=3)
    with warnings.catch_warnings(action="ignore"):
        search.fit(X, Y)
    record = read(search)
    assert [t.status for t in record.trials] == ["failed", "complete", "complete"]
    assert record.trials[0].error == "3 of 3 folds gave no finite score"
    assert math.isnan(record.trials[0].score)
    assert record.best == search.best_index_


def test_of_several_metrics_that_of_refit_is_the_score():
    options = {"cv": 2, "scoring": {"acc": "accuracy", "loss": "neg_log_loss"}}
    model = LogisticRegression(max_iter=500)
    search = GridSearchCV(model, {"C": [0.1, 1.0]}, refit="loss", **options).fit(X, Y)
    record = read(search)
    assert record.score_name == "loss"
    assert record.best == search.best_index_
    assert scores(record) == list(search.cv_results_["mean_test_loss"])
    assert record.trials[1].details["metrics"]["acc"] == search.cv_results_["mean_test_acc"][1]
    other = read(search, score="acc")
    assert other.score_name == "acc"
    assert other.best is None
    with pytest.raises(ValueError, match=r"'f1' is not.*acc.*loss"):
        read(search, score="f1")
    search = GridSearchCV(model, {"C": [0.1, 1.0]}, refit=False, **options).fit(X, Y)
    record = read(search)
    assert record.score_name == "acc"
    assert said(record, "acc, loss", "first")


def test_minimised_scores_are_negated():
    search = GridSearchCV(
        SVC(), {"C": [0.1, 1.0]}, cv=2, scoring=lambda model, X, y: 1 - model.score(X, y)
    ).fit(X, Y)
    record = read(search, maximize=False)
    assert record.score_name == "negated score"
    assert scores(record) == [-s for s in search.cv_results_["mean_test_score"]]
    assert record.trials[0].folds[0] == -search.cv_results_["split0_test_score"][0]
    assert record.best is None


def test_what_another_search_drew_from_the_ends_of_a_distribution_is_in_its_space():
    # A search of this package does not go so far.
    space = {"ccp_alpha": uniform(0, 1), "min_weight_fraction_leaf": expon(scale=0.05)}
    search = RandomizedSearchCV(DecisionTreeClassifier(), space, n_iter=2, cv=2)
    search.fit(X, Y)
    search.cv_results_["params"][0] |= {"ccp_alpha": 0.9998, "min_weight_fraction_leaf": 1e-6}
    record = read(search)
    assert record.notes == ()
    assert record.trials[0].params["ccp_alpha"] == pytest.approx(0.9998)


def test_a_randomized_search_has_the_scale_of_its_distributions():
    space = {"C": loguniform(1e-2, 1e2), "degree": [2, 3, 4], "gamma": norm(5, 1)}
    search = RandomizedSearchCV(SVC(), space, n_iter=8, cv=2, random_state=7).fit(X, Y)
    record = read(search)
    assert record.seed == 7
    assert dimension(record.trials.space, "C") == Real(1e-2, 1e2, log=True)
    for trial, params in zip(record.trials, search.cv_results_["params"], strict=True):
        # A quantile is found to 2^-40 of the probability.
        assert trial.params == pytest.approx(params, rel=1e-9)


def test_values_beyond_the_space_of_the_tool_widen_it():
    results = {
        "params": [{"x": v, "k": "a"} for v in (1.0, 2.5, 3.0, 9.9)],
        "mean_test_score": [0.0, 1.0, 2.0, 3.0],
    }

    class Search:
        cv_results_ = results
        param_grid = {"x": norm(2, 0.5), "k": ["a", "b"]}  # noqa: RUF012

    record = read(Search())
    assert [t.params["x"] for t in record.trials] == [1.0, 2.5, 3.0, 9.9]
    assert dimension(record.trials.space, "k").choices == ("a", "b")
    assert said(record, "1 trial did not fit")


@pytest.mark.parametrize(
    ("resource", "least", "most"), [("n_estimators", 1, 9), ("n_samples", 40, 120)]
)
def test_halving_keeps_the_last_evaluation_of_each_candidate(resource, least, most):
    search = HalvingRandomSearchCV(
        RandomForestClassifier(n_estimators=2, random_state=0),
        {"max_depth": [1, 2, 3, 4, 5, 6], "min_samples_leaf": [1, 2, 3, 4, 5]},
        n_candidates=9,
        resource=resource,
        min_resources=least,
        max_resources=most,
        random_state=0,
        cv=2,
    ).fit(X, Y)
    record = read(search)
    table = search.cv_results_
    keys = [t.key for t in record.trials]
    assert len(set(keys)) == len(keys) == search.n_candidates_[0]
    assert record.trials.space.names == ("max_depth", "min_samples_leaf")
    assert record.trials[record.best].score == table["mean_test_score"][search.best_index_]
    assert record.trials[record.best].details["n_resources"] == search.n_resources_[-1]
    assert said(record, "left out", "more resources")
    assert said(record, "not of one kind")


@pytest.mark.parametrize("n", [0, 1])
def test_no_trial_and_one_trial(n, tmp_path):
    results = {
        "params": [{"x": 0.5}] * n,
        "mean_test_score": np.full(n, 0.25),
        "split0_test_score": np.full(n, 0.25),
    }
    frames = [
        pd.DataFrame({"x": [0.5], "score": [0.25]})[:n],
        pd.DataFrame({"number": [0], "state": ["COMPLETE"], "value": [0.25], "params_x": [0.5]})[
            :n
        ],
    ]
    frames[0].to_csv(tmp_path / "t.csv", index=False)
    for source in (results, *frames, tmp_path / "t.csv"):
        record = read(source)
        assert scores(record) == [0.25] * n
        assert [t.params for t in record.trials] == [{"x": 0.5}] * n


# Tables


def test_cv_results_survive_a_data_frame_and_a_file(tmp_path):
    grid = [
        {"max_depth": [None, 2, 4], "criterion": ["gini", "entropy"]},
        {"min_samples_leaf": [0.1, 0.3]},
    ]
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=2).fit(X, Y)
    frame = pd.DataFrame(search.cv_results_)
    frame.to_csv(tmp_path / "a.csv")
    frame.to_csv(tmp_path / "b.csv", sep=";", index=False)
    for source in (frame, tmp_path / "a.csv", str(tmp_path / "b.csv")):
        record = read(source)
        assert record.tool == "table"
        assert [t.params for t in record.trials] == search.cv_results_["params"]
        assert scores(record) == pytest.approx(list(search.cv_results_["mean_test_score"]))
        assert len(record.trials[0].folds) == 2
        assert said(record, "inferred")
    frame.drop(columns="params").to_csv(tmp_path / "c.csv")
    record = read(tmp_path / "c.csv")
    assert record.trials[2].params == search.cv_results_["params"][2]
    assert record.trials[-1].params == {"min_samples_leaf": 0.3}


def test_decimal_commas_are_read_where_they_do_not_separate_cells(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("rate;layers;kind;score\r\n0,001;2;a,b;0,75\r\n1,5e-2;3;c;1,25E-1\r\n")
    record = read(path)
    assert scores(record) == [0.75, 0.125]
    assert [t.params for t in record.trials] == [
        {"rate": 0.001, "layers": 2, "kind": "a,b"},
        {"rate": 0.015, "layers": 3, "kind": "c"},
    ]
    assert said(record, "decimal points")
    path.write_text("layers;score\n50,50;0.75\n20,20;0.5\n")  # points are the decimals here
    assert read(path).trials[0].params == {"layers": "50,50"}
    assert not said(read(path), "decimal")


def test_pruned_trials_of_a_study_come_back_from_a_table(optuna, tmp_path):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=8, catch=RuntimeError)
    before = read(study)
    ends = [outcome(t) for t in before.trials]
    assert [ends[3], ends[4]] == ["failed", "pruned"]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        write_csv(before, file)
    assert [outcome(t) for t in read(tmp_path / "t.csv").trials] == ends
    write_study(before, tmp_path / "s.db")
    assert [outcome(t) for t in read(tmp_path / "s.db").trials] == ends


def test_a_plain_table_needs_the_name_of_its_scores(tmp_path):
    frame = pd.DataFrame(
        {"lr": [0.1, 0.01, 0.001], "opt": ["a", "b", "a"], "loss": [3.0, 1, np.nan]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    for source in (frame, tmp_path / "t.csv"):
        with pytest.raises(ValueError, match=r"no column 'score'.*score=.*'loss'"):
            read(source)
        record = read(source, score="loss")
        assert record.score_name == "negated loss"
        assert said(record, "smaller values of 'loss'", "maximize=True")
        assert scores(record)[:2] == [-3, -1]
        assert record.trials[2].status == "failed"
        assert record.trials[0].params == {"lr": 0.1, "opt": "a"}
        record = read(source, score="loss", maximize=True)
        assert record.score_name == "loss"
        assert not said(record, "smaller")


def test_parameters_marked_as_such_are_the_only_ones_of_a_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "trial,status,score,level,param_x,param_k,error\n"
        "1,complete,0.5,0,1.5,a,\n"
        "2,failed,,0,2.5,b,ValueError: no\n"
        "3,running,,1,3.5,a,\n"
    )
    record = read(path)
    assert [t.params for t in record.trials] == [
        {"x": 1.5, "k": "a"},
        {"x": 2.5, "k": "b"},
        {"x": 3.5, "k": "a"},
    ]
    assert [t.status for t in record.trials] == ["complete", "failed", "running"]
    assert record.trials[1].error == "ValueError: no"
    assert record.score_name == "score"


def test_what_is_exported_can_be_read_again(tmp_path):
    journal_of(tmp_path / "j", {"x": Real(0, 1), "k": ["a", "b"]}, 12, lambda x, k: x)
    export = pytest.importorskip("fractal_tuner.cli").main
    assert export(["export", str(tmp_path / "j"), "--out", str(tmp_path / "t.csv")]) == 0
    there, here = read(tmp_path / "j"), read(tmp_path / "t.csv")
    assert scores(here) == scores(there)
    assert [t.params for t in here.trials] == [t.params for t in there.trials]


def test_a_given_space_chooses_columns_and_rows():
    frame = pd.DataFrame({"x": [0.1, 0.5, 7.0], "host": ["a", "b", "c"], "score": [1, 2, 3]})
    space = {"x": Real(0, 1)}
    record = read(frame, space=space)
    assert [t.params for t in record.trials] == [{"x": 0.1}, {"x": 0.5}]
    assert record.trials.space.parameters == SearchSpace(space).parameters
    assert said(record, "host", "left out")
    assert said(record, "1 trial outside")
    assert not said(record, "inferred")
    with pytest.raises(ValueError, match="outside"):
        read(frame, space={"x": Real(10, 20)})
    with pytest.raises(ValueError, match="missing"):
        read(frame, space={"y": Real(10, 20)})


def test_integers_beside_missing_cells_stay_integers():
    frame = pd.DataFrame({"n": [1, None, 4], "score": [1, 2, 3]})
    record = read(frame)
    assert [t.params for t in record.trials] == [{"n": 1}, {}, {"n": 4}]
    assert all(isinstance(t.params.get("n", 0), int) for t in record.trials)


def test_lines_of_a_file_that_are_not_whole_are_noted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y,score\n1.5,a,0.1\n2.5,b,0.2\n3.5,c")
    record = read(path)
    assert len(record.trials) == 2
    assert said(record, "1 line of t.csv", "lost")


def test_repeated_columns_and_words_for_scores_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,x,score\n1,2,3\n")
    with pytest.raises(ValueError, match="several columns named 'x'"):
        read(path)
    path.write_text("param_x,score\n1,good\n")
    with pytest.raises(ValueError, match=r"'mean_test_score' must hold numbers.*'good'"):
        read(path)
    path.write_text("x,score\n1,good\n")
    with pytest.raises(ValueError, match="'score' must hold numbers, got 'good'"):
        read(path)
    with pytest.raises(ValueError, match="several columns named 'x'"):
        read(pd.DataFrame([[1, 2, 3]], columns=["x", "x", "score"]))


def test_hostile_names_and_values_come_through(tmp_path):
    columns = {name: [f"{name}{i}" for i in range(3)] for name in HOSTILE if name}
    frame = pd.DataFrame({**columns, "score": [0.1, 0.2, 0.3]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    for source in (frame, tmp_path / "t.csv"):
        assert set(read(source).trials.space.names) == set(columns)
    params = [{name: value} for name in HOSTILE for value in HOSTILE]
    record = read({"params": params, "mean_test_score": np.arange(float(len(params)))})
    assert [t.params for t in record.trials] == params


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00\x01\x02", b'{"a": 1}\n', b"[1, 2]"])
def test_files_that_are_none_of_ours_are_refused(tmp_path, content):
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="thing"):
        read(path)


def test_missing_files_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="it holds none"):
        read(tmp_path)


# Inferred spaces


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 1, 9), Real(0, 1)),
        (np.geomspace(1e-4, 1, 9), Real(1e-4, 1, log=True)),
        (np.geomspace(0.1, 9, 9), Real(0.1, 9)),  # less than two decades
        (np.linspace(0.001, 10, 99), Real(0.001, 10)),  # evenly spread
        ([1, 5, 3, 17], Integer(1, 17)),
        ([1, 2, 3, 1, 2, 3], Integer(1, 3)),
        ([16, 32, 64, 16, 32, 64], Ordinal([16, 32, 64])),
        ([1, 10, 100, 10**6], Integer(1, 10**6, log=True)),
        ([0.1, 0.5, 0.1, 0.5], Ordinal([0.1, 0.5])),
        (["a", "b", "a"], Categorical(["a", "b"])),
        ([1, 1, 1], Categorical([1])),
        ([True, False], Categorical([True, False])),
        ([1, None, 3], Categorical([1, None, 3])),
        ([1.0, math.inf], Categorical([1.0, math.inf])),
        ([10**400, 1], Integer(1, 10**400)),
    ],
)
def test_a_dimension_is_inferred_from_its_values(values, expected):
    space = infer_space([{"x": v} for v in values])
    assert space.parameters[0].dimension == expected


def test_parameters_that_some_candidates_lack_make_a_union():
    space = infer_space([{"k": "a", "n": 1}, {"k": "b"}, {"k": "a", "n": 5}])
    assert space.params(space.key({"k": "b"})) == {"k": "b"}
    assert space.params(space.key({"k": "a", "n": 5})) == {"k": "a", "n": 5}
    assert infer_space([]).size == 1
    assert infer_space([{}]).size == 1


plain_values = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats()


# How fast inputs are drawn says how busy the machine is.
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"), plain_values | st.lists(plain_values, max_size=2), max_size=3
        ),
        max_size=12,
    )
)
def test_whatever_was_tried_is_in_the_inferred_space(params):
    results = {"params": params, "mean_test_score": [0.5] * len(params)}
    record = read(results)
    for trial, tried in zip(record.trials, params, strict=True):
        assert trial.params.keys() == tried.keys()
        for name, value in trial.params.items():  # NaN is no value equal to itself
            assert value == tried[name] or repr(value) == repr(tried[name])
    units = [record.trials.space.unit(t.key) for t in record.trials]
    assert all(np.all(np.isnan(u) | ((u >= 0) & (u <= 1))) for u in units)


# Keras Tuner: folders as it writes them, without it


def hp(kind, name, *, conditions=(), **config):
    parents = [{"class_name": "Parent", "config": {"name": n, "values": v}} for n, v in conditions]
    return {"class_name": kind, "config": {"name": name, "conditions": parents, **config}}


RATE = hp("Float", "rate", default=1e-4, min_value=1e-4, max_value=0.1, step=None, sampling="log")
UNITS = hp("Int", "units", default=None, min_value=16, max_value=64, step=16, sampling="linear")
KIND = hp("Choice", "kind", default="mlp", values=["mlp", "cnn"], ordered=False)
DROP = hp("Boolean", "drop", default=False, conditions=[("kind", ["mlp"])])
SPACE = [RATE, UNITS, KIND, DROP]


def kt_trial(trial_id, values, score=None, *, space=SPACE, status="COMPLETED", **more):
    history = {"direction": "max", "observations": [{"value": [score], "step": 3}]}
    loss = {"direction": "min", "observations": [{"value": [0.7], "step": 3}]}
    metrics = {} if score is None else {"loss": loss, "val_accuracy": history}
    return {
        "trial_id": trial_id,
        "hyperparameters": {"space": space, "values": values},
        "metrics": {"metrics": metrics},
        "score": score,
        "best_step": 3,
        "status": status,
        "message": None,
        **more,
    }


def values_of(i):
    kind = ["mlp", "cnn"][i % 2]
    drop = {"drop": i % 4 == 0} if kind == "mlp" else {}
    return {"rate": 10.0 ** -(1 + i % 4), "units": 16 + 16 * (i % 4), "kind": kind, **drop}


def write_project(folder, trials, *, space=SPACE, **more):
    ids = [t["trial_id"] for t in trials]
    ended = [t["trial_id"] for t in trials if t["status"] in ("COMPLETED", "FAILED")]
    oracle = {
        "ongoing_trials": {},
        "hyperparameters": {"space": space, "values": {}},
        "start_order": ids,
        "end_order": ended,
        "run_times": {},
        "retry_queue": [],
        "seed": 4234,
        "seed_state": 4265,
        "tried_so_far": [],
        "id_to_hash": {},
        "display": {"search_start": None, "trial_start": {}, "trial_number": {}},
        **more,
    }
    folder.mkdir(parents=True)
    (folder / "oracle.json").write_text(json.dumps(oracle))
    (folder / "tuner0.json").write_text("{}")
    for trial in trials:
        (folder / f"trial_{trial['trial_id']}").mkdir()
        (folder / f"trial_{trial['trial_id']}" / "trial.json").write_text(json.dumps(trial))
    return folder


@pytest.fixture
def project(tmp_path):
    return write_project(
        tmp_path / "p", [kt_trial(f"{i:02}", values_of(i), 0.5 + i / 64) for i in range(8)]
    )


def test_a_project_folder_is_read_without_keras_tuner(project):
    script = f"""
import sys
from fractal_tuner.readers import read
assert len(read({str(project)!r}).trials) == 8
heavy = {{"keras_tuner", "keras", "tensorflow", "sklearn", "scipy", "pandas", "optuna"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_project_folder_has_its_space_its_scores_and_their_name(project):
    for folder in (project, project.parent, str(project)):
        record = read(folder)
        assert (record.tool, record.score_name, record.seed) == (
            "Keras Tuner",
            "val_accuracy",
            4234,
        )
        assert record.notes == ()
        assert scores(record) == [0.5 + i / 64 for i in range(8)]
        assert [t.params for t in record.trials] == [values_of(i) for i in range(8)]
    space = record.trials.space
    assert dimension(space, "rate") == Real(1e-4, 0.1, log=True)
    assert dimension(space, "units") == Steps(16, 16, 4)
    assert space.parameters[3].conditions  # "drop" needs "kind"
    assert record.trials[5].details["trial_id"] == "05"


def test_a_minimised_metric_is_negated(project):
    record = read(project, score="loss")
    assert record.score_name == "negated loss"
    assert scores(record) == [-0.7] * 8
    with pytest.raises(ValueError, match=r"'auc' was not recorded.*'loss', 'val_accuracy'"):
        read(project, score="auc")
    assert read(project, maximize=False).score_name == "negated val_accuracy"


def test_several_projects_in_a_folder_are_named(tmp_path):
    for name in "ab":
        write_project(tmp_path / name, [])
    with pytest.raises(ValueError, match=r"one Keras Tuner project.*'a', 'b'"):
        read(tmp_path)
    record = read(tmp_path / "a")
    assert len(record.trials) == 0
    assert said(record, "no trial")
    assert record.trials.space.names == ("rate", "units", "kind", "drop")


def test_a_file_of_a_project_points_to_its_folder(project):
    with pytest.raises(ValueError, match="project's folder"):
        read(project / "oracle.json")


def test_failed_running_and_retried_trials_are_told_apart(tmp_path):
    message = "Traceback (most recent call last):\n  File ...\nValueError: no\n"
    folder = write_project(
        tmp_path / "p",
        [
            kt_trial("0", values_of(0), 0.5),
            kt_trial("1", values_of(1), status="FAILED", message=message),
            kt_trial("2", values_of(2), status="INVALID", message=message),
            kt_trial("3", values_of(3), status="RUNNING"),
            kt_trial("4", values_of(4), math.nan),
            kt_trial("5", values_of(5)),  # killed between status and score
        ],
        retry_queue=["2"],
    )
    record = read(folder)
    found = [t.status for t in record.trials]
    assert found == ["complete", "failed", "running", "running", "failed", "running"]
    assert record.trials[1].error == "ValueError: no"
    assert record.trials[4].error == "the score is nan"
    assert said(record, "outcome of trial 5", "lost")


def test_executions_are_folds_and_display_times_are_starts(tmp_path):
    trial = kt_trial("0", values_of(0), 0.5)
    trial["metrics"]["metrics"]["val_accuracy"]["observations"] = [
        {"value": [0.2, 0.3], "step": 0},
        {"value": [0.4, 0.6], "step": 3},
    ]
    start = {"trial_start": {"0": "2026-01-02T03:04:05"}}
    record = read(write_project(tmp_path / "p", [trial], display=start))
    assert record.trials[0].folds == (0.4, 0.6)
    assert time.localtime(record.trials[0].started)[:6] == (2026, 1, 2, 3, 4, 5)


def test_the_order_is_that_of_the_oracle(tmp_path):
    trials = [kt_trial(i, values_of(n), 0.5 + n / 100) for n, i in enumerate(["2", "0", "1"])]
    record = read(write_project(tmp_path / "p", trials, end_order=["1", "2", "0"]))
    assert [t.details["trial_id"] for t in record.trials] == ["2", "0", "1"]
    assert [t.id for t in record.trials.told] == [2, 0, 1]


def test_of_metrics_with_the_same_values_one_is_taken_with_a_note(tmp_path):
    trial = kt_trial("0", values_of(0), 0.5)
    metrics = trial["metrics"]["metrics"]
    metrics["accuracy"] = metrics["val_accuracy"]
    record = read(write_project(tmp_path / "p", [trial]))
    assert record.score_name == "val_accuracy"
    assert said(record, "any of val_accuracy, accuracy")


def test_scores_that_no_metric_has_are_taken_as_minimised(tmp_path):
    trial = kt_trial("0", values_of(0), 0.5) | {"score": 3.0}
    record = read(write_project(tmp_path / "p", [trial]))
    assert (record.score_name, scores(record)) == ("negated score", [-3.0])
    assert said(record, "no metric", "maximize=True")


def test_entries_found_late_have_their_default(tmp_path):
    trials = [
        kt_trial("0", {"rate": 0.1}, 0.5, space=[RATE]),
        kt_trial("1", {"rate": 0.01, "units": 32}, 0.6, space=[RATE, UNITS]),
    ]
    record = read(write_project(tmp_path / "p", trials, space=[RATE, UNITS]))
    assert record.trials[0].params == {"rate": 0.1, "units": 16}
    assert said(record, "1 trial", "'units'", "default")


def test_one_name_under_two_conditions_is_read(tmp_path):
    first = hp("Int", "n", default=1, min_value=1, max_value=4, step=1, sampling="linear",
               conditions=[("kind", ["mlp"])])  # fmt: skip
    second = hp("Int", "n", default=1, min_value=1, max_value=9, step=1, sampling="linear",
                conditions=[("kind", ["cnn"])])  # fmt: skip
    trials = [
        kt_trial("0", {"kind": "mlp", "n": 2}, 0.5, space=[KIND, first]),
        kt_trial("1", {"kind": "cnn", "n": 8}, 0.6, space=[KIND, first, second]),
    ]
    record = read(write_project(tmp_path / "p", trials, space=[KIND, first, second]))
    assert [t.params for t in record.trials] == [{"kind": "mlp", "n": 2}, {"kind": "cnn", "n": 8}]


def test_hyperband_keeps_the_longest_training_of_each_candidate(tmp_path):
    def trial(i, rate, epochs):
        extra = {"tuner/epochs": epochs, "tuner/bracket": 1, "tuner/round": 0}
        return kt_trial(str(i), {"rate": rate, **extra}, 0.5 + i / 100, space=[RATE])

    trials = [trial(0, 0.1, 2), trial(1, 0.01, 2), trial(2, 0.1, 9)]
    record = read(write_project(tmp_path / "p", trials, space=[RATE], brackets=[]))
    assert record.tool == "Keras Tuner Hyperband"
    assert [t.details["trial_id"] for t in record.trials] == ["1", "2"]
    assert [t.params for t in record.trials] == [{"rate": 0.01}, {"rate": 0.1}]
    assert said(record, "1 evaluation", "more resources")
    assert said(record, "2 to 9 resources")


def test_every_beginning_of_a_trial_file_is_read_without_a_wrong_number(project):
    file = project / "trial_03" / "trial.json"
    text = file.read_text()
    statuses = set()
    for length in range(0, len(text), 7):
        file.write_text(text[:length])
        record = read(project)
        assert said(record, "trial_03/trial.json", "torn")
        others = [t for t in record.trials if t.details["trial_id"] != "03"]
        assert [t.score for t in others] == [0.5 + i / 64 for i in range(8) if i != 3]
        for torn in (t for t in record.trials if t.details["trial_id"] == "03"):
            statuses.add(torn.status)
            assert torn.status == "running" or torn.score == 0.5 + 3 / 64
            assert torn.params == values_of(3)
    assert statuses == {"running", "complete"}


def test_every_beginning_of_the_oracle_file_is_read(project):
    file = project / "oracle.json"
    text = file.read_text()
    for length in range(0, len(text), 31):
        file.write_text(text[:length])
        record = read(project)
        assert said(record, "oracle.json", "torn")
        assert scores(record) == [0.5 + i / 64 for i in range(8)]
        assert dimension(record.trials.space, "rate") == Real(1e-4, 0.1, log=True)


def test_a_missing_oracle_a_missing_trial_and_the_rest_of_an_older_file_are_noted(project):
    (project / "oracle.json").unlink()
    (project / "trial_02" / "trial.json").unlink()
    (project / "trial_99").mkdir()
    with (project / "trial_04" / "trial.json").open("a") as file:
        file.write('6, "message": null}')
    (project / "trial_05" / "trial.json").write_bytes(b"\x00" * 100)
    record = read(project)
    assert len(record.trials) == 6
    assert said(record, "oracle.json is missing")
    assert said(record, "trial_02/trial.json is missing")
    assert said(record, "trial_04/trial.json", "older file")
    assert said(record, "trial_05/trial.json", "nothing")
    assert said(record, "trial 99 is lost")


@pytest.mark.parametrize("text", ["[]", "3", '{"hyperparameters": 3}', '{"metrics": []}', "null"])
def test_files_of_a_strange_form_do_not_stop_the_reading(project, text):
    (project / "trial_01" / "trial.json").write_text(text)
    record = read(project)
    assert len(record.trials) == 7
    assert said(record, "trial 01 is lost")


@pytest.fixture
def keras_tuner():
    return pytest.importorskip("keras_tuner")


def run_tuner(base, folder, objective, results, **options):
    class Tuner(base):
        def run_trial(self, trial, **more):
            hps = trial.hyperparameters
            x = hps.Float("x", 1e-3, 1, sampling="log")
            n = hps.Int("n", 2, 10, step=2)
            if hps.Choice("kind", ["mlp", "cnn"]) == "mlp":
                with hps.conditional_scope("kind", ["mlp"]):
                    hps.Float("drop", 0, 0.5, step=0.1)
            hps.Int("width", 16, 128, step=2, sampling="log")
            return results(x, n)

    tuner = Tuner(
        hypermodel=lambda hps: None,
        objective=objective,
        directory=folder,
        project_name="p",
        seed=1,
        **options,
    )
    with warnings.catch_warnings(action="ignore"):
        tuner.search(verbose=0)
    return tuner


@pytest.mark.keras
@pytest.mark.parametrize("name", ["RandomSearch", "BayesianOptimization", "GridSearch"])
def test_a_tuner_its_oracle_and_its_folder_are_one(keras_tuner, tmp_path, name):
    objective = keras_tuner.Objective("val_accuracy", "max")
    tuner = run_tuner(
        getattr(keras_tuner, name),
        tmp_path,
        objective,
        lambda x, n: {"val_accuracy": 1 - x, "loss": n + x},
        max_trials=7,
    )
    best = tuner.oracle.get_best_trials()[0]
    records = [read(tuner), read(tuner.oracle), read(tmp_path / "p")]
    for record in records:
        assert record.tool.startswith("Keras Tuner")
        assert record.score_name == "val_accuracy"
        assert record.seed == tuner.oracle.seed
        assert record.notes == ()
        assert [vars(t) for t in record.trials] == [vars(t) for t in records[0].trials]
        top = max(record.trials, key=lambda t: t.score)
        assert top.details["trial_id"] == best.trial_id
        assert top.params == best.hyperparameters.values
    assert [r.stop_reason for r in records] == ["budget", "budget", None]
    assert dimension(records[2].trials.space, "width") == Ordinal([16, 32, 64, 128], log=True)


@pytest.mark.keras
def test_a_minimised_objective_of_keras_tuner(keras_tuner, tmp_path):
    tuner = run_tuner(
        keras_tuner.RandomSearch, tmp_path, "val_loss", lambda x, n: {"val_loss": x}, max_trials=4
    )
    for record in (read(tuner), read(tmp_path)):
        assert record.score_name == "negated val_loss"
        assert scores(record) == [-t.params["x"] for t in record.trials]


@pytest.mark.keras
def test_a_float_and_several_objectives_of_keras_tuner(keras_tuner, tmp_path):
    run_tuner(keras_tuner.RandomSearch, tmp_path / "a", None, lambda x, n: x, max_trials=3)
    record = read(tmp_path / "a")
    assert scores(record) == [-t.params["x"] for t in record.trials]
    several = [keras_tuner.Objective("a", "max"), keras_tuner.Objective("b", "min")]
    tuner = run_tuner(
        keras_tuner.RandomSearch,
        tmp_path / "b",
        several,
        lambda x, n: {"a": x, "b": 3.0, "multi_objective": 3.0 - x},
        max_trials=3,
    )
    for record in (read(tuner), read(tmp_path / "b")):
        assert scores(record) == pytest.approx([t.params["x"] - 3 for t in record.trials])


@pytest.mark.keras
def test_a_fractal_tuner_has_its_windows_on_the_disk(keras_tuner, tmp_path):
    from fractal_tuner import FractalTuner

    tuner = run_tuner(
        FractalTuner, tmp_path, "val_loss", lambda x, n: {"val_loss": x + n}, max_trials=15
    )
    own = list(tuner.oracle.search.trials)
    for record in (read(tuner), read(tmp_path)):
        assert [t.level for t in record.trials] == [t.level for t in own]
        assert max(t.level for t in record.trials) > 0
        assert [t.window.center for t in record.trials] == [t.window.center for t in own]
    assert record.tool == "FractalTuner"


# Optuna


@pytest.fixture
def optuna():
    module = pytest.importorskip("optuna")
    module.logging.set_verbosity(module.logging.ERROR)
    return module


def storage_of(optuna, kind, folder):
    if kind == "sqlite":
        return f"sqlite:///{folder}/o.db", folder / "o.db"
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / "o.log"))), folder / "o.log"


def objective(trial):
    x = trial.suggest_float("x", 1e-3, 10, log=True)
    kind = trial.suggest_categorical("kind", ["a", None, 3])
    n = trial.suggest_int("n", 1, 9, step=2) if kind == "a" else 0
    if trial.number == 3:
        raise RuntimeError("no")
    if trial.number == 4:
        trial.report(7.0, 2)
        raise pytest.importorskip("optuna").TrialPruned
    trial.set_user_attr("host", "h")
    return x + n


@pytest.mark.parametrize("kind", ["memory", "sqlite", "journal"])
def test_a_study_and_its_file_are_one(optuna, tmp_path, kind):
    storage, path = (None, None) if kind == "memory" else storage_of(optuna, kind, tmp_path)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=12, catch=RuntimeError)
    study.enqueue_trial({"x": 1.0})
    running = study.ask() if kind == "memory" else None
    study.enqueue_trial({"x": 2.0})
    sources = [study] if path is None else [study, path]
    if kind == "sqlite":
        sources.append(storage)
    before = None if path is None else path.read_bytes()
    for source in sources:
        record = read(source)
        assert (record.tool, record.score_name) == ("Optuna study", "negated value")
        for mine, theirs in zip(record.trials, study.trials, strict=False):
            assert mine.params == theirs.params
            assert mine.details["number"] == theirs.number
            assert mine.started == pytest.approx(theirs.datetime_start.timestamp())
            if theirs.state.name == "COMPLETE":
                assert mine.score == -theirs.value
                assert mine.ended == pytest.approx(theirs.datetime_complete.timestamp())
        assert record.trials[3].status == "failed"
        assert record.trials[4].error == "pruned at step 2, where it had 7"
        assert said(record, "1 trial pruned")
        assert said(record, "had not begun")
        assert dimension(record.trials.space, "x") == Real(1e-3, 10, log=True)
        assert dimension(record.trials.space, "n") == Ordinal([1, 3, 5, 7, 9])
        assert record.trials[0].details["user_attrs"] == {"host": "h"}
    if running is not None:
        assert record.trials[12].status == "running"
    if path is not None:
        assert path.read_bytes() == before


def test_a_maximised_study_and_its_data_frame(optuna, tmp_path):
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=10, catch=RuntimeError)
    assert read(study).score_name == "value"
    assert scores(read(study))[0] == study.trials[0].value
    frame = study.trials_dataframe()
    frame.to_csv(tmp_path / "t.csv")
    for source in (frame, tmp_path / "t.csv"):
        record = read(source)
        assert said(record, "larger values of 'value'", "maximize=False")
        assert scores(record) == pytest.approx(scores(read(study)), nan_ok=True)
        assert [t.status for t in record.trials] == [t.status for t in read(study).trials]
        assert record.trials[2].started == pytest.approx(study.trials[2].datetime_start.timestamp())
        assert record.trials[0].params["x"] == study.trials[0].params["x"]
    assert scores(read(frame, maximize=False))[0] == -study.trials[0].value


def test_of_several_objectives_one_is_the_score(optuna):
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.suggest_int("n", 1, 5), 7.0), n_trials=3)
    record = read(study)
    assert record.score_name == "negated values_0"
    assert said(record, "values_0, values_1", "first")
    assert scores(record) == [-t.params["n"] for t in record.trials]
    assert scores(read(study, score="values_1")) == [7.0] * 3
    assert read(study.trials_dataframe(), score="values_1").score_name == "1"
    with pytest.raises(ValueError, match="'f1' is not an objective"):
        read(study, score="f1")


def test_bounds_that_changed_are_the_widest(optuna):
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1 + trial.number), n_trials=4)
    record = read(study)
    assert dimension(record.trials.space, "x") == Real(0, 4)
    assert said(record, "bounds of 'x' changed")


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_file_with_several_studies_or_none_is_refused(optuna, tmp_path, kind):
    storage, path = storage_of(optuna, kind, tmp_path)
    for name in ("one", "two"):
        optuna.create_study(storage=storage, study_name=name)
    with pytest.raises(ValueError, match=r"several studies.*'one', 'two'"):
        read(path)


def test_a_study_without_trials(optuna):
    record = read(optuna.create_study())
    assert (len(record.trials), record.notes) == (0, ())


def test_a_torn_journal_of_optuna_is_read_up_to_it(optuna, tmp_path):
    storage, path = storage_of(optuna, "journal", tmp_path)
    study = optuna.create_study(storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
    path.write_bytes(path.read_bytes()[:-30])
    record = read(path)
    assert [t.status for t in record.trials] == ["complete"] * 4 + ["running"]
    assert said(record, "last line of o.log", "cut off")


def test_other_databases_are_refused(optuna, tmp_path):
    import sqlite3
    from contextlib import closing

    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE t (x)")
        base.commit()
    before = path.read_bytes()
    with pytest.raises(ValueError, match="no storage of Optuna"):
        read(path)
    assert path.read_bytes() == before


# Size


@pytest.mark.slow
def test_ten_thousand_trials_are_read_in_seconds(tmp_path):
    n, rng = 10_000, np.random.default_rng(0)
    params = [
        {"x": float(x), "n": int(i), "k": "abcd"[i % 4]}
        for x, i in zip(rng.random(n), rng.integers(1, 999, n), strict=True)
    ]
    frame = pd.DataFrame({**pd.DataFrame(params), "score": rng.random(n)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    results = {"params": params, "mean_test_score": rng.random(n)}
    space = SearchSpace({"x": Real(0, 1), "n": Integer(1, 999), "k": list("abcd")})
    log = TrialLog(space, tmp_path / "journal", header={"seed": 0})
    trials = log.add_all((space.key(p), Window.whole(3)) for p in params)
    log._journal.append(  # as finish() writes them, which would wait for the disk each time
        *({"type": "tell", "id": t.id, "score": 0.5, "folds": [], "error": None, "details": {},
           "time": 1.0} for t in trials)
    )  # fmt: skip
    log.close()
    start = time.process_time()
    for source in (frame, tmp_path / "t.csv", results, tmp_path / "journal"):
        assert len(read(source).trials) == n
    # 2 to 3 s together on an idle core.
    assert time.process_time() - start < 30


def test_a_record_is_frozen():
    record = read(TrialLog(SearchSpace({"x": [1, 2]})))
    assert isinstance(record, Record)
    with pytest.raises(AttributeError):
        record.tool = "x"


def test_a_storage_of_optuna_without_optuna_names_the_extra(optuna, tmp_path, monkeypatch):
    storage, path = storage_of(optuna, "journal", tmp_path)
    optuna.create_study(storage=storage)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'fractal-tuner\[optuna\]'"):
        read(path)


def test_a_storage_in_a_folder_with_a_strange_name_is_read(optuna, tmp_path):
    folder = tmp_path / "a b?c#d%20ü"
    folder.mkdir()
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/o.db")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    (tmp_path / "o.db").rename(folder / "o.db")
    assert len(read(folder / "o.db").trials) == 2


@settings(max_examples=150)
@given(st.text(alphabet='ax1.,;\t\n"e- \r\u202e=_', max_size=60))
def test_any_text_is_a_table_or_a_value_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_text("score,x,y\n" + text, newline="")
    try:
        record = read(path)
    except ValueError:
        return
    assert all(t.params.keys() <= {"x", "y"} for t in record.trials)
