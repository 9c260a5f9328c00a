"""A report of somebody else's search: GridSearchCV, Optuna and Keras Tuner, none run by us.

Three searches classify the handwritten digits that scikit-learn brings, each as its own tool runs
it. `analyze` then reads the finished search, the study and the tuner, and says what was found, how
far to trust it and what to do next. Only the grid search knows its noise, from the scores of its
folds, and only there it is known which of the others are as good as the best. Optuna and Keras
Tuner were told one number a trial, and the report says that it cannot know.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC

from fractal_tuner import LandscapeDisplay, analyze
from fractal_tuner.gallery import keras_on_one_thread, options, save
from fractal_tuner.progress import progress

args = options(
    __doc__,
    takes="about 40 seconds",
    quick="about 20 seconds: fewer trials",
)
X, y = load_digits(return_X_y=True)
X, y = X[:600] / 16, y[:600]


def grid_search():
    """A grid of 6 x 6 (with --quick 3 x 3), five folds each."""
    n = 3 if args.quick else 6
    grid = {"C": np.logspace(-1, 2, n), "gamma": np.logspace(-3, 0, n)}
    return GridSearchCV(SVC(), grid, cv=5).fit(X, y)


def optuna_study():
    """Forty trials (with --quick ten) of Optuna's default sampler, on the same space and folds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def accuracy(trial):
        model = SVC(
            C=trial.suggest_float("C", 1e-1, 1e2, log=True),
            gamma=trial.suggest_float("gamma", 1e-3, 1, log=True),
        )
        return cross_val_score(model, X, y, cv=5).mean()

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=0), study_name="digits"
    )
    study.optimize(accuracy, n_trials=10 if args.quick else 40)
    return study


def keras_search():
    """Fifteen trials (with --quick four) of a dense network, on a fifth of the images."""
    import keras_tuner

    keras = keras_on_one_thread()
    keras.utils.set_random_seed(0)

    def build(hp):
        units = hp.Int("units", 16, 256, sampling="log")
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        model = keras.Sequential(
            [
                keras.layers.Dense(units, activation="relu"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        loss = "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        return model

    tuner = keras_tuner.RandomSearch(
        build,
        objective="val_accuracy",
        max_trials=4 if args.quick else 15,
        seed=0,
        directory=args.out,
        project_name="10-keras-tuner",
        overwrite=True,
    )
    tuner.search(X, y, validation_split=0.2, epochs=5, verbose=0)
    return tuner


SEARCHES = [
    ("GridSearchCV", "10-grid-search.html", None, grid_search),
    ("Optuna", "10-optuna.html", "optuna", optuna_study),
    ("Keras Tuner", "10-keras-tuner.html", "keras", keras_search),
]
finished = []
for name, file, extra, search in progress(SEARCHES, "searching"):
    try:
        finished.append((name, file, search()))
    except ImportError:
        print(f"{name} is left out: it needs pip install 'fractal-tuner[{extra}]'\n")

size = (4.4 * len(finished), 4.6)
figure, axes = plt.subplots(1, len(finished), figsize=size, layout="constrained", squeeze=False)
for ax, (name, file, search) in zip(axes[0], finished, strict=True):
    report = analyze(search)
    print(f"{name}\n{report}\nwrote {report.save(args.out / file)}\n")
    kind = "raw" if report.landscape.is_grid else "smoothed"
    display = LandscapeDisplay.from_search(search, dims=report.dims, kind=kind)
    display.plot(ax)
    ax.set_title(f"{name}: {display.title.lower()}", loc="left", pad=36)  # above the legend
save(figure, args.out / "10-other-searches.png")
