"""Searches in processes of their own, which are killed: nothing is lost or waited for in vain."""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner")
if sys.platform == "win32":
    pytest.skip("Windows has no kill -9 and no fork server", allow_module_level=True)

from fractal_tuner import FractalTuner  # noqa: E402

pytestmark = [pytest.mark.keras, pytest.mark.slow]

WORKERS = ("worker0", "worker1", "worker2")
PATIENCE = 120  # seconds, for a machine that is busy with other things

# A server that has imported Keras Tuner forks the processes, each of which would need seconds to.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["keras_tuner", "fractal_tuner.oracle"])


class Recorded(FractalTuner):
    """Minimizes a parabola, slowly, and writes down who runs what and when."""

    seconds = 0.3
    fails = False
    company = 0  # workers for whose first trials others wait

    def run_trial(self, trial, **options):
        hp = trial.hyperparameters
        x, y = hp.Float("x", 0.0, 1.0), hp.Int("y", 1, 50)
        self._note(trial, "begin")
        time.sleep(self.seconds)
        if trial.trial_id != "00":  # which is alone: the space is not known before its end
            until(lambda: len(workers_in(notes_in(Path(self.directory)))) >= self.company)
        self._note(trial, "end")
        if self.fails:
            raise keras_tuner.errors.FailedTrialError("no luck")
        return (x - 0.3) ** 2 + (y / 50 - 0.5) ** 2

    def _note(self, trial, what):
        with Path(self.directory, "notes").open("a") as file:
            file.write(f"{what} {trial.trial_id} {self.tuner_id} {time.time()}\n")


def play(name, folder, port, options, trial_options):
    """The part of one process in a search."""
    os.environ["KERASTUNER_TUNER_ID"] = name
    os.environ["KERASTUNER_ORACLE_IP"] = "127.0.0.1"
    os.environ["KERASTUNER_ORACLE_PORT"] = str(port)
    output = os.open(f"{folder}/{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    for option, value in trial_options.items():
        setattr(Recorded, option, value)
    Recorded(directory=folder, seed=0, **options).search(verbose=1)


def play_alone(folder, options):
    """A search without workers, by quick trials."""
    os.environ["KERASTUNER_TUNER_ID"] = "tuner0"
    Recorded.seconds = 0.02
    Recorded(directory=folder, seed=0, **options).search(verbose=0)


def notes_in(folder):
    """What was noted, as (what, trial, worker, time); the last line may be half written."""
    with contextlib.suppress(FileNotFoundError):
        lines = (folder / "notes").read_text().split("\n")[:-1]
        return [(*line.split()[:3], float(line.split()[3])) for line in lines]
    return []


def workers_in(notes):
    return {worker for _, _, worker, _ in notes}


def until(condition, said=str):
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.01)


class Cluster:
    """A chief and its workers on this machine; all of them are gone at the end."""

    def __init__(self, folder, trials=None, **options):
        self.folder = folder
        self._trials = trials or {}
        self._options = {"max_trials": 12, "worker_timeout": 3.0} | options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._processes = {}

    def start(self, *names):
        for name in names:
            arguments = (name, str(self.folder), self._port, self._options, self._trials)
            process = PROCESSES.Process(target=play, args=arguments, name=name, daemon=True)
            process.start()
            self._processes[name] = process

    def kill(self, name):
        process = self._processes.pop(name)
        process.kill()
        process.join()

    def wait(self):
        """Wait until all have ended; how each of them did."""
        deadline = time.monotonic() + PATIENCE
        for process in self._processes.values():
            process.join(deadline - time.monotonic())
        return {name: process.exitcode for name, process in self._processes.items()}

    def wait_until(self, condition):
        """Wait until a condition on the notes holds."""
        until(lambda: condition(self.notes()), self.log)

    def notes(self):
        return notes_in(self.folder)

    def runs(self):
        """How often each trial was begun, by the trial's name."""
        return Counter(trial for what, trial, _, _ in self.notes() if what == "begin")

    def log(self):
        return "\n".join(f"{p.name}: {p.read_text()[-2000:]}" for p in self.folder.glob("*.log"))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pids = [process.pid for process in self._processes.values()]
        for name in list(self._processes):
            self.kill(name)
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.fixture
def cluster(tmp_path):
    @contextlib.contextmanager
    def made(**options):
        with Cluster(tmp_path, **options) as started:
            yield started

    return made


def results(cluster, max_trials=12):
    """The trials that the folder holds in the end."""
    tuner = Recorded(directory=str(cluster.folder), max_trials=max_trials)
    assert tuner.remaining_trials == 0
    return tuner.oracle.trials


def check_results(cluster):
    trials = results(cluster)
    assert {trial.status for trial in trials.values()} == {"COMPLETED"}
    assert len({tuple(t.hyperparameters.values.items()) for t in trials.values()}) == 12


def most_at_once(notes):
    running = most = 0
    for what, *_ in sorted(notes, key=lambda note: note[3]):
        running += 1 if what == "begin" else -1
        most = max(most, running)
    return most


