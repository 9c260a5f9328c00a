"""Project folders of Keras Tuner: torn files, lost files, and those of other tuners."""

import json
import re
import shutil
import warnings
from pathlib import Path

import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from fractal_tuner.oracle import FractalOracle, FractalTuner  # noqa: E402

pytestmark = [
    pytest.mark.keras,
    # Keras Tuner 1.4.8 asks for the name of the thread in a deprecated way.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
]

SCORE = keras_tuner.Objective("score", "max")


def make_oracle(folder: Path, **options) -> FractalOracle:
    """A silent oracle over two hyperparameters, with its own project folder."""
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Int("y", 1, 50)
    options = {"objective": SCORE, "max_trials": 100, "seed": 0, "hyperparameters": hp} | options
    oracle = FractalOracle(**options)
    oracle._set_project_dir(str(folder), "project")
    oracle.verbose = 0
    return oracle


def peak(values) -> float:
    return -((values["x"] - 0.1) ** 2) - (values["y"] / 50 - 0.5) ** 2


def run(oracle, n_trials):
    """Some trials, one after another; the values of each."""
    tried = []
    for _ in range(n_trials):
        trial = oracle.create_trial("tuner0")
        tried.append(dict(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {"score": peak(tried[-1])})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return tried


def reloaded(folder, **options):
    oracle = make_oracle(folder, **options)
    oracle.reload()
    return oracle


def result_of(oracle):
    return {t: (trial.hyperparameters.values, trial.score) for t, trial in oracle.trials.items()}


# Torn files


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "n", "every"), [("zoom", 2, 1), ("zoom", 6, 50), ("factorial", 10, 50)]
)
def test_a_search_is_rebuilt_without_the_file_of_the_oracle(tmp_path, strategy, n, every):
    options = {"strategy": strategy, "points_per_dim": 3}
    oracle = make_oracle(tmp_path, seed=None, **options)
    run(oracle, n)
    # A trial that ends out of order, and one that runs.
    first, second = (oracle.create_trial(worker) for worker in ("a", "b"))
    for trial in (second, first):
        oracle.update_trial(trial.trial_id, {"score": peak(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    expected = oracle.populate_space("x")
    file = tmp_path / "project" / "oracle.json"
    text = file.read_text()
    for end in [*range(0, len(text), every), None]:
        file.unlink() if end is None else file.write_text(text[:end])
        with pytest.warns(RuntimeWarning, match=r"oracle\.json is (torn|empty|missing)"):
            again = reloaded(tmp_path, seed=None, **options)
        assert again.populate_space("x") == expected
        assert again.seed == oracle.seed
        assert again.start_order == oracle.start_order
        assert again.end_order == oracle.end_order
        assert (
            again.hyperparameters.get_config()["space"]
            == (oracle.hyperparameters.get_config()["space"])
        )
        assert result_of(again) == result_of(oracle)


@pytest.mark.slow
def test_of_a_trial_whose_file_is_torn_at_any_place_the_values_are_kept(tmp_path):
    oracle = make_oracle(tmp_path)
    run(oracle, 4)
    whole = result_of(oracle)
    torn = whole | {"002": (oracle.trials["002"].hyperparameters.values, None)}
    file = tmp_path / "project" / "trial_002" / "trial.json"
    text = file.read_text()
    status = text.index(', "message"')
    for end in range(len(text)):
        file.write_text(text[:end])
        with pytest.warns(RuntimeWarning, match=r"trial_002/trial\.json is (torn|empty)"):
            again = reloaded(tmp_path)
        assert result_of(again) == (torn if end <= status else whole)


@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_a_trial_whose_file_is_lost_is_run_again_first(tmp_path, damage):
    oracle = make_oracle(tmp_path)
    run(oracle, 5)
    expected, values = result_of(oracle), oracle.trials["002"].hyperparameters.values
    file = tmp_path / "project" / "trial_002" / "trial.json"
    text = file.read_text()
    if damage == "missing":
        file.unlink()
    else:
        file.write_text(text[: len(text) // 2] if damage == "half" else "")
    with pytest.warns(RuntimeWarning, match=r"trial_002/trial\.json is .*: the trial is run again"):
        again = reloaded(tmp_path)
    assert run(again, 1) == [values]
    assert result_of(again) == expected
    run(again, 1)
    assert sorted(again.trials) == [f"00{i}" for i in range(6)]
    reloaded(tmp_path)  # without a warning


def test_a_torn_trial_of_another_oracle_fails_where_its_values_are_lost(tmp_path):
    random_search(tmp_path, 6)
    file = tmp_path / "project" / "trial_2" / "trial.json"
    file.write_text(file.read_text()[:30])
    with pytest.warns(RuntimeWarning, match=r"trial_2/trial\.json is torn: the trial is lost"):
        tuner = Parabola(max_trials=9, seed=0, **place(tmp_path))
    assert tuner.oracle.trials["2"].status == "FAILED"
    with pytest.warns(RuntimeWarning, match="trial_2"):
        Parabola(max_trials=9, seed=0, **place(tmp_path))
    tuner.search(verbose=0)
    assert sorted(tuner.oracle.trials) == list("012345678")
    assert [t for t, trial in tuner.oracle.trials.items() if trial.score is None] == ["2"]


def test_several_files_that_are_lost_are_named_in_one_warning(tmp_path):
    run(make_oracle(tmp_path), 6)
    project = tmp_path / "project"
    (project / "oracle.json").write_bytes(b"\xff\xfe")
    (project / "trial_001" / "trial.json").write_text("")
    (project / "trial_003" / "trial.json").write_text("[]")
    (project / "trial_004" / "trial.json").write_text('{"trial_id": "004"}')
    with pytest.warns(RuntimeWarning) as caught:
        again = reloaded(tmp_path)
    (message,) = [str(w.message) for w in caught if w.category is RuntimeWarning]
    for part in (
        "trial_001/trial.json is empty: the trial is lost",
        "trial_003/trial.json holds no JSON object: the trial is lost",
        "trial_004/trial.json is not the state of a trial: the trial is lost",
        "oracle.json is no text: the search is rebuilt",
    ):
        assert part in message
    assert len(run(again, 3)) == 3
    assert sorted(again.trials) == [f"{i:03d}" for i in range(9)]


def test_a_folder_in_which_nothing_can_be_read_is_named(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "oracle.json").write_text("{")
    with pytest.raises(RuntimeError, match=re.escape(f"{tmp_path / 'project'} holds nothing")):
        reloaded(tmp_path)
    with pytest.raises(RuntimeError, match="pass `overwrite=True`"):
        Parabola(**place(tmp_path))
    Parabola(overwrite=True, **place(tmp_path))
    (tmp_path / "project" / "oracle.json").write_text('{"seed": 1}')
    with pytest.raises(RuntimeError, match=r"oracle\.json has no 'ongoing_trials'.*overwrite=True"):
        reloaded(tmp_path)


# Tuners


class Parabola(FractalTuner):
    def run_trial(self, trial, **options):
        return (trial.hyperparameters.Float("x", -1.0, 1.0) - 0.3) ** 2


def place(folder):
    return {"directory": str(folder), "project_name": "project"}


def values_of(tuner):
    return [tuner.oracle.trials[t].hyperparameters["x"] for t in tuner.oracle.start_order]


@pytest.mark.parametrize("damage", ["missing", "empty", "{"])
def test_a_tuner_goes_on_without_the_file_of_the_tuner(tmp_path, damage):
    tuner = Parabola(max_trials=6, seed=0, **place(tmp_path))
    tuner.search(verbose=0)
    file = tmp_path / "project" / "tuner0.json"
    file.unlink() if damage == "missing" else file.write_text("" if damage == "empty" else damage)
    again = Parabola(max_trials=9, seed=0, **place(tmp_path))
    assert values_of(again) == values_of(tuner)
    again.search(verbose=0)
    unbroken = Parabola(max_trials=9, seed=0, directory=str(tmp_path), project_name="unbroken")
    unbroken.search(verbose=0)
    assert values_of(again) == values_of(unbroken)


def test_the_state_of_a_tuner_of_ones_own_is_not_lost_in_silence(tmp_path):
    class Counting(Parabola):
        n_trials = 0

        def run_trial(self, trial, **options):
            self.n_trials += 1
            return super().run_trial(trial)

        def get_state(self):
            return {"n_trials": self.n_trials}

        def set_state(self, state):
            self.n_trials = state["n_trials"]

    Counting(max_trials=3, seed=0, **place(tmp_path)).search(verbose=0)
    assert Counting(max_trials=3, seed=0, **place(tmp_path)).n_trials == 3
    file = tmp_path / "project" / "tuner0.json"
    file.write_text(file.read_text()[:5])
    with pytest.raises(RuntimeError, match=r"tuner0\.json is torn.*overwrite=True"):
        Counting(max_trials=3, seed=0, **place(tmp_path))


# Projects of other tuners


def random_search(folder, n_trials, base=keras_tuner.RandomSearch):
    """A project of another tuner."""
    tuner = type("Other", (base,), {"run_trial": Parabola.run_trial})(
        max_trials=n_trials, seed=1, **place(folder)
    )
    tuner.search(verbose=0)
    return tuner


# BayesianOptimization fits a Gaussian process that scikit-learn warns of.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["RandomSearch", "BayesianOptimization", "GridSearch"])
def test_a_project_of_another_tuner_is_continued(tmp_path, name):
    other = random_search(tmp_path, 6, getattr(keras_tuner, name))
    tuner = Parabola(max_trials=16, seed=0, **place(tmp_path))
    assert result_of(tuner.oracle) == result_of(other.oracle)
    assert tuner.remaining_trials == 10
    tuner.search(verbose=0)
    assert len(tuner.oracle.trials) == 16
    assert values_of(tuner)[:6] == values_of(other)
    assert [t.params["x"] for t in tuner.oracle.search.trials] == values_of(tuner)
    # It learned from them: it has no start that spreads trials over the space.
    fresh = Parabola(max_trials=4, seed=0, directory=str(tmp_path))
    fresh.search(verbose=0)
    assert values_of(tuner)[6:10] != values_of(fresh)
    assert tuner.oracle.get_best_trials()[0].score < 1e-3
    again = Parabola(max_trials=16, seed=0, **place(tmp_path))
    assert again.oracle.populate_space("x") == tuner.oracle.populate_space("x")


def test_a_project_that_is_taken_over_goes_on_with_the_seed_that_is_given(tmp_path):
    random_search(tmp_path, 2)
    proposed = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        shutil.copytree(tmp_path / "project", tmp_path / name / "project")
        tuner = Parabola(max_trials=6, seed=seed, **place(tmp_path / name))
        assert tuner.oracle.seed == seed
        tuner.search(verbose=0)
        proposed.append(values_of(tuner))
    assert proposed[0] == proposed[1] != proposed[2]
    assert Parabola(max_trials=6, seed=2, **place(tmp_path / "c")).oracle.seed == 1


def test_of_hyperband_the_trials_of_most_epochs_are_learned_from(tmp_path):
    class Other(keras_tuner.Hyperband):
        def run_trial(self, trial, **options):
            return Parabola.run_trial(self, trial) + 1 / trial.hyperparameters["tuner/epochs"]

    hp = keras_tuner.HyperParameters()
    hp.Float("x", -1.0, 1.0)
    other = Other(max_epochs=9, seed=0, hyperparameters=hp, **place(tmp_path))
    other.search(verbose=0)
    epochs = [t.hyperparameters["tuner/epochs"] for t in other.oracle.trials.values()]
    n, n_full = len(epochs), epochs.count(9)
    assert 0 < n_full < n
    tuner = Parabola(max_trials=n + 3, seed=0, **place(tmp_path))
    assert len(tuner.oracle.search.trials) == n_full
    tuner.search(verbose=0)
    assert len(tuner.oracle.trials) == n + 3
    assert len(tuner.oracle.search.trials) == n_full + 3


def test_a_project_of_another_objective_is_refused(tmp_path):
    random_search(tmp_path, 3)
    with pytest.raises(RuntimeError, match=r"trial 0 has \['default_objective'\], and not 'loss'"):
        Parabola(objective="loss", **place(tmp_path))


def test_a_torn_project_of_another_tuner_is_taken_over(tmp_path):
    # Keras Tuner overwrites its files in place: a kill may leave any beginning of them.
    other = random_search(tmp_path, 6)
    file = tmp_path / "project" / "oracle.json"
    file.write_text(file.read_text()[:100])
    with pytest.warns(RuntimeWarning, match=r"oracle\.json is torn: the search is rebuilt"):
        tuner = Parabola(max_trials=9, seed=0, **place(tmp_path))
    assert tuner.oracle.end_order == other.oracle.end_order
    tuner.search(verbose=0)
    assert values_of(tuner)[:6] == values_of(other)
    assert len(json.loads(file.read_text())["end_order"]) == 9
    with warnings.catch_warnings(action="error", category=RuntimeWarning):
        Parabola(max_trials=9, seed=0, **place(tmp_path))
