"""Trials and their journal: nothing acknowledged is lost, nothing wrong is believed."""

import contextlib
import copy
import errno
import gc
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import fractal_tuner
from fractal_tuner.dimensions import Categorical, Integer, Real
from fractal_tuner.space import SearchSpace
from fractal_tuner.trials import Journal, TrialLog, Window

ROOT = Path(fractal_tuner.__file__).parents[1]
PATHS = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
SPACE = SearchSpace(
    {"C": Real(0.1, 10, log=True), "kernel": ["rbf", "poly"], "degree": Integer(2, 2**70)},
    conditions={"degree": ("kernel", ["poly"])},
)
WHOLE = Window.whole(3)
HEADER = {"strategy": "test", "seed": 5, "fingerprint": {"n_samples": 100}}


def facts(log):
    """What a log says, as comparable values."""
    return [
        (
            t.id,
            t.params,
            t.key,
            t.window,
            t.status,
            repr(t.score),
            repr(t.folds),
            t.error,
            t.details,
        )
        for t in log
    ], [t.id for t in log.told]


def filled(journal=None, **options):
    """A log with a complete, a failed, a running, a rich and another running trial."""
    log = TrialLog(SPACE, journal, header=HEADER, **options)
    for u in ([0.1, 0.2, 0.5], [0.2, 0.8, 0.7], [1 / 3, 0.8, 0.1], [0.4, 0.1, 0.1], [0.5, 0.1, 0]):
        log.add(SPACE.key_from_unit(u), WHOLE)
    log.finish(1, 0.25)
    log.finish(0, error="ValueError: no luck, 😀 \udcff\n\x00 é")
    window = Window(2, 1, (0.1, 0.0, 0.0), (0.3, 1.0, 1.0))
    log.add(SPACE.key_from_unit([0.15, 0.9, 0.3]), window)
    details = {"fit_time": np.float64(0.5), "n": np.int64(3), "nan": math.nan, "rows": ({"a": 1},)}
    log.finish(5, np.float64(1 / 3), folds=(0.25, math.nan, 0.5), details=details)
    log.finish(3, -math.inf)
    return log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.jsonl"


