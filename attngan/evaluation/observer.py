"""An observer that no generator trains against: EfficientNet-Lite2, which learned ImageNet's 1000 classes."""

from typing import NamedTuple

import torch
from torch import Tensor

from attngan.networks import trunks
from attngan.networks.image_encoder import resize

# ImageNet's 59 kinds of birds among its 1000 classes: cock to owl, grouse to goose, and black swan to albatross.
BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))
NETWORK, RESOLUTION = "tf_efficientnet_lite2", 260
TOGETHER = 32  # pictures looked at in one pass


class Observation(NamedTuple):
    """What the observer makes of N pictures.

    Attributes:
        features: pooled, [N, 1280].
        bird: [N] bool, whether the first of the 1000 classes is a bird.
    """

    features: Tensor
    bird: Tensor


class Observer:
    """EfficientNet-Lite2 with its 1000 classes, frozen, on pictures enlarged or reduced to its 260 px.

    Attributes:
        name: for readers of a number that it made.
        identity, features_identity: tells its weights from others.

    Raises:
        InputError: if timm or the package of its weights is missing.
    """

    def __init__(self) -> None:
        self._network = trunks.classifier(NETWORK)
        self.identity = self.features_identity = trunks.checksum_of(self._network)[:16]
        self.name = f"EfficientNet-Lite2 of ImageNet ({self.identity[:8]})"

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Observation:
        """Look at pictures [N, 3, S, S] in [-1, 1] of any size."""
        network = self._network.to(pictures.device)
        features, first = [], []
        for part in pictures.split(TOGETHER):
            enlarged = resize(part, RESOLUTION).contiguous(memory_format=torch.channels_last)
            maps = network.forward_features(enlarged)  # type: ignore[operator]
            pooled = network.forward_head(maps, pre_logits=True)  # type: ignore[operator]
            features.append(pooled.float())
            first.append(network.get_classifier()(pooled).argmax(1))  # type: ignore[operator]
        kinds = torch.tensor(BIRDS, device=pictures.device)
        return Observation(torch.cat(features), torch.isin(torch.cat(first), kinds))

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self._network.to(device)

    def names_bird(self, pictures: Tensor) -> Tensor:
        """Whether each of [N, 3, S, S] in [-1, 1] is called a bird first: [N] of 0 and 1."""
        return self.look(pictures).bird.float()
