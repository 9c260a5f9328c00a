"""Search spaces: user values <-> codes <-> unit coordinates, conditions, unions, counts."""

import copy
import itertools
import json
import math
import pickle
import sys

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import assume, example, given, settings
from hypothesis import strategies as some
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.svm import SVC

from fractal_tuner.axes import Axis
from fractal_tuner.dimensions import (
    MAX_TABLE,
    Categorical,
    Integer,
    Ordinal,
    Quantile,
    Real,
    as_dimension,
)
from fractal_tuner.space import SearchSpace, as_space

UNITS = some.floats(0.0, 1.0)
FINITE = some.floats(allow_nan=False, allow_infinity=False)
POSITIVE = some.floats(5e-324, sys.float_info.max)


def increasing(numbers):
    return some.tuples(numbers, numbers).filter(lambda pair: pair[0] < pair[1])


REALS = some.one_of(
    increasing(FINITE).map(lambda ends: Real(*ends)),
    increasing(POSITIVE).map(lambda ends: Real(*ends, log=True)),
)
INTEGERS = some.one_of(
    increasing(some.integers(-(10**40), 10**40)).map(lambda ends: Integer(*ends)),
    increasing(some.integers(1, 10**40)).map(lambda ends: Integer(*ends, log=True)),
)
SMALL_INTEGERS = some.builds(
    lambda low, n, log: Integer(low, low + n, log=log),
    some.integers(1, 10**6),
    some.integers(1, 200),
    some.booleans(),
)
ORDINALS = some.lists(
    some.one_of(some.integers(-(10**6), 10**6), some.floats(-1e6, 1e6)),
    min_size=2,
    max_size=12,
    unique_by=float,
).map(Ordinal)
CATEGORICALS = some.lists(
    some.one_of(some.none(), some.booleans(), some.text(max_size=3), some.tuples(some.integers())),
    min_size=1,
    max_size=5,
    unique_by=repr,
).map(Categorical)
QUANTILES = some.sampled_from(
    [st.norm(3, 2), st.expon(scale=1e3), st.beta(2, 5), st.gamma(2), st.truncnorm(-1, 3)]
).map(Quantile)
FINITE_DIMENSIONS = some.one_of(SMALL_INTEGERS, ORDINALS, CATEGORICALS)
DIMENSIONS = some.one_of(REALS, INTEGERS, FINITE_DIMENSIONS, QUANTILES)


@some.composite
def spaces(draw, dimensions=DIMENSIONS, max_size=4):
    """A space whose parameters may depend on earlier, finite ones."""
    named, conditions = {}, {}
    for name in "abcdefgh"[: draw(some.integers(1, max_size))]:
        named[name] = draw(dimensions)
        pairs = []
        for parent in draw(some.lists(some.sampled_from("abcdefgh"), max_size=2, unique=True)):
            if parent in named and parent != name and named[parent].is_table:
                known = named[parent]
                indices = some.integers(0, known.n_values - 1)
                wanted = draw(some.lists(indices, min_size=1, max_size=3))
                pairs.append((parent, [known.value(known.code_at(i)) for i in wanted]))
        if pairs:
            conditions[name] = pairs
    return SearchSpace(named, conditions=conditions)


TINY = some.one_of(
    some.builds(lambda low, n: Integer(low, low + n), some.integers(-5, 5), some.integers(1, 3)),
    some.sampled_from([["x"], ["x", "y"], [1, 10, 100], [0.5, True, None]]).map(
        lambda values: as_dimension("d", values)
    ),
)
UNIONS = some.lists(some.one_of(some.just({}), spaces(TINY, 3)), min_size=1, max_size=3).map(
    SearchSpace.union
)
TINY_SPACES = some.one_of(spaces(TINY), UNIONS)


# --- one dimension -----------------------------------------------------------------------------


