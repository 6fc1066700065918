"""The options of measuring on synthetic birds; no torch is imported for them, so that `--help` answers at once."""

from dataclasses import dataclass
from pathlib import Path

from datasets import cli

FOLDS = 10


@dataclass(frozen=True)
class SyntheticConfig:
    """What is measured, and with what."""

    corpus: Path = Path("runs/drawn/birds.h5")
    """A corpus of synthetic birds, whose test species are painted; scripts/measure_drawn.sh makes it and all below."""
    sen: Path = Path("runs/drawn/sen/best.safetensors")
    """Speech encoder."""
    gan: Path = Path("runs/drawn/gan/generator.safetensors")
    """Generator that paints recordings."""
    damsm: Path = Path("runs/drawn/damsm/best.safetensors")
    """DAMSM, whose text encoder reads captions; not read without --text-gan."""
    text_gan: Path | None = None
    """Generator trained with --condition text, which paints the same sentences as they are written."""
    reader: Path = Path("runs/drawn/reader.safetensors")
    """The network that reads attributes from pictures; trained on drawings of its own where there is no such file."""
    reader_pictures: int = 60_000
    """Budget of the reader: pictures seen in all."""
    reader_drawings: int = 8_000
    """Different drawings among them."""
    output: Path = Path("outputs/drawn.json")
    """Where the figures go."""
    pictures: int = 1_000
    """How many test recordings to paint; all of them where there are fewer."""
    seed: int = 0
    """Of the noise, the order and the reader."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        cli.check_range("reader_pictures", self.reader_pictures, 64)
        cli.check_range("reader_drawings", self.reader_drawings, 64, 1_000_000)
        cli.check_range("pictures", self.pictures, FOLDS)
        cli.check_range("seed", self.seed, 0)
