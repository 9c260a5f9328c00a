"""Which search finds better hyperparameters at an equal number of trials.

    python examples/benchmark/search_quality.py --budget 50,100 --seeds 10 --jobs 2 --out DIR
    python examples/benchmark/search_quality.py --quick

Prints a table per budget and writes ``search_quality.md``, ``.csv`` (every run) and ``.png`` to the
folder. README.md, beside this file, says how to read them.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # jobs are the parallelism; read as numpy is loaded

import argparse
import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from problems import NOISE, PROBLEMS, QUICK, Problem, problem
from searches import SEARCHES, BudgetSpentError, SearchFunction

OURS = "ZoomSearch"
FAMILIES = ("analytic", "fractal", "noisy", "tuning")
TIE = 1e-6  # regrets closer than this are equal


@dataclass(frozen=True)
class Run:
    """One search on one problem, as drawn from one seed.

    ``regret`` has shape (budget,): that of the candidate recommended after each trial, 0 at the
    best known and 1 where the median of random candidates is.
    """

    problem: str
    family: str
    d: int
    search: str
    seed: int
    budget: int
    n_trials: int
    regret: np.ndarray


class Evaluations:
    """A problem as a search sees it: counted, and perhaps noisy.

    Attributes
    ----------
    recommended : list of float
        After each trial, the true score of the candidate with the best score so far, or of the
        one that the search recommended.
    """

    def __init__(
        self, score: Callable[[Mapping[str, Any]], float], noise: np.ndarray, budget: int
    ) -> None:
        self._score, self._noise, self._budget = score, noise, budget
        self._best = -math.inf
        self.recommended: list[float] = []

    def __call__(self, params: Mapping[str, Any]) -> float:
        n = len(self.recommended)
        if n == self._budget:
            raise BudgetSpentError
        score = self._score(params)
        told = score + float(self._noise[n])
        is_best = told > self._best
        self.recommended.append(score if is_best else self.recommended[-1])
        self._best = max(told, self._best)
        return told

    def recommend(self, params: Mapping[str, Any]) -> None:
        self.recommended[-1] = self._score(params)


def evaluate(
    search: SearchFunction,
    drawn: Problem,
    score: Callable[[Mapping[str, Any]], float],
    noise_sd: float,
    budget: int,
    seed: int,
) -> list[float]:
    """The true scores of what one search recommended after each of its trials."""
    noise = np.random.default_rng([seed, 1]).normal(0.0, 1.0, budget) * noise_sd
    evaluations = Evaluations(score, noise, budget)
    with suppress(BudgetSpentError):
        search(drawn.space, evaluations, budget, seed)
    return evaluations.recommended


def compare(name: str, seed: int, budgets: Sequence[int]) -> list[Run]:
    """All searches on one problem; a candidate is scored once, whoever asks for it."""
    drawn = problem(name, seed)
    known: dict[Any, float] = {}

    def score(params: Mapping[str, Any]) -> float:
        key = drawn.space.key(params)
        if key not in known:
            known[key] = drawn.score(dict(params))
        return known[key]

    units = np.random.default_rng([seed, 0]).random((drawn.n_reference, len(drawn.space)))
    space = drawn.space
    typical = float(np.median([score(space.params(space.key_from_unit(u))) for u in units]))
    noise_sd = NOISE * (drawn.best - typical) if drawn.is_noisy and drawn.best is not None else 0.0
    found = {
        (label, budget): evaluate(search, drawn, score, noise_sd, budget, seed)
        for budget in budgets
        for label, search in SEARCHES.items()
    }
    best = max(known.values()) if drawn.best is None else drawn.best
    runs = []
    for (label, budget), scores in found.items():
        path = np.array(scores + scores[-1:] * (budget - len(scores)))  # a grid may end early
        regret = np.maximum(best - path, 0.0) / (best - typical)
        runs.append(Run(name, drawn.family, len(space), label, seed, budget, len(scores), regret))
    return runs


def compare_all(names: Sequence[str], seeds: int, budgets: Sequence[int], n_jobs: int) -> list[Run]:
    """The runs on all problems, with a progress bar on standard error."""
    from joblib import Parallel, delayed
    from rich.console import Console
    from rich.progress import track

    # Models last the longest: started first, they do not keep one process busy at the end.
    jobs = [(name, seed) for name in reversed(names) for seed in range(seeds)]
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    results = parallel(delayed(compare)(name, seed, budgets) for name, seed in jobs)
    console = Console(stderr=True)
    shown = track(
        results, "problems", total=len(jobs), console=console, disable=not console.is_terminal
    )
    place = {name: i for i, name in enumerate(names)}
    label = list(SEARCHES)
    return sorted(
        (run for runs in shown for run in runs),
        key=lambda run: (run.budget, place[run.problem], run.seed, label.index(run.search)),
    )


# --- tables -------------------------------------------------------------------------------------


def ranks(regret: np.ndarray) -> np.ndarray:
    """Rank of each column in its row, 1 the lowest regret; equals share their mean rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(np.round(regret / TIE), axis=1))


