"""A search with a journal goes on where it broke, and is refused where it would not be the same."""

import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.tree import DecisionTreeClassifier

from fractal_tuner import FractalSearchCV, Real, SearchSpace, TrialLog

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]
PLANE = {"x": Real(0, 1), "y": Real(0, 1)}
TREE = DecisionTreeClassifier(random_state=0)
FITS_OF_NINE = 9 * 3 + 1  # trials, folds, and the refit


class Counted(ClassifierMixin, BaseEstimator):
    """Writes a line for each fit; may take its time, and stop the search as Ctrl-C does."""

    log = "set by the test"
    pause = 0.0
    stop_at = None

    def __init__(self, x=0.0, y=0.0, fail=False):
        self.x = x
        self.y = y
        self.fail = fail

    def fit(self, X, y=None, sample_weight=None):
        with Path(self.log).open("a") as log:
            log.write(f"{self.x!r} {self.y!r}\n")
        time.sleep(self.pause)
        if self.stop_at is not None and len(lines(self.log)) >= self.stop_at:
            raise KeyboardInterrupt
        if self.fail:
            raise RuntimeError("boom")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y=None, sample_weight=None):
        return -((self.x - 0.3) ** 2) - (self.y - 0.6) ** 2 + 0.01 * float(np.mean(X[:, 0]))


def lines(log):
    return Path(log).read_text().splitlines() if Path(log).exists() else []


def make(space=PLANE, journal=None, **options):
    options = {"n_iter": 9, "cv": 3, "random_state": 0} | options
    return FractalSearchCV(options.pop("estimator", Counted()), space, journal=journal, **options)


def same_results(one, two):
    assert list(one) == list(two)
    for name in one:
        if "_time" not in name:
            assert_array_equal(one[name], two[name], err_msg=name)


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setattr(Counted, "log", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.jsonl"


# Going on


def test_a_finished_journal_evaluates_nothing_but_the_refit(log, journal):
    first = make(journal=journal).fit(X, Y)
    log.unlink()
    again = make(journal=journal).fit(X, Y)
    assert len(lines(log)) == 1
    for name, column in first.cv_results_.items():  # the times too
        assert_array_equal(column, again.cv_results_[name])
    assert again.best_params_ == first.best_params_
    assert again.stop_reason_ == "budget"
    assert not again.multimetric_
    make(journal=journal, refit=False).fit(X, Y)
    assert len(lines(log)) == 1


@pytest.mark.parametrize("strategy", ["zoom", "factorial"])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_from_every_record_on_the_search_goes_on_to_the_same_end(
    batch_size, strategy, log, journal
):
    options = {"batch_size": batch_size, "strategy": strategy, "points_per_dim": 3, "levels": 1}
    unbroken = make(journal=journal, **options).fit(X, Y)
    records = journal.read_bytes().splitlines(keepends=True)
    for n_records in range(len(records)):
        journal.write_bytes(b"".join(records[:n_records]))
        log.unlink()
        search = make(journal=journal, **options).fit(X, Y)
        same_results(search.cv_results_, unbroken.cv_results_)
        assert search.best_params_ == unbroken.best_params_
        n_told = sum(b'"type": "tell"' in record for record in records[:n_records])
        assert len(lines(log)) == (9 - n_told) * 3 + 1


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 14, 27])
def test_an_interrupted_search_goes_on_and_leaves_what_it_has(stop_at, log, journal, monkeypatch):
    unbroken = make().fit(X, Y)
    log.unlink()
    broken = make(journal=journal)
    monkeypatch.setattr(Counted, "stop_at", stop_at)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y)
    assert len(broken.trials_.told) == (stop_at - 1) // 3
    monkeypatch.setattr(Counted, "stop_at", None)
    search = make(journal=journal).fit(X, Y)
    same_results(search.cv_results_, unbroken.cv_results_)
    assert len(lines(log)) == FITS_OF_NINE + (stop_at - 1) % 3 + 1


