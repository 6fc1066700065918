"""What a frozen trunk sees in a corpus, computed once and kept on disk."""

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.networks.image_encoder import ImageEncoder, TrunkFeatures
from attngan.runtime.ranks import ALONE, Ranks
from datasets.corpus import Corpus
from datasets.files import replacing
from datasets.loader import Pictures, to_unit


class FeatureCache:
    """A frozen trunk's features of several crops of each picture, in one memory-mapped file on disk.

    Args:
        folder: where the cache lies; it is made if it is not there, under a name that tells the corpus, the trunk's
            weights and the views apart.
        views: crops a picture; the first is the centre.
        ranks: the processes that will read it; the first computes it for all.

    Raises:
        InputError: if the disk is too small for it.
    """

    def __init__(
        self,
        folder: Path,
        corpus: Corpus,
        indices: np.ndarray,
        encoder: ImageEncoder,
        *,
        views: int,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        trunk = encoder.trunk
        self._row = {int(index): row for row, index in enumerate(indices)}
        self._views, self._device = views, device
        with torch.no_grad():
            probe = trunk(torch.zeros(1, 3, trunk.size, trunk.size, device=device))
        self._grid = probe.local.shape[1:]
        width = math.prod(self._grid) + probe.pooled.shape[1]
        identity = hashlib.sha256(f"{corpus.identity}{views}".encode())
        for value in trunk.state_dict().values():
            identity.update(value.float().cpu().numpy().tobytes())
        path = folder / f"features-{identity.hexdigest()[:16]}.npy"
        if ranks.main and not path.is_file():
            with replacing(path) as temporary:
                with open(temporary, "wb") as file:  # a memory map would meet a full disk with SIGBUS
                    os.posix_fallocate(file.fileno(), 0, 2 * len(indices) * views * width + 4096)
                array = np.lib.format.open_memmap(temporary, "w+", dtype=np.float16, shape=(len(indices), views, width))
                for row, view, features in self._compute(corpus, indices, trunk):
                    array[row : row + len(features), view] = features
                array.flush()
        ranks.wait()
        self._array = np.load(path, mmap_mode="r")

    def _compute(self, corpus: Corpus, indices: np.ndarray, trunk: Any) -> Iterator[tuple[int, int, np.ndarray]]:
        pictures = Pictures(corpus, indices, trunk.size)
        for view in range(self._views):
            for first in range(0, len(indices), 64):
                batch_indices = [int(index) for index in indices[first : first + 64]]
                rngs = [np.random.default_rng([view, index]) if view else None for index in batch_indices]
                crops = np.stack([pictures.crop(index, rng) for index, rng in zip(batch_indices, rngs, strict=True)])
                batch = to_unit(torch.from_numpy(crops).permute(0, 3, 1, 2)).to(self._device)
                with torch.no_grad():
                    features = trunk(batch)
                flat = torch.cat([features.local.flatten(1), features.pooled], 1).half()
                yield first, view, flat.cpu().numpy()

    def features(self, index: Tensor, views: np.ndarray) -> TrunkFeatures:
        """Trunk features of pictures `index` [B], view `views` [B] of each."""
        rows = [self._row[int(i)] for i in index]
        flat = torch.from_numpy(self._array[rows, views].astype(np.float32)).to(self._device)
        split = math.prod(self._grid)
        return TrunkFeatures(flat[:, :split].unflatten(1, self._grid), flat[:, split:])
