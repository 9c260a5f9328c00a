"""Importing the package is free; each public name brings what it needs, or says what is missing."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fractal_tuner

HEAVY = {
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "pandas",
    "tensorflow",
    "keras",
    "keras_tuner",
    "optuna",
}
FROM_KERAS = {"FractalOracle", "FractalTuner"}

NEEDS_KERAS = [
    pytest.mark.keras,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("keras_tuner") is None, reason="needs the keras extra"),
]


def run_fresh(code: str) -> str:
    """What a fresh interpreter prints for a piece of code."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(fractal_tuner.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def loaded_by(statement: str) -> set[str]:
    """The heavy packages that a statement loads in a fresh interpreter."""
    code = f"import sys; {statement}; print(*{HEAVY!r} & set(sys.modules))"
    return set(run_fresh(code).split())


def test_importing_the_package_loads_no_third_party_package():
    assert loaded_by("import fractal_tuner; dir(fractal_tuner)") == set()


def test_the_core_needs_numpy_and_scipy_alone():
    core = "from fractal_tuner import SearchSpace, TrialLog, ZoomSearch"
    assert loaded_by(core) <= {"numpy", "scipy"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=NEEDS_KERAS if name in FROM_KERAS else [])
        for name in fractal_tuner._HOMES
    ],
)
def test_every_public_name_is_found_in_its_home(name):
    assert name in dir(fractal_tuner)
    assert getattr(fractal_tuner, name).__name__ == name


def test_a_star_import_takes_what_can_be_imported():
    names: dict[str, object] = {}
    exec("from fractal_tuner import *", names)
    assert set(fractal_tuner.__all__) <= set(names)


@pytest.mark.parametrize("name", sorted(FROM_KERAS))
def test_a_missing_extra_is_one_sentence_with_the_pip_command(name):
    code = f"""
import sys
sys.modules["keras_tuner"] = None  # as if it were not installed
try:
    from fractal_tuner import {name}
except ImportError as error:
    print(error)
"""
    sentence = r"\w+ needs Keras Tuner: pip install 'fractal-tuner\[keras\]'"
    assert re.fullmatch(sentence, run_fresh(code))


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'fractal_tuner' has no attribute 'FractalSearch'"):
        fractal_tuner.FractalSearch
