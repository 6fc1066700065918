"""Results of long computations on disk, so that an evaluation that was stopped goes on where it was."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.files import make_folder, replacing, write_text


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
        try:
            with np.load(path, allow_pickle=False) as file:
                return {key: torch.from_numpy(file[key]) for key in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # not there, or damaged
            pass
        found = {key: value.detach().cpu() for key, value in compute().items()}
        with replacing(path) as temporary:
            np.savez(temporary, **{key: value.numpy() for key, value in found.items()})  # type: ignore[arg-type]
        return found

    def plain(self, name: str, identity: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """The same for what JSON can hold."""
        path = self.path(name, identity, ".json")
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass
        found = compute()
        write_text(path, json.dumps(found))
        return found
