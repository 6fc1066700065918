"""Training captions and pictures to match: DAMSM, its text-free variant, and the speech encoder are this one job.

What differs is the caption encoder that is passed in, and how the picture features come about: from a trunk that
learns, from a frozen trunk's cache through projections that learn, or from a whole image encoder that is frozen.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan import checkpoint, losses, metrics, runtime
from attngan.condition import CaptionEncoder, Condition
from attngan.feature_cache import FeatureCache
from attngan.image_encoder import ImageEncoder, ImageFeatures
from attngan.retrieval import embed
from attngan.text_encoder import TextEncoder
from datasets import cli
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Batch, Loader, to_unit


@dataclass(frozen=True)
class MatchingConfig:
    """Options that training DAMSM and training the speech encoder share."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, made by scripts/prepare_cub.sh."""
    run: Path = Path("runs/damsm")
    """Run folder; the same command again goes on there."""
    pictures: int = 600_000
    """Budget: how many pictures are seen in all."""
    batch_size: int = 128
    """Pictures in a step; each is told from the others in its batch."""
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
        cli.check_range("batch_size", self.batch_size, 2, 4096)
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
        cli.check_choice("precision", self.precision, runtime.PRECISIONS)


@dataclass(frozen=True)
class Teacher:
    """A trained text encoder, whose sentence of what is said a recording's sentence is drawn to while training."""

    encoder: TextEncoder
    vocabulary: Vocabulary
    weight: float


