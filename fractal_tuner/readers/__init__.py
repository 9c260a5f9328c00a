"""Readers: the trials that this package or another tool recorded, in one form.

``read`` takes a search, a tuner, a study, a table or a file, and returns a :class:`Record`. Nothing
is written, locked or run; a host is imported only where its files cannot be read without it.
"""

from fractal_tuner.readers.infer import infer_space
from fractal_tuner.readers.record import Record
from fractal_tuner.readers.sources import read

__all__ = ["Record", "infer_space", "read"]
