"""Evaluation: the fits of scikit-learn's own search, in batches, come what may.

All that relies on how ``BaseSearchCV.fit`` is written, in scikit-learn 1.6 to 1.9, stands here.
"""

from __future__ import annotations

import concurrent.futures
import inspect
import logging
import math
import multiprocessing
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import LokyBackend, get_active_backend
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _fit_and_score, _insert_error_scores
from sklearn.utils.parallel import delayed

from fractal_tuner.fingerprint import data_hash
from fractal_tuner.search import Search
from fractal_tuner.trials import Trial

# What the host reports of one fit: scores, times, and the traceback if it failed.
Fold = dict[str, Any]
Fit = tuple[Trial, int]  # of a trial's candidate to the training data of a fold

_ATTEMPTS = 3  # of a candidate alone whose worker dies
_PATIENCE = 3600.0  # seconds without any worker of a Dask cluster
_CLUSTERS = {"distributed", "ray"}  # whose own errors tell of lost workers
_LOGGER = logging.getLogger(__name__)


class Evaluation:
    """Evaluates trials with what ``BaseSearchCV.fit`` has prepared.

    That is what the function closes over which ``fit`` gives to ``_run_search``. The function
    itself evaluates all folds of a candidate or none, and raises if every fit of a batch failed.

    Parameters
    ----------
    owner : BaseSearchCV
        Whose ``fit`` it is.
    evaluate_candidates : callable
    trial_timeout : float, optional
        Seconds that joblib waits for a fit.

    Attributes
    ----------
    n_folds : int
    n_workers : int
        How many fits run at a time.

    Raises
    ------
    ValueError
        If there are no folds, or not as many as announced; or if there is a time limit, but fits do
        not run in processes that can be ended.
    """

    def __init__(
        self,
        owner: BaseSearchCV,
        evaluate_candidates: Callable[..., dict[str, Any]],
        trial_timeout: float | None,
    ) -> None:
        self._owner = owner
        self._timeout = trial_timeout
        self._prepared = found = inspect.getclosurevars(evaluate_candidates).nonlocals
        self._parallel = found["parallel"]
        self.n_folds: int
        if "n_splits" in found:
            self.n_folds, splitter = found["n_splits"], found["cv_orig"]
        else:  # since 1.9
            self.n_folds, splitter = owner.n_splits_, owner._checked_cv_orig
        self._splits = self._split(splitter)
        self._known: dict[int, list[Fold]] = {}  # of trials that are not done, from fold 0 on
        self._n_candidates = math.inf
        self._callbacks: Any = None  # the host's context of the tasks
        self._n_tasks = 0
        self._are_started = False
        self._scorers = owner._get_scorers()[0]
        backend, _ = get_active_backend()
        if type(backend).__name__ == "DaskDistributedBackend":
            _harden_dask(backend)
        self.n_workers = int(effective_n_jobs(owner.n_jobs))
        if trial_timeout is not None:
            self._check_processes(backend)

    def _split(self, splitter: Any) -> list[tuple[Any, Any]]:
        """The folds, made once: a splitter that shuffles would give each batch other ones."""
        X, y, routed = (self._prepared[name] for name in ("X", "y", "routed_params"))
        splits = list(splitter.split(X, y, **routed.splitter.split))
        if len(splits) != self.n_folds:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{self.n_folds} splits, got {len(splits)}"
            )
        if not splits:
            # In the host's words.
            raise ValueError(
                "No fits were performed. Was the CV iterator empty? Were there no candidates?"
            )
        return splits

    @property
    def test_ratio(self) -> float | None:
        """Ratio of test to training data of the folds; None if nothing is trained on."""
        n_train, n_test = (sum(map(_n_chosen, parts)) for parts in zip(*self._splits, strict=True))
        return n_test / n_train if n_train else None

    def data_hashes(self) -> dict[str, str]:
        """Hashes of the data, what came with them, and the folds."""
        X, y, routed = (self._prepared[name] for name in ("X", "y", "routed_params"))
        return {
            "X": data_hash(X),
            "y": data_hash(y),
            **{f"fit parameter {k}": data_hash(v) for k, v in routed.estimator.fit.items()},
            **{f"score parameter {k}": data_hash(v) for k, v in routed.scorer.score.items()},
            "folds": data_hash([[np.asarray(part) for part in pair] for pair in self._splits]),
        }

    def begin(self, search: Search, callback_ctx: Any) -> None:
        """Announce the search, to the callbacks too; there are none before 1.9."""
        budget = math.inf if search.max_trials is None else search.max_trials
        pending = len(search.trials.pending)  # evaluated even if the budget was cut
        n_told = len(search.trials.told)
        left = max(min(budget, search.space.size) - n_told, pending)
        self._n_candidates = n_told + left
        if self._owner.verbose > 0 and left == math.inf:
            print(f"Fitting {self.n_folds} folds for each candidate")
        elif self._owner.verbose > 0:  # a search may end early, and a grid be smaller
            print(
                f"Fitting {self.n_folds} folds for each of at most {left} candidates, "
                f"totalling at most {self.n_folds * left} fits"
            )
        if callback_ctx is None:
            return
        n_tasks = None if left == math.inf else int(left) * self.n_folds
        context = callback_ctx.subcontext(
            task_name="search", max_subtasks=n_tasks, sequential_subtasks=False
        )
        self._callbacks = context.call_on_fit_task_begin(estimator=self._owner)
        context.max_subtasks = None  # more than announced if workers die

    def preview(self, trial: Trial) -> list[Fold]:
        """The results of a trial in all folds but the last.

        The last fit joins the next batch if that saves a round of fits: for 5 and 5 of them two
        workers need 3 + 3 rounds, for 4 and 6 only 2 + 3.
        """
        n, n_workers = self.n_folds, self.n_workers
        split = math.ceil((n - 1) / n_workers) + math.ceil((n + 1) / n_workers)
        n_first = n - 1 if split < 2 * math.ceil(n / n_workers) else n
        try:
            self._fit([trial], n_first)
        except Exception as error:
            self._fit_again(trial, n_first, error)
        return self._in_one_form(self._known[trial.id][: n - 1])

    def evaluate(self, batch: list[Trial]) -> Iterator[list[Fold]]:
        """The results of each trial, fold by fold, from the moment they are known.

        If a worker dies, or a fit takes too long, nobody can tell which of the fits is to blame:
        the trials of the batch are then evaluated one by one.
        """
        while batch and len(self._known.get(batch[0].id, ())) == self.n_folds:
            yield self._in_one_form(self._known.pop(batch[0].id))
            batch = batch[1:]
        if not batch:
            return
        try:
            self._fit(batch, self.n_folds)
        except Exception as error:
            if len(batch) > 1 and self._is_of_worker(error):
                _LOGGER.warning("%s; evaluating the batch again, one by one", _in_words(error))
                for trial in batch:
                    yield from self.evaluate([trial])
                return
            self._fit_again(batch[0], self.n_folds, error)
        for trial in batch:
            yield self._in_one_form(self._known.pop(trial.id))

    def end(self, results: list[Fold], table: dict[str, Any]) -> None:
        """Put the final table where the host looks for what ``evaluate_candidates`` made.

        It looks at one result too, to see whether there are several metrics.
        """
        self._prepared["results"].update(table)
        self._prepared["all_out"].append(results[0])
        # The host sets these after the refit only, which may be interrupted.
        self._owner.cv_results_, self._owner.n_splits_ = table, self.n_folds
        if self._callbacks is not None:
            self._callbacks.call_on_fit_task_end(estimator=self._owner)

    def _fit(self, trials: list[Trial], n_folds: int) -> None:
        """Have results of the trials in the first folds."""
        known = {trial.id: self._known.setdefault(trial.id, []) for trial in trials}
        fits = [(t, fold) for t in trials for fold in range(len(known[t.id]), n_folds)]
        for (trial, _), result in zip(fits, self._fitted(fits), strict=True):
            known[trial.id].append(result)

    def _fit_again(self, trial: Trial, n_folds: int, error: Exception) -> None:
        """Try again what was cut off; a trial that always is has failed, in all folds."""
        n_attempts = 1
        while self._is_of_worker(error) and n_attempts < _ATTEMPTS and not _is_final(error):
            _LOGGER.warning("%s; evaluating trial %d again", _in_words(error), trial.id)
            n_attempts += 1
            try:
                self._fit([trial], n_folds)
                return
            except Exception as again:
                error = again
        if not self._is_of_worker(error):
            raise error
        if _is_timeout(error):
            slow = f"a fit took longer than trial_timeout={self._timeout!r} seconds"
            error = TimeoutError(slow)  # joblib's own has no message
        if self._owner.error_score == "raise":
            raise error
        reason = _in_words(error) + (f" ({n_attempts} times)" if n_attempts > 1 else "")
        self._known[trial.id] = [self._failed_fold(reason) for _ in range(self.n_folds)]

    def _fitted(self, fits: list[Fit]) -> list[Fold]:
        """Results of fits, evaluated side by side if there are several workers."""
        found = self._prepared
        if self._timeout is not None and not self._are_started:
            self._start_workers()
        # Made before the tasks are: pickling an estimator while a context is added to it fails.
        contexts = [self._context(self._n_tasks + i) for i in range(len(fits))]
        self._n_tasks += len(fits)  # a fit that is done again is another task
        calls = (
            {
                "estimator": clone(found["base_estimator"]),
                "X": found["X"],
                "y": found["y"],
                "train": self._splits[fold][0],
                "test": self._splits[fold][1],
                "parameters": trial.params,
                "split_progress": (fold, self.n_folds),
                "candidate_progress": (trial.id, self._n_candidates),
                **found["fit_and_score_kwargs"],
                **context,
            }
            for (trial, fold), context in zip(fits, contexts, strict=True)
        )
        if self.n_workers == 1:  # joblib takes a fifth of the host's time for a fit
            return [_fitted_here(call) for call in calls]
        try:
            results: list[Fold] = self._parallel(delayed(_fit_and_score)(**call) for call in calls)
        except Exception:
            self._are_started = False
            raise
        if len(results) < len(fits):  # joblib began none of the others
            raise ValueError(f"pre_dispatch must let a fit begin, got {self._owner.pre_dispatch!r}")
        # If a fit ends while its batch is aborted, joblib (1.4 to 1.6) may begin one more of that
        # batch when it has emptied its list of results already; it then stands first in the next.
        return results[-len(fits) :]

    def _context(self, task_id: int) -> dict[str, Any]:
        """What a fit needs to call callbacks."""
        if self._callbacks is None:
            return {}
        context = self._callbacks.subcontext(
            task_name="candidate-split-evaluation", task_id=task_id
        )
        return {"caller": self._owner, "callback_ctx": context}

    def _in_one_form(self, results: list[Fold]) -> list[Fold]:
        """Results of one trial; of a callable that returns several scores, failed ones too."""
        if callable(self._owner.scoring):
            _insert_error_scores(results, self._owner.error_score)
        return results

    def _check_processes(self, backend: Any) -> None:
        """Raise ValueError unless fits run in processes that can be ended."""
        if not isinstance(backend, LokyBackend) or self.n_workers == 1:
            raise ValueError(
                f"trial_timeout={self._timeout!r} needs fits in processes that can be ended: "
                f"joblib's loky back end and n_jobs of at least 2; got n_jobs="
                f"{self._owner.n_jobs!r} and {type(backend).__name__}"
            )

    def _start_workers(self) -> None:
        """Start processes that have imported what fits need, before their time counts."""
        self._parallel.timeout = None
        nothing = delayed(_take_time)(self._owner.estimator)
        self._parallel(nothing for _ in range(2 * self.n_workers))
        self._parallel.timeout = self._timeout
        self._are_started = True

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
        if _is_timeout(error):
            return self._timeout is not None
        lost = (concurrent.futures.BrokenExecutor, concurrent.futures.CancelledError)
        homes = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        return isinstance(error, lost) or not homes.isdisjoint(_CLUSTERS)


def _fitted_here(call: dict[str, Any]) -> Fold:
    """The result of one fit; what it does to warnings and to the host's options ends with it."""
    with config_context(), warnings.catch_warnings():
        fold: Fold = _fit_and_score(**call)
    return fold


def _take_time(estimator: Any) -> None:
    """Of use to have ``estimator`` unpickled in a worker, and others busy meanwhile."""
    time.sleep(0.05)


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
