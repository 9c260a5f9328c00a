"""FractalTuner on each backend of Keras that is installed, in a process of its own."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytest.importorskip("keras_tuner")

pytestmark = [pytest.mark.keras, pytest.mark.slow]

SEARCH = """
import json, sys
import keras, numpy as np
from fractal_tuner import FractalTuner

def build(hp):
    hidden = keras.layers.Dense(hp.Int("units", 2, 16), hp.Choice("activation", ["relu", "tanh"]))
    model = keras.Sequential([keras.layers.Input((3,)), hidden, keras.layers.Dense(1)])
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model

def search(max_trials):
    tuner = FractalTuner(
        build, "val_loss", max_trials=max_trials, max_epochs=4, factor=2, seed=0, directory="."
    )
    tuner.search(x, y, validation_split=0.5, batch_size=10, verbose=0)
    return tuner

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
y = x @ np.array([1.0, -2.0, 0.5], "float32")
search(7)
tuner = search(9)  # goes on
(model,) = tuner.get_best_models()
best = tuner.oracle.get_best_trials()[0]
json.dump(
    {
        "backend": keras.backend.backend(),
        "runs": [
            [trial.hyperparameters.values[f"tuner/{name}"] for name in ("initial_epoch", "epochs")]
            for trial in tuner.oracle.trials.values()
        ],
        "statuses": sorted({t.status for t in tuner.oracle.trials.values()}),
        "score": best.score,
        "loss of the model": model.evaluate(x[20:], y[20:], verbose=0),
    },
    open("result.json", "w"),
)
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_search_runs_continues_and_gives_its_best_model(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    env = os.environ | {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SEARCH], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["backend"] == backend
    assert result["statuses"] == ["COMPLETED"]
    assert len(result["runs"]) == 9
    assert {tuple(run) for run in result["runs"]} == {(0, 1), (1, 2), (2, 4)}
    assert result["loss of the model"] == pytest.approx(result["score"], rel=1e-3)
