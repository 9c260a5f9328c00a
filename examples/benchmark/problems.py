"""What the searches are compared on: functions with a known best, and models to be tuned.

A problem is drawn from a seed, so that no search profits from where its best lies: optima of
functions are moved to a random place, surfaces are random windows of random surfaces, models get
other folds.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fractal_tuner import Integer, Real, SearchSpace
from fractal_tuner.fractals import (
    fractional_brownian_surface,
    rippled_bump,
    takagi_surface,
    weierstrass_mandelbrot_surface,
)

Params = dict[str, Any]
Rng = np.random.Generator

NOISE = 0.1  # standard deviation, as a share of (best - typical)
SIDE = 257  # nodes of a surface


@dataclass(frozen=True)
class Problem:
    """A score to maximise.

    Attributes
    ----------
    name, family : str
    space : SearchSpace
    score : callable
        Takes a candidate's parameters; without noise.
    best : float or None
        The highest score there is; None where nobody knows it.
    is_noisy : bool
        Whether searches are told the score with noise.
    n_reference : int
        How many random candidates say what a typical score is.
    """

    name: str
    family: str
    space: SearchSpace
    score: Callable[[Params], float]
    best: float | None
    is_noisy: bool = False
    n_reference: int = 1000


def problem(name: str, seed: int) -> Problem:
    """One of ``PROBLEMS``, drawn from a seed."""
    make = PROBLEMS[name]
    drawn = make(np.random.default_rng([seed, *name.encode()]))
    return replace(drawn, name=name)


def unit_space(d: int) -> SearchSpace:
    return SearchSpace({f"x{i}": Real(0.0, 1.0) for i in range(d)})


# --- analytic functions -----------------------------------------------------------------------


def sphere(z: np.ndarray) -> float:
    return float(z @ z)


def ellipsoid(z: np.ndarray) -> float:
    return float(1000.0 ** np.linspace(0, 1, len(z)) @ z**2)


def rastrigin(z: np.ndarray) -> float:
    return float(z @ z + 10 * np.sum(1 - np.cos(2 * math.pi * z)))


def rosenbrock(z: np.ndarray) -> float:
    x = z + 1
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def branin(z: np.ndarray) -> float:
    """Zero at its minimum near (pi, 2.275), which is the origin here."""
    x, y = z[0] + math.pi, z[1] + 2.275
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * (1 + math.cos(x)))


def analytic(
    function: Callable[[np.ndarray], float], d: int, width: float, rotated: bool = False
) -> Callable[[Rng], Problem]:
    """``-function`` over a cube of some width, with its best anywhere in the cube."""

    def make(rng: Rng) -> Problem:
        best = rng.random(d)
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0] if rotated else np.eye(d)

        def score(params: Params) -> float:
            return -function(turn @ (np.array(list(params.values())) - best) * width)

        return Problem("", "analytic", unit_space(d), score, 0.0)

    return make


# --- surfaces ---------------------------------------------------------------------------------


def window(heights: np.ndarray, rng: Rng) -> np.ndarray:
    """Three quarters of a side, at a random place, perhaps seen in a mirror; heights 0 to 1."""
    side = 3 * len(heights) // 4
    i, j = rng.integers(0, len(heights) - side + 1, 2)
    part = heights[i : i + side, j : j + side]
    part = np.flip(part, tuple(axis for axis in (0, 1) if rng.random() < 0.5))
    return np.asarray((part - part.min()) / np.ptp(part))


def interpolated(nodes: np.ndarray, u: np.ndarray) -> float:
    """Bilinear between the nodes of the unit square: the highest node is the highest value."""
    at = u * (len(nodes) - 1)
    i, j = np.minimum(at.astype(int), len(nodes) - 2)
    s, t = at - [i, j]
    low = (1 - t) * nodes[i, j] + t * nodes[i, j + 1]
    high = (1 - t) * nodes[i + 1, j] + t * nodes[i + 1, j + 1]
    return float((1 - s) * low + s * high)


def surface(
    heights: Callable[[Rng], np.ndarray], bowl: float = 0.0, copies: int = 1
) -> Callable[[Rng], Problem]:
    """The sum of independent surfaces of two parameters each, with ``bowl`` times a paraboloid."""

    def one(rng: Rng) -> np.ndarray:
        nodes = window(heights(rng), rng)
        x = y = np.linspace(0, 1, len(nodes))
        top = rng.random(2)
        return np.asarray(nodes - bowl * ((x[:, None] - top[0]) ** 2 + (y - top[1]) ** 2))

    def make(rng: Rng) -> Problem:
        parts = [one(rng) for _ in range(copies)]

        def score(params: Params) -> float:
            u = np.array(list(params.values()))
            return sum(interpolated(part, u[2 * k : 2 * k + 2]) for k, part in enumerate(parts))

        best = sum(float(part.max()) for part in parts)
        return Problem("", "fractal", unit_space(2 * copies), score, best)

    return make


def brownian(hurst: float) -> Callable[[Rng], np.ndarray]:
    return lambda rng: fractional_brownian_surface(hurst, SIDE, rng).values


def noisy(make: Callable[[Rng], Problem]) -> Callable[[Rng], Problem]:
    return lambda rng: replace(make(rng), family="noisy", is_noisy=True)


# --- models -----------------------------------------------------------------------------------


def tuning(
    data: str,
    model: Callable[[], Any],
    space: dict[str, Any],
    scoring: str,
    n_samples: int | None = None,
) -> Callable[[Rng], Problem]:
    """A scikit-learn model of standardised data, cross-validated on three folds."""

    def make(rng: Rng) -> Problem:
        from sklearn import datasets
        from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        X, y = getattr(datasets, f"load_{data}")(return_X_y=True)
        seed = int(rng.integers(2**31))
        if n_samples is not None:
            rows = rng.permutation(len(X))[:n_samples]
            X, y = X[rows], y[rows]
        kind = KFold if data == "diabetes" else StratifiedKFold
        folds = kind(3, shuffle=True, random_state=seed)

        def score(params: Params) -> float:
            estimator = make_pipeline(StandardScaler(), model().set_params(**params))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # networks that have not converged
                scores = cross_val_score(
                    estimator, X, y, cv=folds, scoring=scoring, error_score="raise"
                )
            return float(scores.mean())

        return Problem("", "tuning", SearchSpace(space), score, None, n_reference=50)

    return make


def svc() -> Any:
    from sklearn.svm import SVC

    return SVC()


def svr() -> Any:
    from sklearn.svm import SVR

    return SVR()


def boosting() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(early_stopping=False, random_state=0)


def network() -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(max_iter=40, random_state=0)


C_GAMMA = {"C": Real(1e-2, 1e3, log=True), "gamma": Real(1e-5, 1.0, log=True)}

PROBLEMS: dict[str, Callable[[Rng], Problem]] = {
    "Branin, d=2": analytic(branin, 2, 15.0),
    "Rastrigin, d=2": analytic(rastrigin, 2, 10.24),
    "Rosenbrock, d=3": analytic(rosenbrock, 3, 4.0),
    "rotated ellipsoid, d=4": analytic(ellipsoid, 4, 10.0, rotated=True),
    "Rastrigin, d=5": analytic(rastrigin, 5, 10.24),
    "sphere, d=8": analytic(sphere, 8, 10.0),
    "fractional Brownian, H=0.3": surface(brownian(0.3)),
    "fractional Brownian, H=0.8": surface(brownian(0.8)),
    "fractional Brownian on a bowl, H=0.5": surface(brownian(0.5), bowl=2.0),
    "two fractional Brownian, H=0.5, d=4": surface(brownian(0.5), copies=2),
    "Weierstrass-Mandelbrot on a bowl, H=0.5": surface(
        lambda rng: weierstrass_mandelbrot_surface(0.5, SIDE, rng).values, bowl=2.0
    ),
    "Takagi, H=0.7": surface(lambda rng: takagi_surface(0.7, SIDE - 1).values),
    "rippled bump": surface(lambda rng: rippled_bump(SIDE).values),
    "Branin with noise": noisy(analytic(branin, 2, 15.0)),
    "rotated ellipsoid with noise, d=4": noisy(analytic(ellipsoid, 4, 10.0, rotated=True)),
    "fractional Brownian on a bowl with noise": noisy(surface(brownian(0.5), bowl=2.0)),
    "SVC, breast cancer": tuning("breast_cancer", svc, C_GAMMA, "accuracy"),
    "SVC with kernels, digits": tuning(
        "digits",
        svc,
        {**C_GAMMA, "coef0": Real(0.0, 2.0), "kernel": ["rbf", "poly", "sigmoid"]},
        "accuracy",
        n_samples=400,
    ),
    "SVR, diabetes": tuning(
        "diabetes", svr, {**C_GAMMA, "epsilon": Real(1e-2, 1e2, log=True)}, "r2"
    ),
    "boosting, diabetes": tuning(
        "diabetes",
        boosting,
        {
            "learning_rate": Real(1e-2, 1.0, log=True),
            "max_iter": Integer(5, 60, log=True),
            "max_leaf_nodes": Integer(2, 32, log=True),
            "min_samples_leaf": Integer(1, 60, log=True),
            "l2_regularization": Real(1e-3, 1e3, log=True),
        },
        "r2",
    ),
    "network, wine": tuning(
        "wine",
        network,
        {
            "hidden_layer_sizes": Integer(2, 64, log=True),
            "learning_rate_init": Real(1e-4, 1e-1, log=True),
            "alpha": Real(1e-5, 1e1, log=True),
            "activation": ["relu", "tanh", "logistic"],
        },
        "neg_log_loss",
    ),
}

# One or two of each family, all quick.
QUICK = [
    "Branin, d=2",
    "sphere, d=8",
    "fractional Brownian on a bowl, H=0.5",
    "Branin with noise",
    "SVC, breast cancer",
]
