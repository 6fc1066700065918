"""Damage to photographs that a measure of pictures should notice: each function is one kind of it.

Pictures are [N, 3, S, S] in [-1, 1]; what is drawn at random comes from `generator`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Corruption = Callable[[Tensor, torch.Generator], Tensor]
BIRD = 2 / 3  # of the side: what a bird's box takes of a crop that is 1.5 times as large


def unchanged(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """The photographs as they are."""
    return pictures


def mirror(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Left for right, which no measure should mind."""
    return pictures.flip(3)


def blur(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Reduced to an eighth of the side and enlarged again."""
    side = pictures.shape[-1]
    small = F.adaptive_avg_pool2d(pictures, max(1, side // 8))
    return F.interpolate(small, size=side, mode="bicubic", align_corners=False).clamp(-1, 1)


def noise(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """White noise of standard deviation 0.4 (51 of 255) on every value."""
    return (pictures + 0.4 * torch.randn(pictures.shape, generator=generator)).clamp(-1, 1)


def recolour(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Red, green and blue take each other's places: shapes stay, colours are others."""
    return pictures.roll(1, 1)


def upside_down(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Top for bottom."""
    return pictures.flip(2)


def blend(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Each laid over another, half and half."""
    order = torch.randperm(len(pictures), generator=generator)
    other = order[(order.argsort() + 1) % len(pictures)]  # the next in a random round, so never itself
    return (pictures + pictures[other]) / 2


def cut_out(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """The middle, where the bird is, filled from the border by averaging from coarse to fine."""
    side = pictures.shape[-1]
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    known = ((place[:, None] ** 2 + place[None] ** 2) > BIRD**2).float().expand(1, 1, side, side)
    return _fill(pictures, known)


def _fill(pictures: Tensor, known: Tensor) -> Tensor:
    """What is not `known` [1, 1, S, S] taken from the same place of a picture of half the side, filled likewise."""
    if bool((known > 0).all()) or pictures.shape[-1] < 2:
        return pictures
    weight = F.avg_pool2d(known, 2, ceil_mode=True)
    coarse = F.avg_pool2d(pictures * known, 2, ceil_mode=True) / weight.clamp(min=1e-6)
    filled = _fill(coarse, (weight > 0).float())
    enlarged = F.interpolate(filled, size=pictures.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(known > 0, pictures, enlarged)


def shuffle(parts: int) -> Corruption:
    """Cut into parts x parts patches, which change places at random: texture and colours stay, shapes do not."""

    def shuffled(pictures: Tensor, generator: torch.Generator) -> Tensor:
        n, channels, side, _ = pictures.shape
        patch = side // parts
        cut = pictures[..., : patch * parts, : patch * parts]
        tiles = cut.unfold(2, patch, patch).unfold(3, patch, patch).reshape(n, channels, parts**2, patch, patch)
        order = torch.stack([torch.randperm(parts**2, generator=generator) for _ in range(n)])
        moved = torch.stack([tile[:, places] for tile, places in zip(tiles, order, strict=True)])
        grid = moved.view(n, channels, parts, parts, patch, patch).permute(0, 1, 2, 4, 3, 5)
        return grid.reshape(n, channels, patch * parts, patch * parts)

    return shuffled


CORRUPTIONS: dict[str, tuple[str, Corruption]] = {  # name: what readers are told, and the damage
    "photographs": ("as they are", unchanged),
    "mirrored": ("left for right: no measure should mind", mirror),
    "blurred": ("reduced to an eighth and enlarged", blur),
    "noisy": ("white noise of 51 of 255", noise),
    "recoloured": ("channels exchanged", recolour),
    "upside_down": ("top for bottom", upside_down),
    "blended": ("two photographs, half and half", blend),
    "cut_out": ("the bird filled in from the border", cut_out),
    "shuffled_2": ("2 x 2 patches in random places", shuffle(2)),
    "shuffled_4": ("4 x 4 patches in random places", shuffle(4)),
    "shuffled_8": ("8 x 8 patches in random places", shuffle(8)),
}
