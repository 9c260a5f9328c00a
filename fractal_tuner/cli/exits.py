"""How a command ends."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, with what they mean."""

    def __new__(cls, code: int, meaning: str) -> Exit:
        """A code that knows its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    meaning: str

    GOOD = 0, "done, and nothing to report"
    FINDING = 1, "check found a fault; compare found a difference beyond the noise"
    USAGE = 2, "wrong usage, or an output that cannot be written"
    UNREADABLE = 3, "the source cannot be read, or not with these options"
    TOO_FEW = 4, "too few trials with a score"
    INTERRUPTED = 130, "interrupted"

    @classmethod
    def listing(cls) -> str:
        """A line for each."""
        return "\n".join(f"{code.value:>5}  {code.meaning}" for code in cls)


class CommandError(Exception):
    """What ends a command early, in one line for the user."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def cannot_write(place: object, error: OSError) -> CommandError:
    """The failure of an output."""
    return CommandError(Exit.USAGE, f"cannot write to {place}: {error.strerror or error}")
