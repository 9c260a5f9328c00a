"""Evaluation: batches of candidates, cross-validated by scikit-learn's own search, come what may.

All that relies on how ``BaseSearchCV.fit`` is written, in scikit-learn 1.6 to 1.9, stands here.
"""

from __future__ import annotations

import concurrent.futures
import inspect
import logging
import math
import multiprocessing
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from joblib.parallel import LokyBackend, get_active_backend
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures
from sklearn.utils.parallel import delayed

from fractal_tuner.fingerprint import data_hash
from fractal_tuner.search import Search
from fractal_tuner.trials import Trial

# What the host reports of one fit: scores, times, and the traceback if it failed.
Fold = dict[str, Any]

_ATTEMPTS = 3  # of a candidate alone whose worker dies
_PATIENCE = 3600.0  # seconds without any worker of a Dask cluster
_CLUSTERS = {"distributed", "ray"}  # whose own errors tell of lost workers
_LOGGER = logging.getLogger(__name__)


class Evaluation:
    """Evaluates batches through the function that ``BaseSearchCV.fit`` gives to ``_run_search``.

    Of the variables of ``fit``, over which that function closes, a search without a journal and
    without a time limit for trials needs none since 1.9.

    Parameters
    ----------
    owner : BaseSearchCV
        Whose ``fit`` it is.
    evaluate_candidates : callable
    trial_timeout : float, optional
        Seconds that joblib waits for a fit.

    Raises
    ------
    ValueError
        If there is a time limit, but fits do not run in processes that can be ended.
    """

    def __init__(
        self,
        owner: BaseSearchCV,
        evaluate_candidates: Callable[..., dict[str, Any]],
        trial_timeout: float | None,
    ) -> None:
        self._owner = owner
        self._evaluate = evaluate_candidates
        self._timeout = trial_timeout
        found = self._variables  # two that are attributes of the owner in 1.9
        self.n_folds: int = found.get("n_splits") or owner.n_splits_
        splitter = found.get("cv_orig") or owner._checked_cv_orig
        self._folds = _FrozenFolds(splitter)
        self._results: dict[str, Any] | None = None
        self._tasks: _Tasks | None = None
        self._are_started = False
        self._scorers = owner._get_scorers()[0]
        if trial_timeout is not None:
            self._n_workers = _check_processes(trial_timeout, owner.n_jobs)
            self._parallel = found["parallel"]
        backend, _ = get_active_backend()
        if type(backend).__name__ == "DaskDistributedBackend":
            _harden_dask(backend)

    @property
    def _variables(self) -> Mapping[str, Any]:
        return inspect.getclosurevars(self._evaluate).nonlocals

    @property
    def test_ratio(self) -> float | None:
        """Ratio of test to training data of the folds; None if nothing was split."""
        return self._folds.test_ratio

    def data_hashes(self) -> dict[str, str]:
        """Hashes of the data, what came with them, and the folds."""
        X, y, routed = (self._variables[name] for name in ("X", "y", "routed_params"))
        splits = self._folds.split(X, y, **routed.splitter.split)
        return {
            "X": data_hash(X),
            "y": data_hash(y),
            **{f"fit parameter {k}": data_hash(v) for k, v in routed.estimator.fit.items()},
            **{f"score parameter {k}": data_hash(v) for k, v in routed.scorer.score.items()},
            "folds": data_hash([[np.asarray(part) for part in pair] for pair in splits]),
        }

    def begin(self, search: Search, callback_ctx: Any) -> None:
        """Announce the search to the callbacks; there are none before 1.9."""
        if callback_ctx is None:
            return
        budget = math.inf if search.max_trials is None else search.max_trials
        pending = len(search.trials.pending)  # evaluated even if the budget was cut
        left = max(min(budget, search.space.size) - len(search.trials.told), pending)
        n_tasks = None if left == math.inf else int(left) * self.n_folds
        context = callback_ctx.subcontext(
            task_name="search", max_subtasks=n_tasks, sequential_subtasks=False
        )
        self._tasks = _Tasks(context.call_on_fit_task_begin(estimator=self._owner))
        context.max_subtasks = None  # more than announced if workers die

    def evaluate(self, batch: list[Trial]) -> Iterator[list[Fold]]:
        """The results of each trial, fold by fold, from the moment they are known.

        If a worker dies, or a fit takes too long, nobody can tell which of the fits is to blame:
        the trials of the batch are then evaluated one by one.
        """
        try:
            yield from self._evaluated(batch)
        except Exception as error:
            if not self._is_of_worker(error):
                raise
            if len(batch) == 1:
                yield self._tried_again(batch[0], error)
                return
            _LOGGER.warning("%s; evaluating the batch again, one by one", _in_words(error))
            for trial in batch:
                yield from self.evaluate([trial])

    def end(self, results: list[Fold], table: dict[str, Any]) -> None:
        """Put the final table where the host keeps what the last batch returned.

        The host goes on with the very dictionary that ``evaluate_candidates`` returned last. If no
        batch succeeded in this process, because a journal had it all, that is the empty one it
        began with. It looks at one result, to see whether there are several metrics.
        """
        if self._results is None:
            self._results = self._variables["results"]
            self._variables["all_out"].append(results[0])
        else:
            self._results["folds"].append(results[0])
        self._results.clear()
        self._results.update(table)
        # The host sets these after the refit only, which may be interrupted.
        self._owner.cv_results_, self._owner.n_splits_ = self._results, self.n_folds
        if self._tasks is not None:
            self._tasks.context.call_on_fit_task_end(estimator=self._owner)

    def _evaluated(self, batch: list[Trial]) -> list[list[Fold]]:
        n_fits = len(batch) * self.n_folds
        options = {} if self._tasks is None else {"callback_ctx": self._tasks}
        params = [trial.params for trial in batch]
        if self._timeout is not None and not self._are_started:
            self._start_workers()
        try:
            with warnings.catch_warnings():  # the whole search is warned about once, at its end
                ours = rf"\s*\d+ fits failed out of a total of {n_fits}\."
                warnings.filterwarnings("ignore", ours, FitFailedWarning)
                self._results = self._evaluate(params, cv=self._folds, **options)
            kept = self._results["folds"]
            results: list[Fold] = kept.copy()
            kept.clear()  # the host would keep to the end what the trials keep
        except ValueError as error:
            failed = _results_of_failed_batch(error)
            if failed is None:
                raise
            results = failed
        finally:
            if self._tasks is not None:
                self._tasks.first += n_fits
        return [results[i : i + self.n_folds] for i in range(0, n_fits, self.n_folds)]

    def _start_workers(self) -> None:
        """Start processes that have imported what fits need, before their time counts."""
        self._parallel.timeout = None
        nothing = delayed(_take_time)(self._owner.estimator)
        self._parallel(nothing for _ in range(2 * self._n_workers))
        self._parallel.timeout = self._timeout
        self._are_started = True

    def _tried_again(self, trial: Trial, error: Exception) -> list[Fold]:
        """The results of a trial whose evaluation was cut off; failed ones if it always is."""
        n_attempts = 1
        while n_attempts < _ATTEMPTS and not _is_final(error):
            _LOGGER.warning("%s; evaluating trial %d again", _in_words(error), trial.id)
            n_attempts += 1
            try:
                return self._evaluated([trial])[0]
            except Exception as again:
                if not self._is_of_worker(again):
                    raise
                error = again
        if _is_timeout(error):
            slow = f"a fit took longer than trial_timeout={self._timeout!r} seconds"
            error = TimeoutError(slow)  # joblib's own has no message
        if self._owner.error_score == "raise":
            raise error
        reason = _in_words(error) + (f" ({n_attempts} times)" if n_attempts > 1 else "")
        return [self._failed_fold(reason) for _ in range(self.n_folds)]

    def _failed_fold(self, reason: str) -> Fold:
        """What the host reports of a fit that raised."""
        score: Any = self._owner.error_score
        names = getattr(self._scorers, "_scorers", None)  # of several metrics
        scores = score if names is None else dict.fromkeys(names, score)
        fold = {"fit_error": reason, "test_scores": scores, "n_test_samples": 0}
        fold |= {"fit_time": math.nan, "score_time": math.nan}
        return fold | {"train_scores": scores} if self._owner.return_train_score else fold

    def _is_of_worker(self, error: Exception) -> bool:
        """Whether an error tells that a worker was lost, or had to be ended, and not of a fit."""
        self._are_started = False
        if _is_timeout(error):
            return self._timeout is not None
        lost = (concurrent.futures.BrokenExecutor, concurrent.futures.CancelledError)
        homes = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        return isinstance(error, lost) or not homes.isdisjoint(_CLUSTERS)


