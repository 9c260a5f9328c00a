"""The command as users call it: in a process of its own."""

import csv
import subprocess
import sys

import pytest

PNG = b"\x89PNG\r\n\x1a\n"


COMMAND = "from fractal_tuner.cli import main; raise SystemExit(main())"
# The demo on the first 200 images: the same in a tenth of the time.
ON_FEW_IMAGES = """
import sklearn.datasets as data
whole = data.load_digits
data.load_digits = lambda **options: tuple(part[:200] for part in whole(**options))
"""


def run(*arguments, code=COMMAND):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, encoding="utf-8")


@pytest.fixture(scope="module", params=["few", pytest.param("all", marks=pytest.mark.slow)])
def demo(request, tmp_path_factory):
    """The smallest demo: its result, and the folder it wrote."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    code = COMMAND if request.param == "all" else ON_FEW_IMAGES + COMMAND
    return run("demo", "--max-trials", 4, "-o", folder, code=code), folder


def test_the_demo_prints_its_results_and_nothing_else(demo):
    done, folder = demo
    assert done.returncode == 0
    assert done.stderr.strip() == ""  # no progress bar; rich before 15 ends a line
    first, second, *rest = done.stdout.splitlines()
    assert first.startswith("Best configuration of FractalSearchCV: C=")
    assert second.startswith("Cross-validated accuracy 0.")
    for search in ("FractalSearchCV ", "GridSearchCV 2 x 2", "RandomizedSearchCV "):
        assert any(line.startswith(search) for line in rest)
    assert f"wrote {folder / 'summary.md'}" in rest
    assert max(map(len, [first, second, *rest[:6]])) <= 80


def test_the_demo_writes_two_pictures_a_summary_and_all_trials(demo):
    done, folder = demo
    assert sorted(path.name for path in folder.iterdir()) == [
        "history.png",
        "summary.md",
        "trials.csv",
        "zoom-path.png",
    ]
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    with (folder / "trials.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    assert len(trials) == 12
    best = max(float(t["accuracy"]) for t in trials if t["search"] == "FractalSearchCV")
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert f"{best:.4f}" in summary
    assert "--max-trials 4 --seed 0" in summary
    assert done.stdout.splitlines()[0] in summary


def test_version():
    from fractal_tuner import __version__

    assert run("--version").stdout == f"fractal-tuner {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("tune",), "invalid choice: 'tune'"),
        (("demo", "--max-trials", "3"), "argument --max-trials: must be at least 4, got 3"),
        (("demo", "--max-trials", "1e3"), "argument --max-trials: '1e3' is not a whole number"),
        (("demo", "--seed", "-1"), "argument --seed: must be at least 0, got -1"),
        (("demo", "--seed", 2**32), "argument --seed: must be at most 4294967295, got 4294967296"),
        (("demo", "--jobs", "0"), "argument --jobs: must be at least 1, got 0"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_found_out_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("demo", "-o", tmp_path / "file" / "folder")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot write to" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_loads_no_keras():
    code = "import sys; from fractal_tuner.cli import main; import fractal_tuner.report\n"
    code += "print(sorted({'keras', 'tensorflow', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    assert run(code=code).stdout == "[]\n"
