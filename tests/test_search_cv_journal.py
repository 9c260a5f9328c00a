"""A search with a journal goes on where it broke, and is refused where it would not be the same."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
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


def constant(value):
    return lambda estimator, X, y: value


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
@pytest.mark.parametrize("batch_size", [None, 1, 2, 4])
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


def refused(search, *data, named, advice="set it as it was, or use another journal", **fit_params):
    """Whether a search is refused with a difference and advice, and nothing comes of it."""
    journal = Path(search.journal)
    before, n_fits, files = (
        journal.read_bytes(),
        len(lines(Counted.log)),
        os.listdir(journal.parent),
    )
    with pytest.raises(ValueError, match="belongs to another search") as caught:
        search.fit(*data, **fit_params)
    assert str(caught.value).endswith(f" belongs to another search: its {named}; {advice}")
    assert str(caught.value).startswith(str(journal))
    assert journal.read_bytes() == before
    assert len(lines(Counted.log)) == n_fits
    assert os.listdir(journal.parent) == files
    assert not hasattr(search, "best_params_")


OTHER_DATA = "a journal holds for one set of data: use another journal for other data"
OTHER_FOLDS = "set random_state and all else of the splitter as they were, or use another journal"
OTHER_SEED = "set it (random_state) as it was, or to None, or use another journal"
OTHER_SPACE = (
    "use another journal for another space; it can begin with the best candidates of this one, see "
    "warm_start_from and starting_points"
)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"estimator": Counted(fail=0)}, "fingerprint estimator fail is False, here it is 0"),
        (
            {"estimator": TREE, "space": {"min_impurity_decrease": Real(0, 1)}},
            "space is ['x', 'y'], here it is ['min_impurity_decrease']",
        ),
        ({"scoring": "accuracy"}, "fingerprint scoring is None, here it is 'accuracy'"),
        ({"error_score": 0}, "fingerprint error_score is 'nan', here it is 0"),
        ({"return_train_score": True}, "fingerprint return_train_score is False, here it is True"),
        ({"random_state": 1}, "seed is 0, here it is 1"),
        (
            {"strategy": "factorial", "n_iter": 99},
            "strategy is 'ZoomSearch', here it is 'FactorialZoom'",
        ),
        ({"space": {"x": Real(0, 2), "y": Real(0, 1)}}, "space x high is 1.0, here it is 2.0"),
        ({"space": {"x": Real(0, 1)}}, "space is ['x', 'y'], here it is ['x']"),
    ],
)
def test_another_search_is_refused_and_told_what_to_do(options, named, log, journal):
    make(journal=journal, n_iter=3).fit(X, Y)
    advice = {"seed": OTHER_SEED, "space": OTHER_SPACE}.get(named.split()[0])
    advice = {} if advice is None else {"advice": advice}
    refused(make(journal=journal, **options), X, Y, named=named, **advice)


@pytest.mark.parametrize(
    ("options", "others", "entry"),
    [
        (
            {"scoring": constant(0.1)},
            {"scoring": constant(0.9)},
            "fingerprint of scoring hash differs",
        ),
        (
            {"space": {"x": [TREE, DecisionTreeClassifier(max_depth=1)]}, "scoring": "accuracy"},
            {"space": {"x": [TREE, DecisionTreeClassifier(max_depth=2)]}, "scoring": "accuracy"},
            "fingerprint choices 0 1 1 max_depth is 1, here it is 2",
        ),
    ],
    ids=["a function", "estimators as values"],
)
def test_what_is_told_apart_by_its_contents_is_refused(options, others, entry, log, journal):
    make(journal=journal, **options).fit(X, Y)
    refused(make(journal=journal, **others), X, Y, named=entry)


def test_a_finished_journal_gives_the_robust_choice(log, journal):
    make(journal=journal).fit(X, Y)
    log.unlink()
    make(journal=journal, refit="robust").fit(X, Y)
    assert len(lines(log)) == 1


def test_other_options_of_a_grid_are_refused(log, journal):
    options = {"strategy": "factorial", "points_per_dim": 2, "journal": journal}
    make(**options).fit(X, Y)
    refused(make(**options, levels=2), X, Y, named="levels is 3, here it is 2")
    refused(
        make(**options | {"points_per_dim": 3}), X, Y, named="points_per_dim is 2, here it is 3"
    )


@pytest.mark.parametrize(
    ("cv", "other"),
    [
        (3, 4),
        (3, KFold(3, shuffle=True, random_state=1)),
        (KFold(3, shuffle=True, random_state=1), KFold(3, shuffle=True, random_state=2)),
        (ShuffleSplit(3), ShuffleSplit(3)),  # without a seed it never gives the same folds
    ],
)
def test_other_folds_are_refused(cv, other, log, journal):
    make(journal=journal, n_iter=3, cv=cv).fit(X, Y)
    named = "fingerprint of folds differs"
    refused(make(journal=journal, cv=other), X, Y, named=named, advice=OTHER_FOLDS)


def test_the_same_folds_are_known_whoever_makes_them(log, journal):
    make(journal=journal, n_iter=3, cv=KFold(3)).fit(X, Y)
    search = make(journal=journal, n_iter=3, cv=list(KFold(3).split(X))).fit(X, Y)
    assert len(search.trials_) == 3
    assert len(lines(log)) == 9 + 1 + 1


def test_other_data_are_refused(log, journal):
    make(journal=journal, n_iter=3).fit(X, Y)
    one_more = make(journal=journal)
    refused(one_more, X + 1e-9, Y, named="fingerprint of X differs", advice=OTHER_DATA)
    refused(one_more, X[1:], Y[1:], named="fingerprint of X differs", advice=OTHER_DATA)
    refused(one_more, X, Y[::-1], named="fingerprint of y differs", advice=OTHER_DATA)
    make(journal=journal).fit(X, Y)


def test_other_weights_are_refused(log, journal):
    ones, twos = np.ones(len(X)), np.full(len(X), 2.0)
    make(journal=journal, n_iter=3).fit(X, Y, sample_weight=ones)
    named = "fingerprint of fit parameter sample_weight differs"
    refused(make(journal=journal), X, Y, named=named, advice=OTHER_DATA, sample_weight=twos)
    make(journal=journal).fit(X, Y, sample_weight=ones)


@pytest.mark.parametrize(
    "options",
    [
        {"n_iter": 5},
        {"max_time": 1000},
        {"target_score": 10},
        {"tolerance": 1e-9},
        {"n_jobs": 2},
        {"verbose": 0, "pre_dispatch": 1, "refit": False},
        {"warm_start_from": {"params": [{"x": 0.3, "y": 0.6}], "mean_test_score": [1.0]}},
    ],
)
def test_limits_workers_and_warm_starts_may_change(options, log, journal):
    first = make(journal=journal, n_iter=4).fit(X, Y)
    log.unlink()
    with parallel_config(backend="threading"):
        search = make(journal=journal, **options).fit(X, Y)
    n = search.n_iter
    assert [t.params for t in search.trials_][:4] == [t.params for t in first.trials_]
    assert len(lines(log)) == (n - 4) * 3 + bool(search.refit)
    if "warm_start_from" in options:
        assert search.trials_[4].params == {"x": 0.3, "y": 0.6}
    else:
        same_results(search.cv_results_, make(n_iter=n).fit(X, Y).cv_results_)


@pytest.mark.slow
def test_a_limit_on_the_time_of_a_fit_may_come_later(journal):
    options = {"estimator": TREE, "space": {"min_impurity_decrease": Real(0, 0.5)}}
    make(journal=journal, n_iter=3, **options).fit(X, Y)
    search = make(journal=journal, n_iter=5, n_jobs=2, trial_timeout=60, **options).fit(X, Y)
    same_results(search.cv_results_, make(n_iter=5, **options).fit(X, Y).cv_results_)


def resealed(journal, number, **changes):
    """Rewrite entries of a line as another version of the package might have written them."""
    lines = journal.read_bytes().splitlines(keepends=True)
    record = json.loads(lines[number]) | changes
    del record["crc"]
    body = json.dumps(record)
    crc = f'{{"crc":"{zlib.crc32(body.encode()):08x}",'
    lines[number] = f"{crc}{body[1:]}\n".encode()
    journal.write_bytes(b"".join(lines))


@pytest.mark.parametrize("version", ["0.0.1", "99.0"])
def test_a_journal_of_another_version_of_the_package_goes_on(version, log, journal):
    make(journal=journal, n_iter=4).fit(X, Y)
    resealed(journal, 0, version=version)
    header = journal.read_bytes().splitlines()[0]
    log.unlink()
    search = make(journal=journal).fit(X, Y)
    same_results(search.cv_results_, make().fit(X, Y).cv_results_)
    assert search.trials_.header["version"] == version
    assert journal.read_bytes().startswith(header)


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_newer_format_is_refused_and_told_what_to_do(number, log, journal):
    make(journal=journal, n_iter=4).fit(X, Y)
    resealed(journal, number, v=2)
    before, n_fits = journal.read_bytes(), len(lines(log))
    n_lines = len(before.splitlines())
    said = (
        rf"line {number % n_lines + 1} of .*journal\.jsonl has format 2, this version of "
        "fractal_tuner reads format 1: use the version that wrote it, or another journal"
    )
    with pytest.raises(ValueError, match=said):
        make(journal=journal).fit(X, Y)
    assert journal.read_bytes() == before
    assert len(lines(log)) == n_fits


# Damage


def small(journal, **options):
    return make(journal=journal, n_iter=2, cv=2, refit=False, **options)


@pytest.fixture
def whole(log, journal):
    """A small search, and the bytes of its journal."""
    search = small(journal).fit(X, Y)
    log.unlink()
    return search, journal.read_bytes()


def went_on(search, n_told, kept):
    """Continue a damaged journal, and check that it loses only what was damaged."""
    Path(Counted.log).unlink(missing_ok=True)
    journal = Path(search.journal)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, Y)
    aside = sorted(journal.parent.glob("*.torn-*"))
    assert [str(w.message) for w in caught] == [
        f"the last line of {journal} was torn; it is kept in {name}" for name in aside
    ]
    assert b"".join(name.read_bytes() for name in aside) == kept
    assert len(lines(Counted.log)) == (2 - n_told) * 2
    for name in aside:
        name.unlink()
    return search


def check_cut(whole, journal, length):
    search, data = whole
    journal.write_bytes(data[:length])
    good = data[:length].rfind(b"\n") + 1
    n_told = data[:good].count(b'"type": "tell"')
    same_results(went_on(small(journal), n_told, data[good:length]).cv_results_, search.cv_results_)


def check_flip(whole, journal, position, bit):
    search, data = whole
    damaged = bytearray(data)
    damaged[position] ^= 1 << bit
    journal.write_bytes(damaged)
    number = data[:position].count(b"\n") + 1
    n_lines = data.count(b"\n")
    # Torn is the last line, or two that a flipped newline made one.
    if number == n_lines or (number == n_lines - 1 and data[position] == ord("\n")):
        good = len(b"".join(data.splitlines(keepends=True)[: number - 1]))
        n_told = data[:good].count(b'"type": "tell"')
        again = went_on(small(journal), n_told, bytes(damaged[good:]))
        same_results(again.cv_results_, search.cv_results_)
    else:
        with pytest.raises(ValueError, match=rf"line {number} |line {number + 1} "):
            small(journal).fit(X, Y)
        assert journal.read_bytes() == damaged
        assert lines(Counted.log) == []
        assert os.listdir(journal.parent) == [journal.name]


def test_a_search_whose_journal_was_cut_evaluates_what_is_missing(whole, journal):
    size = len(whole[1])
    for length in sorted({*range(0, size, 97), size - 1, size}):
        check_cut(whole, journal, length)


@pytest.mark.slow
def test_a_search_whose_journal_was_cut_at_any_byte_evaluates_what_is_missing(whole, journal):
    for length in range(len(whole[1]) + 1):
        check_cut(whole, journal, length)


def test_a_search_is_not_misled_by_a_flipped_bit(whole, journal):
    for position in range(0, len(whole[1]), 61):
        check_flip(whole, journal, position, position % 8)
        Path(Counted.log).unlink(missing_ok=True)


@pytest.mark.slow
def test_a_search_is_not_misled_by_a_flipped_bit_in_any_byte(whole, journal):
    for position in range(len(whole[1])):
        check_flip(whole, journal, position, position % 8)
        Path(Counted.log).unlink(missing_ok=True)


# A world that fails


@pytest.mark.parametrize("place", [".", "folder", "file/journal", "/dev/null"])
def test_what_cannot_be_a_journal_is_refused_before_any_fit(place, log, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    with pytest.raises(
        ValueError, match=r"cannot be a journal: .* is no folder|is no regular file"
    ):
        make(journal=tmp_path / place).fit(X, Y)
    assert lines(log) == []
    assert (tmp_path / "file").read_text() == "text"


def test_another_file_is_refused_and_left_alone(log, journal):
    journal.write_text("C,score\n1,0.5\n")
    with pytest.raises(ValueError, match=r"is not a journal: line 1 .* it is left untouched"):
        make(journal=journal).fit(X, Y)
    assert journal.read_text() == "C,score\n1,0.5\n"
    assert lines(log) == []


HEAD = """
import os, resource, sys
sys.path.insert(0, {here!r})
from test_search_cv_journal import *
Counted.log = {log!r}
"""


def run(code, **names):
    """Run code in another process, in which this module's names are known."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = (HEAD + code).format(here=str(here), log=Counted.log, **names)
    command = [sys.executable, "-c", code]
    return subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="limits of files are a thing of POSIX")
