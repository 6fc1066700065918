"""Photographs painted again from the noise that an encoder finds in them (CVAE-GAN, Bao et al. 2017, section 3).

A discriminator alone says that a picture is wrong; a photograph to be painted again says how it should look, so shapes
come sooner. It also gives noise a meaning: what the caption leaves open, such as pose, place and ground, has to come
from it, or the photograph cannot be told from others of the same caption (BicycleGAN, Zhu et al. 2017, section 3).
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.discriminator import levels_at
from attngan.networks.image_encoder import resize

GRID = 6  # places of a side that the posterior looks at, at most
NAT = 0.01  # what a nat of the noise costs, in shares of the reconstruction


class Noise(NamedTuple):
    """Normal distribution of the noise of B photographs: mean and log-variance [B, Z]."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, draws: Tensor) -> Tensor:
        """Noise [B, Z] from standard normal draws [B, Z]."""
        return self.mean + draws * (0.5 * self.log_variance).exp()

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence from the standard normal, in nats, mean over photographs."""
        terms = 1 + self.log_variance - self.mean**2 - self.log_variance.exp()
        return -0.5 * terms.sum(1).mean()


class Posterior(nn.Module):
    """From what a frozen trunk sees in photographs to the noise that they may have been painted from.

    Args:
        trunk: stays frozen and is not among the weights of this network.
        size: side in px that photographs are brought to for it.
        noise: Z, width of the generator's noise.
        width: of the hidden layer.
    """

    def __init__(self, trunk: Any, *, size: int, noise: int, width: int = 512) -> None:
        super().__init__()
        self._frozen, self.size = (trunk,), size
        seen = sum(channels * min(side, GRID) ** 2 for side, channels in levels_at(trunk, size)[-2:])
        self.net = nn.Sequential(
            nn.LayerNorm(seen), nn.Linear(seen, width), nn.LeakyReLU(0.2), nn.Linear(width, 2 * noise)
        )
        nn.init.normal_(self.net[-1].weight, std=1e-3)
        nn.init.zeros_(self.net[-1].bias)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """What the trunk sees in pictures [B, 3, S, S] in [-1, 1], at every scale."""
        return self._frozen[0].maps(resize(pictures, self.size))

    def forward(self, maps: list[Tensor]) -> Noise:
        """The noise of B photographs, from their maps."""
        pooled = [x if x.shape[-1] <= GRID else F.adaptive_avg_pool2d(x, GRID) for x in maps[-2:]]
        seen = torch.cat([x.flatten(1) for x in pooled], 1)
        mean, log_variance = self.net(seen).float().chunk(2, 1)
        return Noise(mean, log_variance.clamp(-8, 4))


def reconstruction_loss(painted: Tensor, photographs: Tensor, maps: list[Tensor], real_maps: list[Tensor]) -> Tensor:
    """How far pictures [B, 3, S, S] are from photographs, in pixels and in what a trunk sees at each scale.

    Each part is a mean absolute difference; that of a scale is a share of the photographs' mean absolute value there.
    """
    pixels = (painted.float() - photographs.float()).abs().mean()
    scales = [
        (ours.float() - theirs.float()).abs().mean() / theirs.float().abs().mean().clamp(min=1e-6)
        for ours, theirs in zip(maps, real_maps, strict=True)
    ]
    return pixels + torch.stack(scales).mean()
