"""The zooming engine: lattice, surrogate, and what it does on landscapes of known kind."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import chisquare

from fractal_tuner import Categorical, Integer, Ordinal, Real, SearchSpace, ZoomSearch
from fractal_tuner.field import Kriging, RandomField
from fractal_tuner.fractals import fractional_brownian_surface, rippled_bump
from fractal_tuner.search.heads import basin_heads
from fractal_tuner.search.lattice import DEPTH, Lattice
from fractal_tuner.search.neighbourhood import Neighbourhood
from fractal_tuner.search.surrogate import CAPACITY, Surrogate

MIXED = SearchSpace(
    {
        "kernel": Categorical(["linear", "rbf", "poly"]),
        "C": Real(1e-3, 1e3, log=True),
        "degree": Integer(2, 5),
        "layers": Ordinal([1, 2, 4, 8]),
        "seed": Integer(1, 10**9, log=True),
    },
    conditions={"degree": ("kernel", ("poly",)), "layers": ("kernel", ("rbf", "poly"))},
)


def sphere(**params):
    return -sum((value - 0.3) ** 2 for value in params.values())


def rippled(**params):
    return sphere(**params) + 0.05 * sum(math.sin(60 * value) for value in params.values())


def ridged(x0, x1):
    return sphere(x0=x0, x1=x1) - 30 * (x1 - x0**2) ** 2


def box(d):
    return {f"x{i}": Real(0, 1) for i in range(d)}


def test_candidates_lie_on_the_lattice_and_settling_them_again_changes_nothing():
    lattice, rng = Lattice(MIXED), np.random.default_rng(0)
    near = lattice.zoomed(lattice.scattered(300, rng), rng.integers(1, DEPTH + 1, 300), rng)
    for u in (lattice.start(20, rng), lattice.scattered(300, rng), near):
        assert ((u >= 0) & (u <= 1)).all()
        np.testing.assert_array_equal(lattice.settle(u), u)
        for row in u[:50]:  # the way to the user's values and back
            np.testing.assert_allclose(lattice.place(MIXED.key_from_unit(row)), row, atol=1e-12)


def test_a_zoomed_candidate_moves_and_stays_in_its_window():
    lattice, rng = Lattice(SearchSpace(box(5))), np.random.default_rng(1)
    centers, levels = lattice.scattered(500, rng), rng.integers(1, DEPTH + 1, 500)
    u = lattice.zoomed(centers, levels, rng)
    reach = np.abs(u - centers).max(axis=1)
    assert (reach <= 0.5**levels + 1e-12).all()
    inner = ((centers > 0) & (centers < 1)).all(axis=1)  # at a side, a move may be clipped away
    assert (reach[inner] > 0).all()


def test_a_finite_value_moves_by_at_least_one():
    lattice, rng = Lattice(SearchSpace({"n": Integer(1, 1000)})), np.random.default_rng(2)
    centers = np.full((200, 1), lattice.settle(np.array([[0.5]]))[0])
    assert (lattice.zoomed(centers, np.full(200, DEPTH), rng) != centers).all()


def test_the_response_is_zero_at_the_best_one_at_the_median_and_tames_the_rest():
    surrogate = Surrogate(1, 3)
    for i, loss in enumerate([3.0, 1.0, 2.0, 1e30, np.nan]):
        surrogate.tell(np.array([i / 5]), loss)
    z = surrogate.response()
    assert z[1] == 0
    assert np.nanmedian(surrogate.losses) == 2.5
    assert z[2] == pytest.approx(1 / 1.5)
    assert 2 < z[3] < 200
    assert z[2] < z[4] < z[3]


@pytest.mark.parametrize(
    "losses", [[0.0, 5e-324, 1.0], [-1e300, 0.0, 1e300], [0.0, 1e-310, 1e300], [1.0, 2.0, 3.0]]
)
def test_no_loss_is_too_large_to_be_scaled(losses):
    surrogate = Surrogate(1, 2)
    for i, loss in enumerate(losses):
        surrogate.tell(np.array([i / 5]), loss)
    huge = np.finfo(float).max
    with np.errstate(all="raise", under="ignore"):
        z = surrogate.scaled(np.array([-huge, *losses, huge, np.nan]))
    assert np.isfinite(z[:-1]).all()
    assert (np.diff(z[:-1]) >= 0).all()
    assert z[1] == 0.0
    assert z[0] >= -2.0 - 1e-12
    assert np.isnan(z[-1])


def test_the_smallest_differences_of_losses_are_differences():
    surrogate = Surrogate(1, 3)
    for i, loss in enumerate([5e-324, 5e-324, 5e-324, 1e-323]):
        surrogate.tell(np.array([i / 4]), loss)
    assert surrogate.response().tolist() == [0.0, 0.0, 0.0, 1.0]


def test_the_field_is_never_much_larger_than_its_capacity():
    surrogate, rng = Surrogate(2, 5), np.random.default_rng(0)
    for x in rng.random((400, 2)):
        surrogate.tell(x, float(((x - 0.3) ** 2).sum()))
        assert len(surrogate.rows) < CAPACITY + 40


def test_the_surrogate_keeps_the_best_trials_when_it_cannot_keep_all():
    surrogate, rng = Surrogate(2, 5), np.random.default_rng(3)
    losses = rng.random(3 * CAPACITY)
    for loss in losses:
        surrogate.tell(rng.random(2), loss)
    assert len(surrogate.rows) < 2 * CAPACITY
    assert set(np.argsort(losses)[:20]) <= set(surrogate.rows)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_smooth_landscape_is_zoomed_into(d):
    search = ZoomSearch(box(d), max_trials=30 + 15 * d, seed=0)
    assert search.run(sphere).score > -1e-3
    assert max(trial.level for trial in search.trials) >= 4


@pytest.mark.parametrize(
    "space",
    [
        box(3),
        {"x0": Real(-5, 5), "x1": Real(1e-4, 1, log=True)},
        {"x0": Integer(1, 20), "x1": Integer(1, 20), "x2": Real(0, 1)},
        {"x0": Integer(0, 1999), "x1": Real(0, 1)},
        MIXED,
    ],
    ids=["plain", "scaled", "integers", "many integers", "mixed"],
)
def test_a_trial_lies_in_the_window_that_proposed_it(space):
    search = ZoomSearch(space, max_trials=60, seed=1)
    search.run(lambda **params: sphere(**{k: v for k, v in params.items() if k != "kernel"}))
    for trial in search.trials:
        u = search.space.unit(trial.key)
        active = ~np.isnan(u)
        assert (u >= np.array(trial.window.lower) - 1e-6)[active].all()
        assert (u <= np.array(trial.window.upper) + 1e-6)[active].all()
        assert (trial.level == 0) == (trial.window.center is None)
    assert max(trial.level for trial in search.trials) > 2


def test_scores_on_another_scale_change_nothing():
    first, second = (ZoomSearch(box(2), max_trials=40, seed=3) for _ in range(2))
    first.run(sphere)
    second.run(lambda **params: 1024.0 * sphere(**params))  # a power of 2: exact in floating point
    assert [t.key for t in first.trials] == [t.key for t in second.trials]


@pytest.mark.parametrize(
    "function",
    [
        lambda x0, x1: 0.0,
        lambda x0, x1: float("nan"),
        lambda x0, x1: 1e308 if x0 > 0.5 else -1e308,
        lambda x0, x1: 1 / 0 if x0 > 0.5 else x1,
        lambda x0, x1: float(x0 > 0.5),
        lambda x0, x1: -(10.0 ** (300 * x0)),
    ],
    ids=["constant", "all nan", "huge", "half fails", "two-valued", "300 decades"],
)
def test_no_landscape_breaks_the_search(function):
    search = ZoomSearch(box(2), max_trials=50, seed=0)
    while batch := search.ask():
        try:
            search.tell(batch[0].id, function(**batch[0].params))
        except ZeroDivisionError:
            search.tell(batch[0].id)
    if any(trial.status == "complete" for trial in search.trials):
        assert search.best_trial.score == max(t.score for t in search.trials if t.score == t.score)
    else:
        with pytest.raises(RuntimeError, match="all 50 trials failed"):
            search.best_trial
    assert len({trial.key for trial in search.trials}) >= 49  # one repeat may tell noise
    assert search.stop_reason == "budget"


def test_a_mixed_conditional_space_finds_its_branch():
    def score(kernel, C, seed, degree=0, layers=0):  # noqa: N803
        return -abs(np.log10(C) - 1) - (kernel != "poly") - abs(degree - 4) - abs(layers - 4) / 4

    best = ZoomSearch(MIXED, max_trials=120, seed=0).run(score)
    assert best.params["kernel"] == "poly"
    assert best.params["degree"] == 4
    assert best.params["layers"] == 4
    assert best.score > -0.05


def test_a_space_with_categories_is_zoomed_into_after_a_start_that_failed():
    search = ZoomSearch(box(2) | {"kind": ["a", "b"]}, max_trials=60, seed=0)
    for i in range(60):
        (trial,) = search.ask()
        x = {name: trial.params[name] for name in ("x0", "x1")}
        search.tell(trial.id, None if i < 15 else sphere(**x))
    assert sum(trial.level > 0 for trial in search.trials) > 20


def test_the_first_success_among_failures_is_zoomed_into():
    n_successes = []
    for seed in range(9):
        center = np.random.default_rng(seed).uniform(0.15, 0.85, 2)
        search = ZoomSearch(box(2), max_trials=60, seed=seed)
        for _ in range(60):
            (trial,) = search.ask()
            away = math.dist(trial.params.values(), center)
            search.tell(trial.id, -away if away < 0.12 else None)
        n_successes.append(sum(trial.status == "complete" for trial in search.trials))
    assert np.median(n_successes) > 20  # a twentieth of the places are successes


def test_a_success_after_a_failure_at_the_same_place_counts():
    search = ZoomSearch(box(2), max_trials=20, seed=0, noise=True)
    for score in (None, 1.0):
        search.tell(search.add({"x0": 0.5, "x1": 0.5}).id, score)
    for _ in range(10):
        search.tell(search.ask()[0].id, 0.0)
    assert search.best_trial.status == "complete"
    assert search.best_trial.score == 1.0


def test_a_continuum_without_another_float_is_exhausted():
    search = ZoomSearch({"x": Real(1.0, np.nextafter(np.nextafter(1.0, 2), 2))}, max_trials=50)
    search.run(lambda x: x)
    assert len(search.trials) == 3
    assert search.stop_reason == "space exhausted"


def test_every_third_ask_zooms_into_the_widest_window_with_few_trials():
    zoomed = []
    for seed in range(5):
        search = ZoomSearch(box(2), max_trials=60, seed=seed, noise=False)
        while trials := search.ask():
            told = search.trials.told
            if len(told) >= 15 and len(told) % 3 == 1:
                best = max(told, key=lambda trial: trial.score)
                places = np.array([list(trial.params.values()) for trial in told])
                reach = np.abs(places - list(best.params.values())).max(axis=1)
                scores = np.array([trial.score for trial in told])
                unit = best.score - np.median(scores)
                levels = [s for s in range(1, 11) if (reach <= 0.5**s).sum() < 4]
                if levels and np.ptp(scores[reach <= 2 * 0.5 ** levels[0]]) > 0.01 * unit:
                    window = trials[0].window
                    zoomed.append((window.level, window.center) == (levels[0], best.id))
            search.tell(trials[0].id, ridged(**trials[0].params))
    assert len(zoomed) > 20
    assert np.mean(zoomed) > 1 / 3  # by chance a twentieth


def test_where_there_is_noise_every_third_ask_is_where_scores_may_well_be_best():
    away = {turn: [] for turn in range(3)}
    rng = np.random.default_rng(0)
    for seed in range(20):
        search = ZoomSearch(box(2), max_trials=60, seed=seed, noise=True)
        while trials := search.ask():
            x = trials[0].params
            if len(search.trials.told) >= 15:
                away[len(search.trials.told) % 3].append(math.dist(x.values(), (0.3, 0.3)))
            search.tell(trials[0].id, sphere(**x) + rng.normal(0, 0.05))
    levels, bound, one = (np.median(found) for found in away.values())
    assert bound < 0.75 * min(levels, one)


@pytest.mark.parametrize("landscape", [sphere, rippled])
@pytest.mark.parametrize("n_running", [0, 3])
def test_levels_open_as_windows_fill(landscape, n_running):
    deepest = 0
    for seed in range(5):
        search = ZoomSearch(box(2), max_trials=80, seed=seed, noise=False)
        running = search.ask(n_running) if n_running else []
        while trials := search.ask():
            window, places = trials[0].window, [t.params for t in [*search.trials][:-1]]
            if window.level > 2 and trials[0].id % 6 == 2:  # all levels
                center = search.trials[window.center].params
                reach = [max(abs(p[name] - center[name]) for name in p) for p in places]
                assert sum(r <= 4 * 0.5**window.level for r in reach) >= 4
            deepest = max(deepest, window.level)
            running.append(trials[0])
            done = running.pop(0)
            search.tell(done.id, landscape(**done.params))
    assert deepest > 6


def test_the_deepest_levels_open_when_there_are_many_trials():
    search = ZoomSearch(box(2), max_trials=600, seed=0, noise=False)
    search.run(sphere)
    levels = np.array([trial.window.level for trial in search.trials])
    parts = np.split(levels, [238, 283, 337, 400])  # 200 times two to quarters, halves, ...
    assert [part.max() for part in parts] == [10, 11, 12, 13, 14]


def trials_after(places, scores):
    """What searches of 100 seeds ask next that know some trials, shapes (n, 2) and (n,)."""
    for seed in range(100):
        search = ZoomSearch(box(2), max_trials=len(places) + 1, seed=seed, noise=False)
        for (x0, x1), score in zip(places.tolist(), scores.tolist(), strict=True):
            search.tell(search.add({"x0": x0, "x1": x1}).id, score)
        yield search.ask()[0]


def windows_after(places, scores):
    return (trial.window for trial in trials_after(places, scores))


@pytest.mark.parametrize("n", [42, 43])  # one level, next level
def test_where_scores_are_rough_open_levels_are_looked_at_in_windows_that_do_not_overlap(n):
    surface = fractional_brownian_surface(0.2, 129, rng=3).values
    side = np.linspace(0, 1, len(surface))
    rough = RegularGridInterpolator((side, side), surface)
    rng = np.random.default_rng(0)
    places = rng.random((n, 2))
    scores = rough(places)
    best = np.argmax(scores)
    far = np.abs(places - places[best]).max(axis=1).argmax()
    scores[far] = scores[best]
    for head in (best, far):  # small windows are open around both
        around = rng.choice(np.setdiff1d(np.arange(n), [best, far]), 6, replace=False)
        places[around] = np.clip(places[head] + rng.uniform(-0.01, 0.01, (6, 2)), 0, 1)
        scores[around] = scores[head] - rng.uniform(0.2, 0.4, 6)
    windows = list(windows_after(places, scores))
    n_asks = np.bincount([window.level for window in windows], minlength=DEPTH + 1)
    reach = np.sort(np.abs(places - places[best]).max(axis=1))
    n_open = next(s for s in range(1, 11) if reach[3] > 0.5**s) + 1
    assert 4 < n_open < DEPTH
    assert (n_asks > 0).tolist() == [0 < level <= n_open for level in range(DEPTH + 1)]
    by_level = {w.level: sorted({v.center for v in windows if v.level == w.level}) for w in windows}
    assert len({window.center for window in windows}) > 1
    best_third = np.argsort(scores)[-(n // 3) :]
    for level, centers in by_level.items():
        assert set(centers) <= set(best_third)
        apart = [np.abs(places[i] - places[j]).max() for i in centers for j in centers if i < j]
        assert min(apart, default=math.inf) > 2 * 0.5**level


def test_running_trials_are_not_zoomed_into_before_their_score_is_known():
    places = np.random.default_rng(0).random((40, 2))
    search = ZoomSearch(box(2), max_trials=80, seed=0, noise=False)
    for x0, x1 in places.tolist():
        search.tell(search.add({"x0": x0, "x1": x1}).id, rippled(x0=x0, x1=x1))
    centers = [trial.window.center for trial in search.ask(40)]
    assert max(center for center in centers if center is not None) < 40
    assert len({trial.level for trial in search.trials.pending}) > 5


def test_all_levels_compete_in_their_turn_and_one_is_drawn_in_its_own():
    counts = []
    for n in (44, 42):  # all levels, one level
        places = np.random.default_rng(0).random((n, 2))
        windows = windows_after(places, -((places - 0.3) ** 2).sum(axis=1))
        counts.append(np.bincount([window.level for window in windows], minlength=DEPTH + 1))
    competing, drawn = counts
    assert competing[0] > 10
    assert drawn[0] == 0
    n_open = np.flatnonzero(drawn)[-1]
    assert chisquare(drawn[1 : n_open + 1]).pvalue > 0.01
    assert chisquare(competing[: n_open + 1]).pvalue < 0.01


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_next_level_is_that_of_the_widest_window_with_few_trials(d):
    search, few = ZoomSearch(box(d), max_trials=1), 3 + d / 2
    rng = np.random.default_rng(d)
    for n in (1, 3, 4, 5, 20):
        reach = np.sort(0.5 ** rng.integers(0, 14, (200, n)) * rng.choice([1.0, 0.7], (200, n)))
        reach[:, 0] = 0.0
        n_inside = (reach[:, :, None] <= 0.5 ** np.arange(1, DEPTH + 1)).sum(axis=1)
        expected = [next((k + 1 for k in range(DEPTH) if m[k] < few), DEPTH + 1) for m in n_inside]
        assert search._next_levels(reach).tolist() == expected


@pytest.mark.parametrize("landscape", [sphere, rippled])
def test_the_lowest_bound_is_asked_for_where_there_is_noise(landscape):
    search, rng = ZoomSearch(box(2), max_trials=60, seed=0, noise=True), np.random.default_rng(0)
    for n in range(60):
        if n >= 12 and n % 3 == 1:
            view = search._view(search._surrogate.belief)
            draws = np.random.default_rng([search.seed, n, 0])
            u, *_ = search._candidates(view, draws)
            mean, sd = view.belief.predict(search._lattice.features(u))
            keys = [search.space.key_from_unit(u[i]) for i in np.argsort(mean - sd)]
            known = {trial.key for trial in search.trials}
            expected = next(key for key in keys if key not in known)
        (trial,) = search.ask()
        if n >= 12 and n % 3 == 1:
            assert trial.key == expected
        search.tell(trial.id, landscape(**trial.params) + rng.normal(0, 0.05))


def test_asks_take_turns_from_the_tenth_trial_of_two_parameters_on():
    for n in (9, 12):  # one level, by their numbers
        places = np.random.default_rng(0).random((n, 2))
        scores = np.array([rippled(x0=x0, x1=x1) for x0, x1 in places])
        n_global = sum(window.level == 0 for window in windows_after(places, scores))
        assert n_global > 10 if n == 9 else n_global == 0


@pytest.mark.parametrize("n", [43, 46])  # next level
def test_a_plateau_is_not_zoomed_into_for_its_next_level(n):
    places = np.random.default_rng(0).random((n, 2))
    away = np.hypot(*(places - 0.5).T)
    for plateau in (0.0, 0.4):
        n_global = sum(w.level == 0 for w in windows_after(places, -np.maximum(away, plateau)))
        assert n_global > 10 if plateau else n_global == 0


def test_every_other_look_of_all_levels_is_into_another_basin_when_nothing_was_gained():
    seen = []
    for n in (41, 47, 44):  # elsewhere twice, and all levels
        places = np.random.default_rng(0).random((n, 2))
        one, other = (np.hypot(*(places - middle).T) for middle in (0.2, 0.75))
        loss = np.minimum(one, 0.05 + other)
        places, loss = places[np.argsort(loss)], np.sort(loss)  # the best first: nothing is gained
        asked = list(trials_after(places, -loss))
        centers = {trial.window.center for trial in asked}
        if n == 44:
            assert 0 in centers
            continue
        assert len(centers) == 1
        (head,) = centers
        seen.append(head)
        better = np.abs(places[:head] - places[head])
        basin = 0.5 * np.hypot(*better.T).min()
        assert all(math.dist(t.params.values(), places[head]) <= basin for t in asked)
    away = np.hypot(*(places - 0.75).T)
    assert 0 not in seen
    assert len(set(seen)) == 2
    assert np.argmin(away) in seen


def test_windows_are_as_wide_as_their_numbers_are_apart():
    space = SearchSpace({"x": Real(0, 1), "kind": Categorical(["a", "b"]), "y": Real(0, 1)})
    lattice = Lattice(space)
    near = lattice.place(space.key({"x": 0.5, "kind": "a", "y": 0.5}))
    far = lattice.place(space.key({"x": 0.625, "kind": "b", "y": 0.25}))
    assert lattice.reach(np.array([near, far]), np.array([near])).tolist() == [[0.0], [0.25]]


def test_among_categories_alone_there_is_nothing_to_zoom_into():
    # Too many to be listed. On the search scale their neighbours are an eighth apart, or more.
    space = {f"c{i}": Categorical(list(range(7))) for i in range(4)}
    levels = {turn: [] for turn in range(3)}
    for seed in range(5):
        search = ZoomSearch(space, max_trials=60, seed=seed, noise=False)
        search.run(lambda **params: -(float(sum(params.values())) ** 2))
        for trial in search.trials.told[14:]:
            levels[trial.id % 3].append(trial.level)
    for found in levels.values():  # as if asks took no turns
        assert min(found) == 0
        assert max(found) > 3


def test_one_repeat_at_most_and_only_where_noise_is_unknown():
    rng = np.random.default_rng(0)
    for noise in (None, True, False):
        search = ZoomSearch(box(2), max_trials=80, seed=0, noise=noise)
        search.run(lambda **params: sphere(**params) + rng.normal(0, 0.05))
        repeats = len(search.trials) - len({trial.key for trial in search.trials})
        assert repeats <= (noise is None)


@pytest.mark.parametrize("noise", [True, False])
def test_what_the_user_said_about_noise_stands(noise):
    search = ZoomSearch(box(1), max_trials=20, seed=0, noise=noise)
    search.run(sphere, n_trials=3)
    best = search.best_trial
    search.tell(search.add(best.params).id, best.score + (0.0 if noise else 0.1))
    assert search.noise is noise


def test_noise_once_seen_is_known():
    search = ZoomSearch(box(1), max_trials=20, seed=0)
    for score in (0.5, 0.75, 0.5, 0.5):
        search.tell(search.add({"x0": 0.5}).id, score)
    assert search.noise is True


def test_a_noisy_search_recommends_what_is_good_rather_than_lucky():
    regret = {True: [], False: []}
    for seed in range(40):
        for noise in regret:
            rng = np.random.default_rng(seed)
            search = ZoomSearch(box(2), max_trials=60, seed=seed, noise=noise)
            best = search.run(lambda **params: sphere(**params) + rng.normal(0, 0.1))  # noqa: B023
            regret[noise].append(-sphere(**best.params))
    assert np.median(regret[True]) < np.median(regret[False])


def test_waiting_trials_are_not_proposed_again():
    search = ZoomSearch(box(2), max_trials=60, seed=0)
    for _ in range(12):
        search.tell((trial := search.ask()[0]).id, sphere(**trial.params))
    batch = search.ask(10)
    assert len({trial.key for trial in batch}) == 10


@pytest.mark.slow
def test_more_trials_than_the_field_can_hold_still_help_in_twenty_dimensions():
    scores = [
        ZoomSearch(box(20), max_trials=n, seed=0).run(sphere).score
        for n in (CAPACITY, 4 * CAPACITY)
    ]
    assert scores[1] > max(0.5 * scores[0], -1e-3)


def rough_outside_smooth_inside(x):
    """A parabola within 0.15 of (0.3, 0.6), and hills of 0.3 a hundredth wide outside."""
    r2 = ((x - [0.3, 0.6]) ** 2).sum(1)
    hills = 0.3 * np.sin(200 * x[:, 0]) * np.sin(200 * x[:, 1])
    return r2 + np.where(r2 < 0.15**2, 0.0, 0.3 + hills)


def two_landscapes():
    rng = np.random.default_rng(0)
    wide = rng.random((60, 2))
    near = np.array([0.3, 0.6]) + 0.1 * (rng.random((40, 2)) - 0.5)
    x = np.vstack([wide, near])
    return x, rough_outside_smooth_inside(x)


def test_the_neighbourhood_of_the_best_predicts_its_own_landscape():
    x, loss = two_landscapes()
    surrogate = Surrogate(2, 5)
    for place, value in zip(x, loss, strict=True):
        surrogate.tell(place, value)
    belief = surrogate.belief
    assert belief.near is not None
    at = np.array([0.3, 0.6]) + 0.04 * (np.random.default_rng(1).random((200, 2)) - 0.5)
    assert belief.near.holds(at).all()
    truth = (rough_outside_smooth_inside(at) - surrogate.best) / surrogate.unit
    error = {
        name: np.sqrt(np.mean((field.predict(at)[0] - truth) ** 2))
        for name, field in (("whole", belief.whole), ("belief", belief))
    }
    assert error["belief"] < 0.2 * error["whole"]
    far = np.random.default_rng(2).random((200, 2))
    far = far[~belief.near.holds(far)]
    np.testing.assert_array_equal(belief.predict(far), belief.whole.predict(far))


def test_the_neighbourhood_is_trusted_while_it_predicts_better():
    x, loss = two_landscapes()
    near = Neighbourhood(2)
    near.settle(np.arange(100), x, loss, np.array([0.3, 0.3]))
    place = x[np.argmin(loss)] + 0.002
    mean, sd = (float(value[0]) for value in near.kriging.predict(place[None]))
    surprised = Kriging(
        RandomField(2.5, np.array([0.3, 0.3]), 1e-6), place[None] + [[0, 0], [0, 1]]
    )
    surprised.observe(np.array([mean + 10 * sd, 0.0]))
    assert near.is_trusted
    near.judge(place, mean + 10 * sd, surprised)
    assert not near.is_trusted
    for _ in range(2):
        near.judge(place, mean, surprised)
    assert near.is_trusted


def test_another_category_is_never_in_the_neighbourhood():
    rng = np.random.default_rng(0)
    numeric = 0.5 + 0.01 * rng.random((60, 1))
    x = np.hstack([numeric, np.full((60, 1), 0.7), np.zeros((60, 1))])
    near = Neighbourhood(3)
    near.settle(np.arange(60), x, (numeric[:, 0] - 0.505) ** 2, np.ones(3))
    assert near.holds(x[:1])[0]
    assert not near.holds(x[:1] * [1, 0, 0] + [0, 0, 0.7])[0]


def test_believing_in_running_trials_leaves_the_belief_as_it_was():
    x, loss = two_landscapes()
    surrogate = Surrogate(2, 5)
    for place, value in zip(x, loss, strict=True):
        surrogate.tell(place, value)
    at = np.random.default_rng(3).random((50, 2))
    before = surrogate.belief.predict(at)
    pending = np.array([[0.31, 0.61], [0.9, 0.1]])
    believed = surrogate.belief.believing(pending, np.full(2, np.nan))
    np.testing.assert_array_equal(surrogate.belief.predict(at), before)
    mean, sd = believed.predict(pending)
    np.testing.assert_allclose(mean, surrogate.belief.predict(pending)[0], atol=0.05)
    assert (sd < 0.5 * surrogate.belief.predict(pending)[1]).all()


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_heads_of_basins_are_those_that_may_go_deepest(seed, n):
    rng = np.random.default_rng(seed)
    x, z = rng.random((n, 2)), rng.random(n)
    heads, widths = basin_heads(x, z)
    width = [
        min((math.dist(x[i], x[j]) for j in range(n) if z[j] < z[i]), default=math.inf)
        for i in range(n)
    ]
    others = [i for i in range(n) if math.isfinite(width[i])]
    np.testing.assert_allclose(widths, [width[i] for i in heads], atol=1e-6)
    for rate in np.geomspace(1e-3, 1e3, 200):
        if others:
            deepest = min(others, key=lambda i: z[i] - rate * width[i])
            assert deepest in heads
    assert int(np.argmin(z)) not in heads


@pytest.mark.slow
def test_the_search_leaves_a_basin_that_is_not_the_best():
    # Windows of the rippled bump with some ten hills each. A search that stays on the first hill it
    # climbs is beaten there by random search.
    nodes = rippled_bump(257).values
    found, by_chance = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        i, j = rng.integers(0, 65, 2)
        part = nodes[i : i + 193, j : j + 193]
        side = np.linspace(0, 1, 193)
        surface = RegularGridInterpolator((side, side), part)
        search = ZoomSearch({"x": Real(0, 1), "y": Real(0, 1)}, max_trials=150, seed=seed)
        best = search.run(lambda x, y, surface=surface: surface([x, y])[0])
        found.append(part.max() - best.score)
        by_chance.append(part.max() - rng.choice(part.ravel(), (200, 150)).max(axis=1).mean())
    assert np.mean(found) < np.mean(by_chance)


def test_a_search_with_a_tolerance_stops_when_nothing_is_to_be_gained():
    search = ZoomSearch(box(2), max_trials=200, seed=0, tolerance=1e-4)
    best = search.run(sphere)
    assert search.stop_reason == "expected improvement below tolerance"
    assert len(search.trials) < 100
    assert best.score > -1e-4


def test_a_search_with_a_tolerance_goes_on_while_it_improves():
    # Each trial is better than those before: no expectation may end this search.
    search = ZoomSearch(box(2), max_trials=60, seed=0, tolerance=1e-2)
    for i in range(60):
        (trial,) = search.ask()
        search.tell(trial.id, float(i))
    assert search.stop_reason is None or search.stop_reason == "budget"
    assert len(search.trials) == 60


@pytest.mark.parametrize("ceiling", [-1.0, -0.1], ids=["constant", "saturated"])
def test_a_search_with_a_tolerance_ends_where_all_scores_are_the_same(ceiling):
    search = ZoomSearch(box(2), max_trials=200, seed=0, tolerance=1e-2)
    search.run(lambda **params: min(ceiling, sphere(**params)))
    assert search.stop_reason == "expected improvement below tolerance"
    assert len(search.trials) < 100


def test_a_search_with_a_tolerance_looks_for_a_peak_on_a_plain():
    found = []
    for seed in range(10):
        center = np.random.default_rng(seed).uniform(0.2, 0.8, 2)
        search = ZoomSearch(box(2), max_trials=60, seed=seed, tolerance=3e-4)
        best = search.run(lambda x0, x1: max(0.0, 1 - 5 * math.dist((x0, x1), center)))  # noqa: B023
        found.append(best.score > 0.5)
    assert sum(found) >= 9


def test_a_search_with_a_tolerance_goes_on_if_a_slow_trial_is_better(tmp_path):
    def stalled(**options):
        search = ZoomSearch(box(2), max_trials=200, seed=0, tolerance=1e-2, **options)
        *first, slow = search.ask(6)
        for trial in first:
            search.tell(trial.id, sphere(**trial.params))
        while trials := search.ask():
            search.tell(trials[0].id, sphere(**trials[0].params))
        assert search.stop_reason == "expected improvement below tolerance"
        search.tell(slow.id, 1.0)
        return search

    stalled(journal=tmp_path / "search.jsonl").close()
    continued = ZoomSearch(
        box(2), max_trials=200, seed=0, tolerance=1e-2, journal=tmp_path / "search.jsonl"
    )
    live = stalled()
    assert not live.finished
    assert [t.key for t in live.ask(2)] == [t.key for t in continued.ask(2)]
    continued.close()


def test_failures_alone_do_not_end_a_search_with_a_tolerance():
    search = ZoomSearch(box(2), max_trials=40, seed=0, tolerance=1e-4)
    for _ in range(40):
        (trial,) = search.ask()
        search.tell(trial.id, None)
    assert search.ask() == []
    assert search.stop_reason == "budget"


@pytest.mark.parametrize("tolerance", [0, -1.0, "small", np.nan])
def test_a_tolerance_is_a_positive_number(tolerance):
    with pytest.raises(ValueError, match="tolerance must be None or a positive number"):
        ZoomSearch(box(1), max_trials=5, tolerance=tolerance)


def test_the_tolerance_may_change_when_a_journal_is_continued(tmp_path):
    journal = tmp_path / "search.jsonl"
    with ZoomSearch(box(2), max_trials=200, seed=0, tolerance=1e-2, journal=journal) as search:
        search.run(sphere)
        n = len(search.trials)
    whole = ZoomSearch(box(2), max_trials=200, seed=0, tolerance=1e-4)
    whole.run(sphere)
    with ZoomSearch(box(2), max_trials=200, seed=0, tolerance=1e-4, journal=journal) as search:
        search.run(sphere)
        assert n < len(search.trials)
        assert [t.key for t in search.trials] == [t.key for t in whole.trials]
        assert search.stop_reason == whole.stop_reason


@pytest.mark.parametrize(
    ("n_numbers", "n_categories", "n_start"),
    [(1, 0, 4), (2, 0, 5), (3, 0, 6), (20, 0, 6), (20, 2, 8)],
)
def test_the_start_is_short_in_any_dimension_but_has_a_trial_for_each_category(
    n_numbers, n_categories, n_start
):
    space = {f"x{i}": Real(0, 1) for i in range(n_numbers)}
    space |= {f"c{i}": Categorical(["a", "b", "c"]) for i in range(n_categories)}
    assert Lattice(SearchSpace(space)).n_start == n_start


def test_peaks_far_apart_on_a_plain_are_found():
    # Waves under a bell: most of the space is a plain near 0, the highest peak is 0.976.
    def waves(x, y):
        return math.sin(10 * x) * math.cos(10 * y) * math.exp(-(x**2) - y**2)

    best = []
    for seed in range(4):
        dx, dy = np.random.default_rng(seed).uniform(-0.5, 0.5, 2)
        space = {"x": Real(-2 - dx, 2 - dx), "y": Real(-2 - dy, 2 - dy)}
        best.append(ZoomSearch(space, max_trials=200, seed=seed).run(waves).score)
    # Of 20 such searches the mean was 0.77; with Gaussian tails it was 0.66.
    assert np.mean(best) > 0.7
