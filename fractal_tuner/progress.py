"""A progress bar for the loops of the package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar and the time left on stderr while that is a terminal.

    Parameters
    ----------
    items : iterable
    what : str
        Stands before the bar.
    total : int, optional
        Number of items, where they do not know it themselves.

    Examples
    --------
    >>> sum(progress([1, 2, 3], "adding"))
    6
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(
        track(items, what, total, console=console, transient=True, disable=not console.is_terminal)
    )