@given(REALS, UNITS)
@example(Real(0.0, 5e-324), 0.5)
@example(Real(-sys.float_info.max, sys.float_info.max), 0.5)
@example(Real(5e-324, sys.float_info.max, log=True), 1 - 2**-53)
@example(Real(1e300, math.nextafter(1e300, math.inf), log=True), 0.5)
def test_a_real_code_is_inside_and_leads_back_to_its_unit_coordinate(dimension, u):
    code = dimension.code(u)
    assert dimension.low <= code <= dimension.high
    assert dimension.code_of(dimension.value(code)) == code
    again = dimension.unit(code)
    assert 0 <= again <= 1
    # Where the bounds are a few floats apart, a coordinate is rounded to the nearest of these.
    steps = (dimension.high - dimension.low) / math.ulp(dimension.high)
    steps = steps if math.isfinite(steps) else 2.0**52
    denormal = dimension.low < 1e-307 and dimension.log
    assert again == pytest.approx(u, abs=1e-9 + 2 / steps + (0.1 if denormal else 0))


@given(REALS)
def test_the_ends_of_a_real_are_met_exactly(dimension):
    assert (dimension.code(0.0), dimension.code(1.0)) == (dimension.low, dimension.high)
    assert (dimension.unit(dimension.low), dimension.unit(dimension.high)) == (0.0, 1.0)


@given(REALS, UNITS, UNITS)
def test_a_real_code_grows_with_its_unit_coordinate(dimension, u, v):
    assume(abs(u - v) > 1e-9)
    assert (dimension.code(u) <= dimension.code(v)) == (u < v) or dimension.code(
        u
    ) == dimension.code(v)


def test_a_log_grid_meets_the_powers_of_ten_exactly():
    dimension = Real(1e-4, 1e4, log=True)
    assert [dimension.code(i / 8) for i in range(9)] == [10.0**k for k in range(-4, 5)]


@given(INTEGERS, UNITS)
@example(Integer(1, 10**400, log=True), 0.5)
@example(Integer(10**15, 10**15 + 7, log=True), 0.5)
def test_an_integer_code_is_an_exact_int_inside(dimension, u):
    code = dimension.code(u)
    assert type(code) is int
    assert dimension.low <= code <= dimension.high
    assert dimension.code_of(dimension.value(code)) == code
    assert dimension.code_at(dimension.index_of(code)) == code
    width = dimension.high - dimension.low
    lowest = dimension.unit(dimension.low + 1) if dimension.log else 1 / width
    assert dimension.unit(code) == pytest.approx(u, abs=1e-9 + lowest)
    assert (dimension.code(0.0), dimension.code(1.0)) == (dimension.low, dimension.high)


@given(
    increasing(some.integers(1, 2**45)),
    some.booleans(),
    some.floats(0, 1),
)
def test_an_integer_below_2_to_the_45_comes_back_from_its_unit_coordinate(ends, log, share):
    dimension = Integer(*ends, log=log)
    code = ends[0] + round(share * (ends[1] - ends[0]))
    assert dimension.code(dimension.unit(code)) == code


def test_an_integer_keeps_its_last_digit_far_beyond_floats():
    dimension = Integer(2**70, 2**70 + 6)
    assert [dimension.code(i / 6) for i in range(7)] == [2**70 + i for i in range(7)]
    assert [dimension.unit(2**70 + i) for i in range(7)] == [i / 6 for i in range(7)]


@given(INTEGERS, some.lists(UNITS, min_size=1, max_size=5))
def test_snapped_coordinates_are_those_of_an_integer(dimension, units):
    snapped = dimension.snap(np.array(units))
    assert snapped.shape == (len(units),)
    assert np.all((snapped >= -1e-12) & (snapped <= 1 + 1e-12))
    assert dimension.snap(snapped) == pytest.approx(snapped, abs=1e-9)
    for u, s in zip(units, snapped, strict=True):
        assert s == pytest.approx(dimension.unit(dimension.code(u)), abs=1e-7) or (
            # a tie between two neighbours, or floats too coarse to see single integers
            abs(dimension.code(u) - dimension.code(float(s))) <= 1 + dimension.high / 2**48
        )


@given(some.one_of(FINITE_DIMENSIONS))
def test_every_value_of_a_table_comes_back_from_its_unit_coordinate(dimension):
    codes = [dimension.code_at(i) for i in range(dimension.n_values)]
    assert [dimension.index_of(code) for code in codes] == list(range(dimension.n_values))
    units = [dimension.unit(code) for code in codes]
    assert all(a < b for a, b in itertools.pairwise(units))
    assert 0 <= units[0] <= units[-1] <= 1
    assert [dimension.code(u) for u in units] == codes
    assert [dimension.code_of(dimension.value(code)) for code in codes] == codes


