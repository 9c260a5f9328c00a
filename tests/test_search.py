"""What both searches promise, through ask and tell alone; then the classic grid's own rules."""

import copy
import errno
import itertools
import json
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sklearn.model_selection import ParameterGrid

import fractal_tuner
from fractal_tuner.dimensions import Categorical, Integer, Real
from fractal_tuner.search import FactorialZoom, ZoomSearch
from fractal_tuner.space import SearchSpace

ROOT = Path(fractal_tuner.__file__).parents[1]
PATHS = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])

WHEN = {"n": ("kind", ["b"])}
MIXED = SearchSpace(
    {
        "x": Real(-2, 2),
        "lr": Real(1e-4, 1, log=True),
        "kind": ["a", "b"],
        "n": Integer(1, 50),
    },
    conditions=WHEN,
)
FINITE = SearchSpace(
    {"a": [1, 10, 100], "kind": ["u", "v"], "n": Integer(0, 3)}, conditions={"n": ("kind", ["v"])}
)


def bowl(x=0.0, lr=0.1, kind="a", n=1):
    """A smooth score with its best at x = 0.3, lr = 0.01, kind = b, n = 7."""
    score = -((x - 0.3) ** 2) - (math.log10(lr) + 2) ** 2 / 4
    return score + (0.5 - abs(n - 7) / 50 if kind == "b" else 0)


def score_of(params):
    """A score for any parameters; every process computes the same."""
    return math.sin(sum(map(ord, repr(sorted(params.items())))))


def zoom(space=MIXED, max_trials=20, seed=1, **options):
    return ZoomSearch(space, max_trials=max_trials, seed=seed, **options)


def grid(space=MIXED, max_trials=None, points_per_dim=3, levels=3, **options):
    return FactorialZoom(
        space, max_trials=max_trials, points_per_dim=points_per_dim, levels=levels, **options
    )


both = pytest.mark.parametrize("make", [zoom, grid])


def facts(trials):
    return [(t.id, t.key, t.params, t.window, t.status, repr(t.score), t.error) for t in trials]


def finish(search, function=score_of):
    while batch := search.ask():
        for trial in batch:
            search.tell(trial.id, function(trial.params))
    return search


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.jsonl"


# --- ask and tell ------------------------------------------------------------------------------


@both
def test_ask_hands_out_running_trials_with_ids_params_and_windows(make):
    search = make()
    trials = search.ask(4)
    assert [t.id for t in trials] == [0, 1, 2, 3] == [t.id for t in search.trials.pending]
    for trial in trials:
        assert trial.status == "running"
        assert MIXED.key(trial.params) == trial.key
        assert trial.level == trial.window.level == 0
        assert len(trial.window.lower) == len(trial.window.upper) == len(MIXED)
        assert math.isnan(trial.score)


@both
def test_trials_are_told_by_id_in_any_order(make):
    search = make()
    trials = search.ask(3)
    for trial in (trials[2], trials[0], trials[1]):
        told = search.tell(trial.id, trial.id / 10)
        assert told is trial
        assert (told.status, told.score) == ("complete", trial.id / 10)
    assert search.best_trial is trials[2]
    assert [t.id for t in search.trials.told] == [2, 0, 1]


@both
def test_a_trial_is_told_once_and_only_if_it_was_asked(make):
    search = make()
    trial = search.ask()[0]
    search.tell(trial.id, 1.0)
    with pytest.raises(ValueError, match="trial 0 was told before"):
        search.tell(trial.id, 2.0)
    with pytest.raises(ValueError, match="trial 99 was never asked"):
        search.tell(99, 2.0)
    assert search.best_trial.score == 1.0
    assert len(search.trials.told) == 1


@both
@pytest.mark.parametrize(
    "score",
    [np.float32(0.5), np.float64(0.5), np.array(0.5), Fraction(1, 2), np.int64(2), 2, True],
)
def test_every_real_number_is_a_score(make, score):
    search = make()
    told = search.tell(search.ask()[0].id, score)
    assert (told.status, told.score) == ("complete", float(score))
    assert type(told.score) is float


@both
@pytest.mark.parametrize("score", [math.nan, -math.inf, None, 10**400, np.float32("inf")])
def test_a_score_that_is_no_finite_number_is_a_failure_and_never_the_best(make, score):
    search = make()
    bad, good = search.ask(2)
    assert search.tell(bad.id, score).status == "failed"
    assert bad.error
    search.tell(good.id, -1e9)
    assert search.best_trial is good


@both
@pytest.mark.parametrize("score", ["0.5", [0.5], np.array([0.5, 0.6]), {"score": 1}, 1j, object()])
def test_a_score_that_is_no_number_is_refused_and_the_trial_still_runs(make, score):
    search = make()
    trial = search.ask()[0]
    with pytest.raises(TypeError, match="the score of trial 0 must be a number, got"):
        search.tell(trial.id, score)
    with pytest.raises(TypeError, match="the error of trial 0 must be a string, got"):
        search.tell(trial.id, error=ValueError("no"))
    assert search.tell(trial.id, 0.5).status == "complete"


