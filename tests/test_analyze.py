"""analyze: the answer, its worth, the rules on both sides of their thresholds, what is saved."""

import csv
import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    FractalSearchCV,
    Landscape,
    Real,
    SearchSpace,
    ZoomSearch,
)
from fractal_tuner.analysis.edges import DomainEdges, Edge
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.analysis.importance import Importance
from fractal_tuner.analysis.noise import NoiseShare
from fractal_tuner.analysis.rivals import Indistinguishable
from fractal_tuner.analysis.roughness import Roughness
from fractal_tuner.analysis.winner import CorrectedBest
from fractal_tuner.readers import read
from fractal_tuner.report import rules
from fractal_tuner.report.findings import bounds_of
from fractal_tuner.report.report import analyze
from fractal_tuner.report.sections import sections
from fractal_tuner.report.tables import trial_rows
from fractal_tuner.trials import TrialLog, Window

PLANE = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})


def log_of(scores, *, keys=None, folds=None, errors=None, seconds=None, pending=0):
    """A log with the given scores; None is a failure."""
    rng = np.random.default_rng(0)
    log = TrialLog(PLANE)
    n = len(scores)
    places = [tuple(u) for u in rng.random((n + pending, 2))]
    keys = [PLANE.key_from_unit(u) for u in places] if keys is None else keys
    trials = log.add_all((key, Window.whole(2)) for key in keys)
    for trial, score in zip(trials, scores, strict=False):
        log.finish(
            trial.id,
            math.nan if score is None else score,
            folds=() if folds is None else folds[trial.id],
            error=(errors or {}).get(trial.id, "ValueError: diverged") if score is None else None,
            details={} if seconds is None else {"fit_time": seconds[trial.id]},
        )
    return log


def report_of(scores, *, findings=None, best=None, **options):
    """A report of scores, with some findings replaced."""
    report = analyze(log_of(scores, **options))
    record = replace(report.record, best=best)
    return replace(report, record=record, findings=report.findings | (findings or {}))


def noise(share=0.01, sd=0.01):
    return {"noise_share": NoiseShare(share, share, share, 99, sd=sd, source="folds")}


def ties(report_trials, n, seconds=None):
    trials = tuple(sorted(report_trials.told, key=lambda t: -t.score))[:n]
    spent = tuple(seconds or [math.nan] * n)
    cheapest = trials[int(np.argmin(spent))] if seconds else None
    return Indistinguishable(trials, trials[0], cheapest, spent, "folds")


def found(report, rule):
    return rule(report) is not None


RISING = [i / 100 for i in range(100)]
FALLING = RISING[::-1]


def with_ties(n, seconds=None):
    report = report_of(FALLING)
    tied = ties(report.record.trials, n, seconds)
    return replace(report, findings=report.findings | {"indistinguishable": tied})


def with_edge(outward, n=20, *, is_on=False, findings=()):
    slope = {True: (1.0, 2.0), None: (-1.0, 2.0), False: (-2.0, -1.0)}[outward]
    edge = Edge("x", "high", 0.99, 1.0, is_on, Estimate(sum(slope) / 2, *slope, n))
    edges = {"domain_edges": DomainEdges((edge,), None)}
    return report_of(FALLING[:n], findings=edges | dict(findings))


def with_idle(high):
    share = {"x": Estimate(0.95, 0.9, 1.0, 50), "y": Estimate(0.05, 0.0, high, 50)}
    importance = Importance(share, share, {}, 0.9, 50)
    return report_of(FALLING, findings={"importance": importance})


def with_hurst(high, verdict="rough"):
    rough = Roughness(2.7, 3 - high, 2.9, 99, n_dims=2, verdict=verdict)
    return report_of(FALLING, findings={"roughness": rough})


def with_optimism(optimism):
    corrected = CorrectedBest(0.99 - optimism, 0.9, 1.0, 99, best=0.99)
    return report_of(FALLING, findings=noise(sd=0.02) | {"corrected_best": corrected})


def with_repeats(n, *, exact):
    keys = [PLANE.key_from_unit(u) for u in np.random.default_rng(0).random((100, 2))]
    scores = list(FALLING)
    for i in range(1, n + 1):
        keys[-i] = keys[0]
        scores[-i] = scores[0] - (0.0 if exact else 0.001 * i)
    return report_of(scores, keys=keys)


def late(gain, sd):
    scores = [*np.linspace(0.0, 1.0, 90), *[1.0 + gain] * 10]
    return report_of(scores, findings=noise(sd=sd))