def test_an_ordinal_hands_out_the_numbers_as_they_were_given():
    values = [np.float64(0.5), 2, np.int64(8)]
    given_back = [Ordinal(values).value(i) for i in range(3)]
    assert all(a is b for a, b in zip(given_back, values, strict=True))
    assert Ordinal([3, 1, 2]).values == (1, 2, 3)


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        ([1, 10, 100], True),
        ([1e-3, 1e-2, 1e-1, 1], True),
        ([16, 32, 64, 128], True),
        ([1, 2, 5, 10, 20, 50], True),
        ([1, 2, 3, 4], False),
        ([0, 1, 10, 100], False),
        ([-1, 1, 10], False),
        ([100, 200, 300], False),
        ([1, 2], False),
        ([1, 10], True),
        ([0.1, 10**300], True),
    ],
)
def test_geometric_lists_are_found_to_be_logarithmic(values, is_log):
    assert Ordinal(values).is_log is is_log
    assert Ordinal(values, log=False).is_log is False


@pytest.mark.parametrize("values", [[0, 1e-300, 1], [1.0, math.nextafter(1.0, 2), 1e300]])
def test_numbers_too_close_for_their_scale_are_spaced_evenly(values):
    dimension = Ordinal(values, log=False)
    assert [dimension.unit(i) for i in range(3)] == [0.0, 0.5, 1.0]
    assert [dimension.code(dimension.unit(i)) for i in range(3)] == [0, 1, 2]


def test_an_ordinal_tells_ints_from_floats_that_are_equal():
    # max_features=1 is one feature, max_features=1.0 all of them
    assert Ordinal([1, 2]) != Ordinal([1.0, 2.0])
    assert Ordinal([1, 2]) == Ordinal([2, 1])
    assert hash(Ordinal([1, 2])) == hash(Ordinal([2, 1]))
    assert Ordinal([1, 2, 4], log=True) != Ordinal([1, 2, 4], log=False)


def test_choices_are_told_apart_by_position_not_by_equality():
    same = [1, True, 1.0, SVC(C=1), SVC(C=1), np.zeros(2), np.zeros(2), None, float("nan")]
    dimension = Categorical(same)
    assert dimension.n_values == 9
    assert all(dimension.value(i) is same[i] for i in range(9))
    assert [dimension.code_of(choice) for choice in same] == list(range(9))


def test_equal_but_not_identical_choices_are_recognised_where_that_is_safe():
    dimension = Categorical([(100, 50), "".join(["r", "bf"]), 0.5, (100, 50.0)])
    assert dimension.code_of((*(100, 50),)) == 0
    assert dimension.code_of(np.str_("rbf")) == 1
    assert dimension.code_of(np.float64(0.5)) == 2
    assert dimension.code_of((100, 50.0)) == 3
    for unknown in ("poly", (100,), SVC(), np.zeros(2), None, 50):
        with pytest.raises(ValueError, match="is not one of"):
            dimension.code_of(unknown)


def test_categoricals_are_equal_when_their_choices_are():
    model = SVC()
    assert Categorical(["a", model]) == Categorical(["a", model])
    assert hash(Categorical(["a", model])) == hash(Categorical(["a", model]))
    assert Categorical([model]) != Categorical([SVC()])
    assert Categorical([1]) != Categorical([True])


@given(QUANTILES, UNITS)
def test_a_quantile_comes_back_from_its_value(dimension, u):
    code = dimension.code(u)
    assert dimension.code_of(dimension.value(code)) == code
    assert dimension.unit(code) == pytest.approx(u, abs=1e-11)


def test_a_quantile_cuts_a_thousandth_off_each_end():
    one_sided = Quantile(st.expon())
    assert one_sided.value(one_sided.code(0.0)) == pytest.approx(0.0010005, rel=1e-4)
    assert one_sided.value(one_sided.code(1.0)) == pytest.approx(math.log(1000), rel=1e-6)
    for value in (0.0, 6.95):
        with pytest.raises(ValueError, match=r"is outside 0\.0010\d+ \.\. 6\.90"):
            one_sided.code_of(value)


