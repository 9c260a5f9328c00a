"""A search with a journal, crashed and continued at any moment, against a model that never fails.

The model keeps what was acknowledged, one event for each record of the journal. Beside it goes a
twin: a search of the same options without a journal, which is undisturbed and hears the same events
in the same order. Whatever the search proposes, before and after a crash, the twin must propose.
"""

import math
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fractal_tuner import FactorialZoom, Integer, Real, SearchSpace, ZoomSearch
from fractal_tuner.space import as_space

SPACES = {
    "a continuum": SearchSpace({"x": Real(0, 1), "lr": Real(1e-4, 1, log=True)}),
    "a finite space": SearchSpace({"n": [1, 2, 5], "kind": ["u", None, 3]}),
    "a conditional space": SearchSpace(
        {"kind": ["a", "b"], "x": Real(-1, 1), "n": Integer(1, 9)},
        conditions={"n": ("kind", ["b"])},
    ),
    "a finite conditional space": SearchSpace(
        {"kind": ["a", "b"], "n": Integer(0, 4)}, conditions={"n": ("kind", ["b"])}
    ),
    "a union": as_space([{"kind": ["a"], "x": Real(0, 1)}, {"kind": ["b"], "n": [1, 10, 100]}]),
}
OUTCOMES = some.one_of(
    some.sampled_from([0.0, 1.0, -2.5, 1e300, math.nan, math.inf, -math.inf]),
    some.floats(-1, 1),
    some.sampled_from(["ValueError: no luck", "killed 😀\n"]),
)
PLACES = some.lists(some.floats(0, 1), min_size=5, max_size=5)  # as many as any space needs


def seen(trial):
    """All of a trial but its times, as comparable values."""
    outcome = trial.status, repr(trial.score), repr(trial.folds), trial.error, trial.details
    return trial.id, trial.key, trial.params, trial.window, *outcome


