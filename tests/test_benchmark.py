"""The benchmarks run end to end, count what they should, and rank a table whose ranks are known."""

import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "benchmark"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the folder, which is no package."""
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module
    for name in ("problems", "searches", "search_quality", "overhead"):
        sys.modules.pop(name, None)


def run(script, *arguments):
    command = [sys.executable, FOLDER / script, *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_search_quality_compares_all_searches_on_all_problems(tmp_path):
    printed = run(
        "search_quality.py", "--quick", "--budget", "12", "--seeds", "1", "--out", tmp_path
    )
    assert "### 12 trials (problems: 5, seeds: 1)" in printed
    found = rows(tmp_path / "search_quality.csv")
    searches = {row["search"] for row in found}
    assert {"ZoomSearch", "FactorialZoom", "random", "grid", "DIRECT"} <= searches
    assert len(found) == 5 * len(searches)
    assert all(int(row["trials"]) <= 12 and float(row["regret"]) >= 0 for row in found)
    assert (tmp_path / "search_quality.png").stat().st_size > 10_000
    assert (tmp_path / "search_quality.md").read_text(encoding="utf-8").strip() in printed


def test_overhead_writes_a_row_per_search_and_seed(tmp_path):
    sizes = ["--trials", "8", "--dimensions", "1,2", "--seeds", "2"]
    printed = run("overhead.py", *sizes, "--out", tmp_path)
    assert "| 2 | 8 |" in printed
    found = rows(tmp_path / "overhead.csv")
    assert len(found) == 2 * 2 * len({row["search"] for row in found})
    assert all(float(row["mean_ms"]) > 0 for row in found)


def test_ranks_and_wins_of_a_constructed_table(load):
    quality = load("search_quality")
    regret = np.array([[0.0, 0.1, 0.2, 0.3], [0.5, 0.2, 0.2, 0.2], [1e-9, 2e-9, 0.0, 1.0]])
    assert quality.ranks(regret).tolist() == [[1, 2, 3, 4], [4, 2, 2, 2], [2, 2, 2, 4]]
    assert quality.wins(regret[:, 0], regret[:, 1]).tolist() == [1, 0, 0.5]


def test_problems_weigh_equally_whatever_the_number_of_their_seeds(load):
    quality = load("search_quality")
    mean, low, high = quality.interval(np.array([1.0, 1.0, 1.0, 3.0]), ["a", "a", "a", "b"])
    assert (mean, low, high) == (2.0, 1.0, 3.0)


def test_the_best_search_of_a_constructed_table_comes_first(load):
    quality = load("search_quality")
    runs = [
        quality.Run(problem, "analytic", 2, search, seed, 3, 3, np.array([1.0, 0.9, regret]))
        for problem in ("p", "q")
        for seed in (0, 1)
        for search, regret in {"random": 0.5, "ZoomSearch": 0.1, "DIRECT": 0.1}.items()
    ]
    lines = quality.table(runs).splitlines()
    assert lines[0] == "### 3 trials (problems: 2, seeds: 2)"
    assert lines[2] == "| search | mean rank [95 %] | ZoomSearch wins [95 %] | analytic |"
    assert lines[4:] == [
        "| ZoomSearch | 1.50 [1.50, 1.50] |  | 0.1 |",
        "| DIRECT | 1.50 [1.50, 1.50] | 50% [50%, 50%] | 0.1 |",
        "| random | 3.00 [3.00, 3.00] | 100% [100%, 100%] | 0.5 |",
    ]


def test_every_search_evaluates_at_most_its_budget(load):
    quality, problems = load("search_quality"), load("problems")
    drawn = problems.problem("Branin, d=2", 0)
    for search in quality.SEARCHES.values():
        calls = []

        def score(params, calls=calls):
            calls.append(params)
            return drawn.score(params)

        found = quality.evaluate(search, drawn, score, 0.0, 17, 0)
        distinct = {tuple(params.items()) for params in calls}
        assert len(distinct) <= len(found) <= 17
        assert found == sorted(found)


def test_with_noise_the_recommended_candidate_is_judged_by_its_true_score(load):
    quality = load("search_quality")
    evaluations = quality.Evaluations(lambda p: p["x"], np.array([0.0, 5.0, 0.0]), 3)
    assert [evaluations({"x": x}) for x in (2.0, 1.0, 3.0)] == [2.0, 6.0, 3.0]
    assert evaluations.recommended == [2.0, 1.0, 1.0]
    evaluations.recommend({"x": 3.0})
    assert evaluations.recommended == [2.0, 1.0, 3.0]
    with pytest.raises(quality.BudgetSpentError):
        evaluations({"x": 4.0})


def test_no_candidate_beats_the_best_that_a_problem_states(load):
    problems = load("problems")
    rng = np.random.default_rng(0)
    for name in problems.PROBLEMS:
        drawn = problems.problem(name, 1)
        if drawn.best is None:
            continue
        space = drawn.space
        units = rng.random((300, len(space)))
        scores = [drawn.score(space.params(space.key_from_unit(u))) for u in units]
        assert max(scores) < drawn.best
        assert drawn.score(space.params(space.key_from_unit(units[0]))) == scores[0]


def test_every_model_can_be_scored_wherever_the_search_looks(load):
    problems = load("problems")
    for name, make in problems.PROBLEMS.items():
        drawn = make(np.random.default_rng(0))
        if drawn.family != "tuning":
            continue
        for u in (0.0, 0.99):  # the edges of the space
            params = drawn.space.params(drawn.space.key_from_unit([u] * len(drawn.space)))
            assert np.isfinite(drawn.score(params)), name


def test_a_grid_is_as_large_as_the_budget_allows(load):
    searches = load("searches")
    tried = []
    space = searches.SearchSpace(
        {
            "kind": ["a", "b"],
            "x": searches.Integer(1, 100, log=True),
            "y": searches.Integer(0, 2),
        }
    )
    searches.grid_search(space, lambda params: tried.append(params), 32, 0)
    values = {name: sorted({params[name] for params in tried}) for name in ("kind", "x", "y")}
    assert values == {"kind": ["a", "b"], "x": [1, 3, 10, 32, 100], "y": [0, 1, 2]}
    assert len(tried) == 30
