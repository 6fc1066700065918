"""What every training is told: the base of the jobs' options. It imports no torch, so that `--help` answers at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from datasets import cli

SINGLE, HALF = "32-true", "bf16-mixed"  # as lightning-fabric calls them
PRECISIONS = (HALF, SINGLE)


@dataclass(frozen=True)
class JobOptions:
    """Options of every job that goes on where it stopped."""

    run: Path = Path("runs/run")
    """Run folder; the same command again goes on there."""
    seed: int = 0
    """Of everything random."""

    renamed: ClassVar[Mapping[str, str]] = {}
    """Options that older run folders know by another name: from that name to today's."""

    def __post_init__(self) -> None:
        cli.check_range("seed", self.seed, 0)


@dataclass(frozen=True)
class TrainingOptions(JobOptions):
    """Options of every training that counts the pictures of a corpus."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, made by scripts/prepare_cub.sh."""
    pictures: int = 600_000
    """Budget: how many pictures are seen in all."""
    minutes: float = 0.0
    """Stop after so many minutes, with a checkpoint from which the same command goes on; 0 for the whole budget."""
    batch_size: int = 64
    """Pictures in a step, of all processes together."""
    ema_pictures: float = 10_000
    """Half-life of the averaged weights, in pictures."""
    precision: str = "bf16-mixed"
    """bf16-mixed or 32-true."""
    validate_every: int = 50_000
    """Pictures between validations."""
    checkpoint_every: int = 20_000
    """Pictures between checkpoints."""
    log_every: int = 640
    """Pictures between logged losses."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.check_range("batch_size", self.batch_size, 2, 65_536)
        for name in ("pictures", "ema_pictures", "validate_every", "checkpoint_every", "log_every"):
            cli.check_range(name, getattr(self, name), 1)
        cli.check_range("minutes", self.minutes, 0, 1e6)
        cli.check_range("threads", self.threads, 0, 1024)
        cli.check_choice("precision", self.precision, PRECISIONS)
