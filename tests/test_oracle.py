"""Keras Tuner's front end: proposals, finite spaces, conditions, resuming, failures, workers."""

import json
import math
import os
import random
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

keras_tuner = pytest.importorskip("keras_tuner")

from fractal_tuner.oracle import (  # noqa: E402
    FractalOracle,
    space_from_hyperparameters,
    workers,
)
from fractal_tuner.oracle.translation import Translation  # noqa: E402

pytestmark = [
    pytest.mark.keras,
    # Keras Tuner 1.4.8 asks for the name of the thread in a deprecated way.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
    # It also takes the best of all epochs where each is NaN.
    pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning"),
]

SCORE = keras_tuner.Objective("score", "max")
STRATEGIES = pytest.mark.parametrize("strategy", ["zoom", "factorial"])


def make_oracle(folder: Path, hp=None, **options) -> FractalOracle:
    """A silent oracle with its own project folder."""
    options = {"objective": SCORE, "max_trials": 100, "seed": 0, "hyperparameters": hp} | options
    oracle = FractalOracle(**options)
    oracle._set_project_dir(str(folder), "project")
    oracle.verbose = 0
    return oracle


def finish(oracle, trial, score=0.0, status="COMPLETED"):
    """Report a trial as the tuner does."""
    if status == "COMPLETED":
        oracle.update_trial(trial.trial_id, {"score": float(score)})
    trial.status = status
    oracle.end_trial(trial)


def drive(oracle, score, n_trials=1000, tuner_id="tuner0"):
    """Up to ``n_trials`` trials, one after another; the values of each."""
    tried = []
    while len(tried) < n_trials:
        trial = oracle.create_trial(tuner_id)
        if trial.status == "STOPPED":
            break
        tried.append(dict(trial.hyperparameters.values))
        finish(oracle, trial, score(tried[-1]))
    return tried


def two_dimensions():
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("units", 8, 256)
    return hp


def hill(values):
    return -((math.log10(values["rate"]) + 2.3) ** 2) - ((values["units"] - 70) / 100) ** 2