def plateau(low, landscape=None):
    report = report_of(FALLING, findings={"plateau_share": Estimate(0.9, low, 1.0, 99)})
    return replace(report, landscape=landscape or Landscape.from_grid(np.eye(10)))


SIDES = {
    rules.nothing_scored: ([None, None], [None, 0.5]),
    rules.equal_scores: ([0.5, 0.5, 0.5], [0.5, 0.5, 0.6]),
    rules.few_trials: (RISING[:9], RISING[:10]),
    rules.failures: ([*FALLING[:89], *[None] * 11], [*FALLING[:90], *[None] * 10]),
    rules.mostly_noise: (
        lambda: report_of(FALLING, findings=noise(0.51)),
        lambda: report_of(FALLING, findings=noise(0.50)),
    ),
    rules.unknown_noise: (
        lambda: report_of(FALLING[:10]),
        lambda: report_of(FALLING[:10], findings=noise()),
    ),
    rules.many_tied: (lambda: with_ties(26), lambda: with_ties(25)),
    rules.optimistic: (lambda: with_optimism(0.0021), lambda: with_optimism(0.0019)),
    rules.at_edge: (lambda: with_edge(True), lambda: with_edge(False)),
    rules.late_gain: (lambda: late(0.21, 0.1), lambda: late(0.19, 0.1)),
    rules.repeated: (
        lambda: with_repeats(11, exact=True),
        lambda: with_repeats(10, exact=True),
    ),
    rules.unended: (
        lambda: report_of(FALLING[:12], pending=1),
        lambda: report_of(FALLING[:12], pending=0),
    ),
    rules.not_the_highest: (
        lambda: report_of(RISING, best=96, findings=noise(sd=0.014)),
        lambda: report_of(RISING, best=96, findings=noise(sd=0.016)),
    ),
    rules.rough: (lambda: with_hurst(0.49), lambda: with_hurst(0.51)),
    rules.cheaper: (
        lambda: with_ties(2, [1.0, 0.79]),
        lambda: with_ties(2, [1.0, 0.81]),
    ),
    rules.idle: (lambda: with_idle(0.09), lambda: with_idle(0.11)),
    rules.fine_steps: (lambda: plateau(0.81), lambda: plateau(0.79)),
}


def made(side):
    return side() if callable(side) else report_of(side)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_a_rule_speaks_beyond_its_threshold_alone(rule):
    beyond, within = SIDES[rule]
    caution = rule(made(beyond))
    assert caution is not None
    assert caution.rule == rule.__name__
    assert caution.text.endswith(".")
    assert caution.advice[0].isupper()
    assert caution.advice.endswith(".")
    assert rule(made(within)) is None


def test_an_edge_with_unknown_slope_is_a_warning_if_the_best_is_on_it():
    assert "may grow" in rules.at_edge(with_edge(None, is_on=True)).text
    assert not found(with_edge(None), rules.at_edge)
    assert not found(with_edge(False, is_on=True), rules.at_edge)
    assert "still grow" in rules.at_edge(with_edge(True)).text
    assert not found(with_edge(True, n=9), rules.at_edge)


def test_an_end_is_not_to_be_moved_where_other_values_are_as_good_or_nothing_depends_on_it():
    tied = {"indistinguishable": ties(log_of(FALLING[:20]), 3)}
    idle_x = {"x": Estimate(0.05, 0.0, 0.09, 50)}
    importance = {"importance": Importance(idle_x, idle_x, {}, 0.9, 50)}
    for findings in (tied, importance):
        assert not found(with_edge(None, is_on=True, findings=findings), rules.at_edge)
        assert found(with_edge(True, is_on=True, findings=findings), rules.at_edge)
    report = with_edge(None, is_on=True, findings=importance)
    assert rules.idle(report).advice.startswith("Fix x ")


@pytest.mark.parametrize(
    ("outward", "words"),
    [(True, "scores grow towards it"), (False, "scores fall towards it"), (None, "is unclear")],
)
def test_what_is_said_of_an_edge_has_its_slope(outward, words):
    (said,) = (s for s in with_edge(outward).trust if "at the edge" in s)
    assert "next to the high end of x" in said
    assert words in said


def test_the_score_to_report_is_that_without_luck():
    hint = rules.optimistic(with_optimism(0.01))
    assert hint.kind == "hint"
    assert "too good by 0.01: it is the highest of 100" in hint.text
    assert hint.advice.startswith("Report 0.980 in place of 0.990 ")
    assert hint.advice in with_optimism(0.01).next_steps
    warning = rules.optimistic(with_optimism(0.03))
    assert warning.kind == "warning"
    assert "more than its standard error" in warning.text
    # A trial that was not chosen for its score has not its luck.
    other = with_optimism(0.03)
    assert not found(replace(other, record=replace(other.record, best=5)), rules.optimistic)