def test_a_quantile_may_keep_its_finite_ends():
    one_sided = Quantile(st.expon(), keep_ends=True)
    assert one_sided.value(one_sided.code(0.0)) == 0.0
    assert one_sided.code_of(0.0) == 0.0
    assert one_sided.value(one_sided.code(1.0)) == pytest.approx(math.log(1000), rel=1e-6)


def test_a_quantile_finds_a_value_with_few_quantiles():
    class Counted:
        calls = 0

        def ppf(self, q):
            self.calls += 1
            return st.norm.ppf(q)

        def cdf(self, x):
            return st.norm.cdf(x) + 1e-9  # not that of the quantiles: they decide

    dimension = Quantile(Counted())
    code = dimension.code(0.3)
    value = dimension.value(code)
    dimension.distribution.calls = 0
    assert dimension.code_of(value) == code
    assert dimension.distribution.calls < 30


def test_a_quantile_needs_nothing_but_ppf():
    class Square:
        def ppf(self, q):
            return q * q

    dimension = Quantile(Square())
    assert dimension.value(dimension.code(0.5)) == 0.25
    assert dimension.unit(dimension.code_of(0.25)) == 0.5


@given(DIMENSIONS)
def test_dimensions_survive_pickle_and_deepcopy(dimension):
    for twin in (pickle.loads(pickle.dumps(dimension)), copy.deepcopy(dimension)):
        assert twin.describe() == dimension.describe()
        assert twin.code(0.3) == dimension.code(0.3)
        if not isinstance(dimension, Quantile):
            assert twin == dimension
            assert hash(twin) == hash(dimension)


@given(DIMENSIONS)
def test_descriptions_are_plain_json(dimension):
    described = dimension.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == described


def test_descriptions_hold_no_addresses():
    described = Categorical([SVC(), SVC, len, object(), (1, None), np.zeros(2)]).describe()
    assert "0x" not in json.dumps(described)
    assert len(set(described["choices"][:3])) == 3


# --- what users write --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (st.uniform(-1, 3), Real(0.001 * 3 - 1, 0.999 * 3 - 1)),
        (st.loguniform(1e-3, 10), Real(1e-3, 10.0, log=True)),
        (st.loguniform(1e-3, 10, scale=5), Real(5e-3, 50.0, log=True)),
        (st.reciprocal(1e-3, 10), Real(1e-3, 10.0, log=True)),
        (st.randint(1, 10), Integer(1, 9)),
        (st.randint(-5, 5, loc=10), Integer(5, 14)),
        (st.randint(3, 4), Categorical([3])),
        (st.poisson(3), Integer(0, 10)),
        (st.binom(10, 0.3), Integer(0, 8)),
        (st.binom(1000, 0.02), Integer(8, 35)),
        (st.rv_discrete(values=([1, 5, 7], [0.1, 0.2, 0.7])), Ordinal([1, 5, 7])),
        (st.rv_discrete(values=([1, 5, 7], [0.1, 0.2, 0.7]))(loc=3), Ordinal([4, 8, 10])),
        ([3, 1, 2], Ordinal([1, 2, 3])),
        ((0.1, 1), Ordinal([0.1, 1])),
        (range(1, 5), Integer(1, 4)),
        (range(4, 0, -1), Integer(1, 4)),
        (range(10**30), Integer(0, 10**30 - 1)),
        (range(0, 10, 5), Ordinal([0, 5])),
        (range(7, 8), Categorical([7])),
        ([5], Categorical([5])),
        ([True, False], Categorical([True, False])),
        ([None, 1, 2], Categorical([None, 1, 2])),
        ([1, "auto"], Categorical([1, "auto"])),
        ([1, 1, 2], Categorical([1, 1, 2])),
        ([1, 10**400], Categorical([1, 10**400])),
        ([1.0, math.inf], Categorical([1.0, math.inf])),
        (np.array(["a", "b"]), Categorical(["a", "b"])),
        (np.array([1, 2]), Ordinal([1, 2])),
    ],
)
def test_lists_and_frozen_distributions_become_dimensions(written, meant):
    assert as_dimension("x", written) == meant