def test_a_full_disk_ends_the_search_and_keeps_what_it_has(log, journal):
    unbroken = make().fit(X, Y)
    log.unlink()
    # The limit makes the kernel write a part of a record, and then nothing, as a full disk does.
    code = """
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
search = make(journal={journal!r})
try:
    search.fit(X, Y)
except OSError as error:
    print(type(error).__name__, len(search.trials_.told), len(search.cv_results_["params"]))
"""
    with run(code, journal=str(journal)) as process:
        name, n_told, n_rows = process.communicate()[0].split()
    n_told = int(n_told)
    assert name == "OSError"
    assert 0 < n_told == int(n_rows) < 9
    assert len(told(journal)) == n_told
    log.unlink()
    search = make(journal=journal).fit(X, Y)
    same_results(search.cv_results_, unbroken.cv_results_)
    assert len(lines(log)) == (9 - n_told) * 3 + 1


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions are a thing of POSIX")
def test_what_may_not_be_written_is_an_error_before_any_fit(log, monkeypatch):
    # Root may write anywhere, so that the process first becomes nobody.
    code = """
make(n_iter=1).fit(X, Y)
os.unlink(Counted.log)
if os.geteuid() == 0:
    os.setuid(65534)
for name in ("old", "new"):
    try:
        make(journal={folder!r} + name).fit(X, Y)
    except PermissionError as error:
        print(error)
"""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        folder = Path(place, "locked")
        folder.mkdir()
        monkeypatch.setattr(Counted, "log", f"{place}/log")
        old = folder / "old"
        make(journal=old, n_iter=2).fit(X, Y)
        os.unlink(Counted.log)
        before = old.read_bytes()
        old.chmod(0o444)
        folder.chmod(0o555)
        os.chmod(place, 0o777)
        with run(code, folder=f"{folder}/") as process:
            said = process.communicate()[0].splitlines()
        folder.chmod(0o755)
        assert [line.partition("] ")[2] for line in said] == [
            f"Permission denied: '{folder}/{name}'" for name in ("old", "new")
        ]
        assert lines(Counted.log) == []
        assert old.read_bytes() == before
        assert os.listdir(folder) == ["old"]


