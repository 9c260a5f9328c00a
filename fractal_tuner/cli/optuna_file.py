"""Trials as a study in a storage file of Optuna."""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fractal_tuner.cli.exits import CommandError, Exit, cannot_write
from fractal_tuner.cli.printing import plain

if TYPE_CHECKING:
    from fractal_tuner.dimensions import Dimension
    from fractal_tuner.readers import Record
    from fractal_tuner.trials import Trial

_STATES = {"complete": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED", "running": "RUNNING"}


def write_study(record: Record, path: Path) -> None:
    """Write a study with the trials of ``record``, larger values better, to a new SQLite file.

    Reals and integers keep their bounds and scales. Everything else becomes a choice among the
    values that it has: Optuna keeps no other choices than numbers, text, truth values and None, so
    other objects are named by their text. Optuna needs times; unknown ones become the beginning of
    1970.
    """
    try:
        import optuna
    except ImportError as missing:
        message = "exporting a study needs Optuna: pip install 'fractal-tuner[optuna]'"
        raise CommandError(Exit.USAGE, message) from missing
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scales = {name: _Scale(name, record) for name in record.trials.space.names}
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fractal-tuner-") as folder:
            part = Path(folder, "study")
            storage = optuna.storages.RDBStorage(f"sqlite:///{part.resolve()}")
            study = optuna.create_study(storage=storage, study_name=path.stem, direction="maximize")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names([record.score_name])
            study.add_trials([_trial(optuna, trial, scales) for trial in record.trials])
            storage.remove_session()
            storage.engine.dispose()
            os.replace(part, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    except SQLAlchemyError as error:
        raise CommandError(Exit.USAGE, f"cannot write to {path}: {error}") from error


class _Scale:
    """One parameter as Optuna describes it."""

    def __init__(self, name: str, record: Record) -> None:
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        from fractal_tuner.dimensions import Integer, Quantile, Real

        space = record.trials.space
        dimensions = [p.dimension for p in space.parameters if p.name == name]
        values = [t.params[name] for t in record.trials if name in t.params]
        first = dimensions[0]
        self._is_choice = False
        self.distribution: Any
        if isinstance(first, Real) and _all_alike(dimensions):
            self.distribution = FloatDistribution(first.low, first.high, log=first.log)
        elif isinstance(first, Integer) and _all_alike(dimensions):
            self.distribution = IntDistribution(first.low, first.high, log=first.log)
        elif values and all(isinstance(d, Real | Quantile) for d in dimensions):
            self.distribution = FloatDistribution(min(values), max(values))
        else:
            self._is_choice = True
            choices = [*_listed(dimensions), *values]
            plain_choices = dict.fromkeys((type(c), c) for c in map(_choice, choices))
            self.distribution = CategoricalDistribution([c for _, c in plain_choices] or [None])

    def value(self, value: Any) -> Any:
        """A value as the distribution has it."""
        return _choice(value) if self._is_choice else value


def _all_alike(dimensions: list[Dimension]) -> bool:
    return all(dimension == dimensions[0] for dimension in dimensions)


def _listed(dimensions: Iterable[Dimension]) -> list[Any]:
    """All values of lists, in their order."""
    return [
        dimension.value(i)
        for dimension in dimensions
        if dimension.is_table
        for i in range(dimension.n_values or 0)
    ]


def _choice(value: Any) -> Any:
    value = plain(value)
    return str(value) if isinstance(value, list | dict) else value


def _trial(optuna: Any, trial: Trial, scales: dict[str, _Scale]) -> Any:
    started, ended = (
        None if seconds is None else datetime.fromtimestamp(seconds)
        for seconds in (trial.started, trial.ended)
    )
    from fractal_tuner.readers.record import outcome

    is_complete = trial.status == "complete" and math.isfinite(trial.score)
    return optuna.trial.FrozenTrial(
        number=trial.id,
        trial_id=trial.id,
        state=optuna.trial.TrialState[_STATES[outcome(trial)]],
        value=trial.score if is_complete else None,
        datetime_start=started or datetime.fromtimestamp(0),
        datetime_complete=(ended or datetime.fromtimestamp(0))
        if trial.status != "running"
        else None,
        params={name: scales[name].value(value) for name, value in trial.params.items()},
        distributions={name: scales[name].distribution for name in trial.params},
        user_attrs={"folds": plain(list(trial.folds)), "level": trial.level},
        system_attrs={} if trial.error is None else {"fail_reason": trial.error},
        intermediate_values={},
    )