@pytest.mark.parametrize(
    "distribution",
    [
        st.norm(),
        st.expon(scale=100),
        st.truncnorm(-2, 2),
        st.loguniform(1e-3, 10, loc=2),  # not logarithmic in what is handed out
        st.loguniform(1e-3, 10, loc=-1),
    ],
)
def test_other_distributions_are_searched_by_their_quantiles(distribution):
    dimension = as_dimension("x", distribution)
    assert isinstance(dimension, Quantile)
    assert dimension.value(dimension.code(0.5)) == pytest.approx(
        distribution.median(), rel=2e-3, abs=1e-9
    )


def test_estimators_and_arrays_in_a_list_are_handed_out_themselves():
    values = [LogisticRegression(), np.arange(3), SVC()]
    dimension = as_dimension("model", values)
    assert all(dimension.value(i) is values[i] for i in range(3))


@pytest.mark.parametrize(
    ("written", "error", "message"),
    [
        (
            "rbf",
            TypeError,
            "dimension 'x': .* must be a list, tuple, range or 1-d array, got 'rbf'",
        ),
        (5, TypeError, "dimension 'x': .* got 5"),
        ({1, 2}, TypeError, "dimension 'x': .* got {1, 2}"),
        (np.zeros((2, 2)), TypeError, "dimension 'x': .* 1-d array"),
        (None, TypeError, "dimension 'x': .* got None"),
        ([], ValueError, "dimension 'x': a list of values needs at least one"),
        (np.array([]), ValueError, "dimension 'x': a list of values needs at least one"),
        (st.multivariate_normal(), TypeError, "dimension 'x': .* needs the method ppf"),
        (st.beta, TypeError, "dimension 'x': .*missing"),
    ],
)
def test_what_is_no_dimension_is_refused_by_name(written, error, message):
    with pytest.raises(error, match=message):
        SearchSpace({"x": written})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Real(2, 1), ValueError, r"Real needs low < high, got low=2.0, high=1.0"),
        (lambda: Real(1, 1), ValueError, r"Real needs low < high"),
        (lambda: Real(0, 1, log=True), ValueError, "Real with log=True needs positive .* low=0.0"),
        (lambda: Real(math.nan, 1), ValueError, "Real needs a finite low, got nan"),
        (lambda: Real(0, math.inf), ValueError, "Real needs a finite high, got inf"),
        (lambda: Real(0, 10**400), ValueError, "Real needs a finite high"),
        (lambda: Real("0", 1), TypeError, "Real needs a number for low, got '0'"),
        (lambda: Real(None, 1), TypeError, "Real needs a number for low, got None"),
        (lambda: Real(1, 2, "linear"), TypeError, "True or False for log, got 'linear'"),
        (lambda: Integer(5, 2), ValueError, "Integer needs low < high, got low=5, high=2"),
        (lambda: Integer(0, 5, log=True), ValueError, "needs positive numbers, got low=0"),
        (lambda: Integer(1.5, 2), TypeError, "Integer needs an integer for low, got 1.5"),
        (lambda: Integer(0, 2.0), TypeError, "Integer needs an integer for high, got 2.0"),
        (lambda: Integer(True, 2), TypeError, "Integer needs an integer for low, got True"),
        (lambda: Ordinal([1]), ValueError, r"at least two different numbers, got \(1,\)"),
        (lambda: Ordinal([1, 1.0]), ValueError, "at least two different numbers"),
        (lambda: Ordinal([1, math.nan]), TypeError, "finite numbers, got nan"),
        (lambda: Ordinal([1, "a"]), TypeError, "finite numbers, got 'a'"),
        (lambda: Ordinal([0, 1], log=True), ValueError, "Ordinal with log=True needs positive"),
        (lambda: Ordinal("12"), TypeError, "Ordinal values must be a list"),
        (lambda: Categorical([]), ValueError, "at least one choice"),
        (lambda: Categorical(range(10**5)), ValueError, "at most 65536 choices, got 100000"),
        (lambda: Categorical("rbf"), TypeError, "Categorical choices must be a list.* got 'rbf'"),
        (lambda: Quantile(st.uniform(0, 0.0)), ValueError, "finite increasing quantiles"),
    ],
)
def test_impossible_dimensions_are_refused_with_what_was_given(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Real(0, 1), [2, -0.1, math.nan, "0.5", None, True, 10**400, [0.5]]),
        (Integer(0, 9), [10, -1, 3.0, "3", None, True, np.True_, [3]]),
        (Ordinal([1, 2, 4]), [3, "1", None, True, math.nan]),
        (Quantile(st.norm()), [10, "0", None, math.inf]),
    ],
)
def test_a_value_outside_is_a_value_error_of_its_own_parameter(dimension, values):
    for value in values:
        with pytest.raises(ValueError, match=r"^parameter 'x': "):
            SearchSpace({"x": dimension}).key({"x": value})


