"""Successive halving inside Keras Tuner: who trains on, from where, and what the search learns."""

import json
import math
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from fractal_tuner.oracle import FractalOracle, FractalTuner  # noqa: E402

pytestmark = [
    pytest.mark.keras,
    # Keras Tuner 1.4.8 asks for the name of the thread in a deprecated way.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
]

SCORE = keras_tuner.Objective("score", "max")


def make_oracle(folder: Path, hp=None, **options) -> FractalOracle:
    """A silent oracle with its own project folder and three rungs: 1, 3 and 9 epochs."""
    options = {"objective": SCORE, "max_trials": 60, "seed": 0, "max_epochs": 9} | options
    oracle = FractalOracle(hyperparameters=hp or two_dimensions(), **options)
    oracle._set_project_dir(str(folder), "project")
    oracle.verbose = 0
    return oracle


def two_dimensions():
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("units", 8, 256)
    return hp


def learning_curve(values):
    """Approaches its height slowly where the rate is low; the best is far from the fastest."""
    log_rate = math.log10(values["rate"])
    height = 1 - (log_rate + 2.5) ** 2 / 4 - ((values["units"] - 70) / 400) ** 2
    return height * (1 - math.exp(-values["tuner/epochs"] * 10 ** (log_rate / 2 + 1)))


def finish(oracle, trial, score):
    if score is None:
        trial.status = "FAILED"
    else:
        oracle.update_trial(trial.trial_id, {"score": float(score)})
        trial.status = "COMPLETED"
    oracle.end_trial(trial)


def drive(oracle, score=learning_curve, n_trials=1000):
    """Up to ``n_trials`` trials, one after another; the values of each."""
    tried = []
    while len(tried) < n_trials:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        tried.append(dict(trial.hyperparameters.values))
        finish(oracle, trial, score(tried[-1]))
    return tried


def own(values):
    return tuple((n, v) for n, v in sorted(values.items()) if not n.startswith("tuner/"))


def test_the_best_third_of_each_rung_trains_on_from_where_it_ended(tmp_path):
    oracle = make_oracle(tmp_path)
    drive(oracle)
    counts = Counter()
    for trial in oracle.trials.values():
        values = trial.hyperparameters.values
        counts[values["tuner/epochs"]] += 1
        if (parent := oracle.trials.get(values.get("tuner/trial_id"))) is None:
            assert values["tuner/initial_epoch"] == 0
            assert values["tuner/epochs"] == 1
        else:
            assert own(values) == own(parent.hyperparameters.values)
            assert values["tuner/initial_epoch"] == parent.hyperparameters.values["tuner/epochs"]
            assert values["tuner/epochs"] == 3 * values["tuner/initial_epoch"]
    assert sum(counts.values()) == 60
    assert counts[1] // 3 <= counts[3] < counts[1]
    assert counts[3] // 3 <= counts[9] < counts[3]


def test_no_configuration_trains_for_the_same_epochs_twice(tmp_path):
    oracle = make_oracle(tmp_path)
    tried = drive(oracle)
    runs = Counter((own(v), v["tuner/epochs"]) for v in tried)
    assert max(runs.values()) == 1


def test_full_trainings_are_near_the_best_of_full_trainings(tmp_path):
    best = max(
        learning_curve({"rate": 10**p, "units": 70, "tuner/epochs": 9})
        for p in np.linspace(-4, -1, 301)
    )
    oracle = make_oracle(tmp_path, max_trials=100)
    drive(oracle)
    values = oracle.get_best_trials()[0].hyperparameters.values
    assert values["tuner/epochs"] == 9
    assert learning_curve(values) > best - 0.02


