"""The generator: an initial stage and any number of refinements, each twice as large (AttnGAN, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.attention import attend_words
from attngan.networks.condition import DIMENSION, Condition
from attngan.networks.layers import ConditioningAugmentation, ResidualBlock, UpBlock
from attngan.runtime import checkpoint
from attngan.runtime.device import autocast
from attngan.runtime.training_options import SINGLE
from datasets.errors import InputError

GENERATOR_KIND = "generator"


@dataclass
class GeneratorOutput:
    """What the generator gives for B captions.

    Attributes:
        pictures: one [B, 3, S, S] in [-1, 1] for each stage, S doubling.
        attention: one [B, R, T] for each refinement: which word or segment each of its R = S*S regions looked at;
            none of a generator without attention.
        mean, log_variance: [B, C] of the conditioning augmentation.
    """

    pictures: list[Tensor]
    attention: list[Tensor]
    mean: Tensor
    log_variance: Tensor


@dataclass
class Noise:
    """What chooses among the pictures of B captions; standard normal.

    Attributes:
        noise: [B, noise], which the style begins with.
        epsilon: [B, conditioning], of the conditioning augmentation.
    """

    noise: Tensor
    epsilon: Tensor

    def __len__(self) -> int:
        return len(self.noise)

    def __getitem__(self, rows: Any) -> "Noise":
        """That of `rows` (a slice or an index tensor)."""
        return Noise(self.noise[rows], self.epsilon[rows])


class InitialStage(nn.Module):
    """From the style vector to features [B, W, base, base]: a linear layer to 4 px, then doublings."""

    def __init__(self, *, style: int, width: int, base: int, max_width: int, affine: int) -> None:
        super().__init__()
        doublings = base.bit_length() - 3  # base = 4 * 2^doublings
        widths = [min(max_width, width * 2**k) for k in range(doublings, -1, -1)]
        self.seed = nn.Sequential(nn.Linear(style, 2 * widths[0] * 16, bias=False), nn.BatchNorm1d(2 * widths[0] * 16))
        self.shape = (2 * widths[0], 4, 4)
        self.ups = nn.ModuleList(UpBlock(a, b, affine) for a, b in pairwise(widths))

    def forward(self, style: Tensor) -> Tensor:
        x = F.glu(self.seed(style).view(-1, *self.shape), dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        for up in self.ups:
            x = up(x, style)
        return x


class RefineStage(nn.Module):
    """Each region attends to the words; features and context are refined together and doubled in size.

    Without attention the context is the style, the same for all regions, as in StackGAN-v2.
    """

    def __init__(
        self, *, style: int, width_in: int, width_out: int, blocks: int, dimension: int, affine: int, attention: bool
    ) -> None:
        super().__init__()
        if attention:
            self.project_words = nn.Conv1d(dimension, width_in, 1, bias=False)
        else:
            self.project_style = nn.Linear(style, width_in)
        self.blocks = nn.ModuleList(ResidualBlock(2 * width_in, affine) for _ in range(blocks))
        self.up = UpBlock(2 * width_in, width_out, affine)

    def forward(self, x: Tensor, condition: Condition, style: Tensor) -> tuple[Tensor, Tensor | None]:
        if hasattr(self, "project_words"):
            context, attention = attend_words(x.flatten(2), self.project_words(condition.words), condition.mask)
        else:
            context, attention = self.project_style(style)[:, :, None].expand(-1, -1, x[0, 0].numel()), None
        x = torch.cat([x, context.reshape(x.shape).to(x.dtype)], 1).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x, style)
        return self.up(x, style), attention


class Generator(nn.Module):
    """Paints a condition in stages.

    Args:
        stages: how many pictures, the first of resolution `base`, each twice as large as the one before.
        widths: channels of the features of each stage; the last value serves all later ones.
        blocks: residual blocks of each refinement; the last value serves all later ones.
        max_width: cap of the channels at small resolutions.
        noise: width of the noise vector.
        conditioning: width of the augmented sentence.
        skip: whether each stage adds to the enlarged picture of the one before (StyleGAN2's output skips), at first
            nothing, instead of painting it anew (as published).
        affine: whether every gated convolution listens to sentence and noise, or only the seed (as published).
        attention: whether refinements attend to the words (AttnGAN), or know the sentence alone (StackGAN-v2).
    """

    def __init__(
        self,
        *,
        stages: int = 4,
        base: int = 64,
        widths: tuple[int, ...] = (32,),
        blocks: tuple[int, ...] = (2,),
        max_width: int = 512,
        noise: int = 100,
        conditioning: int = 100,
        dimension: int = DIMENSION,
        affine: bool = True,
        skip: bool = True,
        attention: bool = True,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "stages": stages,
            "base": base,
            "widths": list(widths),
            "blocks": list(blocks),
            "max_width": max_width,
            "noise": noise,
            "conditioning": conditioning,
            "dimension": dimension,
            "affine": affine,
            "skip": skip,
            "attention": attention,
        }
        self.noise, self.base, self.skip = noise, base, skip
        width = [widths[min(k, len(widths) - 1)] for k in range(stages)]
        count = [blocks[min(k, len(blocks) - 1)] for k in range(stages - 1)]
        style = noise + conditioning
        self.augmentation = ConditioningAugmentation(dimension, conditioning)
        self.initial = InitialStage(
            style=style, width=width[0], base=base, max_width=max_width, affine=style if affine else 0
        )
        self.refine = nn.ModuleList(
            RefineStage(
                style=style,
                width_in=a,
                width_out=b,
                blocks=n,
                dimension=dimension,
                affine=style if affine else 0,
                attention=attention,
            )
            for a, b, n in zip(width[:-1], width[1:], count, strict=True)
        )
        heads = [nn.Conv2d(w, 3, 3, padding=1) for w in width]
        self.heads = nn.ModuleList(heads)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv1d):
                nn.init.orthogonal_(module.weight)
        for head in heads[1:] if skip else ():
            head.weight.data.zero_()
            if head.bias is not None:
                head.bias.data.zero_()

    def __len__(self) -> int:
        """How many pictures it paints."""
        return len(self.heads)

    @property
    def resolutions(self) -> list[int]:
        """Side of each picture in px."""
        return [self.base * 2**k for k in range(len(self))]

    def stage_modules(self, stage: int) -> list[nn.Module]:
        """The modules that belong to a stage alone, so that it can be frozen."""
        first = [self.augmentation, self.initial] if stage == 0 else [self.refine[stage - 1]]
        return [*first, self.heads[stage]]

    def sample_noise(self, seeds: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Noise:
        """The noise of B seeds, each one or several numbers; the same seed gives the same noise on every machine."""
        generators = [np.random.default_rng(list(seed)) for seed in seeds]
        noise, epsilon = (
            np.stack([generator.standard_normal(width, dtype=np.float32) for generator in generators])
            for width in (self.noise, self.arguments["conditioning"])
        )
        return Noise(torch.from_numpy(noise).to(device), torch.from_numpy(epsilon).to(device))

    @torch.inference_mode()
    def paint(
        self,
        condition: Condition,
        noise: Noise,
        *,
        stages: int | None = None,
        device: torch.device | str | None = None,
        precision: str = SINGLE,
        batch_size: int = 1,
    ) -> GeneratorOutput:
        """Paint captions without training.

        Args:
            condition: B captions, or one that is painted with each noise.
            noise: B times, from `sample_noise`.
            stages: paint only the first so many pictures; None paints all.
            device: where to paint; the generator moves there. None is where it is.
            precision: of `attngan.runtime.device`.
            batch_size: captions painted at a time. In a batch the rounding of one picture depends on the others, so
                that only pictures painted one by one are the same to the last bit whatever is painted beside them.

        Raises:
            InputError: for an unknown precision.
        """
        place = next(self.parameters()).device if device is None else torch.device(device)
        self.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if len(condition) == 1:
            condition = condition.repeat(len(noise))
        outputs = []
        for rows in torch.arange(len(noise)).split(batch_size):
            part = noise[rows]
            with autocast(place, precision):
                outputs.append(
                    self(condition[rows].to(place), part.noise.to(place), part.epsilon.to(place), stages=stages)
                )
        return concatenate(outputs)

    def stages_to(self, resolution: int) -> int:
        """How many stages it takes to paint pictures of `resolution` px.

        Raises:
            InputError: if no stage paints them.
        """
        if resolution not in self.resolutions:
            painted = ", ".join(map(str, self.resolutions))
            raise InputError(f"--resolution {resolution}: the model paints {painted} px; choose one of these")
        return self.resolutions.index(resolution) + 1

    def forward(
        self, condition: Condition, noise: Tensor, epsilon: Tensor | None = None, *, stages: int | None = None
    ) -> GeneratorOutput:
        """Paint.

        Args:
            condition: B captions.
            noise: [B, noise], standard normal.
            epsilon: [B, conditioning], standard normal, of the conditioning augmentation; None paints its mean.
            stages: paint only the first so many pictures; None paints all.
        """
        mean, log_variance = self.augmentation(condition.sentence)
        mean, log_variance = mean.float(), log_variance.float()
        augmented = mean if epsilon is None else mean + epsilon * (0.5 * log_variance).exp()
        style = torch.cat([augmented, noise], 1)
        x = self.initial(style)
        colours = self.heads[0](x).float()
        pictures, attention = [torch.tanh(colours)], []
        refinements = list(zip(self.refine, self.heads[1:], strict=True))
        for refine, head in refinements if stages is None else refinements[: stages - 1]:
            x, looked = refine(x, condition, style)
            added = head(x).float()
            colours = added + F.interpolate(colours, scale_factor=2.0, mode="bilinear") if self.skip else added
            if looked is not None:
                attention.append(looked)
            pictures.append(torch.tanh(colours))
        return GeneratorOutput(pictures, attention, mean, log_variance)


def concatenate(outputs: Sequence[GeneratorOutput]) -> GeneratorOutput:
    """What was painted in several batches as one."""
    return GeneratorOutput(
        [torch.cat(pictures) for pictures in zip(*(output.pictures for output in outputs), strict=True)],
        [torch.cat(maps) for maps in zip(*(output.attention for output in outputs), strict=True)],
        torch.cat([output.mean for output in outputs]),
        torch.cat([output.log_variance for output in outputs]),
    )


def load_generator(path: Path) -> tuple[Generator, dict[str, Any]]:
    """The frozen, averaged generator of a weights file, and the file's description.

    Raises:
        InputError: if the file is missing, damaged, or something else.
    """
    state, description = checkpoint.load(path, GENERATOR_KIND)
    generator = checkpoint.build(Generator, description, GENERATOR_KIND, path)
    checkpoint.load_weights(generator, state, path)
    return generator.eval().requires_grad_(False), description
