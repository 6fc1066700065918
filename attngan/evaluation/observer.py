"""Somebody who learned from photographs of all kinds of things is asked whether a picture shows a bird."""

import torch
from torch import Tensor

from attngan.networks import trunks
from attngan.networks.image_encoder import resize

# ImageNet's 59 kinds of birds among its 1000 classes: cock to owl, grouse to goose, and black swan to albatross.
BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))
NETWORK, SIDE = "tf_efficientnet_lite2", 260


class Observer:
    """EfficientNet-Lite2 with its 1000 classes, which no generator is trained against.

    Raises:
        InputError: if timm or the package of its weights is missing.
    """

    def __init__(self) -> None:
        self._network = trunks.classifier(NETWORK)

    @torch.no_grad()
    def names_bird(self, pictures: Tensor) -> Tensor:
        """Whether the first of the 1000 classes is a bird: [N] of 0 and 1, of pictures [N, 3, S, S] in [-1, 1]."""
        network = self._network.to(pictures.device)
        first = network(resize(pictures, SIDE)).argmax(1)
        return torch.isin(first, torch.tensor(BIRDS, device=first.device)).float()
