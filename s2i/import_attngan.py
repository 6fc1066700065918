"""The command that makes a model of ours of AttnGAN's published files: `scripts/import_attngan.sh netG.pth ...`."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tyro.conf import Positional

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder, require_file, sha256
from s2i.model import model_folder

FILES = ("netG.pth", "text_encoder200.pth", "image_encoder200.pth", "captions.pickle")
GAMMAS = {"gamma1": 4.0, "gamma2": 5.0, "gamma3": 10.0}  # of DAMSM's loss, in AttnGAN's configuration for birds


@dataclass(frozen=True)
class ImportConfig:
    """Which published files become a model, and where it goes."""

    files: Positional[tuple[Path, ...]] = ()
    """AttnGAN's generator (netG.pth), DAMSM's text_encoder200.pth and image_encoder200.pth, and the captions.pickle
    that they were trained with, in this order."""
    output: Path = Path("outputs/attngan")
    """Folder that becomes the model, by default outputs/attngan where you are; the same files in it are replaced."""

    here: ClassVar[tuple[str, ...]] = ("output",)


def main(arguments: list[str]) -> None:
    """Import what the command line names."""
    description = "Make a model of AttnGAN's published weights: it paints typed words, and DAMSM trains other networks."
    config = cli.parse_tool(ImportConfig, arguments, description=description)
    if len(config.files) != len(FILES):
        raise InputError(f"files: {len(config.files)} given; name four: {' '.join(FILES)}")
    import_files(*config.files, output=config.output)


def import_files(gan: Path, text: Path, image: Path, captions: Path, *, output: Path) -> list[Path]:
    """Write generator.safetensors, damsm.safetensors and `model.json`; print their sizes and return the former two.

    Raises:
        InputError: if a file is missing, damaged, would run code, is something else or does not fit the others, or if
            the folder cannot be written; the folder then is as it was.
    """
    for path, name in zip((gan, text, image, captions), FILES, strict=True):
        require_file(path, f"AttnGAN's {name}")
    from attngan.networks import published  # torch, which --help need not wait for
    from attngan.networks.condition import DIMENSION
    from attngan.networks.encoders import DAMSM_KIND
    from attngan.networks.generator import GENERATOR_KIND
    from attngan.runtime import checkpoint
    from attngan.runtime.machine import environment
    from attngan.runtime.state_dict import read_state_dict

    vocabulary = published.read_vocabulary(captions)
    generator = published.generator_from(read_state_dict(gan, published.GENERATOR), gan)
    reader = published.text_encoder_from(read_state_dict(text, published.TEXT), vocabulary, text)
    viewer = published.image_encoder_from(read_state_dict(image, published.IMAGE), image)
    widths = {
        gan: generator.augmentation.project.in_features,
        text: 2 * reader.recurrent.hidden_size,
        image: viewer.project_pooled.out_features,
    }
    for path, width in widths.items():
        if width != DIMENSION:
            raise InputError(f"{path}: has {width} dimensions, published models {DIMENSION}; give the right file")
    about: dict[str, Any] = {**environment(), "imported": {path.name: sha256(path) for path in (*widths, captions)}}
    damsm = {
        "kind": f"{DAMSM_KIND}-weights",
        "image": {"trunk": "inception"},
        "caption": "text",
        "vocabulary": vocabulary.words,
        "skips_unknown": True,
        "cell": "gru" if type(reader.recurrent).__name__ == "GRU" else "lstm",
        "embedding": reader.embedding.embedding_dim,
        "config": GAMMAS,
    }
    painter = {"kind": GENERATOR_KIND, "generator": generator.arguments, "condition": "text"}
    states = {"image": viewer.state_dict(), "caption": reader.state_dict()}
    parts: dict[str, tuple[Any, dict[str, Any]]] = {
        model_folder.GENERATOR: (generator.state_dict(), {**painter, **about}),
        model_folder.DAMSM: (states, {**damsm, **about}),
    }
    make_folder(output)
    with tempfile.TemporaryDirectory(dir=output, prefix=".import-") as temporary:
        made = Path(temporary)
        for name, (state, description) in parts.items():
            checkpoint.save(made / name, state, description)
        described = {name: json.loads(json.dumps(description)) for name, (_, description) in parts.items()}
        model_folder.write_manifest(made, described)
        for name in (*parts, model_folder.MANIFEST):  # the checksums last: an interruption is noticed
            os.replace(made / name, output / name)
    for name in parts:
        print(f"{output / name}: {(output / name).stat().st_size / 1e6:.1f} MB")
    print(f'it paints words: scripts/generate.sh --model {output} --text "a small yellow bird"')
    return [output / name for name in parts]


if __name__ == "__main__":
    cli.run(main)
