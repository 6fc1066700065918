"""One HDF5 file of a corpus, opened for reading, and the manifest that joins several to one corpus.

A manifest is a JSON file beside them or above them, `{"schema": "spoken-captions-shards", "version": 1, "shards":
["a.h5", "b.h5"]}`; it is given wherever a corpus is. `python -m datasets.shard all.json a.h5 b.h5` writes one.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, SupportsIndex, overload

import h5py
import numpy as np

from datasets import cli
from datasets.errors import InputError
from datasets.files import require_file, write_text
from datasets.json_file import parse_json, read_json
from datasets.records import TOGETHER, DamagedError, Records, checksum, read_numbers

SCHEMA = "spoken-captions"
SHARDS = "spoken-captions-shards"
VERSION = 2  # of files that are written; MANIFEST_VERSION of the lists of them
READ_VERSIONS = (1, 2)
MANIFEST_VERSION = 1
AGAIN = "remove it and build it again with scripts/prepare_cub.sh"
KEPT = 200_000  # texts kept once they were read, about 30 MB


class Shard:
    """The tables of one file, read when asked for.

    Raises:
        InputError: if the file is missing, cut off, still being written, not a corpus, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = require_file(path, "corpus", maker="scripts/prepare_cub.sh")
        self._mel: h5py.Dataset | None = None
        try:
            # Without a cache of chunks only what is asked for is read, not all that lies around it.
            self.file = h5py.File(self.path, "r", rdcc_nbytes=0)
        except OSError as error:
            if "unable to lock" in str(error) or "already open" in str(error):  # "sblock" tells of a cut
                raise InputError(f"{path}: is being written by another process; wait until it ends") from error
            raise InputError(f"{path}: is not HDF5, or is cut off; {AGAIN}") from error
        except (ValueError, RuntimeError, KeyError, TypeError, MemoryError) as error:
            raise InputError(f"{path}: is damaged; {AGAIN}") from error
        try:
            with self._telling("its description"):
                self._read_attributes()
        except InputError:
            self.file.close()
            raise

    def _read_attributes(self) -> None:
        path, attributes = self.path, self.file.attrs
        if _text(attributes.get("schema")) != SCHEMA:
            raise InputError(f"{path}: is not a corpus of spoken captions; build one with scripts/prepare_cub.sh")
        if attributes.get("version") not in READ_VERSIONS:
            known = " and ".join(map(str, READ_VERSIONS))
            raise InputError(
                f"{path}: has schema version {attributes.get('version')}, this code reads versions {known}; {AGAIN}"
            )
        if not attributes.get("complete", False):
            raise InputError(f"{path}: its writing was not finished; {AGAIN}")
        if attributes["version"] == 1:
            texts = [attributes["sources"], attributes["config"]]
        else:
            texts = Records(self.file["about"]).between(0, 2)
        self.sources: dict[str, str] = parse_json(texts[0], dict)
        self.config: dict[str, Any] = parse_json(texts[1], dict)

    def table(self, name: str) -> h5py.Dataset:
        """A table of numbers, of which nothing is read yet.

        Raises:
            InputError: if it is missing or damaged.
        """
        with self._telling(name):
            table = self.file[name]
            if not isinstance(table, h5py.Dataset):
                raise DamagedError("is not a table of numbers")
            return table

    def numbers(self, table: str, kind: type = np.integer) -> np.ndarray:
        """A table of numbers, whole; raises as `table` does."""
        with self._telling(table):
            return read_numbers(self.file[table], kind)

    def between(self, table: str, low: int, high: int) -> np.ndarray:
        """A table of whole numbers that are all at least `low` and below `high`; raises as `table` does."""
        values = self.numbers(table)
        with self._telling(table):
            bad = np.flatnonzero((values < low) | (values >= high))
            if len(bad):
                raise DamagedError(f"row {bad[0]} is {values[bad[0]]}, outside of {low} to {high - 1}")
        return values

    def records(self, table: str) -> Records:
        """A table of texts or pictures, of which nothing is read yet; raises as `table` does."""
        with self._telling(table):
            return Records(self.file[table])

    def record(self, table: str, records: Records, row: int) -> bytes:
        """One of them; raises as `table` does."""
        with self._telling(table):
            found: bytes = records[row]
            return found

    def texts(self, table: str, first: int = 0, last: int | None = None) -> list[str]:
        """The texts of a table from `first` to before `last`, all by default; raises as `table` does."""
        with self._telling(table):
            records = Records(self.file[table])
            return [text.decode() for text in records.between(first, len(records) if last is None else last)]

    def mel(self, first: int, last: int, row: int, sums: np.ndarray | None) -> np.ndarray:
        """Frames of recording `row`, [T, 40] float16, verified by its one of `sums`; raises as `table` does."""
        with self._telling("recordings/mel"):
            if self._mel is None:
                self._mel = self.file["recordings/mel"]  # looking it up takes longer than reading from it
            mel: np.ndarray = self._mel[first:last]
            if sums is not None and int(sums[row]) != checksum(mel, row):
                raise DamagedError(f"recording {row} is not what was written")
            return mel

    @contextmanager
    def _telling(self, table: str) -> Iterator[None]:
        """Tell in one line what cannot be read."""
        try:
            yield
        except (KeyError, OSError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.path}: {table}: missing or damaged ({error}); {AGAIN}") from error


