"""A discriminator that looks through a frozen trunk at several scales, one small network a scale (Projected GAN)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.condition import DIMENSION
from attngan.networks.discriminator import ConditionalDiscriminator, Wrap, _halve, _wrap, levels_at, look_through
from attngan.networks.image_encoder import TrunkFeatures, resize


class ProjectedDiscriminator(ConditionalDiscriminator):
    """Judges mixed features of a frozen trunk at each of its scales alone (Sauer et al. 2021, sections 3.2 and 4).

    Random fixed 1x1 convolutions mix channels, random fixed 3x3 convolutions add each coarser scale to the finer one,
    so that no scale can be ignored. The caption comes in by projection (Miyato and Koyama 2018): the inner product of
    a linear map of the sentence with the features is added to the logit.

    Args:
        trunk: of the image encoder; it stays frozen and is not among the weights of this network.
        size: side in px that pictures are brought to for it.
        width: channels of each small network.
        mixed: channels after the mixing, at the finest scale; coarser ones have up to four times as many.
        dimension: D of the sentence.
        spectral: spectral norm of what learns.
    """

    trunk: "_MixedLevels"

    def __init__(
        self,
        trunk: Any,
        *,
        size: int,
        width: int = 64,
        mixed: int = 64,
        dimension: int = DIMENSION,
        spectral: bool = True,
    ) -> None:
        wrap = _wrap(spectral)
        nn.Module.__init__(self)
        self.trunk = _MixedLevels(trunk, size, width, mixed, wrap)
        self.scales, self.width = len(self.trunk.nets), width
        self.unconditional = wrap(nn.Conv2d(width * self.scales, self.scales, 4, groups=self.scales))
        self.summary = wrap(nn.Conv2d(width * self.scales, width * self.scales, 4, groups=self.scales))
        self.project = wrap(nn.Linear(dimension, width * self.scales))

    def look(self, pictures: Tensor) -> tuple[Tensor, TrunkFeatures | None]:
        maps, seen = look_through(self.trunk.frozen, resize(pictures, self.trunk.size))
        return self.trunk.judge_maps(maps), seen

    def judge(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Conditional logits [B * scales] of features with sentences [B, D]."""
        alone = self.unconditional(features).flatten(1)
        seen = F.leaky_relu(self.summary(features).flatten(1), 0.2)
        asked = self.project(F.normalize(sentence.float(), dim=1).to(seen.dtype) * 8)
        paired = (seen * asked).unflatten(1, (self.scales, self.width)).sum(2) / self.width**0.5
        return (alone + paired).flatten()


class _MixedLevels(nn.Module):
    """Trunk maps, mixed at random, each brought to [B, width, 4, 4]; side by side [B, scales * width, 4, 4]."""

    def __init__(self, trunk: Any, size: int, width: int, mixed: int, wrap: Wrap) -> None:
        super().__init__()
        self._frozen = (trunk,)  # in a tuple, where it is neither saved nor trained nor put into training mode
        self.size = size
        shapes = levels_at(trunk, size)
        widths = [min(mixed * 2**level, 4 * mixed) for level in range(len(shapes))]
        self.nets = nn.ModuleList()
        for level, ((side, seen), out) in enumerate(zip(shapes, widths, strict=True)):
            draw = torch.randn(out, seen, 1, 1) * (2 / seen) ** 0.5  # Kaiming
            self.register_buffer(f"channels{level}", draw)
            if level + 1 < len(shapes):
                coarser = widths[level + 1]
                self.register_buffer(f"scales{level}", torch.randn(out, coarser, 1, 1) * (1 / coarser) ** 0.5)
            layers: list[nn.Module] = []
            channels = out
            while side >= 8:
                layers += _halve(channels, width, wrap)
                side, channels = side // 2, width
            if not layers:
                layers = [wrap(nn.Conv2d(channels, width, 3, padding=1)), nn.LeakyReLU(0.2)]
            self.nets.append(nn.Sequential(*layers))

    @property
    def frozen(self) -> Any:
        """The trunk."""
        return self._frozen[0]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.judge_maps(self.frozen.maps(resize(pictures, self.size)))

    def judge_maps(self, maps: list[Tensor]) -> Tensor:
        """What `forward` gives, of maps of the trunk that were computed before."""
        mixed: list[Tensor] = []
        above: Tensor | None = None
        for level in range(len(maps) - 1, -1, -1):
            x = F.conv2d(maps[level], getattr(self, f"channels{level}").to(maps[level].dtype))
            if above is not None:
                added = F.conv2d(above, getattr(self, f"scales{level}").to(above.dtype))
                x = x + F.interpolate(added, size=x.shape[-2:], mode="bilinear")
            mixed.insert(0, x)
            above = x
        found = [net(x) for net, x in zip(self.nets, mixed, strict=True)]
        return torch.cat([F.adaptive_avg_pool2d(x, 4) if x.shape[-1] != 4 else x for x in found], 1)
