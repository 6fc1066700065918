"""A small JSON that says how a picture was painted, so that it can be painted again, bit for bit on the same machine.

It names the model by its checksums and the recording by that of its samples, and holds neither.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.runtime.training_options import PRECISIONS, SINGLE
from datasets.errors import InputError
from datasets.files import require_file
from datasets.json_file import parse_json
from s2i.model.model_folder import DAMSM, GENERATOR, SPEECH, ModelFolder

FORMAT = 1
KIND = "painting"
MAX_BYTES = 100_000
MAX_THREADS = 1024  # that a file may tell of; what paints again takes no more than this machine has cores


@dataclass(frozen=True)
class Source:
    """What was said or typed; one of the two is empty.

    Attributes:
        text: the words that were typed.
        speech: checksum of the samples that were heard (`checksum`).
    """

    text: str = ""
    speech: str = ""


@dataclass(frozen=True)
class PaintingFile:
    """How one picture was painted.

    Attributes:
        sources: one, or the two that it lies between.
        share: how much of the second source, from 0 to 1.
        seed: chooses the noise.
        sample: which picture of that seed, from 0.
        model: checksum of each file that took part.
        pixels: checksum of the largest picture's pixels.
        threads: how many computed it; sums are rounded differently when they are shared out differently.
        versions: of what computed it.
        precision: that it was painted in, of `attngan.runtime.device`.
    """

    sources: tuple[Source, ...]
    share: float
    seed: int
    sample: int
    model: dict[str, str]
    pixels: str
    threads: int = field(default_factory=torch.get_num_threads)
    versions: dict[str, str] = field(default_factory=lambda: versions())
    precision: str = SINGLE

    def to_json(self) -> str:
        """The file's text."""
        told = asdict(self)
        if self.precision == SINGLE:  # which older programs know nothing else of
            del told["precision"]
        return json.dumps({"kind": KIND, "format": FORMAT, **told}, indent=1) + "\n"

    def check_model(self, folder: ModelFolder) -> None:
        """Check that `folder` holds the model that painted.

        Raises:
            InputError: if a file is missing or another.
        """
        for name, checksum in self.model.items():
            if folder.checksum(name) != checksum:
                raise InputError(
                    f"{folder / name}: is not the model that painted this picture; name its folder: --model"
                )


def checksum(values: Tensor | np.ndarray) -> str:
    """Checksum of the bytes of samples or pixels."""
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def model_checksums(folder: ModelFolder, *, speech: bool, text: bool) -> dict[str, str]:
    """Checksums of the files of `folder` that take part where there is speech, or text, or both."""
    names = [GENERATOR, *([SPEECH] if speech else []), *([DAMSM] if text else [])]
    return {name: folder.checksum(name) for name in names}


def versions() -> dict[str, str]:
    """Versions of what decides about rounding."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
    }


def load(path: str | Path) -> PaintingFile:
    """Read what `PaintingFile.to_json` gave.

    Raises:
        InputError: if the file is missing, is something else, or of another version.
    """
    path = require_file(path, "painting")
    with open(path, "rb") as file:
        return parse(file.read(MAX_BYTES + 1), path)


def parse(data: bytes, path: str | Path) -> PaintingFile:
    """Read the text of `PaintingFile.to_json` that `path` held.

    Raises:
        InputError: if it is something else, or of another version.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("it is too large")
        given = parse_json(data, dict)
        kind, version = given.pop("kind"), given.pop("format")
        if kind == KIND and version == FORMAT:
            sources = tuple(
                Source(**{key: _kind_of(str, v) for key, v in source.items()}) for source in given["sources"]
            )
            _kind_of(int, given["seed"]), _kind_of(int, given["sample"]), _kind_of(str, given["pixels"])
            computed_by = {str(key): _kind_of(str, value) for key, value in _kind_of(dict, given["versions"]).items()}
            model = {_name(name): _kind_of(str, value) for name, value in given["model"].items()}
            threads = _kind_of(int, given["threads"])
            if not (1 <= len(sources) <= 2 and 0 <= given["share"] <= 1 and given["seed"] >= 0 <= given["sample"]):
                raise ValueError("a number is out of range")
            if not 1 <= threads <= MAX_THREADS:
                raise ValueError(f"{threads} threads are out of range")
            if given.get("precision", SINGLE) not in PRECISIONS:
                raise ValueError(f"precision {str(given['precision'])[:40]!r} is unknown")
            share = float(given["share"])
            return PaintingFile(
                **{**given, "sources": sources, "share": share, "model": model, "versions": computed_by}
            )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path}: is not a file about a painting ({error}); download it again from the page"
        ) from error
    raise InputError(f"{path}: is a {kind} of format {version}, this program reads {KIND} {FORMAT}; update the program")


def _kind_of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{str(value)[:40]!r} should be {kind.__name__}")
    return value


def _name(name: str) -> str:
    """A model file's own name, so that no other file is read."""
    if name not in (SPEECH, GENERATOR, DAMSM):
        raise ValueError(f"{name[:40]!r} is no model file")
    return name
