"""The ends of the domain that the best has reached, and the slopes there."""

import math

import numpy as np
import pytest

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    Integer,
    Ordinal,
    Real,
    SearchSpace,
    TrialLog,
    Window,
    ZoomSearch,
)
from fractal_tuner.analysis.edges import domain_edges


def evaluated(space, objective, n=40, seed=0, **conditions):
    space = space if isinstance(space, SearchSpace) else SearchSpace(space)
    log = TrialLog(space)
    for u in np.random.default_rng(seed).random((n, len(space))):
        trial = log.add(space.key_from_unit(u), Window.whole(len(space)))
        log.finish(trial.id, objective(**trial.params))
    return log


def test_the_ends_that_the_best_has_reached_and_the_slopes_there():
    space = {"c": Real(1e-3, 1e3, log=True), "depth": Integer(1, 20), "p": Ordinal([1, 2, 5])}
    log = evaluated(space, lambda c, depth, p: math.log10(c) - 0.05 * (depth - 10) ** 2 - 3 * p)
    found = domain_edges(log)
    assert {(edge.name, edge.side) for edge in found.edges} >= {("p", "low")}
    assert "depth" not in {edge.name for edge in found.edges}
    edge = next(edge for edge in found.edges if edge.name == "p")
    assert (edge.value, edge.bound, edge.is_on, edge.points_outward) == (1, 1, True, True)


def test_next_to_an_end_is_near_it_or_one_value_away():
    space = SearchSpace({"x": Real(0, 100), "n": Integer(0, 9)})
    log = TrialLog(space)
    for x, n, score in [(50, 5, 0.0), (96, 1, 1.0)]:
        trial = log.add(space.key({"x": x, "n": n}), Window.whole(2))
        log.finish(trial.id, score)
    edges = domain_edges(log).edges
    assert [(edge.name, edge.side, edge.is_on) for edge in edges] == [
        ("x", "high", False),
        ("n", "low", False),
    ]
    assert all("not enough data" in edge.slope.reason for edge in edges)
    assert edges[0].points_outward is None


def test_categories_pairs_and_inactive_dimensions_have_no_ends():
    space = SearchSpace(
        {"kind": Categorical(["a", "b"]), "flag": Ordinal([0, 1]), "x": Real(0, 1)},
        conditions={"x": ("kind", ("b",))},
    )
    log = evaluated(space, lambda kind, flag, x=0.0: float(kind == "a") + flag - x)
    assert domain_edges(log).edges == ()


def test_a_field_that_predicts_nothing_has_no_slope():
    # Waves of three rows: the field that is fitted to a sample takes them for noise, and had a
    # slope of -0.03 (-0.06 to 0.001) where scores rise by 0.05.
    space = {"a": list(np.linspace(0.001, 0.1, 50)), "b": list(np.linspace(10, 100, 50))}
    search = FactorialZoom(space, levels=1, max_trials=2500)
    search.run(lambda a, b: np.sin(10 * a) * np.cos(b) * np.exp(-(a**2) - (b / 100) ** 2))
    (edge,) = domain_edges(search.trials).edges
    assert (edge.name, edge.side, edge.is_on) == ("a", "high", True)
    assert "predicts" in edge.slope.reason
    assert edge.points_outward is None


def test_edges_of_a_search_without_a_score():
    log = TrialLog(SearchSpace({"x": Real(0, 1)}))
    assert domain_edges(log).reason == "no trial is complete"


def test_equal_scores_have_no_best_and_a_list_has_no_domain():
    log = evaluated({"x": Real(0, 1)}, lambda x: 1.0)
    assert domain_edges(log).reason == "the scores do not differ"
    with pytest.raises(TypeError, match="trials must be a TrialLog"):
        domain_edges([1])


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_an_optimum_just_inside_does_not_point_outward_and_one_beyond_does(noise):
    # In 12 seeds each, no slope of an optimum at 0.97 pointed outward; of one at 1.3 all did
    # without noise, and 9 with noise 0.02 of the range.
    outward = {0.97: 0, 1.3: 0}
    for where in outward:
        for seed in range(6):
            rng = np.random.default_rng(seed)
            search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=60, seed=seed)
            search.run(
                lambda x, y, c=where, rng=rng: (
                    -((x - c) ** 2) - (y - 0.4) ** 2 + noise * rng.standard_normal()
                )
            )
            found = domain_edges(search.trials).edges
            outward[where] += any(e.name == "x" and bool(e.points_outward) for e in found)
    assert outward[0.97] == 0
    assert outward[1.3] >= (6 if noise == 0 else 3)
