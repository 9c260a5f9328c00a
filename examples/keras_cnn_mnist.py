"""Tune a small convolutional network with FractalTuner in the place of keras_tuner.RandomSearch.

Two hyperparameters, the number of convolution filters and of dense units; one epoch a trial.
MNIST comes from --data, else from the cache of Keras; without either, scikit-learn's bundled
digits stand in. Nothing is downloaded.
"""

import argparse
import time
from pathlib import Path

import keras

from fractal_tuner import FractalTuner, HistoryDisplay, ZoomPathDisplay
from fractal_tuner.gallery import mnist


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="mnist.npz or the folder that holds it")
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("cnn-mnist"), help="folder for results")
    parser.add_argument("--quick", action="store_true", help="few images, five trials")
    args = parser.parse_args()
    n_images, n_trials = (1000, 5) if args.quick else (8000, args.trials)

    x, y, source = mnist(args.data, n_images)
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
