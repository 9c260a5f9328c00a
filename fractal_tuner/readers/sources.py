"""read: the record of anything that can be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fractal_tuner.readers.record import Record
from fractal_tuner.space import SearchSpace, as_space
from fractal_tuner.trials import TrialLog

_JOURNAL = b'{"crc":"'
_SQLITE = "sqlite:///"  # as Optuna is told where its file is


def read(
    source: Any,
    *,
    space: SearchSpace | Mapping[str, Any] | None = None,
    score: str | None = None,
    maximize: bool | None = None,
) -> Record:
    """What was recorded of a search.

    Parameters
    ----------
    source : object or path
        A search of this package, any fitted search of scikit-learn (or its ``cv_results_``), a
        tuner or oracle of Keras Tuner, a study of Optuna, a data frame, a TrialLog, a Record. As a
        path: a journal, a project folder of Keras Tuner, an SQLite or journal file of Optuna (or
        ``sqlite:///`` and its path), a CSV file. Of these only Optuna's files need the tool that
        wrote them.
    space : SearchSpace or mapping, optional
        What was searched, where the source does not say it or says it wrongly. Without it the space
        is inferred from the values if need be, and a note says so.
    score : str, optional
        The metric, objective or column to take for the score; by default the one that the search
        went by.
    maximize : bool, optional
        Whether larger values of it are better, where the source does not say it.

    Returns
    -------
    Record

    Raises
    ------
    TypeError
        If ``source`` is nothing of these, or not fitted.
    ValueError
        If it cannot be read, or an option does not apply to it.
    OSError
        If a file cannot be read.
    ImportError
        If a storage of Optuna is to be read without Optuna.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1)}, max_trials=8, seed=0)
    >>> _ = search.run(lambda x: 1 - x * x)
    >>> record = read(search)
    >>> record.tool, len(record.trials), record.stop_reason
    ('ZoomSearch', 8, 'budget')
    """
    asked: dict[str, Any] = {"score": score, "maximize": maximize}
    given = None if space is None else as_space(space)
    if isinstance(source, str | os.PathLike):
        if isinstance(source, str):
            source = source.removeprefix(_SQLITE)
        return _read_path(Path(source), space=given, **asked)
    if isinstance(source, Mapping):
        from fractal_tuner.readers.cv_results import record_of

        if "params" not in source:
            raise TypeError("a mapping must be cv_results_ of a search, with 'params'")
        return record_of(source, source["params"], "cv_results_", space=given, **asked)[0]
    if hasattr(type(source), "get_trials") and hasattr(type(source), "directions"):
        from fractal_tuner.readers.optuna_study import read_study

        return read_study(source, space=given, **asked)
    if hasattr(source, "columns"):
        from fractal_tuner.readers.tables import read_frame

        return read_frame(source, space=given, **asked)
    oracle = getattr(source, "oracle", source)
    if hasattr(oracle, "get_state") and hasattr(oracle, "objective"):
        from fractal_tuner.readers.keras_project import read_oracle

        return read_oracle(oracle, type(source).__name__, space=given, **asked)
    if hasattr(source, "cv_results_") and not isinstance(
        getattr(source, "trials_", None), TrialLog
    ):
        from fractal_tuner.readers.cv_results import read_fitted_search

        return read_fitted_search(source, space=given, **asked)
    return _read_ours(source, given, asked)


def _read_ours(source: Any, space: SearchSpace | None, asked: dict[str, Any]) -> Record:
    from fractal_tuner.readers.logs import read_fractal_search_cv, read_log, read_search

    if isinstance(source, Record):
        if asked != {"score": None, "maximize": None}:
            raise ValueError("score and maximize do not apply to a Record: it has been read")
        record = source
    elif isinstance(getattr(source, "trials_", None), TrialLog):
        record = read_fractal_search_cv(source, **asked)
    elif isinstance(source, TrialLog):
        record = read_log(source, **asked)
    elif isinstance(getattr(source, "trials", None), TrialLog):
        record = read_search(source, **asked)
    else:
        kind = type(source).__name__
        raise TypeError(
            f"{kind} holds no trials that can be read; "
            + (
                "it must be fitted first"
                if hasattr(source, "scoring")
                else "give a search, a tuner, a study, a table, cv_results_, or the path of a "
                "journal, of a Keras Tuner project, of an Optuna storage or of a CSV file"
            )
        )
    if space is not None:
        raise ValueError(f"space does not apply to a {type(source).__name__}: it has its own")
    return record


def _read_path(
    path: Path, *, space: SearchSpace | None, score: str | None, maximize: bool | None
) -> Record:
    options: dict[str, Any] = {"space": space, "score": score, "maximize": maximize}
    if path.is_dir():
        from fractal_tuner.readers.keras_project import read_project

        return read_project(path, **options)
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise ValueError(f"{path} is empty")
    if head.startswith(_JOURNAL):
        from fractal_tuner.readers.journals import read_journal

        return read_journal(path, **options)
    if head.startswith(b"SQLite format 3\x00") or b'"op_code"' in head.partition(b"\n")[0]:
        from fractal_tuner.readers.optuna_study import read_storage

        return read_storage(path, **options)
    if path.name in ("oracle.json", "trial.json"):
        raise ValueError(f"{path} is a file of a Keras Tuner project; give the project's folder")
    if b"\0" in head or head.lstrip().startswith((b"{", b"[")):
        raise ValueError(
            f"{path} is no journal, no storage of Optuna and no CSV file, nor the folder of a "
            "Keras Tuner project"
        )
    from fractal_tuner.readers.tables import read_csv

    return read_csv(path, **options)
