"""Batches of pictures in several sizes, in close-ups and in parts."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.runtime.ranks import ALONE, Ranks
from datasets.loader import rows_of_share


def pyramid(pictures: Tensor, stages: int) -> list[Tensor]:
    """Real pictures [B, 3, S, S] at every stage's size, the smallest first; each halving averages 2x2 pixels."""
    sizes = [pictures]
    for _ in range(stages - 1):
        sizes.append(torch.nn.functional.avg_pool2d(sizes[-1], 2))
    return sizes[::-1]


def close_ups(pictures: Tensor, resolution: int, generator: torch.Generator, ranks: Ranks = ALONE) -> Tensor:
    """A square of `resolution` px from a random place of each picture: [B, 3, S, S] to [B, 3, R, R].

    Args:
        ranks: the processes that the whole batch is shared by.
    """
    n, _, full, _ = pictures.shape
    places = ranks.share(torch.rand(2, n * ranks.world, generator=generator), dim=1)
    corners = (places * (full - resolution + 1)).long().t().tolist()
    return torch.stack(
        [
            x[:, top : top + resolution, left : left + resolution]
            for x, (top, left) in zip(pictures, corners, strict=True)
        ]
    )


def split_rows(rows: int, parts: int) -> list[Any]:
    """The rows of each of `parts` equal parts of a batch; all of them at once where there is one part."""
    return [rows_of_share(rows, part, parts) for part in range(parts)] if parts > 1 else [slice(None)]


def join_parts(parts: list[list[Tensor]], rows: list[Any]) -> list[Tensor]:
    """The pictures of each stage, whose parts are `rows` of the batch, as one batch again."""
    if len(parts) == 1:
        return parts[0]
    order = torch.from_numpy(np.concatenate(rows)).argsort()
    return [torch.cat(stage)[order.to(stage[0].device)] for stage in zip(*parts, strict=True)]
