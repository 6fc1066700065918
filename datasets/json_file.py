"""JSON files that somebody may have damaged: read whole, or told in one line."""

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from datasets.errors import InputError
from datasets.files import require_file

MOST_BYTES = 64_000_000

Kind = TypeVar("Kind", dict, list)


def read_json(path: str | Path, what: str, remedy: str, kind: type[Kind]) -> Kind:
    """The object (`kind` dict) or the list that a JSON file holds.

    Args:
        what: its role, for messages. remedy: what to do if it cannot be used.

    Raises:
        InputError: if it is missing, larger than 64 MB, no UTF-8, no JSON, nested too deeply, or of another kind.
    """
    path = require_file(path, what)
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES // 1_000_000} MB")
        return parse_json(path.read_bytes(), kind)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error}); {remedy}") from error


def parse_json(data: str | bytes, kind: type[Kind]) -> Kind:
    """The object or the list in a JSON text.

    Raises:
        ValueError: if it is no UTF-8, no JSON, nested too deeply, or of another kind.
    """
    try:
        found: Any = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, kind):
        raise ValueError(f"it holds a {type(found).__name__} instead of a {kind.__name__}")
    return found
