"""The options of training the classifier of bird species."""

from dataclasses import dataclass
from pathlib import Path

from attngan.runtime.training_options import TrainingOptions
from datasets import cli


@dataclass(frozen=True)
class ClassifierConfig(TrainingOptions):
    """Options of training the classifier."""

    corpus: Path = Path("data/cub.h5")
    """The corpus; the pictures of all its splits are used, three of four to train, one to measure."""
    run: Path = Path("runs/classifier")
    """Run folder; the same command again goes on there."""
    pictures: int = 300_000
    """Budget: how many pictures are seen in all."""
    learning_rate: float = 2e-3
    """Of AdamW, at its highest."""
    weight_decay: float = 0.05
    """Of AdamW."""
    smoothing: float = 0.1
    """Of the labels."""
    size: int = 96
    """Side in px of the pictures that it sees."""
    width: int = 24
    """Channels of its first stage."""
    blocks: tuple[int, int, int, int] = (1, 1, 2, 2)
    """Residual blocks in each of its stages."""
    validate_every: int = 50_000
    """Pictures between measurements."""
    seed: int = 1
    """Of everything random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.check_range("learning_rate", self.learning_rate, 1e-8, 1)
        cli.check_range("weight_decay", self.weight_decay, 0, 1)
        cli.check_range("smoothing", self.smoothing, 0, 0.99)
        cli.check_range("size", self.size, 32, 512)
        cli.check_range("width", self.width, 4, 512)
        for count in self.blocks:
            cli.check_range("blocks", count, 1, 8)


PRESETS = {
    "cub": ClassifierConfig(),
    "tiny": ClassifierConfig(
        corpus=Path("data/tiny.h5"),
        run=Path("runs/tiny-classifier"),
        pictures=3_200,
        batch_size=16,
        size=32,
        width=8,
        blocks=(1, 1, 1, 1),
        ema_pictures=300,
        validate_every=1_600,
        checkpoint_every=1_600,
        log_every=160,
    ),
}
