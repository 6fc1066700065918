"""PNG files that tell how they were painted, so that a picture can be painted again from itself.

The text fields Software, Source, Seed and Model are for people. `painting` is what a replay file holds, and `condition`
is what the speech encoder made of a recording, so that nobody needs the recording, which the file does not hold.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load, save
from torch import Tensor

from attngan.networks.condition import Condition
from datasets import picture_file
from datasets.errors import InputError
from datasets.files import replacing, require_file
from s2i.model import replay
from s2i.model.model_folder import ModelFolder
from s2i.model.replay import PaintingFile, Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PAINTING, CONDITION = "painting", "condition"  # names of text fields
LONGEST = 1000  # words or segments of a condition that is read


@dataclass(frozen=True)
class Origin:
    """How one picture was painted.

    Attributes:
        painting: from what, with which noise and by which model.
        condition: the one caption that was painted, if it was heard; typed words are read again.
    """

    painting: PaintingFile
    condition: Condition | None = None


def origins(
    folder: ModelFolder,
    sources: Sequence[Source],
    largest: np.ndarray,
    *,
    condition: Condition,
    share: float,
    seed: int,
    first: int,
    precision: str,
) -> tuple[Origin, ...]:
    """How the pictures of one description were painted.

    Args:
        folder: of the model.
        sources: one, or the two that it lies between.
        largest: [N, S, S, 3], the last stage of each picture.
        condition: of one caption. share: how much of the second source.
        seed, first: of the noise, and the number of the first sample.
        precision: that it was painted in.
    """
    spoken, typed = any(source.speech for source in sources), any(source.text for source in sources)
    model = replay.model_checksums(folder, speech=spoken, text=typed)
    kept = condition.to("cpu") if spoken else None
    paintings = (
        PaintingFile(tuple(sources), share, seed, first + place, model, replay.checksum(pixels), precision=precision)
        for place, pixels in enumerate(largest)
    )
    return tuple(Origin(painting, kept) for painting in paintings)


def write(path: str | Path, pixels: np.ndarray, origin: Origin | None) -> None:
    """Write a picture [S, S, 3] uint8 as a PNG that tells its origin, if there is one.

    Raises:
        InputError: if the folder cannot be written or the disk is full; the picture is whole or not there.
    """
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG", pnginfo=None if origin is None else text_fields(origin))


def text_fields(origin: Origin) -> PngInfo:
    """The text fields of a picture's file."""
    painting, fields = origin.painting, PngInfo()
    fields.add_text("Software", "speech-to-image")
    told = [source.text or f"recording {source.speech}" for source in painting.sources]
    fields.add_text("Source", f" / {painting.share:.0%} ".join(told))
    fields.add_text("Seed", f"{painting.seed}" + (f", sample {painting.sample}" if painting.sample else ""))
    fields.add_text("Model", ", ".join(f"{name} {checksum}" for name, checksum in painting.model.items()))
    fields.add_text(PAINTING, painting.to_json(), zip=True)
    if origin.condition is not None:
        fields.add_text(CONDITION, _encode(origin.condition), zip=True)
    return fields


def read(path: str | Path) -> Origin:
    """How a picture was painted: from its own PNG, or from the JSON that the page gives with it.

    Raises:
        InputError: if the file is missing, tells nothing of a painting, or is damaged.
    """
    path = require_file(path, "painting")
    with open(path, "rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return Origin(replay.load(path))
    fields = _fields(path)
    if PAINTING not in fields:
        raise InputError(
            f"{path}: does not tell how it was painted, as pictures that another program saved do not; give the file "
            "that was painted, or the JSON of the page"
        )
    painting = replay.parse(fields[PAINTING].encode(), path)
    return Origin(painting, _decode(fields[CONDITION], path) if CONDITION in fields else None)


def _fields(path: Path) -> dict[str, str]:
    with picture_file.open_picture(picture_file.read(path), str(path)) as picture:
        try:
            found = getattr(picture, "text", {})
        except Exception as error:  # Pillow raises nearly anything where a file is cut off
            raise InputError(f"{path}: is damaged ({error}); copy it again") from error
    return {str(name): str(value) for name, value in found.items()}


def _encode(condition: Condition) -> str:
    words = condition.words[:, :, condition.mask[0]]
    tensors = {"sentence": condition.sentence, "words": words}
    return base64.b64encode(save({k: v.detach().float().cpu().contiguous() for k, v in tensors.items()})).decode()


def _decode(text: str, path: Path) -> Condition:
    try:
        tensors = load(base64.b64decode(text, validate=True))
        sentence, words = tensors["sentence"], tensors["words"]
        if not (_is_fit(sentence, 2) and _is_fit(words, 3) and sentence.shape[1] == words.shape[1]):
            raise ValueError("of another shape")
    except (binascii.Error, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{path}: what it tells of the recording is damaged ({reason}); copy it again") from error
    return Condition(sentence, words, torch.ones(1, words.shape[2], dtype=torch.bool))


def _is_fit(values: Tensor, dimensions: int) -> bool:
    shaped = values.dim() == dimensions and values.shape[0] == 1 and 0 < values.shape[-1] <= LONGEST
    return shaped and values.dtype == torch.float32 and bool(values.isfinite().all())
