"""The command that paints recordings: `scripts/generate.sh recording.wav --output DIR`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder

if TYPE_CHECKING:
    from torch import Tensor

    from s2i.pipeline import SpeechToImage

LONGEST_NAME = 150  # bytes of the names that pictures get, of the 255 that file systems allow
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
    from datasets import audio  # torch takes a second to import, which --help need not wait for
    from s2i.pipeline import SpeechToImage

    bad = 0
    found: list[Path] = []
    for path in config.recordings:
        try:
            found += audio.find_recordings([path])
        except InputError as error:
            cli.complain(error)
            bad = 2
    if not found:
        return bad
    make_folder(config.output)
    model = SpeechToImage.load(config.model)
    for path, name in name_apart(found).items():
        try:
            wave = audio.load(path)
        except InputError as error:
            cli.complain(error)
            bad = 2
            continue
        for written in _paint(model, wave, name, config):
            print(written, flush=True)
    return bad


def _paint(model: "SpeechToImage", wave: "Tensor", name: str, config: GenerateConfig) -> list[Path]:
    pictures = model(wave, samples=config.samples, seed=config.seed)
    paths = pictures.save(config.output, name)
    if config.attention and pictures.attention:
        from s2i.attention_figure import save_figure  # matplotlib is slow to import

        figure = config.output / f"{name}-attention.png"
        save_figure(figure, pictures, title=name)
        paths.append(figure)
    return paths


def name_apart(paths: Iterable[Path]) -> dict[Path, str]:
    """Name each of `paths` after its stem; those that would be called alike, after suffix, folder or number as well.

    A file that is named twice is kept once. Case makes no difference, since for some file systems it makes none.
    """
    files = list({path.resolve(): path for path in paths}.values())
    names = {path: _shorten(path.stem) for path in files}
    for rename in (
        lambda path: f"{path.stem}-{path.suffix[1:]}",
        lambda path: f"{path.resolve().parent.name}-{path.stem}",
        lambda path: f"{path.resolve().parent.name}-{path.stem}-{path.suffix[1:]}",
    ):
        shared = _shared(names)
        better = names | {path: _shorten(rename(path)) for path in shared}
        # A longer name is worth it only where it tells all of its namesakes apart.
        still = {names[path].casefold() for path in _shared(better)}
        names |= {path: better[path] for path in shared if names[path].casefold() not in still}
    taken: set[str] = set()
    for path, name in names.items():
        number = 1
        while names[path].casefold() in taken:
            number += 1
            names[path] = f"{name}-{number}"
        taken.add(names[path].casefold())
    return names


def _shared(names: dict[Path, str]) -> list[Path]:
    """Those paths whose name is another's too."""
    counts = Counter(name.casefold() for name in names.values())
    return [path for path, name in names.items() if counts[name.casefold()] > 1]


def _shorten(name: str) -> str:
    return name.encode(errors="surrogateescape")[:LONGEST_NAME].decode(errors="ignore")


if __name__ == "__main__":
    cli.run(main)