@pytest.mark.slow
def test_a_second_process_is_refused_and_goes_on_when_the_first_was_killed(log, journal):
    code = """
Counted.pause = 0.05
make(journal={journal!r}).fit(X, Y)
"""
    unbroken = make().fit(X, Y)
    log.unlink()
    with run(code, journal=str(journal)) as process:
        while len(lines(log)) < 4:
            assert process.poll() is None
            time.sleep(0.01)
        with pytest.raises(RuntimeError, match="is being written by another search; close") as said:
            make(journal=journal).fit(X, Y)
        assert process.poll() is None
        process.kill()
    assert str(said.value).startswith(str(journal))
    search = make(journal=journal).fit(X, Y)
    same_results(search.cv_results_, unbroken.cv_results_)


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


def told(journal):
    if not journal.exists() or not journal.read_bytes():
        return []
    return [
        f"{trial.params['x']!r} {trial.params['y']!r}"
        for trial in TrialLog.read(journal, SearchSpace(PLANE)).told
    ]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is a thing of POSIX")
@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_a_killed_search_loses_and_repeats_nothing(batch_size, log, journal, tmp_path):
    unbroken = make(batch_size=batch_size).fit(X, Y)
    log.unlink()
    code = """
Counted.pause = 0.02
search = make(journal={journal!r}, batch_size={batch_size}).fit(X, Y)
with open({out!r}, "wb") as file:
    pickle.dump((search.cv_results_, search.best_params_, search.best_score_), file)
"""
    names = {"journal": str(journal), "out": str(tmp_path / "out"), "batch_size": batch_size}
    acknowledged = []
    for kill_at in (1, 5, 9, 9, None):  # fits of this run; then it may end
        n_before = len(lines(log))
        with run(code, **names) as process:
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
