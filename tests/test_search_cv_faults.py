"""Workers die, hang and are interrupted: what was evaluated stays, and the search goes on."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fractal_tuner import FractalSearchCV, Real, ZoomSearch

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes as POSIX does"),
    # A worker that is killed leaves what it had opened, and loky says so.
    pytest.mark.filterwarnings("ignore:resource_tracker:UserWarning"),
    pytest.mark.filterwarnings("ignore:A worker stopped while some jobs were given:UserWarning"),
]

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]
PLANE = {"x": Real(0, 1), "y": Real(0, 1)}
SLOW = pytest.mark.slow
HANGS = 600.0  # seconds, far more than any test waits
PATIENCE = 6  # seconds in which a process that has started fits nothing, even on a busy machine


def failures_are_meant(test):
    test = pytest.mark.filterwarnings("ignore:One or more of the test scores are non-fin")(test)
    return pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")(test)


class Frail(ClassifierMixin, BaseEstimator):
    """Notes each fit in its folder; at one candidate, or in the refit, something happens to it.

    It happens at every such fit, or, with ``once``, at the first of all processes, or, with
    ``last``, in the last fold alone.
    """

    def __init__(
        self, x=0.0, y=0.0, folder="", act=None, at=None, once=False, last=False, pause=0.0
    ):
        self.x = x
        self.y = y
        self.folder = folder
        self.act = act
        self.at = at
        self.once = once
        self.last = last
        self.pause = pause

    def fit(self, X, y=None):
        with open(f"{self.folder}/fits", "a") as fits:
            fits.write(f"{os.getpid()} {self.x!r}\n")
        time.sleep(self.pause)
        is_last = not np.array_equal(X[-1], globals()["X"][-1])  # that row is in its test data
        here = "refit" if len(X) == len(Y) else self.x
        if self.at == here and is_last >= self.last and self._is_its_turn():
            self._suffer()
        self.classes_ = np.unique(y)
        return self

    def _is_its_turn(self):
        try:
            Path(self.folder, "happened").touch(exist_ok=not self.once)
        except FileExistsError:
            return False
        return True

    def _suffer(self):
        match self.act:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(HANGS)
            case "error":
                raise RuntimeError("boom")
            case "memory":
                raise MemoryError("no room")
            case "interrupt":
                raise KeyboardInterrupt

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y=None):
        return -((self.x - 0.3) ** 2) - (self.y - 0.6) ** 2 + 0.01 * float(np.mean(X[:, 0]))


FAULTS = ("act", "at", "once", "last", "pause")
SEVERAL = ["accuracy", "balanced_accuracy"]


def make(folder, **options):
    faults = {name: options.pop(name) for name in FAULTS if name in options}
    options = {"n_iter": 8, "cv": 3, "random_state": 0, "batch_size": 2} | options
    return FractalSearchCV(Frail(folder=str(folder), **faults), PLANE, **options)


def x_of(search, row):
    return search.cv_results_["params"][row]["x"]


def failed_at(search, at):
    """The failed trials: one or more with that x, and no other."""
    failed = [trial for trial in search.trials_ if trial.status == "failed"]
    assert {trial.params["x"] for trial in failed} == {at}
    return failed


def workers(folder):
    """The process of each fit so far."""
    fits = Path(folder, "fits")
    return [int(line.split()[0]) for line in fits.read_text().splitlines()] if fits.exists() else []


def fitted(folder):
    return [line.split()[1] for line in Path(folder, "fits").read_text().splitlines()]


def same_results(one, two):
    """Whether two cv_results_ agree in all but the times."""
    assert list(one) == list(two)
    for name in one:
        if "_time" not in name:
            assert_array_equal(one[name], two[name], err_msg=name)


def same_search(one, two):
    same_results(one.cv_results_, two.cv_results_)
    for name in ("best_index_", "best_params_", "best_score_", "stop_reason_"):
        assert getattr(one, name) == getattr(two, name)


def wait_until(condition):
    while not condition():
        time.sleep(0.005)


def has_ended(pid):
    """Whether a process is gone, or dead and not yet waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def meanwhile(action):
    """Run something beside the block; what it raises, the block raises at its end."""
    errors = []

    def run():
        try:
            action()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    assert not errors


