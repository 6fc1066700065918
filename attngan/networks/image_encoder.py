"""The picture half of DAMSM: a trunk gives regions and a pooled feature, projections take them to the seam."""

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.condition import DIMENSION
from datasets.errors import InputError
from datasets.files import require_file


class TrunkFeatures(NamedTuple):
    """What a trunk sees: local [B, C, h, w] and pooled [B, G]."""

    local: Tensor
    pooled: Tensor

    def of(self, rows: Any) -> "TrunkFeatures":
        """What it sees in some of the B pictures."""
        return TrunkFeatures(self.local[rows], self.pooled[rows])


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut, the first with a stride (He et al. 2016)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class ScratchTrunk(nn.Module):
    """A small residual network, trained from scratch together with the projections.

    Args:
        size: side in px that pictures are brought to; regions are a grid of size / 8.
        width: channels of the first stage; each of the three later ones doubles them.
        blocks: residual blocks in each stage.
    """

    trainable = True

    def __init__(self, *, size: int = 96, width: int = 32, blocks: tuple[int, ...] = (1, 1, 2, 2)) -> None:
        super().__init__()
        self.size = size
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        stages, channels = [], width
        for number, count in enumerate(blocks):
            out = width * 2**number
            rest = [ResidualBlock(out, out, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(ResidualBlock(channels, out, 1 if number == 0 else 2), *rest))
            channels = out
        self.stages = nn.ModuleList(stages)
        self.local_channels, self.pooled_channels = channels // 2, channels
        self.levels = {size // step: width * step // 2 for step in (4, 8, 16)}  # channels by side

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Features of the last three stages, [B, C, h, w] each, the finest first."""
        x = self.stages[0](self.stem(pictures))
        maps = []
        for stage in self.stages[1:]:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, pictures: Tensor) -> TrunkFeatures:
        *_, local, last = self.maps(pictures)
        return TrunkFeatures(local, last.mean((2, 3)))


class InceptionTrunk(nn.Module):
    """Inception-v3 as in the AttnGAN paper: Mixed_6e for regions, the pooled feature for the whole; frozen.

    Args:
        weights: a torchvision state dict of Inception-v3; None for random weights, which serve tests only.

    Raises:
        InputError: if the file does not hold the weights of Inception-v3.
    """

    trainable = False
    local_channels, pooled_channels, size = 768, 2048, 299
    levels: ClassVar = {17: 768, 8: 2048}  # channels by side

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        from torchvision.models import inception_v3  # slow to import, seldom needed

        network = inception_v3(weights=None, aux_logits=True, init_weights=False, transform_input=False)
        if weights is not None:
            require_file(weights, "Inception weights")
            try:
                network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
            except Exception as error:  # whatever a wrong file makes torch raise
                raise InputError(
                    f"{weights}: not a state dict of torchvision's inception_v3 ({type(error).__name__})"
                ) from error
        names = [name for name, _ in network.named_children() if name not in ("AuxLogits", "dropout", "fc", "avgpool")]
        split = names.index("Mixed_6e") + 1
        children = dict(network.named_children())
        self.names = {"lower": names[:split], "upper": names[split:]}  # torchvision's, of each part
        self.lower = nn.Sequential(*[children[name] for name in names[:split]])
        self.upper = nn.Sequential(*[children[name] for name in names[split:]])
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "InceptionTrunk":
        """Stays in evaluation mode: its batch-norm statistics must not drift (a pitfall of the published code)."""
        return super().train(False)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Features of Mixed_6e and Mixed_7c, [B, C, h, w] each."""
        local = self.lower(pictures)
        return [local, self.upper(local)]

    def forward(self, pictures: Tensor) -> TrunkFeatures:
        local, last = self.maps(pictures)
        return TrunkFeatures(local, last.mean((2, 3)))


class ImageFeatures(NamedTuple):
    """Pictures at the seam: sentence-like [B, D] and regions [B, D, R]."""

    pooled: Tensor
    regions: Tensor


class ImageEncoder(nn.Module):
    """Trunk and two projections: a 1x1 convolution for regions, a linear layer for the whole picture.

    Args:
        dimension: D of the seam.
        dropout: of the pooled feature, while training.
    """

    def __init__(self, trunk: Any, *, dimension: int = DIMENSION, dropout: float = 0.2) -> None:
        super().__init__()
        self.trunk = trunk
        self.project_local = nn.Conv2d(trunk.local_channels, dimension, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.project_pooled = nn.Linear(trunk.pooled_channels, dimension)

    def project(self, features: TrunkFeatures) -> ImageFeatures:
        """Take trunk features, computed now or cached, to the seam's width."""
        pooled = self.project_pooled(self.dropout(features.pooled))
        return ImageFeatures(pooled, self.project_local(features.local).flatten(2))

    def forward(self, pictures: Tensor) -> ImageFeatures:
        """Encode pictures [B, 3, H, W] in [-1, 1] of any size."""
        return self.project(self.trunk(resize(pictures, self.trunk.size)))


def resize(pictures: Tensor, size: int) -> Tensor:
    """Bring square pictures to `size` px, bilinear with antialiasing."""
    if pictures.shape[-1] == size:
        return pictures
    if pictures.shape[-1] == 2 * size:
        return F.avg_pool2d(pictures, 2)
    return F.interpolate(pictures, size=(size, size), mode="bilinear", antialias=pictures.shape[-1] > size)
