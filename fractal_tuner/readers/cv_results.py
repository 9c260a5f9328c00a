"""``cv_results_`` of scikit-learn's searches and of those that follow them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fractal_tuner.dimensions import as_dimension
from fractal_tuner.readers.record import Entry, Record, log_of, score_label
from fractal_tuner.space import SearchSpace, as_space
from fractal_tuner.trials import TrialLog

_MEAN = "mean_test_"
_OURS = "status", "error"  # columns that this package adds to a table


def read_fitted_search(
    search: Any, *, space: SearchSpace | None, score: str | None, maximize: bool | None
) -> Record:
    """The record of a fitted search of scikit-learn, or of any other with ``cv_results_``."""
    refit, scoring = getattr(search, "refit", None), getattr(search, "scoring", None)
    metric = refit if isinstance(refit, str) else None
    label = scoring if isinstance(scoring, str) else "score"
    results: Mapping[str, Any] = search.cv_results_
    record, ids = record_of(
        results,
        list(results["params"]),
        type(search).__name__,
        space=space,
        known=_space_of(search),
        score=score if score is not None else metric if f"{_MEAN}{metric}" in results else None,
        label=label,
        maximize=maximize,
    )
    best = getattr(search, "best_index_", None)
    own = score in (None, metric) and maximize is not False
    seed = getattr(search, "random_state", None)
    return Record(
        record.trials,
        record.tool,
        record.score_name,
        ids[int(best)] if own and best is not None else None,
        _stop_reason(search, record.trials),
        seed=int(seed) if isinstance(seed, int | np.integer) else None,
        notes=record.notes,
    )


def _stop_reason(search: Any, trials: TrialLog) -> str | None:
    """The reason that shows in what the search was given: its whole grid, or its ``n_iter``."""
    if _space_of(search) is not None and len({t.key for t in trials}) == trials.space.size:
        return "space exhausted"
    return "budget" if len(trials) == getattr(search, "n_iter", None) else None


def record_of(
    results: Mapping[str, Sequence[Any]],
    params: Sequence[dict[str, Any]],
    tool: str,
    *,
    space: SearchSpace | None = None,
    known: SearchSpace | None = None,
    score: str | None = None,
    label: str = "score",
    maximize: bool | None = None,
) -> tuple[Record, list[int | None]]:
    """The record of a table like ``cv_results_``, and the id of each row's trial.

    Raises
    ------
    ValueError
        If ``score`` names no metric of the table.
    """
    notes: list[str] = []
    metrics = [name.removeprefix(_MEAN) for name in results if name.startswith(_MEAN)]
    chosen = _chosen(metrics, score, notes)
    sign = -1 if maximize is False else 1
    scores = sign * _floats(results, _MEAN + chosen)
    splits = [n for n in results if n.startswith("split") and n.endswith(f"_test_{chosen}")]
    folds = sign * np.array([_floats(results, n) for n in splits]).reshape(len(splits), len(params))
    resources = _floats(results, "n_resources") if "n_resources" in results else None
    if resources is not None:
        params = _without_resource(params, resources)
    seconds = {
        name: _floats(results, f"mean_{name}")
        for name in ("fit_time", "score_time")
        if f"mean_{name}" in results
    }
    others = {m: _floats(results, _MEAN + m) for m in metrics if len(metrics) > 1}
    entries = []
    for row, values in enumerate(params):
        details: dict[str, Any] = {"row": row}
        details |= {k: float(v[row]) for k, v in seconds.items() if math.isfinite(v[row])}
        if others:
            details["metrics"] = {m: float(v[row]) for m, v in others.items()}
        entry = Entry(values, float(scores[row]), details=details)
        if resources is not None:
            entry.resource = details["n_resources"] = float(resources[row])
        _settle(entry, folds[:, row], *(results[n][row] if n in results else None for n in _OURS))
        entries.append(entry)
    log, ids = log_of(entries, notes, space=space, known=known)
    name = score_label(label if chosen == "score" else chosen, sign > 0)
    return Record(log, tool, name, notes=tuple(notes)), ids


def _settle(entry: Entry, folds: np.ndarray, status: Any, error: Any) -> None:
    """Write down how a row ended; its status and error are those of our tables, if it has them."""
    good = folds[np.isfinite(folds)]
    if math.isfinite(entry.score):
        entry.folds = good.tolist()
    elif status == "running":
        entry.status = "running"
    else:
        bad = len(folds) - len(good)
        why = f"{bad} of {len(folds)} folds gave no finite score" if bad else "no finite score"
        entry.status, entry.error = "failed", str(error) if isinstance(error, str) else why
        if status == "pruned":
            entry.details["pruned"] = True
        entry.folds = folds.tolist()


def _chosen(metrics: Sequence[str], score: str | None, notes: list[str]) -> str:
    wanted = None if score is None else score.removeprefix(_MEAN)
    if wanted is not None and wanted in metrics:
        return wanted
    if wanted is not None or not metrics:
        raise ValueError(f"score {score!r} is not in the results; they have {list(metrics)}")
    if len(metrics) > 1:
        notes.append(f"of the metrics {', '.join(metrics)} the first was taken as the score")
    return metrics[0]


def _without_resource(
    params: Sequence[dict[str, Any]], resources: np.ndarray
) -> Sequence[dict[str, Any]]:
    """Candidates without the parameter that halving uses as its resource, if it is one."""
    names = set(params[0]) if params else set()
    spent = {
        n
        for n in names
        if all(
            isinstance(p.get(n), numbers.Real) and p[n] == r
            for p, r in zip(params, resources, strict=True)
        )
    }
    return [{n: v for n, v in p.items() if n not in spent} for p in params]


def _floats(results: Mapping[str, Sequence[Any]], name: str) -> np.ndarray:
    """A column of numbers as (n,) float64; NaN for what is missing."""
    try:
        return np.array([math.nan if v is None else float(v) for v in results[name]])
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} must hold numbers: {error}") from None


def _with_ends(given: Any) -> Any:
    """A space whose distributions reach to their ends, as those of other searches do."""
    if isinstance(given, Mapping):
        return {name: as_dimension(name, d, keep_ends=True) for name, d in given.items()}
    return [_with_ends(member) for member in given] if isinstance(given, list) else given


def _space_of(search: Any) -> SearchSpace | None:
    """The space that a search was given, if it is one that can be understood."""
    for name in ("param_distributions", "param_grid", "search_spaces"):
        given = getattr(search, name, None)
        if given is not None:
            try:
                return as_space(_with_ends(given))
            except (TypeError, ValueError):
                return None
    return None
