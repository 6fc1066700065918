"""A classifier of bird species: what the Inception Score and the Fréchet distance look through."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from attngan.networks.image_encoder import ScratchTrunk, resize
from attngan.runtime import checkpoint

KIND = "classifier"


class Classifier(nn.Module):
    """A residual network from scratch that tells species apart.

    Args:
        n_species: how many.
        size, width, blocks: of the trunk.
        dropout: of the pooled feature, while training.
    """

    def __init__(
        self,
        *,
        n_species: int,
        size: int = 96,
        width: int = 24,
        blocks: tuple[int, ...] = (1, 1, 2, 2),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "n_species": n_species,
            "size": size,
            "width": width,
            "blocks": list(blocks),
            "dropout": dropout,
        }
        self.trunk = ScratchTrunk(size=size, width=width, blocks=tuple(blocks))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.trunk.pooled_channels, n_species)

    def features(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, H, W] in [-1, 1] of any size to pooled features [B, G]."""
        return self.trunk(resize(pictures, self.trunk.size)).pooled

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits [B, n_species] of pictures [B, 3, H, W] in [-1, 1]."""
        return self.head(self.dropout(self.features(pictures)))


def load_classifier(path: Path) -> tuple[Classifier, dict[str, Any]]:
    """The frozen classifier of a weights file, and the file's description.

    Raises:
        InputError: if the file is missing, damaged, or something else.
    """
    state, description = checkpoint.load(path, f"{KIND}-weights")
    network = checkpoint.build(Classifier, description, KIND, path)
    checkpoint.load_weights(network, state, path)
    return network.eval().requires_grad_(False), description
