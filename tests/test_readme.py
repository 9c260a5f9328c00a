"""The README's Python blocks run in order and print what they say they print."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"^## ([^\n]+)$|^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", README, re.M | re.S
)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def run(*titles):
    """Run the blocks of some sections in one namespace; what was printed and should have been."""
    title, names, compared = "", {}, []
    for heading, code, expected in BLOCKS:
        title = heading or title
        if code and title in titles:
            lines = []
            names["print"] = lambda *words, lines=lines: lines.append(" ".join(map(str, words)))
            exec(code, names)
            compared.append(("\n".join(lines), expected.strip()))
    assert compared
    return compared


def agree(printed, expected, rel):
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", expected)
    numbers = [list(map(float, NUMBER.findall(text))) for text in (printed, expected)]
    assert numbers[0] == pytest.approx(numbers[1], rel=rel)


def test_the_two_commands_are_one_line_each():
    for command in ("demo", "test"):
        (line,) = re.findall(rf"<!-- command: {command} -->\n```sh\n([^\n]*)\n```", README)
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")


@pytest.mark.parametrize(
    "titles",
    [("scikit-learn", "After a crash", "A report of any search"), ("Any function",)],
)
def test_the_examples_print_what_the_readme_shows(titles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for printed, expected in run(*titles):
        agree(printed, expected, rel=1e-3)


@pytest.mark.keras
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_keras_example_prints_what_the_readme_shows(tmp_path, monkeypatch):
    pytest.importorskip("keras_tuner")
    monkeypatch.chdir(tmp_path)
    for printed, expected in run("Keras Tuner"):
        agree(printed, expected, rel=0.1)  # training differs between machines


def test_the_pictures_are_there_and_small():
    names = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert names
    for name in names:
        assert Path(__file__).parents[1].joinpath(name).stat().st_size < 150_000
