"""FractalTuner against Keras Tuner's own tuners: three tasks, equal trials, several seeds.

    python examples/keras_comparison.py --quick
    python examples/keras_comparison.py --seeds 5 --out keras-comparison

Tasks: a convolutional network on MNIST, a dense network on four newsgroups, a network on the table
of breast cancers that scikit-learn brings; four hyperparameters each. MNIST and the posts come from
--data (a folder with mnist.npz and scikit-learn's data), else from the caches of Keras and
scikit-learn, else scikit-learn's digits stand in. Nothing is downloaded.

Every trial trains for --epochs epochs. Hyperband, and FractalTuner with max_epochs, train most
trials for fewer: they get as many epochs as the others, --trials times --epochs, and what ends
after that does not count. GridSearch gets 20 points, a full grid of the middles of equal parts of
each range; the others get the ranges themselves.

Each run adds a line to comparison.csv in the folder --out, and is not repeated when that line is
there: the command continues where it was ended. At last a table and a picture are written.
"""

import argparse
import csv
import dataclasses
import gc
import math
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read as numpy is loaded

import numpy as np
from scipy.stats import rankdata
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fractal_tuner.gallery import keras_on_one_thread, mnist, newsgroups

keras = keras_on_one_thread()
import keras_tuner  # noqa: E402

from fractal_tuner import FractalTuner  # noqa: E402

layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Range:
    """The values of a hyperparameter; those on a grid are the middles of ``parts`` equal parts."""

    low: float
    high: float
    parts: int
    sampling: str = "log"

    def ask(self, hp, name: str, on_grid: bool):
        """The hyperparameter's value, from its whole range or from the grid."""
        whole = isinstance(self.low, int)
        if not on_grid:
            kind = hp.Int if whole else hp.Float
            return kind(name, self.low, self.high, sampling=self.sampling)
        share = (np.arange(self.parts) + 0.5) / self.parts
        is_log = self.sampling == "log"
        values = (
            self.low * (self.high / self.low) ** share
            if is_log
            else self.low + (self.high - self.low) * share
        )
        return hp.Choice(name, [round(v) if whole else float(v) for v in values])


