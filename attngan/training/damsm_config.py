"""The options that training DAMSM and training the speech encoder share."""

from dataclasses import dataclass
from pathlib import Path

from attngan.runtime.training_options import TrainingOptions
from datasets import cli

CELLS = ("lstm", "gru")
MODALITIES = ("text", "speech")
TRUNKS = ("scratch", "inception")


@dataclass(frozen=True)
class DamsmTrainingConfig(TrainingOptions):
    """Options that training DAMSM and training the speech encoder share."""

    run: Path = Path("runs/damsm")
    """Run folder; the same command again goes on there."""
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
    views: int = 4
    """Crops of each picture whose features are cached, where the trunk is frozen."""
    cache: Path | None = None
    """Folder of the cached features, which several runs may share; the run's own by default."""
    validate_every: int = 16_000
    """Pictures between validations on unseen species."""
    checkpoint_every: int = 16_000
    """Pictures between checkpoints."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.check_range("accumulate", self.accumulate, 1, self.batch_size // 2)
        cli.check_range("words_group", self.words_group, 2, 4096)
        cli.check_range("learning_rate", self.learning_rate, 1e-8, 1)
        cli.check_range("weight_decay", self.weight_decay, 0, 1)
        for name in ("sentence_weight", "words_weight", "class_weight"):
            cli.check_range(name, getattr(self, name), 0, 1000)
        for name in ("gamma1", "gamma2", "gamma3"):
            cli.check_range(name, getattr(self, name), 1e-3, 1000)
        cli.check_range("views", self.views, 1, 64)