def _text(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


class Texts(Sequence[str]):
    """The texts of a table of several files one after the other, each read when it is asked for.

    A million captions would take a second to open and 100 MB to hold.
    """

    def __init__(self, shards: Sequence[Shard], table: str) -> None:
        self._shards, self._table = shards, table
        self._records = [shard.records(table) for shard in shards]
        self._starts = np.cumsum([0, *[len(texts) for texts in self._records]])
        self._kept: dict[int, str] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        row = range(len(self))[index]  # counts from the end where it is negative, and raises IndexError
        text = self._kept.get(row)
        if text is None:
            shard, place = locate(self._starts, row)
            record = self._shards[shard].record(self._table, self._records[shard], place)
            text = record.decode(errors="replace")
            if len(self._kept) < KEPT:
                self._kept[row] = text
        return text

    def __iter__(self) -> Iterator[str]:
        for shard, records in zip(self._shards, self._records, strict=True):
            for first in range(0, len(records), TOGETHER):
                yield from shard.texts(self._table, first, min(first + TOGETHER, len(records)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(str.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]


class Groups(Sequence[np.ndarray]):
    """For each owner 0..count-1, the members that belong to it, in order; of each, every `step`-th from `start`."""

    def __init__(self, owners: np.ndarray, members: np.ndarray, count: int, start: int = 0, step: int = 1) -> None:
        order = np.argsort(owners, kind="stable")
        self._bounds = np.searchsorted(owners[order], np.arange(count + 1))
        self._members = np.asarray(members)[order]
        self._every = slice(start, None, step)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, owner: Any) -> Any:
        place = range(len(self))[int(owner)]
        return self._members[self._bounds[place] : self._bounds[place + 1]][self._every]


def merge(lists: list[list[str]]) -> tuple[list[str], list[np.ndarray]]:
    """All names of several lists without doubles, and for each list where its names went."""
    places: dict[str, int] = {}
    where = [np.array([places.setdefault(name, len(places)) for name in names], dtype=np.int64) for names in lists]
    return list(places), where


def locate(starts: np.ndarray, row: int) -> tuple[int, int]:
    """Which file holds `row` of a table, and the row's number in that file."""
    shard = int(np.searchsorted(starts, row, side="right")) - 1
    return shard, int(row - starts[shard])


def shard_files(path: Path) -> list[Path]:
    """The files that hold the corpus `path`: itself, or those that it lists.

    Raises:
        InputError: if it is missing, or a manifest that cannot be read or lists no files.
    """
    with open(require_file(path, "corpus", maker="scripts/prepare_cub.sh"), "rb") as file:
        if file.read(1) != b"{":
            return [path]
    remedy = "write it again: python -m datasets.shard"
    manifest = read_json(path, "list of the files of a corpus", remedy, dict)
    names = manifest.get("shards")
    about = (manifest.get("schema"), manifest.get("version"))
    if about != (SHARDS, MANIFEST_VERSION) or not isinstance(names, list) or not names:
        wanted = f"wants schema {SHARDS}, version {MANIFEST_VERSION} and at least one file"
        raise InputError(f"{path}: not a list of the files of a corpus ({wanted}); {remedy}")
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: not a list of the files of a corpus (a name is no text); {remedy}")
    return [path.parent / name for name in names]


def write_manifest(path: Path, files: Sequence[Path]) -> None:
    """Write the manifest that joins `files` to one corpus, after opening each of them.

    Raises:
        InputError: if one is not a corpus, or the manifest cannot be written.
    """
    for file in files:
        Shard(file).file.close()
    home = path.resolve().parent
    full = [file.resolve() for file in files]
    names = [str(file.relative_to(home) if file.is_relative_to(home) else file) for file in full]
    write_text(path, json.dumps({"schema": SHARDS, "version": MANIFEST_VERSION, "shards": names}, indent=2) + "\n")


def main(arguments: list[str]) -> None:
    """Write the manifest that the command line asks for: its name, then the files."""
    if len(arguments) < 2 or arguments[0].startswith("-"):
        raise InputError("python -m datasets.shard: give the manifest to write, then the corpus files that it joins")
    write_manifest(Path(arguments[0]), [Path(name) for name in arguments[1:]])
    print(arguments[0], file=sys.stdout)


if __name__ == "__main__":
    cli.run(main)
