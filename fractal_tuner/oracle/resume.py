"""How an oracle goes on from what its project folder says."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from keras_tuner.src.distribute.utils import is_chief_oracle  # private (since 1.4.7)

from fractal_tuner.oracle.project import Project

if TYPE_CHECKING:
    from fractal_tuner.oracle.oracle import FractalOracle

INSTEAD = "To begin a new search, pass `overwrite=True` or another `project_name`."


def resume(oracle: FractalOracle, project: Project) -> None:
    """Continue a project; see :meth:`FractalOracle.reload`."""
    folder = oracle._project_dir
    if not project.oracle and not project.trials:
        raise RuntimeError(f"{folder} holds nothing to continue. {INSTEAD}")
    oracle.trials = project.trials
    if project.oracle:
        try:
            oracle.set_state(project.oracle)
        except KeyError as error:
            path = oracle._get_oracle_fname()
            raise RuntimeError(f"{path} has no {error}. {INSTEAD}") from error
    else:
        _rebuild(oracle, project)
    _refuse_other_objective(oracle)
    if project.notes:
        warnings.warn(f"{folder}: {'; '.join(project.notes)}", RuntimeWarning, stacklevel=3)
    _settle(oracle, project)


def _rebuild(oracle: FractalOracle, project: Project) -> None:
    """Set the state by the trials alone."""
    records = project.records
    seed = next((r["seed"] for r in records.values() if "seed" in r), oracle.seed)
    oracle.seed = oracle._seed_state = seed
    oracle._windows = {t: r["window"] for t, r in records.items() if "window" in r}
    oracle._replay = None
    oracle.start_order = project.started
    oracle.end_order = project.ended  # those that have not are left out later
    oracle.ongoing_trials = {}
    for trial_id in project.ended:
        oracle.update_space(project.trials[trial_id].hyperparameters)


def _refuse_other_objective(oracle: FractalOracle) -> None:
    name = oracle.objective.name
    for trial in oracle.trials.values():
        if trial.status == "COMPLETED" and not trial.metrics.exists(name):
            raise RuntimeError(
                f"{oracle._project_dir} was searched for another objective: trial "
                f"{trial.trial_id} has {sorted(trial.metrics.metrics)}, and not {name!r}. {INSTEAD}"
            )


def _settle(oracle: FractalOracle, project: Project) -> None:
    """Decide which trials have ended, which run, and which are run again."""
    # A crash may have come between the writing of two files: the trials' own files are right.
    ended = {t for t in oracle.trials if _has_ended(oracle.trials[t])}
    known = ended - project.lost  # what is lost is no failure in a row of failures
    oracle.end_order = [t for t in oracle.end_order if t in known]
    late = known - set(oracle.end_order)
    oracle.end_order += [t for t in project.ended if t in late]
    for trial_id in oracle.trials.keys() - ended - set(oracle.start_order):
        del oracle.trials[trial_id]  # it was never handed out
    ongoing = {w: t for w, t in oracle.ongoing_trials.items() if t.trial_id not in ended}
    workers_may_live = oracle.worker_timeout is not None and is_chief_oracle()
    oracle.ongoing_trials = ongoing if workers_may_live else {}
    oracle.tuner_ids = set(project.oracle.get("tuner_ids", ())) if workers_may_live else set()
    oracle._restored = set(oracle.ongoing_trials)
    for trial in oracle.ongoing_trials.values():
        oracle._display.on_trial_begin(trial)
    elsewhere = {trial.trial_id for trial in oracle.ongoing_trials.values()}
    started = [t for t in reversed(oracle.start_order) if t in oracle.trials]
    oracle._retry_queue = [t for t in started if t not in ended and t not in elsewhere]
    for trial_id in oracle._retry_queue:
        oracle._forget_metrics(trial_id)


def _has_ended(trial: Any) -> bool:
    return trial.status == "FAILED" or (trial.status == "COMPLETED" and trial.score is not None)
