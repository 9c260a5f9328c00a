"""The progress bar of our own loops: on a terminal, and nowhere else."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
from fractal_tuner import Real, ZoomSearch
ZoomSearch({"x": Real(0, 1)}, max_trials=5, seed=0).run(lambda x: -x)
"""


def test_a_search_says_nothing_where_nobody_watches():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert ended.stdout == ended.stderr == b""


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_a_search_shows_how_far_it_is_on_a_terminal():
    ours, theirs = os.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert ended.returncode == 0
    assert ended.stdout == b""
    assert "evaluating" in shown
    assert "100%" in shown
