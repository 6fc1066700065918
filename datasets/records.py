"""Tables of a corpus file that can tell whether they still are what was written.

A disk that loses a sector, or a copy that went wrong, changes some bytes of a large file and nobody notices. So a table
of numbers has a checksum, which is verified when it is read, and each record of a table of texts or pictures has its
own behind its bytes, which is verified with it. The checksums are CRC-32, as in PNG and zip. Files of schema version 1
have none: what is read of them is only as good as the disk.
"""

import errno
import itertools
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

CHECKSUM = "crc32"
CRC_BYTES = 4  # behind each record
LARGEST_RECORD = 256_000_000  # bytes, so that a damaged length does not fill the memory
LARGEST_TABLE = 1_000_000_000  # bytes, of tables that are read whole
KEPT_STARTS = 200_000  # rows of a table whose places are kept in memory, 1.6 MB
TOGETHER = 65_536  # records read at once
WAITING = 16_000_000  # bytes written at once
SLACK = 50_000_000  # bytes left free on the disk

Kind: TypeAlias = type[np.integer] | type[np.bool_] | type[np.floating]


class DamagedError(ValueError):
    """What is in the file is not what was written into it."""


def checksum(data: bytes | np.ndarray, row: int = 0) -> int:
    """CRC-32 of the bytes of record `row`; the row counts, so that none is taken for another."""
    return zlib.crc32(data if isinstance(data, bytes) else np.ascontiguousarray(data).data, row)


def write_numbers(file: h5py.File, name: str, values: Any, kind: Kind) -> None:
    """Write a table of numbers [N] or [N, D] with its checksum."""
    array = np.asarray(values, dtype=kind)
    file.create_dataset(name, data=array).attrs[CHECKSUM] = np.uint32(checksum(array))


def read_numbers(table: h5py.Dataset, kind: type = np.integer) -> np.ndarray:
    """A table of numbers [N], whole.

    Raises:
        ValueError: if it is not that, claims more than the file holds, or is not what was written (`DamagedError`).
    """
    if not isinstance(table, h5py.Dataset) or table.ndim != 1 or not np.issubdtype(table.dtype, kind):
        raise DamagedError("is not a table of numbers")
    _check_claim(table)
    values: np.ndarray = table[:]
    if CHECKSUM in table.attrs and int(table.attrs[CHECKSUM]) != checksum(values):
        raise DamagedError("is not what was written")
    return values


def _check_claim(table: h5py.Dataset) -> None:
    if table.nbytes > min(LARGEST_TABLE, os.path.getsize(table.file.filename)):
        raise DamagedError(f"claims {table.nbytes:,} bytes")


class Growing:
    """A table whose rows come one after the other, 16 MB at a time.

    Args:
        shape: of one row. chunk: rows that lie together on the disk.
        path: the file that is written, for the space that is left on its disk.
    """

    def __init__(
        self, file: h5py.File, name: str, shape: tuple[int, ...], kind: type, *, chunk: int, path: Path
    ) -> None:
        self._table = file.create_dataset(
            name, (0, *shape), maxshape=(None, *shape), chunks=(chunk, *shape), dtype=np.dtype(kind)
        )
        self._path, self._waiting, self._bytes = path, list[np.ndarray](), 0

    def append(self, rows: np.ndarray) -> None:
        """Add rows [K, ...]."""
        self._waiting.append(rows.astype(self._table.dtype, copy=False))
        self._bytes += self._waiting[-1].nbytes
        require_space(self._path, self._bytes)
        if self._bytes > WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        require_space(self._path, self._bytes)
        filled, rows = len(self._table), np.concatenate(self._waiting)
        self._table.resize(filled + len(rows), axis=0)
        self._table[filled:] = rows
        self._waiting, self._bytes = [], 0


def require_space(path: Path, size: int) -> None:
    """Stop before the disk is full: HDF5 crashes at exit when it cannot write what it holds back."""
    if shutil.disk_usage(path.parent).free < size + SLACK:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_records(file: h5py.File, name: str, records: Iterable[bytes], path: Path, *, chunk: int = 16_384) -> int:
    """Write a table of records of any length, each with its checksum; returns how many."""
    starts = [0]
    table = Growing(file, f"{name}/bytes", (), np.uint8, chunk=chunk, path=path)
    for row, record in enumerate(records):
        closed = record + checksum(record, row).to_bytes(CRC_BYTES, "little")
        table.append(np.frombuffer(closed, np.uint8))
        starts.append(starts[-1] + len(closed))
    table.flush()
    write_numbers(file, f"{name}/start", starts, np.int64)
    return len(starts) - 1


class Records(Sequence[bytes]):
    """A table of records of any length, each read when it is asked for.

    Raises:
        ValueError: if it is not that; from reading, if a record is not what was written (`DamagedError`).
    """

    def __init__(self, table: h5py.Group | h5py.Dataset) -> None:
        self._read: Callable[[int, int], list[bytes]]
        if isinstance(table, h5py.Dataset):  # schema version 1
            if table.ndim != 1 or table.dtype.kind != "O":
                raise DamagedError("is not a table of texts or pictures")
            self._table, self._count, self._read = table, len(table), self._read_plain
            return
        self._start: h5py.Dataset | np.ndarray
        self._table, self._start = table["bytes"], table["start"]
        for part, kind in ((self._table, np.uint8), (self._start, np.int64)):
            if not isinstance(part, h5py.Dataset) or part.ndim != 1 or part.dtype != kind:
                raise DamagedError("is not a table of texts or pictures")
        self._count, self._read = len(self._start) - 1, self._read_checked
        if self._count < 0:
            raise DamagedError("is empty")
        if self._count <= KEPT_STARTS:
            self._start = read_numbers(self._start)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: Any) -> Any:
        return self._read(int(row), int(row) + 1)[0]

    def between(self, first: int, last: int) -> list[bytes]:
        """Records `first` to `last`, the latter left out."""
        return [
            record
            for begin in range(first, last, TOGETHER)
            for record in self._read(begin, min(begin + TOGETHER, last))
        ]

    def _read_plain(self, first: int, last: int) -> list[bytes]:
        return [record if isinstance(record, bytes) else bytes(record) for record in self._table[first:last]]

    def _read_checked(self, first: int, last: int) -> list[bytes]:
        starts: list[int] = self._start[first : last + 1].tolist()
        begin, size = starts[0], starts[-1] - starts[0]
        rising = all(start + CRC_BYTES <= end for start, end in itertools.pairwise(starts))
        if not (rising and begin >= 0 and starts[-1] <= len(self._table) and size <= LARGEST_RECORD):
            raise DamagedError(f"rows {first} to {last - 1} are not where they were written")
        data = self._table[begin : starts[-1]].tobytes()
        found = []
        for row, (start, end) in enumerate(itertools.pairwise(starts), first):
            closed = data[start - begin : end - begin]
            record, behind = closed[:-CRC_BYTES], closed[-CRC_BYTES:]
            if checksum(record, row) != int.from_bytes(behind, "little"):
                raise DamagedError(f"row {row} is not what was written")
            found.append(record)
        return found
