"""The discriminator: one class for every resolution, its depth computed from it, its width capped.

A second kind sees a picture through the eyes of a frozen image encoder, a third judges texture from close by.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from attngan.networks.condition import DIMENSION
from attngan.networks.image_encoder import TrunkFeatures, resize

Wrap = Callable[[nn.Module], nn.Module]


class Logits(NamedTuple):
    """Whether a picture is real, [B] each: on its own, and together with its caption; of P patches, [B * P]."""

    unconditional: Tensor
    conditional: Tensor


class ConditionalDiscriminator(nn.Module):
    """What all kinds have in common: features [B, C, 4, 4] are judged alone and together with the caption.

    Larger maps of features are judged at each place where a square of 4 x 4 fits.
    """

    def __init__(self, trunk: nn.Module, channels: int, *, dimension: int, wrap: Wrap) -> None:
        super().__init__()
        self.trunk = trunk
        self.unconditional = wrap(nn.Conv2d(channels, 1, 4))
        self.join = nn.Sequential(wrap(nn.Conv2d(channels + dimension, channels, 3, 1, 1)), nn.LeakyReLU(0.2))
        self.conditional = wrap(nn.Conv2d(channels, 1, 4))

    def features(self, pictures: Tensor) -> Tensor:
        """[B, 3, S, S] in [-1, 1] to [B, C, 4, 4]."""
        return self.trunk(pictures)

    def judge(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Conditional logits [B] of features with sentences [B, D]."""
        tiled = sentence[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self.conditional(self.join(torch.cat([features, tiled.to(features.dtype)], 1))).flatten()

    def forward(self, pictures: Tensor, sentence: Tensor) -> Logits:
        """Judge pictures [B, 3, S, S] with sentences [B, D]."""
        return self.logits(self.features(pictures), sentence)

    def logits(self, features: Tensor, sentence: Tensor) -> Logits:
        """Judge features that `features` gave, with sentences [B, D]."""
        return Logits(self.unconditional(features).flatten(), self.judge(features, sentence))

    def look(self, pictures: Tensor) -> tuple[Tensor, TrunkFeatures | None]:
        """`features`, and what a frozen trunk saw on the way, where one with several outputs is looked through."""
        return self.features(pictures), None

    def normalise_weights(self) -> None:
        """Inside `parametrize.cached()`: one power iteration of every convolution in float32, outside of autocast."""
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            for module in self.modules():
                if parametrize.is_parametrized(module):
                    _ = module.weight


class Discriminator(ConditionalDiscriminator):
    """Convolutions of stride 2 down to 4 px, then a head that sees the caption and one that does not.

    Spectral norm on every convolution and no batch norm (AttnGAN++), so that a picture is judged alone.

    Args:
        resolution: resolution of the pictures in px, 4 times a power of two.
        width: channels after the first convolution; they double at each further one.
        max_width: cap of the channels. The published network has none, which at 512 px costs 281 M weights.
        spectral: whether to normalise the weights.
    """

    def __init__(
        self,
        *,
        resolution: int,
        width: int = 32,
        max_width: int = 512,
        dimension: int = DIMENSION,
        spectral: bool = True,
    ) -> None:
        wrap = _wrap(spectral)
        depth = resolution.bit_length() - 3  # resolution = 4 * 2^depth
        widths = [3, *[min(max_width, width * 2**k) for k in range(depth)]]
        trunk = nn.Sequential(*[layer for a, b in pairwise(widths) for layer in _halve(a, b, wrap)])
        super().__init__(trunk, widths[-1], dimension=dimension, wrap=wrap)


class TextureDiscriminator(ConditionalDiscriminator):
    """Judges every patch of 46 px (with the caption: 62) of a close-up for itself (Isola et al. 2017, "PatchGAN").

    A photograph of 224 px that is enlarged to 512 px teaches that pictures of this size are smooth. Real close-ups are
    cut from photographs that are hardly enlarged, and teach what sharp ones look like (Chai et al. 2022 train from such
    patches at every scale).

    Args:
        width: channels after the first convolution; they double at each of the two further ones.
        spectral: whether to normalise the weights.
    """

    def __init__(self, *, width: int = 32, dimension: int = DIMENSION, spectral: bool = True) -> None:
        wrap = _wrap(spectral)
        widths = [3, width, 2 * width, 4 * width]
        trunk = nn.Sequential(*[layer for a, b in pairwise(widths) for layer in _halve(a, b, wrap)])
        super().__init__(trunk, widths[-1], dimension=dimension, wrap=wrap)


class FeatureDiscriminator(ConditionalDiscriminator):
    """Judges the features that a frozen image encoder finds, at several scales (Kumari et al. 2022; Sauer et al. 2021).

    The encoder knows birds, so its features tell a bird from a texture long before a discriminator that starts from
    pixels can. Beside that one, not instead of it: alone it is blind to what the encoder ignores.

    Args:
        trunk: of the image encoder; stays frozen and is not among the weights of this network.
        size: side in px that pictures are brought to for it; None for its own.
        width: channels that each scale is brought to.
        spectral: whether to normalise the weights.
    """

    trunk: "_Necks"

    def __init__(
        self,
        trunk: Any,
        *,
        size: int | None = None,
        width: int = 64,
        dimension: int = DIMENSION,
        spectral: bool = True,
    ) -> None:
        wrap = _wrap(spectral)
        super().__init__(
            _Necks(trunk, width, wrap, size or trunk.size), width * len(trunk.levels), dimension=dimension, wrap=wrap
        )

    def look(self, pictures: Tensor) -> tuple[Tensor, TrunkFeatures | None]:
        maps, seen = look_through(self.trunk.frozen, resize(pictures, self.trunk.size))
        return self.trunk.judge_maps(maps), seen


class _Necks(nn.Module):
    """Brings each level of a frozen trunk to [B, width, 4, 4] and puts them side by side."""

    def __init__(self, trunk: Any, width: int, wrap: Wrap, size: int) -> None:
        super().__init__()
        self._frozen = (trunk,)  # in a tuple, where it is neither saved nor trained nor put into training mode
        self.size = size
        shapes = levels_at(trunk, size)
        self.resolutions = [4 * 2 ** max(0, (resolution // 4).bit_length() - 1) for resolution, _ in shapes]
        self.necks = nn.ModuleList()
        for resolution, (_, channels) in zip(self.resolutions, shapes, strict=True):
            halvings = resolution.bit_length() - 3
            layers: list[nn.Module] = [wrap(nn.Conv2d(channels, width, 1)), nn.LeakyReLU(0.2)]
            self.necks.append(nn.Sequential(*layers, *[x for _ in range(halvings) for x in _halve(width, width, wrap)]))

    @property
    def frozen(self) -> Any:
        """The trunk."""
        return self._frozen[0]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.judge_maps(self.frozen.maps(resize(pictures, self.size)))

    def judge_maps(self, maps: list[Tensor]) -> Tensor:
        """What `forward` gives, of maps of the trunk that were computed before."""
        pairs = zip(maps, self.resolutions, strict=True)
        sized = [nn.functional.adaptive_avg_pool2d(x, resolution) for x, resolution in pairs]
        return torch.cat([neck(x) for neck, x in zip(self.necks, sized, strict=True)], 1)


def look_through(trunk: Any, pictures: Tensor) -> tuple[list[Tensor], TrunkFeatures | None]:
    """Maps of a frozen trunk, with its features for the image encoder where one look gives both."""
    both = getattr(trunk, "maps_and_features", None)
    return both(pictures) if both is not None else (trunk.maps(pictures), None)


def levels_at(trunk: Any, size: int) -> list[tuple[int, int]]:
    """(side, channels) of a frozen trunk's maps for pictures of `size` px."""
    if size == trunk.size:
        return list(trunk.levels.items())
    weight = next(iter([*trunk.parameters(), *trunk.buffers()]))
    with torch.no_grad():
        return [(x.shape[-1], x.shape[1]) for x in trunk.maps(torch.zeros(1, 3, size, size, device=weight.device))]


def _wrap(spectral: bool) -> Wrap:
    return spectral_norm if spectral else (lambda module: module)


def _halve(channels_in: int, channels_out: int, wrap: Wrap) -> list[nn.Module]:
    return [wrap(nn.Conv2d(channels_in, channels_out, 4, 2, 1)), nn.LeakyReLU(0.2)]