def augment(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Zoom, turn, shift, brighten and half of the time blank a square of a batch [B, 3, S, S] in [-1, 1], at random.

    Without it the encoders know the training pictures by heart: some thousands are few.
    """
    n, side = len(pictures), pictures.shape[-1]

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    scale, angle = between(0.6, 1.0), between(-0.2, 0.2)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift_x, shift_y = (1 - scale) * between(-1, 1), (1 - scale) * between(-1, 1)
    matrix = torch.stack([cos, -sin, shift_x, sin, cos, shift_y], 1).view(n, 2, 3).to(pictures.device)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    contrast, brightness = (
        value.view(n, 1, 1, 1).to(pictures.device) for value in (between(0.8, 1.2), between(-0.2, 0.2))
    )
    pixels = torch.arange(side, device=pictures.device)[None]
    half = (side * between(0.1, 0.25) * (torch.rand(n, generator=generator) < 0.5))[:, None].to(pictures.device)
    row, column = (((pixels - side * between(0, 1)[:, None].to(pictures.device)).abs() < half) for _ in range(2))
    return (moved * contrast + brightness).masked_fill((row[:, :, None] & column[:, None, :])[:, None], 0.0)


class Matching(nn.Module):
    """The networks of one matching job and their loss."""

    def __init__(self, config: MatchingConfig, image: ImageEncoder, caption: nn.Module, n_species: int) -> None:
        super().__init__()
        self.config, self.image, self.caption = config, image, caption
        dimension = image.project_pooled.out_features
        self.classify = nn.Linear(dimension, n_species) if config.class_weight else None

    def loss(
        self, pictures: ImageFeatures, condition: Condition, species: Tensor, taught: tuple[Tensor, float] | None = None
    ) -> dict[str, Tensor]:
        """The weighted sum as "loss", and its parts; `taught` is a teacher's sentences [B, D] and their weight."""
        config = self.config
        parts: dict[str, Tensor] = {}
        total = torch.zeros((), device=species.device)
        if config.sentence_weight:
            scores = losses.sentence_scores(condition.sentence, pictures.whole, config.gamma3)
            parts["loss/sentence"] = losses.matching_loss(scores, species)
            total = total + config.sentence_weight * parts["loss/sentence"]
        if config.words_weight:
            gammas = {"gamma1": config.gamma1, "gamma2": config.gamma2, "gamma3": config.gamma3}
            parts["loss/words"] = losses.words_loss(
                condition.words, condition.mask, pictures.regions, species, group=config.words_group, gammas=gammas
            )
            total = total + config.words_weight * parts["loss/words"]
        if self.classify is not None:
            parts["loss/species"] = F.cross_entropy(self.classify(pictures.whole).float(), species)
            parts["loss/species"] = parts["loss/species"] + F.cross_entropy(
                self.classify(condition.sentence).float(), species
            )
            total = total + config.class_weight * parts["loss/species"]
        if taught is not None:
            parts["loss/teacher"] = losses.teacher_loss(condition.sentence, taught[0])
            total = total + taught[1] * parts["loss/teacher"]
        return {"loss": total, **parts}


def train(
    config: MatchingConfig,
    image: ImageEncoder,
    caption: Any,
    *,
    kind: str,
    vocabulary: Vocabulary | None,
    image_frozen: bool,
    description: dict[str, Any],
    teacher: Teacher | None = None,
    captions: str = "all",
    may_change: tuple[str, ...] = (),
) -> Path:
    """Train `caption` and, unless it is frozen, `image` to match on a corpus; returns the file of the best weights.

    Validated on species that training never sees, by the averaged weights, in unheard voices where captions are
    spoken; measured on the test species once, at the end, with the best.

    Args:
        kind: what checkpoints call themselves.
        vocabulary: for captions as words; None for recordings.
        description: what the weights file says besides, so that the networks can be built again from it.
        teacher: of captions as recordings, on a corpus that has their words.
        captions: which written captions of each picture to train with, as `Loader` takes it.

    Raises:
        InputError: for a corpus without what is needed, or a folder of another run.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    fabric = runtime.make_fabric(config.precision)
    corpus = Corpus(config.corpus)
    n_species = len(corpus.species_names)
    speech = vocabulary is None
    run = runtime.Run(config.run, kind, config, may_change)
    networks = Matching(config, image, caption, n_species).to(fabric.device)
    image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if teacher is not None:
        teacher.encoder.to(fabric.device)
    if image_frozen:
        image.requires_grad_(False).eval()
    weights = [parameter for parameter in networks.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    ema = runtime.Ema(networks, half_life=config.ema_pictures)
    best = {"r_precision": -1.0}
    if state := run.resume():
        networks.load_state_dict(state["networks"])
        ema.network.load_state_dict(state["ema"])
        checkpoint.load_optimizer(optimizer, state["optimizer"])
        best = state["best"]

    cached = not image.trunk.trainable or image_frozen
    size = image.trunk.size
    make_loader = partial(Loader, corpus, batch_size=config.batch_size, speech=speech, seed=config.seed)
    loader = make_loader(
        "train",
        size=0 if cached else size,
        heard=True if speech else None,
        words=teacher.vocabulary if teacher else vocabulary,
        captions=captions,
        position=run.position,
    )
    validation = make_loader(
        "validation", size=size, heard=corpus.measuring_voices if speech else None, words=vocabulary
    )
    if len(np.unique(corpus.species[validation.indices])) < 2:
        raise InputError(
            f"{config.corpus}: its validation split has pictures of one class only; "
            "put a second class into it, for the two to be told apart"
        )
    cache = None
    if cached:
        indices = np.sort(loader.indices)
        cache = FeatureCache(config.run, corpus, indices, image, views=config.views, device=fabric.device)

    def picture_features(batch: Batch) -> ImageFeatures:
        if cache is not None:
            views = np.random.default_rng([config.seed, 2, run.position]).integers(config.views, size=len(batch))
            return networks.image.project(cache.features(batch.index, views))
        assert batch.pictures is not None
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + run.position)
        pictures = augment(to_unit(batch.pictures), generator)
        return networks.image(pictures.contiguous(memory_format=torch.channels_last))

    def step(batch: Batch) -> dict[str, Tensor]:
        networks.train()
        if image_frozen:
            networks.image.eval()
        factor = runtime.learning_rate(
            run.position, config.pictures, warm_up=min(2_000, config.pictures // 10), flat=0.3, final=0.02
        )
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * factor
        moved = batch.to(fabric.device)
        with fabric.autocast():
            taught = None
            if teacher is not None:
                with torch.no_grad():
                    taught = (teacher.encoder.encode(moved).sentence, teacher.weight)
            values = networks.loss(picture_features(moved), caption.encode(moved), moved.species, taught)
        optimizer.zero_grad(set_to_none=True)
        values["loss"].backward()
        values["gradient_norm"] = nn.utils.clip_grad_norm_(weights, 5.0)
        optimizer.step()
        ema.update(networks, run.position, config.batch_size)
        return values

    def best_description(found: dict[str, float]) -> dict[str, Any]:
        return runtime.describe(config, kind=f"{kind}-weights", seen=run.position, validation=found, **description)

    def validate() -> None:
        nonlocal best
        averaged = cast(Matching, ema.network)
        caption_encoder = cast(CaptionEncoder, averaged.caption)
        with fabric.autocast():
            embedded = embed(averaged.image, caption_encoder, validation, 1 if speech else 2, fabric.device)
        found = metrics.retrieval(*embedded)
        run.log({f"validation/{name}": value for name, value in found.items()})
        if found["r_precision"] > best["r_precision"]:
            best = found
            shipped = {"caption": averaged.caption.state_dict()}
            if not image_frozen:
                shipped["image"] = averaged.image.state_dict()
            checkpoint.save(run.folder / "best.safetensors", shipped, best_description(found))

    def state_now() -> dict[str, Any]:
        return {
            "networks": networks.state_dict(),
            "ema": ema.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best": best,
        }

    runtime.train(run, loader, step, state_now, batch_size=config.batch_size, every=[(config.validate_every, validate)])
    run.close()
    return run.folder / "best.safetensors"
