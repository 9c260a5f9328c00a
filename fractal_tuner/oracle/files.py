"""The files of a Keras Tuner project: written whole, and read as far as they are whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from keras_tuner.src.backend import io  # private (since 1.4.7): files, also of object stores

State = dict[str, Any]


def write_whole(path: str, state: State) -> str:
    """Write JSON so that a reader finds the old file or the new one, and nothing between."""
    text = json.dumps(state)
    if "://" in path:  # an object store, which replaces whole objects anyway
        with io.File(path, "w") as file:
            file.write(text)
        return text
    temporary = Path(f"{path}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # a crash of the machine must not leave the new name empty
    os.replace(temporary, path)
    return text


def read_state(path: str) -> tuple[State, str | None]:
    """The JSON object in a file, or what is whole of it; and what is wrong, None if nothing is."""
    from fractal_tuner.readers.keras_project import whole_part

    if not io.exists(path):
        return {}, "is missing"
    try:
        with io.File(path, "r") as file:
            text = file.read()
    except UnicodeDecodeError:
        return {}, "is no text"
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        part = whole_part(text)
        return part if isinstance(part, dict) else {}, "is torn" if text else "is empty"
    return (found, None) if isinstance(found, dict) else ({}, "holds no JSON object")


def trial_ids(project: str) -> list[str]:
    """The trials that have a folder in a project."""
    folders = io.glob(os.path.join(project, "trial_*"))
    return sorted(os.path.basename(f.rstrip("/")).removeprefix("trial_") for f in folders)