@pytest.mark.parametrize(
    ("name", "high"),
    [("accuracy", 1.0), ("val_auc", 1.0), ("f1_macro", 1.0), ("r2", 1.0), ("negated loss", 1.1)],
)
def test_intervals_end_where_scores_do(name, high):
    rng = np.random.default_rng(0)
    folds = [np.clip(0.99 + 0.05 * rng.standard_normal(5), 0.0, 1.0) for _ in range(30)]
    record = read(log_of([float(f.mean()) for f in folds], folds=folds))
    found = analyze(replace(record, score_name=name)).findings["corrected_best"]
    free = analyze(record).findings["corrected_best"]
    assert free.high > 1.0
    assert found.high == min(free.high, high)
    assert found.low == free.low


def test_a_score_beyond_the_bounds_of_its_name_has_none():
    record = replace(read(log_of([50.0, 97.0])), score_name="accuracy")
    assert bounds_of(record) == (-math.inf, math.inf)


def test_one_plus_minus_is_said_once():
    rng = np.random.default_rng(0)
    folds = [0.9 + 0.02 * rng.standard_normal(5) for _ in range(30)]
    report = report_of([float(f.mean()) for f in folds], folds=folds)
    error = f"{report.standard_error:.2g}"
    assert f"± {error}" in report.answer
    assert report.trust[0].startswith(f"± is one standard error of a score, {error} ")
    assert sum("±" in sentence for sentence in report.trust) == 1


def test_pruned_trials_are_no_failures():
    report = report_of([0.1, 0.5, None, None, *RISING[:12]])
    for trial in list(report.record.trials)[2:4]:
        trial.details["pruned"] = trial.id == 2
    assert [len(report.failed), len(report.pruned)] == [1, 1]
    assert "1 of 16 trials was pruned" in " ".join(report.trust)
    assert [t["status"] for t in trial_rows(report)[2:4]] == ["pruned", "failed"]
    assert report.to_dict()["n_pruned"] == 1
    assert not found(report, rules.failures)  # one of 15
    (shown,) = (s for s in sections(report) if s.id == "landscape")
    assert "1 trial failed" in shown.displays[0].description


def test_trials_that_were_all_pruned_are_said_to_be():
    report = report_of([None, None])
    for trial in report.record.trials:
        trial.details["pruned"] = True
    assert "2 trials ended, none with a score: 2 pruned" in rules.nothing_scored(report).text


def test_a_search_that_has_not_ended_is_said_to_run():
    assert analyze(log_of([0.1, 0.3], pending=2)).trust[-1].endswith("2 trials still ran.")
    assert analyze(log_of([0.1, 0.3])).trust[-1].endswith("was not recorded.")


@pytest.mark.parametrize(("low", "said"), [(0.5, "y matters most"), (0.1, "y seems to matter")])
def test_what_matters_most_is_said_with_its_doubt(low, said):
    share = {"x": Estimate(0.3, 0.1, 0.5, 50), "y": Estimate(0.7, low, 0.9, 50)}
    report = report_of(FALLING, findings={"importance": Importance(share, share, {}, 0.9, 50)})
    assert said in report.to_markdown()


def test_a_search_of_another_tool_has_no_zoom_path():
    def ids(record):
        return [section.id for section in sections(analyze(record))]

    record = read(log_of(RISING[:12]))
    assert "zoom-path" in ids(record)
    assert "zoom-path" not in ids(replace(record, tool="Optuna study"))


def test_one_score_and_equal_scores_are_said_simply():
    assert analyze(log_of([0.5])).answer.startswith("The only trial has score 0.5, at x = ")
    for scores in ([0.5], [0.5, None]):
        report = report_of(scores)
        assert "A single score tells nothing" in report.trust[0]
        assert not re.search(r"\b1 (trials|scores|times)\b", " ".join(page_words(report)))
    report = report_of([0.5] * 3)
    assert report.answer == "The 3 scored trials all have score 0.5: none is better than another."
    assert not any("as good" in sentence for sentence in report.trust)


def page_words(report):
    """What stands on the page beside its pictures."""
    yield from (report.answer, *report.trust, *report.next_steps)
    for section in sections(report):
        yield from section.text
        yield from (cell for table in section.tables for row in table.rows for cell in row)


