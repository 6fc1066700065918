"""A folder that holds a model: the names of its files, and `model.json`, which knows their checksums."""

import json
from pathlib import Path
from typing import Any

from datasets.errors import InputError
from datasets.files import require_file, sha256, write_text

SPEECH, GENERATOR, DAMSM = "speech.safetensors", "generator.safetensors", "damsm.safetensors"
MANIFEST = "model.json"


def write_manifest(folder: Path, descriptions: dict[str, dict[str, Any]]) -> None:
    """Write `model.json`: for each file its size, its checksum and what it says of itself."""
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name), **description}
        for name, description in descriptions.items()
    }
    write_text(folder / MANIFEST, json.dumps({"files": files}, indent=2, default=str) + "\n")


def check(folder: Path) -> None:
    """Check that `folder` holds a model whose files are those that its `model.json`, if there is one, describes.

    Raises:
        InputError: if the folder or a file is missing, or a checksum differs.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: model folder not found; name one with {SPEECH} and {GENERATOR} in it")
    for name in (SPEECH, GENERATOR):
        require_file(folder / name, "model file")
    manifest = folder / MANIFEST
    if not manifest.exists():
        return
    try:
        wanted = {name: json.loads(manifest.read_bytes())["files"][name]["sha256"] for name in (SPEECH, GENERATOR)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{manifest}: does not tell the checksums of the model; copy the folder again") from error
    for name, checksum in wanted.items():
        if sha256(folder / name) != checksum:
            raise InputError(
                f"{folder / name}: is not the file that {MANIFEST} beside it describes, or cut off; copy the folder "
                "again, or export the model again"
            )
