"""Descriptions tell apart what gives other scores, and agree where it does not."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from fractal_tuner.fingerprint import described


def closing_over(value):
    return lambda estimator, X, y: value


PAIRS = [
    (make_scorer(f1_score, average="macro"), make_scorer(accuracy_score)),
    (make_scorer(f1_score, average="macro"), make_scorer(f1_score, average="micro")),
    (closing_over(0.1), closing_over(0.9)),
    (lambda x: x + 1, lambda x: x + 2),
    (lambda x, n=1: x, lambda x, n=2: x),
    (functools.partial(np.multiply, 1), functools.partial(np.multiply, 0)),
    (np.random.RandomState(0), np.random.RandomState(1)),
    (SVC(gamma=0.1), SVC(gamma=1e4)),
    (Pipeline([("c", SVC(C=1))]), Pipeline([("c", SVC(C=2))])),
    (FunctionTransformer(closing_over(1)), FunctionTransformer(closing_over(2))),
    ({0: 1}, {0: 50}),
    ({0: 1}, {"0": 1}),
    (np.arange(3), np.arange(4)),
    (SVC, LogisticRegression),
    (np.add, np.multiply),
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=range(len(PAIRS)))
def test_what_differs_is_told_apart(one, other):
    assert described(one) != described(other)
    assert described(one) == described(one)


@pytest.mark.parametrize("value", [SVC(gamma=0.1), Pipeline([("c", SVC())])])
def test_a_clone_is_the_same(value):
    assert described(clone(value)) == described(value)


def test_what_cannot_be_pickled_is_its_type():
    assert described(iter([1])) is not None
    with Path(__file__).open() as file:
        assert described(file) == {"type": "_io.TextIOWrapper"}


def test_another_process_describes_alike():
    code = (
        "import json, functools, numpy as np; from sklearn.svm import SVC;"
        "from sklearn.metrics import make_scorer, f1_score;"
        "from fractal_tuner.fingerprint import described as d;"
        "print(json.dumps([d(v) for v in (SVC(), make_scorer(f1_score, average='macro'),"
        "lambda x: x, np.random.RandomState(3), {'b': 1, 'a': (2, None)},"
        "functools.partial(np.add, 1))]))"
    )
    root = Path(__file__).parents[1]
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
        ).stdout
        for _ in range(2)
    )
    assert first == second
    assert "f1_score" in first
