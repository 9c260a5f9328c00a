"""The searches that are compared, each with the options its users have by default.

A search calls ``evaluate(params)``, which returns a score, the larger the better, until that
raises ``BudgetSpentError``. A search may also say which candidate it would recommend by now; for
the others that is the one with the best score.
"""

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from fractal_tuner import FactorialZoom, Integer, SearchSpace, ZoomSearch
from fractal_tuner.dimensions import Dimension


class BudgetSpentError(Exception):
    """No more candidates may be evaluated."""


class Evaluate(Protocol):
    """What a search is given: the objective."""

    def __call__(self, params: Mapping[str, Any]) -> float: ...

    def recommend(self, params: Mapping[str, Any]) -> None: ...


SearchFunction = Callable[[SearchSpace, Evaluate, int, int], None]  # ..., budget, seed


def zoom_search(space: SearchSpace, evaluate: Evaluate, budget: int, seed: int) -> None:
    search = ZoomSearch(space, max_trials=budget, seed=seed)
    while trials := search.ask():
        for trial in trials:
            search.tell(trial.id, evaluate(trial.params))
            evaluate.recommend(search.best_trial.params)


def factorial_zoom(space: SearchSpace, evaluate: Evaluate, budget: int, seed: int) -> None:
    """Three grids if that leaves four points per dimension, else one as large as possible.

    Where not even two points per dimension fit, what fits of that grid.
    """
    sizes = {k: math.prod(len(axis) for axis in grid_axes(space, k)) for k in range(2, 11)}
    zooming = [k for k, size in sizes.items() if k >= 4 and 3 * size <= budget]
    fitting = [k for k, size in sizes.items() if size <= budget]
    points_per_dim = max(zooming or fitting or [2])
    search = FactorialZoom(space, points_per_dim=points_per_dim, levels=20)
    while trials := search.ask():
        for trial in trials:
            search.tell(trial.id, evaluate(trial.params))


class _OnScale:
    """A distribution for scikit-learn: uniform on the search scale of a dimension."""

    def __init__(self, dimension: Dimension) -> None:
        self._dimension = dimension

    def rvs(self, random_state: Any = None) -> Any:
        return self._dimension.value(self._dimension.code(random_state.random_sample()))


def random_search(space: SearchSpace, evaluate: Evaluate, budget: int, seed: int) -> None:
    """scikit-learn's ``RandomizedSearchCV``."""
    from sklearn.model_selection import ParameterSampler

    scales = {p.name: _OnScale(p.dimension) for p in space.parameters}
    for params in ParameterSampler(scales, budget, random_state=seed):
        evaluate(params)


def grid_axes(space: SearchSpace, points: int | Mapping[str | None, int]) -> list[list[Any]]:
    """Values per dimension, ends included; all of a list's, the middle if one point is wanted."""
    axes = []
    for p in space.parameters:
        n = points if isinstance(points, int) else points[p.name]
        if p.dimension.is_categorical:
            codes: list[Any] = [p.dimension.code_at(i) for i in range(p.dimension.n_values or 0)]
        else:
            units = np.linspace(0, 1, n) if n > 1 else [0.5]
            codes = list(dict.fromkeys(p.dimension.code(float(u)) for u in units))
        axes.append([p.dimension.value(code) for code in codes])
    return axes


def grid_search(space: SearchSpace, evaluate: Evaluate, budget: int, seed: int) -> None:
    """scikit-learn's ``GridSearchCV``, with the largest grid that the budget allows.

    Dimensions have as many points as one another, or one more. The order is random, so that the
    progress is not that of a sweep from edge to edge.
    """
    from sklearn.model_selection import ParameterGrid

    points = {p.name: 1 for p in space.parameters}
    axes = grid_axes(space, points)
    growing = [p.name for p in space.parameters if not p.dimension.is_categorical]
    while growing:
        name = min(growing, key=lambda name: points[name])
        more = points | {name: points[name] + 1}
        larger = grid_axes(space, more)
        if math.prod(map(len, larger)) > budget or points[name] == budget:
            growing.remove(name)
        else:
            points, axes = more, larger
    grid = ParameterGrid(dict(zip(points, axes, strict=True)))
    for i in np.random.default_rng(seed).permutation(len(grid)):
        evaluate(grid[int(i)])


def direct(space: SearchSpace, evaluate: Evaluate, budget: int, seed: int) -> None:
    """``scipy.optimize.direct``, which would finish its iteration before it looks at ``maxfun``."""
    from scipy.optimize import Bounds
    from scipy.optimize import direct as scipy_direct

    def loss(u: np.ndarray) -> float:
        return -evaluate(space.params(space.key_from_unit(u)))

    cube = Bounds(np.zeros(len(space)), np.ones(len(space)))
    scipy_direct(loss, cube, maxfun=budget, maxiter=budget, vol_tol=0, len_tol=0)


def distributions(space: SearchSpace) -> dict[str, Any]:
    """The dimensions in Optuna's words."""
    from optuna import distributions as optuna

    found: dict[str, Any] = {}
    for p in space.parameters:
        dimension: Any = p.dimension
        if dimension.is_categorical:
            found[str(p.name)] = optuna.CategoricalDistribution(dimension.choices)
        else:
            is_integer = isinstance(dimension, Integer)
            kind = optuna.IntDistribution if is_integer else optuna.FloatDistribution
            found[str(p.name)] = kind(dimension.low, dimension.high, log=dimension.log)
    return found


def study(sampler: str, seed: int) -> Any:
    """A silent Optuna study that maximises."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options = {"warn_independent_sampling": False} if sampler == "CmaEsSampler" else {}
    chosen = getattr(optuna.samplers, sampler)(seed=seed, **options)
    return optuna.create_study(direction="maximize", sampler=chosen)


def optuna_search(sampler: str) -> SearchFunction:
    def search(space: SearchSpace, evaluate: Evaluate, budget: int, seed: int) -> None:
        ours, dimensions = study(sampler, seed), distributions(space)
        while True:
            trial = ours.ask(dimensions)
            ours.tell(trial, evaluate(trial.params))

    return search


SEARCHES: dict[str, SearchFunction] = {
    "ZoomSearch": zoom_search,
    "FactorialZoom": factorial_zoom,
    "random": random_search,
    "grid": grid_search,
    "DIRECT": direct,
}
if find_spec("optuna"):
    SEARCHES["Optuna TPE"] = optuna_search("TPESampler")
    if find_spec("cmaes"):
        SEARCHES["Optuna CMA-ES"] = optuna_search("CmaEsSampler")
