"""The command that paints recordings: `scripts/generate.sh recording.wav --output DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder
from s2i.recordings import Handler, print_each

if TYPE_CHECKING:
    from torch import Tensor

    from s2i.pipeline import SpeechToImage

MAX_SAMPLES = 100


@dataclass(frozen=True)
class GenerateConfig:
    """What is painted, how often, and where the pictures go."""

    recordings: Positional[tuple[Path, ...]] = ()
    """Recordings (wav, flac, ogg, mp3; 0.3 to 30 s), or folders of them."""
    output: Path = Path("outputs")
    """Folder for the pictures; NAME-64.png and so on, after the recording."""
    samples: int = 1
    """How many pictures of each recording; with several they are called NAME-1-64.png and so on."""
    seed: int = 0
    """Chooses among the pictures of a description; the same seed gives the same pictures."""
    attention: bool = False
    """Draw as NAME-attention.png which segment of speech painted which region (of the first sample)."""
    model: Path = Path("pretrained")
    """Folder with speech.safetensors and generator.safetensors."""

    def __post_init__(self) -> None:
        cli.check_range("samples", self.samples, 1, MAX_SAMPLES)
        cli.check_range("seed", self.seed, 0)


def main(arguments: list[str]) -> int:
    """Paint what the command line asks for; 2 if a recording could not be, else 0."""
    description = "Paint spoken descriptions of birds: every recording becomes one picture of each size."
    config = cli.parse_tool(GenerateConfig, arguments, description=description)
    if not config.recordings:
        raise InputError("recordings: none given; name at least one recording, or a folder of them")
    return generate(config)


def generate(config: GenerateConfig) -> int:
    """Paint every recording that can be painted and print where the pictures are; 2 if any could not be, else 0.

    Raises:
        InputError: for a bad model, or an output folder that cannot be written; pictures saved before stay.
    """

    def prepare() -> Handler:
        from s2i.pipeline import SpeechToImage  # torch takes a second to import, which --help need not wait for

        make_folder(config.output)
        model = SpeechToImage.load(config.model)
        return lambda wave, name: _paint(model, wave, name, config)

    return print_each(config.recordings, prepare)


def _paint(model: "SpeechToImage", wave: "Tensor", name: str, config: GenerateConfig) -> list[Path]:
    pictures = model(wave, samples=config.samples, seed=config.seed)
    paths = pictures.save(config.output, name)
    if config.attention and pictures.attention:
        from s2i.attention_figure import save_figure  # matplotlib is slow to import

        figure = config.output / f"{name}-attention.png"
        save_figure(figure, pictures, title=name)
        paths.append(figure)
    return paths


if __name__ == "__main__":
    cli.run(main)
