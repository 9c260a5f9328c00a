"""``demo``: tune a support vector machine on the digits, and draw what happened."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fractal_tuner.cli.arguments import Commands, add_command, add_json, whole_number
from fractal_tuner.cli.exits import Exit, cannot_write
from fractal_tuner.cli.printing import busy, print_json

if TYPE_CHECKING:
    from fractal_tuner.report import HistoryDisplay

_FOLDS = 4  # shared evenly by two or four processors
_C = 1e-2, 1e3
_GAMMA = 1e-5, 1.0
_LEAST_TRIALS = 4  # a grid of two by two
_METRIC = "cross-validated accuracy"


def add_to(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands,
        "demo",
        _run,
        help="tune a support vector machine on scikit-learn's digits, and draw what happened",
        description="Tune C and gamma of a support vector machine on scikit-learn's digits with "
        "FractalSearchCV and, on the same folds and with the same budget, with a grid and a random "
        "search. Prints what each found and writes two pictures, a summary, all trials and a "
        "report.",
    )
    parser.add_argument(
        "--max-trials",
        type=whole_number(_LEAST_TRIALS),
        default=40,
        metavar="N",
        help="budget of each of the three searches, at least 4 (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("fractal-tuner-demo"),
        metavar="FOLDER",
        help="where the files go; made if missing (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=whole_number(0, 2**32 - 1), default=0, help="default: %(default)s"
    )
    parser.add_argument(
        "--jobs",
        type=whole_number(1),
        metavar="N",
        help="fits at the same time; the result is the same (default: one per processor, "
        f"at most {_FOLDS})",
    )
    add_json(parser)


@dataclass(frozen=True)
class _Outcome:
    """What one search found."""

    name: str
    search: Any
    history: HistoryDisplay
    n_images: int

    @property
    def score(self) -> float:
        return float(self.search.best_score_)

    @property
    def params(self) -> str:
        best = self.search.best_params_
        return ", ".join(f"{name}={float(f'{best[name]:.3g}'):g}" for name in ("C", "gamma"))

    @property
    def standard_error(self) -> float:
        """Of a share of so many images; four folds alone would tell it too badly."""
        return math.sqrt(self.score * (1 - self.score) / self.n_images)

    @property
    def accuracy(self) -> str:
        return f"{self.score:.4f} ± {self.standard_error:.4f}"


@dataclass(frozen=True)
class _Comparison:
    """Searches of the same data with the same budget, ours first."""

    outcomes: list[_Outcome]
    head = ("search", "trials", "accuracy", "within 1 SE", "best parameters")

    @property
    def best(self) -> _Outcome:
        return max(self.outcomes, key=lambda outcome: outcome.score)

    @property
    def threshold(self) -> float:
        """One standard error below the best score of all."""
        return self.best.score - self.best.standard_error

    @property
    def answer(self) -> str:
        ours = self.outcomes[0]
        return (
            f"Best configuration of FractalSearchCV: {ours.params}\n"
            f"Cross-validated accuracy {ours.accuracy} (one standard error, SE)"
        )

    @property
    def rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for outcome in self.outcomes:
            reached = self._first_within(outcome)
            first = "never" if reached is None else f"at trial {reached}"
            n_trials = str(len(outcome.history.trial))
            rows.append((outcome.name, n_trials, outcome.accuracy, first, outcome.params))
        return rows

    def to_dict(self) -> dict[str, Any]:
        searches = [
            {
                "search": outcome.name,
                "n_trials": len(outcome.history.trial),
                "accuracy": outcome.score,
                "standard_error": outcome.standard_error,
                "first_trial_within_1_se": self._first_within(outcome),
                "params": outcome.search.best_params_,
            }
            for outcome in self.outcomes
        ]
        return {"searches": searches, "verdict": self.verdict}

    def _first_within(self, outcome: _Outcome) -> int | None:
        """The number of the first trial within one standard error of the best of all."""
        reached = outcome.history.trial[outcome.history.score >= self.threshold]
        return int(reached[0]) if len(reached) else None

    @property
    def verdict(self) -> str:
        behind = [o.name for o in self.outcomes if not o.score >= self.threshold]
        if behind:
            return f"More than one SE behind the best: {', '.join(behind)}."
        return "All three are within one SE of the best: their results cannot be told apart."


def _run(options: argparse.Namespace) -> int:
    out = _writable(options.out)
    found = _Comparison(_search_digits(options.max_trials, options.seed, options.jobs))
    try:
        files = [
            _draw_history(out / "history.png", found),
            _draw_path(out / "zoom-path.png", found.outcomes[0]),
            _write_trials(out / "trials.csv", found.outcomes),
            _write_summary(out / "summary.md", options, found),
            _write_report(out / "report.html", found.outcomes[0]),
        ]
    except OSError as error:
        raise cannot_write(out, error) from error
    if options.json:
        print_json(found.to_dict() | {"files": [str(file) for file in files]})
        return Exit.GOOD
    print(found.answer, "", *_columns([found.head, *found.rows]), "", found.verdict, "", sep="\n")
    for file in files:
        print("wrote", file)
    return Exit.GOOD


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text with the cells of ``rows`` in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _writable(folder: Path) -> Path:
    """``folder``, made if missing; found out before the work and not after it."""
    probe = folder / ".fractal-tuner"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _search_digits(max_trials: int, seed: int, jobs: int | None) -> list[_Outcome]:
    """Three searches of one space on the same folds."""
    import joblib
    import numpy as np
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from scipy.stats import loguniform
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    from fractal_tuner.report import HistoryDisplay
    from fractal_tuner.search_cv import FractalSearchCV

    images, labels = load_digits(return_X_y=True)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    n_c = math.isqrt(max_trials)  # the largest grid within the budget that is nearly square
    n_gamma = max_trials // n_c
    ranges = {"C": loguniform(*_C), "gamma": loguniform(*_GAMMA)}
    grid = {"C": np.geomspace(*_C, n_c), "gamma": np.geomspace(*_GAMMA, n_gamma)}
    n_jobs = jobs or min(joblib.cpu_count(), _FOLDS)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("fits, time left"),
        TimeLeft(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=_FOLDS * (2 * max_trials + n_c * n_gamma))

        def accuracy(estimator: Any, X: Any, y: Any) -> float:
            progress.advance(bar)
            return float(estimator.score(X, y))

        common = {"scoring": accuracy, "cv": folds, "n_jobs": n_jobs, "refit": False}
        searches = {
            "FractalSearchCV": FractalSearchCV(
                SVC(), ranges, n_iter=max_trials, random_state=seed, batch_size=1, **common
            ),
            f"GridSearchCV {n_c} x {n_gamma}": GridSearchCV(SVC(), grid, **common),
            "RandomizedSearchCV": RandomizedSearchCV(
                SVC(), ranges, n_iter=max_trials, random_state=seed, **common
            ),
        }
        outcomes = []
        # Threads suffice, because libsvm works outside the interpreter, and they can move the bar.
        with joblib.parallel_backend("threading"):
            for name, search in searches.items():
                progress.update(bar, description=name)
                search.fit(images, labels)
                history = HistoryDisplay.from_search(search, score_name=_METRIC)
                outcomes.append(_Outcome(name, search, history, len(labels)))
    return outcomes


def _draw_history(path: Path, found: _Comparison) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    all_axes = figure.subplots(1, len(found.outcomes), sharex=True, sharey=True)
    floor = max(outcome.history.floor for outcome in found.outcomes)
    for ax, outcome in zip(all_axes, found.outcomes, strict=True):
        history = outcome.history
        history.floor, history.standard_error = floor, math.nan
        ax.axhspan(
            found.threshold, found.best.score, color="#e8e3d3", label="within one SE of the best"
        )
        history.plot(ax)
        ax.set_title(outcome.name, fontsize="medium")
        ax.get_legend().remove()
        ax.label_outer()
    labels = {
        label.partition(",")[0]: handle
        for ax in all_axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        labels.values(),
        labels.keys(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize="small",
    )
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _draw_path(path: Path, zoom: _Outcome) -> Path:
    from matplotlib.figure import Figure

    from fractal_tuner.report import ZoomPathDisplay

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    whole, inside = figure.subplots(1, 2)
    display = ZoomPathDisplay.from_search(zoom.search, score_name=_METRIC)
    display.plot(whole, colorbar=False)
    display.plot(inside, near=True)
    inside.set_title("around the best quarter of the trials", fontsize="medium")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _write_trials(path: Path, outcomes: list[_Outcome]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["search", "trial", "C", "gamma", "accuracy"])
        for outcome in outcomes:
            results = outcome.search.cv_results_
            for i, score in enumerate(results["mean_test_score"]):
                params = results["params"][i]
                table.writerow([outcome.name, i + 1, params["C"], params["gamma"], score])
    return path


def _write_report(path: Path, zoom: _Outcome) -> Path:
    from fractal_tuner.report.report import analyze

    with busy("analyzing the trials of FractalSearchCV"):
        return analyze(zoom.search).save(path)


def _write_summary(path: Path, options: argparse.Namespace, found: _Comparison) -> Path:
    rows = [found.head, ("---",) * len(found.head), *found.rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    images = f"{found.best.n_images:,}"
    answer = found.answer.replace("\n", "  \n")
    path.write_text(
        f"""\
# A support vector machine on scikit-learn's digits

{answer}

Three searches of C in [{_C[0]:g}, {_C[1]:g}] and gamma in [{_GAMMA[0]:g}, {_GAMMA[1]:g}], both on
logarithmic scales, on the same {_FOLDS} folds of {images} images:

{table}

SE is the standard error of an accuracy measured on {images} images. "Within 1 SE" is the first
trial with at least {found.threshold:.4f}, the best of all less one SE; a grid and a random search
do not learn on the way, so theirs is luck.

{found.verdict}
The best of many scores is a little too high as an estimate of the accuracy on new images.

- `history.png`: the score of each trial, and the best so far.
- `zoom-path.png`: the windows that led to the best trial, and on the right a closer look.
- `trials.csv`: all trials.
- `report.html`: what FractalSearchCV found, how far to trust it, and what to do next.

To repeat this: `fractal-tuner demo --max-trials {options.max_trials} --seed {options.seed}`
""",
        encoding="utf-8",
    )
    return path