@contextmanager
def a_kill(folder, after):
    """Kill, from outside, the worker that began the last fit, when there were some fits."""

    def kill():
        wait_until(lambda: len(workers(folder)) >= after)
        killed.append(workers(folder)[-1])
        os.kill(killed[0], signal.SIGKILL)

    killed = []
    with meanwhile(kill):
        yield
    assert killed[0] != os.getpid()
    wait_until(lambda: has_ended(killed[0]))


@pytest.fixture(autouse=True)
def _no_test_hangs():
    def stop(*_):
        raise AssertionError("the search hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(240)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True, scope="module")
def _no_process_is_left():
    yield
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return make(tmp_path_factory.mktemp("undisturbed")).fit(X, Y)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.jsonl"


# Workers that die


@pytest.mark.parametrize("after", [pytest.param(1, marks=SLOW), 10, pytest.param(23, marks=SLOW)])
def test_a_worker_killed_from_outside_changes_no_score(after, tmp_path, undisturbed):
    search = make(tmp_path, n_jobs=2, pause=0.02)
    with a_kill(tmp_path, after):
        search.fit(X, Y)
    same_search(search, undisturbed)
    assert len(set(workers(tmp_path))) > 2


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 1, 2, 4])
def test_a_candidate_that_kills_its_worker_once_is_evaluated_again(batch_size, tmp_path):
    calm = make(tmp_path, batch_size=batch_size).fit(X, Y)
    faults = {"act": "killed", "at": x_of(calm, 4), "once": True}
    search = make(tmp_path, batch_size=batch_size, n_jobs=2, **faults).fit(X, Y)
    assert (tmp_path / "happened").exists()
    same_search(search, calm)
    assert not any(trial.error for trial in search.trials_)


@pytest.mark.slow
@failures_are_meant
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"error_score": -3, "return_train_score": True},
        {"scoring": SEVERAL, "refit": "accuracy"},
    ],
)
def test_a_candidate_that_always_kills_its_worker_has_failed(options, tmp_path, undisturbed):
    at = x_of(undisturbed, 4)
    raises = make(tmp_path, act="error", at=at, **options).fit(X, Y)
    search = make(tmp_path, act="killed", at=at, n_jobs=2, **options).fit(X, Y)
    same_search(search, raises)
    for failed in failed_at(search, at):
        assert failed.error.startswith("TerminatedWorkerError: A worker process managed by the")
        assert failed.error.endswith("(3 times)")


@pytest.mark.slow
def test_the_death_of_a_worker_is_an_error_where_errors_are_to_be_raised(tmp_path, undisturbed):
    faults = {"act": "killed", "at": x_of(undisturbed, 4)}
    search = make(tmp_path, n_jobs=2, error_score="raise", **faults)
    with pytest.raises(TerminatedWorkerError):
        search.fit(X, Y)
    assert search.cv_results_["params"] == undisturbed.cv_results_["params"][:4]
    assert len(search.trials_.told) == 4


@pytest.mark.slow
def test_a_journal_has_nothing_of_a_killed_worker(tmp_path, journal, undisturbed):
    faults = {"act": "killed", "at": x_of(undisturbed, 4), "once": True}
    search = make(tmp_path, n_jobs=2, journal=journal, **faults).fit(X, Y)
    assert (tmp_path / "happened").exists()
    same_search(search, undisturbed)
    n_fits = len(workers(tmp_path))
    again = make(tmp_path, journal=journal, **faults).fit(X, Y)
    same_search(again, undisturbed)
    assert len(workers(tmp_path)) == n_fits + 1  # the refit


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The estimator Frail does not support callbacks")
@failures_are_meant
@pytest.mark.parametrize("once", [True, False])
def test_the_progress_bar_outlives_the_workers(once, tmp_path, capsys, undisturbed):
    callback = pytest.importorskip("sklearn.callback")  # since 1.9
    search = make(tmp_path, n_jobs=2, act="killed", at=x_of(undisturbed, 4), once=once)
    search.set_callbacks(callback.ProgressBar()).fit(X, Y)
    bars = capsys.readouterr().out.splitlines()
    for name in ("fit ", "search"):
        assert any(f"FractalSearchCV - {name}" in bar and "100%" in bar for bar in bars)
    assert len(search.trials_.told) == 8