# --- spaces ------------------------------------------------------------------------------------


@given(spaces(), some.data())
def test_keys_and_params_are_inverse(space, data):
    u = data.draw(some.lists(UNITS, min_size=len(space), max_size=len(space)))
    key = space.key_from_unit(u)
    params = space.params(key)
    assert space.key(params) == key
    assert list(params) == [name for name in space.names if name in params]
    assert json.loads(json.dumps(key)) == list(key)
    unit = space.unit(key)
    assert [math.isnan(x) for x in unit] == [code is None for code in key]
    rest = np.where(np.isnan(unit), 0.5, unit)
    assert space.unit(space.key_from_unit(rest)) == pytest.approx(unit, abs=1e-6, nan_ok=True)


@given(TINY_SPACES)
def test_every_candidate_is_listed_and_counted_once(space):
    keys = list(space.keys())
    assert len(keys) == len(set(keys)) == space.size
    for key in keys:
        assert space.params(space.key(space.params(key))) == space.params(key)


@given(spaces(TINY))
def test_listing_agrees_with_trying_all_combinations(space):
    units = [
        [p.dimension.unit(p.dimension.code_at(i)) for i in range(p.dimension.n_values)]
        for p in space.parameters
    ]
    assert {space.key_from_unit(u) for u in itertools.product(*units)} == set(space.keys())


@given(spaces(TINY), some.data())
def test_a_grid_on_axes_is_counted_as_it_is_listed(space, data):
    axes = []
    for parameter in space.parameters:
        codes = [parameter.dimension.code_at(i) for i in range(parameter.dimension.n_values)]
        axes.append(sorted(data.draw(some.sets(some.sampled_from(codes), min_size=1))))
    listed = list(space.keys(axes))
    assert space.count(axes) == len(listed) == len(set(listed))
    assert set(listed) <= set(space.keys())


@pytest.mark.parametrize(
    "grid",
    [
        {"a": [1, 2, 3], "b": ["x", "y"]},
        [{"kernel": ["linear"], "C": [1, 10]}, {"kernel": ["rbf"], "gamma": [0.1, 1], "C": [1]}],
        [{}, {"a": [1, 2]}],
        [{}],
    ],
)
def test_a_space_has_the_candidates_of_scikit_learns_grid(grid):
    space = as_space(grid)
    listed = list(map(space.params, space.keys()))
    assert space.size == len(ParameterGrid(grid))
    assert sorted(map(repr, map(sorted, map(dict.items, listed)))) == sorted(
        repr(sorted(candidate.items())) for candidate in ParameterGrid(grid)
    )


def test_astronomically_large_spaces_are_counted_exactly():
    assert SearchSpace({"a": Integer(1, 10**400), "b": range(7)}).size == 7 * 10**400
    many = {f"x{i}": list(range(10)) for i in range(200)}
    assert SearchSpace(many).size == 10**200
    assert SearchSpace({"a": Integer(1, 10**400), "b": Real(0, 1)}).size == math.inf


def test_many_conditional_parameters_are_counted_at_once():
    # two to the sixtieth combinations of switches: only a count by parts ever ends
    n = 60
    switches = {f"on{i}": [True, False] for i in range(n)}
    depths = {f"depth{i}": [1, 2, 3] for i in range(n)}
    conditions = {f"depth{i}": (f"on{i}", [True]) for i in range(n)}
    assert SearchSpace(switches | depths, conditions=conditions).size == 4**n