def test_each_trial_is_run_once_all_workers_are_busy_and_the_search_ends(cluster):
    with cluster(trials={"company": 3}) as search:
        search.start("chief", *WORKERS)
        assert search.wait() == dict.fromkeys(("chief", *WORKERS), 0), search.log()
        assert set(search.runs().values()) == {1}
        assert len(search.runs()) == 12
        assert workers_in(search.notes()) == set(WORKERS)
        assert most_at_once(search.notes()) == 3
        check_results(search)


def test_the_trial_of_a_killed_worker_is_given_to_another_and_the_chief_ends(cluster):
    with cluster(trials={"company": 3}) as search:
        search.start("chief", *WORKERS)
        search.wait_until(lambda notes: len(workers_in(notes)) == 3)
        search.wait_until(lambda notes: last_of("worker1", notes)[0] == "begin")
        search.kill("worker1")
        _, lost, _, _ = last_of("worker1", search.notes())
        assert search.wait() == {"chief": 0, "worker0": 0, "worker2": 0}, search.log()
        ends = [(t, worker) for what, t, worker, _ in search.notes() if what == "end"]
        begins = [(t, worker) for what, t, worker, _ in search.notes() if what == "begin"]
        assert len({t for t, _ in ends}) == 12
        if (lost, "worker1") not in ends:  # it was killed in the middle
            assert [w for t, w in begins if t == lost][1:] in (["worker0"], ["worker2"])
        assert all(n == 1 for t, n in search.runs().items() if t != lost)
        check_results(search)


def test_a_trial_longer_than_the_timeout_is_left_to_its_worker(cluster):
    with cluster(trials={"seconds": 6}, max_trials=3) as search:
        search.start("chief", *WORKERS)
        assert search.wait() == dict.fromkeys(("chief", *WORKERS), 0), search.log()
        assert set(search.runs().values()) == {1}
        assert len(search.runs()) == 3


def last_of(worker, notes):
    return [note for note in notes if note[2] == worker][-1]


def test_a_search_outlives_its_chief_and_nothing_finished_is_measured_again(cluster):
    with cluster() as search:
        search.start("chief", *WORKERS)
        for n_ended in (3, 7):
            search.wait_until(lambda notes, n=n_ended: sum(w == "end" for w, *_ in notes) >= n)
            search.kill("chief")
            search.start("chief")
        assert search.wait() == dict.fromkeys(("chief", *WORKERS), 0), search.log()
        assert set(search.runs().values()) == {1}, search.log()
        assert len(search.runs()) == 12
        check_results(search)


def test_a_search_goes_on_when_all_processes_are_killed_and_started_again(cluster):
    with cluster() as search:
        search.start("chief", *WORKERS)
        search.wait_until(lambda notes: sum(what == "end" for what, *_ in notes) >= 5)
        for name in ("chief", *WORKERS):
            search.kill(name)
        before = search.runs()
        search.start("chief", *WORKERS)
        assert search.wait() == dict.fromkeys(("chief", *WORKERS), 0), search.log()
        again = search.runs() - before
        assert len(search.runs()) == 12
        # What was running is run again, and nothing else: at most one trial of each worker.
        assert sum(search.runs().values()) - 12 <= 3
        assert set(again.values()) == {1}
        check_results(search)


def test_too_many_failures_end_all_workers_and_the_chief_says_so(cluster):
    with cluster(trials={"fails": True}, max_consecutive_failed_trials=3) as search:
        search.start("chief", *WORKERS)
        ends = search.wait()
        assert ends == {"chief": 1, **dict.fromkeys(WORKERS, 0)}, search.log()
        assert (
            "consecutive failures exceeded the limit of 3"
            in (search.folder / "chief.log").read_text()
        )
        assert len(search.runs()) <= 5


@pytest.mark.parametrize("strategy", ["zoom", "factorial"])
def test_a_search_killed_at_random_moments_goes_on_as_if_nothing_had_happened(tmp_path, strategy):
    options = {"max_trials": 20, "strategy": strategy, "points_per_dim": 4}
    folders = tmp_path / "killed", tmp_path / "unbroken"
    rng = np.random.default_rng(0)
    n_killed = 0
    for folder in folders:
        folder.mkdir()
    while True:
        process = alone(folders[0], options)
        n_lines = len(notes_in(folders[0])) + rng.integers(0, 8)
        until(lambda n=n_lines, p=process: len(notes_in(folders[0])) >= n or not p.is_alive())
        time.sleep(rng.uniform(0.0, 0.05))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            break
        n_killed += 1
    assert n_killed > 3
    unbroken = alone(folders[1], options)
    unbroken.join(PATIENCE)
    assert unbroken.exitcode == process.exitcode == 0
    results = []
    for folder in folders:
        oracle = Recorded(directory=str(folder), max_trials=20).oracle
        trials = [oracle.trials[t] for t in oracle.start_order]
        results.append([(t.trial_id, t.hyperparameters.values, t.score) for t in trials])
    assert results[0] == results[1]
    # A kill costs no more than the trial that was running.
    begun = sum(what == "begin" for what, *_ in notes_in(folders[0]))
    assert begun - len(results[0]) <= n_killed


def alone(folder, options):
    """A process that searches without workers."""
    process = PROCESSES.Process(target=play_alone, args=(str(folder), options), daemon=True)
    process.start()
    return process