def test_the_budget_may_grow(log, journal):
    make(journal=journal, n_iter=4).fit(X, Y)
    search = make(journal=journal, n_jobs=1, verbose=0).fit(X, Y)
    same_results(search.cv_results_, make().fit(X, Y).cv_results_)
    assert len(lines(log)) == FITS_OF_NINE * 2 + 1
    smaller = make(journal=journal, n_iter=2).fit(X, Y)
    assert len(smaller.cv_results_["params"]) == 9


def test_a_trial_that_ran_is_evaluated_even_if_the_budget_shrank(log, journal, monkeypatch):
    monkeypatch.setattr(Counted, "stop_at", 8)
    with pytest.raises(KeyboardInterrupt):
        make(journal=journal).fit(X, Y)
    monkeypatch.setattr(Counted, "stop_at", None)
    assert len(make(journal=journal, n_iter=1).fit(X, Y).cv_results_["params"]) == 3


def test_a_seed_that_was_not_given_is_kept(log, journal):
    make(journal=journal, n_iter=3, random_state=None).fit(X, Y)
    first = make(journal=journal, random_state=None).fit(X, Y)
    journal.unlink()
    other = make(journal=journal, random_state=None).fit(X, Y)
    assert first.cv_results_["params"][3:] != other.cv_results_["params"][3:]


def two_scores(estimator, X, y):
    return {"score": estimator.score(X), "acc": accuracy_score(y, estimator.predict(X))}


@pytest.mark.parametrize(
    "options",
    [
        {"scoring": two_scores, "refit": "acc"},
        {"scoring": ["accuracy", "balanced_accuracy"], "refit": False},
        {"return_train_score": True},
        {"error_score": -3},
    ],
)
def test_all_that_cv_results_say_is_in_the_journal(options, log, journal):
    space = {"x": [0.1, 0.2, 0.4], "fail": [True, False]}
    options |= {"n_iter": 6}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unbroken = make(space, **options).fit(X, Y)
        make(space, journal, **options).fit(X, Y)
        records = journal.read_bytes().splitlines(keepends=True)
        for n_records in (0, 3, 5, 8, len(records)):  # after the last one there is nothing to do
            journal.write_bytes(b"".join(records[:n_records]))
            search = make(space, journal, **options).fit(X, Y)
            same_results(search.cv_results_, unbroken.cv_results_)
            assert search.multimetric_ == unbroken.multimetric_


def test_failures_are_remembered(log, journal):
    space = {"x": [0.1, 0.2], "fail": [True]}
    for n_fits in (6, 6):
        with pytest.raises(ValueError, match=r"(?s)All the 6 fits failed.*boom"):
            make(space, journal).fit(X, Y)
        assert len(lines(log)) == n_fits


def test_choices_of_any_kind_come_back_as_the_objects_given(log, journal):
    space = {"x": [0.1, 0.2], "fail": [None, False, ()]}
    make(space, journal, n_iter=3).fit(X, Y)
    search = make(space, journal).fit(X, Y)
    assert all(any(p["fail"] is v for v in space["fail"]) for p in search.cv_results_["params"])
    assert search.stop_reason_ == "space exhausted"


def test_tables_and_sparse_matrices_are_recognised_after_use(log, journal):
    for data in (pd.DataFrame(X).rename(columns=str), sparse.csr_array(X)):
        search = make({"max_depth": [1, 2]}, journal, estimator=TREE, cv=2)
        search.fit(data, pd.Series(Y))
        data.sum()
        search.fit(data, pd.Series(Y))
        journal.unlink()


# Being refused


