"""The files of a Keras Tuner project, written so that a crash leaves none of them torn."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras_tuner


def write_whole(path: str, state: Any) -> str:
    """Write JSON so that a reader finds the old file or the new one, and nothing between."""
    text = json.dumps(state)
    if "://" in path:  # an object store, which replaces whole objects anyway
        with keras_tuner.src.backend.io.File(path, "w") as file:
            file.write(text)
        return text
    temporary = Path(f"{path}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return text