# Fits that take too long, or all memory


@pytest.mark.slow
@failures_are_meant
def test_a_candidate_that_hangs_has_failed_and_its_process_is_ended(tmp_path, undisturbed):
    at = x_of(undisturbed, 3)  # no other candidate has that x: each one would be waited for, twice
    raises = make(tmp_path, act="error", at=at).fit(X, Y)
    (tmp_path / "fits").unlink()
    search = make(tmp_path, act="hang", at=at, n_jobs=2, trial_timeout=PATIENCE).fit(X, Y)
    same_search(search, raises)
    said = f"TimeoutError: a fit took longer than trial_timeout={PATIENCE} seconds"
    assert {trial.error for trial in failed_at(search, at)} == {said}
    hung = [
        pid for pid, x in zip(workers(tmp_path), fitted(tmp_path), strict=True) if x == repr(at)
    ]
    assert hung
    wait_until(lambda: all(has_ended(pid) for pid in hung))


@pytest.mark.slow
def test_a_hanging_candidate_is_an_error_where_errors_are_to_be_raised(tmp_path, undisturbed):
    faults = {"act": "hang", "at": x_of(undisturbed, 2), "batch_size": 1}
    search = make(tmp_path, n_jobs=2, trial_timeout=PATIENCE, error_score="raise", **faults)
    with pytest.raises(TimeoutError, match="took longer than trial_timeout"):
        search.fit(X, Y)
    assert search.best_params_ in undisturbed.cv_results_["params"]


@pytest.mark.parametrize(("n_jobs", "backend"), [(1, "loky"), (None, "loky"), (2, "threading")])
def test_a_time_limit_without_processes_is_refused_at_once(n_jobs, backend, tmp_path):
    message = rf"(?s)trial_timeout=5 needs fits in processes.*n_jobs of at least 2.*{n_jobs}"
    with parallel_config(backend=backend), pytest.raises(ValueError, match=message):
        make(tmp_path, n_jobs=n_jobs, trial_timeout=5).fit(X, Y)
    assert not workers(tmp_path)


@failures_are_meant
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=SLOW)])
def test_a_fit_without_memory_has_failed(n_jobs, tmp_path, undisturbed):
    at = x_of(undisturbed, 4)
    raises = make(tmp_path, act="error", at=at).fit(X, Y)
    search = make(tmp_path, act="memory", at=at, n_jobs=n_jobs).fit(X, Y)
    same_search(search, raises)
    assert {trial.error for trial in failed_at(search, at)} == {"MemoryError: no room"}


# Interrupts


def first_rows(results, n_rows):
    """cv_results_ of the first candidates alone; ranks and times aside."""
    return {
        name: column[:n_rows]
        for name, column in results.items()
        if "_time" not in name and "rank_" not in name
    }


def has_first_rows(search, whole, n_rows):
    one, two = first_rows(search.cv_results_, 99), first_rows(whole.cv_results_, n_rows)
    assert list(one) == list(two)
    for name in one:
        assert_array_equal(one[name], two[name], err_msg=name)