@pytest.fixture
def no_fsync(monkeypatch):
    """Thousands of journals are quick where none of them waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


# --- the log -----------------------------------------------------------------------------------


def test_trials_are_numbered_in_the_order_of_asking():
    log = filled()
    assert [trial.id for trial in log] == list(range(len(log))) == [0, 1, 2, 3, 4, 5]
    assert [trial.id for trial in log.told] == [1, 0, 5, 3]
    assert [trial.id for trial in log.pending] == [2, 4]
    assert log[5].level == 2
    assert log[0].level == 0


def test_a_told_trial_holds_its_outcome():
    log = filled()
    assert (log[1].status, log[1].score, log[1].error) == ("complete", 0.25, None)
    assert log[0].status == log[3].status == "failed"
    assert math.isnan(log[0].score)
    assert log[3].error == "the score is -inf"
    assert log[5].details == {"fit_time": 0.5, "n": 3, "nan": "nan", "rows": [{"a": 1}]}
    assert log[5].folds[::2] == (0.25, 0.5)
    assert log[2].status == "running"
    assert log[1].started <= log[1].ended


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_a_failure(score):
    log = TrialLog(SPACE)
    trial = log.finish(log.add(SPACE.key_from_unit([0.5] * 3), WHOLE).id, score)
    assert (trial.status, trial.error) == ("failed", f"the score is {score}")
    assert math.isnan(trial.score)


def test_an_error_outweighs_a_score():
    log = TrialLog(SPACE)
    trial = log.finish(log.add(SPACE.key_from_unit([0.5] * 3), WHOLE).id, 0.9, error="too late")
    assert (trial.status, trial.error) == ("failed", "too late")
    assert math.isnan(trial.score)


def test_only_running_trials_can_be_told():
    log = filled()
    before = facts(log)
    with pytest.raises(ValueError, match=r"trial 1 was told before; running are \[2, 4\]"):
        log.finish(1, 0.5)
    for unknown in (17, -1, "2", None):
        with pytest.raises(ValueError, match="was never asked; running are"):
            log.finish(unknown, 0.5)
    assert facts(log) == before


def test_details_that_are_no_json_are_refused_and_the_trial_still_runs(path):
    log = filled(path)
    for details in ({"model": object()}, {"set": {1, 2}}):
        with pytest.raises(TypeError, match="a journal keeps plain JSON, which"):
            log.finish(2, 0.5, details=details)
    assert log.finish(2, 0.5).score == 0.5
    log.close()
    assert facts(TrialLog.read(path, SPACE)) == facts(log)


def test_logs_without_an_open_journal_can_be_copied(path):
    log = filled(path)
    for twin_of in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        with pytest.raises(TypeError, match=r"search\.jsonl cannot be copied; close it first"):
            twin_of(log)
        assert facts(twin_of(filled())) == facts(log)
    log.close()
    for twin_of in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        twin = twin_of(log)
        assert facts(twin) == facts(log)
        assert twin.pending[0] is twin[2]
        with pytest.raises(RuntimeError, match=r"search\.jsonl was closed"):
            twin.finish(2, 1.0)
        twin.close()


# --- keep and continue -------------------------------------------------------------------------


def test_a_continued_log_is_the_log_that_was_left(path):
    log = filled(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log.close()
        again = TrialLog(SPACE, path, header=HEADER)
    assert facts(again) == facts(log)
    assert [(t.started, t.ended) for t in again] == [(t.started, t.ended) for t in log]
    assert again.header == log.header
    again.finish(4, 1.5)
    again.add(SPACE.key_from_unit([0.9, 0.9, 0.9]), WHOLE)
    again.close()
    assert facts(TrialLog.read(path, SPACE)) == facts(again)
    assert len(again) == 7


def test_an_empty_file_is_a_new_journal(path):
    path.touch()
    log = filled(path)
    log.close()
    assert facts(TrialLog.read(path, SPACE)) == facts(log)


def test_folders_of_a_journal_are_made(tmp_path):
    log = filled(tmp_path / "a" / "b" / "search.jsonl")
    log.close()
    assert (tmp_path / "a" / "b" / "search.jsonl").stat().st_size > 0


def test_a_journal_may_be_in_the_user_s_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    filled("~/search.jsonl").close()
    assert [file.name for file in tmp_path.iterdir()] == ["search.jsonl"]
    assert len(TrialLog.read("~/search.jsonl", SPACE).told) == 4


def test_every_line_is_json_with_version_sequence_number_and_checksum(path):
    filled(path).close()
    lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert {line["v"] for line in lines} == {1}
    assert all(len(line["crc"]) == 8 for line in lines)
    assert lines[0]["type"] == "header"
    assert lines[0]["version"] == fractal_tuner.__version__
    assert [line["type"] for line in lines].count("ask") == 6
    assert [line["type"] for line in lines].count("tell") == 4


def test_a_journal_is_read_without_being_touched(path):
    log = filled(path)
    before = path.read_bytes()
    assert facts(TrialLog.read(path, SPACE)) == facts(log)
    path.write_bytes(before[:-5])
    assert len(TrialLog.read(path, SPACE).told) == len(log.told) - 1
    assert path.read_bytes() == before[:-5]
    assert os.listdir(path.parent) == ["search.jsonl"]
    log.close()
    with pytest.raises(ValueError, match="belongs to another search: its space is"):
        TrialLog.read(path, SearchSpace({"x": [1, 2]}))
    with pytest.raises(FileNotFoundError):
        TrialLog.read(path.with_name("nothing"), SPACE)


@given(
    some.lists(
        some.tuples(
            some.lists(some.floats(0, 1), min_size=3, max_size=3),
            some.one_of(some.floats(), some.text(max_size=5)),
            some.lists(some.floats(), max_size=3),
            some.booleans(),
        ),
        max_size=6,
    )
)
@settings(max_examples=40)
def test_any_history_comes_back_from_its_journal(tmp_path_factory, history):
    path = tmp_path_factory.mktemp("journal") / "search.jsonl"
    log = TrialLog(SPACE, path, header=HEADER)
    for u, outcome, folds, is_told in history:
        trial = log.add(SPACE.key_from_unit(u), WHOLE)
        if is_told and isinstance(outcome, str):
            log.finish(trial.id, error=outcome, folds=tuple(folds))
        elif is_told:
            log.finish(trial.id, outcome, folds=tuple(folds))
    log.close()
    again = TrialLog(SPACE, path, header=HEADER)
    again.close()
    assert facts(again) == facts(log)


def test_a_seed_that_was_not_given_is_drawn_once_and_kept(path):
    log = TrialLog(SPACE, path, header={"seed": None})
    seed = log.header["seed"]
    assert isinstance(seed, int)
    assert seed != TrialLog(SPACE, header={"seed": None}).header["seed"]
    log.close()
    for header in ({"seed": None}, {"seed": seed}):
        again = TrialLog(SPACE, path, header=header)
        assert again.header["seed"] == seed
        again.close()
    with pytest.raises(ValueError, match=f"its seed is {seed}, here it is {seed + 1}"):
        TrialLog(SPACE, path, header={"seed": seed + 1})


def test_seed_zero_is_a_seed(path):
    log = TrialLog(SPACE, path, header={"seed": 0})
    assert log.header["seed"] == 0
    log.close()
    with pytest.raises(ValueError, match="its seed is 0, here it is 1"):
        TrialLog(SPACE, path, header={"seed": 1})


NUMBERS = {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("dimensions", "conditions", "header", "message"),
    [
        ({"b": ["x", "z"]}, {}, {}, "its space b choices 1 is 'y', here it is 'z'"),
        ({"b": ["x"]}, {}, {}, "its space b choices is ['x', 'y'], here it is ['x']"),
        ({"a": [1, 3]}, {}, {}, "its space a values 1 is 2, here it is 3"),
        ({"a": Integer(1, 2)}, {}, {}, "its space a type is 'Ordinal', here it is 'Integer'"),
        ({"c": [1]}, {}, {}, "its space is ['a', 'b'], here it is ['a', 'b', 'c']"),
        ({}, {"b": ("a", [1])}, {}, "its space b conditions is [], here it is [[0, [0]]]"),
        ({}, {}, {"seed": 6}, "its seed is 5, here it is 6"),
        ({}, {}, {"strategy": "x"}, "its strategy is 'test', here it is 'x'"),
        ({}, {}, {"new": 1}, "its new is None, here it is 1"),
        (
            {},
            {},
            {"fingerprint": {"n_samples": 9}},
            "its fingerprint n_samples is 100, here it is 9",
        ),
    ],
)
def test_a_journal_of_another_search_is_refused_with_the_difference(
    path, dimensions, conditions, header, message
):
    theirs = SearchSpace(NUMBERS)
    TrialLog(theirs, path, header=HEADER).close()
    before = path.read_bytes()
    ours = SearchSpace(NUMBERS | dimensions, conditions=conditions)
    with pytest.raises(ValueError, match="belongs to another search") as caught:
        TrialLog(ours, path, header=HEADER | header)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    TrialLog(theirs, path, header=HEADER).close()  # the lock was given back


def test_the_difference_between_two_long_lists_is_told_briefly(path):
    TrialLog(SearchSpace({"x": [*range(1, 5000), 0.5]}), path).close()
    with pytest.raises(ValueError, match="its space x values is") as caught:
        TrialLog(SearchSpace({"x": [*range(1, 5000)]}), path)
    assert len(str(caught.value)) < 1000


def test_equal_numbers_of_different_types_make_another_space(path):
    TrialLog(SearchSpace({"x": [1, 2]}), path).close()
    with pytest.raises(ValueError, match=r"its space x values 0 is 1, here it is 1\.0"):
        TrialLog(SearchSpace({"x": [1.0, 2.0]}), path)


def test_budget_and_version_may_change(path, monkeypatch):
    filled(path, budget={"max_trials": 10}).close()
    monkeypatch.setattr("fractal_tuner.trials.__version__", "99.0")
    log = TrialLog(SPACE, path, header=HEADER, budget={"max_trials": 20, "max_time": math.inf})
    log.close()
    assert len(log) == 6
    assert log.header["version"] == fractal_tuner.__version__


# --- damage ------------------------------------------------------------------------------------


def whole_prefixes(path):
    """The facts of every prefix of a journal's lines, by length in bytes."""
    data = path.read_bytes()
    prefixes = {0: None}
    for i, byte in enumerate(data):
        if byte == ord("\n"):
            part = path.with_name("part")
            part.write_bytes(data[: i + 1])
            prefixes[i + 1] = facts(TrialLog.read(part, SPACE))
            part.unlink()
    return data, prefixes


