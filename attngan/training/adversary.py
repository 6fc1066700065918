"""The opponents of the generator: they own their optimizers, so the training loop needs two lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from attngan.networks.discriminator import ConditionalDiscriminator
from attngan.networks.image_encoder import TrunkFeatures
from attngan.runtime import checkpoint
from attngan.runtime.optimisation import set_learning_rate
from attngan.runtime.ranks import ALONE, Ranks
from attngan.training import losses
from attngan.training.gan_networks import TEXTURE
from attngan.training.picture_batches import split_rows

Pictures = Mapping[str, Tensor]
"""Batches [B, 3, S, S] by the name of the discriminator that judges them."""


def diff_augment(
    pictures: list[Tensor], policy: tuple[str, ...], generator: torch.Generator, ranks: Ranks = ALONE
) -> list[Tensor]:
    """DiffAugment (Zhao et al. 2020): the same random shift and blank square for real and painted pictures.

    Its colour part is left out: captions name colours, and a conditional head must trust them.

    Args:
        pictures: batches [B, 3, S, S] of one size that get the same draws.
        ranks: the processes that the whole batch is shared by.
    """
    if not policy:
        return pictures
    n, _, resolution, _ = pictures[0].shape
    device = pictures[0].device
    places = ranks.share(torch.rand(4, n * ranks.world, generator=generator), dim=1).to(device)
    if "translation" in policy:
        reach = resolution // 8
        shift = (places[:2] * (2 * reach + 1)).long()  # 0 .. 2 * reach
        pixels = torch.arange(resolution, device=device)
        rows = (shift[0][:, None] + pixels)[:, None, :, None].expand(-1, 3, -1, resolution + 2 * reach)
        columns = (shift[1][:, None] + pixels)[:, None, None, :].expand(-1, 3, resolution, -1)
        pictures = [F.pad(x, [reach] * 4).gather(2, rows).gather(3, columns) for x in pictures]
    if "cutout" in policy:
        half = resolution // 4  # DiffAugment cuts half of the side
        centre = (places[2:] * resolution).long()
        pixels = torch.arange(resolution, device=device)[None]
        inside = [(pixels - centre[axis][:, None]).abs() < half // 2 for axis in range(2)]
        keep = ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])
        pictures = [x * keep for x in pictures]
    return pictures


def mismatched(species: Tensor, generator: torch.Generator) -> Tensor:
    """For each of B pictures the index of one of another species, at random; [B].

    Where a batch holds one species only, another picture serves.
    """
    different = (species[:, None] != species[None]).cpu()
    alone = ~different.any(1)
    different[alone] = ~torch.eye(len(species), dtype=torch.bool)[alone]
    return different.float().multinomial(1, generator=generator)[:, 0].to(species.device)


@dataclass(frozen=True)
class Penalty:
    """A gradient penalty on real pairs: none, r1 (on pictures) or ma-gp (on pictures and sentences)."""

    kind: str = "none"
    weight: float = 1.0
    every: int = 8  # steps between two; its weight is multiplied by as many


class Adversary:
    """The discriminators with their optimizers.

    Args:
        discriminators: by name, as `build_discriminators` gives them.
        loss: "hinge" or "bce".
        policy: parts of DiffAugment to use.
        ranks: the processes that train them together; each gives `train` its share of a batch.
    """

    def __init__(
        self,
        discriminators: dict[str, ConditionalDiscriminator],
        *,
        learning_rate: float,
        betas: tuple[float, float],
        loss: str,
        policy: tuple[str, ...],
        penalty: Penalty,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.discriminators = discriminators
        self.networks = nn.ModuleDict(discriminators)
        self.loss, self.policy, self.penalty = loss, policy, penalty
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=learning_rate, betas=betas, fused=True)
            for name, network in discriminators.items()
        }
        self.steps = 0

    def set_learning_rate(self, rate: float) -> None:
        """Of all discriminators."""
        for optimizer in self.optimizers.values():
            set_learning_rate(optimizer, rate)

    def train(
        self,
        real: Pictures,
        fake: Pictures,
        sentence: Tensor,
        species: Tensor,
        autocast: Any,
        generator: torch.Generator,
        fake_sentence: Tensor | None = None,
        parts: int = 1,
    ) -> dict[str, Tensor]:
        """One step of every discriminator; returns its losses and how often it is right.

        Args:
            real, fake: photographs and painted pictures for each discriminator.
            sentence: [B, D] of the real pictures. species: [B].
            fake_sentence: [B, D] of the painted pictures; None where they are those of the real ones.
            autocast: makes a context for the forward pass, as `fabric.autocast`.
            generator: of wrong pairs and augmentation.
            parts: work through the batch in as many equal parts, whose gradients are averaged; it saves memory.
        """
        self.networks.requires_grad_(True).train()
        wrong = self.ranks.share(mismatched(self.ranks.gather(species), generator))
        mistaken = self.ranks.gather(sentence)[wrong]
        captions = [sentence, sentence if fake_sentence is None else fake_sentence, mistaken]
        values: dict[str, Tensor] = {}
        for name, network in self.discriminators.items():
            pictures = [real[name], fake[name].detach()]
            optimizer = self.optimizers[name]
            optimizer.zero_grad(set_to_none=True)
            for rows in split_rows(len(sentence), parts):
                for what, value in self._learn(
                    name, [x[rows] for x in pictures], [x[rows] for x in captions], autocast, generator, parts
                ).items():
                    values[f"{what}/{name}"] = values.get(f"{what}/{name}", 0) + value / parts
            self.ranks.average_gradients(network.parameters())
            optimizer.step()
        self.steps += 1
        return values

    def _learn(
        self,
        name: str,
        pictures: list[Tensor],
        captions: list[Tensor],
        autocast: Any,
        generator: torch.Generator,
        parts: int,
    ) -> dict[str, Tensor]:
        """Gradients of one discriminator on one of `parts` parts of a batch; its loss and how often it is right.

        Args:
            pictures: real and painted. captions: sentences of the real, of the painted, and wrong ones for the real.
        """
        network = self.discriminators[name]
        with parametrize.cached():
            network.normalise_weights()
            with autocast():
                real, fake = self._augment(name, pictures, generator)
                features = network.features(torch.cat([real, fake]))
                real_features = features[: len(real)]
                alone = network.unconditional(features).flatten()
                paired = network.judge(torch.cat([features, real_features]), torch.cat(captions))
            real_alone, fake_alone = alone.chunk(2)
            real_paired, fake_paired, wrong_paired = paired.chunk(3)
            loss = (
                losses.discriminator_loss(real_alone, fake_alone, None, self.loss)
                + losses.discriminator_loss(real_paired, fake_paired, wrong_paired, self.loss)
            ) / 2
            total = loss
            if self.penalty.kind != "none" and self.steps % self.penalty.every == 0:
                total = loss + self._penalty(network, pictures[0], captions[0])
            (total / parts).backward()
        return {
            "discriminator": loss.detach(),
            "accuracy_real": (real_paired > 0).float().mean(),
            "accuracy_fake": (fake_paired < 0).float().mean(),
            "accuracy_wrong": (wrong_paired < 0).float().mean(),
        }

    def _penalty(self, network: ConditionalDiscriminator, pictures: Tensor, sentence: Tensor) -> Tensor:
        pictures, sentence = pictures.detach().float().requires_grad_(), sentence.detach().float().requires_grad_()
        logits = network(pictures, sentence)
        weight = self.penalty.weight * self.penalty.every
        if self.penalty.kind == "r1":
            return losses.gradient_penalty(sum(logits), [pictures], power=2, scale=weight / 2)  # type: ignore[arg-type]
        return losses.gradient_penalty(logits.conditional, [pictures, sentence], power=6, scale=2 * weight)

    def _augment(self, name: str, pictures: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """The pictures as a discriminator sees them; close-ups come from random places already."""
        return pictures if name == TEXTURE else diff_augment(pictures, self.policy, generator, self.ranks)

    def generator_loss(
        self,
        fake: Pictures,
        sentence: Tensor,
        generator: torch.Generator,
        seen: list[TrunkFeatures] | None = None,
    ) -> Tensor:
        """What the generator pays for being found out, summed over discriminators, which get no gradients.

        Args:
            seen: what a frozen trunk saw in the last pictures is appended here, so that nobody has to look again.
        """
        self.networks.requires_grad_(False)
        total = torch.zeros((), device=sentence.device)
        for name, network in self.discriminators.items():
            with parametrize.cached():
                network.normalise_weights()
                (pictures,) = self._augment(name, [fake[name]], generator)
                features, through = network.look(pictures)
                logits = network.logits(features, sentence)
            if through is not None and seen is not None:
                seen.append(through)
            total = total + sum(losses.generator_loss(part, self.loss) for part in logits) / 2
        return total

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimizers and the step count."""
        return {
            "networks": self.networks.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.networks.load_state_dict(state["networks"])
        for name, optimizer in self.optimizers.items():
            checkpoint.load_optimizer(optimizer, state["optimizers"][name])
        self.steps = state["steps"]
