"""The page: complete in one file, escaped, sized, the same each time, readable by machines."""

import base64
import hashlib
import re
import time
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest

from fractal_tuner import (
    Categorical,
    FactorialZoom,
    HistoryDisplay,
    Integer,
    Landscape,
    Real,
    SearchSpace,
    TrialLog,
    Window,
    ZoomSearch,
    importance,
)
from fractal_tuner.analysis.boxfit import BoxDimension
from fractal_tuner.report import (
    BoxCountingDisplay,
    ContourDisplay,
    DistributionDisplay,
    ImportanceDisplay,
    LandscapeDisplay,
    ParallelCoordinatesDisplay,
    SliceDisplay,
    ZoomedViewsDisplay,
    ZoomPathDisplay,
)
from fractal_tuner.report.drawing import BACKGROUND, FOREGROUND, GRID
from fractal_tuner.report.report import analyze
from fractal_tuner.report.sections import sections
from fractal_tuner.report.svg import picture_of

PLANE = {"x": Real(0, 1), "y": Real(1e-3, 1, log=True)}
HOSTILE = [
    "<script>alert(1)</script>",
    '=HYPERLINK("a")',
    "two\nlines",
    "n" * 1000,
    "\u05d0\u05d1\u05d2",
    "\u202eturned",
    "$x^2$",
    "a\x00b",
    '" onload="x',
    "]]>--></svg>",
]
VOID = {"meta", "br", "hr", "img", "input", "link", "path", "use"}


