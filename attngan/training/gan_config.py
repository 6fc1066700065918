"""The options of training the generator; networks are built from them in `gan_networks`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from attngan.runtime.training_options import TrainingOptions
from datasets import cli
from datasets.errors import InputError

AUGMENTATIONS = ("translation", "cutout")
CONDITIONS = ("speech", "text")
LOSSES = ("hinge", "bce")
CLOSE_UP, PATCH = 128, 32  # px: a close-up, and the smallest that can be judged
FEATURE_DISCRIMINATORS = ("projected", "joint")
DIVERSITIES = ("pixels", "features")
OBSERVERS = ("lite2", "none")
PENALTIES = ("none", "r1", "ma-gp")


@dataclass(frozen=True)
class GanConfig(TrainingOptions):
    """Options of training the generator."""

    run: Path = Path("runs/gan")
    """Run folder; the same command again goes on there."""
    damsm: Path = Path("runs/damsm/best.safetensors")
    """The image encoder of the DAMSM loss, made by scripts/train_damsm.sh."""
    sen: Path = Path("runs/sen/best.safetensors")
    """The speech encoder, made by scripts/train_sen.sh; not read with --condition text."""
    condition: str = "speech"
    """What is painted: speech, or text (the baseline)."""
    init: Path | None = None
    """Checkpoint of another run whose weights this run starts from; it may have fewer stages. Or a generator's weights
    alone, such as the shipped ones: discriminators then start afresh, and need a --discriminator-warmup."""
    freeze: int = 0
    """Stages, from the first, that stay as --init has them (its averaged weights) and are not judged."""
    discriminator_warmup: int = 0
    """Pictures, from the first, for which the discriminators alone learn."""
    stages: int = 4
    """Pictures of `base` px, twice that, and so on."""
    base: int = 64
    """Side of the first picture in px."""
    widths: tuple[int, ...] = (32,)
    """Generator channels of each stage; the last value serves all later ones."""
    blocks: tuple[int, ...] = (2,)
    """Residual blocks of each refinement; the last value serves all later ones."""
    max_width: int = 512
    """Cap of the generator's channels."""
    affine: bool = True
    """Whether all gated convolutions of the generator listen to sentence and noise; published: only the first layer."""
    skip: bool = True
    """Whether each stage adds to the enlarged picture of the one before; published: it paints it anew."""
    attention: bool = True
    """Whether refinements attend to words or segments (AttnGAN), or know the sentence alone (StackGAN-v2)."""
    discriminator_widths: tuple[int, ...] = (32,)
    """Discriminator channels after its first convolution, by stage; the last value serves all later ones."""
    discriminator_max_width: int = 512
    """Cap of the discriminators' channels."""
    pixel_discriminators: bool = True
    """Whether each stage that trains is judged from its pixels."""
    feature_discriminator: str = "joint"
    """How the last stage is judged through the image trunk: joint, all scales together, or projected, each alone
    (Projected GAN)."""
    feature_size: int = 96
    """Side in px that pictures are brought to for a frozen trunk of timm."""
    feature_width: int = 64
    """Channels of the discriminator that sees the last stage through the frozen image encoder; 0 for none."""
    texture_width: int = 0
    """Channels of the discriminator that compares patches of the last stage with photographs that are hardly enlarged;
    0 for none. For resolutions that photographs must be enlarged to."""
    spectral: bool = True
    """Spectral norm in the discriminators."""
    loss: str = "hinge"
    """hinge or bce."""
    augmentation: tuple[str, ...] = AUGMENTATIONS
    """Parts of DiffAugment: translation, cutout."""
    penalty: str = "none"
    """Gradient penalty on real pairs: none, r1 or ma-gp."""
    penalty_weight: float = 1.0
    """Weight of the penalty."""
    damsm_weight: float = 0.05
    """Weight of the DAMSM loss of the last stage (lambda)."""
    kl_weight: float = 0.02
    """Weight of the divergence of the conditioning augmentation; published: 1, beside losses 50 times as large."""
    diversity_weight: float = 0.02
    """Weight of mode seeking: half of a batch's captions are painted twice, and are to differ; 0 paints each once."""
    diversity_of: str = "pixels"
    """What is to differ: pixels, or features that the image trunk sees, where bird and pose count more than light."""
    consistency_weight: float = 0.0
    """Weight of how far each picture that trains, reduced, is from the one before. For stages on top of frozen ones."""
    learning_rate: float = 2e-4
    """Of the generator's Adam."""
    discriminator_learning_rate: float = 4e-4
    """Of the discriminators' Adams."""
    betas: tuple[float, float] = (0.0, 0.99)
    """Of all Adams."""
    final_rate: float = 0.1
    """What share of the learning rates is left at the end, after a cosine over the second half."""
    batch_size: int = 32
    """Pictures in a step, of all processes together."""
    accumulate: int = 1
    """Parts that a process works through its share of a step in, adding up gradients; more parts need less memory, and
    batch norm and the DAMSM loss see one part at a time."""
    validate_every: int = 50_000
    """Pictures between validations (picture-caption match and Frechet distance on unseen species)."""
    grid_every: int = 20_000
    """Pictures between grids of fixed captions and noise."""
    checkpoint_every: int = 10_000
    """Pictures between checkpoints."""
    observer: str = "lite2"
    """Who decides which weights are kept, by the share of pictures named a bird: lite2 (EfficientNet-Lite2); or none,
    which keeps the last."""

    renamed: ClassVar[Mapping[str, str]] = {"warm_up": "discriminator_warmup"}

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.check_choice("condition", self.condition, CONDITIONS)
        cli.check_choice("loss", self.loss, LOSSES)
        cli.check_choice("feature_discriminator", self.feature_discriminator, FEATURE_DISCRIMINATORS)
        cli.check_range("feature_size", self.feature_size, 32, 1024)
        cli.check_choice("diversity_of", self.diversity_of, DIVERSITIES)
        cli.check_choice("observer", self.observer, OBSERVERS)
        if not (self.pixel_discriminators or self.feature_width):
            raise InputError("--feature-width 0: nothing is left to judge pictures; leave the pixel discriminators on")
        cli.check_choice("penalty", self.penalty, PENALTIES)
        for part in self.augmentation:
            cli.check_choice("augmentation", part, AUGMENTATIONS)
        cli.check_range("stages", self.stages, 1, 8)
        cli.check_range("freeze", self.freeze, 0, self.stages - 1)
        cli.check_range("discriminator_warmup", self.discriminator_warmup, 0)
        if self.freeze and self.init is None:
            raise InputError("--freeze: needs --init, the run whose stages are to stay as they are")
        if self.base < 8 or self.base & (self.base - 1):
            raise InputError(f"--base {self.base}: out of range; give a power of two from 8")
        for name in ("widths", "blocks", "discriminator_widths"):
            for value in getattr(self, name) or (0,):
                cli.check_range(name, value, 1, 1024)
        cli.check_range("max_width", self.max_width, 1, 4096)
        cli.check_range("feature_width", self.feature_width, 0, 1024)
        cli.check_range("texture_width", self.texture_width, 0, 1024)
        if self.texture_width and self.close_up < PATCH:
            raise InputError(
                f"--texture-width: the last picture of {2 * self.close_up} px has no close-up of {PATCH} px; give 0"
            )
        cli.check_range("discriminator_max_width", self.discriminator_max_width, 1, 8192)
        for name in ("penalty_weight", "damsm_weight", "kl_weight", "diversity_weight", "consistency_weight"):
            cli.check_range(name, getattr(self, name), 0, 1000)
        for name in ("learning_rate", "discriminator_learning_rate"):
            cli.check_range(name, getattr(self, name), 1e-8, 1)
        for value in self.betas:
            cli.check_range("betas", value, 0, 0.9999)
        cli.check_range("final_rate", self.final_rate, 0, 1)
        cli.check_range("accumulate", self.accumulate, 1, self.batch_size // 2)
        if self.diversity_weight and self.batch_size % 2:
            raise InputError(f"--batch-size {self.batch_size}: give an even number, or --diversity-weight 0")
        cli.check_range("grid_every", self.grid_every, 1)

    @property
    def close_up(self) -> int:
        """Side in px of the close-ups that are judged for their texture; 0 for none."""
        return min(CLOSE_UP, self.base * 2 ** (self.stages - 1) // 2) if self.texture_width else 0