def lowest(results):
    return int(np.argmin(results["mean_test_score"]))


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, []),
        pytest.param({"n_jobs": 2}, [], marks=SLOW),
        ({"refit": False}, []),
        ({"refit": lowest}, ["best_score_"]),
        ({"scoring": SEVERAL, "refit": "balanced_accuracy"}, []),
        ({"scoring": SEVERAL, "refit": False}, ["best_score_", "best_params_", "best_index_"]),
    ],
)
def test_an_interrupted_search_is_a_search_of_what_it_evaluated(
    options, missing, tmp_path, undisturbed
):
    search = make(tmp_path, **options).fit(X, Y)
    search.estimator.set_params(act="interrupt", at=x_of(undisturbed, 4))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    short = make(tmp_path, n_iter=4, **options).fit(X, Y)
    same_results(search.cv_results_, short.cv_results_)
    assert search.multimetric_ == short.multimetric_
    assert search.n_splits_ == 3
    assert len(search.trials_.told) == 4
    assert search.stop_reason_ is None
    for name in ("best_index_", "best_params_", "best_score_"):
        assert hasattr(search, name) == (name not in missing)
        assert getattr(search, name, None) == getattr(short, name, None)
    assert not hasattr(search, "best_estimator_")  # that of the first fit would be a lie
    with pytest.raises((NotFittedError, AttributeError)):
        search.predict(X)


def test_a_search_interrupted_before_its_first_score_has_no_results(tmp_path, undisturbed):
    search = make(tmp_path).fit(X, Y)
    search.estimator.set_params(act="interrupt", at=x_of(undisturbed, 0))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    for name in ("cv_results_", "best_params_", "best_score_", "best_estimator_"):
        assert not hasattr(search, name)
    assert not search.trials_.told


def test_a_robust_choice_is_left_too(tmp_path, undisturbed):
    search = make(tmp_path, act="interrupt", at=x_of(undisturbed, 5), refit="robust")
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert search.best_params_ in search.cv_results_["params"]


@pytest.mark.parametrize("fault", [{"warm_start_from": 3}, {"param_distributions": {"no": [1]}}])
def test_a_fit_that_never_began_leaves_the_one_before(fault, tmp_path, undisturbed):
    search = make(tmp_path).fit(X, Y)
    with pytest.raises((TypeError, ValueError)):
        search.set_params(**fault).fit(X, Y)
    same_search(search, undisturbed)
    assert search.trials_ is search.search_.trials
    assert search.best_score_corrected_ <= search.best_score_


def test_an_interrupted_refit_leaves_the_results(tmp_path, undisturbed):
    search = make(tmp_path, act="interrupt", at="refit")
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    same_search(search, undisturbed)
    assert search.n_splits_ == 3
    assert not hasattr(search, "best_estimator_")


def test_an_error_that_is_raised_leaves_what_was_evaluated(tmp_path, undisturbed):
    faults = {"act": "error", "at": x_of(undisturbed, 4)}
    search = make(tmp_path, error_score="raise", **faults)
    with pytest.raises(RuntimeError, match="boom"):
        search.fit(X, Y)
    has_first_rows(search, undisturbed, 4)
    assert search.best_params_ in undisturbed.cv_results_["params"][:4]


SCRIPT = """
import pickle, signal, sys
sys.path.insert(0, {here!r})
signal.signal(signal.SIGINT, signal.default_int_handler)  # a child of CI may have it ignored
from test_search_cv_faults import X, Y, make
search = make({folder!r}, n_jobs=2, pause=0.05, journal={journal!r})
try:
    search.fit(X, Y)
finally:
    with open({out!r}, "wb") as file:
        pickle.dump((search.cv_results_, search.best_params_, len(search.trials_.told)), file)
"""


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True])
def test_a_search_goes_on_after_ctrl_c(to_all, tmp_path, journal, undisturbed):
    here = Path(__file__).parent
    names = {"folder": str(tmp_path), "journal": str(journal), "out": str(tmp_path / "out")}
    path = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(here=str(here), **names)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        wait_until(lambda: len(workers(tmp_path)) >= 14)
        (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)  # a terminal tells all
        said = process.communicate()[1]
    assert "KeyboardInterrupt" in said
    assert process.returncode != 0
    wait_until(lambda: all(has_ended(pid) for pid in workers(tmp_path)))
    results, best_params, n_told = pickle.loads((tmp_path / "out").read_bytes())
    assert 2 <= n_told < 8
    assert results["params"] == undisturbed.cv_results_["params"][:n_told]
    assert best_params in results["params"]
    n_fits = len(workers(tmp_path))
    search = make(tmp_path, pause=0.05, journal=journal).fit(X, Y)
    same_search(search, undisturbed)
    assert len(workers(tmp_path)) == n_fits + (8 - n_told) * 3 + 1