@dataclasses.dataclass(frozen=True)
class Task:
    """Data, what is tuned, and the hidden layers of the network."""

    x: np.ndarray
    y: np.ndarray
    objective: str
    batch_size: int
    ranges: dict[str, Range]
    hidden: Callable[[dict[str, Any]], list]

    def parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Three fifths to train on, a fifth to choose by, and one that no tuner sees."""
        x, x_test, y, y_test = train_test_split(self.x, self.y, test_size=0.2, random_state=0)
        x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, random_state=0)
        return [(x, y), (x_val, y_val), (x_test, y_test)]

    def build(self, hp, on_grid: bool = False):
        chosen = {name: some.ask(hp, name, on_grid) for name, some in self.ranges.items()}
        output = layers.Dense(int(self.y.max()) + 1, activation="softmax")
        inputs = layers.Input(self.x.shape[1:])
        model = keras.Sequential([inputs, *self.hidden(chosen), output])
        model.compile(
            keras.optimizers.AdamW(chosen["rate"], chosen.get("decay", 0.0)),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,  # it takes longer than networks as small as these train
        )
        return model


def images(data: Path | None) -> Task:
    x, y, source = mnist(data and data / "mnist.npz", 8000)
    print("images:", source)

    def hidden(chosen):
        return [
            layers.Conv2D(chosen["filters"], 5, strides=4, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(chosen["units"], activation="relu"),
            layers.Dropout(chosen["dropout"]),
        ]

    ranges = {
        "rate": Range(1e-4, 1e-1, 5),
        "filters": Range(2, 16, 2),
        "units": Range(8, 64, 2),
        "dropout": Range(0.0, 0.6, 1, "linear"),
    }
    return Task(x.astype("float32"), y, "val_accuracy", 512, ranges, hidden)


def posts(data: Path | None) -> Task:
    x, y, source = newsgroups(data)
    print("posts:", source)

    def hidden(chosen):
        return [
            layers.Dense(chosen["units"], activation="relu"),
            layers.Dropout(chosen["dropout"]),
        ]

    ranges = {
        "rate": Range(1e-4, 1e-1, 5),
        "units": Range(4, 32, 2),
        "decay": Range(1e-4, 1.0, 2),
        "dropout": Range(0.0, 0.6, 1, "linear"),
    }
    return Task(x.astype("float32"), y, "val_accuracy", 256, ranges, hidden)


def table(data: Path | None) -> Task:
    x, y = load_breast_cancer(return_X_y=True)
    print(f"table: {len(x)} breast cancers from scikit-learn")

    def hidden(chosen):
        return [
            layers.Dense(chosen["units"], activation="relu"),
            layers.Dropout(chosen["dropout"]),
            layers.Dense(chosen["units"], activation="relu"),
        ]

    ranges = {
        "rate": Range(1e-4, 1e-1, 5),
        "units": Range(4, 128, 2),
        "decay": Range(1e-4, 1.0, 2),
        "dropout": Range(0.0, 0.6, 1, "linear"),
    }
    return Task(
        StandardScaler().fit_transform(x).astype("float32"), y, "val_loss", 32, ranges, hidden
    )


TASKS = {"images": images, "posts": posts, "table": table}


def hyperband(hypermodel, objective, trials, epochs, **options):
    options |= {"max_epochs": epochs, "hyperband_iterations": trials}  # stopped by the epochs
    return keras_tuner.Hyperband(hypermodel, objective, **options)


def halving(hypermodel, objective, trials, epochs, **options):
    options |= {"max_epochs": epochs, "max_trials": None}
    return FractalTuner(hypermodel, objective, **options)


def by_trials(tuner_class):
    return lambda hypermodel, objective, trials, epochs, **options: tuner_class(
        hypermodel, objective, max_trials=trials, **options
    )


TUNERS = {
    "RandomSearch": by_trials(keras_tuner.RandomSearch),
    "GridSearch": by_trials(keras_tuner.GridSearch),
    "BayesianOptimization": by_trials(keras_tuner.BayesianOptimization),
    "Hyperband": hyperband,
    "FractalTuner": by_trials(FractalTuner),
    "FractalTuner, max_epochs": halving,
}


class Meter:
    """Measures what an oracle takes, and ends a search when its epochs are spent."""

    def __init__(self, tuner, epochs: int, budget: int) -> None:
        self.cpu_seconds = 0.0
        self.oracle, self._epochs, self._budget = tuner.oracle, epochs, budget
        self._create, self._end = self.oracle.create_trial, self.oracle.end_trial
        self.oracle.create_trial, self.oracle.end_trial = self.create_trial, self.end_trial

    def create_trial(self, tuner_id):
        if sum(map(self.epochs_of, self.oracle.trials.values())) >= self._budget:
            self.oracle.max_trials = len(self.oracle.trials)
        return self._timed(self._create, tuner_id)

    def end_trial(self, trial):
        return self._timed(self._end, trial)

    def _timed(self, call, argument):
        start = time.thread_time()
        try:
            return call(argument)
        finally:
            self.cpu_seconds += time.thread_time() - start

    def epochs_of(self, trial) -> int:
        values = trial.hyperparameters.values
        return values.get("tuner/epochs", self._epochs) - values.get("tuner/initial_epoch", 0)

    def within(self, budget: int) -> list:
        """The trials that ended before ``budget`` epochs were spent."""
        trials = [self.oracle.trials[t] for t in self.oracle.end_order]
        spent = np.cumsum([self.epochs_of(trial) for trial in trials])
        return [
            t for t, s in zip(trials, spent, strict=True) if s <= budget and t.score is not None
        ]


def run(task: Task, tuner_name: str, seed: int, trials: int, epochs: int) -> dict[str, Any]:
    """One search: the scores of its best at half of the budget and at all of it, and its costs."""
    train, validation, test = task.parts()
    keras.utils.set_random_seed(seed)
    budget = trials * epochs
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tuner = TUNERS[tuner_name](
            lambda hp: task.build(hp, on_grid=tuner_name == "GridSearch"),
            task.objective,
            trials,
            epochs,
            seed=seed + 1,  # Keras Tuner takes 0 for no seed
            directory=folder,
        )
        meter = Meter(tuner, epochs, budget)
        tuner.search(
            *train,
            validation_data=validation,
            epochs=epochs,
            batch_size=task.batch_size,
            validation_batch_size=len(validation[1]),
            verbose=0,
        )
        seconds = time.perf_counter() - start
        best_of = max if task.objective == "val_accuracy" else min
        best = best_of(meter.within(budget), key=lambda trial: trial.score)
        model = tuner.load_model(best)
        tested = model.evaluate(*test, verbose=0, return_dict=True)
        ended = len(tuner.oracle.end_order)
    return {
        "best_at_half": best_of(trial.score for trial in meter.within(budget // 2)),
        "best": best.score,
        "test": tested[task.objective.removeprefix("val_")],
        "trials": ended,
        "epochs": sum(map(meter.epochs_of, tuner.oracle.trials.values())),
        "oracle_ms": 1000 * meter.cpu_seconds / ended,
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def read(path: Path, budget: str) -> list[dict[str, Any]]:
    """The runs in a file that had this budget."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["budget"] == budget]


def append(path: Path, row: dict[str, Any]) -> None:
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def is_better(task: str) -> int:
    """1 where a larger score is better, -1 where a smaller one is: the loss of the table."""
    return -1 if task == "table" else 1