class Outline(HTMLParser):
    """What a browser would make of the page: tags, ids, references, open elements."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.ids, self.refs, self.open, self.text = [], [], [], [], []
        self.headings, self.sources = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("aria-labelledby", "headers"):
                self.refs += value.split()
            if name in ("href", "xlink:href", "src", "srcset", "data", "action"):
                self.sources.append(value)
                if value.startswith("#"):
                    self.refs.append(value[1:])
            self.refs += re.findall(r"url\(#([^)]*)\)", value or "")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


def told(scores, space=PLANE, **options):
    """A search with the given scores; None is a failure."""
    search = ZoomSearch(space, max_trials=max(len(scores), 1), seed=0)
    for score in scores:
        search.tell(search.ask()[0].id, score, **options)
    return analyze(search)


def many(n, n_dims=3, n_folds=0):
    """A log of random trials, with times and every tenth a failure."""
    rng = np.random.default_rng(0)
    space = SearchSpace(
        {f"x{i}": Real(0, 1) for i in range(n_dims - 1)} | {"kind": Categorical(["a", "b", "c"])}
    )
    log = TrialLog(space)
    keys = [space.key_from_unit(u) for u in rng.random((n, n_dims))]
    trials = log.add_all((key, Window.whole(n_dims)) for key in keys)
    for trial in trials:
        folds = rng.normal(trial.params["x0"], 0.1, n_folds)
        score = float(np.mean(folds)) if n_folds else trial.params["x0"]
        error = "ValueError: <b>" if trial.id % 10 == 9 else None
        log.finish(trial.id, np.nan if error else score, folds=folds.tolist(), error=error)
        trial.started, trial.ended = 1e9 + trial.id, 1e9 + trial.id + 0.5
    return log


@pytest.fixture(scope="module")
def report():
    search = ZoomSearch(PLANE | {"kind": ["a", "b"]}, max_trials=30, seed=0)
    search.run(lambda x, y, kind: -((x - 0.4) ** 2) - (np.log10(y) + 1) ** 2 - (kind == "a"))
    return analyze(search)


@pytest.fixture(scope="module")
def text(report):
    return report.to_html()


@pytest.fixture(scope="module")
def outline(text):
    return Outline(text)


def test_the_page_is_well_formed(outline):
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.refs) <= set(outline.ids)


def test_the_page_refers_to_nothing_outside(text, outline):
    assert "http:" not in text
    assert "https:" not in text
    assert all(s.startswith(("#", "data:image/png;base64,")) for s in outline.sources)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    policy = next(a["content"] for t, a in outline.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "script-src 'sha256-" in policy


def test_the_one_script_is_the_one_that_the_policy_allows(text):
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert " on" not in {name[:3] for _, attrs in Outline(text).tags for name in attrs}


def test_the_page_is_the_same_each_time(report, text):
    again = analyze(report.record)
    assert again.to_html() == text
    assert again.to_markdown() == report.to_markdown()


def test_the_settings_of_the_user_do_not_change_the_page(report, text):
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": True}):
        assert report.to_html() == text


def test_the_page_can_be_found_ones_way_in(outline):
    tags = outline.tags
    assert next(a["lang"] for t, a in tags if t == "html") == "en"
    assert outline.headings.count(1) == 1
    assert outline.headings[0] == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert [outline.count(t) for t in ("header", "nav", "main", "footer", "title")][:4] == [1] * 4
    assert ("a", {"class": "skip", "href": "#content"}) in tags
    for tag, attrs in tags:
        if tag == "th":
            assert attrs["scope"] in ("col", "row")
        if tag == "svg":
            assert attrs["role"] == "img"
            assert attrs["viewbox"]
    assert outline.count("svg") == outline.count("figure") > 0
    assert outline.count("desc") == outline.count("svg")


def test_every_picture_has_its_data_beside_it(outline):
    assert outline.count("details") == outline.count("figure")


def test_pictures_take_the_colours_of_the_page(text):
    assert "var(--fg)" in text
    svgs = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert not any(color in svgs for color in (FOREGROUND, GRID, BACKGROUND))


def test_sections_stand_in_their_order(outline, report):
    ids = [a["id"] for t, a in outline.tags if t == "section"]
    assert ids[:5] == ["answer", "warnings", "history", "zoom-path", "landscape"]
    assert ids[-3:] == ["trials", "reproduce", "how-to-read"]
    links = [a["href"][1:] for t, a in outline.tags if t == "a"][1:]
    assert links == ids


@pytest.mark.parametrize("names", [HOSTILE[:5], HOSTILE[5:]])
def test_names_from_users_are_text(names):
    space = {n: Real(0, 1) for n in names} | {f"y{n}": Categorical([n, "other"]) for n in names}
    search = ZoomSearch(space, max_trials=15, seed=0)
    for i in range(15):
        error = names[i] if i < len(names) else None
        search.tell(search.ask()[0].id, None if error else float(i), error=error)
    report = analyze(search)
    text = report.to_html()
    outline = Outline(text)
    assert outline.open == []
    assert outline.count("script") == 1
    assert outline.count("b") == 0
    assert not any(attribute.startswith("on") for _, attrs in outline.tags for attribute in attrs)
    assert "\u202e" not in text
    assert "\x00" not in text
    assert "\ufffd" not in text  # written as in the text, not replaced
    svgs = " ".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert ("\\u202eturned" in svgs) == ("\u202eturned" in names)
    assert text.encode("utf-8")
    report.to_markdown().encode("utf-8")


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([], "There are no trials."),
        ([0.5], "The only trial has score 0.5"),
        ([0.5, None], "The best of 2 trials is trial 1"),
        ([None, None, None], "None of 3 trials has a score."),
        ([0.5] * 12, "The 12 scored trials all have score 0.5"),
        ([1e300, -1e300, 0.0], "The best of 3 trials is trial 1"),
        ([1e-300, 2e-300], "The best of 2 trials is trial 2"),
    ],
)
def test_few_or_strange_trials_make_a_page(scores, words):
    report = told(scores)
    outline = Outline(report.to_html())
    assert words in " ".join("".join(outline.text).split())
    assert outline.open == []
    assert "nan" not in re.sub(r"[^\W\d_]{4,}", "", report.to_markdown().lower())
    assert report.next_steps


@pytest.mark.parametrize("n_dims", [1, 20])
def test_any_number_of_dimensions_makes_a_page(n_dims):
    space = {f"x{i}": Real(0, 1) for i in range(n_dims)}
    search = ZoomSearch(space, max_trials=25, seed=0)
    search.run(lambda **x: -sum((v - 0.4) ** 2 for v in x.values()))
    outline = Outline(analyze(search).to_html())
    assert outline.open == []
    assert outline.count("svg") > 0


def test_text_and_pictures_show_the_same_dimensions():
    space = {f"x{i}": Real(0, 1) for i in range(6)} | {"constant": [1], "kind": ["a", "b"]}
    search = ZoomSearch(space, max_trials=40, seed=0)
    search.run(lambda x2, x4, x5, **_: -(3 * (x5 - 0.4) ** 2) - 2 * (x4 - 0.4) ** 2 - 0.1 * x2)
    report = analyze(search)
    assert report.dims == ("x4", "x5")
    shown = {type(d): d for s in sections(report) for d in s.displays}
    assert shown[LandscapeDisplay].landscape.names == report.dims
    assert shown[ZoomPathDisplay].dims == report.dims
    assert set(report.dims) < set(shown[ContourDisplay].dims) < set(shown[SliceDisplay].dims)
    assert shown[SliceDisplay].dims == shown[ParallelCoordinatesDisplay].dims
    assert "constant" not in shown[SliceDisplay].dims
    assert "The pictures are of all trials, over x4 and x5." in report.to_markdown()


def test_one_dimension_has_no_pairs_to_draw():
    report = told([0.1, 0.3, 0.2, 0.5, 0.4], {"x": Real(0, 1), "constant": [1]})
    assert report.dims == ("x",)
    assert not any(isinstance(d, ContourDisplay) for s in sections(report) for d in s.displays)


def test_no_history_of_scores_is_drawn_without_scores():
    history = next(s for s in sections(told([None] * 3)) if s.id == "history")
    assert "No trial has a score" in history.text[0]
    assert not any(isinstance(d, HistoryDisplay) for d in history.displays)


def test_equal_scores_are_not_drawn_in_one_colour_again_and_again():
    report = told([0.5] * 12)
    kinds = [type(d) for s in sections(report) for d in s.displays]
    assert kinds.count(LandscapeDisplay) == 1
    assert kinds.count(HistoryDisplay) >= 1
    assert not {DistributionDisplay, ContourDisplay, ParallelCoordinatesDisplay} & set(kinds)


def test_a_map_that_cannot_be_made_is_a_sentence():
    (landscape,) = [s for s in sections(told([0.1, 0.5])) if s.id == "landscape"]
    assert [d.kind for d in landscape.displays] == ["raw"]
    assert "smoothed scores (a plane over 2 axes needs 4 scores, got 2)" in landscape.text[-1]


def test_a_view_of_the_whole_space_is_not_drawn_twice():
    search = ZoomSearch(PLANE, max_trials=20, seed=0)
    search.run(lambda x, y: 1.0)
    kinds = {type(d) for s in sections(analyze(search)) for d in s.displays}
    assert ZoomPathDisplay in kinds
    assert ZoomedViewsDisplay not in kinds


def test_nothing_is_said_of_a_best_trial_where_there_is_none():
    for scores in ([], [None] * 3):
        text = " ".join(s for section in sections(told(scores)) for s in section.text)
        assert "the best trial" not in text
        assert "no trial has a score" in text


def test_pictures_of_one_kind_have_titles_of_their_own(report):
    titles = [d.title for s in sections(report) for d in s.displays]
    assert len(set(titles)) == len(titles)
    counted = BoxDimension(np.nan, np.nan, np.nan, 0, reason="too few")
    kinds = [BoxCountingDisplay(counted, of=of).title for of in ("a contour", "the failures")]
    assert kinds == ["Box counting of a contour", "Box counting of the failures"]


def test_a_grid_makes_a_page():
    search = FactorialZoom({"x": Real(0, 1), "k": Integer(1, 5)}, levels=1, points_per_dim=5)
    search.run(lambda x, k: x * k)
    assert "did not zoom" in analyze(search).to_html()


def test_numbers_without_a_value_are_not_printed(outline):
    assert not re.search(r"\b(nan|inf|None)\b", "".join(outline.text))


def test_no_legend_is_cut():
    u = np.random.default_rng(0).random((40, 2))
    names = {"n" * 40: Real(0, 1), "m" * 40: Real(0, 1)}
    display = ImportanceDisplay(importance(Landscape.from_points(u, u.sum(1), names)))
    picture_of(display, "figure-1")
    legend = display.ax_.get_legend().get_window_extent()
    assert display.figure_.bbox.x0 <= legend.x0
    assert legend.x1 <= display.figure_.bbox.x1


def test_frames_in_light_pictures_take_the_colours_of_the_page(report):
    views = next(
        d for s in sections(report) for d in s.displays if isinstance(d, ZoomedViewsDisplay)
    )
    svg = picture_of(views, "figure-1").svg
    assert svg.count("<image") <= len(views.views)  # of the colour bars


def test_a_heavy_picture_becomes_dots():
    rng = np.random.default_rng(0)
    light, heavy = (HistoryDisplay(np.arange(n), rng.random(n)) for n in (50, 1400))
    assert "<image" not in picture_of(light, "figure-1").svg
    svg = picture_of(heavy, "figure-1").svg
    assert "data:image/png;base64," in svg
    assert "<text" in svg  # axes stay as they are
    assert len(svg) < 80_000


@pytest.mark.slow
# Seconds of CPU, twice those measured alone on one core: 2.6, 4.2, 7.1, 11.9.
@pytest.mark.parametrize(("n", "seconds"), [(60, 6), (500, 9), (2000, 15), (10_000, 25)])
def test_the_page_stays_small_and_quick(n, seconds):
    log = many(n, n_dims=8, n_folds=3)
    begin = time.process_time()
    text = analyze(log).to_html()
    assert time.process_time() - begin < seconds
    assert len(text.encode()) < 1.5e6