def test_an_infinite_branch_makes_the_space_infinite():
    space = SearchSpace(
        {"kernel": ["linear", "rbf"], "gamma": Real(0, 1), "n": Integer(1, 10**400)},
        conditions={"gamma": ("kernel", ["rbf"])},
    )
    assert space.size == math.inf
    with pytest.raises(ValueError, match="only a finite space can be listed"):
        space.keys()
    axes = [[0, 1], [0.0, 0.5, 1.0], [1, 2]]
    assert space.count(axes) == len(list(space.keys(axes))) == 2 + 6


def test_nested_conditions_switch_whole_branches():
    space = SearchSpace(
        {
            "model": ["svm", "tree"],
            "kernel": ["rbf", "poly"],
            "degree": Integer(2, 4),
            "depth": [1, 2],
        },
        conditions={
            "kernel": ("model", ("svm",)),
            "degree": ("kernel", ("poly",)),
            "depth": ("model", ["tree"]),
        },
    )
    assert space.size == (1 + 3) + 2
    assert space.params(space.key({"model": "tree", "depth": 2})) == {"model": "tree", "depth": 2}
    for params, message in [
        ({"model": "tree"}, "parameter 'depth' is missing"),
        ({"model": "tree", "depth": 1, "degree": 2}, "parameter 'degree' is not active"),
        ({"model": "svm", "kernel": "rbf", "degree": 2}, "parameter 'degree' is not active"),
        ({"model": "forest"}, "parameter 'model': 'forest' is not one of"),
        ({"model": "tree", "depht": 1}, "unknown parameter 'depht'; the space has"),
    ]:
        with pytest.raises(ValueError, match=message):
            space.key(params)


def test_several_conditions_must_all_hold_and_parents_may_be_numbers():
    space = SearchSpace(
        {"units3": Integer(8, 9), "layers": Integer(1, 3), "wide": [False, True], "b": [2, 4]},
        conditions={
            "units3": [("layers", [3]), ("wide", [True])],
            "b": ("layers", [1, 2]),
        },
    )
    assert [p.name for p in space.parameters] == ["layers", "wide", "units3", "b"]
    assert space.names == ("units3", "layers", "wide", "b")
    assert space.size == 2 * 2 * 2 + 1 + 2
    active = space.params(space.key({"layers": 3, "wide": True, "units3": 9}))
    assert list(active) == ["units3", "layers", "wide"]


@pytest.mark.parametrize(
    ("conditions", "error", "message"),
    [
        ({"b": ("nope", [1])}, ValueError, "unknown name 'nope' in conditions"),
        ({"nope": ("a", [1])}, ValueError, "unknown name 'nope' in conditions"),
        ({"b": ("a", [7])}, ValueError, "condition of 'b' on 'a': 7 is not one of"),
        ({"b": ("a", [])}, ValueError, "condition of 'b' on 'a' names no value"),
        ({"b": ("a", 1)}, ValueError, r"condition of 'b' must be \(parent, values\)"),
        ({"b": ("s", "on")}, ValueError, r"condition of 'b' must be \(parent, values\)"),
        ({"b": 5}, ValueError, r"condition of 'b' must be \(parent, values\)"),
        ({"b": ("x", [0.5])}, ValueError, "'b' cannot depend on 'x'"),
        ({"b": ("big", [5])}, ValueError, "'b' cannot depend on 'big'"),
        ({"b": ("b", [1])}, ValueError, "conditions form a circle"),
        ({"a": ("b", [1]), "b": ("a", [1])}, ValueError, "form a circle among .*'a', 'b'"),
        ([("b", ("a", [1]))], TypeError, "conditions must be a mapping"),
    ],
)
def test_impossible_conditions_are_refused(conditions, error, message):
    dimensions = {
        "a": [1, 2],
        "b": [1, 2],
        "s": ["on", "off"],
        "x": Real(0, 1),
        "big": Integer(0, MAX_TABLE),
    }
    with pytest.raises(error, match=message):
        SearchSpace(dimensions, conditions=conditions)


