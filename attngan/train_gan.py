"""Training the generator against its discriminators, for any caption encoder that is passed in."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attngan import checkpoint, distances, losses, metrics, runtime
from attngan.adversary import Adversary, Penalty
from attngan.condition import CaptionEncoder, Condition, concatenate
from attngan.gan_config import GanConfig
from attngan.generator import GENERATOR_KIND, Painting
from attngan.growing import start_from
from attngan.image_encoder import ImageEncoder
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.loader import Batch, Loader, to_unit

KIND = "gan"
GRID_CAPTIONS, GRID_DRAWS = 8, 4


def pyramid(pictures: Tensor, stages: int) -> list[Tensor]:
    """Real pictures [B, 3, S, S] at every stage's size, the smallest first; each halving averages 2x2 pixels."""
    sizes = [pictures]
    for _ in range(stages - 1):
        sizes.append(torch.nn.functional.avg_pool2d(sizes[-1], 2))
    return sizes[::-1]


class GanJob:
    """Networks, losses and one step of the training."""

    def __init__(
        self, config: GanConfig, image: ImageEncoder, caption: CaptionEncoder, fabric: Any, gammas: dict[str, float]
    ) -> None:
        self.config, self.fabric, self.gammas = config, fabric, gammas
        self.image, self.caption = image, caption
        self.device = fabric.device
        self.generator = config.generator()
        self.discriminators = config.discriminators(image)
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
            seen, species = condition.sentence, batch.species
            if config.diversity_weight:  # the first half of the captions twice, with two noises
                twice = torch.arange(len(batch), device=self.device) % (len(batch) // 2)
                condition, species = condition[twice], species[twice]
            painting = self.generator(condition, noise, spread.to(self.device))
        values = self.adversary.train(
            real, painting.pictures, seen, batch.species, self.fabric.autocast, draws, condition.sentence
        )
        with self.fabric.autocast():
            adversarial = self.adversary.generator_loss(painting.pictures, condition.sentence, draws)
            total = adversarial
            if config.damsm_weight:
                damsm = self.damsm_loss(painting.pictures[-1], condition, species)
                total = total + config.damsm_weight * damsm
                values["generator/damsm"] = damsm.detach()
            if config.diversity_weight:
                alike = losses.mode_seeking_loss(*painting.pictures[-1].chunk(2), *noise.chunk(2))
                total = total + config.diversity_weight * alike
                values["generator/alike"] = alike.detach()
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
        scores = losses.sentence_scores(condition.sentence, features.whole, self.gammas["gamma3"])
        sentence = losses.matching_loss(scores, species)
        return sentence + losses.words_loss(
            condition.words, condition.mask, features.regions, species, gammas=self.gammas
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
        found["frechet"] = distances.frechet_distance(torch.cat(real), features)
        return found


def train(
    config: GanConfig,
    image: ImageEncoder,
    caption: Any,
    *,
    vocabulary: Vocabulary | None,
    gammas: dict[str, float],
    description: dict[str, Any],
) -> Path:
    """Train a generator; returns the file of its averaged weights.

    Args:
        image: frozen, of the DAMSM loss. caption: frozen, makes the condition.
        vocabulary: for captions as words; None for recordings.
        gammas: gamma1, gamma2 and gamma3 of the DAMSM loss, those that its encoders were trained with.
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
    job = GanJob(config, image, caption, fabric, gammas)
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
