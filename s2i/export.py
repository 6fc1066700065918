"""The command that makes a folder to ship of trained weights: `python -m s2i.export --sen FILE --gan FILE`."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder
from s2i.model import model_folder

PROGRAM = "program.pt2"
LIMIT = 24_000_000  # bytes in all: what a repository can bear


@dataclass(frozen=True)
class ExportConfig:
    """Which weights are shipped, and where they go."""

    sen: Path = Path("runs/sen/best.safetensors")
    """The speech encoder, made by scripts/train_sen.sh, or by scripts/train_damsm.sh --modality speech."""
    gan: Path = Path("runs/gan/generator.safetensors")
    """The generator, made by scripts/train_gan.sh."""
    damsm: Path | None = None
    """DAMSM, made by scripts/train_damsm.sh, to ship what retrieval and further training need as well."""
    torch_export: bool = False
    """Write program.pt2 as well: speech encoder and generator as one program of torch.export, from samples at 16 kHz
    and noise to pictures, to run the model without this code. Not of a speech encoder of --front speech."""
    output: Path = Path("outputs/model")
    """Folder that becomes the model; the same files in it are replaced. The shipped one is pretrained."""


def main(arguments: list[str]) -> None:
    """Export what the command line asks for."""
    export(cli.parse_tool(ExportConfig, arguments, description="Make a folder to ship of trained weights."))


def export(config: ExportConfig) -> list[Path]:
    """Write half-precision copies of the weights and `model.json`, which knows their checksums; print their sizes.

    Raises:
        InputError: if a file is not what its option wants, if all together are too large, or if the folder cannot be
            written; the folder then is as it was.
    """
    from attngan.networks.encoders import DAMSM_KIND, load_image_encoder  # torch, which --help need not wait for
    from attngan.networks.generator import GENERATOR_KIND, load_generator
    from attngan.runtime import checkpoint
    from s2i.model import program
    from s2i.model.speech_encoder import SPEECH_KIND, load_speech_encoder

    load_speech_encoder(config.sen)  # each builds its network, so that nothing is shipped that does not load
    load_generator(config.gan)
    state, description = checkpoint.load(config.sen, checkpoint.kind_of(config.sen))
    description["kind"] = f"{SPEECH_KIND}-weights"
    parts = {
        model_folder.SPEECH: ({"caption": state["caption"]}, description),
        model_folder.GENERATOR: checkpoint.load(config.gan, GENERATOR_KIND),
    }
    if config.damsm is not None:
        load_image_encoder(config.damsm)
        parts[model_folder.DAMSM] = checkpoint.load(config.damsm, f"{DAMSM_KIND}-weights")
    make_folder(config.output)
    descriptions = {name: portable(description) for name, (_, description) in parts.items()}
    with tempfile.TemporaryDirectory(dir=config.output, prefix=".export-") as temporary:
        made = Path(temporary)
        for name, (state, _) in parts.items():
            checkpoint.save(made / name, halve(state), descriptions[name])
        sizes = {name: (made / name).stat().st_size for name in parts}
        if sum(sizes.values()) > LIMIT:
            listed = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
            raise InputError(
                f"{config.output}: {listed}: more than {LIMIT / 1e6:.0f} MB in all; train smaller --widths, or leave "
                "--damsm out"
            )
        model_folder.write_manifest(made, descriptions)
        if config.torch_export:  # of the halved weights, so that it paints what the folder paints
            generator, _ = load_generator(made / model_folder.GENERATOR)
            program.export(load_speech_encoder(made / model_folder.SPEECH), generator, made / PROGRAM)
            os.replace(made / PROGRAM, config.output / PROGRAM)
        for name in (*parts, model_folder.MANIFEST):  # the checksums last: an interruption is noticed
            os.replace(made / name, config.output / name)
    if config.torch_export:
        print(f"{config.output / PROGRAM}: {(config.output / PROGRAM).stat().st_size / 1e6:.1f} MB")
    for name, size in sizes.items():
        print(f"{config.output / name}: {size / 1e6:.1f} MB")
    print(f"{config.output}: {sum(sizes.values()) / 1e6:.1f} MB in all, of at most {LIMIT / 1e6:.0f} MB")
    return [config.output / name for name in parts]


def halve(state: Any) -> Any:
    """Nested state with floating tensors as float16; what float16 cannot hold stays as it is."""
    import torch

    if isinstance(state, dict):
        return {name: halve(value) for name, value in state.items()}
    if isinstance(state, torch.Tensor) and state.is_floating_point():
        half = state.half()
        return half if torch.isfinite(half).all() else state
    return state


def portable(description: dict[str, Any]) -> dict[str, Any]:
    """The description with paths into this checkout relative to it."""
    text = json.dumps(description, default=str)
    return json.loads(text.replace(f"{cli.repository()}{os.sep}", ""))


if __name__ == "__main__":
    cli.run(main)
