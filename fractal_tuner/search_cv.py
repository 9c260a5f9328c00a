"""FractalSearchCV: the zooming search in the place of scikit-learn's own searches."""

from __future__ import annotations

import inspect
import math
import numbers
import os
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid

# Private, but the same from 1.6 to 1.9: the base class invites third parties in its docstring, the
# constraints are how the host's own classes validate, and the two helpers judge failed fits. What
# else is private stands in class _Host.
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from fractal_tuner.dimensions import Categorical
from fractal_tuner.search import FactorialZoom, Search, ZoomSearch
from fractal_tuner.space import Parameter, SearchSpace, as_space
from fractal_tuner.trials import Trial

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report

# What the host reports of one fit: scores, times, and the traceback if it failed.
Fold = dict[str, Any]


class FractalSearchCV(BaseSearchCV):
    """Hyperparameter search with cross-validation by an adaptive zooming grid.

    Replaces ``GridSearchCV`` or ``RandomizedSearchCV`` by changing the class name. The first trials
    are spread over the whole space; each later one is a node of a coarse global grid or of a zoom
    window around one of the best trials, whichever promises most.

    Parameters
    ----------
    estimator : estimator object
        Must have ``fit``, and ``score`` unless ``scoring`` is given. It is cloned, never fitted.
    param_distributions : dict, list of dicts, or SearchSpace
        For each parameter a list of values, a frozen scipy distribution, or a dimension such as
        ``Real(1e-3, 1e3, log=True)``. A list of dicts is a union of spaces. Numbers in a list are
        searched on their own scale, anything else as categories; values reach the estimator as
        they were given.
    n_iter : int or None, default=50
        Number of candidates to evaluate. A finite space is covered once, and then the search ends.
        None sets no limit.
    scoring, n_jobs, cv, verbose, pre_dispatch, error_score, return_train_score
        As in ``GridSearchCV``. The folds are made before the first fit and kept for the whole
        search, so that all candidates meet the same data.
    refit : bool, str or callable, default=True
        As in ``GridSearchCV``. With several metrics, the one named here steers the search; if none
        is named (False, or a callable), the first.
    random_state : int, RandomState instance or None, default=None
        Seed of ``strategy="zoom"``. The factorial strategy is not random.
    strategy : {"zoom", "factorial"}, default="zoom"
        "factorial" evaluates full grids, each in a window around the best trial so far; with
        ``levels=1`` that is plain grid search. ``n_iter`` must not be smaller than the first grid.
    points_per_dim, levels : int, default=5 and 3
        Of ``strategy="factorial"``: see :class:`FactorialZoom`.
    batch_size : int or None, default=None
        Candidates evaluated at a time; the search learns after each batch. None takes the fewest
        that give every worker a fit: workers divided by folds, rounded up. The result is thus the
        same for every ``n_jobs`` up to the number of folds; a fixed ``batch_size`` makes it the
        same for any.
    journal : path, optional
        File that keeps every trial from the moment it is scored. The same search with the same file
        continues where the file ends, and evaluates nothing twice; with other data, folds,
        estimator, scoring, space or options it is refused. ``n_iter``, ``max_time``,
        ``target_score``, ``tolerance`` and ``n_jobs`` may change.
    max_time : float, optional
        Seconds after which no batch begins.
    target_score : float, optional
        No batch begins once the mean of the steering metric reaches it.
    tolerance : float, optional
        Of ``strategy="zoom"``: no batch begins once improvements have become too small for a while,
        see :class:`ZoomSearch`.
    param_grid : dict or list of dicts, optional
        The name that ``GridSearchCV`` has for ``param_distributions``; give one of the two.

    Attributes
    ----------
    cv_results_ : dict
        As in ``GridSearchCV``. Candidates stand in the order in which they were asked; but where
        lists were given and all of their combinations evaluated, in the order of ``GridSearchCV``,
        so that of equal candidates the same one is the best. Zoom levels are in ``trials_``.
    search_ : ZoomSearch or FactorialZoom
        The search that was run.
    trials_ : TrialLog
        Every trial with its window, its scores by fold, and what failed.
    stop_reason_ : str
        "budget", "space exhausted", "grid complete", "time" or "target".
    best_index_, best_params_, best_score_, best_estimator_, and all others
        As in ``GridSearchCV``.

    Raises
    ------
    TypeError, ValueError
        In ``fit``, before anything is evaluated: for an invalid space or option, a parameter that
        the estimator does not have, or a journal of another search. At the end: if all fits failed,
        with their messages.

    See Also
    --------
    ZoomSearch : the same search for a plain function.

    Notes
    -----
    A candidate whose fits all fail, or whose score is not finite, is recorded and avoided; it ends
    the search only with ``error_score="raise"``. A score of plus infinity is NaN in
    ``cv_results_``, as it would else be the best.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> space = {"C": loguniform(1e-2, 1e3), "kernel": ["rbf", "linear"]}
    >>> search = FractalSearchCV(SVC(), space, n_iter=8, random_state=0)
    >>> search.fit(*load_iris(return_X_y=True)).stop_reason_
    'budget'
    >>> print(len(search.cv_results_["params"]), search.best_score_ > 0.97)
    8 True
    """

    _parameter_constraints = {  # noqa: RUF012 (the host's name and form)
        **BaseSearchCV._parameter_constraints,
        "param_distributions": [dict, list, tuple, SearchSpace, None],
        "n_iter": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "strategy": [StrOptions({"zoom", "factorial"})],
        "points_per_dim": [Interval(numbers.Integral, 1, None, closed="left")],
        "levels": [Interval(numbers.Integral, 1, None, closed="left")],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "journal": [str, os.PathLike, None],
        "max_time": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "target_score": [numbers.Real, None],
        "tolerance": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "param_grid": [dict, list, tuple, None],
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any = None,
        *,
        n_iter: int | None = 50,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        strategy: Literal["zoom", "factorial"] = "zoom",
        points_per_dim: int = 5,
        levels: int = 3,
        batch_size: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        max_time: float | None = None,
        target_score: float | None = None,
        tolerance: float | None = None,
        param_grid: Any = None,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.strategy = strategy
        self.points_per_dim = points_per_dim
        self.levels = levels
        self.batch_size = batch_size
        self.journal = journal
        self.max_time = max_time
        self.target_score = target_score
        self.tolerance = tolerance
        self.param_grid = param_grid

    def report(self, **options: Any) -> Report:
        """What was found, how far to trust it, and what to do next.

        Parameters
        ----------
        **options
            As in :func:`fractal_tuner.report.report.analyze`, for instance ``dims``.
        """
        from fractal_tuner.report.report import analyze

        return analyze(self, **options)

    def _run_search(
        self, evaluate_candidates: Callable[..., dict[str, Any]], *, callback_ctx: Any = None
    ) -> None:
        # Tasks carry a copy of self (since 1.9), so that the search is put on it at the end only.
        for name in ("search_", "trials_", "stop_reason_"):
            self.__dict__.pop(name, None)
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        host = _Host(self, evaluate_candidates)
        size = self.batch_size or -(-n_jobs // max(1, host.n_folds))
        with self._make_search(host) as search:
            host.begin(search, callback_ctx)
            try:
                while batch := search.ask(size):
                    # A batch whose asks were interrupted is made whole, as if they had not been.
                    if len(batch) < size and batch[0].id % size == 0:
                        batch += search.ask(size - len(batch))
                    for trial, results in zip(batch, host.evaluate(batch), strict=True):
                        self._tell(search, trial, results)
                host.end(*self._table(search, host.n_folds))
            finally:
                self.search_, self.trials_ = search, search.trials
                self.stop_reason_ = search.stop_reason

    @property
    def _given_space(self) -> Any:
        """What was given to search, under either name."""
        given = [g for g in (self.param_distributions, self.param_grid) if g is not None]
        if len(given) != 1:
            raise ValueError(
                "give the search space as param_distributions, or as param_grid: one of the two, "
                f"got param_distributions={self.param_distributions!r}, "
                f"param_grid={self.param_grid!r}"
            )
        return given[0]

    def _make_search(self, host: _Host) -> Search:
        """The search, after everything that can be wrong about it was looked for."""
        space = as_space(self._given_space)
        _check_names(space, self.estimator)
        limits = (self.n_iter, self.max_time, self.target_score, self.tolerance)
        is_endless = space.size == math.inf and all(limit is None for limit in limits)
        if self.strategy == "zoom" and is_endless:
            raise ValueError(
                "n_iter=None needs max_time, target_score, tolerance or a finite space to end"
            )
        options: dict[str, Any] = {
            "max_trials": self.n_iter,
            "journal": self.journal,
            "fingerprint": None if self.journal is None else self._fingerprint(space, host),
            "max_time": self.max_time,
            "target_score": self.target_score,
        }
        if self.strategy == "zoom":
            options |= {"seed": self._seed(), "tolerance": self.tolerance}
            return ZoomSearch(space, noise=False, **options)
        options |= {"points_per_dim": self.points_per_dim, "levels": self.levels}
        try:
            return FactorialZoom(space, **options)
        except ValueError as error:  # the budget has another name here
            raise ValueError(str(error).replace("max_trials", "n_iter")) from None

    def _seed(self) -> int | None:
        if self.random_state is None and self.journal is not None:
            return None  # the search draws it, or finds it in the journal
        rng = check_random_state(self.random_state)
        if isinstance(self.random_state, numbers.Integral):
            return int(self.random_state)
        return int(rng.randint(np.iinfo(np.int32).max))

    def _fingerprint(self, space: SearchSpace, host: _Host) -> dict[str, Any]:
        """What the scores depend on, apart from the space and the options of the search."""
        searched = tuple(f"{name}__" for name in space.names)
        params = {
            name: "searched" if f"{name}__".startswith(searched) else _described(value)
            for name, value in self.estimator.get_params(deep=True).items()
        }
        return {
            **host.data_hashes(),
            "estimator": _described(self.estimator) | params,
            "scoring": _described(self.scoring),
            "steering metric": self.refit if isinstance(self.refit, str) else None,
            "error_score": _described(self.error_score),
            "return_train_score": bool(self.return_train_score),
        }

    def _tell(self, search: Search, trial: Trial, results: list[Fold]) -> None:
        """Tell a trial; all that ``cv_results_`` will say of it travels in its details."""
        scores = [float(score) for score in self._steering(results)]
        errors = [fold["fit_error"] for fold in results if fold["fit_error"] is not None]
        failed = len(errors) == len(results)
        search.tell(
            trial.id,
            float(np.mean(scores)),
            error=errors[0].strip().splitlines()[-1] if failed else None,
            folds=scores,
            details={"folds": [_as_floats(fold) for fold in results]},
        )

    def _steering(self, results: list[Fold]) -> list[Any]:
        """The scores that steer the search, one per fold."""
        scores = [fold["test_scores"] for fold in results]
        if not isinstance(scores[0], dict):
            return scores
        # What a callable returns is known only now; the host would ask after the whole search.
        self._check_refit_for_multimetric(scores[0])
        metric = self.refit if isinstance(self.refit, str) else next(iter(scores[0]))
        return [score[metric] for score in scores]

    def _table(self, search: Search, n_folds: int) -> tuple[list[Fold], dict[str, Any]]:
        """The results of all trials, and ``cv_results_`` made of them."""
        told = self._rows(search)
        if not told:
            raise ValueError(f"no candidate was evaluated in max_time={self.max_time!r} seconds")
        results = [_beatable(fold) for trial in told for fold in trial.details["folds"]]
        _warn_or_raise_about_fit_failures(results, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(results, self.error_score)
        params = [trial.params for trial in told]
        return results, super()._format_results(params, n_folds, results)

    def _rows(self, search: Search) -> list[Trial]:
        """Told trials in the order of asking, or, if they are a whole grid, in that of the host."""
        told = [trial for trial in search.trials if trial.status != "running"]
        if len(told) != search.space.size or isinstance(self._given_space, SearchSpace):
            return told
        try:
            grid = [search.space.key(params) for params in ParameterGrid(self._given_space)]
        except (TypeError, ValueError):  # distributions and dimensions are no lists
            return told
        by_key = {trial.key: trial for trial in told}
        return [by_key[key] for key in grid] if by_key.keys() == set(grid) else told

    def _format_results(
        self,
        candidate_params: Sequence[dict[str, Any]],
        n_splits: int,
        out: list[Fold],
        more_results: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        # The host calls this after every batch, with all results so far, and would warn each time
        # of the same. The table is made once, at the end of the search: see _Host.end.
        return {"folds": out}


class _FrozenFolds:
    """Splits once: a splitter that shuffles would give each batch other folds."""

    def __init__(self, splitter: Any) -> None:
        self._splitter = splitter
        self._splits: list[tuple[Any, Any]] | None = None

    def split(self, X: Any, y: Any = None, **params: Any) -> list[tuple[Any, Any]]:
        if self._splits is None:
            self._splits = list(self._splitter.split(X, y, **params))
        return self._splits


class _Host:
    """All that relies on how ``BaseSearchCV.fit`` is written, in scikit-learn 1.6 to 1.9.

    Evaluates batches through ``evaluate_candidates``, whatever fails, and leaves the final table
    behind. Of the variables of ``fit``, over which that function closes, a search without a
    journal needs none since 1.9.
    """

    def __init__(
        self, owner: FractalSearchCV, evaluate_candidates: Callable[..., dict[str, Any]]
    ) -> None:
        self._owner = owner
        self._evaluate = evaluate_candidates
        found = self._variables  # two that are attributes of the owner in 1.9
        self.n_folds: int = found.get("n_splits") or owner.n_splits_
        splitter = found.get("cv_orig") or owner._checked_cv_orig
        self._folds = _FrozenFolds(splitter)
        self._results: dict[str, Any] | None = None
        self._tasks: _Tasks | None = None

    @property
    def _variables(self) -> Mapping[str, Any]:
        return inspect.getclosurevars(self._evaluate).nonlocals

    def data_hashes(self) -> dict[str, str]:
        """Hashes of the data, what came with them, and the folds."""
        X, y, routed = (self._variables[name] for name in ("X", "y", "routed_params"))
        splits = self._folds.split(X, y, **routed.splitter.split)
        return {
            "X": _hash(X),
            "y": _hash(y),
            **{f"fit parameter {k}": _hash(v) for k, v in routed.estimator.fit.items()},
            **{f"score parameter {k}": _hash(v) for k, v in routed.scorer.score.items()},
            "folds": _hash([[np.asarray(part) for part in pair] for pair in splits]),
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

    def evaluate(self, batch: list[Trial]) -> list[list[Fold]]:
        """The results of each trial, fold by fold."""
        n_fits = len(batch) * self.n_folds
        options = {} if self._tasks is None else {"callback_ctx": self._tasks}
        params = [trial.params for trial in batch]
        try:
            with warnings.catch_warnings():  # the whole search is warned about once, at its end
                ours = rf"\s*\d+ fits failed out of a total of {n_fits}\."
                warnings.filterwarnings("ignore", ours, FitFailedWarning)
                self._results = self._evaluate(params, cv=self._folds, **options)
            results: list[Fold] = self._results["folds"][-n_fits:]
        except ValueError as error:
            failed = _results_of_failed_batch(error)
            if failed is None:
                raise
            results = failed
        if self._tasks is not None:
            self._tasks.first += n_fits
        return [results[i : i + self.n_folds] for i in range(0, n_fits, self.n_folds)]

    def end(self, results: list[Fold], table: dict[str, Any]) -> None:
        """Put the final table where the host keeps what the last batch returned.

        The host goes on with the very dictionary that ``evaluate_candidates`` returned last. If no
        batch succeeded in this process, because a journal had it all, the host is left with the
        empty one it began with, and misses a result to see whether there are several metrics.
        """
        if self._results is None:
            self._variables["all_out"].extend(results)
            self._results = self._variables["results"]
        self._results.clear()
        self._results.update(table)
        if self._tasks is not None:
            self._tasks.context.call_on_fit_task_end(estimator=self._owner)


class _Tasks:
    """A callback context in which each batch goes on counting tasks where the last one ended.

    The host numbers the tasks of every batch from 0. A context for each batch would do too, but a
    progress bar would then have a line for each.
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        self.first = 0

    def subcontext(self, *, task_id: int, **options: Any) -> Any:
        return self.context.subcontext(task_id=self.first + task_id, **options)


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


def _as_floats(fold: Fold) -> Fold:
    """One result with plain floats, as JSON needs them; floats kept as strings come back too."""
    return {
        name: value
        if name == "fit_error"
        else {metric: float(score) for metric, score in value.items()}
        if isinstance(value, dict)
        else float(value)
        for name, value in fold.items()
    }


def _beatable(fold: Fold) -> Fold:
    """One result with NaN for an infinite test score, which the host would rank first."""
    fold = _as_floats(fold)
    scores = fold["test_scores"]
    if isinstance(scores, dict):
        beatable: Any = {m: math.nan if s == math.inf else s for m, s in scores.items()}
    else:
        beatable = math.nan if scores == math.inf else scores
    return fold | {"test_scores": beatable}


def _check_names(space: SearchSpace, estimator: Any) -> None:
    """Raise ValueError for a parameter that neither the estimator nor a searched part has."""
    known = estimator.get_params(deep=True)
    for parameter in space.parameters:
        name = parameter.name
        if name is None or name in known:
            continue
        parts = name.split("__")
        heads = ["__".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]
        head = next((head for head in heads if head in space.names), None)
        owners = [estimator] if head is None else _choices(space.parameters, head)
        tail = name if head is None else name[len(head) + 2 :]
        if not any(_accepts(owner, tail, parameter) for owner in owners):
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {estimator}. "
                f"Valid parameters are: {sorted(known)!r}."
            )


def _choices(parameters: Iterable[Parameter], name: str) -> list[Any]:
    dimensions = [p.dimension for p in parameters if p.name == name]
    return [choice for d in dimensions if isinstance(d, Categorical) for choice in d.choices]


def _accepts(owner: Any, name: str, parameter: Parameter) -> bool:
    """Whether ``set_params`` takes the name; some take more than ``get_params`` lists."""
    dimension = parameter.dimension
    try:
        clone(owner).set_params(**{name: dimension.value(dimension.code(0.5))})
    except Exception:
        return False
    return True


def _hash(data: Any) -> str:
    """A hash of the values in an array, a sparse matrix, a table, or anything else.

    Not of the containers: tables and sparse matrices cache what they learn about themselves, so
    that their own hash changes with use.
    """
    if hasattr(data, "tocsr"):
        csr = data.tocsr()
        return str(joblib.hash([csr.shape, csr.data, csr.indices, csr.indptr]))
    if hasattr(data, "columns"):
        return str(joblib.hash([(str(name), np.asarray(data[name])) for name in data.columns]))
    return str(joblib.hash(np.asarray(data) if hasattr(data, "__array__") else data))


def _described(value: Any) -> Any:
    """A value as JSON that is the same in every process."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _described(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_described(v) for v in value]
    if isinstance(value, np.ndarray):
        return joblib.hash(value)
    named = value if hasattr(value, "__qualname__") else type(value)
    return {"type": f"{named.__module__}.{named.__qualname__}"}
