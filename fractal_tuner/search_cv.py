"""FractalSearchCV: the zooming search in the place of scikit-learn's GridSearchCV and RandomizedSearchCV."""

from __future__ import annotations

import inspect
import math
import numbers
import os
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Self

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

# Private since scikit-learn has it (1.6 to 1.9 were read): the base class invites third parties in its
# docstring, the constraints are how its own classes validate, and the two helpers judge failed fits.
# Whatever else of scikit-learn is private stands in the last section of this file.
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from fractal_tuner.search import FactorialZoom, Search, ZoomSearch
from fractal_tuner.space import Categorical, Parameter, SearchSpace, as_space
from fractal_tuner.trials import Trial, TrialLog

Fold = dict[str, Any]  # what scikit-learn reports of one fit: scores, times, the traceback if it failed


class FractalSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Hyperparameter search with cross-validation by an adaptive zooming grid.

    Replaces ``GridSearchCV`` or ``RandomizedSearchCV`` by changing the class name. The first trials are
    spread over the whole space; each later one is a node of a coarse global grid or of a zoom window around
    one of the best trials, whichever promises most.

    Parameters
    ----------
    estimator : estimator object
        Must have ``fit``, and ``score`` unless ``scoring`` is given. It is cloned, never fitted itself.
    param_distributions : dict, list of dicts, or SearchSpace
        For each parameter a list of values, a frozen scipy distribution, or a dimension such as
        ``Real(1e-3, 1e3, log=True)``. A list of dicts is a union of spaces. Numbers in a list are searched on
        their own scale, anything else as categories; values reach the estimator as they were given.
    n_iter : int or None, default=50
        Number of candidates to evaluate. A finite space is covered once and then the search ends. With
        None it ends for another reason only: space covered, grid complete, time or target.
    scoring, n_jobs, cv, verbose, pre_dispatch, error_score, return_train_score
        As in ``GridSearchCV``. The folds are fixed before the first fit and kept for the whole search,
        so that all candidates meet the same data.
    refit : bool, str or callable, default=True
        As in ``GridSearchCV``. With several metrics, the one named here steers the search; if none is named
        (False, or a callable), the first.
    random_state : int, RandomState instance or None, default=None
        Seed of ``strategy="zoom"``. The factorial strategy is not random.
    strategy : {"zoom", "factorial"}, default="zoom"
        "factorial" evaluates full grids, each in a window around the best trial of the one before;
        ``levels=1`` is plain grid search. Then ``n_iter`` must not be smaller than the first grid.
    points_per_dim, levels : int, default=5 and 3
        Of ``strategy="factorial"``: see :class:`FactorialZoom`.
    batch_size : int or None, default=None
        Candidates evaluated at a time; the search learns after each batch. None takes the fewest that give
        every worker a fit: the number of workers over the number of folds, rounded up. The result is
        thus the same for every ``n_jobs`` up to the number of folds; fix ``batch_size`` to make it the same
        for any number.
    journal : path, optional
        File that keeps every trial as soon as it is scored. The same search with the same file continues
        where the file ends and evaluates nothing twice; with other data, splits, estimator, scoring, space
        or options it is refused. ``n_iter`` and the other limits may change.
    max_time : float, optional
        Seconds after which no new batch begins.
    target_score : float, optional
        No new batch begins once the steering metric's mean reaches this.

    Attributes
    ----------
    cv_results_, best_index_, best_params_, best_score_, best_estimator_, refit_time_, scorer_, n_splits_,
    multimetric_, classes_, n_features_in_, feature_names_in_
        As in ``GridSearchCV``. ``cv_results_`` has one more column, ``level``: the zoom level that proposed the
        candidate, 0 for the whole space.
    search_ : ZoomSearch or FactorialZoom
        The search; ask it for more, or continue it elsewhere.
    trials_ : TrialLog
        Every trial with its window, its scores by fold, and what failed.
    stop_reason_ : str
        "budget", "space exhausted", "grid complete", "time" or "target".

    Raises
    ------
    TypeError, ValueError
        In ``fit``: for an invalid space or option, a parameter the estimator does not have, or a journal of
        another search, before anything is evaluated; and if all trials failed, with their messages.

    See Also
    --------
    ZoomSearch : the same search of a plain function.

    Notes
    -----
    A candidate whose fits all fail, or whose score is not finite, is recorded and avoided; it does not end
    the search unless ``error_score="raise"``.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> search = FractalSearchCV(
    ...     SVC(), {"C": loguniform(1e-2, 1e3), "kernel": ["rbf", "linear"]}, n_iter=8, random_state=0
    ... )
    >>> search.fit(*load_iris(return_X_y=True)).stop_reason_
    'budget'
    >>> round(search.best_score_, 2)
    0.98
    """

    _parameter_constraints = {  # noqa: RUF012 (the host's name and form)
        **BaseSearchCV._parameter_constraints,
        "param_distributions": [dict, list, tuple, SearchSpace],
        "n_iter": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "strategy": [StrOptions({"zoom", "factorial"})],
        "points_per_dim": [Interval(numbers.Integral, 1, None, closed="left")],
        "levels": [Interval(numbers.Integral, 1, None, closed="left")],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "journal": [str, os.PathLike, None],
        "max_time": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "target_score": [numbers.Real, None],
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
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

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, then fit the best candidate to all data unless ``refit=False``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_samples)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target.
        **params : dict of str -> object
            For ``fit`` of the estimator, the scorer and the splitter, as in ``GridSearchCV``.

        Returns
        -------
        self : FractalSearchCV
            The fitted search.
        """
        self._frozen = _FrozenSplits()
        if self.journal is not None:
            self._frozen.data = {
                "X": _hash(X),
                "y": _hash(y),
                **{f"fit parameter {name}": _hash(value) for name, value in params.items()},
            }
        try:
            super().fit(X, y, **params)
        finally:
            self.__dict__.pop("_frozen", None)
        return self

    def _check_input_parameters(self, X: Any, y: Any, split_params: Mapping[str, Any]) -> None:
        """Split once: a splitter that shuffles would give each batch other folds."""
        self._frozen.splits = list(self._checked_cv_orig.split(X, y, **split_params))

    def _run_search(
        self, evaluate_candidates: Callable[..., dict[str, Any]], *, callback_ctx: Any = None
    ) -> None:
        # Evaluation tasks carry a copy of self (since 1.9): neither splits nor search may be on it.
        splits: _FrozenSplits = self.__dict__.pop("_frozen")
        for name in ("search_", "trials_", "stop_reason_"):
            self.__dict__.pop(name, None)
        search = self._make_search(splits)
        evaluate = _Evaluation(self, evaluate_candidates, splits, callback_ctx)
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        size = self.batch_size or -(-n_jobs // max(1, len(splits.splits)))
        try:
            while batch := search.ask(size):
                # The search broke between the asks of one batch: ask the rest as if it had not.
                if len(batch) < size and batch[0].id % size == 0:
                    batch += search.ask(size - len(batch))
                for trial, folds in zip(batch, evaluate(batch), strict=True):
                    self._tell(search, trial, folds)
            evaluate.end(self._table(search.trials))
        finally:
            search.close()
            self.search_, self.trials_ = search, search.trials
            self.stop_reason_ = search.stop_reason

    def _make_search(self, splits: _FrozenSplits) -> Search:
        """The search, with everything that can be wrong about it found before the first fit."""
        space = as_space(self.param_distributions)
        _check_names(space, self.estimator)
        if self.n_iter is None and space.size == math.inf and self.strategy == "zoom":
            if self.max_time is None and self.target_score is None:
                raise ValueError(
                    "n_iter=None needs max_time, target_score or a finite space: "
                    "the search would never end"
                )
        common = {
            "max_trials": self.n_iter,
            "journal": self.journal,
            "fingerprint": None if self.journal is None else self._fingerprint(space, splits),
            "max_time": self.max_time,
            "target_score": self.target_score,
        }
        if self.strategy == "zoom":
            return ZoomSearch(space, seed=self._seed(), noise=False, **common)
        try:
            return FactorialZoom(
                space, points_per_dim=self.points_per_dim, levels=self.levels, **common
            )
        except ValueError as error:  # the budget has another name here
            raise ValueError(str(error).replace("max_trials", "n_iter")) from None

    def _seed(self) -> int | None:
        if self.random_state is None and self.journal is not None:
            return None  # drawn by the search, or found in the journal
        rng = check_random_state(self.random_state)
        if isinstance(self.random_state, numbers.Integral):
            return int(self.random_state)
        return int(rng.randint(np.iinfo(np.int32).max))

    def _fingerprint(self, space: SearchSpace, splits: _FrozenSplits) -> dict[str, Any]:
        """What the scores depend on, apart from the space and the options of the search."""
        searched = tuple(f"{name}__" for name in space.names)
        return {
            **splits.data,
            "splits": joblib.hash([[np.asarray(part) for part in pair] for pair in splits.splits]),
            "estimator": _described(self.estimator)
            | {
                name: _described(value)
                for name, value in self.estimator.get_params(deep=True).items()
                if not f"{name}__".startswith(searched)
            },
            "scoring": _described(self.scoring),
            "steering metric": self.refit if isinstance(self.refit, str) else None,
            "error_score": _described(self.error_score),
            "return_train_score": self.return_train_score,
        }

    def _tell(self, search: Search, trial: Trial, folds: list[Fold]) -> None:
        """Tell a trial; all that ``cv_results_`` will say of it travels in its details."""
        scores = [float(score) for score in self._steering(folds)]
        errors = [fold["fit_error"] for fold in folds if fold["fit_error"] is not None]
        failed = len(errors) == len(folds)
        search.tell(
            trial.id,
            float(np.mean(scores)),
            error=errors[0].strip().splitlines()[-1] if failed else None,
            folds=scores,
            details={"folds": [_floats(fold) for fold in folds]},
        )

    def _steering(self, folds: list[Fold]) -> list[Any]:
        """The scores that steer the search, one per fold."""
        scores = [fold["test_scores"] for fold in folds]
        if not isinstance(scores[0], dict):
            return scores
        # What a callable returns is known only now, and the host would ask after the whole search.
        self._check_refit_for_multimetric(scores[0])
        metric = self.refit if isinstance(self.refit, str) else next(iter(scores[0]))
        return [score[metric] for score in scores]

    def _table(self, trials: TrialLog) -> tuple[list[Fold], dict[str, Any]]:
        """The folds of all trials in the order of asking, and ``cv_results_`` made of them."""
        told = [trial for trial in trials if trial.status != "running"]
        folds = [_numbers(fold) for trial in told for fold in trial.details["folds"]]
        _warn_or_raise_about_fit_failures(folds, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(folds, self.error_score)
        if not any(np.isfinite(score) for fold in folds for score in _values(fold["test_scores"])):
            reasons = sorted({str(trial.error) for trial in told})
            raise ValueError(f"all {len(told)} trials failed: {'; '.join(reasons[:5])}")
        more = {"level": [trial.level for trial in told]}
        params = [trial.params for trial in told]
        return folds, super()._format_results(params, self.n_splits_, folds, more)

    def _format_results(
        self,
        candidate_params: Sequence[dict[str, Any]],
        n_splits: int,
        out: list[Fold],
        more_results: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        # The host calls this after every batch, with all results so far: it would do and warn the same
        # again and again. The table is made once, at the end of the search; see _Evaluation.
        return {"folds": out}


class _FrozenSplits:
    """A splitter that gives the stored splits, and hashes of the data they belong to."""

    def __init__(self) -> None:
        self.splits: list[tuple[Any, Any]] = []
        self.data: dict[str, Any] = {}

    def split(self, X: Any = None, y: Any = None, **params: Any) -> list[tuple[Any, Any]]:
        return self.splits

    def get_n_splits(self, X: Any = None, y: Any = None, **params: Any) -> int:
        return len(self.splits)


def _check_names(space: SearchSpace, estimator: Any) -> None:
    """Raise ValueError for a parameter that neither the estimator nor a searched part of it has."""
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
    """Whether ``set_params`` takes the name; some estimators take more than ``get_params`` lists."""
    dimension = parameter.dimension
    try:
        clone(owner).set_params(**{name: dimension.value(dimension.code(0.5))})
    except Exception:
        return False
    return True


def _floats(fold: Fold) -> Fold:
    """One fold as JSON: numbers of whatever type as Python floats."""
    return {
        name: value
        if value is None or isinstance(value, str)
        else {metric: float(score) for metric, score in value.items()}
        if isinstance(value, dict)
        else float(value)
        for name, value in fold.items()
    }


def _numbers(fold: Fold) -> Fold:
    """The inverse of :func:`_floats`; a journal keeps numbers that JSON does not know as strings."""
    error = {"fit_error": fold["fit_error"]}
    return _floats({k: _parsed(v) for k, v in fold.items() if k not in error}) | error


def _parsed(value: Any) -> Any:
    return {k: float(v) for k, v in value.items()} if isinstance(value, dict) else float(value)


def _values(scores: Any) -> list[float]:
    return list(scores.values()) if isinstance(scores, dict) else [scores]


def _hash(data: Any) -> str:
    """A hash of the values in an array, a sparse matrix, a table or anything that can be pickled.

    The containers themselves are not hashed: sparse matrices and tables cache what they find out about
    themselves, and a hash of that would change with use.
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


# What scikit-learn keeps to itself, in one place -------------------------------------------------------


class _Evaluation:
    """Evaluates batches through the host, whatever fails, and leaves it with the final table."""

    def __init__(
        self,
        owner: FractalSearchCV,
        evaluate_candidates: Callable[..., dict[str, Any]],
        splits: _FrozenSplits,
        callback_ctx: Any,
    ) -> None:
        self._owner = owner
        self._evaluate = evaluate_candidates
        self._splits = splits
        self._results: dict[str, Any] | None = None
        self._context = callback_ctx and callback_ctx.subcontext(  # None before 1.9
            task_name="search", max_subtasks=None
        ).call_on_fit_task_begin(estimator=owner)

    def __call__(self, batch: list[Trial]) -> list[list[Fold]]:
        """The folds of each trial."""
        n_splits = len(self._splits.splits)
        n_fits = len(batch) * n_splits
        options: dict[str, Any] = {"cv": self._splits}
        if self._context is not None:
            options["callback_ctx"] = self._context.subcontext(
                task_name="batch", max_subtasks=n_fits, sequential_subtasks=False
            ).call_on_fit_task_begin(estimator=self._owner)
        try:
            with warnings.catch_warnings():  # the whole search is warned about once, at its end
                warnings.filterwarnings(
                    "ignore", rf"\s*\d+ fits failed out of a total of {n_fits}\.", FitFailedWarning
                )
                self._results = self._evaluate([trial.params for trial in batch], **options)
            folds = self._results["folds"][-n_fits:]
        except ValueError as error:
            folds = _folds_of_failed_batch(error)
            if folds is None:
                raise
        if self._context is not None:
            options["callback_ctx"].call_on_fit_task_end(estimator=self._owner)
        return [folds[i : i + n_splits] for i in range(0, n_fits, n_splits)]

    def end(self, table: tuple[list[Fold], dict[str, Any]]) -> None:
        """Put the final table where the host keeps what the last batch returned.

        The host goes on with the very dictionary that ``evaluate_candidates`` returned last, so that it can
        be filled in afterwards. Where no batch succeeded in this process, because a journal had it all,
        the host still has the empty one it began with, and wants one fold to see if there are several
        metrics; both are variables of its ``fit`` which ``evaluate_candidates`` closes over.
        """
        folds, results = table
        if self._results is None:
            host = inspect.getclosurevars(self._evaluate).nonlocals
            host["all_out"].extend(folds)
            self._results = host["results"]
        self._results.clear()
        self._results.update(results)
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=self._owner)


def _folds_of_failed_batch(error: ValueError) -> list[Fold] | None:
    """The folds of a batch in which every fit failed; None if the error is about something else.

    The host does not return such a batch but raises (``_warn_or_raise_about_fit_failures``), though the
    next one may succeed. Its results are still in the traceback.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is _warn_or_raise_about_fit_failures.__code__:
            folds: list[Fold] = frame.f_locals["results"]
            return folds
    return None
