"""The comparison of Keras tuners runs as a user runs it, and goes on where it was ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras_tuner")

SCRIPT = Path(__file__).parents[1] / "examples" / "keras_comparison.py"


@pytest.mark.keras
@pytest.mark.slow
def test_runs_that_are_there_are_not_made_again(tmp_path):
    def run(*tuners):
        command = [sys.executable, SCRIPT, "--quick", "--tasks", "table", "--out", "here"]
        env = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1]), "MPLCONFIGDIR": str(tmp_path)}
        options = {"cwd": tmp_path, "env": env, "capture_output": True, "text": True}
        done = subprocess.run([*command, "--tuners", *tuners], **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "table, Hyperband, seed 0: 0." in run("Hyperband")
    both = run("Hyperband", "FractalTuner, max_epochs")
    assert "table, Hyperband, seed 0:" not in both
    assert "table, FractalTuner, max_epochs, seed 0: 0." in both
    lines = (tmp_path / "here" / "comparison.csv").read_text().splitlines()
    assert len(lines) == 3
    assert all(",4 x 3," in line for line in lines[1:])
    table = (tmp_path / "here" / "comparison.md").read_text()
    assert table in both
    assert table.count("\n| ") == 3
    assert (tmp_path / "here" / "comparison.png").stat().st_size > 1000