@pytest.mark.slow
@failures_are_meant
@pytest.mark.parametrize("error_score", [np.nan, 3.0])
@pytest.mark.parametrize("act", ["killed", "hang"])
@pytest.mark.parametrize("n_jobs", [2, 3])
def test_a_candidate_that_is_lost_in_its_last_fold_has_failed_in_all(
    n_jobs, act, error_score, tmp_path
):
    options = {"cv": 5, "batch_size": None, "n_iter": 4, "refit": False}
    at = x_of(make(tmp_path, **options).fit(X, Y), 2)
    options |= {"n_jobs": n_jobs, "error_score": error_score}
    options |= {"trial_timeout": PATIENCE} if act == "hang" else {}
    search = make(tmp_path, act=act, at=at, last=True, **options).fit(X, Y)
    (trial,) = failed_at(search, at)
    assert_array_equal(trial.folds, [error_score] * 5)
    assert ("trial_timeout" if act == "hang" else "3 times") in trial.error


# One result everywhere


@pytest.mark.parametrize("cv", [3, 4, 5])
@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=SLOW)])
def test_by_default_up_to_as_many_workers_as_folds_find_the_same(backend, cv, tmp_path):
    serial = make(tmp_path, cv=cv, batch_size=None).fit(X, Y)
    for n_jobs in (2, 3):
        with parallel_config(backend=backend):
            same_search(make(tmp_path, cv=cv, batch_size=None, n_jobs=n_jobs).fit(X, Y), serial)


@pytest.mark.parametrize(
    ("n_jobs", "cv", "begun"),
    [
        (1, 5, [5, 5]),  # with one worker, whole candidates
        (2, 5, [4, 6]),  # five fits would need a third round for one of them
        (2, 3, [2, 4]),
        (4, 5, [4, 6]),
        (2, 4, [4, 4]),
        (2, 2, [2, 2]),  # half of the folds are no preview
    ],
)
def test_the_last_fit_of_every_other_candidate_waits_if_that_saves_a_round(
    n_jobs, cv, begun, tmp_path
):
    search = make(tmp_path, cv=cv, batch_size=None, n_jobs=n_jobs, refit=False)
    with parallel_config(backend="threading"):
        search.fit(X, Y)
    fits = fitted(tmp_path)
    for first in range(0, 8, 2):
        pair = [repr(search.trials_[first + i].params["x"]) for i in range(2)]
        assert set(fits[: begun[0]]) == {pair[0]}
        assert sorted(fits[: sum(begun)]) == sorted(cv * pair)
        fits = fits[sum(begun) :]


def test_every_other_candidate_is_chosen_before_the_last_fold_of_the_one_before(tmp_path):
    space = {"x": Real(0, 1), "y": Real(0, 1)}
    search = make(tmp_path, cv=3, batch_size=None, n_iter=20).fit(X, Y)
    twin = ZoomSearch(space, max_trials=20, seed=0, noise=False)
    while batch := twin.ask():
        known = np.mean(search.trials_[batch[0].id].folds[:2])
        if twin.trials.told:  # as far from the best as in the folds that are known
            best = search.trials_[twin.best_trial.id]
            known += best.score - np.mean(best.folds[:2])
        twin.expect(batch[0].id, known)
        batch += twin.ask()
        for trial in batch:
            assert trial.params == search.trials_[trial.id].params
            twin.tell(trial.id, search.trials_[trial.id].score)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
def test_with_a_fixed_batch_size_processes_and_threads_find_the_same(batch_size, tmp_path):
    serial = make(tmp_path, batch_size=batch_size).fit(X, Y)
    for backend in ("threading", "loky"):
        with parallel_config(backend=backend, n_jobs=4 if backend == "threading" else 2):
            same_search(make(tmp_path, batch_size=batch_size).fit(X, Y), serial)


# Dask


