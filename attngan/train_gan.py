"""Training the generator against its discriminators, for any caption encoder that is passed in."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attngan import checkpoint, losses, metrics, runtime
from attngan.adversary import AUGMENTATIONS, Adversary, Penalty
from attngan.condition import CaptionEncoder, Condition, concatenate
from attngan.discriminator import Discriminator
from attngan.generator import GENERATOR_KIND, Generator, Painting
from attngan.growing import start_from
from attngan.image_encoder import ImageEncoder
from datasets import cli
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Batch, Loader, to_unit

KIND = "gan"
CONDITIONS = ("speech", "text")
LOSSES = ("hinge", "bce")
PENALTIES = ("none", "r1", "ma-gp")
GRID_CAPTIONS, GRID_DRAWS = 8, 4


@dataclass(frozen=True)
class GanConfig:
    """Options of training the generator."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, made by scripts/prepare_cub.sh."""
    run: Path = Path("runs/gan")
    """Run folder; the same command again goes on there."""
    damsm: Path = Path("runs/damsm/best.safetensors")
    """The image encoder of the DAMSM loss, made by scripts/train_damsm.sh."""
    sen: Path = Path("runs/sen/best.safetensors")
    """The speech encoder, made by scripts/train_sen.sh; not read with --condition text."""
    condition: str = "speech"
    """What is painted: speech, or text (the baseline)."""
    init: Path | None = None
    """Checkpoint of another run whose weights this run starts from; it may have fewer stages."""
    freeze: int = 0
    """Stages, from the first, that stay as --init has them (its averaged weights) and are not judged."""
    stages: int = 4
    """Pictures of side 64, 128, 256, 512, ..."""
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
    discriminator_widths: tuple[int, ...] = (32,)
    """Discriminator channels after its first convolution, by stage; the last value serves all later ones."""
    discriminator_max_width: int = 512
    """Cap of the discriminators' channels."""
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
    damsm_weight: float = 0.5
    """Weight of the DAMSM loss of the last stage (lambda)."""
    kl_weight: float = 1.0
    """Weight of the divergence of the conditioning augmentation."""
    learning_rate: float = 2e-4
    """Of the generator's Adam."""
    discriminator_learning_rate: float = 4e-4
    """Of the discriminators' Adams."""
    betas: tuple[float, float] = (0.0, 0.99)
    """Of all Adams."""
    final_rate: float = 0.1
    """What share of the learning rates is left at the end, after a cosine over the second half."""
    pictures: int = 600_000
    """Budget: how many real pictures are seen in all."""
    batch_size: int = 32
    """Pictures in a step."""
    ema_pictures: float = 10_000
    """Half-life of the averaged generator, in pictures."""
    precision: str = "bf16-mixed"
    """bf16-mixed or 32-true."""
    validate_every: int = 50_000
    """Pictures between validations (picture-caption match and Frechet distance on unseen species)."""
    grid_every: int = 20_000
    """Pictures between grids of fixed captions and noise."""
    checkpoint_every: int = 10_000
    """Pictures between checkpoints."""
    log_every: int = 640
    """Pictures between logged losses."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self) -> None:
        cli.check_choice("condition", self.condition, CONDITIONS)
        cli.check_choice("loss", self.loss, LOSSES)
        cli.check_choice("penalty", self.penalty, PENALTIES)
        cli.check_choice("precision", self.precision, runtime.PRECISIONS)
        for part in self.augmentation:
            cli.check_choice("augmentation", part, AUGMENTATIONS)
        cli.check_range("stages", self.stages, 1, 8)
        cli.check_range("freeze", self.freeze, 0, self.stages - 1)
        if self.freeze and self.init is None:
            raise InputError("--freeze: needs --init, the run whose stages are to stay as they are")
        if self.base < 8 or self.base & (self.base - 1):
            raise InputError(f"--base {self.base}: out of range; give a power of two from 8")
        for name in ("widths", "blocks", "discriminator_widths"):
            for value in getattr(self, name) or (0,):
                cli.check_range(name, value, 1, 1024)
        cli.check_range("max_width", self.max_width, 1, 4096)
        cli.check_range("discriminator_max_width", self.discriminator_max_width, 1, 8192)
        for name in ("penalty_weight", "damsm_weight", "kl_weight"):
            cli.check_range(name, getattr(self, name), 0, 1000)
        for name in ("learning_rate", "discriminator_learning_rate"):
            cli.check_range(name, getattr(self, name), 1e-8, 1)
        for value in self.betas:
            cli.check_range("betas", value, 0, 0.9999)
        cli.check_range("final_rate", self.final_rate, 0, 1)
        cli.check_range("batch_size", self.batch_size, 2, 4096)
        for name in ("pictures", "ema_pictures", "validate_every", "grid_every", "checkpoint_every", "log_every"):
            cli.check_range(name, getattr(self, name), 1)
        cli.check_range("threads", self.threads, 0, 1024)

    def generator(self) -> Generator:
        """The generator that these options describe, with fresh weights."""
        return Generator(
            stages=self.stages,
            base=self.base,
            widths=self.widths,
            blocks=self.blocks,
            max_width=self.max_width,
            affine=self.affine,
            skip=self.skip,
        )

    def discriminators(self) -> dict[int, Discriminator]:
        """One discriminator for each stage that trains."""
        widths = self.discriminator_widths
        return {
            stage: Discriminator(
                side=self.base * 2**stage,
                width=widths[min(stage, len(widths) - 1)],
                max_width=self.discriminator_max_width,
                spectral=self.spectral,
            )
            for stage in range(self.freeze, self.stages)
        }


def pyramid(pictures: Tensor, stages: int) -> list[Tensor]:
    """Real pictures [B, 3, S, S] at every stage's size, the smallest first; each halving averages 2x2 pixels."""
    sizes = [pictures]
    for _ in range(stages - 1):
        sizes.append(torch.nn.functional.avg_pool2d(sizes[-1], 2))
    return sizes[::-1]


