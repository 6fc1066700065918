"""The options that training DAMSM and training the speech encoder share."""

from dataclasses import dataclass
from pathlib import Path

from attngan.runtime.machine import PRECISIONS
from datasets import cli


@dataclass(frozen=True)
class DamsmTrainingConfig:
    """Options that training DAMSM and training the speech encoder share."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, made by scripts/prepare_cub.sh."""
    run: Path = Path("runs/damsm")
    """Run folder; the same command again goes on there."""
    pictures: int = 600_000
    """Budget: how many pictures are seen in all."""
    batch_size: int = 128
    """Pictures in a step, of all processes together; each is told from the others in its batch."""
    accumulate: int = 1
    """Parts that a process works through its share of a step in, adding up gradients; more parts need less memory, and
    each picture is told from those of its part alone."""
    learning_rate: float = 1.5e-3
    """Of AdamW, at its highest."""
    weight_decay: float = 0.01
    """Of AdamW."""
    sentence_weight: float = 1.0
    """Weight of the sentence loss (AttnGAN, equations 12 and 13)."""
    words_weight: float = 1.0
    """Weight of the words loss (AttnGAN, equations 10 and 11)."""
    words_group: int = 16
    """Pairs that the words loss tells apart; more is better and costs its square."""
    class_weight: float = 1.0
    """Weight of the species term (S2IGAN's distinctive loss); 0 to train without species."""
    gamma1: float = 4.0
    """Sharpness of each word's attention over regions."""
    gamma2: float = 5.0
    """Sharpness of the soft maximum over words."""
    gamma3: float = 10.0
    """Sharpness of the softmax over a batch."""
    ema_pictures: float = 10_000
    """Half-life of the averaged weights, in pictures."""
    views: int = 4
    """Crops of each picture whose features are cached, where the trunk is frozen."""
    precision: str = "bf16-mixed"
    """bf16-mixed or 32-true."""
    validate_every: int = 16_000
    """Pictures between validations on unseen species."""
    checkpoint_every: int = 16_000
    """Pictures between checkpoints."""
    log_every: int = 640
    """Pictures between logged losses."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self) -> None:
        cli.check_range("pictures", self.pictures, 1)
        cli.check_range("batch_size", self.batch_size, 2, 65_536)
        cli.check_range("accumulate", self.accumulate, 1, self.batch_size // 2)
        cli.check_range("words_group", self.words_group, 2, 4096)
        cli.check_range("learning_rate", self.learning_rate, 1e-8, 1)
        cli.check_range("weight_decay", self.weight_decay, 0, 1)
        for name in ("sentence_weight", "words_weight", "class_weight"):
            cli.check_range(name, getattr(self, name), 0, 1000)
        for name in ("gamma1", "gamma2", "gamma3"):
            cli.check_range(name, getattr(self, name), 1e-3, 1000)
        cli.check_range("ema_pictures", self.ema_pictures, 1)
        cli.check_range("views", self.views, 1, 64)
        cli.check_range("validate_every", self.validate_every, 1)
        cli.check_range("checkpoint_every", self.checkpoint_every, 1)
        cli.check_range("log_every", self.log_every, 1)
        cli.check_range("threads", self.threads, 0, 1024)
        cli.check_range("seed", self.seed, 0)
        cli.check_choice("precision", self.precision, PRECISIONS)