@both
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 0.5}, "the folds of trial 0 must be a sequence, got 0.5"),
        ({"folds": [0.5, "a"]}, "a fold's score of trial 0 must be a number, got 'a'"),
        ({"details": [1]}, r"the details of trial 0 must be a mapping, got \[1\]"),
    ],
)
def test_folds_and_details_of_the_wrong_kind_are_named_and_the_trial_still_runs(
    make, given, message
):
    search = make()
    trial = search.ask()[0]
    with pytest.raises(TypeError, match=message):
        search.tell(trial.id, 0.5, **given)
    assert search.tell(trial.id, 0.5, folds=np.array([0.4, 0.6])).folds == (0.4, 0.6)


@both
@pytest.mark.parametrize(
    ("n", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)]
)
def test_ask_needs_a_count(make, n, error):
    with pytest.raises(error, match="n must be"):
        make().ask(n)


@both
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_trials": 0}, ValueError, "max_trials must be at least 1, got 0"),
        ({"max_trials": 2.5}, TypeError, "max_trials must be an integer, got 2.5"),
        ({"max_trials": True}, TypeError, "max_trials must be an integer, got True"),
        ({"max_time": 0}, ValueError, "max_time must be a positive number of seconds, got 0"),
        ({"max_time": "1h"}, TypeError, "max_time must be a number, got '1h'"),
        ({"target_score": "high"}, TypeError, "target_score must be a number, got 'high'"),
        ({"target_score": math.nan}, ValueError, "target_score must be a number, got nan"),
        ({"fingerprint": "data"}, TypeError, "fingerprint must be a mapping, got 'data'"),
        ({"space": {}}, ValueError, "the search space is empty"),
        ({"space": {"x": "abc"}}, TypeError, "dimension 'x'"),
    ],
)
def test_bad_options_are_refused_before_a_journal_is_made(make, path, options, error, message):
    with pytest.raises(error, match=message):
        make(journal=path, **options)
    assert not path.exists()


@pytest.mark.parametrize("seed", [-1, 1.5, "0"])
def test_a_seed_is_a_number_of_at_least_0(seed):
    with pytest.raises(ValueError, match="seed must be None or an integer of at least 0"):
        zoom(seed=seed)


def test_seed_zero_is_a_seed_and_no_seed_is_drawn_anew():
    proposals = [facts(finish(zoom(seed=0, max_trials=8)).trials) for _ in range(2)]
    assert proposals[0] == proposals[1]
    assert zoom(seed=None).seed != zoom(seed=None).seed


# --- reasons to stop ---------------------------------------------------------------------------


@both
def test_the_budget_ends_a_search(make):
    search = make(space={"x": Real(0, 1), "y": Real(0, 1)}, max_trials=12)
    assert len(search.ask(100)) == (9 if make is grid else 12)
    assert not search.finished
    for trial in search.trials.pending:
        search.tell(trial.id, -trial.id)
    finish(search)
    assert (len(search.trials), search.finished, search.stop_reason) == (12, True, "budget")
    assert search.ask(5) == []


@both
def test_a_target_ends_a_search(make):
    search = make(target_score=0.5)
    first, second, third = search.ask(3)
    search.tell(first.id, 0.4)
    search.tell(second.id, math.inf)
    assert search.stop_reason is None
    search.tell(third.id, 0.5)
    assert search.ask() == []
    assert (search.finished, search.stop_reason) == (True, "target")


@both
def test_a_search_is_not_finished_while_a_trial_runs(make):
    search = make(target_score=0.5)
    first, second = search.ask(2)
    search.tell(first.id, 0.9)
    assert search.ask() == []
    assert not search.finished
    search.tell(second.id, 0.1)
    assert search.finished


@both
def test_while_a_running_trial_is_expected_to_reach_the_target_nothing_is_proposed(make):
    search = make(target_score=0.5)
    trial = search.ask()[0]
    search.expect(trial.id, 0.6)
    assert search.ask() == []
    assert not search.finished
    search.tell(trial.id, 0.4)
    assert len(search.ask()) == 1


@both
def test_what_is_expected_is_a_number_of_a_running_trial(make):
    search = make()
    trial = search.ask()[0]
    with pytest.raises(TypeError, match="the score expected of trial 0 must be a number, got 'x'"):
        search.expect(trial.id, "x")
    with pytest.raises(ValueError, match="trial 7 was never asked; running are"):
        search.expect(7, 0.5)
    search.tell(trial.id, 0.5)
    with pytest.raises(ValueError, match="trial 0 was told before; running are"):
        search.expect(trial.id, 0.5)


def next_after(expected, told=None):
    """What is proposed when a running trial, far from the best one, is expected to score so."""
    search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=40, seed=0, noise=False)
    for _ in range(15):
        trial = search.ask()[0]
        search.tell(trial.id, -((trial.params["x"] - 0.2) ** 2) - trial.params["y"] ** 2)
    running = search.add({"x": 0.875, "y": 0.875})
    if expected is not None:
        search.expect(running.id, expected)
    if told is not None:
        search.tell(running.id, told)
    return search.ask()[0]


def test_proposals_take_the_expected_score_for_true():
    for score in (0.1, 0.5, 1e300):
        trial = next_after(score)
        assert trial.window.center == 15  # the best one now
        assert math.dist(trial.params.values(), (0.875, 0.875)) < 0.5
    nothing = next_after(None)
    assert nothing.window.center != 15
    assert next_after(math.nan).params == nothing.params
    assert next_after(-1e300).window.center != 15


