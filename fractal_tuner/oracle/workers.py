"""Workers of a distributed search: which of them live, and how they outlive their chief.

Keras Tuner's chief waits for ever for a worker that is dead. Workers of a FractalTuner therefore
give a sign of life while a trial runs, and the chief gives the trial of a silent one to another.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from keras_tuner.src import protos  # private (since 1.4.7): the messages between chief and worker

_SIGNS_PER_TIMEOUT = 4
# A chief that dies breaks the calls which it is answering; the next one answers them.
_PATIENCE = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class Attendance:
    """When each worker was last heard of.

    Parameters
    ----------
    timeout : float or None
        Seconds of silence after which a worker is taken for dead; None for never.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._heard: dict[str, float] = {}

    def hear(self, worker: str) -> None:
        """Note that a worker lives."""
        self._heard[worker] = time.monotonic()

    def silent(self, workers: Iterable[str]) -> list[str]:
        """Those of ``workers`` that have been silent for too long, since they were known."""
        if self._timeout is None:
            return []
        now = time.monotonic()
        return [w for w in workers if now - self._heard.setdefault(w, now) > self._timeout]


@contextmanager
def signs_of_life(oracle: Any, trial_id: str, timeout: float | None) -> Iterator[None]:
    """Ask a chief for a trial now and then, which tells it that the trial's worker lives."""
    over = threading.Event()

    def give() -> None:
        while timeout is not None and not over.wait(timeout / _SIGNS_PER_TIMEOUT):
            try:
                oracle.get_trial(trial_id)
            except grpc.RpcError:  # there is no chief now; its successor counts from its start
                continue

    # Not waited for at the end: where there is no chief, a call takes until there is one.
    threading.Thread(target=give, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def patient_stub() -> Any:
    """A worker's connection whose calls survive that the chief dies and is started again."""
    address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
    options = [
        ("grpc.service_config", json.dumps(_PATIENCE)),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    return protos.get_service_grpc().OracleStub(grpc.insecure_channel(address, options=options))