def refused(search, *data, named, **fit_params):
    journal = Path(search.journal)
    before = journal.read_bytes()
    with pytest.raises(ValueError, match=rf"belongs to another search: its {named}"):
        search.fit(*data, **fit_params)
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"cv": 4}, "fingerprint folds"),
        ({"cv": KFold(3, shuffle=True, random_state=1)}, "fingerprint folds"),
        ({"cv": ShuffleSplit(3)}, "fingerprint folds"),
        ({"estimator": Counted(fail=0)}, "fingerprint estimator fail is False, here it is 0"),
        ({"scoring": "accuracy"}, "fingerprint scoring is None, here it is 'accuracy'"),
        ({"error_score": 0}, "fingerprint error_score is 'nan', here it is 0"),
        ({"return_train_score": True}, "fingerprint return_train_score"),
        ({"random_state": 1}, "seed is 0, here it is 1"),
        ({"strategy": "factorial", "n_iter": 99}, "strategy|levels"),
        ({"space": {"x": Real(0, 2), "y": Real(0, 1)}}, "space x high is 1.0, here it is 2.0"),
        ({"space": {"x": Real(0, 1)}}, "fingerprint estimator y is 'searched', here it is 0.0"),
    ],
)
def test_another_search_is_refused(options, named, log, journal):
    make(journal=journal, n_iter=3).fit(X, Y)
    n_fits = len(lines(log))
    refused(make(journal=journal, **options), X, Y, named=named)
    assert len(lines(log)) == n_fits


def test_other_data_are_refused(log, journal):
    make(journal=journal, n_iter=3).fit(X, Y)
    refused(make(journal=journal), X + 1e-9, Y, named="fingerprint X")
    refused(make(journal=journal), X, Y[::-1], named="fingerprint y")
    weights = {"sample_weight": np.ones(len(X))}
    refused(make(journal=journal), X, Y, named="fingerprint fit parameter sample_weight", **weights)


def test_a_journal_in_use_is_refused(log, journal, monkeypatch):
    make(journal=journal, n_iter=3).fit(X, Y)
    fit, errors = Counted.fit, []

    def fit_while_another_comes(self, *data):
        with pytest.raises(RuntimeError, match="being written by another search") as caught:
            make(journal=journal).fit(X, Y)
        errors.append(caught.value)
        return fit(self, *data)

    monkeypatch.setattr(Counted, "fit", fit_while_another_comes)
    make(journal=journal, n_iter=4, refit=False).fit(X, Y)
    assert len(errors) == 3


# kill -9

SCRIPT = """
import pickle, sys
sys.path.insert(0, {here!r})
from test_search_cv_journal import PLANE, Counted, X, Y, make
Counted.log, Counted.pause = {log!r}, 0.02
search = make(journal={journal!r}, batch_size={batch_size}).fit(X, Y)
with open({out!r}, "wb") as file:
    pickle.dump((search.cv_results_, search.best_params_, search.best_score_), file)
"""


def told(journal):
    if not journal.exists() or not journal.read_bytes():
        return []
    return [
        f"{trial.params['x']!r} {trial.params['y']!r}"
        for trial in TrialLog.read(journal, SearchSpace(PLANE)).told
    ]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is a thing of POSIX")
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_killed_search_loses_and_repeats_nothing(batch_size, log, journal, tmp_path):
    unbroken = make(batch_size=batch_size).fit(X, Y)
    log.unlink()
    names = {"log": str(log), "journal": str(journal), "out": str(tmp_path / "out")}
    here = Path(__file__).parent
    code = SCRIPT.format(here=str(here), batch_size=batch_size, **names)
    path = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", code]
    acknowledged = []
    for kill_at in (1, 5, 9, 9, None):  # fits of this run; then it may end
        n_before = len(lines(log))
        with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}) as process:
            while kill_at and len(lines(log)) < n_before + kill_at and process.poll() is None:
                time.sleep(0.005)
            if kill_at:
                process.kill()
            assert process.wait() == (-signal.SIGKILL if kill_at else 0)
        fitted = lines(log)[n_before:]
        assert not set(fitted[: None if kill_at else -1]) & set(acknowledged)  # less the refit
        assert told(journal)[: len(acknowledged)] == acknowledged
        acknowledged = told(journal)
    results, best_params, best_score = pickle.loads((tmp_path / "out").read_bytes())
    same_results(results, unbroken.cv_results_)
    assert (best_params, best_score) == (unbroken.best_params_, unbroken.best_score_)
    assert min(Counter(lines(log)).values()) >= 3
