"""Successive halving without Keras Tuner: who trains on, and how rungs compare."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fractal_tuner.rungs import Run, Rungs


def following(rungs, runs, **options):
    """The run to be continued, where nothing is known of the places of configurations."""
    return rungs.next(runs, rungs.standings(runs, {}), **options)


@pytest.mark.parametrize(
    ("max_epochs", "factor", "min_epochs", "epochs"),
    [
        (9, 3, 1, (1, 3, 9)),
        (27, 3, 3, (3, 9, 27)),
        (27, 3, 2, (3, 9, 27)),
        (10, 3, 1, (2, 4, 10)),
        (100, 3, 1, (2, 4, 12, 34, 100)),  # those of Keras Tuner's Hyperband
        (16, 4, 1, (1, 4, 16)),
        (5, 3, 2, (5,)),
        (1, 2, 1, (1,)),
    ],
)
def test_rungs_end_at_a_full_training(max_epochs, factor, min_epochs, epochs):
    assert Rungs(max_epochs, factor, min_epochs).epochs == epochs


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_epochs": 0}, ValueError, "max_epochs must be at least 1, got 0"),
        ({"max_epochs": 2.5}, TypeError, r"max_epochs must be an integer, got 2\.5"),
        ({"factor": 1}, ValueError, "factor must be at least 2, got 1"),
        ({"factor": "3"}, TypeError, "factor must be an integer, got '3'"),
        ({"min_epochs": 0}, ValueError, "min_epochs must be at least 1, got 0"),
        ({"min_epochs": 10}, ValueError, "min_epochs must be at most max_epochs=9, got 10"),
    ],
)
def test_impossible_rungs_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Rungs(**({"max_epochs": 9} | options))


def at(rung, *scores, prefix="r"):
    return {f"{prefix}{rung}{i}": Run(rung, score=s) for i, s in enumerate(scores)}


@pytest.mark.parametrize(("max_epochs", "factor"), [(9, 3), (27, 3), (16, 2), (5, 7)])
@pytest.mark.parametrize("disappoint", [False, True])
def test_the_first_full_training_comes_with_the_run_that_is_promised(
    max_epochs, factor, disappoint
):
    rungs, runs = Rungs(max_epochs, factor), {}
    while not any(run.rung == len(rungs.epochs) - 1 for run in runs.values()):
        parent, name = following(rungs, runs), f"r{len(runs)}"
        if parent is None:
            runs[name] = Run(0, score=-float(len(runs)))
        else:
            score = -float(len(runs)) if disappoint else runs[parent].score
            runs[name] = Run(runs[parent].rung + 1, parent=parent, score=score)
    assert len(runs) <= rungs.n_runs if disappoint else len(runs) == rungs.n_runs


def test_one_of_three_trains_on_when_three_are_known():
    rungs = Rungs(9)
    assert following(rungs, {}) is None
    assert following(rungs, at(0, 0.5, 0.7)) is None
    assert following(rungs, at(0, 0.5, 0.7, 0.6)) == "r01"


def test_nobody_trains_on_twice():
    runs = at(0, 0.5, 0.7, 0.6) | {"on": Run(1, parent="r01")}
    assert following(Rungs(9), runs) is None


def test_a_better_one_trains_on_although_its_third_is_full():
    runs = at(0, 0.5, 0.7, 0.6, 0.8) | {"on": Run(1, parent="r01", score=0.9)}
    assert following(Rungs(9), runs) == "r03"


def test_the_highest_rung_comes_first():
    lowest = at(0, *[0.1] * 9)
    middle = {f"m{i}": Run(1, parent=f"r0{i}", score=0.2 + i) for i in range(3)}
    assert following(Rungs(9), lowest | middle) == "m2"


def test_equal_scores_train_on_in_the_order_of_their_beginning():
    assert following(Rungs(9), at(0, 0.5, 0.5, 0.5)) == "r00"


def test_failed_and_running_ones_are_no_part_of_their_rung():
    runs = at(0, None, 0.5, None, 0.4, None, 0.3)
    assert following(Rungs(9), runs) == "r01"
    assert following(Rungs(9), at(0, None, None, None)) is None


def test_nobody_leaves_the_highest_rung():
    assert following(Rungs(1), at(0, 0.1, 0.2, 0.3)) is None


def test_at_the_last_call_one_configuration_is_trained_fully():
    rungs, runs = Rungs(9), at(0, 0.5, 0.7)
    for rung in (1, 2):
        parent = following(rungs, runs, is_last_call=True)
        runs |= {f"on{rung}": Run(rung, parent=parent, score=0.8)}
    assert runs["on2"].parent == "on1"
    assert runs["on1"].parent == "r01"
    assert following(rungs, runs, is_last_call=True) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(2, 4), st.integers(0, 99))
def test_who_trains_on_is_among_the_best_of_its_rung_and_each_rung_has_its_share(
    scores, factor, seed
):
    rungs, noise = Rungs(factor**3, factor), random.Random(seed)
    runs: dict[str, Run] = {}
    for i, score in enumerate(scores):
        runs[f"r{i}"] = Run(0, score=score)
        while (parent := following(rungs, runs)) is not None:
            standings = rungs.standings(runs, {})
            expected = {f: runs[name].score + lacks for f, (name, lacks) in standings.items()}
            first = {f"{r}{on}": r for r in expected for on in ("", "+", "++")}
            rivals = [expected[first[n]] for n, r in runs.items() if r.rung == runs[parent].rung]
            assert sum(e > expected[first[parent]] for e in rivals) < len(rivals) // factor
            rung = runs[parent].rung + 1
            runs[f"{parent}+"] = Run(rung, parent=parent, score=noise.random())
    parents = [r.parent for r in runs.values() if r.parent is not None]
    assert len(parents) == len(set(parents))
    for rung in range(3):
        below = sum(r.rung == rung for r in runs.values())
        assert sum(r.rung == rung + 1 for r in runs.values()) >= below // factor


def test_without_longer_trainings_scores_are_left_alone():
    runs = at(0, 0.5, None, 0.7)
    assert Rungs(9).standings(runs, {}) == {"r00": ("r00", 0.0), "r02": ("r02", 0.0)}


def test_what_rungs_add_is_the_median_over_those_who_reached_them():
    runs = at(0, 1.0, 2.0, 3.0, 0.0) | {
        "a": Run(1, parent="r00", score=1.5),
        "b": Run(1, parent="r01", score=2.25),
        "c": Run(1, parent="r02", score=9.0),  # an outlier
        "d": Run(2, parent="a", score=1.75),
    }
    assert Rungs(9).standings(runs, {}) == {
        "r00": ("d", 0.0),
        "r01": ("b", 0.25),
        "r02": ("c", 0.25),
        "r03": ("r03", 0.75),
    }


def slow_and_fast(n=30, n_known=12):
    """Configurations on a line, of which those that learn fast at first gain little later."""
    x = np.random.default_rng(0).permutation(n) / (n - 1)
    runs = {f"r{i}": Run(0, score=float(x[i])) for i in range(n)}
    runs |= {
        f"on{i}": Run(1, parent=f"r{i}", score=float(x[i] + 3 * (1 - x[i]))) for i in range(n_known)
    }
    return x, runs, {f"r{i}": x[i : i + 1] for i in range(n)}


def test_what_a_rung_adds_depends_on_the_place():
    x, runs, places = slow_and_fast()
    standings = Rungs(3).standings(runs, places)
    for i in range(12, 30):
        name, lacks = standings[f"r{i}"]
        assert name == f"r{i}"
        assert lacks == pytest.approx(3 * (1 - x[i]), abs=0.1)


def test_who_is_expected_to_be_best_in_the_end_trains_on_first():
    x, runs, places = slow_and_fast()
    rungs = Rungs(3, factor=2)
    waiting = min(range(12, 30), key=lambda i: x[i])  # the slowest of those who wait
    assert rungs.next(runs, rungs.standings(runs, places)) == f"r{waiting}"
    fastest = max(range(12, 30), key=lambda i: x[i])
    without = {name: run for name, run in runs.items() if run.parent is None}
    best = max(without, key=lambda name: without[name].score)
    assert rungs.next(without, rungs.standings(without, places)) == best
    assert fastest != waiting


def test_an_outlier_does_not_rule_what_a_rung_adds():
    _, runs, places = slow_and_fast()
    runs["on0"] = Run(1, parent="r0", score=-1e9)
    standings = Rungs(3).standings(runs, places)
    assert all(abs(standings[f"r{i}"][1]) < 10 for i in range(12, 30))


def test_a_configuration_without_a_place_gains_the_median():
    x, runs, places = slow_and_fast()
    del places["r20"]
    median = np.median([3 * (1 - x[i]) for i in range(12)])
    assert Rungs(3).standings(runs, places)["r20"] == ("r20", pytest.approx(median))


def test_a_longer_training_that_failed_leaves_the_score_before():
    runs = at(0, 1.0, 2.0) | {"a": Run(1, parent="r01")}
    assert Rungs(9).standings(runs, {}) == {"r00": ("r00", 0.0), "r01": ("r01", 0.0)}


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.floats(0.1, 9), st.floats(-3, 3))
def test_a_change_of_scale_changes_nothing_else(scores, scale, shift):
    def expected(scores):
        runs = at(0, *scores[:6]) | {
            f"on{i}": Run(1, parent=f"r0{i}", score=s) for i, s in enumerate(scores[6:])
        }
        standings = Rungs(3).standings(runs, {})
        return {first: runs[run].score + lacks for first, (run, lacks) in standings.items()}

    changed = expected([scale * s + shift for s in scores])
    assert changed == pytest.approx(
        {first: scale * s + shift for first, s in expected(scores).items()}
    )


def test_trials_of_other_rungs_are_no_runs_of_these():
    rungs = Rungs(9)
    assert rungs.run({"tuner/epochs": 5}, 0.5) is None
    assert rungs.run({"rate": 0.1}, 0.5) == Run(2, score=0.5)  # no epochs named: trained fully
    values = rungs.values(1, "04")
    assert values["tuner/epochs"] == 3
    assert values["tuner/initial_epoch"] == 1
    assert rungs.run(values, None) == Run(1, parent="04")
    assert "tuner/trial_id" not in rungs.values()
