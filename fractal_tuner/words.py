"""Numbers, times and users' text as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

_NAME_LENGTH = 60


def number(value: float | None, digits: int = 4) -> str:
    """A number in a few digits; a dash for none.

    Examples
    --------
    >>> number(0.123456), number(2.0), number(1e-7), number(25_000), number(None)
    ('0.1235', '2', '1e-07', '25,000', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    value = value + 0.0  # -0.0 is 0
    if float(value).is_integer() and 1e3 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def score(value: float, doubt: float = math.nan) -> str:
    """A score to the second digit of its doubt, but with at most six digits.

    Examples
    --------
    >>> score(0.93217, 0.0043), score(0.93217), score(1234.5, 20.0)
    ('0.9322', '0.9322', '1234')
    """
    if not (math.isfinite(value) and math.isfinite(doubt) and doubt > 0):
        return number(value)
    decimals = 1 - math.floor(math.log10(doubt))
    leading = math.floor(math.log10(abs(value))) + 1 if value else 1
    if leading > 12 or decimals > 12:
        return number(value, 6)
    return f"{value:.{max(min(decimals, 6 - leading), 0)}f}"


def share(value: float) -> str:
    """A share in per cent.

    Examples
    --------
    >>> share(0.123), share(0.0004), share(1.0), share(0.996), share(0.0)
    ('12 %', 'less than 1 %', '100 %', 'more than 99 %', '0 %')
    """
    if 0.0 < value < 0.01:
        return "less than 1 %"
    if 0.99 < value < 1.0:
        return "more than 99 %"
    return f"{100 * value:.0f} %"


def duration(seconds: float | None) -> str:
    """A time; a dash for none.

    Examples
    --------
    >>> duration(0.00042), duration(75), duration(7260), duration(216_000), duration(None)
    ('0.42 ms', '1 min 15 s', '2 h 1 min', '2.5 days', '-')
    """
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if 0.0 < seconds < 0.01:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 59.95:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"


def count(n: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> count(1, "trial"), count(2000, "trial")
    ('1 trial', '2,000 trials')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listing(items: Iterable[str], most: int | None = None) -> str:
    """Items in a sentence; of more than ``most``, how many are left out.

    Examples
    --------
    >>> listing(["a", "b", "c"]), listing("abcde", 3)
    ('a, b and c', 'a, b and 3 more')
    """
    shown = list(items) or [""]
    if most is not None and len(shown) > most:
        shown[most - 1 :] = [f"{len(shown) - most + 1:,} more"]
    *first, last = shown
    return f"{', '.join(first)} and {last}" if first else last


def names(given: Iterable[str]) -> str:
    """Names of dimensions in a sentence; of more than eight, how many are left out.

    Examples
    --------
    >>> names(["C", "gamma"])
    'C and gamma'
    """
    return listing((clean(name, 40) for name in given), 8)


def reason(text: str) -> str:
    """Why there is no number, with the noun that one of a kind has.

    Examples
    --------
    >>> reason("not enough data: 1 trials with a score, 2 are needed")
    'not enough data: 1 trial with a score, 2 are needed'
    """
    return re.sub(r"\b1 (trial|score|fold|place)s\b", r"1 \1", text)


def sentence(text: str) -> str:
    """A note as a sentence.

    Examples
    --------
    >>> sentence("two files were torn")
    'Two files were torn.'
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def clean(text: object, length: int = _NAME_LENGTH) -> str:
    r"""A user's text in one line, clipped, without characters that steer instead of being read.

    Examples
    --------
    >>> print(clean("a\n  b\x1b[31m\u202e"), clean("x" * 99, 8))
    a b\x1b[31m\u202e xxxxxxx…
    """
    line = printable(" ".join(str(text)[: 4 * length].split()))
    return line if len(line) <= length else line[: length - 1] + "…"


def printable(text: object) -> str:
    r"""Text without characters that could move a cursor, change its direction or end its line.

    Examples
    --------
    >>> print(printable("a\x1b[31m\n\u202eb"))
    a\x1b[31m\n\u202eb
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)
    )


def value(given: Any, length: int = _NAME_LENGTH) -> str:
    """A hyperparameter's value.

    Examples
    --------
    >>> value(0.30000000000000004), value(256), value("rbf"), value(None)
    ('0.3', '256', 'rbf', 'None')
    """
    if hasattr(given, "item") and getattr(given, "ndim", 1) == 0:  # numpy's scalars
        given = given.item()
    return f"{given:.4g}" if isinstance(given, float) else clean(given, length)


def params(given: Mapping[str, Any], most: int = 6) -> str:
    """Parameters in a sentence, at most so many.

    Examples
    --------
    >>> params({"C": 0.5, "kernel": "rbf"})
    'C = 0.5 and kernel = rbf'
    """
    pairs = [f"{clean(name, 40)} = {value(v, 40)}" for name, v in given.items()]
    if len(pairs) > most:
        pairs = [*pairs[: most - 1], count(len(pairs) - most + 1, "more parameter")]
    return listing(pairs) if pairs else "no parameters"
