"""Models in folders and on the Hugging Face Hub: found, and written."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attngan.networks.generator import GENERATOR_KIND, Generator
from attngan.runtime import checkpoint
from datasets.errors import InputError
from datasets.files import make_folder, replacing
from s2i.model import model_folder
from s2i.model.model_folder import DAMSM, GENERATOR, MANIFEST, SPEECH, ModelFolder
from s2i.model.speech_encoder import SPEECH_KIND, SpeechEncoder

RECOGNISER = "recogniser"
FILES = (SPEECH, GENERATOR, DAMSM, MANIFEST, f"{RECOGNISER}/*")  # that are fetched
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
INSTALL = "pip install huggingface_hub"


def find_model(name: str | Path, *, revision: str | None = None, **options: Any) -> Path:
    """The folder of a model: `name` itself, or the Hub's model of that name, which is fetched once.

    Args:
        revision: branch, tag or commit of the Hub's.
        options: others of `huggingface_hub.snapshot_download`.

    Raises:
        InputError: if there is no such folder or model, it cannot be fetched, or huggingface_hub is not installed.
    """
    if os.path.isdir(name):
        return Path(name)
    if not HUB_NAME.fullmatch(str(name)):
        raise InputError(
            f"{name}: model folder not found; name a folder, or a model of the Hugging Face Hub: OWNER/NAME"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError(f"{name}: no such folder, and fetching it from the Hub needs a package: {INSTALL}") from error
    try:
        return Path(snapshot_download(str(name), revision=revision, allow_patterns=list(FILES), **options))
    except Exception as error:  # of the network, of the Hub, or of what it was asked
        reason = next(iter(str(error).split("\n")), "")[:200] or type(error).__name__
        raise InputError(f"{name}: no such folder, and not to be had from the Hugging Face Hub ({reason})") from error


def save_model(
    folder: str | Path, source: ModelFolder | None, generator: Generator, encoder: SpeechEncoder | None
) -> list[Path]:
    """Write a model, and what reads and recognises words if its `source` has them, into `folder`; returns the files.

    Raises:
        InputError: if the folder cannot be written, or a file of the source is damaged.
    """
    from attngan.networks.encoders import DAMSM_KIND  # imports much that speech does not need

    made = make_folder(folder)
    about: dict[str, dict[str, Any]] = {}
    parts: list[tuple[str, str, nn.Module]] = [(GENERATOR, GENERATOR_KIND, generator)]
    if encoder is not None:
        parts.append((SPEECH, f"{SPEECH_KIND}-weights", encoder))
    for name, kind, network in parts:
        file = None if source is None else source / name
        if file is not None and kind != GENERATOR_KIND:
            kind = checkpoint.kind_of(file)  # of a text-free DAMSM, its speech half serves
        about[name] = _write(made / name, file, kind, network)
    if source is not None and (source / DAMSM).is_file():
        _copy(source / DAMSM, made / DAMSM)
        about[DAMSM] = checkpoint.load(made / DAMSM, f"{DAMSM_KIND}-weights")[1]
    if source is not None and (source / RECOGNISER).is_dir():
        for file in (source / RECOGNISER).iterdir():
            _copy(file, made / RECOGNISER / file.name)
    model_folder.write_manifest(made, about)
    return sorted(path for path in made.rglob("*") if path.is_file())


def _write(path: Path, file: Path | None, kind: str, network: nn.Module) -> dict[str, Any]:
    """Write a network, as the bytes of the file that it came from if it is still the same; returns its description."""
    own = network.state_dict()
    if file is None:
        arguments = {GENERATOR_KIND if kind == GENERATOR_KIND else "speech": network.arguments}
        state, about = None, {"kind": kind, **arguments}
    else:
        state, about = checkpoint.load(file, kind)
    kept = state if kind == GENERATOR_KIND or state is None else state["caption"]
    if file is not None and kept is not None and _are_same(kept, own):
        _copy(file, path)
    else:
        checkpoint.save(path, own if kind == GENERATOR_KIND else {"caption": own}, about)
    return about


def _are_same(kept: dict[str, Tensor], own: dict[str, Tensor]) -> bool:
    return kept.keys() == own.keys() and all(torch.equal(kept[name].to(v.dtype), v.cpu()) for name, v in own.items())


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
