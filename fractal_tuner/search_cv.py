"""FractalSearchCV: the zooming search in the place of scikit-learn's own searches."""

from __future__ import annotations

import contextlib
import copy
import math
import numbers
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

# Private, but the same from 1.6 to 1.9: the base class invites third parties in its docstring, the
# constraints are how the host's own classes validate, and the two helpers judge failed fits. What
# else is private stands in the module evaluation.
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fractal_tuner.dimensions import Categorical, Dimension
from fractal_tuner.evaluation import Evaluation, Fold
from fractal_tuner.fingerprint import described
from fractal_tuner.search import FactorialZoom, Search, ZoomSearch
from fractal_tuner.search.base import at_least_one
from fractal_tuner.space import Key, Parameter, SearchSpace, as_space
from fractal_tuner.trials import Trial

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report

_FITTED = (
    *("search_", "trials_", "stop_reason_", "_test_ratio", "cv_results_", "multimetric_"),
    *("best_index_", "best_params_", "best_score_", "best_estimator_", "refit_time_", "scorer_"),
)


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
        ``Real(1e-3, 1e3, log=True)``. A list of dicts is a union of spaces; an empty dict is one
        candidate, the estimator as it is. Numbers in a list are searched on their own scale,
        anything else as categories; values reach the estimator as they were given. Distributions
        other than ``loguniform``, ``randint`` and ``rv_discrete(values=...)`` lose a thousandth of
        probability at each end: the end itself is often not allowed.
    n_iter : int or None, default=50
        Number of candidates to evaluate. A finite space is covered once, and then the search ends.
        None sets no limit.
    scoring, n_jobs, cv, verbose, pre_dispatch, error_score, return_train_score
        As in ``GridSearchCV``. The folds are made before the first fit and kept for the whole
        search, so that all candidates meet the same data.
    refit : bool, str or callable, default=True
        As in ``GridSearchCV``. With several metrics, the one named here steers the search; if none
        is named (False, or a callable), the first. With one metric, "robust" takes, of the
        candidates whose folds cannot be told from the best ones, the one with the best neighbours:
        see :func:`robust_best`.
    random_state : int, RandomState instance or None, default=None
        Seed of ``strategy="zoom"``. The factorial strategy is not random.
    strategy : {"zoom", "factorial"}, default="zoom"
        "factorial" evaluates full grids, each in a window around the best trial so far; with
        ``levels=1`` that is plain grid search. ``n_iter`` must not be smaller than the first grid.
    points_per_dim, levels : int, default=5 and 3
        Of ``strategy="factorial"``: see :class:`FactorialZoom`.
    batch_size : int or None, default=None
        Candidates evaluated at a time; the search learns after each batch. None takes as few as
        give every worker a fit: workers divided by folds, rounded up. If that is one, and there
        are 3 folds or more, every other candidate is chosen before the last fold of the one before
        it is known, whose score is expected from its other folds until then: so two workers can
        share an odd number of folds. The result is the same for every ``n_jobs`` up to the
        number of folds; a fixed ``batch_size`` makes it the same for any, on any back end of
        joblib. With 1, each candidate is chosen by all that is known of all before it.
    journal : path, optional
        File that keeps every trial from the moment it is scored. The same search with the same file
        continues where the file ends, and evaluates nothing twice; with other data, folds,
        estimator, scoring, space or options it is refused; objects that cannot be pickled are told
        apart by their types only. ``n_iter``, ``max_time``, ``target_score``, ``tolerance``,
        ``trial_timeout``, ``warm_start_from`` and ``n_jobs`` may change. With ``batch_size=1`` a
        search that was given more candidates or time is the one that had them from the start; by
        default, the first candidate after the old end may have been chosen by one fold more, and
        those after it by its score. A failed candidate is not evaluated again. A search that is
        itself cross-validated has other data in each fold, and needs None.
    max_time : float, optional
        Seconds after which no batch begins.
    target_score : float, optional
        No batch begins once the mean of the steering metric reaches it.
    tolerance : float, optional
        Of ``strategy="zoom"``: no batch begins once improvements have for a while been smaller than
        this share of the distance from the best score to the median of the first ones: 3e-4, say.
        See :class:`ZoomSearch`.
    trial_timeout : float, optional
        Seconds that one fit may take before its process is ended and its candidate is recorded as
        failed; needs processes of this machine, that is ``n_jobs`` of at least 2 with joblib's loky
        back end. The time counts from when the fits before it are done. joblib does not tell which
        fit of a batch took too long: the candidates of the batch are then evaluated again, one by
        one.
    warm_start_from : object or path, optional
        An earlier search, of whatever tool :func:`analyze` can read; a table whose scores are not
        in a column ``score`` as ``fractal_tuner.readers.read(table, score=...)``. The best of its
        candidates, and the best of other basins, are evaluated first where they fit the space; how
        many others do not is said in a warning. Parameters that it did not have are taken as the
        estimator has them. Its scores are not used: see :func:`starting_points`.
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
    stop_reason_ : str or None
        "budget", "space exhausted", "grid complete", "time", "target" or "expected improvement
        below tolerance"; None if the search was cut off.
    best_score_corrected_ : float
        The highest score of the steering metric without the luck of having been chosen, see
        :func:`corrected_best`. Of the candidate of highest score, even if ``refit="robust"`` took
        another one.
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

    A worker process that dies is replaced, and the candidate that it evaluated is evaluated again;
    after three times, or as often as Dask itself allows, it is recorded as failed. That holds for
    loky, Dask and Ray; a Dask cluster that lost all workers is waited for. Where fits run in
    this process (``n_jobs=1``, threads) its death is the end; a journal then continues the search.

    A search that is cut off, by Ctrl-C or by an error, raises, and has ``cv_results_`` and
    ``best_params_`` of what it evaluated, but no ``best_estimator_``.

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
        "trial_timeout": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "warm_start_from": "no_validation",
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
        trial_timeout: float | None = None,
        warm_start_from: Any = None,
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
        self.trial_timeout = trial_timeout
        self.warm_start_from = warm_start_from
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

    @property
    def best_score_corrected_(self) -> float:
        """The highest score without the luck of having been chosen; NaN if folds do not tell it.

        See :func:`corrected_best`, which also gives an interval.
        """
        from fractal_tuner.analysis.winner import corrected_best

        check_is_fitted(self, "trials_")
        return corrected_best(self.trials_, test_ratio=self._test_ratio).value

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Run the search, and fit the best candidate to all data.

        Parameters
        ----------
        X, y, **params
            As in ``GridSearchCV``.
        """
        try:
            super().fit(X, y, **params)
        except BaseException:
            if not hasattr(self, "refit_time_"):  # cut off before the best was fitted
                self.__dict__.pop("best_estimator_", None)
            raise
        return self

    def _run_search(
        self, evaluate_candidates: Callable[..., dict[str, Any]], *, callback_ctx: Any = None
    ) -> None:
        evaluation = Evaluation(self, evaluate_candidates, self.trial_timeout)
        fewest = math.ceil(evaluation.n_workers / evaluation.n_folds)
        size = at_least_one("batch_size", fewest if self.batch_size is None else self.batch_size)
        previews = self.batch_size is None and size == 1 and evaluation.n_folds > 2
        with self._make_search(evaluation) as search:
            self._enqueue_earlier(search)
            for name in _FITTED:  # by an earlier fit; whatever was wrong is known by now
                self.__dict__.pop(name, None)
            evaluation.begin(search, callback_ctx)
            self._is_searching = True
            try:
                while batch := search.ask(size):
                    # A batch whose asks were interrupted is made whole, as if they had not been.
                    if len(batch) < size and batch[0].id % size == 0:
                        batch += search.ask(size - len(batch))
                    if previews and batch[0].id % 2 == 0:
                        known = self._steering(evaluation.preview(batch[0]))
                        search.expect(batch[0].id, _expected(search, known))
                        batch += search.ask()
                    for trial, results in zip(batch, evaluation.evaluate(batch), strict=True):
                        self._tell(search, trial, results)
                evaluation.end(*self._table(search, evaluation.n_folds))
            except BaseException:
                self._keep(search, evaluation)
                self._keep_partial(evaluation.n_folds)
                raise
            self._keep(search, evaluation)

    def _keep(self, search: Search, evaluation: Evaluation) -> None:
        """Put the search on self, at its end: tasks carry a copy of self (since 1.9)."""
        self.__dict__.pop("_is_searching", None)
        self.search_, self.trials_ = search, search.trials
        self.stop_reason_ = search.stop_reason
        self._test_ratio = evaluation.test_ratio

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())  # which may be the very dict of the object
        if state.pop("_is_searching", False):  # for a task, which needs no earlier search
            state["warm_start_from"] = None
        return state

    def _enqueue_earlier(self, search: Search) -> None:
        if self.warm_start_from is None:
            return
        from fractal_tuner.warm_start import starting_points

        defaults = self.estimator.get_params(deep=True)
        try:
            points = starting_points(self.warm_start_from, search.space, defaults=defaults)
        except (TypeError, ValueError, OSError) as error:
            raise type(error)(f"warm_start_from: {error}") from error
        search.enqueue(points)

    def _keep_partial(self, n_folds: int) -> None:
        """Leave what was evaluated as the result of a search that is being cut off."""
        # Whatever goes wrong here must not hide what cut the search off: there may be no result,
        # or none but failures, or a function for refit that cannot cope with few.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folds, self.cv_results_ = self._table(self.search_, n_folds)
            self.n_splits_ = n_folds
            self.multimetric_ = isinstance(folds[0]["test_scores"], dict)
            metric = self.refit if self.multimetric_ else "score"
            if self.refit or not self.multimetric_:
                best = self._select_best_index(self.refit, metric, self.cv_results_)
                self.best_index_, self.best_params_ = best, self.cv_results_["params"][best]
                if not callable(self.refit):
                    self.best_score_ = self.cv_results_[f"mean_test_{metric}"][best]

    def __sklearn_clone__(self) -> Self:
        # A clone of an earlier search would have forgotten its trials.
        bare = copy.copy(self)
        bare.warm_start_from = None
        twin: Self = super(FractalSearchCV, bare).__sklearn_clone__()
        twin.warm_start_from = self.warm_start_from
        return twin

    def _check_refit_for_multimetric(self, scores: Any) -> None:
        if isinstance(self.refit, str) and self.refit == "robust" and "robust" not in scores:
            raise ValueError(
                f"refit='robust' needs one metric, got {sorted(scores)}; refit must be set to the "
                "name of one of several, to a callable, or to False"
            )
        super()._check_refit_for_multimetric(scores)

    def _select_best_index(self, refit: Any, refit_metric: str, results: Any) -> int:
        if refit_metric != "score" or not isinstance(refit, str) or refit != "robust":
            return int(super()._select_best_index(refit, refit_metric, results))
        from fractal_tuner.analysis.choice import robust_best

        if all(trial.status == "failed" for trial in self.search_.trials.told):
            return int(super()._select_best_index(True, refit_metric, results))
        chosen = robust_best(self.search_.trials, test_ratio=self._test_ratio)
        return [trial.id for trial in self._rows(self.search_)].index(chosen.id)

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

    def _make_search(self, host: Evaluation) -> Search:
        """The search, after everything that can be wrong about it was looked for."""
        space = _space_of(self._given_space)
        _check_names(space, self.estimator)
        limits = (self.n_iter, self.max_time, self.target_score, self.tolerance)
        is_endless = space.size == math.inf and all(limit is None for limit in limits)
        if self.strategy == "zoom" and is_endless:
            raise ValueError(
                "n_iter=None needs max_time, target_score, tolerance or a finite space to end"
            )
        if self.strategy != "zoom" and self.warm_start_from is not None:
            raise ValueError("warm_start_from needs strategy='zoom': a grid has its own points")
        if self.strategy != "zoom" and self.tolerance is not None:
            raise ValueError("tolerance needs strategy='zoom': a grid ends when it is complete")
        if self.warm_start_from is self:
            raise ValueError(
                "warm_start_from is this very search, which fit begins anew: give its cv_results_"
            )
        options: dict[str, Any] = {
            "max_trials": self.n_iter,
            "journal": self.journal,
            "fingerprint": None if self.journal is None else self._fingerprint(space, host),
            "max_time": self.max_time,
            "target_score": self.target_score,
        }
        try:
            if self.strategy == "zoom":
                options |= {"seed": self._seed(), "tolerance": self.tolerance}
                return ZoomSearch(space, noise=False, **options)
            options |= {"points_per_dim": self.points_per_dim, "levels": self.levels}
            return FactorialZoom(space, **options)
        except (TypeError, ValueError) as error:
            if "max_trials" not in str(error):
                raise
            raise type(error)(str(error).replace("max_trials", "n_iter")) from None  # its name here

    def _seed(self) -> int | None:
        if self.random_state is None and self.journal is not None:
            return None  # the search draws it, or finds it in the journal
        rng = check_random_state(self.random_state)
        if isinstance(self.random_state, numbers.Integral):
            return int(self.random_state)
        return int(rng.randint(np.iinfo(np.int32).max))

    def _fingerprint(self, space: SearchSpace, host: Evaluation) -> dict[str, Any]:
        """What the scores depend on, apart from the space and the options of the search."""
        searched = tuple(f"{name}__" for name in space.names)
        params = {
            name: "searched"
            if f"{name}__".startswith(searched)
            else described(value, with_params=False)  # they have entries of their own
            for name, value in self.estimator.get_params(deep=True).items()
        }
        is_several = not (self.scoring is None or isinstance(self.scoring, str))
        choices = [
            described([parameter.name, parameter.dimension.choices])
            for parameter in space.parameters
            if isinstance(parameter.dimension, Categorical)
        ]
        return {
            **host.data_hashes(),
            "estimator": described(self.estimator, with_params=False) | params,
            "choices": choices,
            "scoring": described(self.scoring),
            "steering metric": self.refit if isinstance(self.refit, str) and is_several else None,
            "error_score": described(self.error_score),
            "return_train_score": bool(self.return_train_score),
        }

    def _tell(self, search: Search, trial: Trial, results: list[Fold]) -> None:
        """Tell a trial; all that ``cv_results_`` will say of it travels in its details."""
        scores = [float(score) for score in self._steering(results)]
        mean = float(np.mean(scores))
        errors = [fold["fit_error"] for fold in results if fold["fit_error"] is not None]
        error = None
        if len(errors) == len(results):
            error = _in_a_line(errors[0])
        elif errors and not math.isfinite(mean):
            error = f"{len(errors)} of {len(results)} fits failed: {_in_a_line(errors[0])}"
        search.tell(
            trial.id,
            mean,
            error=error,
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
        return results, self._format_results(params, n_folds, results)

    def _rows(self, search: Search) -> list[Trial]:
        """Told trials in the order of asking, or, if they are a whole grid, in that of the host."""
        told = [trial for trial in search.trials if trial.status != "running"]
        if len(told) != search.space.size or isinstance(self._given_space, SearchSpace):
            return told
        space = search.space
        try:
            grid = [space.key(params) for params in ParameterGrid(self._given_space)]
        except (TypeError, ValueError):  # distributions and dimensions are no lists
            return told
        alike: dict[Key, list[Trial]] = {}  # a value may be listed twice
        for trial in told:
            alike.setdefault(space.key(space.params(trial.key)), []).append(trial)
        if Counter(grid) != {key: len(trials) for key, trials in alike.items()}:
            return told
        return [alike[key].pop(0) for key in grid]


def _expected(search: Search, known: list[Any]) -> float:
    """The score that follows from all folds but the last: as far from the best one as in those.

    Folds differ by more than candidates do, and for all candidates alike.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # scores may be infinite, or nearly
        mean = np.mean(known)
        if all(trial.status != "complete" for trial in search.trials.told):
            return float(mean)
        best = search.best_trial
        return float(best.score + mean - np.mean(best.folds[:-1]))


def _in_a_line(fit_error: str) -> str:
    """Kind and message of the exception in a traceback, whose message may have several lines."""
    last = fit_error.rpartition("Traceback (most recent call last):\n")[2].strip("\n")
    return next((line for line in last.splitlines() if line and line[0] != " "), last)


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
        fold["test_scores"] = {m: math.nan if s == math.inf else s for m, s in scores.items()}
    elif scores == math.inf:
        fold["test_scores"] = math.nan
    return fold


def _space_of(given: Any) -> SearchSpace:
    """The space; if it is a faulty grid of lists, the error is in the host's words."""
    if isinstance(given, Mapping) and not given:
        given = [given]  # to the host, a grid of one candidate: the estimator as it is
    try:
        return as_space(given)
    except (TypeError, ValueError):
        grids = [given] if isinstance(given, Mapping) else given
        if all(isinstance(grid, Mapping) for grid in grids):
            values = [value for grid in grids for value in grid.values()]
            others = (isinstance(v, Dimension) or hasattr(v, "rvs") for v in values)
            scalars = (getattr(v, "shape", None) == () for v in values)  # make it stumble
            if not any(others) and not any(scalars):
                ParameterGrid(grids)
        raise


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
