"""The discriminator: one class for every resolution, its depth computed from it, its width capped."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from attngan.condition import DIMENSION


class Logits(NamedTuple):
    """Whether a picture is real, [B] each: on its own, and together with its caption."""

    unconditional: Tensor
    conditional: Tensor


class Discriminator(nn.Module):
    """Convolutions of stride 2 down to 4 px, then a head that sees the caption and one that does not.

    Spectral norm on every convolution and no batch norm (AttnGAN++), so that a picture is judged alone.

    Args:
        side: side of the pictures in px, 4 times a power of two.
        width: channels after the first convolution; they double at each further one.
        max_width: cap of the channels. The published network has none, which at 512 px costs 281 M weights.
        spectral: whether to normalise the weights.
    """

    def __init__(
        self, *, side: int, width: int = 32, max_width: int = 512, dimension: int = DIMENSION, spectral: bool = True
    ) -> None:
        super().__init__()
        wrap = spectral_norm if spectral else (lambda module: module)
        depth = side.bit_length() - 3  # side = 4 * 2^depth
        widths = [3, *[min(max_width, width * 2**k) for k in range(depth)]]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [wrap(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.trunk = nn.Sequential(*layers)
        last = widths[-1]
        self.unconditional = wrap(nn.Conv2d(last, 1, 4))
        self.join = nn.Sequential(wrap(nn.Conv2d(last + dimension, last, 3, 1, 1)), nn.LeakyReLU(0.2))
        self.conditional = wrap(nn.Conv2d(last, 1, 4))

    def features(self, pictures: Tensor) -> Tensor:
        """[B, 3, side, side] in [-1, 1] to [B, C, 4, 4]."""
        return self.trunk(pictures)

    def judge(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Conditional logits [B] of features with sentences [B, D]."""
        tiled = sentence[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self.conditional(self.join(torch.cat([features, tiled.to(features.dtype)], 1))).flatten()

    def forward(self, pictures: Tensor, sentence: Tensor) -> Logits:
        """Judge pictures [B, 3, side, side] with sentences [B, D]."""
        features = self.features(pictures)
        return Logits(self.unconditional(features).flatten(), self.judge(features, sentence))

    def normalise_weights(self) -> None:
        """Inside `parametrize.cached()`: one power iteration of every convolution in float32, outside of autocast."""
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            for module in self.modules():
                if parametrize.is_parametrized(module):
                    _ = module.weight