def nested():
    """Three scopes, one inside the other; parents are a Choice, an Int and a Boolean."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["mlp", "cnn"])
    with hp.conditional_scope("kind", ["cnn"]):
        hp.Int("blocks", 1, 3)
        with hp.conditional_scope("blocks", [2, 3]):
            hp.Boolean("residual")
            with hp.conditional_scope("residual", [True]):
                hp.Choice("scale", [0.1, 0.2])
    with hp.conditional_scope("kind", ["mlp"]):
        hp.Int("units", 8, 16, step=4)
    return hp


def keys_of(tried):
    return [tuple(sorted(values.items())) for values in tried]


# The space


def every_kind():
    hp = keras_tuner.HyperParameters()
    hp.Float("linear", -1.0, 2.0)
    hp.Float("log", 1e-5, 1e2, sampling="log")
    hp.Float("reverse", 0.5, 0.999, sampling="reverse_log")
    hp.Float("steps", 0.0, 1.0, step=0.1)
    hp.Float("log steps", 1e-4, 10.0, step=10, sampling="log")
    hp.Float("reverse steps", 1.0, 100.0, step=10, sampling="reverse_log")
    hp.Float("fine steps", 0.0, 1.0, step=1e-6)
    hp.Int("int", -3, 9)
    hp.Int("int step", 10, 35, step=10)
    hp.Int("int log", 1, 1000, sampling="log")
    hp.Int("int log step", 2, 64, step=2, sampling="log")
    hp.Int("int reverse", 1, 500, sampling="reverse_log")
    hp.Choice("ordered", [16, 64, 256])
    hp.Choice("unordered", [3, 1, 2], ordered=False)
    hp.Choice("words", ["a", "b"])
    hp.Choice("one", ["only"])
    hp.Choice("twice", [1, 1, 2])
    hp.Boolean("flag")
    hp.Fixed("fixed", 7)
    hp.Int("single", 4, 4)
    hp.Float("short", 1.0, 1.5, step=1.0)
    return hp


def test_values_and_candidates_correspond_exactly():
    hp = every_kind()
    translation = Translation(hp.space)
    space = translation.space
    rng = np.random.default_rng(0)
    points = [np.zeros(len(space)), np.ones(len(space)), *rng.random((200, len(space)))]
    for u in points:
        key = space.key_from_unit(u)
        values = json.loads(json.dumps(translation.values(space.params(key))))
        assert space.key(translation.params(values)) == key
        again = space.key_from_unit(np.nan_to_num(space.unit(key), nan=0.5))
        assert all(a == pytest.approx(b) for a, b in zip(again, key, strict=True))


def test_values_are_those_that_keras_tuner_documents():
    space = space_from_hyperparameters(every_kind())
    listed = {
        p.name: [p.dimension.value(p.dimension.code_at(i)) for i in range(p.dimension.n_values)]
        for p in space.parameters
        if p.dimension.n_values is not None and p.dimension.n_values < 100
    }
    assert listed["steps"] == pytest.approx([i / 10 for i in range(11)])
    assert listed["log steps"] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0])
    assert listed["reverse steps"] == pytest.approx([1.0, 91.0, 100.0])
    assert listed["int"] == list(range(-3, 10))
    assert listed["int step"] == [10, 20, 30]
    assert listed["int log step"] == [2, 4, 8, 16, 32, 64]
    assert listed["ordered"] == [16, 64, 256]
    assert listed["twice"] == [1, 2]
    assert listed["one"] == ["only"]
    assert listed["fixed"] == [7]
    assert listed["single"] == [4]
    assert listed["short"] == [1.0]
    assert all(type(v) is int for name in listed if name.startswith("int") for v in listed[name])


def test_scales_are_those_of_keras_tuner():
    hp = every_kind()
    space = space_from_hyperparameters(hp)
    for name in ("linear", "log", "reverse"):
        theirs = next(h for h in hp.space if h.name == name)
        ours = next(p.dimension for p in space.parameters if p.name == name)
        for u in (0.0, 0.25, 0.5, 0.9, 0.99):
            assert ours.value(ours.code(u)) == pytest.approx(theirs.prob_to_value(u))
            assert ours.unit(ours.code_of(theirs.prob_to_value(u))) == pytest.approx(u)
        low, high = (ours.value(ours.code(u)) for u in (0.0, 1.0))
        assert theirs.min_value <= low < high <= theirs.max_value


def test_the_space_has_exactly_the_active_combinations():
    assert space_from_hyperparameters(nested()).size == 3 + 1 + 2 * (1 + 2)


def test_a_condition_on_a_value_the_parent_cannot_have_is_never_met():
    hp = keras_tuner.HyperParameters()
    hp.Int("n", 1, 3)
    with hp.conditional_scope("n", [9]):
        hp.Boolean("never")
    with hp.conditional_scope("n", [3, 9]):
        hp.Boolean("sometimes")
    assert space_from_hyperparameters(hp).size == 2 + 2


def test_an_entry_under_a_continuous_parent_keeps_its_default(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 0.0, 1.0)
    with hp.conditional_scope("rate", [0.0, 1.0]):
        hp.Int("child", 1, 5, default=3)
    tried = drive(make_oracle(tmp_path, hp, max_trials=12), lambda v: v["rate"])
    assert all(v.get("child", 3) == 3 for v in tried)
    assert all(("child" in v) == (v["rate"] in (0.0, 1.0)) for v in tried)


def test_a_space_without_hyperparameters_is_one_trial(tmp_path):
    oracle = make_oracle(tmp_path)
    assert drive(oracle, lambda values: 1.0) == [{}]


# Proposals


@STRATEGIES
def test_the_best_is_found_and_no_trial_is_repeated(tmp_path, strategy):
    oracle = make_oracle(tmp_path, two_dimensions(), max_trials=40, strategy=strategy)
    tried = drive(oracle, hill)
    assert len(set(keys_of(tried))) == len(tried) == 40
    best = oracle.get_best_trials()[0]
    assert best.score == max(map(hill, tried))
    assert best.score > -0.05


@STRATEGIES
@pytest.mark.parametrize("sizes", [(), (4, 5), (3, 3, 3)])
def test_a_finite_space_is_covered_exactly_once_and_then_the_search_stops(
    tmp_path, strategy, sizes
):
    hp = grid_of(*sizes) if sizes else nested()
    size = space_from_hyperparameters(hp).size
    options = {"max_trials": None, "strategy": strategy, "points_per_dim": 50, "levels": 2}
    oracle = make_oracle(tmp_path, hp, **options)
    tried = drive(oracle, lambda v: sum(map(hash, v.values())) % 7)
    assert len(set(keys_of(tried))) == len(tried) == size
    assert oracle.create_trial("tuner0").status == "STOPPED"


def grid_of(*sizes):
    hp = keras_tuner.HyperParameters()
    for i, size in enumerate(sizes):
        hp.Int(f"x{i}", 1, size)
    return hp


def test_one_level_of_the_factorial_strategy_is_a_grid_search(tmp_path):
    options = {"strategy": "factorial", "points_per_dim": 3, "levels": 1}
    tried = drive(make_oracle(tmp_path, two_dimensions(), **options), hill)
    assert len(tried) == 9
    assert {v["units"] for v in tried} == {8, 132, 256}


def test_a_grid_larger_than_the_budget_is_refused_before_the_first_trial(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions(), max_trials=10, strategy="factorial")
    with pytest.raises(ValueError, match="the grid has 25 points, more than max_trials=10"):
        oracle.create_trial("tuner0")
    assert not oracle.trials


def test_only_active_values_are_proposed(tmp_path):
    hp = nested()
    for values in drive(make_oracle(tmp_path, hp), lambda v: len(v)):
        probe = hp.copy()
        probe.values = values
        active = {h.name for h in probe.space if probe.is_active(h)}
        assert set(values) == active


def test_one_name_under_several_conditions_is_searched_in_each(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b", "c"])
    for kind, high in (("a", 2), ("b", 3), ("c", 4)):
        with hp.conditional_scope("kind", [kind]):
            hp.Int("units", 1, high)
            with hp.conditional_scope("units", [2]):
                hp.Boolean("flag")
    space = space_from_hyperparameters(hp)
    assert space.size == (1 + 2) + (2 + 2) + (3 + 2)
    tried = drive(make_oracle(tmp_path, hp), lambda v: v["units"])
    assert len(set(keys_of(tried))) == len(tried) == space.size
    assert all("units" in v and ("flag" in v) == (v["units"] == 2) for v in tried)


def test_of_two_active_entries_with_one_name_the_first_is_searched(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Int("x", 1, 3)
    hp.Boolean("flag")
    with hp.conditional_scope("flag", [True]):
        hp.Int("x", 10, 20)
    tried = drive(make_oracle(tmp_path, hp), lambda v: v["x"])
    assert len(set(keys_of(tried))) == len(tried) == 6
    assert {v["x"] for v in tried} == {1, 2, 3}


def test_children_listed_before_their_parents_are_understood(tmp_path):
    # gRPC sorts the space by type: a Float under a Choice comes first.
    hp = nested()
    with hp.conditional_scope("kind", ["cnn"]):
        hp.Float("rate", 0.1, 0.9, step=0.4)
    sorted_by_type = keras_tuner.HyperParameters()
    order = ["Fixed", "Float", "Int", "Choice", "Boolean"]
    sorted_by_type.merge(sorted(hp.space, key=lambda h: order.index(type(h).__name__)))
    assert [h.name for h in sorted_by_type.space] != [h.name for h in hp.space]
    tried = drive(make_oracle(tmp_path, sorted_by_type), lambda v: len(v))
    expected = drive(make_oracle(tmp_path / "again", hp), lambda v: len(v))
    assert set(keys_of(tried)) == set(keys_of(expected))
    assert len(tried) == space_from_hyperparameters(hp).size


@pytest.mark.parametrize(
    ("objective", "metrics", "best"),
    [
        (keras_tuner.Objective("val", "min"), lambda x: {"val": x}, 0.0),
        (keras_tuner.Objective("val", "max"), lambda x: {"val": x}, 1.0),
        (None, lambda x: {"default_objective": -x}, 1.0),
        (
            [keras_tuner.Objective("a", "max"), keras_tuner.Objective("b", "min")],
            lambda x: {"a": x, "b": 3 * x, "multi_objective": 2 * x},  # as the tuner reports
            0.0,
        ),
    ],
)
def test_every_objective_is_pursued_in_its_direction(tmp_path, objective, metrics, best):
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    oracle = make_oracle(tmp_path, hp, objective=objective, max_trials=14)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        oracle.update_trial(trial.trial_id, metrics(trial.hyperparameters["x"]))
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert oracle.get_best_trials()[0].hyperparameters["x"] == best


def test_zero_is_a_seed_and_seeds_differ(tmp_path):
    def proposals(name, seed):
        return drive(make_oracle(tmp_path / name, two_dimensions(), seed=seed), hill, 8)

    assert make_oracle(tmp_path, seed=0).seed == 0
    assert proposals("a", 0) == proposals("b", 0) != proposals("c", 1)
    assert proposals("d", -5) == proposals("e", -5)


def drawn_globally():
    """What the next draws from the global generators depend on."""
    _, numbers, position, *_ = np.random.get_state()  # noqa: NPY002
    return random.getstate(), numbers.tolist(), position


def test_with_a_seed_nothing_is_drawn_from_the_global_generators(tmp_path):
    before = drawn_globally()
    oracle = make_oracle(tmp_path, every_kind(), seed=0)
    for i in range(12):
        trial = oracle.create_trial("tuner0")
        trial.hyperparameters.Int(f"late{i % 4}", 1, 9)
        finish(oracle, trial, rough(trial.hyperparameters.values))
    assert drawn_globally() == before


def test_without_a_seed_searches_differ(tmp_path):
    hp = two_dimensions
    a, b = (drive(make_oracle(tmp_path / n, hp(), seed=None), hill, 8) for n in "ab")
    assert a != b


def test_a_proposal_that_was_not_run_is_made_again(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    drive(oracle, hill, 7)
    assert oracle.populate_space("x") == oracle.populate_space("y")


def test_values_changed_by_a_subclass_are_what_the_search_learns_from(tmp_path):
    class Even(FractalOracle):
        def populate_space(self, trial_id):
            response = super().populate_space(trial_id)
            if response["values"]:
                response["values"]["units"] -= response["values"]["units"] % 2
            return response

    oracle = Even(SCORE, 30, 0, two_dimensions())
    oracle._set_project_dir(str(tmp_path), "project")
    oracle.verbose = 0
    tried = drive(oracle, hill)
    assert [t.params for t in oracle.search.trials] == tried
    assert all(v["units"] % 2 == 0 for v in tried)


def test_trials_given_to_the_oracle_are_learned_from(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    for i, rate in enumerate((1e-3, 1e-2, 5.0)):  # the last one lies outside of the space
        hp = oracle.get_space()
        hp.values = {"rate": rate, "units": 64}
        trial = keras_tuner.engine.trial.Trial(hp, trial_id=f"given{i}", status="COMPLETED")
        trial.score = hill(hp.values)
        oracle.trials[trial.trial_id] = trial
    drive(oracle, hill, 3)
    assert [t.params["rate"] for t in oracle.search.trials][:2] == [1e-3, 1e-2]
    assert len(oracle.search.trials) == 5


# The space grows


def test_hyperparameters_found_late_are_searched_and_old_trials_have_their_defaults(tmp_path):
    oracle = make_oracle(tmp_path, grid_of(3), max_trials=None)
    tried = drive(oracle, lambda v: v["x0"], 2)
    trial = oracle.create_trial("tuner0")
    trial.hyperparameters.Choice("late", ["a", "b"], default="b")
    finish(oracle, trial, 0.0)
    tried += [dict(trial.hyperparameters.values)]
    tried += drive(oracle, lambda v: v["x0"])
    known = [{"late": "b"} | values for values in tried]
    assert len(set(keys_of(known))) == len(known) == 6


@STRATEGIES
def test_every_trial_may_bring_an_entry(tmp_path, strategy):
    oracle = make_oracle(tmp_path, max_trials=None, strategy=strategy, points_per_dim=9, levels=2)
    n_trials = 0
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        hp = trial.hyperparameters
        total = hp.Int("a", 1, 2)
        with hp.conditional_scope("a", [2]):
            total += hp.Int("b", 1, 3) or 0
        if total > 3:
            total += hp.Boolean("c")
        finish(oracle, trial, total)
        n_trials += 1
    # Below b = 2 the entry c was never asked for, yet it is active there as soon as it is known.
    tried = [{"c": False} | t.hyperparameters.values for t in oracle.trials.values()]
    assert len(set(keys_of(tried))) == n_trials == 2 * (1 + 3)


def test_new_entries_that_are_not_tuned_keep_their_defaults(tmp_path):
    oracle = make_oracle(tmp_path, grid_of(4), tune_new_entries=False)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        assert trial.hyperparameters.Int("late", 1, 9, default=5) == 5
        replay = oracle._replay
        finish(oracle, trial, 0.0)
        oracle.populate_space("x")
        assert oracle._replay.search is not None
        assert replay._translation is not None
    assert len(oracle.trials) == 4


def test_entries_that_are_not_allowed_are_an_error_and_the_lock_is_given_back(tmp_path):
    oracle = make_oracle(tmp_path, grid_of(4), allow_new_entries=False)
    trial = oracle.create_trial("tuner0")
    trial.hyperparameters.Boolean("late")
    with pytest.raises(RuntimeError, match="allow_new_entries"):
        finish(oracle, trial, 0.0)
    assert_another_thread_can_use(oracle)


def test_workers_wait_for_the_first_trial_where_nothing_is_known_of_the_space(tmp_path):
    oracle = make_oracle(tmp_path)
    trial = oracle.create_trial("a")
    assert oracle.create_trial("b").status == "IDLE"
    trial.hyperparameters.Boolean("late")
    finish(oracle, trial)
    assert oracle.create_trial("b").hyperparameters.values == {"late": True}
    assert oracle.create_trial("a").status == "STOPPED"


# Failures


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@STRATEGIES
def test_scores_that_are_not_finite_are_failures_and_never_best(tmp_path, bad, strategy):
    options = {"max_trials": 30, "strategy": strategy, "max_consecutive_failed_trials": 99}
    oracle = make_oracle(tmp_path, two_dimensions(), **options)
    drive(oracle, lambda v: bad if v["units"] > 100 else hill(v))
    assert len(oracle.trials) == 30
    assert math.isfinite(oracle.get_best_trials()[0].score)
    failed = [t for t in oracle.search.trials if t.status == "failed"]
    assert len(failed) == sum(t.params["units"] > 100 for t in oracle.search.trials) > 0


def test_a_search_whose_trials_all_fail_goes_on_to_its_budget(tmp_path):
    options = {"max_trials": 25, "max_consecutive_failed_trials": 99}
    oracle = make_oracle(tmp_path, two_dimensions(), **options)
    tried = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        tried.append(dict(trial.hyperparameters.values))
        finish(oracle, trial, status="FAILED")
    assert len(set(keys_of(tried))) == len(tried) == 25


def test_too_many_failures_in_a_row_end_the_search_and_give_the_lock_back(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions(), max_consecutive_failed_trials=2)
    finish(oracle, oracle.create_trial("tuner0"), status="FAILED")
    with pytest.raises(RuntimeError, match="consecutive failures"):
        finish(oracle, oracle.create_trial("tuner0"), status="FAILED")
    assert not oracle.ongoing_trials
    assert_another_thread_can_use(oracle)


def test_a_mistaken_call_gives_the_lock_back(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    with pytest.raises(KeyError):
        oracle.update_trial("unknown", {"score": 1.0})
    assert_another_thread_can_use(oracle)


def assert_another_thread_can_use(oracle):
    done = []
    thread = threading.Thread(target=lambda: done.append(oracle.create_trial("other")))
    thread.daemon = True
    thread.start()
    thread.join(10)
    assert done


def test_a_retried_trial_has_its_values_again_and_its_new_result_counts(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions(), max_retries_per_trial=1)
    drive(oracle, hill, 3)
    trial = oracle.create_trial("tuner0")
    values = dict(trial.hyperparameters.values)
    finish(oracle, trial, math.nan)
    again = oracle.create_trial("tuner0")
    assert (again.trial_id, again.hyperparameters.values) == (trial.trial_id, values)
    # The tuner reports a result only where there is none yet.
    assert not again.metrics.exists("score")
    finish(oracle, again, 1.0)
    assert oracle.get_best_trials()[0].trial_id == trial.trial_id
    assert [t.score for t in oracle.search.trials][-1] == 1.0


def test_retries_do_not_change_what_is_proposed(tmp_path):
    plain = drive(make_oracle(tmp_path / "a", two_dimensions()), hill, 12)
    oracle = make_oracle(tmp_path / "b", two_dimensions(), max_retries_per_trial=3)
    tried = []
    for i in range(12):
        trial = oracle.create_trial("tuner0")
        for _ in range(i % 3):
            finish(oracle, trial, status="INVALID")
            trial = oracle.create_trial("tuner0")
        tried.append(dict(trial.hyperparameters.values))
        finish(oracle, trial, hill(tried[-1]))
    assert tried == plain


def test_populate_space_never_raises_on_odd_states(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    drive(oracle, hill, 6)
    trial = oracle.create_trial("a")
    trial.status = "COMPLETED"  # as another thread sees it before end_trial gives it a score
    assert trial.score is None
    assert oracle.populate_space("x")["status"] == "RUNNING"
    del oracle.ongoing_trials["a"]
    assert oracle.populate_space("x")["status"] == "RUNNING"
    oracle.end_order.append("never seen")
    oracle.trials["000"].hyperparameters.values = {"rate": "a string"}
    assert oracle.populate_space("x")["status"] == "RUNNING"
    oracle.hyperparameters = keras_tuner.HyperParameters()
    assert oracle.populate_space("x")["status"] == "STOPPED"


def test_a_defect_of_the_search_ends_it_with_a_warning(tmp_path, monkeypatch):
    oracle = make_oracle(tmp_path, two_dimensions())
    monkeypatch.setattr(oracle, "_new_search", lambda space: 1 / 0)
    with pytest.warns(RuntimeWarning, match="the search ends early: ZeroDivisionError"):
        assert oracle.populate_space("x") == {"status": "STOPPED", "values": None}


# Workers


@STRATEGIES
@pytest.mark.parametrize("n_workers", [2, 5])
def test_workers_get_different_trials_and_all_of_them_end(tmp_path, strategy, n_workers):
    hp = grid_of(4, 5)
    options = {"max_trials": None, "strategy": strategy, "points_per_dim": 3, "levels": 3}
    oracle = make_oracle(tmp_path, hp, **options)
    rng = np.random.default_rng(0)
    tried, running, working = [], {}, {f"w{i}" for i in range(n_workers)}
    while working:
        worker = str(rng.choice(sorted(working)))
        if worker in running:
            trial = running.pop(worker)
            finish(oracle, trial, -abs(trial.hyperparameters["x0"] - 2))
            continue
        trial = oracle.create_trial(worker)
        if trial.status == "RUNNING":
            running[worker] = trial
            tried.append(dict(trial.hyperparameters.values))
        elif trial.status == "IDLE":
            assert running
        else:
            working.remove(worker)
    assert len(set(keys_of(tried))) == len(tried)
    assert not oracle.tuner_ids
    if strategy == "zoom":
        assert len(tried) == 20


def test_a_worker_that_asks_again_gets_its_trial_back(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    assert oracle.create_trial("a") is oracle.create_trial("a")
    assert oracle.create_trial("b").trial_id != oracle.create_trial("a").trial_id


def test_threads_end_all_trials_once(tmp_path):
    oracle = make_oracle(tmp_path, grid_of(5, 6), max_trials=None)
    tried = []
    workers = [
        threading.Thread(target=lambda n=n: tried.extend(drive(oracle, sum_of, tuner_id=n)), name=n)
        for n in ("a", "b", "c")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(set(keys_of(tried))) == len(tried) == 30


def sum_of(values):
    return float(sum(values.values()))


# Workers that die


@pytest.fixture
def clock(monkeypatch):
    """The chief's clock, which the test sets."""
    now = [1000.0]
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def with_workers(folder, clock, **options):
    """An oracle of six trials, of which two workers run the first two."""
    oracle = make_oracle(folder, grid_of(9), max_trials=6, worker_timeout=10, **options)
    trials = [oracle.create_trial(worker) for worker in ("a", "b")]
    clock[0] += 9
    return oracle, *trials


