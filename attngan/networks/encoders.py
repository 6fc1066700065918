"""The trained halves of DAMSM as files: built again from their description, never by executing code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from attngan.networks import trunks
from attngan.networks.condition import Condition, concatenate
from attngan.networks.image_encoder import ImageEncoder, InceptionTrunk, ScratchTrunk
from attngan.networks.text_encoder import TextEncoder
from attngan.runtime import checkpoint
from datasets.captions import UNKNOWN, Vocabulary, pad, tokenize
from datasets.errors import InputError

DAMSM_KIND = "damsm"


def build_image_encoder(description: dict[str, Any]) -> ImageEncoder:
    """An image encoder with fresh projections, from {"trunk": scratch, inception, efficientnet or timm's name, ...}.

    Raises:
        InputError: if the weights of the trunk are missing, or are not those that the description names.
    """
    if description["trunk"] == "inception":
        weights = description.get("weights")
        return ImageEncoder(InceptionTrunk(Path(weights) if weights else None))
    if description["trunk"] != "scratch":
        file = description.get("weights") or description.get("file")
        trunk = trunks.build(
            description["trunk"],
            size=description["size"],
            weights=Path(file) if file else None,
            checksum=description.get("checksum"),
        )
        return ImageEncoder(trunk, dropout=description.get("dropout", 0.2))
    arguments = {name: description[name] for name in ("size", "width")}
    return ImageEncoder(ScratchTrunk(blocks=tuple(description["blocks"]), **arguments))


def _load_half(path: Path, kind: str, half: str, module: nn.Module, state: dict[str, Any]) -> None:
    if half not in state:
        raise InputError(f"{path}: holds no {half} encoder; give a file that training {kind} wrote")
    checkpoint.load_weights(module, state[half], path)
    module.eval().requires_grad_(False)


def load_image_encoder(path: Path) -> tuple[ImageEncoder, dict[str, Any]]:
    """The frozen image encoder of a DAMSM file, and the file's description.

    Raises:
        InputError: if the file is missing, damaged, or something else.
    """
    state, description = checkpoint.load(path, f"{DAMSM_KIND}-weights")
    about = {"image": {"description": {**checkpoint.part(description, "image", path), "weights": None}}}
    encoder = checkpoint.build(build_image_encoder, about, "image", path)
    _load_half(path, DAMSM_KIND, "image", encoder, state)
    return encoder, description


def load_text_encoder(path: Path) -> tuple[TextEncoder, Vocabulary]:
    """The frozen text encoder of a DAMSM file, and its vocabulary.

    Raises:
        InputError: if the file is missing, damaged, or of a DAMSM that never saw text.
    """
    state, description = checkpoint.load(path, f"{DAMSM_KIND}-weights")
    if description.get("caption") != "text":
        raise InputError(f"{path}: this DAMSM was trained without text; give one trained with --modality text")
    words = {"words": checkpoint.part(description, "vocabulary", path)}
    words["skips_unknown"] = bool(description.get("skips_unknown", False))
    vocabulary = checkpoint.build(Vocabulary, {"vocabulary": words}, "vocabulary", path)
    arguments = {
        "n_words": len(vocabulary),
        "cell": description.get("cell", "lstm"),
        "embedding": description.get("embedding", 300),
    }
    encoder = checkpoint.build(TextEncoder, {"caption": arguments}, "caption", path)
    _load_half(path, DAMSM_KIND, "caption", encoder, state)
    return encoder, vocabulary


def encode_captions(
    encoder: TextEncoder, vocabulary: Vocabulary, captions: Sequence[str], *, batch_size: int = 256
) -> Condition:
    """The condition of N written captions, where the encoder is; one without words counts as one unknown word."""
    device = next(encoder.parameters()).device
    conditions = []
    for first in range(0, len(captions), batch_size):
        part = captions[first : first + batch_size]
        tokens, mask = pad([vocabulary.encode(text if tokenize(text) else UNKNOWN) for text in part])
        conditions.append(encoder(tokens.to(device), mask.to(device)))
    return concatenate(conditions)
