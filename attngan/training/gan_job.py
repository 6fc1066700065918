"""One step of training the generator against its discriminators, for any caption encoder that is passed in."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from attngan.evaluation import distances, metrics
from attngan.evaluation.observer import Observer
from attngan.networks.condition import CaptionEncoder, Condition
from attngan.networks.generator import GeneratorOutput
from attngan.networks.image_encoder import ImageEncoder, ImageFeatures, TrunkFeatures
from attngan.runtime import checkpoint
from attngan.runtime.machine import ranks_of
from attngan.runtime.optimisation import Ema, learning_rate, set_learning_rate
from attngan.runtime.ranks import share_batch_norms
from attngan.training import growing, losses
from attngan.training.adversary import Adversary, Penalty, Pictures
from attngan.training.gan_config import GanConfig
from attngan.training.gan_networks import (
    FEATURES,
    TEXTURE,
    build_discriminators,
    build_generator,
    name_discriminators,
)
from attngan.training.picture_batches import close_ups, join_parts, pyramid, split_rows
from datasets.loader import Batch, Loader, to_unit

KIND = "gan"


@dataclass
class GeneratorInputs:
    """What is painted: B conditions with their species [B], noise [B, Z] and the epsilon of their augmentation."""

    condition: Condition
    species: Tensor
    noise: Tensor
    epsilon: Tensor

    def __getitem__(self, rows: Any) -> "GeneratorInputs":
        """Some of its rows."""
        return GeneratorInputs(self.condition[rows], self.species[rows], self.noise[rows], self.epsilon[rows])


class GanJob:
    """Networks, losses and one step of the training."""

    def __init__(
        self,
        config: GanConfig,
        image: ImageEncoder,
        caption: CaptionEncoder,
        fabric: Any,
        gammas: dict[str, float],
        observer: Observer | None = None,
    ) -> None:
        self.config, self.fabric, self.gammas = config, fabric, gammas
        self.image, self.caption, self.observer = image, caption, observer
        self.device, self.ranks = fabric.device, ranks_of(fabric)
        self.ranks.check_batch(config.batch_size, config.accumulate)
        self.generator = build_generator(config)
        self.discriminators = build_discriminators(config, image)
        if config.init is not None:
            state = growing.read(config.init, KIND)
            growing.start_from(state, self.generator, self.discriminators, freeze=config.freeze, path=config.init)
        self.generator.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for network in self.discriminators.values():
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        share_batch_norms(self.generator, self.ranks, self.device)
        self.frozen = [m for stage in range(config.freeze) for m in self.generator.stage_modules(stage)]
        for module in self.frozen:
            module.requires_grad_(False)
        self.weights = [parameter for parameter in self.generator.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self.weights, lr=config.learning_rate, betas=config.betas, fused=True)
        self.ema = Ema(self.generator, half_life=config.ema_pictures)
        self.adversary = Adversary(
            self.discriminators,
            learning_rate=config.discriminator_learning_rate,
            betas=config.betas,
            loss=config.loss,
            policy=config.augmentation,
            penalty=Penalty(config.penalty, config.penalty_weight),
            ranks=self.ranks,
        )

    def step(self, batch: Batch, position: int) -> dict[str, Tensor]:
        """Discriminators, then the generator, on one shared batch of painted pictures."""
        config = self.config
        flat_then_cosine = learning_rate(position, config.pictures, flat=0.5, final=config.final_rate)
        set_learning_rate(self.optimizer, config.learning_rate * flat_then_cosine)
        self.adversary.set_learning_rate(config.discriminator_learning_rate * flat_then_cosine)
        batch = batch.to(self.device)
        assert batch.pictures is not None, "the loader was not asked for pictures"
        assert batch.close_ups is not None or not config.close_up, "the loader was not asked for close-ups"
        real = pyramid(to_unit(batch.pictures), config.stages)
        draws = torch.Generator().manual_seed(config.seed * 1_000_003 + position)
        self.generator.train()
        for module in self.frozen:
            module.eval()
        inputs, real_sentence = self._inputs(batch, draws)
        rows_of_parts = split_rows(len(batch), config.accumulate)
        parts = [inputs[rows] for rows in rows_of_parts]
        outputs = [self._paint(part) for part in parts]
        fake = join_parts([output.pictures for output in outputs], rows_of_parts)
        values = self.adversary.train(
            self._by_discriminator(real, draws, batch.close_ups),
            self._by_discriminator(fake, draws),
            real_sentence,
            batch.species,
            self.fabric.autocast,
            draws,
            inputs.condition.sentence,
            len(parts),
        )
        if position < config.discriminator_warmup:
            return values
        self.optimizer.zero_grad(set_to_none=True)
        for part, output in zip(parts, outputs, strict=True):
            for name, value in self._learn(part, output, draws).items():
                values[name] = values.get(name, 0) + value / len(parts)
        self.ranks.average_gradients(self.weights)
        self.optimizer.step()
        self.ema.update(self.generator, position, config.batch_size)
        return {"generator/adversarial": values.pop("generator/adversarial"), **values}  # first in the progress bar

    def _inputs(self, batch: Batch, draws: torch.Generator) -> tuple[GeneratorInputs, Tensor]:
        """What is painted for a batch, and the sentences [B, D] of its real pictures."""
        total = len(batch) * self.ranks.world
        noise = self.ranks.share(torch.randn(total, self.generator.noise, generator=draws)).to(self.device)
        width = self.generator.augmentation.project.out_features // 4
        epsilon = self.ranks.share(torch.randn(total, width, generator=draws)).to(self.device)
        with self.fabric.autocast(), torch.no_grad():
            condition = self.caption.encode(batch)
        condition = Condition(condition.sentence.float(), condition.words.float(), condition.mask)
        sentence, species = condition.sentence, batch.species
        if self.config.diversity_weight:  # the first half of the captions twice, with two noises
            twice = torch.arange(len(batch), device=self.device) % (len(batch) // 2)
            condition, species = condition[twice], species[twice]
        return GeneratorInputs(condition, species, noise, epsilon), sentence

    def _paint(self, inputs: GeneratorInputs) -> GeneratorOutput:
        """Paint a part of the batch; of several, the graph is computed again when gradients are, to save memory."""

        def paint() -> GeneratorOutput:
            with self.fabric.autocast():
                return self.generator(inputs.condition, inputs.noise, inputs.epsilon)

        return paint() if self.config.accumulate == 1 else recompute(paint, use_reentrant=False)

    def _by_discriminator(
        self, pictures: list[Tensor], draws: torch.Generator, photographed: Tensor | None = None
    ) -> Pictures:
        """What each discriminator judges of pictures of every stage; close-ups are photographed, or cut from them."""
        judged = {str(resolution): x for resolution, x in zip(self.generator.resolutions, pictures, strict=True)}
        judged[FEATURES] = pictures[-1]
        if self.config.close_up and photographed is not None:
            judged[TEXTURE] = to_unit(photographed)
        elif self.config.close_up:
            judged[TEXTURE] = close_ups(pictures[-1], self.config.close_up, draws, self.ranks)
        return judged

    def _learn(self, inputs: GeneratorInputs, output: GeneratorOutput, draws: torch.Generator) -> dict[str, Tensor]:
        """Gradients of the generator on one part of the batch, and its losses."""
        config, pictures = self.config, output.pictures
        with self.fabric.autocast():
            seen: list[TrunkFeatures] = []
            adversarial = self.adversary.generator_loss(
                self._by_discriminator(pictures, draws), inputs.condition.sentence, draws, seen
            )
            total, values = adversarial, {"generator/adversarial": adversarial.detach()}
            if config.damsm_weight:
                features = self.image.project(seen[0]) if seen else self.image(pictures[-1])
                damsm = self.damsm_loss(features, inputs.condition, inputs.species)
                total = total + config.damsm_weight * damsm
                values["generator/damsm"] = damsm.detach()
            if config.diversity_weight:
                apart = seen[0].pooled if config.diversity_of == "features" and seen else pictures[-1]
                similarity = losses.mode_seeking_loss(*apart.chunk(2), *inputs.noise.chunk(2))
                total = total + config.diversity_weight * similarity
                values["generator/alike"] = similarity.detach()
            if config.consistency_weight:
                drift = losses.consistency_loss(pictures[max(0, config.freeze - 1) :])
                total = total + config.consistency_weight * drift
                values["generator/drift"] = drift.detach()
            divergence = losses.kl_to_normal(output.mean, output.log_variance)
            total = total + config.kl_weight * divergence
            values["generator/divergence"] = divergence.detach()
        (total / config.accumulate).backward()
        return values

    def damsm_loss(self, features: ImageFeatures, condition: Condition, species: Tensor) -> Tensor:
        """Sentence and words loss of painted pictures with their captions (AttnGAN, equation 14)."""
        gather = self.ranks.gather
        species = gather(species)
        scores = losses.sentence_scores(gather(condition.sentence), gather(features.pooled), self.gammas["gamma3"])
        sentence = losses.matching_loss(scores, species)
        return sentence + losses.words_loss(
            gather(condition.words),
            gather(condition.mask),
            gather(features.regions),
            species,
            gammas=self.gammas,
            share=(self.ranks.rank, self.ranks.world),
        )

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
        self.adversary.load_state_dict(name_discriminators(state["adversary"], self.config.base))

    @torch.no_grad()
    def paint(self, condition: Condition, noise: Tensor) -> GeneratorOutput:
        """Paint with the averaged weights."""
        with self.fabric.autocast():
            return self.ema.network(condition.to(self.device), noise.to(self.device))

    @torch.no_grad()
    def validate(self, loader: Loader, seed: int) -> dict[str, float]:
        """Retrieval between painted pictures and their captions, and the distance of their features from real ones."""
        draws = torch.Generator().manual_seed(seed)
        features: dict[int, tuple[Tensor, ...]] = {}
        for number, first in enumerate(range(0, len(loader), loader.batch_size)):
            count = min(loader.batch_size, len(loader) - first)
            noise = torch.randn(count, self.generator.noise, generator=draws)
            if number % self.ranks.world != self.ranks.rank:
                continue
            batch = loader.in_order(first)
            moved = batch.to(self.device)
            assert moved.pictures is not None
            with self.fabric.autocast():
                condition = self.caption.encode(moved)
                painted = self.paint(condition, noise).pictures[-1]
                birds = torch.ones(count) if self.observer is None else self.observer.names_bird(painted)
                pooled = [self.image(pictures).pooled for pictures in (to_unit(moved.pictures), painted)]
            features[number] = (*(x.float().cpu() for x in (*pooled, condition.sentence, birds)), batch.species)
        real, fake, sentences, birds, species = (
            torch.cat(parts) for parts in zip(*self.ranks.collect(features), strict=True)
        )
        scores = metrics.retrieval(fake, sentences[None], species)
        scores["frechet"] = distances.frechet_distance(real, fake)
        if self.observer is not None:
            scores["birds"] = float(birds.mean() * 100)
        return scores
