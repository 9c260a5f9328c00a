"""Fingerprints: what scores depend on, as JSON that is the same in every process."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np


def data_hash(data: Any) -> str:
    """A hash of the values in an array, a sparse matrix, a table, or anything else.

    Not of the containers: tables and sparse matrices cache what they learn about themselves, so
    that their own hash changes with use.
    """
    if hasattr(data, "tocsr"):
        csr = data.tocsr()
        return str(joblib.hash([csr.shape, csr.data, csr.indices, csr.indptr]))
    if hasattr(data, "columns"):
        return str(joblib.hash([(str(name), np.asarray(data[name])) for name in data.columns]))
    return str(joblib.hash(np.asarray(data) if hasattr(data, "__array__") else data))


def described(value: Any, *, with_params: bool = True) -> Any:
    """A value as JSON: what it is, and the contents of what may differ inside.

    Estimators are told apart by their parameters, functions by their code and what they have
    closed over, other objects by their state. Objects that cannot be pickled are told apart by
    their types only.

    Parameters
    ----------
    value : object
    with_params : bool
        Whether estimators are described with their parameters.

    Examples
    --------
    >>> described([1, (2.5, None)])
    [1, [2.5, None]]
    >>> described(lambda x: x) == described(lambda x: x + 1)
    False
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {repr(k): described(v, with_params=with_params) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [described(v, with_params=with_params) for v in value]
    if isinstance(value, type):
        return {"type": _name(value)}
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False) if with_params else {}
        return {"type": _name(type(value))} | {k: described(v) for k, v in params.items()}
    if isinstance(value, functools.partial):
        return {"partial": described(value.func), "of": described([value.args, value.keywords])}
    if isinstance(value, types.FunctionType):
        return {"function": _name(value), "hash": _function_hash(value)}
    if hasattr(value, "_score_func"):  # scikit-learn's scorers, which are pickled by name
        return {"type": _name(type(value))} | {k: described(v) for k, v in vars(value).items()}
    if hasattr(value, "__qualname__"):  # built-in functions, methods
        return {"function": _name(value)}
    try:
        return {"type": _name(type(value)), "hash": data_hash(value)}
    except Exception:  # whatever pickling meets: open files, locks, local classes
        return {"type": _name(type(value))}


def _name(named: Any) -> str:
    return f"{named.__module__}.{named.__qualname__}"


def _function_hash(function: types.FunctionType) -> str:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    known = [cell for cell in cells if cell is not function]  # it may call itself
    inside = described([known, function.__defaults__, function.__kwdefaults__])
    return hashlib.sha256(repr((_code(function.__code__), inside)).encode()).hexdigest()


def _code(code: types.CodeType) -> tuple[Any, ...]:
    """What a function does, wherever it stands; other versions of Python write it otherwise."""
    parts = (_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, tuple(parts)