def test_long_lists_say_how_many_names_they_leave_out():
    names = [f"p{i}" for i in range(12)]
    share = {n: Estimate(0.05, 0.0, 0.05, 50) for n in names}
    space = SearchSpace({n: Real(0, 1) for n in names})
    log = TrialLog(space)
    for u in np.random.default_rng(0).random((20, 12)):
        trial = log.add(space.key_from_unit(u), Window.whole(12))
        log.finish(trial.id, float(u.sum()))
    report = analyze(log)
    report = replace(
        report, findings=report.findings | {"importance": Importance(share, share, {}, 0.9, 50)}
    )
    hint = rules.idle(report)
    n_idle = 12 - len({edge.name for edge in rules._open_edges(report)})
    assert f"and {n_idle - 7} more" in hint.advice


def test_a_dimension_at_whose_end_the_best_is_is_not_idle():
    report = with_idle(0.05)
    edge = Edge("y", "low", 0.0, 0.0, True, Estimate(1.0, 0.5, 2.0, 50))
    findings = report.findings | {"domain_edges": DomainEdges((edge,), None)}
    assert found(report, rules.idle)
    assert not found(replace(report, findings=findings), rules.idle)


def test_a_late_gain_must_be_worth_while():
    # Noise-free: five per cent of the way from the median (0.56 here) to the best is 0.024.
    assert found(late(0.030, 0.0), rules.late_gain)
    assert not found(late(0.020, 0.0), rules.late_gain)


def test_repeats_that_differ_are_a_hint():
    assert rules.repeated(with_repeats(11, exact=False)).kind == "hint"
    assert rules.repeated(with_repeats(11, exact=True)).kind == "warning"


def test_a_smooth_landscape_is_no_warning():
    assert not found(with_hurst(0.4, verdict="smooth"), rules.rough)


@pytest.fixture(scope="module")
def fitted():
    space = {"C": Real(1e-2, 1e3, log=True), "gamma": Real(1e-4, 1e1, log=True)}
    return FractalSearchCV(SVC(), space, n_iter=25, random_state=0).fit(*load_iris(return_X_y=True))


def test_the_answer_is_the_best_trial_with_its_doubt(fitted):
    report = analyze(fitted)
    assert report.best.params == fitted.best_params_
    score, doubt = map(float, re.search(r"score ([\d.]+) ± ([\d.]+)", report.answer).groups())
    assert abs(score - fitted.best_score_) < 0.1 * doubt  # rounded to what can be told
    assert "±" in report.answer
    assert "C = " in report.answer
    assert report.best.id == report.record.best
    assert report.standard_error == report.findings["noise_share"].sd


def test_trials_close_to_the_best_of_a_search_are_no_plateau():
    u = np.random.default_rng(0).random((100, 2))
    report = plateau(0.99, Landscape.from_points(u, np.arange(100.0)))
    assert not found(report, rules.fine_steps)


def test_folds_that_agree_by_chance_do_not_make_the_best_certain():
    rng = np.random.default_rng(0)
    log = TrialLog(PLANE)
    for i in range(30):
        trial = log.add(PLANE.key_from_unit(rng.random(2)), Window.whole(2))
        folds = [0.95] * 4 if i == 0 else list(0.9 + 0.02 * rng.standard_normal(4))
        log.finish(trial.id, float(np.mean(folds)), folds=folds)
    report = analyze(log)
    assert report.best.id == 0
    assert 0.005 < report.standard_error < 0.02  # 0.01 for the mean of four folds


def test_a_search_reports_itself(fitted):
    assert fitted.report().answer == analyze(fitted).answer
    search = ZoomSearch(PLANE, max_trials=5, seed=0)
    search.run(lambda x, y: x * y)
    assert search.report(dims=["y"]).dims == ("y",)


def test_a_search_of_scikit_learn_is_analyzed():
    grid = GridSearchCV(SVC(), {"C": [0.1, 1.0, 10.0], "kernel": ["rbf", "linear"]})
    report = analyze(grid.fit(*load_iris(return_X_y=True)))
    assert report.best.params == grid.best_params_
    assert report.record.tool == "GridSearchCV"


def test_the_landscape_is_that_of_the_best_choices():
    search = FactorialZoom({"x": Real(0, 1), "kind": ["a", "b"]}, levels=1, points_per_dim=6)
    search.run(lambda x, kind: x + (kind == "b"))
    report = analyze(search)
    assert report.landscape.names == ("x",)
    assert report.landscape.n_scores == 6
    assert report.landscape.scores.min() >= 1.0


