"""The scripts of the gallery run as a user runs them, and write pictures that show something."""

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib.image
import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
README = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
OF_KERAS = {"keras", "keras_tuner", "tensorflow", "keras_on_one_thread", "FractalTuner"}


def imported(script):
    """Modules and names that a script imports, anywhere in it."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.name for alias in node.names)


WITH_KERAS = [script for script in SCRIPTS if OF_KERAS & set(imported(script))]
CASES = [
    pytest.param(script, id=script.stem, marks=[pytest.mark.keras] * (script in WITH_KERAS))
    for script in SCRIPTS
]


@pytest.fixture
def run(tmp_path):
    """Runs a script from another folder, on one thread, in a home without data."""
    home = tmp_path / "home"
    home.mkdir()
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "KERAS_HOME": str(home / "keras"),
        "SCIKIT_LEARN_DATA": str(home / "data"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }

    def run(script, *arguments, **more):
        command = [sys.executable, script, *arguments]
        options = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
        return subprocess.run(command, env=env | more, **options)

    return run


@pytest.mark.parametrize("script", CASES)
def test_script_says_how_long_it_takes_and_writes_pictures(script, run, tmp_path):
    done = run(script, "--quick", "--out", "pictures")
    if done.returncode and script in WITH_KERAS and find_spec("keras_tuner") is None:
        assert "fractal-tuner[keras]" in done.stderr
        pytest.skip("needs the keras extra")
    assert done.returncode == 0, done.stderr
    assert "\nTakes " in done.stdout
    pictures = sorted((tmp_path / "pictures").glob("*.png"))
    assert pictures
    for picture in pictures:
        assert f"wrote {picture.relative_to(tmp_path)}\n" in done.stdout
        assert picture.stem.startswith(f"{script.stem[:2]}-")
        pixels = matplotlib.image.imread(picture)
        assert min(pixels.shape[:2]) >= 200
        assert pixels.reshape(-1, pixels.shape[2]).std(axis=0).max() > 0.05  # a blank one has 0


@pytest.mark.keras
@pytest.mark.parametrize("script", WITH_KERAS, ids=lambda script: script.stem)
def test_script_names_the_extra_it_misses(script, run, tmp_path):
    missing = tmp_path / "missing"
    missing.mkdir()
    for name in ("keras", "keras_tuner", "tensorflow"):
        text = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')"
        (missing / f"{name}.py").write_text(text, encoding="utf-8")
    done = run(script, "--quick", PYTHONPATH=f"{missing}{os.pathsep}{ROOT}")
    assert "pip install 'fractal-tuner[keras]'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


SECTIONS = re.split(r"^## ", README, flags=re.M)[1:]
# The others take minutes or need Keras, and a chaotic boundary depends on the processor.
QUOTED = [script for script in SCRIPTS if script.stem[:2] in {"01", "02", "03", "04", "05", "08"}]


@pytest.mark.slow
@pytest.mark.parametrize("script", QUOTED, ids=lambda script: script.stem)
def test_the_readme_quotes_what_the_script_prints(script, run):
    (section,) = [text for text in SECTIONS if text.startswith(script.stem[:2])]
    (quoted,) = re.findall(r"^```text\n(.*?)^```", section, re.M | re.S)
    assert quoted in run(script, "--out", "pictures").stdout


def test_the_readme_has_a_section_a_command_and_the_pictures_of_each_script():
    assert [text[:2] for text in SECTIONS] == [script.stem[:2] for script in SCRIPTS]
    for script, section in zip(SCRIPTS, SECTIONS, strict=True):
        assert f"python examples/{script.name}\n" in section
        shown = set(re.findall(r"!\[[^\]]+\]\(gallery/([^)]+)\)", section))
        pictures = (ROOT / "examples" / "gallery").glob(f"{script.stem[:2]}-*")
        assert shown == {picture.name for picture in pictures}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_pictures_in_the_repository_are_few_and_small(script):
    pictures = sorted((ROOT / "examples" / "gallery").glob(f"{script.stem[:2]}-*"))
    assert 1 <= len(pictures) <= 2
    assert all(picture.stat().st_size < 150_000 for picture in pictures)


def test_unusable_folder_is_refused_in_one_line(run, tmp_path):
    (tmp_path / "file").touch()
    done = run(SCRIPTS[0], "--out", "file")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("--out file: File exists")
