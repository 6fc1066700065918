"""A folder that holds a model: the names of its files, and `model.json`, which knows their checksums."""

import json
import os
from pathlib import Path
from typing import Any

from datasets.cli import repository
from datasets.errors import InputError
from datasets.files import require_file, sha256, write_text
from datasets.json_file import read_json

SPEECH, GENERATOR, DAMSM = "speech.safetensors", "generator.safetensors", "damsm.safetensors"
MANIFEST = "model.json"


def write_manifest(folder: Path, descriptions: dict[str, dict[str, Any]]) -> None:
    """Write `model.json`: for each file its size, its checksum and what it says of itself."""
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name), **description}
        for name, description in descriptions.items()
    }
    write_text(folder / MANIFEST, json.dumps({"files": files}, indent=2, default=str) + "\n")


class ModelFolder:
    """A folder that holds a model, each of whose files is read for its checksum once.

    Args:
        path: of the folder; None for the one that is shipped.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = repository() / "pretrained" if path is None else Path(path)
        self._checksums: dict[str, str] = {}

    def __truediv__(self, name: str | Path) -> Path:
        """The path of a file in it."""
        return self.path / name

    def __str__(self) -> str:
        return str(self.path)

    def checksum(self, name: str) -> str:
        """SHA-256 of a file in it.

        Raises:
            InputError: if the file is missing.
        """
        if name not in self._checksums:
            self._checksums[name] = sha256(require_file(self / name, "model file"))
        return self._checksums[name]

    def check(self) -> tuple[str, ...]:
        """Check that it holds a model whose files are those that its `model.json`, if there is one, describes.

        Returns:
            The names of the networks in it: generator, and speech encoder unless `model.json` knows of none, since
            the model paints typed words alone.

        Raises:
            InputError: if the folder or a file is missing, or a checksum differs.
        """
        if not os.path.isdir(self.path):  # unlike Path's own, it does not mind names that cannot be
            raise InputError(f"{self}: model folder not found; name one with {SPEECH} and {GENERATOR} in it")
        manifest = self / MANIFEST
        if not os.path.exists(manifest):
            for name in (SPEECH, GENERATOR):
                require_file(self / name, "model file")
            return SPEECH, GENERATOR
        try:
            described = read_json(manifest, "model description", "copy the folder again", dict)["files"]
            names = (SPEECH, GENERATOR) if SPEECH in described or DAMSM not in described else (GENERATOR,)
            checksums = {name: described[name]["sha256"] for name in names}
        except (KeyError, TypeError) as error:
            raise InputError(f"{manifest}: does not tell the checksums of the model; copy the folder again") from error
        for name, checksum in checksums.items():
            if self.checksum(name) != checksum:
                raise InputError(
                    f"{self / name}: is not the file that {MANIFEST} beside it describes, or cut off; copy the folder "
                    "again, or export the model again"
                )
        return names
