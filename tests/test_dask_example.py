"""The example for Dask runs, and says what is missing where Dask is not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "dask_cluster.py"


def python(*command):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.dask
@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_finds_what_one_process_finds():
    pytest.importorskip("distributed")
    run = python(EXAMPLE)
    assert run.returncode == 0, run.stderr
    on_cluster, alone = run.stdout.splitlines()
    assert on_cluster.startswith("on the cluster: {'C': ")
    assert on_cluster.partition(": ")[2] == alone.partition(": ")[2]
    assert "Restarting worker" in run.stderr


def test_without_dask_the_example_says_how_to_get_it():
    code = f"import runpy, sys; sys.modules['distributed'] = None; runpy.run_path({str(EXAMPLE)!r})"
    run = python("-c", code)
    assert run.returncode == 1
    assert run.stderr == "this example needs Dask: pip install 'fractal-tuner[dask]'\n"
