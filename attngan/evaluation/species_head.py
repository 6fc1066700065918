"""A linear classifier of bird species on the features of a frozen network: what the Inception Score looks through."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.runtime import checkpoint
from datasets.errors import InputError

KIND = "species-head"


class SpeciesHead(nn.Module):
    """Multinomial logistic regression on standardised features.

    Args:
        width: F of the features.
        n_species: how many.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, width: int, n_species: int) -> None:
        super().__init__()
        self.arguments = {"width": width, "n_species": n_species}
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.linear = nn.Linear(width, n_species)

    def forward(self, features: Tensor) -> Tensor:
        """Logits [N, n_species] of features [N, F]."""
        return self.linear((features.float() - self.mean) / self.deviation)


def halves(species: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of photographs to learn from, every second of each species [N], and of the others."""
    learned = np.zeros(len(species), dtype=bool)
    for kind in np.unique(species):
        learned[np.flatnonzero(species == kind)[::2]] = True
    return np.flatnonzero(learned), np.flatnonzero(~learned)


def fit(features: Tensor, species: Tensor, *, penalty: float = 1e-3, steps: int = 100) -> SpeciesHead:
    """The head that fits features [N, F] of photographs to their species [N], by L-BFGS.

    Args:
        penalty: weight of the squared weights in the loss.
        steps: of the optimizer, at most.

    Raises:
        InputError: for fewer than two species.
    """
    count = int(species.max()) + 1
    if count < 2:
        raise InputError("species: all photographs are of one; a classifier needs two")
    head = SpeciesHead(width=features.shape[1], n_species=count)
    head.mean, head.deviation = features.mean(0), features.std(0).clamp(min=1e-6)
    nn.init.zeros_(head.linear.weight)
    nn.init.zeros_(head.linear.bias)
    optimizer = torch.optim.LBFGS(head.linear.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(head(features), species) + penalty * head.linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    return head.eval().requires_grad_(False)


def save(head: SpeciesHead, path: Path, *, network: str, **description: object) -> None:
    """Write a head; `network` tells the weights that make its features from others."""
    checkpoint.save(path, head.state_dict(), {"head": head.arguments, "network": network, **description, "kind": KIND})


def load(path: Path, network: str) -> SpeciesHead:
    """Read what `save` wrote.

    Raises:
        InputError: if the file is missing, damaged, something else, or belongs to another network.
    """
    state, description = checkpoint.load(path, KIND)
    if description.get("network") != network:
        raise InputError(
            f"{path}: belongs to features of {description.get('network')}, not of {network}; make it again with "
            "scripts/train_evaluators.sh, or install the package of weights that it was made with"
        )
    head = checkpoint.build(SpeciesHead, description, "head", path)
    checkpoint.load_weights(head, state, path)  # in single precision, whatever it was saved in
    return head.eval().requires_grad_(False)
