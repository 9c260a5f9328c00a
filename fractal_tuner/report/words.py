"""The words of a report: those of :mod:`fractal_tuner.words`."""

from fractal_tuner.words import (
    clean,
    count,
    duration,
    listing,
    names,
    number,
    params,
    reason,
    score,
    sentence,
    share,
    value,
)

__all__ = [
    "clean",
    "count",
    "duration",
    "listing",
    "names",
    "number",
    "params",
    "reason",
    "score",
    "sentence",
    "share",
    "value",
]