def test_the_trial_of_a_silent_worker_is_given_to_another_one(tmp_path, clock):
    oracle, first, second = with_workers(tmp_path, clock)
    finish(oracle, second)
    clock[0] += 9  # a is silent for 18 seconds, b for 9
    given = oracle.create_trial("b")
    assert given.trial_id == first.trial_id
    assert oracle.tuner_ids == {"b"}
    finish(oracle, given)
    assert len(drive(oracle, sum_of, tuner_id="b")) == 4
    assert not oracle.ongoing_trials
    assert not oracle.tuner_ids


@pytest.mark.parametrize("sign", ["create_trial", "get_trial", "update_trial"])
def test_a_worker_that_gives_signs_of_life_keeps_its_trial(tmp_path, clock, sign):
    oracle, first, second = with_workers(tmp_path, clock)
    for _ in range(5):
        arguments = {
            "create_trial": ("a",),
            "get_trial": (first.trial_id,),
            "update_trial": (first.trial_id, {"score": 0.0}),
        }[sign]
        getattr(oracle, sign)(*arguments)
        clock[0] += 9
    assert oracle.create_trial("c").trial_id == second.trial_id
    assert oracle.create_trial("d").trial_id not in (first.trial_id, second.trial_id)


def test_without_a_timeout_workers_are_waited_for_as_keras_tuner_does(tmp_path, clock):
    oracle = make_oracle(tmp_path, grid_of(9), max_trials=2)
    oracle.create_trial("a")
    clock[0] += 1e9
    assert len(drive(oracle, sum_of, tuner_id="b")) == 1
    assert oracle.ongoing_trials.keys() == oracle.tuner_ids == {"a"}


