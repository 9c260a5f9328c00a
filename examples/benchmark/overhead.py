"""What a trial costs beside the objective: CPU time of ask and tell, against Optuna's TPE.

    python examples/benchmark/overhead.py
    python examples/benchmark/overhead.py --trials 100 --dimensions 2,4 --seeds 1 --out DIR

Prints a table and writes ``overhead.md`` and ``overhead.csv`` to the folder. Both searches run in
this process, in turns, with one thread; CPU time does not grow when other programs are busy. The
objective is a smooth bowl over logarithmic scales and costs microseconds; ask and tell alone count.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # all three are read as numpy is loaded
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import csv
import itertools
import math
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from searches import distributions, study

from fractal_tuner import Real, SearchSpace, ZoomSearch

OURS, PEER = "ZoomSearch", "Optuna TPE"
PEER_UP_TO = 1000  # trials; beyond, it would take most of an hour

Ask = Callable[[], Any]  # a trial with params
Tell = Callable[[Any, float], Any]


def zoom_search(space: SearchSpace, n_trials: int, seed: int) -> tuple[Ask, Tell]:
    search = ZoomSearch(space, max_trials=n_trials, seed=seed)
    return lambda: search.ask()[0], lambda trial, score: search.tell(trial.id, score)


def tpe(space: SearchSpace, n_trials: int, seed: int) -> tuple[Ask, Tell]:
    ours, dimensions = study("TPESampler", seed), distributions(space)
    return lambda: ours.ask(dimensions), ours.tell


def ms_per_trial(make: Callable[..., tuple[Ask, Tell]], d: int, n: int, seed: int) -> np.ndarray:
    """CPU milliseconds of ask and tell of each trial, shape (n,)."""
    space = SearchSpace({f"x{i}": Real(1e-4, 1.0, log=True) for i in range(d)})
    center = np.random.default_rng(seed).uniform(-4, 0, d)
    ask, tell = make(space, n, seed)
    seconds = np.empty(n)
    for i in range(n):
        start = time.process_time()
        trial = ask()
        asked = time.process_time()
        score = -float(np.sum((np.log10(list(trial.params.values())) - center) ** 2))
        restart = time.process_time()
        tell(trial, score)
        seconds[i] = asked - start + time.process_time() - restart
    return 1000 * seconds


def with_spread(values: list[float]) -> str:
    """Mean over seeds, with the lowest and the highest."""
    low, high = min(values), max(values)
    text = f"{np.mean(values):.2f}"
    return text if len(values) == 1 else f"{text} [{low:.2f}, {high:.2f}]"


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=numbers, default=[100, 200, 1000, 5000])
    parser.add_argument("--dimensions", type=numbers, default=[2, 4, 8, 20])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="a folder")
    options = parser.parse_args()
    searches = {OURS: zoom_search}
    if find_spec("optuna"):
        searches[PEER] = tpe
        ms_per_trial(tpe, 1, 20, 0)  # imports and first calls are no part of a trial
    ms_per_trial(zoom_search, 1, 20, 0)

    head = ["d", "trials", f"{OURS}, ms per trial", "last tenth", f"{PEER}, ms per trial"]
    head += ["last tenth", f"{PEER} / {OURS}"]
    lines = [f"| {' | '.join(head)} |", "|" + " ---: |" * len(head)]
    print("\n".join(lines), flush=True)
    rows = []
    for d, n in itertools.product(options.dimensions, options.trials):
        mean: dict[str, list[float]] = {name: [] for name in (OURS, PEER)}
        last: dict[str, list[float]] = {name: [] for name in (OURS, PEER)}
        for seed, (name, make) in itertools.product(range(options.seeds), searches.items()):
            if name == PEER and n > PEER_UP_TO:
                continue
            ms = ms_per_trial(make, d, n, seed)
            mean[name].append(float(ms.mean()))
            last[name].append(float(ms[-math.ceil(n / 10) :].mean()))
            rows.append([name, d, n, seed, f"{mean[name][-1]:.4f}", f"{last[name][-1]:.4f}"])
        cells = [with_spread(mean[OURS]), with_spread(last[OURS])]
        if mean[PEER]:
            ratio = np.mean(mean[PEER]) / np.mean(mean[OURS])
            cells += [with_spread(mean[PEER]), with_spread(last[PEER]), f"{ratio:.1f}"]
        else:
            cells += ["", "", ""]
        lines.append(f"| {' | '.join([str(d), str(n), *cells])} |")
        print(lines[-1], flush=True)

    options.out.mkdir(parents=True, exist_ok=True)
    options.out.joinpath("overhead.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with options.out.joinpath("overhead.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["search", "d", "trials", "seed", "mean_ms", "last_tenth_ms"])
        table.writerows(rows)
    print(f"\nwrote {options.out / 'overhead'}.md and .csv")


if __name__ == "__main__":
    main()
