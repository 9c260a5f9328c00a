"""What a project folder says of a search, also where files of it are lost."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

import keras_tuner
from keras_tuner.src.backend import io  # private (since 1.4.7)

from fractal_tuner.oracle.files import State, read_state, trial_ids

_OF_A_TRIAL = {"trial_id", "hyperparameters", "metrics", "score", "best_step", "status", "message"}


@dataclass
class Project:
    """What can be read of a project folder.

    Attributes
    ----------
    oracle : dict
        The state of the oracle; empty if its file cannot be read.
    trials : dict of str to keras_tuner.engine.trial.Trial
    records : dict of str to dict
        What the files of trials repeat of the search: "seed", "window" and "ended", the position in
        the order of ending. Empty for trials of other oracles.
    lost : set of str
        Trials of which nothing but the name is left.
    notes : list of str
        Which files were torn, and what that means.
    """

    oracle: State
    trials: dict[str, Any] = field(default_factory=dict)
    records: dict[str, State] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def started(self) -> list[str]:
        """The trials in the order of starting, which their numbers tell."""
        # A larger budget makes wider numbers, with more zeros in front.
        return sorted(self.trials, key=lambda t: (int(t) if t.isdecimal() else math.inf, t))

    @property
    def ended(self) -> list[str]:
        """The trials in the order of ending; at last, as started, those for which it is lost."""
        return sorted(self.started, key=lambda t: self.records.get(t, {}).get("ended", math.inf))


def holds_project(folder: str) -> bool:
    """Whether there is anything of a search in a folder."""
    trials = io.glob(os.path.join(folder, "trial_*", "trial.json"))
    return bool(trials) or io.exists(os.path.join(folder, "oracle.json"))


def read_project(folder: str) -> Project:
    """The project in a folder; torn files are made up for by others, with a note."""
    oracle, problem = read_state(os.path.join(folder, "oracle.json"))
    if problem is not None:
        oracle = {}
    project = Project(oracle)
    started = oracle.get("start_order", [])
    for trial_id in dict.fromkeys([*started, *trial_ids(folder)]):
        state, trouble = read_state(os.path.join(folder, f"trial_{trial_id}", "trial.json"))
        if trouble is None and not state.keys() >= _OF_A_TRIAL:
            state, trouble = {}, "is not the state of a trial"
        if trouble is None:
            project.trials[trial_id] = keras_tuner.engine.trial.Trial.from_state(state)
            project.records[trial_id] = state.get("search", {})
        elif not oracle or trial_id in started:  # the others were never handed out
            note = _salvage(project, trial_id, state)
            project.notes.append(f"trial_{trial_id}/trial.json {trouble}: the trial {note}")
    if problem is not None:
        what = "the search is rebuilt from the files of its trials"
        project.notes.append(f"oracle.json {problem}: {what}")
    return project


def _salvage(project: Project, trial_id: str, state: State) -> str:
    """Make the best of a torn trial, of which ``state`` is the beginning; what that is."""
    Trial = keras_tuner.engine.trial.Trial  # noqa: N806
    if "status" in state:
        project.trials[trial_id] = Trial.from_state({"message": None} | state)
        return "is whole but for its last lines"
    space = project.oracle.get("hyperparameters", {})
    values = project.oracle.get("values", {}).get(trial_id)
    if "metrics" in state:  # the hyperparameters, which stand before, are whole
        config = state["hyperparameters"]
    elif values is not None:
        config = space | {"values": values}
    else:
        hp = keras_tuner.HyperParameters()
        project.trials[trial_id] = Trial(hp, trial_id, "FAILED", "its trial.json is lost")
        project.lost.add(trial_id)
        return "is lost and counts as failed"
    hp = keras_tuner.HyperParameters.from_config(config)
    project.trials[trial_id] = Trial(hp, trial_id)
    return "is run again"
