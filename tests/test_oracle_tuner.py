"""FractalTuner and other tuners with a FractalOracle: what a user of Keras Tuner sees."""

import math

import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner")

import keras  # noqa: E402

from fractal_tuner import noise_share  # noqa: E402
from fractal_tuner.oracle import FractalOracle, FractalTuner  # noqa: E402
from fractal_tuner.readers import read  # noqa: E402

pytestmark = [
    pytest.mark.keras,
    # Keras Tuner 1.4.8 asks for the name of the thread in a deprecated way.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
    # It also takes the best of all epochs where each is NaN.
    pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning"),
]


def keras_models(test):
    """Mark a test that trains models: slow, with what Keras 3 warns of whatever the tuner."""
    for mark in (
        pytest.mark.slow,
        pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
        pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),
    ):
        test = mark(test)
    return test


SCORE = keras_tuner.Objective("score", "max")

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")
DATA = {"x": X, "y": Y, "validation_data": (X, Y), "epochs": 1, "verbose": 0}


def build(hp):
    """A small network whose second layer has a condition."""
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(hp.Int("units", 2, 8), activation="relu"))
    is_deep = hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        if is_deep:
            model.add(keras.layers.Dense(hp.Choice("second", [2, 4]), activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


class Parabola(FractalTuner):
    def run_trial(self, trial, **options):
        return (trial.hyperparameters.Float("x", -1.0, 1.0) - 0.3) ** 2


# Models of Keras


@keras_models
def test_a_model_is_tuned_rebuilt_and_summarized(tmp_path, capsys):
    options = {"objective": "val_accuracy", "seed": 0, "directory": tmp_path}
    tuner = FractalTuner(build, max_trials=3, **options)
    tuner.search_space_summary()
    assert "Default search space size: 4" in capsys.readouterr().out
    tuner.search(**DATA)
    assert len(tuner.oracle.trials) == 3
    best = tuner.oracle.get_best_trials()[0]
    model = tuner.get_best_models()[0]
    assert model.evaluate(X, Y, verbose=0)[1] == pytest.approx(best.score)
    tuner.results_summary()
    assert f"Score: {best.score}" in capsys.readouterr().out

    tuner = FractalTuner(build, max_trials=4, **options)
    assert tuner.remaining_trials == 1
    assert tuner.get_best_models()[0].evaluate(X, Y, verbose=0)[1] == pytest.approx(best.score)
    tuner.search(**DATA)
    assert len(tuner.oracle.trials) == 4
    assert len(FractalTuner(build, max_trials=4, overwrite=True, **options).oracle.trials) == 0


@keras_models
def test_executions_of_a_model_are_kept(tmp_path):
    options = {"max_trials": 2, "seed": 0, "executions_per_trial": 2, "directory": tmp_path}
    tuner = FractalTuner(build, "val_loss", **options)
    tuner.search(**DATA)
    for trial in tuner.oracle.search.trials:
        first, second = trial.folds
        assert first != second
        assert trial.score == pytest.approx((first + second) / 2)


@keras_models
def test_hyperparameters_found_in_build_and_in_fit_are_tuned(tmp_path):
    class Late(keras_tuner.HyperModel):
        def build(self, hp):
            model = build(hp)
            if hp.get("units") > 3:
                hp.Choice("found in build", [1, 2])
            return model

        def fit(self, hp, model, **options):
            return model.fit(batch_size=hp.Choice("batch size", [16, 32]), **options)

    tuner = FractalTuner(Late(), "val_loss", max_trials=8, seed=0, directory=tmp_path)
    tuner.search(**DATA)
    names = {"units", "deep", "second", "rate", "found in build", "batch size"}
    assert {hp.name for hp in tuner.oracle.get_space().space} == names
    assert set(tuner.oracle.search.space.names) == names
    trials = list(tuner.oracle.trials.values())
    for name in ("found in build", "batch size"):
        assert len({t.hyperparameters.values[name] for t in trials[1:]}) == 2


@keras_models
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:tensorboard")
def test_the_hyperparameters_are_in_tensorboard_as_with_other_tuners(tmp_path):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    seen = {}
    for base in (FractalTuner, keras_tuner.RandomSearch):
        logs = tmp_path / base.__name__ / "logs"
        options = {"max_trials": 3, "seed": 1, "directory": logs.parent}
        tuner = base(build, "val_loss", executions_per_trial=2, **options)
        tuner.search(**DATA, callbacks=[keras.callbacks.TensorBoard(logs)])
        runs = EventMultiplexer().AddRunsFromDirectory(str(logs)).Reload()
        found = runs.PluginRunToTagToContent("hparams")
        for run, tags in found.items():
            trial = tuner.oracle.trials[run.partition("/")[0]]
            start, end = (
                HParamsPluginData.FromString(tags[f"_hparams_/session_{when}_info"])
                for when in ("start", "end")
            )
            shown = {
                name: getattr(value, value.WhichOneof("kind"))
                for name, value in start.session_start_info.hparams.items()
            }
            assert shown == trial.hyperparameters.values
            assert start.session_start_info.group_name == trial.trial_id
            assert end.session_end_info.status == STATUS_SUCCESS
            scalars = {name for r in runs.Runs() for name in runs.Runs()[r]["tensors"]}
            assert "epoch_loss" in scalars
        seen[base] = set(found)
    assert seen[FractalTuner] == seen[keras_tuner.RandomSearch]
    assert len(seen[FractalTuner]) == 6


# Options of Keras Tuner


def test_given_hyperparameters_override_those_of_the_model(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Fixed("kind", "b")
    hp.Int("n", 5, 6)

    class Tuner(FractalTuner):
        def run_trial(self, trial, **options):
            hp = trial.hyperparameters
            assert hp.Choice("kind", ["a", "b"]) == "b"
            return hp.Int("n", 1, 9) + hp.Int("m", 1, 2)

    names = []
    for tune in (True, False):
        options = {"seed": 0, "directory": tmp_path, "project_name": str(tune)}
        tuner = Tuner(hyperparameters=hp.copy(), tune_new_entries=tune, **options)
        tuner.search(verbose=0)
        assert {t.hyperparameters["n"] for t in tuner.oracle.trials.values()} == {5, 6}
        assert {t.hyperparameters["m"] for t in tuner.oracle.trials.values()} == (
            {1, 2} if tune else {1}
        )
        names.append({h.name for h in tuner.oracle.get_space().space})
    assert names == [{"kind", "n", "m"}, {"kind", "n"}]


def test_entries_that_are_not_allowed_are_refused_at_once(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 2, 8)
    options = {"hyperparameters": hp, "allow_new_entries": False, "directory": tmp_path}
    with pytest.raises(RuntimeError, match="allow_new_entries"):
        FractalTuner(lambda hp: hp.Int("units", 2, 8) + hp.Int("new", 1, 2), "loss", **options)


def test_several_objectives_are_one_sum_with_signs(tmp_path):
    class Tuner(FractalTuner):
        def run_trial(self, trial, **options):
            x = trial.hyperparameters.Float("x", 0.0, 1.0)
            return [{"a": x + d, "b": 3 * x, "multi_objective": 2 * x - d} for d in (-0.1, 0.1)]

    objective = [keras_tuner.Objective("a", "max"), keras_tuner.Objective("b", "min")]
    tuner = Tuner(objective=objective, max_trials=12, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.get_best_hyperparameters()[0]["x"] == 0.0
    assert tuner.oracle.search.best_trial.folds == pytest.approx((-0.1, 0.1))


def test_a_trial_that_crashes_is_run_again_and_then_failed(tmp_path):
    class Shaky(FractalTuner):
        def run_trial(self, trial, **options):
            x = trial.hyperparameters.Int("x", 1, 4)
            runs[x] = runs.get(x, 0) + 1
            if x == 2 or (x == 3 and runs[x] < 3):
                raise ValueError("out of luck")
            return x

    runs = {}
    tuner = Shaky(max_retries_per_trial=2, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert runs == {1: 1, 2: 3, 3: 3, 4: 1}
    status = {t.hyperparameters["x"]: t.status for t in tuner.oracle.trials.values()}
    assert status == {1: "COMPLETED", 2: "FAILED", 3: "COMPLETED", 4: "COMPLETED"}


def test_too_many_failures_in_a_row_end_the_search_with_the_last_error(tmp_path):
    class Broken(FractalTuner):
        def run_trial(self, trial, **options):
            trial.hyperparameters.Int("x", 1, 9)
            raise ValueError("out of luck")

    tuner = Broken(max_consecutive_failed_trials=4, seed=0, directory=tmp_path)
    with pytest.raises(RuntimeError, match=r"(?s)exceeded the limit of 4.*out of luck"):
        tuner.search(verbose=0)
    assert len(tuner.oracle.trials) == 4


def test_a_fatal_error_ends_the_search_and_its_trial_is_run_again_later(tmp_path):
    class Fatal(Parabola):
        is_mended = False

        def run_trial(self, trial, **options):
            if len(self.oracle.trials) == 4 and not self.is_mended:
                raise keras_tuner.errors.FatalError("the disk is gone")
            return super().run_trial(trial)

    tuner = Fatal(max_trials=6, seed=0, directory=tmp_path)
    with pytest.raises(keras_tuner.errors.FatalError, match="the disk is gone"):
        tuner.search(verbose=0)
    Fatal.is_mended = True
    tuner = Fatal(max_trials=6, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    unbroken = Parabola(max_trials=6, seed=0, directory=tmp_path, project_name="unbroken")
    unbroken.search(verbose=0)
    assert tuner.oracle.start_order == unbroken.oracle.start_order
    for name, trial in unbroken.oracle.trials.items():
        assert tuner.oracle.trials[name].hyperparameters.values == trial.hyperparameters.values


# Executions


class Noisy(FractalTuner):
    """Three executions of each trial, whose scores differ."""

    def run_trial(self, trial, **options):
        x = trial.hyperparameters.Float("x", 0.0, 1.0)
        rng = np.random.default_rng([int(1e6 * x)])
        return [(x - 0.3) ** 2 + 0.1 * z for z in rng.standard_normal(3)]


def test_the_spread_of_executions_is_the_noise_of_the_scores(tmp_path):
    tuner = Noisy(max_trials=20, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    for trial in tuner.oracle.search.trials:
        assert len(trial.folds) == 3
        assert trial.score == pytest.approx(np.mean(trial.folds))
        assert trial.score == -tuner.oracle.trials[trial.details["trial_id"]].score
    again = Noisy(max_trials=20, seed=0, directory=tmp_path)
    for trials in (tuner.oracle.search.trials, again.oracle.search.trials, read(tmp_path).trials):
        noise = noise_share(trials)
        assert noise.source == "folds"
        assert noise.sd == pytest.approx(0.1 / math.sqrt(3), rel=0.3)


@pytest.mark.parametrize(
    "results",
    [
        lambda x: [x, x + 0.2],
        lambda x: [{"a": x}, {"a": x + 0.2, "b": 1.0}],
        lambda x: [np.float32(x), {"a": float(np.float32(x)) + 0.2}],
    ],
    ids=["numbers", "metrics", "both"],
)
def test_scores_of_several_executions_are_those_of_keras_tuner(tmp_path, results):
    def run_trial(self, trial, **options):
        return results(trial.hyperparameters.Choice("x", [0.25, 0.5]))

    scores = []
    for base in (FractalTuner, keras_tuner.RandomSearch):
        tuner = type("Tuner", (base,), {"run_trial": run_trial})(
            objective=keras_tuner.Objective("a", "max"),
            max_trials=5,
            directory=tmp_path,
            project_name=base.__name__,
        )
        tuner.search(verbose=0)
        scores.append(sorted(trial.score for trial in tuner.oracle.trials.values()))
    assert scores[0] == scores[1] == pytest.approx([0.35, 0.6])


@pytest.mark.parametrize("results", [[math.nan, 1.0], [], [1.0, "a string"]])
def test_executions_without_a_score_fail_as_in_keras_tuner(tmp_path, results):
    class Bad(FractalTuner):
        def run_trial(self, trial, **options):
            trial.hyperparameters.Int("x", 1, 3)
            return results

    tuner = Bad(max_trials=3, max_consecutive_failed_trials=2, directory=tmp_path)
    with pytest.raises((RuntimeError, TypeError), match=r"consecutive failures|a string"):
        tuner.search(verbose=0)


def test_a_score_of_ones_own_making_has_no_executions(tmp_path):
    class Cautious(FractalOracle):
        def score_trial(self, trial):
            super().score_trial(trial)
            trial.score -= 10.0

    class Tuner(keras_tuner.Tuner):
        def run_trial(self, trial, **options):
            x = trial.hyperparameters.Int("x", 1, 3)
            for value in (x, x + 1.0):
                self.oracle.update_trial(trial.trial_id, {"score": value})
            return 0.0

    for oracle, folds in ((Cautious, ()), (FractalOracle, (1.0, 2.0))):
        tuner = Tuner(oracle(SCORE, seed=0), directory=tmp_path, project_name=oracle.__name__)
        with pytest.warns(DeprecationWarning, match="update_trial"):
            tuner.search(verbose=0)
        assert {t.params["x"]: t.folds for t in tuner.oracle.search.trials}[1] == folds


# Other tuners, and options


def test_scikit_learn_models_are_tuned(tmp_path):
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    def build(hp):
        if hp.Choice("model", ["tree", "line"]) == "tree":
            with hp.conditional_scope("model", ["tree"]):
                return DecisionTreeClassifier(max_depth=hp.Int("depth", 1, 6), random_state=0)
        with hp.conditional_scope("model", ["line"]):
            regularity = hp.Float("C", 1e-3, 1e3, sampling="log")
            return LogisticRegression(C=regularity, max_iter=1000)

    tuner = keras_tuner.tuners.SklearnTuner(
        oracle=FractalOracle(keras_tuner.Objective("score", "max"), max_trials=12, seed=0),
        hypermodel=build,
        directory=tmp_path,
    )
    x, y = load_iris(return_X_y=True)
    tuner.oracle.verbose = 0
    tuner.search(x, y)
    assert {t.hyperparameters["model"] for t in tuner.oracle.trials.values()} == {"tree", "line"}
    assert tuner.oracle.get_best_trials()[0].score > 0.9


def test_a_name_under_three_conditions_is_built(tmp_path):
    # Keras Tuner alone loses the value while it looks for conditions (KeyError).
    def build(hp):
        kind = hp.Choice("kind", ["a", "b", "c"])
        for name in ("a", "b", "c"):
            with hp.conditional_scope("kind", [name]):
                units = hp.Int("units", 1, 2)
                assert (units is not None) == (kind == name)
        return kind

    class Tuner(FractalTuner):
        def run_trial(self, trial, **options):
            return float(len(self.hypermodel.build(trial.hyperparameters)))

    tuner = Tuner(build, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert len(tuner.oracle.trials) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "random"}, "strategy must be 'zoom' or 'factorial', got 'random'"),
        ({"points_per_dim": 0}, "points_per_dim must be at least 1"),
        ({"levels": 0}, "levels must be at least 1"),
        ({"worker_timeout": 0}, "worker_timeout must be None or a positive number, got 0"),
        ({"worker_timeout": "60"}, "worker_timeout must be None or a positive number, got '60'"),
        ({"strategy": "factorial", "max_trials": 3}, "the grid has 5 points"),
        ({"unknown": 1}, "Unrecognized arguments"),
    ],
)
def test_a_bad_option_is_named_at_once(tmp_path, options, message):
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    with pytest.raises(ValueError, match=message):
        FractalTuner(lambda hp: None, "loss", hyperparameters=hp, directory=tmp_path, **options)


def test_a_tuner_needs_a_hypermodel_or_a_run_trial(tmp_path):
    with pytest.raises(ValueError, match="hypermodel=None"):
        FractalTuner(None, "loss", directory=tmp_path)


@pytest.mark.parametrize("options", [{"max_trials": -1}, {"max_trials": 2.5}, {"seed": 1.5}])
def test_an_invalid_budget_or_seed_is_named_at_once(options):
    with pytest.raises((TypeError, ValueError), match=next(iter(options))):
        FractalOracle("loss", **options)
