"""Results of long computations on disk, so that an evaluation that was stopped goes on where it was."""

import hashlib
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.arrays import read_arrays
from datasets.errors import InputError
from datasets.files import make_folder, replacing, write_text
from datasets.json_file import read_json


class Cache:
    """A folder of results, each under the name and identity of what it was computed from.

    Args:
        folder: it is made if it is not there.

    Raises:
        InputError: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = make_folder(folder)

    def path(self, name: str, identity: dict[str, Any], suffix: str) -> Path:
        """Where the result is kept: NAME-HASH.SUFFIX."""
        told = json.dumps(identity, sort_keys=True, default=str)
        return self.folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}{suffix}"

    def arrays(
        self, name: str, identity: dict[str, Any], compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """What `compute` gives, or gave when it was called with the same name and identity before; CPU tensors."""
        path = self.path(name, identity, ".npz")
        with suppress(OSError, ValueError, TypeError, MemoryError):  # not there, or damaged
            return {key: torch.from_numpy(value) for key, value in read_arrays(path).items()}
        found = {key: value.detach().cpu() for key, value in compute().items()}
        with replacing(path) as temporary:
            np.savez(temporary, **{key: value.numpy() for key, value in found.items()})  # type: ignore[arg-type]
        return found

    def plain(self, name: str, identity: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """The same for what JSON can hold."""
        path = self.path(name, identity, ".json")
        with suppress(InputError, KeyError):  # not there, or damaged
            kept = read_json(path, "result", "", dict)
            if kept["crc32"] == _checksum(kept["found"]):
                return kept["found"]
        found = json.loads(json.dumps(compute()))
        write_text(path, json.dumps({"crc32": _checksum(found), "found": found}))
        return found


def _checksum(found: Any) -> int:
    return zlib.crc32(json.dumps(found).encode())
