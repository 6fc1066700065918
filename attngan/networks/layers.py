"""Blocks of the generator: gated convolutions that listen to the caption."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Affine(nn.Module):
    """Scales and shifts channels by a vector (RAT-GAN and DF-GAN's affine); changes nothing at the start.

    Args:
        channels: C of the input.
        style: width of the vector; 0 for a layer that does nothing, as published.
    """

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.modulate = nn.Linear(style, 2 * channels) if style else None
        if self.modulate is not None:
            nn.init.zeros_(self.modulate.weight)
            nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        if self.modulate is None:
            return x
        scale, shift = self.modulate(style)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(shift.to(x.dtype), x, 1 + scale.to(x.dtype))


def gated_linear_unit(x: Tensor) -> Tensor:
    """First half of the channels times the sigmoid of the second; x is [B, 2 C, H, W].

    `F.glu` means the same and is several times slower backwards on channels-last tensors on a CPU.
    """
    value, gate = (half.contiguous(memory_format=torch.channels_last) for half in x.chunk(2, 1))
    return value * gate.sigmoid()


class GatedConv(nn.Module):
    """3x3 convolution to twice the channels, batch norm, gated linear unit, and the caption's say in it.

    The affine comes after the gate, where there are half as many channels.
    """

    def __init__(self, channels_in: int, channels_out: int, style: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 2 * channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * channels_out)
        self.affine = Affine(channels_out, style)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.affine(gated_linear_unit(self.norm(self.conv(x))), style)


class UpBlock(nn.Module):
    """Twice the side by repetition, then a gated convolution (AttnGAN's upBlock)."""

    def __init__(self, channels_in: int, channels_out: int, style: int) -> None:
        super().__init__()
        self.gated = GatedConv(channels_in, channels_out, style)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.gated(F.interpolate(x, scale_factor=2.0, mode="nearest"), style)


class ResidualBlock(nn.Module):
    """Gated convolution, convolution, shortcut (AttnGAN's ResBlock)."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.gated = GatedConv(channels, channels, style)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return x + self.norm(self.conv(self.gated(x, style)))


class ConditioningAugmentation(nn.Module):
    """Draws a smaller vector from a normal distribution around the sentence (StackGAN, section 3.2)."""

    def __init__(self, dimension: int, out: int) -> None:
        super().__init__()
        self.project = nn.Linear(dimension, 4 * out)

    def forward(self, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, [B, out] each."""
        mean, log_variance = F.glu(self.project(sentence), dim=1).chunk(2, 1)
        return mean, log_variance