class _FrozenFolds:
    """Splits once: a splitter that shuffles would give each batch other folds."""

    def __init__(self, splitter: Any) -> None:
        self._splitter = splitter
        self._splits: list[tuple[Any, Any]] | None = None

    def split(self, X: Any, y: Any = None, **params: Any) -> list[tuple[Any, Any]]:
        if self._splits is None:
            self._splits = list(self._splitter.split(X, y, **params))
        return self._splits

    @property
    def test_ratio(self) -> float | None:
        if not self._splits:
            return None
        n_train, n_test = (sum(map(_n_chosen, parts)) for parts in zip(*self._splits, strict=True))
        return n_test / n_train if n_train else None


class _Tasks:
    """A callback context in which each batch goes on counting tasks where the last one ended.

    The host numbers the tasks of every batch from 0. A context for each batch would do too, but a
    progress bar would then have a line for each. A batch that is evaluated again has new tasks:
    the host's progress bar breaks when a task ends twice.
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        self.first = 0

    def subcontext(self, *, task_id: int, **options: Any) -> Any:
        return self.context.subcontext(task_id=self.first + task_id, **options)


def _take_time(estimator: Any) -> None:
    """Of use to have ``estimator`` unpickled in a worker, and others busy meanwhile."""
    time.sleep(0.05)


def _check_processes(trial_timeout: float, n_jobs: int | None) -> int:
    """The number of worker processes that can be ended."""
    backend, n_default = get_active_backend()
    n_workers = backend.effective_n_jobs(n_default if n_jobs is None else n_jobs)
    if not isinstance(backend, LokyBackend) or n_workers == 1:
        raise ValueError(
            f"trial_timeout={trial_timeout!r} needs fits in processes that can be ended: joblib's "
            f"loky back end and n_jobs of at least 2; got n_jobs={n_jobs!r} and "
            f"{type(backend).__name__}"
        )
    return int(n_workers)


def _harden_dask(backend: Any) -> None:
    """Have joblib's Dask back end go on, or say why not, when workers are lost.

    As it is (joblib 1.4 to 1.6), it waits forever for a task that Dask gave up or could not take,
    lets the tasks of an aborted batch run on, evaluates in this very process as soon as one worker
    is left, and ends the search when for some seconds there is none.
    """
    from joblib._utils import _TracebackCapturingWrapper

    running: set[Any] = set()
    n_cores = type(backend).effective_n_jobs

    async def result_of(calls: Any) -> Any:
        try:
            batch, tasks = await backend._to_func_args(calls)
        except Exception as error:  # the worker that was to hold the data is lost
            raise concurrent.futures.BrokenExecutor(_in_words(error)) from error
        call = _TracebackCapturingWrapper(batch)
        key = f"{batch!r}-{uuid.uuid4().hex}"
        future = backend.client.submit(call, tasks=tasks, key=key, **backend.submit_kwargs)
        running.add(future)
        try:
            return await future
        finally:
            running.discard(future)

    def submit(calls: Any, callback: Callable[[Any], None]) -> None:
        async def answer() -> None:
            try:
                result = await result_of(calls)
            except BaseException as error:
                result = error
            callback(result)

        backend.client.loop.add_callback(answer)

    def abort_everything(ensure_ready: bool = True) -> None:
        backend.client.cancel(list(running))

    backend.submit = backend.apply_async = submit  # the name changed after joblib 1.5
    backend.abort_everything = abort_everything
    backend.effective_n_jobs = lambda n_jobs: max(2, n_cores(backend, n_jobs))
    backend.wait_for_workers_timeout = max(backend.wait_for_workers_timeout or 0, _PATIENCE)


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, multiprocessing.TimeoutError | TimeoutError)


def _is_final(error: Exception) -> bool:
    """Whether another attempt would be of no use; Dask has then made its own."""
    return _is_timeout(error) or type(error).__name__ == "KilledWorker"


def _in_words(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'a worker was lost'}"


def _n_chosen(part: Any) -> int:
    """The number of samples that an array of indices, or a mask, chooses."""
    chosen = np.asarray(part)
    return int(chosen.sum()) if chosen.dtype == bool else len(chosen)


def _results_of_failed_batch(error: ValueError) -> list[Fold] | None:
    """The results of a batch in which every fit failed; None if the error is another one.

    The host raises for such a batch (in ``_warn_or_raise_about_fit_failures``), whatever
    ``error_score`` is. The next batch may succeed, and the results are still in the traceback.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is _warn_or_raise_about_fit_failures.__code__:
            results: list[Fold] = frame.f_locals["results"]
            return results
    return None