class GanJob:
    """Networks, losses and one step of the training."""

    def __init__(
        self, config: GanConfig, image: ImageEncoder, caption: CaptionEncoder, fabric: Any, description: dict[str, Any]
    ) -> None:
        self.config, self.fabric, self.description = config, fabric, description
        self.image, self.caption = image, caption
        self.device = fabric.device
        self.generator = config.generator()
        self.discriminators = config.discriminators()
        if config.init is not None:
            state, _ = checkpoint.load(config.init, KIND)
            start_from(state, self.generator, self.discriminators, freeze=config.freeze, path=config.init)
        self.generator.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for network in self.discriminators.values():
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = [m for stage in range(config.freeze) for m in self.generator.stage_modules(stage)]
        for module in self.frozen:
            module.requires_grad_(False)
        weights = [parameter for parameter in self.generator.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(weights, lr=config.learning_rate, betas=config.betas, fused=True)
        self.ema = runtime.Ema(self.generator, half_life=config.ema_pictures)
        self.adversary = Adversary(
            self.discriminators,
            learning_rate=config.discriminator_learning_rate,
            betas=config.betas,
            loss=config.loss,
            policy=config.augmentation,
            penalty=Penalty(config.penalty, config.penalty_weight),
        )

    def step(self, batch: Batch, position: int) -> dict[str, Tensor]:
        """Discriminators, then the generator, on one shared batch of paintings."""
        config = self.config
        flat_then_cosine = runtime.learning_rate(position, config.pictures, flat=0.5, final=config.final_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * flat_then_cosine
        self.adversary.set_learning_rate(config.discriminator_learning_rate * flat_then_cosine)
        batch = batch.to(self.device)
        assert batch.pictures is not None, "the loader was not asked for pictures"
        real = pyramid(to_unit(batch.pictures), config.stages)
        draws = torch.Generator().manual_seed(config.seed * 1_000_003 + position)
        noise = torch.randn(len(batch), self.generator.noise, generator=draws).to(self.device)
        spread = torch.randn(len(batch), self.generator.augmentation.project.out_features // 4, generator=draws)
        self.generator.train()
        for module in self.frozen:
            module.eval()
        with self.fabric.autocast():
            with torch.no_grad():
                condition = self.caption.encode(batch)
            condition = Condition(condition.sentence.float(), condition.words.float(), condition.mask)
            painting = self.generator(condition, noise, spread.to(self.device))
        values = self.adversary.train(
            real, painting.pictures, condition.sentence, batch.species, self.fabric.autocast, draws
        )
        with self.fabric.autocast():
            adversarial = self.adversary.generator_loss(painting.pictures, condition.sentence, draws)
            total = adversarial
            if config.damsm_weight:
                damsm = self.damsm_loss(painting.pictures[-1], condition, batch.species)
                total = total + config.damsm_weight * damsm
                values["generator/damsm"] = damsm.detach()
            divergence = losses.kl_to_normal(painting.mean, painting.log_variance)
            total = total + config.kl_weight * divergence
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        self.ema.update(self.generator, position, config.batch_size)
        return {
            "generator/adversarial": adversarial.detach(),
            **values,
            "generator/divergence": divergence.detach(),
        }

    def damsm_loss(self, pictures: Tensor, condition: Condition, species: Tensor) -> Tensor:
        """Sentence and words loss of painted pictures with their captions (AttnGAN, equation 14)."""
        features = self.image(pictures)
        scores = losses.sentence_scores(condition.sentence, features.whole)
        sentence = losses.matching_loss(scores, species)
        return sentence + losses.words_loss(condition.words, condition.mask, features.regions, species)

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "generator": self.generator.state_dict(),
            "ema": self.ema.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "adversary": self.adversary.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.generator.load_state_dict(state["generator"])
        self.ema.network.load_state_dict(state["ema"])
        checkpoint.load_optimizer(self.optimizer, state["optimizer"])
        self.adversary.load_state_dict(state["adversary"])

    @torch.no_grad()
    def paint(self, condition: Condition, noise: Tensor) -> Painting:
        """Paint with the averaged weights."""
        with self.fabric.autocast():
            return self.ema.network(condition.to(self.device), noise.to(self.device))

    @torch.no_grad()
    def validate(self, loader: Loader, seed: int) -> dict[str, float]:
        """Retrieval between painted pictures and their captions, and the distance of their features from real ones."""
        real, fake, sentences, species = [], [], [], []
        draws = torch.Generator().manual_seed(seed)
        with self.fabric.autocast():
            for batch in loader.once():
                moved = batch.to(self.device)
                assert moved.pictures is not None
                condition = self.caption.encode(moved)
                noise = torch.randn(len(batch), self.generator.noise, generator=draws)
                painting = self.paint(condition, noise)
                real.append(self.image(to_unit(moved.pictures)).whole.float().cpu())
                fake.append(self.image(painting.pictures[-1]).whole.float().cpu())
                sentences.append(condition.sentence.float().cpu())
                species.append(batch.species)
        features = torch.cat(fake)
        found = metrics.retrieval(features, torch.cat(sentences)[None], torch.cat(species))
        found["frechet"] = metrics.frechet_distance(torch.cat(real), features)
        return found


def train(
    config: GanConfig,
    image: ImageEncoder,
    caption: Any,
    *,
    vocabulary: Vocabulary | None,
    description: dict[str, Any],
) -> Path:
    """Train a generator; returns the file of its averaged weights.

    Args:
        image: frozen, of the DAMSM loss. caption: frozen, makes the condition.
        vocabulary: for captions as words; None for recordings.
        description: what the weights file says besides.

    Raises:
        InputError: for a corpus without what is needed, or a folder of another run.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    fabric = runtime.make_fabric(config.precision)
    corpus = Corpus(config.corpus)
    run = runtime.Run(config.run, KIND, config, may_change=("threads",))
    image.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    caption.to(fabric.device)
    job = GanJob(config, image, caption, fabric, description)
    if state := run.resume():
        job.restore(state)
    speech = vocabulary is None
    make_loader = partial(
        Loader,
        corpus,
        batch_size=config.batch_size,
        size=job.generator.sides[-1],
        words=vocabulary,
        speech=speech,
        seed=config.seed,
    )
    loader = make_loader("train", heard=True if speech else None, position=run.position)
    validation = make_loader("validation", augment=False)
    grid_condition = _grid_condition(validation, caption, fabric)
    noise = torch.randn(GRID_DRAWS, job.generator.noise, generator=torch.Generator().manual_seed(config.seed))
    weights = run.folder / "generator.safetensors"

    def draw_grid() -> None:
        painting = job.paint(grid_condition.repeat(GRID_DRAWS), noise.repeat(len(grid_condition), 1))
        for pictures in painting.pictures[config.freeze :]:
            run.grid(f"painted-{pictures.shape[-1]}", pictures, GRID_DRAWS * 2)

    def validate() -> None:
        found = job.validate(validation, config.seed)
        run.log({f"validation/{name}": value for name, value in found.items()})
        about = {"generator": job.generator.arguments, "seen": run.position, "validation": found, **description}
        about = runtime.describe(config, kind=GENERATOR_KIND, **about)
        checkpoint.save(weights, job.ema.network.state_dict(), about)

    runtime.train(
        run,
        loader,
        lambda batch: job.step(batch, run.position),
        job.state,
        batch_size=config.batch_size,
        every=[(config.grid_every, draw_grid), (config.validate_every, validate)],
    )
    run.close()
    return weights


def _grid_condition(loader: Loader, caption: CaptionEncoder, fabric: Any) -> Condition:
    """The condition of a few captions spread over the validation split."""
    conditions = []
    with torch.no_grad(), fabric.autocast():
        for batch in loader.once():
            condition = caption.encode(batch.to(fabric.device))
            conditions.append(Condition(condition.sentence.float(), condition.words.float(), condition.mask))
    together = concatenate(conditions)
    return together[torch.linspace(0, len(together) - 1, min(GRID_CAPTIONS, len(together))).long()]