def test_workers_stay_until_the_trials_of_others_have_ended(tmp_path, clock):
    oracle, first, second = with_workers(tmp_path, clock)
    finish(oracle, second)
    while (trial := oracle.create_trial("b")).status == "RUNNING":
        finish(oracle, trial)
    assert len(oracle.trials) == 6
    assert trial.status == "IDLE"
    assert oracle.create_trial("c").status == "IDLE"
    assert oracle.tuner_ids == {"a", "b", "c"}
    finish(oracle, first)
    assert [oracle.create_trial(worker).status for worker in "abc"] == ["STOPPED"] * 3
    assert not oracle.tuner_ids


def test_a_chief_does_not_wait_for_a_worker_that_died_while_it_had_no_trial(tmp_path, clock):
    oracle, first, second = with_workers(tmp_path, clock)
    finish(oracle, first)
    finish(oracle, second)
    assert len(drive(oracle, sum_of, tuner_id="b")) == 4
    assert oracle.tuner_ids == {"a"}
    clock[0] += 11
    assert oracle.tuner_ids == set()


def test_of_two_workers_that_run_one_trial_the_faster_one_counts(tmp_path, clock):
    oracle, first, second = with_workers(tmp_path, clock)
    finish(oracle, second, 0.0)
    clock[0] += 9
    again = oracle.create_trial("b")
    # What a worker sends has come through gRPC: it is another object than the oracle's.
    slow, fast = (keras_tuner.engine.trial.Trial.from_state(first.get_state()) for _ in "ab")
    assert again.trial_id == slow.trial_id
    finish(oracle, slow, 1.0)  # it was not dead, after all
    assert not oracle.ongoing_trials
    finish(oracle, fast, 2.0)
    assert oracle.trials[first.trial_id].score == 1.0
    assert oracle.end_order == [second.trial_id, first.trial_id]
    assert len(drive(oracle, sum_of, tuner_id="b")) == 4