@pytest.fixture
def client():
    """Two processes of one thread; a task that saw two of them die is given up."""
    distributed = pytest.importorskip("distributed")
    from dask import config

    with (
        warnings.catch_warnings(),
        # After 15 s, a LocalCluster gives up workers that start again: too soon on a busy machine.
        config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            scheduler_kwargs={"allowed_failures": 1},
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def on_dask(search):
    with parallel_config(backend="dask"):
        return search.fit(X, Y)


def processes(client):
    return list(client.run(os.getpid).values())


@pytest.mark.dask
@pytest.mark.slow
class TestDask:
    """On a LocalCluster whose workers are processes of this machine."""

    @pytest.mark.parametrize("batch_size", [1, 2, 3])
    def test_a_cluster_finds_what_one_process_finds(self, client, batch_size, tmp_path):
        serial = make(tmp_path, batch_size=batch_size).fit(X, Y)
        (tmp_path / "fits").unlink()
        same_search(on_dask(make(tmp_path, batch_size=batch_size)), serial)
        assert set(workers(tmp_path)[:-1]) == set(processes(client))
        assert len(workers(tmp_path)) == 8 * 3 + 1

    def test_a_worker_killed_from_outside_changes_no_score(self, client, tmp_path, undisturbed):
        search = make(tmp_path, pause=0.02)
        with a_kill(tmp_path, after=10):
            on_dask(search)
        same_search(search, undisturbed)

    def test_all_workers_killed_change_no_score(self, client, tmp_path, undisturbed):
        before = processes(client)

        def kill():
            wait_until(lambda: len(workers(tmp_path)) >= 10)
            for pid in before:
                os.kill(pid, signal.SIGKILL)

        search = make(tmp_path, pause=0.02)
        with meanwhile(kill):
            on_dask(search)
        same_search(search, undisturbed)
        assert set(workers(tmp_path)) - set(before)

    def test_a_restart_changes_no_score(self, client, tmp_path, undisturbed):
        def restart():
            wait_until(lambda: len(workers(tmp_path)) >= 10)
            client.restart()

        search = make(tmp_path, pause=0.02)
        with meanwhile(restart):
            on_dask(search)
        same_search(search, undisturbed)
        assert len(set(workers(tmp_path)[:-1])) > 2

    @failures_are_meant
    def test_a_candidate_that_always_kills_its_worker_has_failed(
        self, client, tmp_path, undisturbed
    ):
        at = x_of(undisturbed, 4)
        raises = make(tmp_path, act="error", at=at).fit(X, Y)
        search = on_dask(make(tmp_path, act="killed", at=at))
        same_search(search, raises)
        for failed in failed_at(search, at):
            assert failed.error.startswith(("KilledWorker: ", "FutureCancelledError: "))

    def test_a_journal_goes_on_from_the_cluster_to_one_process(self, client, tmp_path, journal):
        whole = make(tmp_path).fit(X, Y)
        on_dask(make(tmp_path, journal=journal, n_iter=4))
        (tmp_path / "fits").unlink()
        same_search(make(tmp_path, journal=journal).fit(X, Y), whole)
        assert len(workers(tmp_path)) == 4 * 3 + 1

    def test_a_time_limit_is_refused_at_once(self, client, tmp_path):
        with pytest.raises(ValueError, match=r"needs fits in processes.*DaskDistributedBackend"):
            on_dask(make(tmp_path, trial_timeout=5))
        assert not workers(tmp_path)

    def test_an_interrupted_search_leaves_no_task_behind(self, client, tmp_path, undisturbed):
        search = make(tmp_path, act="hang", at=x_of(undisturbed, 4))

        def interrupt():
            wait_until(lambda: (tmp_path / "happened").exists())
            os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt), meanwhile(interrupt):
            on_dask(search)
        has_first_rows(search, undisturbed, 4)
        wait_until(lambda: not client.run_on_scheduler(n_fits_known))
        for pid in processes(client):  # Dask does not end a fit that has begun
            os.kill(pid, signal.SIGKILL)


def n_fits_known(dask_scheduler):
    return sum("_fit_and_score" in str(key) for key in dask_scheduler.tasks)