def summary(rows: list[dict[str, Any]], tasks: list[str], tuners: list[str]) -> str:
    """A table of all runs that every one of the tuners has made."""
    found = {(r["task"], r["tuner"], r["seed"]): r for r in rows}
    seeds = sorted({r["seed"] for r in rows})
    draws = [
        (task, seed)
        for task in tasks
        for seed in seeds
        if all((task, tuner, seed) in found for tuner in tuners)
    ]

    def column(tuner: str, name: str, only: str | None = None) -> np.ndarray:
        return np.array(
            [
                float(found[task, tuner, seed][name])
                for task, seed in draws
                if only is None or task == only
            ]
        )

    signs = np.array([is_better(task) for task, _ in draws])
    scores = np.array([signs * column(tuner, "best") for tuner in tuners])
    ranks = rankdata(-scores, axis=0).mean(axis=1)
    beaten = (np.sign(scores[-1] - scores) + 1).sum(axis=1) / 2  # equals count half
    measures = [f"{task}, {'loss' if is_better(task) < 0 else 'accuracy'}" for task in tasks]
    head = ["tuner", *measures, "mean rank", "beaten", "trials", "oracle, ms per trial"]
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    for tuner, rank, times in zip(tuners, ranks, beaten, strict=True):
        cells = [tuner]
        for task in tasks:
            best, test = column(tuner, "best", task), column(tuner, "test", task)
            spread = best.std(ddof=1) if len(best) > 1 else math.nan
            cells.append(f"{best.mean():.4f} ± {spread:.4f} ({test.mean():.3f})")
        cells += [f"{rank:.1f}", "" if tuner == tuners[-1] else f"{times:g} of {len(draws)}"]
        cells += [
            f"{column(tuner, name).mean():.{n}f}" for name, n in (("trials", 0), ("oracle_ms", 1))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Best validation score, mean ± standard deviation over seeds "
        f"({len(draws) // len(tasks)}), and in brackets the score of that model on data that no "
        f"tuner saw. Rank 1 is best. Beaten: by {tuners[-1]!r}; equals count half.",
    ]
    return "\n".join(lines) + "\n"


def draw(rows: list[dict[str, Any]], tasks: list[str], tuners: list[str], path: Path) -> None:
    """A dot for each run and a line for the mean, better to the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(tasks), 0.4 * len(tuners) + 1.2), layout="constrained")
    for ax, task in zip(
        figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0], tasks, strict=True
    ):
        for y, tuner in enumerate(tuners):
            some = [float(r["best"]) for r in rows if (r["task"], r["tuner"]) == (task, tuner)]
            ax.plot(some, [y] * len(some), "o", alpha=0.5)
            ax.plot([np.mean(some)] * 2, [y - 0.3, y + 0.3], "k")
        ax.set_yticks(range(len(tuners)), tuners)
        ax.set_title(task)
        ax.set_xlabel("validation accuracy" if is_better(task) > 0 else "validation loss")
        if is_better(task) < 0:
            ax.invert_xaxis()
    ax.invert_yaxis()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {"nargs": "+", "metavar": "NAME"}
    parser.add_argument("--tasks", choices=TASKS, default=list(TASKS), **names)
    parser.add_argument("--tuners", choices=TUNERS, default=list(TUNERS), **names)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=9, help="of a full training")
    parser.add_argument("--data", type=Path, help="folder with mnist.npz and scikit-learn's data")
    parser.add_argument("--out", type=Path, default=Path("keras-comparison"), help="a folder")
    parser.add_argument("--quick", action="store_true", help="one seed, four trials, three epochs")
    args = parser.parse_args()
    if args.quick:
        args.seeds, args.trials, args.epochs = 1, 4, 3
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "comparison.csv"

    budget = f"{args.trials} x {args.epochs}"
    tasks = {name: TASKS[name](args.data) for name in args.tasks}
    gc.freeze()  # Keras collects garbage before each trial, and need not look at its own modules
    done = {(r["task"], r["tuner"], r["seed"]) for r in read(path, budget)}
    for seed in range(args.seeds):
        for name, task in tasks.items():
            for tuner in args.tuners:
                if (name, tuner, str(seed)) not in done:
                    result = run(task, tuner, seed, args.trials, args.epochs)
                    row = {"task": name, "tuner": tuner, "seed": seed, "budget": budget}
                    append(path, row | result)
                    print(f"{name}, {tuner}, seed {seed}: {result['best']:.4f}", flush=True)

    rows = [r for r in read(path, budget) if int(r["seed"]) < args.seeds]
    text = summary(rows, args.tasks, args.tuners)
    print(text)
    (args.out / "comparison.md").write_text(text, encoding="utf-8")
    draw(rows, args.tasks, args.tuners, args.out / "comparison.png")
    print("wrote", args.out / "comparison.md", "and", args.out / "comparison.png")


if __name__ == "__main__":
    main()
