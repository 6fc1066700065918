"""A reader of drawn birds: which colours, beak and size a picture shows, told by a network that saw drawings only."""

import random
import re
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from attngan.networks.image_encoder import ScratchTrunk, resize
from attngan.runtime import checkpoint
from attngan.runtime.machine import make_fabric
from attngan.runtime.optimisation import learning_rate, set_learning_rate
from datasets import synthetic
from datasets.errors import InputError
from datasets.loader import ROOM, to_unit

KIND = "attribute-reader"
SIDE = 64  # px of what it sees
_COLOURS = tuple(synthetic.COLOURS)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "head": _COLOURS,
    "wing": _COLOURS,
    "body": _COLOURS,
    "belly": _COLOURS,
    "beak": tuple(synthetic.BEAKS),
    "size": tuple(synthetic.SIZES),
}


@lru_cache
def _patterns() -> list[re.Pattern[str]]:
    groups = {name: f"(?P<{name}>{'|'.join(choices)})" for name, choices in ATTRIBUTES.items()}
    return [re.compile(template.format(**groups)) for template in synthetic.TEMPLATES]


def claimed_attributes(sentence: str) -> dict[str, str]:
    """What a sentence of `synthetic.sentences` says: attribute -> value, for the attributes that it names.

    Raises:
        InputError: if it was made from none of `synthetic.TEMPLATES`.
    """
    plain = re.sub(r"\ban orange", "a orange", sentence)
    for pattern in _patterns():
        if match := pattern.fullmatch(plain):
            return match.groupdict()
    raise InputError(
        f"caption {sentence[:60]!r}: is not a sentence about drawn birds; build a corpus of --source drawn"
    )


class Reader(nn.Module):
    """A residual network with one head for each attribute.

    Args:
        width: channels of the first stage of the trunk.
    """

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {"width": width}
        self.trunk = ScratchTrunk(size=SIDE, width=width, blocks=(1, 1, 1, 1))
        self.heads = nn.ModuleDict(
            {name: nn.Linear(self.trunk.pooled_channels, len(choices)) for name, choices in ATTRIBUTES.items()}
        )

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Logits [B, choices] of each attribute, of pictures [B, 3, H, W] in [-1, 1] of any size."""
        pooled = self.trunk(resize(pictures, SIDE)).pooled
        return {name: head(pooled) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, pictures: Tensor) -> dict[str, Tensor]:
        """The likeliest choice [B] of each attribute, as an index into `ATTRIBUTES`."""
        return {name: logits.argmax(1) for name, logits in self(pictures).items()}


def drawings(count: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Birds with every attribute drawn on its own, which have no species, and somewhat larger than the reader sees.

    Returns:
        pictures [N, 3, S, S] uint8, as large as `Pictures` reads them before it crops, and labels [N] by attribute.
    """
    chance, pictures = random.Random(f"reader/{seed}"), []
    looks: dict[str, list[int]] = {name: [] for name in ATTRIBUTES}
    choices = {**ATTRIBUTES, "background": tuple(synthetic.BACKGROUNDS)}
    for _ in tqdm(range(count), desc="drawing birds", unit="picture", leave=False, mininterval=1):
        bird = synthetic.BirdAttributes(**{name: chance.choice(options) for name, options in choices.items()})
        pictures.append(synthetic.draw(bird, round(SIDE * ROOM), chance.getrandbits(32)))
        for name, value in asdict(bird).items():
            if name in looks:
                looks[name].append(ATTRIBUTES[name].index(value))
    labels = {name: torch.tensor(values) for name, values in looks.items()}
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), labels


def roughen(pictures: Tensor, draws: torch.Generator) -> Tensor:
    """Cut [B, 3, S, S] to `SIDE` px at a random place, mirror half, and blur, brighten and add noise at random.

    What is painted is less clean than what is drawn; the reader should not mind.
    """
    free = pictures.shape[-1] - SIDE
    rows, columns = torch.randint(free + 1, (2, len(pictures)), generator=draws).tolist()
    cut = torch.stack([p[:, y : y + SIDE, x : x + SIDE] for p, y, x in zip(pictures, rows, columns, strict=True)])

    def each() -> Tensor:
        return torch.rand(len(cut), 1, 1, 1, generator=draws)

    cut = torch.where(each() < 0.5, cut, cut.flip(3))
    coarse = int(torch.randint(SIDE // 4, SIDE // 2 + 1, (), generator=draws))
    blurred = F.interpolate(F.adaptive_avg_pool2d(cut, coarse), size=SIDE, mode="bilinear", align_corners=False)
    blur = each() * (each() < 0.5)
    cut = cut + blur * (blurred - cut)
    noise = torch.randn(cut.shape, generator=draws)
    return cut * (0.9 + 0.2 * each()) + 0.2 * (each() - 0.5) + 0.2 * each() * noise


def train_reader(
    path: Path, *, pictures: int = 60_000, drawn: int = 8_000, width: int = 16, batch_size: int = 64, seed: int = 0
) -> Reader:
    """The reader of `path`, trained on drawings and written there if it is not there yet.

    Args:
        pictures: budget, how many it sees in all. drawn: how many different ones there are of them.

    Raises:
        InputError: if the file there is something else, or was trained with another budget.
    """
    budget = {"pictures": pictures, "drawn": drawn, "width": width, "batch_size": batch_size, "seed": seed}
    if path.exists():
        return _load(path, budget)
    torch.manual_seed(seed)
    draws = torch.Generator().manual_seed(seed)
    fabric = make_fabric("bf16-mixed")
    reader = Reader(width=width).to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(reader.parameters(), lr=3e-3, weight_decay=0.02, fused=True)
    all_pictures, labels = drawings(drawn, seed)
    for position in tqdm(range(0, pictures, batch_size), desc="reader", unit="batch", mininterval=1):
        factor = learning_rate(position, pictures, warm_up=pictures // 20, flat=0.3, final=0.01)
        set_learning_rate(optimizer, 3e-3 * factor)
        indices = torch.randint(drawn, (batch_size,), generator=draws)
        rough = roughen(to_unit(all_pictures[indices]), draws).to(fabric.device, memory_format=torch.channels_last)
        with fabric.autocast():
            logits = reader(rough)
        losses = [F.cross_entropy(logits[name].float(), labels[name][indices].to(fabric.device)) for name in ATTRIBUTES]
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimizer.step()
    checkpoint.save(path, reader.state_dict(), {"kind": KIND, "reader": reader.arguments, "budget": budget})
    return _load(path, budget)


def _load(path: Path, budget: dict[str, int]) -> Reader:
    state, description = checkpoint.load(path, KIND)
    if description["budget"] != budget:
        raise InputError(f"{path}: a reader trained with {description['budget']}, not {budget}; remove it")
    reader = checkpoint.build(Reader, description, "reader", path)
    checkpoint.load_weights(reader, state, path)
    return reader.eval().requires_grad_(False)
