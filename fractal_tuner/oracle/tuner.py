"""FractalTuner: Keras models tuned by a FractalOracle."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import keras_tuner

# Private (since 1.4.7): how processes know their part, and what results are turned into.
from keras_tuner.src.distribute.utils import is_chief_oracle
from keras_tuner.src.engine import tuner_utils

from fractal_tuner.oracle.files import read_state, write_whole
from fractal_tuner.oracle.oracle import FractalOracle
from fractal_tuner.oracle.project import holds_project
from fractal_tuner.oracle.resume import INSTEAD
from fractal_tuner.oracle.workers import patient_stub, signs_of_life
from fractal_tuner.rungs import EPOCHS, INITIAL_EPOCH, PARENT

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report


class FractalTuner(keras_tuner.Tuner):
    """Adaptive zooming grid search for Keras models; replaces ``keras_tuner.RandomSearch``.

    Parameters
    ----------
    hypermodel : keras_tuner.HyperModel or callable
        Takes hyperparameters, returns a compiled Keras model. May be left out where ``run_trial``
        is overridden.
    objective, max_trials, seed, hyperparameters, tune_new_entries, allow_new_entries, \
    max_retries_per_trial, max_consecutive_failed_trials, strategy, points_per_dim, levels, \
    max_epochs, factor, min_epochs
        As in :class:`FractalOracle`.
    worker_timeout : float, default=60.0
        As in :class:`FractalOracle`. Give chief and workers the same.
    **kwargs
        As in ``keras_tuner.Tuner``: ``directory``, ``project_name``, ``overwrite``,
        ``executions_per_trial``, ...

    Raises
    ------
    TypeError, ValueError
        For an invalid option, or a first factorial grid larger than ``max_trials``.

    Examples
    --------
    >>> import tempfile, warnings
    >>> class Parabola(FractalTuner):
    ...     def run_trial(self, trial, **options):
    ...         return (trial.hyperparameters.Float("x", -5, 5) - 1) ** 2
    >>> tuner = Parabola(max_trials=15, seed=0, directory=tempfile.mkdtemp())
    >>> with warnings.catch_warnings(action="ignore"):  # Keras Tuner calls deprecated functions
    ...     tuner.search(verbose=0)
    >>> abs(tuner.get_best_hyperparameters()[0]["x"] - 1) < 0.1
    True
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        strategy: str = "zoom",
        points_per_dim: int = 5,
        levels: int = 3,
        max_epochs: int | None = None,
        factor: int = 3,
        min_epochs: int = 1,
        worker_timeout: float | None = 60.0,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = FractalOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            strategy=strategy,
            points_per_dim=points_per_dim,
            levels=levels,
            max_epochs=max_epochs,
            factor=factor,
            min_epochs=min_epochs,
            worker_timeout=worker_timeout,
        )
        super().__init__(oracle, hypermodel, **kwargs)
        oracle._refuse_large_grid()
        self._worker_timeout = worker_timeout
        if self._is_worker():
            self.oracle.stub = patient_stub()

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search; see ``keras_tuner.Tuner.search``.

        Raises
        ------
        RuntimeError
            If too many trials failed in a row; in a distributed search, in the chief's process when
            all workers have left.
        """
        super().search(*fit_args, **fit_kwargs)
        if is_chief_oracle() and self.oracle.failure is not None:
            raise self.oracle.failure

    def on_search_begin(self) -> None:
        """Make the project one that can be continued before its first trial ends."""
        super().on_search_begin()
        self.save()

    def _build_and_fit_model(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Train a trial's model once.

        With ``max_epochs``, from its "tuner/initial_epoch" to its "tuner/epochs". One that
        continues another trial begins with the weights and the optimizer of that one's best epoch.
        """
        # Not in run_trial: Keras Tuner looks whether it is overridden where no hypermodel is given.
        values = trial.hyperparameters.values
        if EPOCHS in values:
            fit_kwargs |= {"epochs": values[EPOCHS], "initial_epoch": values[INITIAL_EPOCH]}
        return super()._build_and_fit_model(trial, *fit_args, **fit_kwargs)

    def _build_hypermodel(self, hp: Any) -> Any:
        model = super()._build_hypermodel(hp)
        if (parent := hp.values.get(PARENT)) is not None:
            if not model.built:
                model.build_from_config(read_state(self._get_build_config_fname(parent))[0])
            if model.optimizer is not None:  # its state is not read where there is none
                model.optimizer.build(model.trainable_variables)
            model.load_weights(self._get_checkpoint_fname(parent))
        return model

    def _run_and_update_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Report each execution of a trial by itself: Keras Tuner reports their mean alone."""
        with self._signs_of_life(trial):
            results = self.run_trial(trial, *fit_args, **fit_kwargs)
        objective = self.oracle.objective
        if self.oracle.get_trial(trial.trial_id).metrics.exists(objective.name):
            return  # run_trial has reported them itself
        tuner_utils.validate_trial_results(results, objective, "Tuner.run_trial()")
        step = tuner_utils.get_best_step(results, objective)
        several = isinstance(results, list) and results
        for execution in results if several else [results]:
            metrics = tuner_utils.convert_to_metrics_dict(execution, objective)
            self.oracle.update_trial(trial.trial_id, metrics, step=step)

    def _signs_of_life(self, trial: Any) -> AbstractContextManager[None]:
        if not self._is_worker():
            return nullcontext()
        return signs_of_life(self.oracle, trial.trial_id, self._worker_timeout)

    def _populate_initial_space(self) -> None:
        """Continue a project that was begun under another id, or whose tuner file is lost."""
        if not self._is_worker() and holds_project(str(self.project_dir)):
            self.reload()
        else:
            super()._populate_initial_space()

    def reload(self) -> None:
        """Continue from the project folder; see :meth:`FractalOracle.reload`."""
        if not self._is_worker():
            self.oracle.reload()
        path = self._get_tuner_fname()
        state, problem = read_state(path)
        if problem is None:
            self.set_state(state)
        elif self.get_state():  # of a subclass; ours is empty
            raise RuntimeError(f"{path} {problem}. {INSTEAD}")

    def save(self) -> None:
        if not self._is_worker():
            self.oracle.save()
        write_whole(self._get_tuner_fname(), self.get_state())

    def report(self, **options: Any) -> Report:
        """What was found, how far to trust it, and what to do next.

        Parameters
        ----------
        **options
            As in :func:`fractal_tuner.report.report.analyze`, for instance ``dims``.
        """
        from fractal_tuner.report.report import analyze

        return analyze(self, **options)