def wins(ours: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 where our regret is lower, 0 where it is higher, 1/2 for equals."""
    difference = np.round(other / TIE) - np.round(ours / TIE)
    return np.asarray((np.sign(difference) + 1) / 2)


def interval(values: np.ndarray, groups: Sequence[str]) -> tuple[float, float, float]:
    """Mean over groups of the mean in each, and its 95 % bootstrap interval over groups.

    Problems are the groups: another set of problems changes a mean far more than other seeds.
    """
    names = list(dict.fromkeys(groups))
    means = np.array([np.mean(values[np.array(groups) == name]) for name in names])
    draws = np.random.default_rng(0).choice(means, (4000, len(means))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(means.mean()), float(low), float(high)


def table(runs: Iterable[Run]) -> str:
    """Markdown of one budget's runs, the best mean rank first."""
    runs = list(runs)
    searches = list(dict.fromkeys(run.search for run in runs))
    cases = list(dict.fromkeys((run.problem, run.seed) for run in runs))
    last = {(run.problem, run.seed, run.search): run.regret[-1] for run in runs}
    regret = np.array([[last[*case, search] for search in searches] for case in cases])
    groups = [name for name, _ in cases]
    family = {run.problem: run.family for run in runs}
    families = [f for f in FAMILIES if f in family.values()]
    of = np.array([family[name] for name in groups])
    ours = searches.index(OURS)
    rank = ranks(regret)
    rows = []
    for j in sorted(range(len(searches)), key=lambda j: interval(rank[:, j], groups)[0]):
        mean, low, high = interval(rank[:, j], groups)
        share = interval(wins(regret[:, ours], regret[:, j]), groups)
        won = "" if j == ours else "{:.0%} [{:.0%}, {:.0%}]".format(*share)
        medians = [f"{np.median(regret[of == f, j]):.2g}" for f in families]
        rows.append([searches[j], f"{mean:.2f} [{low:.2f}, {high:.2f}]", won, *medians])
    head = ["search", "mean rank [95 %]", f"{OURS} wins [95 %]", *families]
    lines = [head, ["---"] * len(head), *rows]
    n_seeds = len({seed for _, seed in cases})
    title = f"{runs[0].budget} trials (problems: {len(family)}, seeds: {n_seeds})"
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_csv(path: Path, runs: Iterable[Run]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["problem", "family", "d", "search", "seed", "budget", "trials", "regret"])
        for run in runs:
            row = [run.problem, run.family, run.d, run.search, run.seed, run.budget, run.n_trials]
            rows.writerow([*row, f"{run.regret[-1]:.6g}"])


# --- picture ------------------------------------------------------------------------------------

# Okabe and Ito's colours, which colour-blind readers tell apart; ours in front.
COLORS = {
    "ZoomSearch": "#D55E00",
    "Optuna TPE": "#0072B2",
    "Optuna CMA-ES": "#56B4E9",
    "DIRECT": "#009E73",
    "FactorialZoom": "#CC79A7",
    "grid": "#8C6D00",
    "random": "#555555",
}
FLOOR = 1e-5  # lower regrets, zero among them, are drawn here


def draw(path: Path, runs: Sequence[Run]) -> None:
    """Median regret against trials at the largest budget, with the band of quartiles."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    budget = max(run.budget for run in runs)
    runs = [run for run in runs if run.budget == budget]
    families = [f for f in FAMILIES if any(run.family == f for run in runs)]
    figure = Figure(figsize=(13, 10), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(math.ceil(len(families) / 2), 2, squeeze=False).ravel()
    for ax in panels[len(families) :]:
        ax.remove()
    for ax, family in zip(panels, families, strict=False):
        ends = {}
        for search, color in COLORS.items():
            paths = [r.regret for r in runs if (r.family, r.search) == (family, search)]
            if not paths:
                continue
            quartiles = np.quantile(np.maximum(paths, FLOOR), [0.25, 0.5, 0.75], axis=0)
            is_ours = search == OURS
            at = np.arange(1, budget + 1)
            ax.fill_between(
                at, quartiles[0], quartiles[2], color=color, alpha=0.25 if is_ours else 0.07, lw=0
            )
            ax.plot(at, quartiles[1], color=color, lw=4 if is_ours else 2, zorder=2 + is_ours)
            ends[search] = quartiles[1, -1]
        ax.set_yscale("log")
        ax.set_ylim(top=min(ax.get_ylim()[1], 2.0))
        ax.set_xlim(1, budget)
        ax.set_title(family, fontsize=20)
        ax.tick_params(labelsize=15)
        ax.spines[["top", "right"]].set_visible(False)
        label_ends(ax, ends)
    figure.supxlabel("trials", fontsize=18)
    figure.supylabel("regret: median over problems and seeds, band of quartiles", fontsize=18)
    figure.savefig(path, dpi=80, metadata={"Software": None})


def label_ends(ax: Any, ends: Mapping[str, float]) -> None:
    """Name each line beside its end; names keep a distance, a thin line leads to their own."""
    low, high = np.log10(ax.get_ylim())
    order = sorted(ends, key=lambda search: ends[search])
    wanted = [(math.log10(ends[search]) - low) / (high - low) for search in order]
    for search, end, place in zip(order, wanted, spread(wanted, 0.075), strict=True):
        ax.annotate(
            search,
            xy=(1.0, end),
            xytext=(1.05, place),
            xycoords="axes fraction",
            color=COLORS[search],
            fontsize=15,
            fontweight="bold" if search == OURS else "normal",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": COLORS[search],
                "lw": 0.8,
                "relpos": (0.0, 0.5),
                "shrinkB": 0,
            },
        )


def spread(places: Sequence[float], gap: float) -> np.ndarray:
    """Increasing ``places`` moved apart to at least ``gap``, near to where they were."""
    moved = np.array(places)
    for _ in range(200):
        short = np.maximum(gap - np.diff(moved), 0.0) / 2
        moved[:-1] -= short
        moved[1:] += short
    return moved


def counts(text: str) -> list[int]:
    """Increasing positive integers from a list with commas."""
    found = sorted({int(part) for part in text.split(",")})
    if found[0] < 1:
        raise argparse.ArgumentTypeError(f"needs positive integers, got {text}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=counts, help="trials (50,100; with --quick 20)")
    parser.add_argument("--seeds", type=int, help="draws of each problem (10; with --quick 2)")
    parser.add_argument("--jobs", type=int, default=1, help="processes; -1 for one per core")
    parser.add_argument("--quick", action="store_true", help="a few problems, under a minute")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="a folder")
    options = parser.parse_args()
    names = QUICK if options.quick else list(PROBLEMS)
    budgets = options.budget or ([20] if options.quick else [50, 100])
    seeds = options.seeds or (2 if options.quick else 10)

    runs = compare_all(names, seeds, budgets, options.jobs)
    text = "\n\n".join(table(run for run in runs if run.budget == budget) for budget in budgets)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    options.out.joinpath("search_quality.md").write_text(text + "\n", encoding="utf-8")
    write_csv(options.out / "search_quality.csv", runs)
    draw(options.out / "search_quality.png", runs)
    for ending in ("md", "csv", "png"):
        print(f"\nwrote {options.out / 'search_quality'}.{ending}", end="")
    print()


if __name__ == "__main__":
    main()