def continued(path):
    """The facts of a journal continued, what was set aside, and what is left after a new trial."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log = TrialLog(SPACE, path, header=HEADER)
    aside = sorted(path.parent.glob("search.jsonl.torn-*"))
    assert [str(w.message) for w in caught] == [
        f"the last line of {path} was torn; it is kept in {a}" for a in aside
    ]
    found = facts(log)
    new = log.add(SPACE.key_from_unit([0.77, 0.9, 0.5]), WHOLE)
    log.finish(new.id, 0.123)
    log.close()
    assert facts(TrialLog.read(path, SPACE)) == facts(log)
    kept = b"".join(a.read_bytes() for a in aside)
    for a in aside:
        a.unlink()
    return found, kept


def test_a_journal_cut_at_any_byte_is_recovered_to_its_whole_lines(path, no_fsync):
    filled(path).close()
    data, prefixes = whole_prefixes(path)
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = max(n for n in prefixes if n <= length)
        found, kept = continued(path)
        assert found == (prefixes[whole] or ([], []))
        assert kept == data[whole:length]


def test_any_flipped_bit_is_found_and_named_or_cut_off_with_a_copy(path, no_fsync):
    filled(path).close()
    data, prefixes = whole_prefixes(path)
    ends = sorted(prefixes)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        line = next(i for i, end in enumerate(ends) if end > position)
        # A torn line is the last one, or two that a flipped newline made one.
        is_torn = line == len(ends) - 1 or (line == len(ends) - 2 and position == ends[line] - 1)
        if not is_torn:
            with pytest.raises(ValueError, match=rf"line {line} "):
                continued(path)
            assert path.read_bytes() == damaged
        else:
            found, kept = continued(path)
            assert found == prefixes[ends[line - 1]]
            assert kept == damaged[ends[line - 1] :]


@pytest.mark.slow
@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_found(path, no_fsync, bit):
    filled(path).close()
    data, prefixes = whole_prefixes(path)
    valid = [([], []), *(p for p in prefixes.values() if p)]
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found, kept = continued(path)
        except ValueError:
            assert path.read_bytes() == damaged
        else:
            assert found in valid
            assert found != valid[-1]
            assert bytes(damaged).endswith(kept)


def test_copies_of_torn_lines_are_never_overwritten(path):
    filled(path).close()
    data = path.read_bytes()
    path.with_name("search.jsonl.torn-1").write_bytes(b"older")
    path.write_bytes(data[:-3])
    with pytest.warns(RuntimeWarning, match=r"kept in .*search\.jsonl\.torn-2"):
        TrialLog(SPACE, path, header=HEADER).close()
    assert path.with_name("search.jsonl.torn-1").read_bytes() == b"older"
    assert data[:-3].endswith(path.with_name("search.jsonl.torn-2").read_bytes())


@pytest.mark.parametrize("number", [2, 5, 10])
def test_a_damaged_line_in_the_middle_is_named_and_nothing_is_changed(path, number):
    filled(path).close()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(b'"time"', b'"tome"')
    path.write_bytes(b"".join(lines))
    for open_ in (TrialLog.read, lambda p, s: TrialLog(s, p, header=HEADER)):
        with pytest.raises(ValueError, match=f"line {number} of .*search.jsonl is damaged"):
            open_(path, SPACE)
    assert path.read_bytes() == b"".join(lines)


def test_a_missing_a_doubled_and_a_foreign_line_are_named(path):
    filled(path).close()
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[:4] + lines[5:], lines[:4] + lines[3:]):
        path.write_bytes(b"".join(changed))
        with pytest.raises(ValueError, match=r"line 5 of .* is out of sequence"):
            TrialLog(SPACE, path, header=HEADER)
    path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(ValueError, match=r"line 1 of .* is out of sequence"):
        TrialLog(SPACE, path, header=HEADER)


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"hello\n",
        b"C,gamma,score\n1,2,0.5\n",
        b'{"params": {"C": 1}}\n',
        b'{"params": {"C": 1}}',
        b"\x00\xff\xfe" * 100,
        b"\n",
        b"[]\n",
        b"# notes\n" * 1000,
    ],
)
def test_a_file_that_is_no_journal_is_left_untouched(path, content):
    path.write_bytes(content)
    for open_ in (TrialLog.read, lambda p, s: TrialLog(s, p, header=HEADER)):
        with pytest.raises(
            ValueError, match=r"search\.jsonl is not a journal: line 1 .* untouched"
        ):
            open_(path, SPACE)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["search.jsonl"]


@pytest.mark.parametrize("place", [".", "/dev/full", "/dev/null"])
def test_what_is_no_regular_file_is_refused(place):
    with pytest.raises(ValueError, match="cannot be a journal: it is no regular file"):
        TrialLog(SPACE, place)


# --- a world that fails ------------------------------------------------------------------------


def failing(call, error):
    """A function of ``os`` that fails; ``write`` after half of the line."""
    real = getattr(os, call)

    def fail(file, *data):
        if call == "write":
            real(file, data[0][: len(data[0]) // 2])
        raise error

    return fail


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "disk full"), OSError(errno.EIO, "bad"), KeyboardInterrupt()]
)
def test_a_record_that_cannot_be_written_changes_nothing(path, monkeypatch, call, error):
    log = filled(path)
    before, on_disk = facts(log), path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing(call, error))
        with pytest.raises(type(error)):
            log.finish(2, 0.5)
        if call == "write":
            with pytest.raises(type(error)):
                log.add(SPACE.key_from_unit([0.6, 0.6, 0.6]), WHOLE)
    assert facts(log) == before
    assert path.read_bytes() == on_disk
    log.finish(2, 0.5)  # there is space again
    log.add(SPACE.key_from_unit([0.6, 0.6, 0.6]), WHOLE)
    log.close()
    again = TrialLog(SPACE, path, header=HEADER)
    again.close()
    assert facts(again) == facts(log)


def test_a_short_write_is_taken_back(path, monkeypatch):
    log = filled(path)
    on_disk = path.read_bytes()
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda file, data: real(file, data[:-7]))
        with pytest.raises(OSError, match=r"bytes could be written to .*search\.jsonl"):
            log.finish(2, 0.5)
    assert path.read_bytes() == on_disk
    log.close()


def test_nothing_follows_a_torn_line_that_cannot_be_cut_off(path, monkeypatch):
    log = filled(path)
    before = facts(log)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing("write", OSError(errno.EIO, "bad")))
        patched.setattr(os, "ftruncate", failing("ftruncate", OSError(errno.EIO, "bad")))
        with pytest.raises(OSError, match="bad"):
            log.finish(2, 0.5)
    with pytest.raises(RuntimeError, match="was closed"):
        log.finish(2, 0.5)
    with pytest.warns(RuntimeWarning, match="torn"):
        again = TrialLog(SPACE, path, header=HEADER)
    again.close()
    assert facts(again) == before


@pytest.mark.parametrize("stop_after", range(4))
def test_an_interrupt_anywhere_in_a_record_leaves_a_journal_that_can_be_continued(
    path, monkeypatch, stop_after
):
    log = filled(path)
    steps = [
        ("fractal_tuner.trials.os.write", os.write),
        ("fractal_tuner.trials.os.fsync", os.fsync),
        ("fractal_tuner.trials.Journal.append", Journal.append),
        ("fractal_tuner.trials.TrialLog._settle", TrialLog._settle),
    ]
    name, real = steps[stop_after]

    def interrupted(*args, **options):
        real(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.finish(2, 0.5)
        if stop_after != 1:
            with contextlib.suppress(KeyboardInterrupt):
                log.add(SPACE.key_from_unit([0.6, 0.6, 0.6]), WHOLE)
    if log[2].status == "running":
        log.finish(2, 0.25)  # evaluated again, with another score
    trial = log.add(SPACE.key_from_unit([0.7, 0.7, 0.7]), WHOLE)
    log.finish(trial.id, 0.75)
    log.close()
    again = TrialLog(SPACE, path, header=HEADER)
    again.close()
    assert again[trial.id].score == 0.75
    assert facts(again) == facts(log)


def test_a_full_disk_is_an_error_and_the_journal_can_be_continued(path):
    # RLIMIT_FSIZE makes the kernel cut a write short, and refuse the next one, as a full disk does.
    code = f"""