@pytest.mark.parametrize(
    ("given_", "error", "message"),
    [
        ({}, ValueError, "the search space is empty"),
        ([], ValueError, "the search space is empty"),
        ("abc", TypeError, "must be a dict, a list of dicts or a SearchSpace, got 'abc'"),
        (5, TypeError, "got 5"),
        (None, TypeError, "got None"),
        ([{"a": [1]}, 5], TypeError, "a list of search spaces needs dicts or SearchSpace, got 5"),
        ({1: [1]}, TypeError, "names of dimensions must be str, got 1"),
    ],
)
def test_what_is_no_space_is_refused(given_, error, message):
    with pytest.raises(error, match=message):
        as_space(given_)


def test_pairs_make_a_space_in_which_no_name_appears_twice():
    assert SearchSpace((name, [1, 2]) for name in "ab").names == ("a", "b")
    with pytest.raises(ValueError, match="duplicate name in the search space: 'a'"):
        SearchSpace([("a", [1, 2]), ("b", [1]), ("a", [3])])
    with pytest.raises(TypeError, match=r"must be a mapping or \(name, dimension\) pairs, got 'a'"):
        SearchSpace("ab")
    with pytest.raises(TypeError, match=r"pairs, got {'a': 1, 'b': 2}"):
        SearchSpace([{"a": 1, "b": 2}])


def test_members_of_a_union_share_what_they_define_alike():
    space = SearchSpace.union(
        [
            {"C": Real(1, 10), "kernel": ["linear"]},
            {"C": Real(1, 10), "kernel": ["rbf"], "gamma": Real(0, 1)},
            {"C": Real(1, 99), "kernel": ["rbf"]},
        ]
    )
    assert [p.name for p in space.parameters].count("C") == 2
    assert [p.name for p in space.parameters].count("kernel") == 2
    assert space.names == ("C", "kernel", "gamma")
    for params in ({"C": 2.0, "kernel": "linear"}, {"C": 50.0, "kernel": "rbf"}):
        assert space.params(space.key(params)) == params
    with pytest.raises(ValueError, match="parameter 'kernel'"):
        space.key({"C": 2.0, "kernel": "poly"})


def test_members_of_a_union_may_give_one_name_different_kinds_of_values():
    space = as_space([{"x": Real(0, 1)}, {"x": ["a", "b"]}, {"x": Integer(5, 9)}])
    for value in (0.5, "b", 7):
        assert space.params(space.key({"x": value})) == {"x": value}


def test_equal_numbers_of_different_types_are_not_shared_by_a_union():
    space = as_space([{"max_features": [1, 2]}, {"max_features": [1.0, 2.0]}])
    assert sorted(repr(p["max_features"]) for p in map(space.params, space.keys())) == [
        "1",
        "1.0",
        "2",
        "2.0",
    ]


def test_conditions_inside_members_of_a_union_are_kept():
    member = SearchSpace(
        {"kernel": ["rbf", "poly"], "degree": [2, 3]}, conditions={"degree": ("kernel", ["poly"])}
    )
    space = as_space([{"kernel": ["linear"]}, member, {}])
    listed = list(map(space.params, space.keys()))
    assert space.size == len(listed) == 1 + 3 + 1
    assert {"kernel": "poly", "degree": 3} in listed
    assert {} in listed


def test_a_union_may_hold_unions():
    inner = SearchSpace.union([{"a": [1, 2]}, {"b": [1, 2, 3]}])
    space = SearchSpace.union([inner, {"c": ["x"]}])
    listed = list(map(space.params, space.keys()))
    assert space.size == len(listed) == 6
    for params in listed:
        assert space.params(space.key(params)) == params


def test_a_list_of_one_space_is_that_space():
    assert as_space([{"a": [1, 2]}]).parameters[0].name == "a"
    space = SearchSpace({"a": [1, 2]})
    assert as_space(space) is space


@given(some.one_of(spaces(), UNIONS))
@settings(max_examples=40)
def test_spaces_survive_pickle_and_deepcopy(space):
    for twin in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert twin.describe() == space.describe()
        assert twin.names == space.names
        u = [0.3] * len(space)
        assert twin.key_from_unit(u) == space.key_from_unit(u)
    assert json.loads(json.dumps(space.describe(), allow_nan=False)) == space.describe()


def test_an_axis_of_huge_integers_has_an_infinite_length():
    assert Axis("n", Integer(0, 10**400)).length == math.inf
    assert Axis("n", Integer(1, 10**400, log=True)).length == 400.0