def test_a_result_that_comes_before_the_trial_is_given_again_counts(tmp_path, clock):
    oracle, first, second = with_workers(tmp_path, clock)
    clock[0] += 9
    assert oracle.tuner_ids == set()  # both are taken for dead
    for trial in (first, second):
        finish(oracle, trial)
    assert len(drive(oracle, sum_of, tuner_id="a")) == 4
    assert oracle.end_order[:2] == [first.trial_id, second.trial_id]


@pytest.fixture
def as_chief(monkeypatch):
    """Have this process be a chief."""
    for name, value in {"TUNER_ID": "chief", "ORACLE_IP": "127.0.0.1", "ORACLE_PORT": "1"}.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)


def started_again(folder):
    oracle = make_oracle(folder, grid_of(9), max_trials=6, worker_timeout=10)
    oracle.reload()
    return oracle


def test_a_chief_that_is_started_again_waits_for_its_workers(tmp_path, clock, as_chief):
    _, first, second = with_workers(tmp_path, clock)
    clock[0] = 0.0  # of another machine
    oracle = started_again(tmp_path)
    assert oracle.tuner_ids == {"a", "b"}
    finish(oracle, second, 1.0)  # b has survived the first chief
    assert oracle.create_trial("b").trial_id not in (first.trial_id, second.trial_id)
    oracle.update_trial(first.trial_id, {"score": 3.0})
    oracle = started_again(tmp_path)
    again = oracle.create_trial("a")  # it was started anew, too
    assert again.trial_id == first.trial_id
    assert not again.metrics.exists("score")
    clock[0] += 11
    assert oracle.create_trial("c").trial_id == first.trial_id


