"""One step of training captions and pictures to match."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.condition import Condition
from attngan.networks.image_encoder import ImageEncoder, ImageFeatures, TrunkFeatures
from attngan.networks.text_encoder import TextEncoder
from attngan.runtime import checkpoint
from attngan.runtime.machine import ranks_of
from attngan.runtime.optimisation import Ema, learning_rate, set_learning_rate
from attngan.runtime.ranks import ALONE, Ranks, share_batch_norms
from attngan.training import losses, teacher_losses
from attngan.training.damsm_config import DamsmTrainingConfig
from attngan.training.feature_cache import FeatureCache
from attngan.training.picture_batches import split_rows
from datasets.captions import Vocabulary
from datasets.loader import Batch, to_unit


@dataclass(frozen=True)
class Teacher:
    """A trained text encoder, whose sentence and words of what is said a recording is drawn to while training.

    Attributes:
        weight: of the distance to its sentence.
        words: weight of the distance of the segments to its words.
        transcript: weight of the segments saying the words in their order, of the `known` most frequent.
    """

    encoder: TextEncoder
    vocabulary: Vocabulary
    weight: float
    words: float = 0.0
    transcript: float = 0.0
    known: int = 1500


class Taught(NamedTuple):
    """What a teacher makes of the captions of a batch, with their tokens [B, L]."""

    condition: Condition
    tokens: Tensor


def augment(pictures: Tensor, generator: torch.Generator, ranks: Ranks = ALONE) -> Tensor:
    """Zoom, turn, shift, brighten and half of the time blank a square of a batch [B, 3, S, S] in [-1, 1], at random.

    Without it the encoders know the training pictures by heart: some thousands are few. `ranks` are the processes that
    the whole batch is shared by.
    """
    n, resolution = len(pictures), pictures.shape[-1]

    def draw() -> Tensor:
        return ranks.share(torch.rand(n * ranks.world, generator=generator))

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * draw()

    scale, angle = between(0.6, 1.0), between(-0.2, 0.2)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shift_x, shift_y = (1 - scale) * between(-1, 1), (1 - scale) * between(-1, 1)
    matrix = torch.stack([cos, -sin, shift_x, sin, cos, shift_y], 1).view(n, 2, 3).to(pictures.device)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    contrast, brightness = (
        value.view(n, 1, 1, 1).to(pictures.device) for value in (between(0.8, 1.2), between(-0.2, 0.2))
    )
    pixels = torch.arange(resolution, device=pictures.device)[None]
    half = (resolution * between(0.1, 0.25) * (draw() < 0.5))[:, None].to(pictures.device)
    row, column = (((pixels - resolution * between(0, 1)[:, None].to(pictures.device)).abs() < half) for _ in range(2))
    return (moved * contrast + brightness).masked_fill((row[:, :, None] & column[:, None, :])[:, None], 0.0)


class DamsmNetworks(nn.Module):
    """The networks of one DAMSM job and their loss.

    Args:
        ranks: the processes that train together; captions of all their shares are told apart.
    """

    def __init__(
        self,
        config: DamsmTrainingConfig,
        image: ImageEncoder,
        caption: nn.Module,
        n_species: int,
        ranks: Ranks = ALONE,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.weights = (teacher.weight, teacher.words, teacher.transcript) if teacher else (0.0, 0.0, 0.0)
        self.config, self.image, self.caption, self.ranks = config, image, caption, ranks
        dimension = image.project_pooled.out_features
        self.classify = nn.Linear(dimension, n_species) if config.class_weight else None
        known = min(teacher.known, len(teacher.vocabulary)) if teacher else 0
        self.spell = nn.Linear(dimension, known) if self.weights[2] else None

    def loss(
        self, pictures: ImageFeatures, condition: Condition, species: Tensor, taught: Taught | None = None
    ) -> dict[str, Tensor]:
        """The weighted sum as "loss", and its parts; `taught` is what a teacher makes of the same captions."""
        config, gather = self.config, self.ranks.gather
        all_species = gather(species)
        parts: dict[str, Tensor] = {}
        total = torch.zeros((), device=species.device)
        if config.sentence_weight:
            scores = losses.sentence_scores(gather(condition.sentence), gather(pictures.pooled), config.gamma3)
            parts["loss/sentence"] = losses.matching_loss(scores, all_species)
            total = total + config.sentence_weight * parts["loss/sentence"]
        if config.words_weight:
            parts["loss/words"] = losses.words_loss(
                gather(condition.words),
                gather(condition.mask),
                gather(pictures.regions),
                all_species,
                group=config.words_group,
                gammas={"gamma1": config.gamma1, "gamma2": config.gamma2, "gamma3": config.gamma3},
                share=(self.ranks.rank, self.ranks.world),
            )
            total = total + config.words_weight * parts["loss/words"]
        if self.classify is not None:
            parts["loss/species"] = F.cross_entropy(self.classify(pictures.pooled).float(), species)
            parts["loss/species"] = parts["loss/species"] + F.cross_entropy(
                self.classify(condition.sentence).float(), species
            )
            total = total + config.class_weight * parts["loss/species"]
        if taught is not None:
            of = taught.condition
            if self.weights[0]:
                parts["loss/teacher"] = losses.teacher_loss(gather(condition.sentence), gather(of.sentence))
                total = total + self.weights[0] * parts["loss/teacher"]
            if self.weights[1]:
                parts["loss/teacher_words"] = teacher_losses.words_loss(
                    *map(gather, (condition.words, condition.mask, of.words, of.mask))
                )
                total = total + self.weights[1] * parts["loss/teacher_words"]
            if self.spell is not None:
                logits = self.spell(condition.words.transpose(1, 2))
                parts["loss/transcript"] = teacher_losses.transcript_loss(
                    logits, condition.mask, taught.tokens, of.mask
                )
                total = total + self.weights[2] * parts["loss/transcript"]
        return {"loss": total, **parts}


class DamsmJob:
    """Networks, optimizer and one step of the training.

    Args:
        caption: encodes the captions of a batch.
        image_frozen: whether the whole image encoder stays as it is, or its trunk alone, if that one does not train.
        teacher: of captions as recordings, on a corpus that has their words.
    """

    def __init__(
        self,
        config: DamsmTrainingConfig,
        image: ImageEncoder,
        caption: Any,
        n_species: int,
        fabric: Any,
        *,
        image_frozen: bool,
        teacher: Teacher | None = None,
    ) -> None:
        self.config, self.caption, self.fabric, self.teacher = config, caption, fabric, teacher
        self.ranks = ranks_of(fabric)
        self.ranks.check_batch(config.batch_size, config.accumulate)
        self.networks = DamsmNetworks(config, image, caption, n_species, self.ranks, teacher).to(fabric.device)
        image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if teacher is not None:
            teacher.encoder.to(fabric.device)
        self.image_frozen = image_frozen
        if image_frozen:
            image.requires_grad_(False).eval()
        share_batch_norms(self.networks, self.ranks, fabric.device)
        self.weights = [parameter for parameter in self.networks.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.ema = Ema(self.networks, half_life=config.ema_pictures)
        self.caches: list[FeatureCache] = []  # of a trunk that does not learn, by size; given before the first step

    def step(self, batch: Batch, position: int) -> dict[str, Tensor]:
        """One step of the networks that learn."""
        config, parts = self.config, self.config.accumulate
        self.networks.train()
        if self.image_frozen:
            self.networks.image.eval()
        if self.ranks.world > 1:  # dropout, which differs between processes and is the same after a resumption
            torch.manual_seed(hash((config.seed, position, self.ranks.rank)) % 2**31)
        factor = learning_rate(
            position, config.pictures, warm_up=min(2_000, config.pictures // 10), flat=0.3, final=0.02
        )
        set_learning_rate(self.optimizer, config.learning_rate * factor)
        moved = batch.to(self.fabric.device)
        self.optimizer.zero_grad(set_to_none=True)
        values: dict[str, Tensor] = {}
        with self.fabric.autocast():
            inputs = self._image_inputs(moved, position)
        for rows in split_rows(len(batch), parts):
            part = inputs.of(rows) if isinstance(inputs, TrunkFeatures) else inputs[rows]
            for name, value in self._learn(moved[rows], part, parts).items():
                values[name] = values.get(name, 0) + value.detach() / parts
        self.ranks.average_gradients(self.weights)
        values["gradient_norm"] = nn.utils.clip_grad_norm_(self.weights, 5.0)
        self.optimizer.step()
        self.ema.update(self.networks, position, config.batch_size)
        return values

    def _image_inputs(self, batch: Batch, position: int) -> "Tensor | TrunkFeatures":
        """What the part of the image encoder that learns is given: augmented pictures, or cached features."""
        if self.caches:
            total = len(batch) * self.ranks.world
            rng = np.random.default_rng([self.config.seed, 2, position])
            draws = rng.integers(self.config.views, size=total)
            cache = self.caches[rng.integers(len(self.caches)) if len(self.caches) > 1 else 0]
            return cache.features(batch.index, self.ranks.share(torch.from_numpy(draws)).numpy())
        assert batch.pictures is not None
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + position)
        pictures = augment(to_unit(batch.pictures), generator, self.ranks)
        return pictures.contiguous(memory_format=torch.channels_last)

    def _learn(self, batch: Batch, inputs: "Tensor | TrunkFeatures", parts: int) -> dict[str, Tensor]:
        """Gradients of one of `parts` parts of a batch, and its losses."""
        image = self.networks.image
        with self.fabric.autocast():
            taught = None
            if self.teacher is not None:
                with torch.no_grad():
                    assert batch.tokens is not None
                    taught = Taught(self.teacher.encoder.encode(batch), batch.tokens)
            features = image.project(inputs) if isinstance(inputs, TrunkFeatures) else image(inputs)
            values = self.networks.loss(features, self.caption.encode(batch), batch.species, taught)
        (values["loss"] / parts).backward()
        return values

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {
            "networks": self.networks.state_dict(),
            "ema": self.ema.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.networks.load_state_dict(state["networks"])
        self.ema.network.load_state_dict(state["ema"])
        checkpoint.load_optimizer(self.optimizer, state["optimizer"])
