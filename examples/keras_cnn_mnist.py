"""Tune a small convolutional network with FractalTuner in the place of keras_tuner.RandomSearch.

Two hyperparameters, the number of convolution filters and of dense units; one epoch a trial.
MNIST comes from --data, else from the cache of Keras; without either, scikit-learn's bundled
digits stand in. Nothing is downloaded.
"""

import argparse
import os
import time
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

from fractal_tuner import FractalTuner, HistoryDisplay, ZoomPathDisplay


def load_images(data: Path | None, n_images: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Images in [0, 1] of shape (n, side, side, 1), labels, and where they come from."""
    cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "mnist.npz"
    file = cache if data is None else data / "mnist.npz" if data.is_dir() else data
    if file.exists():
        with np.load(file, allow_pickle=False) as arrays:
            x, y = arrays["x_train"][:n_images] / 255.0, arrays["y_train"][:n_images]
        return x[..., None], y, f"MNIST, {len(x)} images, from {file}"
    if data is not None:
        raise SystemExit(f"no MNIST in {data}: give the file mnist.npz or its folder")
    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 8, 8, 1) / 16.0, y, f"scikit-learn's digits, {len(x)} images of 8 x 8"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="mnist.npz or the folder that holds it")
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("cnn-mnist"), help="folder for results")
    parser.add_argument("--quick", action="store_true", help="few images, five trials")
    args = parser.parse_args()
    n_images, n_trials = (1000, 5) if args.quick else (8000, args.trials)

    x, y, source = load_images(args.data, n_images)
    print(f"{source}; {n_trials} trials of one epoch, a few seconds each")

    def build(hp):
        model = keras.Sequential(
            [
                keras.layers.Conv2D(hp.Int("conv_filters", 8, 64), 3, activation="relu"),
                keras.layers.MaxPooling2D(2),
                keras.layers.Flatten(),
                keras.layers.Dense(hp.Int("dense_units", 32, 256), activation="relu"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    keras.utils.set_random_seed(0)
    tuner = FractalTuner(
        build,
        objective="val_accuracy",
        max_trials=n_trials,
        seed=0,
        directory=args.out,
        project_name="trials",
        overwrite=True,
    )
    start = time.perf_counter()
    tuner.search(x, y, validation_split=0.2, epochs=1, verbose=0)

    best = tuner.oracle.get_best_trials()[0]
    print(f"{time.perf_counter() - start:.0f} s; best configuration {best.hyperparameters.values}")
    print(f"validation accuracy {best.score:.4f}")
    for display, name in [(HistoryDisplay, "history.png"), (ZoomPathDisplay, "zoom-path.png")]:
        figure = display.from_search(tuner, score_name="validation accuracy").plot().figure_
        figure.savefig(args.out / name, dpi=120)
        print("wrote", args.out / name)


if __name__ == "__main__":
    main()
