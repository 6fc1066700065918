"""What a frozen trunk sees in a corpus, computed once and kept on disk."""

import hashlib
import io
import math
import os
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from attngan.networks.image_encoder import ImageEncoder, TrunkFeatures
from attngan.runtime.ranks import ALONE, Ranks
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import replacing
from datasets.loader import Pictures, to_unit


class FeatureCache:
    """A frozen trunk's features of several crops of each picture, in one file on disk, each with its checksum.

    Args:
        folder: where the cache lies; it is made if it is not there, under a name that tells the corpus, the trunk's
            weights and the views apart.
        views: crops a picture; the first is the centre.
        ranks: the processes that will read it; the first computes it for all.
        size: side in px that pictures are seen at; None for the trunk's own.

    Raises:
        InputError: if the disk is too small for it; from `features`, if what was kept is damaged.
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
        size: int | None = None,
    ) -> None:
        trunk: Any = encoder.trunk
        self._size = size or trunk.size
        self._row = {int(index): row for row, index in enumerate(indices)}
        self._views, self._device = views, device
        with torch.no_grad():
            probe = trunk(torch.zeros(1, 3, self._size, self._size, device=device))
        self._grid = probe.local.shape[1:]
        width = math.prod(self._grid) + probe.pooled.shape[1]
        named = f"{trunk.checksum}{self._size}" if hasattr(trunk, "checksum") else ""
        identity = hashlib.sha256(f"{corpus.identity}{views}{named}".encode())
        for value in trunk.state_dict().values():
            identity.update(value.float().cpu().numpy().tobytes())
        self._kind = np.dtype([("features", "<f2", width), ("crc32", "<u4")])
        self.path = folder / f"features-{identity.hexdigest()[:16]}.npy"
        if ranks.main and not self._is_there():
            with replacing(self.path) as temporary, open(temporary, "wb") as file:
                self._write(file, self._compute(corpus, indices, trunk))
        ranks.wait()
        self._open()

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._begin = len(self._header())
        weakref.finalize(self, os.close, self._file)

    def _header(self) -> bytes:
        """What the file begins with, so that NumPy reads it as an array of records [pictures, views]."""
        header = io.BytesIO()
        about = {"shape": (len(self._row), self._views), "fortran_order": False, "descr": self._kind.descr}
        np.lib.format.write_array_header_1_0(header, about)
        return header.getvalue()

    def _is_there(self) -> bool:
        """Whether the whole file is there; what is not of its size, such as one that was cut off, is made again."""
        header = self._header()
        try:
            with open(self.path, "rb") as file:
                size = len(header) + len(self._row) * self._views * self._kind.itemsize
                return os.fstat(file.fileno()).st_size == size and file.read(len(header)) == header
        except FileNotFoundError:
            return False
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); remove it") from error

    def _write(self, file: BinaryIO, computed: Iterator[tuple[int, int, np.ndarray]]) -> None:
        header = self._header()
        file.write(header)
        for first, view, features in computed:
            for row, values in enumerate(features, first):
                record = np.zeros((), self._kind)
                record["features"], record["crc32"] = values, zlib.crc32(values.tobytes())
                file.seek(len(header) + (row * self._views + view) * self._kind.itemsize)
                file.write(record.tobytes())

    def _compute(self, corpus: Corpus, indices: np.ndarray, trunk: Any) -> Iterator[tuple[int, int, np.ndarray]]:
        pictures = Pictures(corpus, indices, self._size)
        for view in range(self._views):
            for first in range(0, len(indices), 64):
                batch_indices = [int(index) for index in indices[first : first + 64]]
                rngs = [np.random.default_rng([view, index]) if view else None for index in batch_indices]
                crops = np.stack([pictures.crop(index, rng) for index, rng in zip(batch_indices, rngs, strict=True)])
                batch = to_unit(torch.from_numpy(crops).permute(0, 3, 1, 2)).to(self._device)
                with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16, enabled=not _exact(trunk)):
                    features = trunk(batch)
                flat = torch.cat([features.local.flatten(1), features.pooled], 1).half()
                yield first, view, flat.cpu().numpy()

    def features(self, index: Tensor, views: np.ndarray) -> TrunkFeatures:
        """Trunk features of pictures `index` [B], view `views` [B] of each."""
        flat = np.stack([self._read(self._row[int(i)], int(view)) for i, view in zip(index, views, strict=True)])
        values = torch.from_numpy(flat.astype(np.float32)).to(self._device)
        split = math.prod(self._grid)
        return TrunkFeatures(values[:, :split].unflatten(1, self._grid), values[:, split:])

    def _read(self, row: int, view: int) -> np.ndarray:
        # Read, not mapped: a mapped file with a bad sector, or cut off meanwhile, ends the process.
        place = self._begin + (row * self._views + view) * self._kind.itemsize
        try:
            data = os.pread(self._file, self._kind.itemsize, place)
        except OSError as error:
            data, reason = b"", error.strerror
        else:
            reason = "they are not what was written"
        if len(data) == self._kind.itemsize:
            record = np.frombuffer(data, self._kind)[0]
            if zlib.crc32(record["features"].tobytes()) == record["crc32"]:
                features: np.ndarray = record["features"]
                return features
        raise InputError(
            f"{self.path}: the features of picture {row} are damaged ({reason}); remove the file, the same command "
            "makes it again"
        )


def _exact(trunk: Any) -> bool:
    """Whether features are to be computed in 32 bits; those of timm's trunks hardly change in 16."""
    return not hasattr(trunk, "checksum")
