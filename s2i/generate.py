"""The command that paints recordings: `scripts/generate.sh recording.wav --output DIR`."""

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder
from datasets.recordings import Handler, print_each

if TYPE_CHECKING:
    from torch import Tensor

    from s2i.model.pipeline import Pictures, SpeechToImage
    from s2i.model.replay import PaintingFile

MAX_SAMPLES = 100


@dataclass(frozen=True)
class GenerateConfig:
    """What is painted, how often, and where the pictures go."""

    recordings: Positional[tuple[Path, ...]] = ()
    """Recordings (wav, flac, ogg, mp3, m4a, aac, webm; 0.3 to 30 s), or folders of them."""
    microphone: bool = False
    """Record a description now, until silence or Enter."""
    text: str = ""
    """A description in English to paint from its words, without speech."""
    output: Path = Path("outputs")
    """Folder for the pictures; NAME-64.png and so on, after the recording."""
    samples: int = 1
    """How many pictures of each recording; with several they are called NAME-1-64.png and so on."""
    seed: str = "0"
    """Chooses among the pictures of a description; the same seed gives the same pictures. Or the JSON that the page
    gives with a picture (scripts/app.sh), to paint that one again; name the recording too if it was spoken."""
    attention: bool = False
    """Draw as NAME-attention.png which segment of speech painted which region (of the first sample)."""
    model: Path = Path("pretrained")
    """Folder with speech.safetensors and generator.safetensors (and damsm.safetensors, for --text)."""

    def __post_init__(self) -> None:
        cli.check_range("samples", self.samples, 1, MAX_SAMPLES)
        if re.fullmatch(r"[+-]?\d+", self.seed):
            cli.check_range("seed", int(self.seed), 0)
        elif not self.seed.endswith(".json"):
            raise InputError(f"--seed {self.seed}: should be a whole number or a .json file that the page gave")
        if self.is_replay and (self.text or self.microphone or self.samples > 1):
            raise InputError("--seed: a .json file tells all; leave out --text, --microphone and --samples")

    @property
    def is_replay(self) -> bool:
        """Whether a picture of the page is painted again."""
        return self.seed.endswith(".json")


def main(arguments: list[str]) -> int:
    """Paint what the command line asks for; 2 if a recording could not be, else 0."""
    description = "Paint spoken descriptions of birds: every recording becomes one picture of each size."
    config = cli.parse_tool(GenerateConfig, arguments, description=description)
    if not (config.recordings or config.text or config.microphone or config.is_replay):
        raise InputError(
            "recordings: none given; name at least one recording, or a folder of them, or give --microphone or --text"
        )
    return generate(config)


def generate(config: GenerateConfig) -> int:
    """Paint everything that can be painted and print where the pictures are; 2 if any could not be, else 0.

    Raises:
        InputError: for a bad model, no microphone, words that are none, a painting file that does not fit, or an output
            folder that cannot be written; pictures saved before stay.
    """
    if config.is_replay:
        return _replay(config)
    bad = 0
    if config.microphone:
        from s2i.model import microphone

        wave = microphone.record()  # first, so that nobody waits for it
        _tell(_paint(_model(config), wave, microphone.name(), config))
    if config.text:
        from s2i.model.text_reader import TextReader

        read = TextReader(config.model)(config.text)
        if read.unknown:
            print(f"note: words that the model does not know: {', '.join(read.unknown)}", file=sys.stderr)
        pictures = _model(config).paint(read.condition, samples=config.samples, seed=int(config.seed))
        _tell(pictures.save(config.output, name_of(read.words)))
    if config.recordings:

        def prepare() -> Handler:
            model = _model(config)

            def handle(wave: "Tensor", name: str) -> list[Path]:
                _tell(_paint(model, wave, name, config))
                return []  # all is told

            return handle

        bad = print_each(config.recordings, prepare)
    return bad


def name_of(words: Iterable[str]) -> str:
    """What pictures of typed `words` are called: the words, cut at 60 characters."""
    return "-".join(words)[:60].rstrip("-")


def _model(config: GenerateConfig) -> "SpeechToImage":
    from s2i.model.pipeline import SpeechToImage  # torch takes a second to import, which --help need not wait for

    make_folder(config.output)
    return SpeechToImage.load(config.model)


def _paint(model: "SpeechToImage", wave: "Tensor", name: str, config: GenerateConfig) -> list[Path]:
    pictures = model(wave, samples=config.samples, seed=int(config.seed))
    return _save(pictures, name, config)


def _save(pictures: "Pictures", name: str, config: GenerateConfig) -> list[Path]:
    paths = pictures.save(config.output, name)
    if config.attention and pictures.attention and pictures.segments:
        from s2i.model.attention_figure import save_figure  # matplotlib is slow to import

        figure = config.output / f"{name}-attention.png"
        save_figure(figure, pictures, title=name)
        paths.append(figure)
    return paths


def _replay(config: GenerateConfig) -> int:
    """Paint the picture of a painting file again, and say whether it is the same to the last bit."""
    from datasets import audio
    from s2i.model import replay, session

    path = Path(config.seed)
    about: PaintingFile = replay.load(path)
    about.check_model(config.model)
    waves = [(str(place), audio.load(place)) for place in config.recordings]
    make_folder(config.output)
    pictures, same = session.repaint(session.Painter(config.model), about, waves)
    _tell(_save(pictures, path.stem, config))
    if not same:
        print(
            f"note: {path}: the pixels differ from those of then, as they do where another machine or version of torch "
            f"rounds differently ({', '.join(f'{key} {value}' for key, value in about.versions.items())})",
            file=sys.stderr,
        )
    return 0


def _tell(paths: list[Path]) -> None:
    """Print where the pictures are; show the largest where the terminal can."""
    for path in paths:
        print(path, flush=True)
    largest = [path for path in paths if not path.stem.endswith("-attention")][-1]
    if sys.stdout.isatty() and shows_pictures():
        from base64 import b64encode

        data = b64encode(largest.read_bytes()).decode()
        print(f"\033]1337;File=inline=1;width=40;preserveAspectRatio=1:{data}\a")


def shows_pictures() -> bool:
    """Whether the terminal understands iTerm2's inline pictures (iTerm2 and WezTerm do)."""
    return os.environ.get("TERM_PROGRAM", "").lower() in ("iterm.app", "wezterm")


if __name__ == "__main__":
    cli.run(main)
