"""Tune a dense text classifier with FractalTuner in the place of keras_tuner.RandomSearch.

TF-IDF of four newsgroups; two hyperparameters, the hidden units and, on a log scale, the learning
rate. The posts come from --data or else from scikit-learn's data folder; without either,
scikit-learn's bundled digits stand in for them. Nothing is downloaded.
"""

import argparse
import time
from pathlib import Path

import keras
from sklearn.model_selection import train_test_split

from fractal_tuner import FractalTuner, HistoryDisplay, ZoomPathDisplay
from fractal_tuner.gallery import newsgroups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="scikit-learn's data folder")
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("newsgroups"), help="folder for results")
    parser.add_argument("--quick", action="store_true", help="few posts, five trials")
    args = parser.parse_args()
    n_posts, n_trials = (500, 5) if args.quick else (None, args.trials)

    x, y, source = newsgroups(args.data, n_posts)
    print(f"{source}; {n_trials} trials of five epochs, a few seconds each")
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.2, random_state=42)

    def build(hp):
        model = keras.Sequential(
            [
                keras.layers.Dense(hp.Int("hidden_units", 32, 256), activation="relu"),
                keras.layers.Dense(int(y.max()) + 1, activation="softmax"),
            ]
        )
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        loss = "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
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
    tuner.search(x_train, y_train, validation_data=(x_val, y_val), epochs=5, verbose=0)

    best = tuner.oracle.get_best_trials()[0]
    print(f"{time.perf_counter() - start:.0f} s; best configuration {best.hyperparameters.values}")
    print(f"validation accuracy {best.score:.4f}")
    for display, name in [(HistoryDisplay, "history.png"), (ZoomPathDisplay, "zoom-path.png")]:
        figure = display.from_search(tuner, score_name="validation accuracy").plot().figure_
        figure.savefig(args.out / name, dpi=120)
        print("wrote", args.out / name)


if __name__ == "__main__":
    main()