import resource
from test_trials import *
log = filled({str(path)!r})
size = os.stat(log._journal.path).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))
for attempt in range(3):
    try:
        log.finish(2, 0.5)
    except OSError as error:
        print(type(error).__name__, log[2].status, os.stat(log._journal.path).st_size == size)
"""
    done = run_python(code)
    assert done.stdout.split("\n")[:-1] == ["OSError running True"] * 3, done.stderr
    log = TrialLog(SPACE, path, header=HEADER)
    assert [trial.id for trial in log.pending] == [2, 4]
    log.finish(2, 0.5)
    log.close()


def run_python(code, **options):
    environment = os.environ | {"PYTHONPATH": PATHS}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs permissions")
def test_a_read_only_folder_is_an_error_that_names_the_file(tmp_path):
    if os.geteuid() == 0:
        place = Path("/proc/search.jsonl")  # not even root may create a file here
    else:
        place = tmp_path / "locked" / "search.jsonl"
        place.parent.mkdir(mode=0o500)
    with pytest.raises(OSError, match=r"search\.jsonl"):
        TrialLog(SPACE, place)


def test_a_journal_has_one_writer(path):
    log = filled(path)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"search\.jsonl is being written by another search"):
            TrialLog(SPACE, path, header=HEADER)
    log.close()
    TrialLog(SPACE, path, header=HEADER).close()


def test_a_log_that_is_forgotten_gives_its_journal_back(path):
    log = filled(path)
    del log
    gc.collect()
    TrialLog(SPACE, path, header=HEADER).close()


def test_a_second_process_is_refused_until_the_first_one_dies(path):
    code = f"""
from test_trials import *
log = filled({str(path)!r})
print("open", flush=True)
signal.pause()
"""
    environment = os.environ | {"PYTHONPATH": PATHS}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as other:
        watchdog = threading.Timer(30, other.kill)
        watchdog.start()
        assert other.stdout.readline() == "open\n"
        before = path.read_bytes()
        with pytest.raises(RuntimeError, match="is being written by another search"):
            TrialLog(SPACE, path, header=HEADER)
        assert path.read_bytes() == before
        other.send_signal(signal.SIGKILL)
        other.wait()
        watchdog.cancel()
    log = TrialLog(SPACE, path, header=HEADER)
    assert len(log.told) == 4
    log.close()


def test_a_journal_costs_little(path):
    # Not a benchmark: one system call for an ask, two for a tell, whatever the number of trials.
    log = TrialLog(SearchSpace({"x": Categorical(range(50))}), path)
    calls = []
    for name in ("write", "fsync"):
        real = getattr(os, name)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(
                os, name, lambda *a, real=real, name=name: calls.append(name) or real(*a)
            )
            log.finish(log.add((len(log),), Window.whole(1)).id, 0.5)
    log.close()
    assert calls == ["write", "write", "fsync"]