def test_dimensions_are_checked():
    search = ZoomSearch(PLANE, max_trials=3, seed=0)
    for dims in (["z"], ["x", "x"], [], ["x", "y", "z"], 3):
        with pytest.raises(ValueError, match="dims must be one or two different names"):
            analyze(search, dims=dims)
    assert analyze(search, dims="x").dims == ("x",)


def test_parameters_of_a_union_depend_on_the_choice_between_its_members():
    search = ZoomSearch([{"x": Real(0, 1)}, {"k": ["a", "b"]}], max_trials=4, seed=0)
    text = analyze(search).to_markdown()
    assert "| x | Real | 0 to 1 | (sub-space) |" in text
    assert "None" not in text


@pytest.mark.parametrize("seed", [-1, "x", 0.5, None, True])
def test_a_seed_is_checked(seed):
    with pytest.raises(ValueError, match=f"seed must be an integer of at least 0, got {seed!r}"):
        analyze(log_of([0.1]), seed=seed)


def test_numbers_are_first_and_important_ones_are_drawn():
    space = {"kind": ["a", "b"], "u": Real(0, 1), "v": Real(0, 1), "w": Real(0, 1)}
    search = ZoomSearch(space, max_trials=40, seed=0)
    search.run(lambda kind, u, v, w: 10 * w + 3 * v)
    report = analyze(search)
    assert report.findings["importance"].reason is None
    assert report.dims == ("v", "w")


def test_nothing_unknown_is_a_number(fitted):
    def numbers(value):
        if isinstance(value, dict):
            if value.get("reason") is not None:
                assert value.get("value") is None
            for v in value.values():
                numbers(v)
        elif isinstance(value, list):
            for v in value:
                numbers(v)

    for report in (analyze(fitted), report_of([None, 0.5]), report_of([])):
        told = report.to_dict()
        json.dumps(told, allow_nan=False)
        numbers(told["findings"])


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".csv"])
def test_a_report_is_saved_by_its_suffix(tmp_path, suffix):
    report = report_of([0.1, None, 0.3])
    path = report.save(tmp_path / f"report{suffix}")
    text = path.read_text(encoding="utf-8")
    start = {".html": "<!DOCTYPE html>", ".md": "# Search report", ".json": "{", ".csv": "trial,"}
    assert text.startswith(start[suffix])


def test_another_suffix_is_refused(fitted, tmp_path):
    with pytest.raises(ValueError, match="path must end in"):
        analyze(fitted).save(tmp_path / "report.docx")


def test_no_cell_of_the_table_is_a_formula():
    names = ["=cmd()", "+1", "-2", "@x", "\tt", " =y"]
    space = SearchSpace({name: Categorical([name, "plain"]) for name in names} | {"n": Real(-1, 1)})
    log = TrialLog(space)
    for i, trial in enumerate(
        log.add_all((space.key_from_unit(u), Window.whole(7)) for u in ([0.0] * 7, [0.9] * 7))
    ):
        log.finish(trial.id, -1.5 if i == 0 else math.nan, error=None if i == 0 else "=1+1")
    rows = list(csv.reader(io.StringIO(analyze(log).to_csv())))
    assert len(rows) == 3
    for row in rows:
        for cell in row:
            if not _is_number(cell):
                assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert "-1.5" in rows[1]
    assert "'=1+1" in rows[2]


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_all_trials_are_in_the_table():
    rows = list(csv.DictReader(io.StringIO(report_of([*RISING, None]).to_csv())))
    assert len(rows) == 101
    assert rows[5]["trial"] == "6"
    assert float(rows[5]["mean_test_score"]) == 0.05
    assert rows[100]["status"] == "failed"
    assert rows[100]["mean_test_score"] == ""


def test_a_notebook_shows_the_page_in_a_frame():
    shown = report_of([0.5])._repr_html_()
    assert shown.startswith("<iframe")
    assert shown.count("<") == 2


def test_an_overview_is_drawn(fitted):
    assert len(analyze(fitted).plot().axes) >= 2


def test_failures_are_counted_by_their_last_line():
    errors = {0: "Traceback\nValueError: nan", 1: "ValueError: nan", 2: "KeyError: <x>\n"}
    report = report_of([None, None, None, 0.5], errors=errors)
    assert report.errors == [("ValueError: nan", 2), ("KeyError: <x>", 1)]
    assert report_of([None, 0.5], errors={0: "failed"}).errors == []


def test_the_answer_names_the_trial_that_the_tool_chose():
    report = report_of(RISING[:20], best=7)
    assert "trial 8" in report.answer
    assert report.best.id == 7