def test_what_was_expected_is_forgotten_when_the_trial_is_told():
    assert next_after(1.0, told=-1.3).params == next_after(None, told=-1.3).params


@both
def test_time_runs_from_the_first_ask(make, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    search = make(max_time=10)
    now[0] += 100
    trial = search.ask()[0]
    now[0] += 9.9
    search.tell(trial.id, 0.0)
    trial = search.ask()[0]
    now[0] += 0.2
    assert search.ask() == []
    assert not search.finished
    search.tell(trial.id, 0.0)
    assert (search.finished, search.stop_reason) == (True, "time")


@both
def test_time_also_runs_for_trials_left_by_a_crash(make, path, monkeypatch):
    search = make(journal=path)
    search.ask(2)
    search.close()
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with make(journal=path, max_time=10) as search:
        for _ in range(2):
            trial = search.ask()[0]
            now[0] += 6
            search.tell(trial.id, 0.0)
        assert search.ask() == []
        assert search.stop_reason == "time"


@both
def test_a_finite_space_is_covered_exactly_once(make):
    search = finish(make(space=FINITE, points_per_dim=9, levels=1) if make is grid else
                    make(space=FINITE, max_trials=1000))  # fmt: skip
    keys = [trial.key for trial in search.trials]
    assert len(keys) == FINITE.size == 15
    assert set(keys) == set(FINITE.keys())
    assert search.finished
    assert search.stop_reason == ("grid complete" if make is grid else "space exhausted")


FINITE_SPACES = some.lists(
    some.lists(
        some.sampled_from([["x"], ["x", "y", "z"], [1, 2, 4], Integer(0, 5), [None, True]]),
        min_size=1,
        max_size=3,
    ).map(lambda dimensions: dict(zip("abc", dimensions, strict=False))),
    min_size=1,
    max_size=2,
)


@given(FINITE_SPACES, some.integers(1, 4), some.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_any_finite_space_is_covered_once_in_batches_of_any_size(space, batch, seed):
    for search in (
        ZoomSearch(space, max_trials=None, seed=seed),
        FactorialZoom(space, points_per_dim=6, levels=2),
    ):
        asked = []
        while trials := search.ask(batch):
            asked += trials
            random.Random(seed).shuffle(trials)
            for trial in trials:
                search.tell(trial.id, score_of(trial.params))
        keys = [trial.key for trial in asked]
        assert len(keys) == len(set(keys)) == search.space.size
        assert set(keys) == set(search.space.keys())
        assert search.finished


# --- the best ----------------------------------------------------------------------------------


@both
def test_the_earliest_of_equal_trials_is_the_best_in_any_order_of_telling(make):
    for order in itertools.permutations(range(3)):
        search = make()
        trials = search.ask(3)
        for i in order:
            search.tell(trials[i].id, 1.0)
        assert search.best_trial.id == 0


@both
def test_before_the_first_score_there_is_no_best_trial(make):
    search = make()
    with pytest.raises(RuntimeError, match="no trial has been told yet"):
        search.best_trial


@both
def test_when_all_trials_failed_their_messages_are_told(make):
    search = make()
    for i, trial in enumerate(search.ask(9)):
        search.tell(trial.id, error=f"error {min(i, 6)}" if i else None)
    message = (
        "all 9 trials failed: no score was given (1 times); error 1 (1 times); error 2 (1 times); "
        "error 3 (1 times); error 4 (1 times); and 2 other errors"
    )
    with pytest.raises(RuntimeError) as caught:
        search.best_trial
    assert str(caught.value) == message


@both
def test_a_search_in_which_everything_fails_ends_and_says_why(make):
    def broken(**params):
        raise ZeroDivisionError("always")

    search = make(space={"x": Real(0, 1), "y": Real(0, 1)}, max_trials=15)
    expected = "ZeroDivisionError: always"
    with pytest.raises(RuntimeError, match=f"trials failed: {expected}"):
        search.run(broken)
    assert search.finished
    assert {t.error for t in search.trials} == {expected}


# --- run ---------------------------------------------------------------------------------------


@both
def test_run_evaluates_until_the_end_and_returns_the_best(make):
    calls = []

    def function(**params):
        calls.append(params)
        return bowl(**params)

    search = make(max_trials=40)
    best = search.run(function)
    assert search.finished
    assert calls == [trial.params for trial in search.trials]
    assert best.score == max(trial.score for trial in search.trials)
    assert best.score == bowl(**best.params)


@both
def test_run_may_be_taken_in_parts(make):
    whole, parts = make(max_trials=40), make(max_trials=40)
    whole.run(lambda **p: bowl(**p))
    parts.run(lambda **p: bowl(**p), n_trials=7)
    assert len(parts.trials) == 7
    parts.run(lambda **p: bowl(**p))
    assert facts(parts.trials) == facts(whole.trials)


@both
def test_a_function_that_raises_makes_failed_trials_and_the_search_goes_on(make):
    def fragile(x, **rest):
        if x > 0.5:
            raise ValueError(f"x = {x} diverged")
        return -x * x

    search = make(max_trials=40)
    best = search.run(fragile)
    failed = [trial for trial in search.trials if trial.status == "failed"]
    assert failed
    assert all(trial.error == f"ValueError: x = {trial.params['x']} diverged" for trial in failed)
    assert best.params["x"] <= 0.5
    assert search.finished


@both
def test_a_keyboard_interrupt_leaves_a_search_that_goes_on_as_if_nothing_had_happened(make, path):
    calls = itertools.count()

    def interrupted(**params):
        if next(calls) in (3, 9):
            raise KeyboardInterrupt
        return bowl(**params)

    search = make(max_trials=40, journal=path)
    for n_told in (3, 8):
        with pytest.raises(KeyboardInterrupt):
            search.run(interrupted)
        assert len(search.trials.told) == n_told
        assert len(search.trials.pending) == 1
    search.close()
    unbroken = make(max_trials=40)
    unbroken.run(lambda **p: bowl(**p))
    with make(max_trials=40, journal=path) as resumed:
        assert len(resumed.trials.told) == 8
        resumed.run(interrupted)
    assert facts(resumed.trials) == facts(unbroken.trials)


@both
def test_a_function_that_returns_no_number_is_an_error_at_once(make):
    search = make()
    with pytest.raises(TypeError, match="the score of trial 0 must be a number, got 'good'"):
        search.run(lambda **params: "good")
    assert [trial.id for trial in search.ask(3)] == [0]


@both
def test_a_function_that_forgets_its_score_makes_failed_trials(make):
    search = make(max_trials=40)
    with pytest.raises(RuntimeError, match=r"trials failed: no score was given \(\d+ times\)"):
        search.run(lambda **params: None)


# --- candidates from elsewhere -----------------------------------------------------------------


@both
def test_a_candidate_can_be_added_told_and_become_the_best(make):
    search = make()
    params = {"x": 0.123, "lr": 0.01, "kind": "b", "n": 7}
    trial = search.add(params)
    assert trial.params == params
    search.tell(trial.id, 100.0)
    assert search.best_trial is trial
    with pytest.raises(ValueError, match="unknown parameter 'y'"):
        search.add({"y": 1})
    with pytest.raises(ValueError, match="parameter 'x'"):
        search.add(params | {"x": 5})


@both
def test_an_added_candidate_is_not_proposed_again(make):
    search = make(space=FINITE, **({"points_per_dim": 9} if make is grid else {"max_trials": 99}))
    assert not search.finished  # looks ahead at the next proposal
    ahead = FINITE.params(next(iter(FINITE.keys())))
    search.tell(search.add(ahead).id, 0.0)
    finish(search)
    keys = [trial.key for trial in search.trials]
    assert len(keys) == len(set(keys)) == FINITE.size


@both
def test_a_search_goes_on_from_candidates_off_its_grid(make, path):
    def warm(journal=None):
        search = make(max_trials=45, journal=journal)
        for x in (0.299, -1.234):
            trial = search.add({"x": x, "lr": 0.0101, "kind": "b", "n": 7})
            search.tell(trial.id, bowl(**trial.params))
        return search

    search = finish(warm(path), lambda p: bowl(**p))
    # With noise unknown, the zooming search may ask its best candidate a second time, once.
    assert len({trial.key for trial in search.trials}) >= len(search.trials) - (make is zoom)
    search.close()
    again = make(max_trials=60, journal=path)
    straight = warm()
    straight.max_trials = 60
    assert facts(finish(again, lambda p: bowl(**p)).trials) == facts(
        finish(straight, lambda p: bowl(**p)).trials
    )


# --- a pure function of space, options, seed, told and pending trials ---------------------------

EVENTS = some.lists(
    some.one_of(
        some.tuples(some.just("ask"), some.integers(1, 4)),
        some.tuples(some.just("tell"), some.integers(0, 99)),
        some.tuples(some.just("fail"), some.integers(0, 99)),
        some.tuples(some.just("look"), some.just(0)),
    ),
    max_size=25,
)


def play(search, events):
    """Ask, tell, fail and look in the order of ``events``."""
    for event, number in events:
        pending = search.trials.pending
        if event == "ask":
            search.ask(number)
        elif event == "look":
            search.finished
        elif pending:
            trial = pending[number % len(pending)]
            failed = event == "fail"
            search.tell(trial.id, None if failed else bowl(**trial.params))
    return search


@pytest.mark.parametrize(
    ("make", "n_told", "options"),
    [(grid, 0, {}), (zoom, 0, {}), (zoom, 18, {"tolerance": 0.01})],
)
@given(events=EVENTS, n=some.integers(1, 3))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_replayed_search_proposes_what_the_live_one_does(
    make, n_told, options, events, n, tmp_path_factory
):
    def made(**journal):
        return make(max_trials=40 + n_told, **journal, **options)

    path = tmp_path_factory.mktemp("replay") / "search.jsonl"
    events = [("ask", 1), ("tell", 0)] * n_told + events
    live = play(made(journal=path), events)
    live.close()
    replayed = made(journal=path)
    assert facts(replayed.trials) == facts(live.trials)
    # First of all what was running, alone; then what the live search proposes.
    running = [trial.id for trial in live.trials.pending]
    assert [trial.id for trial in (replayed.ask(99) if running else [])] == running
    twin = play(made(), [e for e in events if e[0] != "look"])
    assert facts(twin.trials) == facts(live.trials)
    fresh = made()  # without a journal: told the same by hand
    for trial in live.trials:
        fresh.add(trial.params, window=trial.window)
    for trial in live.trials.told:
        fresh.tell(trial.id, trial.score if trial.status == "complete" else None)
    unlogged = play(made(), events)
    proposals = [facts(search.ask(n)) for search in (unlogged, twin, fresh, replayed)]
    assert all(proposal == proposals[0] for proposal in proposals)
    assert fresh.finished == unlogged.finished == replayed.finished
    replayed.close()


@both
@given(events=EVENTS, max_trials=some.integers(36, 44))
@settings(max_examples=20, deadline=None)
def test_never_more_than_max_trials_and_never_one_twice(make, events, max_trials):
    search = play(make(max_trials=max_trials), events + [("ask", 4), ("tell", 7)] * 30)
    keys = [trial.key for trial in search.trials]
    assert len(keys) <= max_trials
    # With noise unknown, the zooming search may ask its best candidate a second time, once.
    assert len(set(keys)) >= len(keys) - (make is zoom)


@both
def test_orphans_come_first_alone_and_under_their_old_ids(make, path):
    search = make(journal=path)
    trials = search.ask(5)
    search.tell(trials[1].id, 0.5)
    search.close()
    with make(journal=path) as search:
        assert not search.finished
        assert [t.id for t in search.ask(3)] == [0, 2, 3]
        search.tell(4, 0.25)  # not handed out again yet
        search.tell(0, 0.125)
        new = search.ask(3)
        assert [t.id for t in new] == [5, 6, 7]
        assert new[0].params not in [t.params for t in trials]


@both
def test_orphans_are_told_like_any_other(make, path):
    unbroken = finish(make(max_trials=40), lambda p: bowl(**p))
    search = make(max_trials=40, journal=path)
    for step in range(200):
        trials = search.ask()
        if not trials:
            break
        if step % 3 == 2:  # a crash between ask and tell
            search.close()
            search = make(max_trials=40, journal=path)
        else:
            search.tell(trials[0].id, bowl(**trials[0].params))
    search.close()
    assert facts(search.trials) == facts(unbroken.trials)
    assert search.stop_reason == unbroken.stop_reason


@both
def test_a_journal_of_other_options_is_refused(make, path):
    make(journal=path, fingerprint={"data": "abc"}).close()
    changed = {"points_per_dim": 2} if make is grid else {"seed": 2}
    name, value = next(iter(changed.items()))
    with pytest.raises(ValueError, match=f"its {name} is .*, here it is {value}"):
        make(journal=path, fingerprint={"data": "abc"}, **changed)
    with pytest.raises(ValueError, match="its fingerprint data is 'abc', here it is 'abd'"):
        make(journal=path, fingerprint={"data": "abd"})
    wider = {p.name: p.dimension for p in MIXED.parameters} | {"x": Real(-2, 3)}
    with pytest.raises(ValueError, match=r"its space x high is 2\.0, here it is 3\.0"):
        make(SearchSpace(wider, conditions=WHEN), journal=path, fingerprint={"data": "abc"})
    other = zoom if make is grid else grid
    with pytest.raises(ValueError, match="belongs to another search"):
        other(journal=path, fingerprint={"data": "abc"})


@both
def test_the_budget_may_grow_when_a_journal_is_continued(make, path):
    with make(max_trials=36, journal=path) as search:
        finish(search, lambda p: bowl(**p))
        assert (len(search.trials), search.stop_reason) == (36, "budget")
    with make(max_trials=45, journal=path, target_score=1e9, max_time=1e6) as search:
        finish(search, lambda p: bowl(**p))
    straight = finish(make(max_trials=45), lambda p: bowl(**p))
    assert len(search.trials) == 45
    assert facts(search.trials) == facts(straight.trials)


def test_a_drawn_seed_is_that_of_the_continued_search(path):
    with zoom(seed=None, journal=path) as search:
        finish(search)
    with zoom(seed=None, journal=path, max_trials=25) as again:
        assert again.seed == search.seed
        finish(again)
    assert facts(again.trials) == facts(finish(zoom(seed=search.seed, max_trials=25)).trials)


@both
def test_a_proposal_that_cannot_be_written_is_not_lost(make, path, monkeypatch):
    search = make(max_trials=40, journal=path)
    real, calls = os.write, itertools.count()

    def full(file, data):
        if next(calls) in (2, 3, 7):
            raise OSError(errno.ENOSPC, "disk full")
        return real(file, data)

    monkeypatch.setattr(os, "write", full)
    handed = []
    for _ in range(6):
        try:
            handed += search.ask(3)
        except OSError:
            continue
    straight = make(max_trials=40).ask(len(handed))
    assert [t.id for t in handed] == list(range(len(handed)))
    assert [t.key for t in handed] == [t.key for t in straight]
    search.close()


@both
def test_what_was_asked_together_is_in_the_journal_together_or_not_at_all(make, path, monkeypatch):
    sizes = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda *a: sizes.append(a[1].count(b"\n")) or real(*a))
    with make(max_trials=40, journal=path) as search:
        search.ask(5)
        search.ask()
    assert sizes == [1, 5, 1]


@both
def test_a_trial_whose_ask_was_interrupted_is_handed_out_by_the_next_one(make, monkeypatch):
    def interrupted(*args):
        real(*args)
        raise KeyboardInterrupt

    search, real = make(space=FINITE, max_trials=99), fractal_tuner.TrialLog.add_all
    with monkeypatch.context() as patched:
        patched.setattr(fractal_tuner.TrialLog, "add_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search.ask(3)
    handed = search.ask(3) + search.ask(4)
    assert [trial.id for trial in handed] == [0, 1, 2, 3, 4, 5, 6]
    assert len({trial.key for trial in handed}) == 7


@both
def test_a_search_survives_pickle_and_deepcopy_and_goes_on_alike(make):
    search = make(max_trials=40)
    search.run(lambda **p: bowl(**p), n_trials=9)
    twins = [search, copy.deepcopy(search), pickle.loads(pickle.dumps(search))]
    proposals = [facts(finish(twin, lambda p: bowl(**p)).trials) for twin in twins]
    assert proposals[0] == proposals[1] == proposals[2]


@pytest.mark.parametrize("options", [{"noise": True}, {"noise": None}, {"tolerance": 1e-9}])
def test_a_pickle_holds_the_trials_alone_and_the_search_believes_again_what_it_did(options):
    def told(search, n):
        for number in range(n):
            *batch, _ = search.ask(3) if number % 9 == 4 else (search.ask()[0], None)
            for trial in batch:
                score = bowl(**trial.params) + score_of(trial.params) / 20
                search.tell(trial.id, math.nan if trial.id % 7 == 3 else score)
        return search

    search = told(zoom(max_trials=200, **options), 90)  # ten trials of it are still running
    pickled = pickle.dumps(search)
    assert len(pickled) < 1.5 * len(pickle.dumps(search.trials))
    twin = pickle.loads(pickled)
    assert twin.best_trial.id == search.best_trial.id
    assert facts(told(twin, 30).trials) == facts(told(search, 30).trials)


def run_script(code, *arguments, **options):
    environment = os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=environment | options.pop("env", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_two_fresh_interpreters_propose_the_same():
    code = """
from test_search import *
for make in (zoom, grid):
    search = finish(make(max_trials=40), lambda p: bowl(**p))
    print(json.dumps([trial.key for trial in search.trials]))
"""
    runs = [run_script(code, env={"PYTHONHASHSEED": str(seed)}) for seed in (1, 2)]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert outputs[0][0] == outputs[1][0] != "", outputs
    here = [finish(make(max_trials=40), lambda p: bowl(**p)) for make in (zoom, grid)]
    there = [json.loads(line) for line in outputs[0][0].splitlines()]
    assert there == [[list(trial.key) for trial in search.trials] for search in here]


# --- kill -9 -----------------------------------------------------------------------------------

KILLED = """
import os, sys, time
from fractal_tuner.search import FactorialZoom, ZoomSearch
from fractal_tuner.dimensions import Real
journal, notes, strategy, pause = sys.argv[1:]
space = {"x": Real(0, 1), "y": Real(0, 1)}
if strategy == "zoom":
    search = ZoomSearch(space, max_trials=30, seed=3, journal=journal)
else:
    search = FactorialZoom(space, points_per_dim=4, levels=3, journal=journal)
file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while batch := search.ask(2):
    for trial in batch:
        os.write(file, f"began {trial.id} {trial.params['x']!r} {trial.params['y']!r}\\n".encode())
        time.sleep(float(pause))
        score = -(trial.params["x"] - 0.3) ** 2 - (trial.params["y"] - 0.6) ** 2
        search.tell(trial.id, score, details={"pad": "x" * 200})
        os.write(file, f"told {trial.id}\\n".encode())
print("finished", search.stop_reason, search.best_trial.id)
"""


def kill_and_rerun(folder, strategy, kills, seed):
    """Run the script to its end with ``kills`` SIGKILLs on the way, and check what it left."""
    rng = random.Random(seed)
    journal, notes = folder / "search.jsonl", folder / "notes"
    done, survived = 0, None
    while survived is None:
        script = run_script(KILLED, journal, notes, strategy, 0.004)
        if done < kills:
            size = notes.stat().st_size if notes.exists() else 0
            while script.poll() is None and (not notes.exists() or notes.stat().st_size == size):
                time.sleep(0.002)  # until it evaluates something
            time.sleep(rng.random() * 0.03)
            script.send_signal(signal.SIGKILL)
            done += 1
        output, errors = script.communicate(timeout=120)
        assert "Error" not in errors, errors
        if script.returncode == 0:
            survived = output
    lines = [line.split() for line in notes.read_text().splitlines()]
    acknowledged = set()
    for event, trial_id, *_ in lines:
        if event == "began":
            assert trial_id not in acknowledged, "evaluated again after it was acknowledged"
        else:
            acknowledged.add(trial_id)
    unbroken_folder = folder / "unbroken"
    unbroken_folder.mkdir()
    places = unbroken_folder / "search.jsonl", unbroken_folder / "notes"
    unbroken, errors = run_script(KILLED, *places, strategy, 0).communicate(timeout=120)
    assert survived == unbroken != "", errors
    space = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})
    logs = [fractal_tuner.TrialLog.read(place, space) for place in (journal, places[0])]
    assert facts(logs[0]) == facts(logs[1])
    assert not logs[0].pending
    assert acknowledged <= {str(trial.id) for trial in logs[0].told}
    for event, trial_id, *params in lines:  # no id ever stood for two candidates
        if event == "began":
            assert params == [repr(logs[0][int(trial_id)].params[name]) for name in "xy"]
    assert not list(folder.glob("*.torn-*"))
    return done


@pytest.mark.parametrize("strategy", ["zoom", "factorial"])
def test_a_search_killed_at_any_moment_ends_as_the_unbroken_one(tmp_path, strategy):
    assert kill_and_rerun(tmp_path, strategy, kills=6, seed=hash_of(strategy)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_two_hundred_kills_lose_nothing(tmp_path, seed):
    assert kill_and_rerun(tmp_path, ("zoom", "factorial")[seed % 2], kills=10, seed=seed) == 10


def hash_of(text):
    return sum(map(ord, text))


# --- the classic grid --------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_one_level_is_scikit_learns_grid(d):
    n = 4
    space = {f"x{i}": Real(0, 3) for i in range(d - 1)} | {"kind": ["a", "b", None]}
    search = finish(grid(space, points_per_dim=n, levels=1))
    lists = {f"x{i}": [0.0, 1.0, 2.0, 3.0] for i in range(d - 1)} | {"kind": ["a", "b", None]}
    ours = sorted(repr(sorted(trial.params.items())) for trial in search.trials)
    assert ours == sorted(repr(sorted(p.items())) for p in ParameterGrid(lists))
    assert (search.stop_reason, len(search.trials)) == ("grid complete", 3 * n ** (d - 1))
    assert {trial.window.level for trial in search.trials} == {0}


def test_one_level_takes_lists_of_dicts_as_scikit_learn_does():
    lists = [{"kernel": ["linear"], "C": [1, 10]}, {"kernel": ["rbf"], "C": [1], "g": [2, 3, 4]}]
    search = finish(grid(lists, levels=1))
    ours = sorted(repr(sorted(trial.params.items())) for trial in search.trials)
    assert ours == sorted(repr(sorted(p.items())) for p in ParameterGrid(lists))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_each_level_is_the_full_grid_between_the_neighbours_of_the_best(d):
    space = {f"x{i}": Real(0, 1) for i in range(d)}
    best = [0.25, 0.5, 0.0][:d]
    search = grid(space, points_per_dim=5, levels=2)
    finish(search, lambda p: -sum((x - b) ** 2 for x, b in zip(p.values(), best, strict=True)))
    sides = [(0.0, 0.5), (0.25, 0.75), (0.0, 0.25)][:d]
    second = set(itertools.product(*(np.linspace(*side, 5) for side in sides)))
    first = set(itertools.product(np.linspace(0, 1, 5), repeat=d))
    places = [tuple(trial.params.values()) for trial in search.trials]
    assert set(places) == first | second
    assert len(places) == len(set(places)) == len(first | second)
    assert set(places[: 5**d]) == first
    window = search.trials[len(search.trials) - 1].window
    assert list(zip(window.lower, window.upper, strict=True)) == sides
    assert search.trials[window.center].params == dict(zip(space, best, strict=True))


@given(
    some.lists(
        some.sampled_from(
            [
                Real(-1, 1),
                Real(1e-5, 1, log=True),
                Integer(0, 1000),
                Integer(1, 10**6, log=True),
                Integer(10**30, 2 * 10**30),
                [1, 2, 4, 8, 16, 32, 64],
                ["a", "b"],
            ]
        ),
        min_size=1,
        max_size=2,
    ),
    some.integers(1, 5),
    some.integers(1, 5),
    some.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_windows_are_nested_hold_their_points_and_no_point_is_asked_twice(
    dimensions, points_per_dim, levels, rng
):
    search = grid(dict(zip("ab", dimensions, strict=False)), None, points_per_dim, levels)
    finish(search, lambda p: rng.random())
    keys = [trial.key for trial in search.trials]
    assert len(keys) == len(set(keys))
    assert search.stop_reason == "grid complete"
    outer = None
    for trial in search.trials:
        window = trial.window
        for u, low, high in zip(
            search.space.unit(trial.key), window.lower, window.upper, strict=True
        ):
            assert low - 1e-9 <= u <= high + 1e-9
        if outer and window.level > outer.level:
            assert all(a >= b for a, b in zip(window.lower, outer.lower, strict=True))
            assert all(a <= b for a, b in zip(window.upper, outer.upper, strict=True))
        outer = window
    assert outer.level < levels


@given(some.integers(1, 50), some.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_neither_batches_nor_the_order_of_telling_change_the_grid(batch, rng):
    straight = finish(grid(), lambda p: round(bowl(**p), 1))  # with ties
    search = grid()
    while not search.finished:
        search.ask(batch)
        trial = rng.choice(search.trials.pending)
        search.tell(trial.id, round(bowl(**trial.params), 1))
    assert {(t.key, t.level) for t in search.trials} == {(t.key, t.level) for t in straight.trials}
    assert search.best_trial.params == straight.best_trial.params
    assert search.stop_reason == straight.stop_reason == "grid complete"


def test_a_grid_continues_from_a_journal_cut_after_any_record(path):
    def evaluate(params):
        return bowl(**params)

    space = {"x": Real(-2, 2), "lr": Real(1e-4, 1, log=True)}
    unbroken = grid(space, points_per_dim=4, journal=path)
    finish(unbroken, evaluate)
    unbroken.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert {trial.level for trial in unbroken.trials} == {0, 1, 2}
    for n in range(len(lines)):
        path.write_bytes(b"".join(lines[:n]))
        with grid(space, points_per_dim=4, journal=path) as search:
            finish(search, evaluate)
        assert facts(search.trials) == facts(unbroken.trials)


def test_asks_wait_at_the_end_of_a_level():
    search = grid({"x": Real(0, 1)})
    first = search.ask(10)
    assert [trial.params["x"] for trial in first] == [0.0, 0.5, 1.0]
    assert search.ask() == []
    assert not search.finished
    search.tell(first[0].id, 0.0)
    search.tell(first[2].id, 1.0)
    assert search.ask() == []
    search.tell(first[1].id, 0.5)
    assert [trial.params["x"] for trial in search.ask(10)] == [0.75]
    assert search.ask() == []


def test_categories_and_conditional_parameters_are_swept_at_every_level():
    search = finish(grid(levels=2, points_per_dim=5), lambda p: bowl(**p))
    for level in (0, 1):
        here = [trial.params for trial in search.trials if trial.level == level]
        assert {params["kind"] for params in here} == {"a", "b"}
        assert all(("n" in params) == (params["kind"] == "b") for params in here)
        assert len({params["n"] for params in here if "n" in params}) == 5


@pytest.mark.parametrize(
    ("space", "points_per_dim", "said"),
    [
        ({"x": Real(0, 1), "y": Real(0, 1), "z": Real(0, 1)}, 1000, "1000000000"),
        ({f"x{i}": Real(0, 1) for i in range(30)}, 10, r"about 10\^30"),
        ({f"x{i}": Integer(0, 10**9) for i in range(2)}, 60000, "3600000000"),
        ({"x": Categorical(range(200))}, 5, "200"),
    ],
)
def test_a_grid_larger_than_the_budget_is_refused_at_once(space, points_per_dim, said, path):
    began = time.process_time()
    with pytest.raises(
        ValueError, match=f"the grid has {said} points, more than max_trials=100; max_trials must"
    ):
        FactorialZoom(space, points_per_dim=points_per_dim, max_trials=100, journal=path)
    assert time.process_time() - began < 2
    assert not path.exists()  # so that a smaller grid can begin it


def test_points_per_dim_and_levels_are_counts_within_reason():
    for options, message in [
        ({"points_per_dim": 0}, "points_per_dim must be at least 1, got 0"),
        ({"levels": 0}, "levels must be at least 1, got 0"),
        ({"points_per_dim": 10**9}, "points_per_dim must be at most 65536, got 1000000000"),
    ]:
        with pytest.raises(ValueError, match=message):
            FactorialZoom({"x": Real(0, 1)}, **options)
    for options in ({"points_per_dim": 2.0}, {"levels": "3"}):
        with pytest.raises(TypeError, match="must be an integer"):
            FactorialZoom({"x": Real(0, 1)}, **options)


def test_a_huge_grid_without_a_budget_is_proposed_lazily():
    search = FactorialZoom({f"x{i}": Real(0, 1) for i in range(30)}, points_per_dim=10)
    assert len(search.ask(5)) == 5


def test_integers_beyond_floats_are_zoomed_exactly():
    goal = 10**30 + 123456789
    search = FactorialZoom({"n": Integer(0, 10**31)}, points_per_dim=5, levels=120)
    best = finish(search, lambda p: -float(abs(p["n"] - goal))).best_trial
    assert best.params["n"] == goal


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("goal", [3, 41, 999, 123456])
def test_rounding_never_closes_a_window_on_the_side_of_the_best(log, goal):
    search = FactorialZoom({"n": Integer(1, 10**6, log=log)}, points_per_dim=5, levels=30)
    best = finish(search, lambda p: -abs(p["n"] - goal)).best_trial
    assert best.params["n"] == goal
    for trial in search.trials:
        if trial.level:
            center = search.space.unit(search.trials[trial.window.center].key)[0]
            low, high = trial.window.lower[0], trial.window.upper[0]
            assert low <= center <= high


def test_scores_that_hardly_differ_beside_others_that_do_are_no_overflow():
    search = ZoomSearch({"x": Real(0, 1)}, max_trials=8, seed=0, noise=False)
    scores = iter([0.0, 5e-324, -1.0, 0.0, -1e300, 0.0, 0.0, 0.0])
    assert search.run(lambda x: next(scores)).score == 5e-324


def test_a_later_candidate_from_elsewhere_moves_a_zoom_that_has_not_begun():
    search = grid({"x": Real(0, 1)}, levels=2)
    for trial in search.ask(3):
        search.tell(trial.id, -trial.params["x"])
    assert not search.finished  # looks at the next level already
    added = search.add({"x": 0.9})
    assert search.ask() == []
    search.tell(added.id, 5.0)
    new = search.ask(9)
    assert [trial.params["x"] for trial in new] == [0.75]
    assert {trial.window.center for trial in new} == {added.id}
