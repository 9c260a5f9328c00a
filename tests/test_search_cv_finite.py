"""A finite space is covered exactly once, by any strategy, in batches of any size."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.model_selection import ParameterGrid

from fractal_tuner import FractalSearchCV, Integer, SearchSpace

X, Y = load_iris(return_X_y=True)
X, Y = X[::5], Y[::5]


class Flat(ClassifierMixin, BaseEstimator):
    """Scores the same for every value but one."""

    def __init__(self, a=0, b=0, kind=None):
        self.a = a
        self.b = b
        self.kind = kind

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def score(self, X, y):
        return float(self.a == 3)


OVERLAP = [{"a": [1, 2, 3]}, {"a": [2, 3, 4]}, {"a": [3], "b": [0, 1]}, {"b": [0], "a": [3]}]

# A space, and every candidate of it: as in scikit-learn's grids, what is listed twice is two.
SPACES = {
    "lists": (
        {"a": [1, 3, 10], "kind": ["u", None]},
        [{"a": a, "kind": kind} for a in (1, 3, 10) for kind in ("u", None)],
    ),
    "one value": ({"a": [3]}, [{"a": 3}]),
    "repeated values": ({"a": [1, 1, 3, 3, 3]}, [{"a": 1}] * 2 + [{"a": 3}] * 3),
    "integers": ({"a": Integer(0, 6)}, [{"a": a} for a in range(7)]),
    "a union whose members overlap": (OVERLAP, list(ParameterGrid(OVERLAP))),
    "a conditional space": (
        SearchSpace({"kind": ["u", "v"], "b": Integer(1, 3)}, conditions={"b": ("kind", ["v"])}),
        [{"kind": "u"}, *({"kind": "v", "b": b} for b in (1, 2, 3))],
    ),
}


def identity(params):
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


@pytest.mark.parametrize("batch_size", [None, 1, 3, 50])
@pytest.mark.parametrize("strategy", ["zoom", "factorial"])
@pytest.mark.parametrize("name", SPACES)
def test_a_finite_space_is_covered_exactly_once_and_quietly(name, strategy, batch_size):
    space, candidates = SPACES[name]
    options = {"strategy": strategy, "batch_size": batch_size, "points_per_dim": 9, "levels": 1}
    for n_iter in (len(candidates), 100, None):
        search = FractalSearchCV(Flat(), space, cv=2, random_state=0, n_iter=n_iter, **options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search.fit(X, Y)
        assert caught == []
        evaluated = [identity(params) for params in search.cv_results_["params"]]
        assert sorted(evaluated) == sorted(map(identity, candidates))
        end = "space exhausted" if strategy == "zoom" else "grid complete"
        assert search.stop_reason_ == end


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_a_smaller_budget_evaluates_as_many_and_none_twice(batch_size):
    space = {"a": list(range(6)), "b": [0, 1]}
    search = FractalSearchCV(Flat(), space, cv=2, random_state=0, n_iter=7, batch_size=batch_size)
    search.fit(X, Y)
    assert len(set(map(identity, search.cv_results_["params"]))) == len(search.trials_) == 7
    assert search.stop_reason_ == "budget"