class JournalMachine(RuleBasedStateMachine):
    """Asks, tells, adds and enqueues; crashes and closes; and always goes on."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.n_files = 0
        self.path = Path(self.folder.name) / "search-0.jsonl"

    @initialize(
        kind=some.sampled_from(sorted(SPACES)),
        strategy=some.sampled_from([ZoomSearch, FactorialZoom]),
        budget=some.integers(1, 12),
        seed=some.integers(0, 3),
    )
    def begin(self, kind, strategy, budget, seed):
        self.space, self.strategy = SPACES[kind], strategy
        if strategy is ZoomSearch:
            self.budget, self.options = budget, {"seed": seed, "noise": False}
        else:  # the budget must hold the first grid
            self.budget, self.options = budget + 12, {"points_per_dim": 2 + seed % 2, "levels": 3}
        self.events = []
        self.twin = self.strategy(self.space, max_trials=None, **self.options)
        self.orphans = []  # ids to be handed out first
        self.open()

    def open(self):
        self.search = self.strategy(
            self.space, max_trials=self.budget, journal=self.path, **self.options
        )

    def note(self, *event):
        """Keep an event, and tell the twin of it."""
        self.events.append(event)
        self.repeat(*event)

    def repeat(self, kind, argument, outcome=None):
        if kind == "proposed":
            assert seen(self.twin.ask()[0]) == argument
        elif kind == "added":
            self.twin.add(argument)
        else:
            self.twin.tell(argument, **outcome)

    @property
    def keys(self):
        return {trial.key for trial in self.twin.trials}

    def candidate(self, place):
        return self.space.key_from_unit(place[: len(self.space)])

    # What a user does

    @rule(n=some.integers(1, 4))
    def ask(self, n):
        trials = self.search.ask(n)
        if self.orphans:
            assert [trial.id for trial in trials] == self.orphans[:n]
            del self.orphans[:n]
            return
        for trial in trials:
            assert trial.key not in self.keys
            assert trial.id == len(self.twin.trials) < self.budget
            self.note("proposed", seen(trial))
        if len(trials) == n:
            return
        assert self.search.stop_reason or self.search.trials.pending
        if self.search.stop_reason == "budget":
            assert len(self.search.trials) >= self.budget
        else:
            assert self.twin.ask() == []
            assert self.twin.stop_reason == self.search.stop_reason

    @precondition(lambda self: self.twin.trials.pending)
    @rule(
        choice=some.integers(0, 99), outcome=OUTCOMES, folds=some.lists(some.floats(), max_size=2)
    )
    def tell(self, choice, outcome, folds):
        told = {"error": outcome} if isinstance(outcome, str) else {"score": outcome}
        self.tell_one(choice, told | {"folds": folds, "details": {"choice": choice}})

    def tell_one(self, choice, told):
        running = self.twin.trials.pending
        trial_id = running[choice % len(running)].id
        self.search.tell(trial_id, **told)
        self.note("told", trial_id, told)
        self.orphans = [i for i in self.orphans if i != trial_id]

    @rule(scores=some.lists(some.floats(-1, 1), min_size=2, max_size=9))
    def work(self, scores):
        """Evaluate some candidates one after the other, to come to the end of a grid."""
        for score in scores:
            self.ask(1)
            if self.twin.trials.pending:
                self.tell_one(0, {"score": score})

    @precondition(lambda self: self.twin.trials.told)
    @rule()
    def tell_again(self):
        with pytest.raises(ValueError, match="was told before"):
            self.search.tell(self.twin.trials.told[-1].id, 0.5)

    @rule(place=PLACES)
    def add(self, place):
        key = self.candidate(place)
        assume(key not in self.keys)
        params = self.space.params(key)
        trial = self.search.add(params)
        self.note("added", params)
        assert trial.id == len(self.twin.trials) - 1

    @rule(places=some.lists(PLACES, max_size=3))
    def enqueue(self, places):
        room = max(self.budget - len(self.twin.trials), 0)
        new = [key for key in dict.fromkeys(map(self.candidate, places)) if key not in self.keys]
        wanted = [self.space.params(self.candidate(place)) for place in places]
        trials = self.search.enqueue(wanted)
        assert [trial.key for trial in trials] == new[:room]
        for trial in trials:
            self.note("added", trial.params)
            self.orphans.append(trial.id)

    @rule()
    def look(self):
        """Reading changes nothing."""
        running = self.twin.trials.pending
        assert not (self.search.finished and running)
        complete = [trial for trial in self.twin.trials if trial.status == "complete"]
        if complete:
            best = max(complete, key=lambda trial: (trial.score, -trial.id))
            assert self.search.best_trial.id == best.id
        else:
            with pytest.raises(RuntimeError, match=r"no trial has been told|trials failed"):
                self.search.best_trial

    # What the world does

    @rule(more=some.integers(0, 5))
    def close_and_go_on(self, more):
        self.search.close()
        with pytest.raises(RuntimeError, match="was closed"):
            self.search.add(self.space.params(self.candidate([0.5] * 5)))
        self.budget += more
        self.open()
        self.expect_orphans()

    @rule(more=some.integers(0, 5), cut=some.none() | some.floats(0, 1, exclude_max=True))
    def crash_and_go_on(self, more, cut):
        """Leave the file as a killed process does, or with a torn last line."""
        data = self.path.read_bytes()
        if cut is not None:
            lines = data.splitlines(keepends=True)
            kept = int(len(lines[-1]) * cut)
            data = b"".join(lines[:-1]) + lines[-1][:kept]
            self.forget_last_event()
        self.n_files += 1
        self.path = Path(self.folder.name) / f"search-{self.n_files}.jsonl"
        self.path.write_bytes(data)
        self.budget += more
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.open()
        is_torn = cut is not None and kept > 0
        assert [w.category for w in caught] == [RuntimeWarning] * is_torn
        self.expect_orphans()

    def forget_last_event(self):
        if self.events:  # else the header is torn, and the search begins anew
            self.events.pop()
            self.twin = self.strategy(self.space, max_trials=None, **self.options)
            for event in self.events:
                self.repeat(*event)

    def expect_orphans(self):
        self.orphans = [trial.id for trial in self.twin.trials.pending]

    @rule()
    def another_comes(self):
        before = self.path.read_bytes()
        with pytest.raises(RuntimeError, match="is being written by another search"):
            self.open()
        assert self.path.read_bytes() == before

    # What always holds

    @invariant()
    def nothing_acknowledged_is_lost_or_changed(self):
        if hasattr(self, "search"):
            trials = self.search.trials
            assert [seen(trial) for trial in trials] == [seen(trial) for trial in self.twin.trials]
            assert [t.id for t in trials.told] == [t.id for t in self.twin.trials.told]
            assert [t.id for t in trials] == list(range(len(trials)))
            assert len({trial.key for trial in trials}) == len(trials)

    def teardown(self):
        if hasattr(self, "search"):
            self.search.close()
            kept = self.search.trials.read(self.path, self.space)
            assert [seen(trial) for trial in kept] == [seen(trial) for trial in self.twin.trials]
        self.folder.cleanup()


QUICK = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_a_search_that_crashes_and_goes_on_is_the_undisturbed_one():
    run_state_machine_as_test(JournalMachine, settings=QUICK)


@pytest.mark.slow
def test_a_search_that_crashes_very_often_is_the_undisturbed_one():
    much = settings(QUICK, max_examples=300, stateful_step_count=50)
    run_state_machine_as_test(JournalMachine, settings=much)


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_asking_for_the_end_of_a_grid_does_not_decide_where_to_zoom(is_looked_at):
    search = FactorialZoom({"x": Real(0, 1)}, points_per_dim=4)
    for trial in search.ask(4):
        search.tell(trial.id, -trial.params["x"])
    if is_looked_at:
        assert not search.finished
    search.enqueue([{"x": 0.75}])
    search.tell(search.ask()[0].id, 1.0)
    assert search.ask()[0].params["x"] == pytest.approx(7 / 9)


def test_a_complete_grid_opens_again_for_a_candidate_from_elsewhere(tmp_path):
    options = {"points_per_dim": 4, "journal": tmp_path / "j"}
    search = FactorialZoom({"x": Real(0, 1)}, **options)
    for trial in search.ask(4):
        search.tell(trial.id, error="no luck")
    assert search.finished
    assert search.stop_reason == "grid complete"
    trial = search.add({"x": 0.25})
    assert search.ask() == []
    search.tell(trial.id, 1.0)
    proposed = [trial.params for trial in search.ask(2)]
    search.close()
    with FactorialZoom({"x": Real(0, 1)}, **options) as again:
        assert [trial.params for trial in again.ask(2)] == proposed != []