def test_a_chief_ends_a_search_of_which_too_many_trials_fail(tmp_path, as_chief):
    options = {"max_consecutive_failed_trials": 2, "worker_timeout": 10}
    oracle = make_oracle(tmp_path, two_dimensions(), **options)
    first, second, third = (oracle.create_trial(worker) for worker in "abc")
    finish(oracle, first, status="FAILED")
    with pytest.warns(RuntimeWarning, match="the search ends early: Number of consecutive"):
        finish(oracle, second, status="FAILED")
    assert oracle.create_trial("a").status == "IDLE"
    finish(oracle, third)
    assert {oracle.create_trial(worker).status for worker in "abc"} == {"STOPPED"}
    assert not oracle.tuner_ids


def test_proposals_take_the_running_trials_into_account(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    drive(oracle, hill, 12)
    alone = oracle.populate_space("x")["values"]
    proposed = [oracle.create_trial(f"w{i}").hyperparameters.values for i in range(6)]
    assert proposed[0] == alone
    assert len(set(keys_of(proposed))) == 6
    # They do not all crowd where the first one is.
    rates = [math.log10(values["rate"]) for values in proposed]
    units = [values["units"] for values in proposed]
    assert np.ptp(rates) > 0.1 or np.ptp(units) > 10


# Resuming


def scenario(name):
    """Options and a score for a search of 24 trials that is stopped and continued."""
    if name == "late":  # an entry is found in the eighth trial
        return {"hp": two_dimensions(), "late": True}
    hp = {"nested": nested, "every": every_kind}.get(name, two_dimensions)()
    strategy = "factorial" if name == "factorial" else "zoom"
    points = {"points_per_dim": 3, "levels": 4}
    return {"hp": hp, "strategy": strategy, **(points if strategy == "factorial" else {})}


def rough(values):
    """A score of any values, the same in every process."""
    numbers = [float(v) if not isinstance(v, str) else len(v) for v in values.values()]
    return float(np.sin(np.sum(numbers)) + 0.1 * len(numbers))


def run_some(oracle, n_trials, late=False):
    tried = []
    for _ in range(n_trials):
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        if late and len(oracle.trials) >= 8:
            trial.hyperparameters.Int("late", 1, 4)
        tried.append(dict(trial.hyperparameters.values))
        finish(oracle, trial, rough(tried[-1]))
    return tried


@pytest.mark.parametrize("name", ["plain", "factorial", "nested", "every", "late"])
@pytest.mark.parametrize("stop", [1, 9, 17])
def test_a_search_stopped_and_continued_proposes_the_same(tmp_path, name, stop):
    options = scenario(name)
    hp, late = options.pop("hp"), options.pop("late", False)
    one = make_oracle(tmp_path / "a", hp.copy(), **options)
    unbroken = run_some(one, 24, late)
    first = make_oracle(tmp_path / "b", hp.copy(), **options)
    tried = run_some(first, stop, late)
    first.save()
    second = make_oracle(tmp_path / "b", hp.copy(), **options | {"max_trials": 200})
    second.reload()
    tried += run_some(second, 24 - stop, late)
    assert tried == unbroken
    assert [t.window for t in second.search.trials] == [t.window for t in one.search.trials]


@pytest.mark.parametrize("name", ["plain", "factorial", "nested", "every"])
def test_a_living_and_a_rebuilt_search_propose_the_same(tmp_path, name):
    # Three workers, so that there are running trials at every question.
    options = scenario(name)
    oracle = make_oracle(tmp_path, options.pop("hp"), **options)
    running = []
    for i in range(26):
        trial = oracle.create_trial(f"w{i % 3}")
        if trial.status != "RUNNING":
            break
        running.append(trial)
        if len(running) == 3:
            done = running.pop(i % 2)
            finish(oracle, done, rough(done.hyperparameters.values))
            del oracle.ongoing_trials  # give the worker's place back to the next one
            oracle.ongoing_trials = {f"w{(i + 1 + k) % 3}x": t for k, t in enumerate(running)}
        alive = oracle.populate_space("x")
        oracle._replay = None
        assert oracle.populate_space("x") == alive


def test_a_stopped_search_goes_on_with_a_larger_budget(tmp_path):
    unbroken = drive(make_oracle(tmp_path / "a", two_dimensions(), max_trials=15), hill)
    tried = drive(make_oracle(tmp_path / "b", two_dimensions(), max_trials=9), hill)
    oracle = make_oracle(tmp_path / "b", two_dimensions(), max_trials=15)
    oracle.reload()
    assert tried + drive(oracle, hill) == unbroken


def test_a_drawn_seed_is_kept(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions(), seed=None)
    drive(oracle, hill, 5)
    again = make_oracle(tmp_path, two_dimensions(), seed=None)
    again.reload()
    assert again.populate_space("x") == oracle.populate_space("x")


def test_trials_that_a_crash_interrupted_are_run_again_first(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    drive(oracle, hill, 4)
    running = [oracle.create_trial(worker) for worker in ("a", "b")]
    oracle.update_trial(running[0].trial_id, {"score": 0.0})  # reported, but not ended
    again = make_oracle(tmp_path, two_dimensions())
    again.reload()
    for trial in running:
        retried = again.create_trial("a")
        assert retried.trial_id == trial.trial_id
        assert retried.hyperparameters.values == trial.hyperparameters.values
        assert not retried.metrics.exists("score")
        finish(again, retried, hill(retried.hyperparameters.values))
    assert again.create_trial("a").trial_id not in [t.trial_id for t in running]


def test_a_finished_trial_is_not_measured_again_after_a_crash_of_the_chief(tmp_path):
    # Keras Tuner saves the oracle before the trial leaves the list of the running ones.
    oracle = make_oracle(tmp_path, two_dimensions())
    drive(oracle, hill, 3)
    last = oracle.create_trial("a")
    before = (tmp_path / "project" / "oracle.json").read_text()
    finish(oracle, last, 0.5)
    proposed = oracle.populate_space("x")
    assert last.trial_id in json.loads(before)["ongoing_trials"].values()
    for state in (before, (tmp_path / "project" / "oracle.json").read_text()):
        (tmp_path / "project" / "oracle.json").write_text(state)
        again = make_oracle(tmp_path, two_dimensions())
        again.reload()
        assert again.populate_space("x") == proposed
        assert again.create_trial("b").trial_id != last.trial_id


def test_a_trial_whose_start_was_not_recorded_is_proposed_again(tmp_path):
    oracle = make_oracle(tmp_path, two_dimensions())
    drive(oracle, hill, 3)
    before = (tmp_path / "project" / "oracle.json").read_text()
    lost = oracle.create_trial("a")
    (tmp_path / "project" / "oracle.json").write_text(before)
    again = make_oracle(tmp_path, two_dimensions())
    again.reload()
    trial = again.create_trial("a")
    assert trial.trial_id == lost.trial_id
    assert trial.hyperparameters.values == lost.hyperparameters.values


def test_state_files_are_written_whole(tmp_path, monkeypatch):
    oracle = make_oracle(tmp_path, two_dimensions())
    drive(oracle, hill, 3)
    files = {path: path.read_text() for path in tmp_path.rglob("*.json")}
    assert len(files) == 4

    def full_disk(descriptor):
        os.ftruncate(descriptor, 40)
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        oracle.save()
    with pytest.raises(OSError, match="no space"):
        oracle._save_trial(oracle.trials["000"])
    monkeypatch.undo()
    assert {path: path.read_text() for path in files} == files
    again = make_oracle(tmp_path, two_dimensions())
    again.reload()
    assert again.populate_space("x") == oracle.populate_space("x")


def test_a_search_killed_after_any_write_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)

    def peak(values):
        evaluated.append(values["x"])
        return -((values["x"] - 0.3) ** 2)

    evaluated = []
    snapshots = []
    replace = os.replace

    def replace_and_keep(*paths):
        replace(*paths)
        snapshots.append(shutil.copytree(tmp_path / "unbroken", tmp_path / f"{len(snapshots)}"))

    oracle = make_oracle(tmp_path / "unbroken", hp, max_trials=7)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_and_keep)
        oracle.save()  # as FractalTuner does when a search begins
        unbroken = drive(oracle, peak)
    assert len(snapshots) == 1 + 5 * 7
    for folder in snapshots:
        evaluated.clear()
        again = make_oracle(folder, hp, max_trials=7)
        again.reload()
        ended = [t.hyperparameters["x"] for t in again.trials.values() if t.status == "COMPLETED"]
        drive(again, peak)
        assert [again.trials[t].hyperparameters.values for t in sorted(again.trials)] == unbroken
        assert sorted(ended + evaluated) == sorted(v["x"] for v in unbroken)