def test_the_search_learns_what_a_full_training_is_expected_to_give(tmp_path):
    def additive(values):
        return values["units"] / 100 + math.log(values["tuner/epochs"])

    oracle = make_oracle(tmp_path, max_trials=40)
    drive(oracle, additive)
    told = [trial for trial in oracle.search.trials if trial.status == "complete"]
    assert len(told) == len({own(t.hyperparameters.values) for t in oracle.trials.values()})
    for trial in told:
        assert trial.score == pytest.approx(trial.params["units"] / 100 + math.log(9))


def test_a_minimum_is_sought_where_smaller_is_better(tmp_path):
    oracle = make_oracle(tmp_path, objective=keras_tuner.Objective("score", "min"))
    drive(oracle, lambda values: -learning_curve(values))
    continued = [t.hyperparameters.values.get("tuner/trial_id") for t in oracle.trials.values()]
    first = [t for t in oracle.trials.values() if t.hyperparameters.values["tuner/epochs"] == 1]
    best = min(first, key=lambda trial: trial.score)
    assert best.trial_id in continued
    assert max(first, key=lambda trial: trial.score).trial_id not in continued


def test_a_finite_space_is_covered_and_its_best_is_trained_fully(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Choice("a", [1, 2, 3, 4, 5])
    oracle = make_oracle(tmp_path, hp, max_trials=None)
    tried = drive(oracle, lambda v: v["a"] + v["tuner/epochs"])
    assert sorted(v["a"] for v in tried if v["tuner/epochs"] == 1) == [1, 2, 3, 4, 5]
    assert [v["a"] for v in tried if v["tuner/epochs"] == 9] == [5]
    assert len({(v["a"], v["tuner/epochs"]) for v in tried}) == len(tried)


def test_trials_that_fail_do_not_train_on(tmp_path):
    oracle = make_oracle(tmp_path, max_consecutive_failed_trials=100)
    tried = drive(oracle, lambda v: None if v["units"] > 128 else learning_curve(v))
    assert len(tried) == 60
    assert all(v["tuner/epochs"] == 1 for v in tried if v["units"] > 128)
    assert any(v["tuner/epochs"] == 9 for v in tried)


def test_a_continuation_that_fails_is_not_begun_again(tmp_path):
    oracle = make_oracle(tmp_path, max_consecutive_failed_trials=100)
    tried = drive(oracle, lambda v: None if v["tuner/epochs"] > 1 else learning_curve(v))
    parents = [v["tuner/trial_id"] for v in tried if v["tuner/epochs"] > 1]
    assert len(parents) == len(set(parents)) > 5
    assert all(trial.status == "complete" for trial in oracle.search.trials)


@pytest.mark.parametrize("stop", [1, 7, 20, 33])
def test_a_search_stopped_and_continued_proposes_the_same(tmp_path, stop):
    unbroken = drive(make_oracle(tmp_path / "a", max_trials=40))
    oracle = make_oracle(tmp_path / "b", max_trials=40)
    tried = drive(oracle, n_trials=stop)
    oracle.save()
    again = make_oracle(tmp_path / "b", max_trials=40)
    again.reload()
    assert tried + drive(again) == unbroken


def test_a_continued_search_may_train_longer(tmp_path):
    oracle = make_oracle(tmp_path, max_trials=60)
    drive(oracle)
    oracle.save()
    longer = make_oracle(tmp_path, max_trials=70, max_epochs=27)
    longer.reload()
    values = drive(longer)[0]
    assert values["tuner/epochs"] == 27
    assert longer.trials[values["tuner/trial_id"]].hyperparameters.values["tuner/epochs"] == 9


def test_trials_of_hyperband_train_on(tmp_path):
    theirs = keras_tuner.oracles.HyperbandOracle(
        SCORE, max_epochs=9, seed=1, hyperparameters=two_dimensions()
    )
    theirs._set_project_dir(str(tmp_path), "project")
    theirs.verbose = 0
    tried = drive(theirs, n_trials=9)  # those of the first round, each for one epoch
    assert {values["tuner/epochs"] for values in tried} == {1}
    theirs.save()
    oracle = make_oracle(tmp_path)
    oracle.reload()
    assert len(oracle.search.trials.told) == 9
    (values,) = drive(oracle, n_trials=1)
    assert values["tuner/epochs"] == 3
    best = max(theirs.trials.values(), key=lambda trial: trial.score)
    assert values["tuner/trial_id"] == best.trial_id
    assert own(values) == own(best.hyperparameters.values)


def test_workers_never_wait_in_a_large_space_and_each_run_is_made_once(tmp_path):
    oracle = make_oracle(tmp_path, max_trials=50)
    running = {worker: oracle.create_trial(worker) for worker in ("w0", "w1", "w2")}
    seen = list(running.values())
    while running:
        worker = min(running, key=lambda w: running[w].hyperparameters.values["tuner/epochs"])
        ended = running.pop(worker)
        finish(oracle, ended, learning_curve(ended.hyperparameters.values))
        trial = oracle.create_trial(worker)
        assert trial.status in ("RUNNING", "STOPPED")
        if trial.status == "RUNNING":
            running[worker] = trial
            seen.append(trial)
    assert len({trial.trial_id for trial in seen}) == 50
    runs = Counter(
        (own(t.hyperparameters.values), t.hyperparameters.values["tuner/epochs"]) for t in seen
    )
    assert max(runs.values()) == 1


def test_workers_wait_where_another_trial_may_let_them_go_on(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Choice("a", [1, 2, 3])
    oracle = make_oracle(tmp_path, hp, max_trials=None)
    running = [oracle.create_trial(f"w{i}") for i in range(3)]
    assert oracle.create_trial("w3").status == "IDLE"
    for i, trial in enumerate(running):
        finish(oracle, trial, i)
    assert oracle.create_trial("w3").hyperparameters.values["tuner/trial_id"] == "0002"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_epochs": 0}, ValueError, "max_epochs must be at least 1, got 0"),
        ({"factor": 1}, ValueError, "factor must be at least 2, got 1"),
        ({"min_epochs": 10}, ValueError, "min_epochs must be at most max_epochs=9, got 10"),
        ({"max_epochs": None, "factor": 4}, ValueError, "factor and min_epochs need max_epochs"),
        ({"max_trials": 12}, ValueError, "max_trials must be at least 13, got 12: it may take"),
        ({"strategy": "factorial"}, ValueError, "max_epochs needs strategy='zoom'"),
    ],
)
def test_a_bad_option_is_named_at_once(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        make_oracle(tmp_path, **options)


# With Keras


class Epochs:
    """Writes down which epochs each trial trained; a callback made when Keras is there."""

    def __new__(cls, log):
        import keras

        class Callback(keras.callbacks.Callback):
            def __deepcopy__(self, memo):
                return self

            def on_epoch_begin(self, epoch, logs=None):
                if epoch not in self.seen:
                    self.seen.append(epoch)

            def on_train_begin(self, logs=None):
                self.seen = []
                iterations = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
                weights = [w.copy() for w in self.model.get_weights()]
                log.append((self.seen, iterations, weights))

        return Callback()


def small_model(hp):
    import keras

    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 9)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-4, 1e-1, sampling="log")), "mse")
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, NumPy 2
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
def test_a_model_trains_on_with_its_weights_and_its_optimizer(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    y = x @ np.array([1.0, -2.0, 0.5], "float32")
    tuner = FractalTuner(
        small_model,
        "val_loss",
        max_trials=8,
        max_epochs=4,
        factor=2,
        seed=0,
        directory=tmp_path,
    )
    log = []
    search = {"validation_split": 0.5, "batch_size": 10, "callbacks": [Epochs(log)]}
    tuner.search(x, y, **search, verbose=0)
    trials = [tuner.oracle.trials[t] for t in tuner.oracle.end_order]
    assert len(log) == len(trials) == 8
    continued = 0
    for trial, (epochs, iterations, weights) in zip(trials, log, strict=True):
        values = trial.hyperparameters.values
        assert epochs == list(range(values["tuner/initial_epoch"], values["tuner/epochs"]))
        if "tuner/trial_id" in values:
            continued += 1
            parent = tuner.oracle.trials[values["tuner/trial_id"]]
            kept = tuner.load_model(parent).get_weights()
            assert all(np.array_equal(a, b) for a, b in zip(weights, kept, strict=True))
            # Two steps an epoch, up to the best one, which was kept.
            begun = parent.hyperparameters.values["tuner/initial_epoch"]
            assert 2 * begun < iterations <= 2 * values["tuner/initial_epoch"]
        else:
            assert iterations == 0
    assert continued >= 2
    (model,) = tuner.get_best_models()
    assert model.evaluate(x[20:], y[20:], verbose=0) == pytest.approx(
        tuner.oracle.get_best_trials()[0].score, rel=1e-4
    )


class Curves(FractalTuner):
    """Tunes a learning curve, slowly, and writes down what it runs."""

    def run_trial(self, trial, **options):
        hp = trial.hyperparameters
        hp.Float("rate", 1e-4, 1e-1, sampling="log")
        hp.Int("units", 8, 256)
        time.sleep(0.02)
        with Path(self.directory, "runs").open("a") as file:
            file.write(f"{sorted(hp.values.items())}\n")
        return {"score": learning_curve(hp.values)}


def search_curves(folder, max_trials):
    tuner = Curves(
        objective=SCORE, max_trials=max_trials, max_epochs=9, seed=0, directory=str(folder)
    )
    tuner.search(verbose=0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_search_killed_in_another_process_goes_on_as_if_nothing_had_happened(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    search_curves(whole, 30)
    processes = multiprocessing.get_context("spawn")
    for kill_at in (3, 9, 17):
        process = processes.Process(target=search_curves, args=(broken, 30))
        process.start()
        deadline = time.monotonic() + 120
        runs = broken / "runs"
        while not runs.exists() or len(runs.read_text().splitlines()) < kill_at:
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    search_curves(broken, 30)
    expected = (whole / "runs").read_text().splitlines()
    found = (broken / "runs").read_text().splitlines()
    assert list(dict.fromkeys(found)) == expected
    assert len(found) <= len(expected) + 3  # those that were running when they were killed


DISTRIBUTED = """
import keras, numpy as np
from fractal_tuner import FractalTuner

def build(hp):
    hidden = keras.layers.Dense(hp.Int("units", 2, 9))
    model = keras.Sequential([keras.layers.Input((3,)), hidden, keras.layers.Dense(1)])
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
y = x @ np.array([1.0, -2.0, 0.5], "float32")
tuner = FractalTuner(
    build, "val_loss", max_trials=14, max_epochs=4, factor=2, seed=0, directory="."
)
tuner.search(x, y, validation_split=0.5, batch_size=10, verbose=0)
"""


@pytest.mark.slow
def test_workers_train_on_what_others_have_begun(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    processes = []
    try:
        for name in ("chief", "worker0", "worker1"):
            env = os.environ | address | {"KERASTUNER_TUNER_ID": name, "OMP_NUM_THREADS": "1"}
            with (tmp_path / f"{name}.log").open("w") as log:
                command = [sys.executable, "-c", DISTRIBUTED]
                process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
            processes.append(process)
        codes = [process.wait(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    logs = "\n".join(log.read_text() for log in sorted(tmp_path.glob("*.log")))
    assert codes == [0, 0, 0], logs
    trials = [
        json.loads(file.read_text())
        for file in (tmp_path / "untitled_project").glob("trial_*/trial.json")
    ]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 14, logs
    parents = [trial["hyperparameters"]["values"].get("tuner/trial_id") for trial in trials]
    continued = [parent for parent in parents if parent is not None]
    assert len(continued) == len(set(continued)) >= 3
