"""The command that goes from one spoken description to another in steps: `scripts/morph.sh one.wav other.wav`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tyro.conf import Positional

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder, replacing

if TYPE_CHECKING:
    from PIL import Image

GAP = 4  # px between pictures
MAX_STEPS, MAX_SAMPLES = 50, 20


@dataclass(frozen=True)
class MorphConfig:
    """Between which descriptions, and how finely."""

    recordings: Positional[tuple[Path, ...]] = ()
    """Two recordings (wav, flac, ogg, mp3, m4a, aac, webm; 0.3 to 30 s)."""
    output: Path = Path("outputs/morph.png")
    """Where the strip goes (.png or .jpg), by default in `outputs` where you are; a column a step, a row a sample."""
    steps: int = 7
    """Pictures from one to the other, both included; 2 shows what the words alone change."""
    samples: int = 1
    """Rows, each with noise of its own, which is the same along the row."""
    resolution: int = 256
    """Side in px of each picture."""
    force: bool = False
    """Paint recordings that hold no speech, too: music, noise, a bird's song."""
    seed: int = 0
    """Chooses the noise; the same seed gives the same pictures."""
    here: ClassVar[tuple[str, ...]] = ("output",)

    model: Path = Path("pretrained")
    """Folder with speech.safetensors and generator.safetensors."""

    def __post_init__(self) -> None:
        cli.check_range("steps", self.steps, 2, MAX_STEPS)
        cli.check_range("samples", self.samples, 1, MAX_SAMPLES)
        cli.check_range("seed", self.seed, 0)
        if self.output.suffix.lower() not in (".png", ".jpg"):
            raise InputError(f"--output {self.output}: should end in .png or .jpg")


def main(arguments: list[str]) -> None:
    """Paint what the command line asks for."""
    description = "Paint the way from one spoken description to another, with the same noise all along."
    config = cli.parse_tool(MorphConfig, arguments, description=description)
    if len(config.recordings) != 2:
        raise InputError(f"recordings: {len(config.recordings)} given; name two, where it begins and where it ends")
    make_folder(config.output.parent)
    strip = draw(config)
    with replacing(config.output) as temporary:
        strip.save(temporary, "PNG" if config.output.suffix.lower() == ".png" else "JPEG", quality=90)
    print(config.output)


def draw(config: MorphConfig) -> "Image.Image":
    """The strip.

    Raises:
        InputError: for a recording that is none, a bad model, or a resolution that it does not paint.
    """
    import numpy as np  # these take a second to import, which --help need not wait for
    from PIL import Image

    from attngan.networks.condition import morph
    from datasets import audio
    from s2i.model import speech_presence
    from s2i.model.pipeline import SpeechToImage

    model = SpeechToImage.load(config.model)
    resolutions = model.generator.resolutions
    if config.resolution not in resolutions:
        raise InputError(
            f"--resolution {config.resolution}: the model paints {', '.join(map(str, resolutions))} px; "
            "choose one of these"
        )
    if not config.force:
        for recording in config.recordings:
            speech_presence.check(audio.load(recording), str(recording))
    one, other = (model.hear(recording, force=True).condition for recording in config.recordings)
    width = config.resolution + GAP
    canvas = np.full((config.samples * width - GAP, config.steps * width - GAP, 3), 255, np.uint8)
    for column in range(config.steps):
        condition = morph(one, other, column / (config.steps - 1))
        painted = model.paint(
            condition, samples=config.samples, seed=config.seed, stages=resolutions.index(config.resolution) + 1
        ).stages[-1]
        for row, picture in enumerate(painted):
            top, left = row * width, column * width
            canvas[top : top + config.resolution, left : left + config.resolution] = picture
    return Image.fromarray(canvas)


if __name__ == "__main__":
    cli.run(main)
