"""One HDF5 file holds one corpus: pictures, captions, recordings, species, voices and splits.

Layout, schema version 1 (N pictures, C captions, R recordings, F frames in all):

    attributes            schema "spoken-captions", version, complete, sources (JSON: name -> sha256), config (JSON)
    pictures/encoded      [N] JPEG or PNG bytes            pictures/name     [N] text
    pictures/species      [N] index into species           pictures/split    [N] 0 train, 1 validation, 2 test
    captions/text         [C] text                         captions/picture  [C] index
    recordings/picture    [R] index                        recordings/caption [R] index, -1 where there is none
    recordings/voice      [R] index into voices            recordings/seed   [R] what jitters pitch and rate
    recordings/offset     [R + 1] first frame of each      recordings/mel    [F, 40] float16, log-mel, not normalised
    species               [S] text                         voices/name [V], voices/heard [V] False: measuring only

`offset` and `mel` are absent where recordings are synthesised on the fly.
"""

import errno
import io
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from datasets import audio, voices
from datasets.errors import InputError
from datasets.files import replacing, require_file

SCHEMA = "spoken-captions"
VERSION = 1
SLACK = 50_000_000  # bytes left free on the disk
AGAIN = "remove it and build it again with scripts/prepare_cub.sh"
SPLITS = ("train", "validation", "test")


@dataclass
class Tables:
    """Everything in a corpus except the frames of its recordings; the names are those of the layout above."""

    species: list[str]
    picture_names: list[str] = field(default_factory=list)
    picture_species: list[int] = field(default_factory=list)
    picture_split: list[int] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    caption_picture: list[int] = field(default_factory=list)
    recording_picture: list[int] = field(default_factory=list)
    recording_caption: list[int] = field(default_factory=list)
    recording_voice: list[int] = field(default_factory=list)
    recording_seed: list[int] = field(default_factory=list)
    voice_names: list[str] = field(default_factory=list)
    voice_heard: list[bool] = field(default_factory=list)


def write(
    path: str | Path,
    tables: Tables,
    encoded_pictures: Iterable[bytes],
    mels: Iterable[np.ndarray] | None,
    *,
    sources: dict[str, str],
    config: dict[str, Any],
) -> None:
    """Write a corpus; it appears under its name only when it is complete.

    Args:
        encoded_pictures: JPEG or PNG bytes in the order of `tables.picture_names`.
        mels: one [T, 40] array a recording, in order; None to synthesise on the fly.
    """
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(schema=SCHEMA, version=VERSION, complete=False)
        file.attrs["sources"] = json.dumps(sources)
        file.attrs["config"] = json.dumps(config, default=str)
        text = h5py.string_dtype("utf-8")
        file.create_dataset("species", data=tables.species, dtype=text)
        for name, values, kind in (
            ("pictures/name", tables.picture_names, text),
            ("pictures/species", tables.picture_species, np.int32),
            ("pictures/split", tables.picture_split, np.uint8),
            ("captions/text", tables.captions, text),
            ("captions/picture", tables.caption_picture, np.int32),
            ("recordings/picture", tables.recording_picture, np.int32),
            ("recordings/caption", tables.recording_caption, np.int32),
            ("recordings/voice", tables.recording_voice, np.int16),
            ("recordings/seed", tables.recording_seed, np.int64),
            ("voices/name", tables.voice_names, text),
            ("voices/heard", tables.voice_heard, bool),
        ):
            file.create_dataset(name, data=np.array(values, dtype=object if kind is text else kind), dtype=kind)
        encoded = file.create_dataset(
            "pictures/encoded", (len(tables.picture_names),), dtype=h5py.vlen_dtype(np.dtype("uint8"))
        )
        for index, data in zip(range(len(encoded)), encoded_pictures, strict=True):
            _require_space(temporary, len(data))
            encoded[index] = np.frombuffer(data, dtype=np.uint8)
        if mels is not None:
            _write_mels(file, mels, len(tables.recording_picture), temporary)
        file.attrs["complete"] = True


def _require_space(path: Path, size: int) -> None:
    """Stop before the disk is full: HDF5 crashes at exit when it cannot write what it holds back."""
    if shutil.disk_usage(path.parent).free < size + SLACK:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_mels(file: h5py.File, mels: Iterable[np.ndarray], count: int, path: Path) -> None:
    frames = file.create_dataset(
        "recordings/mel", (0, audio.N_MELS), maxshape=(None, audio.N_MELS), chunks=(512, audio.N_MELS), dtype="float16"
    )
    offsets, waiting = [0], list[np.ndarray]()

    def flush() -> None:
        filled = len(frames)
        _require_space(path, (offsets[-1] - filled) * audio.N_MELS * 2)
        frames.resize(offsets[-1], axis=0)
        frames[filled:] = np.concatenate(waiting or [np.empty((0, audio.N_MELS))])
        waiting.clear()

    for mel in mels:
        waiting.append(mel.astype(np.float16))
        offsets.append(offsets[-1] + len(mel))
        if offsets[-1] - len(frames) > 200_000:  # 16 MB at a time
            flush()
    flush()
    if len(offsets) != count + 1:
        raise ValueError(f"{len(offsets) - 1} log-mels for {count} recordings")
    file.create_dataset("recordings/offset", data=np.array(offsets, dtype=np.int64))


class Corpus:
    """A corpus opened for reading. Index tables are in memory; pictures and recordings are read when asked for.

    Raises:
        InputError: if the file is missing, cut off, still being written, not a corpus, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = require_file(path, "corpus")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            if "unable to lock" in str(error) or "already open" in str(error):  # "sblock" tells of a cut
                raise InputError(f"{path}: is being written by another process; wait until it ends") from error
            raise InputError(f"{path}: is not HDF5, or is cut off; {AGAIN}") from error
        try:
            self._read_attributes()
            self._read_tables()
        except InputError:
            self.close()
            raise
        except (KeyError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            self.close()
            raise InputError(f"{path}: a table is missing or damaged ({error}); {AGAIN}") from error

    def _read_attributes(self) -> None:
        path, attributes = self.path, dict(self._file.attrs)
        if attributes.get("schema") != SCHEMA:
            raise InputError(f"{path}: is not a corpus of spoken captions; build one with scripts/prepare_cub.sh")
        if attributes.get("version") != VERSION:
            raise InputError(
                f"{path}: has schema version {attributes.get('version')}, this code reads version {VERSION}; {AGAIN}"
            )
        if not attributes.get("complete", False):
            raise InputError(f"{path}: its writing was not finished; {AGAIN}")
        self.sources: dict[str, str] = json.loads(attributes["sources"])
        self.config: dict[str, Any] = json.loads(attributes["config"])

    def _read_tables(self) -> None:
        file = self._file
        self.species_names: list[str] = [name.decode() for name in file["species"][:]]
        self.names: list[str] = [name.decode() for name in file["pictures/name"][:]]
        self.species: np.ndarray = file["pictures/species"][:].astype(np.int64)
        self.split: np.ndarray = file["pictures/split"][:]
        self.captions: list[str] = [text.decode() for text in file["captions/text"][:]]
        self.caption_picture: np.ndarray = file["captions/picture"][:]
        self.recording_picture: np.ndarray = file["recordings/picture"][:]
        self.recording_caption: np.ndarray = file["recordings/caption"][:]
        self.recording_voice: np.ndarray = file["recordings/voice"][:]
        self.recording_seed: np.ndarray = file["recordings/seed"][:]
        self.voice_names: list[str] = [name.decode() for name in file["voices/name"][:]]
        self.voice_heard: np.ndarray = file["voices/heard"][:]
        self._encoded = file["pictures/encoded"]
        self._offset = file["recordings/offset"][:] if "recordings/offset" in file else None
        self._mel = file.get("recordings/mel")

    def __len__(self) -> int:
        return len(self.names)

    def pictures_of(self, split: str) -> np.ndarray:
        """Indices of the pictures of a split.

        Raises:
            InputError: if the split is unknown or empty.
        """
        if split not in SPLITS:
            raise InputError(f"split {split!r}: unknown; choose one of {', '.join(SPLITS)}")
        chosen = np.flatnonzero(self.split == SPLITS.index(split))
        if not len(chosen):
            raise InputError(f"{self.path}: no pictures in the {split} split; name some in the CSV's split column")
        return chosen

    def captions_by_picture(self, which: str = "all") -> list[np.ndarray]:
        """For each picture, the indices of its captions: all, or only every second one, "even" or "odd"."""
        start, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[which]
        return [group[start::step] for group in _group(self.caption_picture, np.arange(len(self.captions)), len(self))]

    def recordings_by_picture(self, heard: bool | None = None) -> list[np.ndarray]:
        """For each picture, the indices of its recordings, if asked only those of voices heard in training or not."""
        chosen = np.arange(len(self.recording_picture))
        if heard is not None:
            chosen = chosen[self.voice_heard[self.recording_voice] == heard]
        return _group(self.recording_picture[chosen], chosen, len(self))

    @property
    def measuring_voices(self) -> bool | None:
        """The `heard` to measure with: False, voices kept out of training, or None, any, where there are none."""
        return None if self.voice_heard.all() else False

    def picture(self, index: int) -> Image.Image:
        """Picture `index`, RGB."""
        return decode(self._encoded[index].tobytes(), f"{self.path}: picture {self.names[index]}")

    def mel(self, recording: int) -> torch.Tensor:
        """Log-mel of a recording, [T, 40] float32, not normalised; synthesised now if it is not stored."""
        if self._mel is not None and self._offset is not None:
            first, last = self._offset[recording : recording + 2]
            return torch.from_numpy(self._mel[first:last].astype(np.float32))
        voice = voices.by_name(self.voice_names[self.recording_voice[recording]])
        text = self.captions[self.recording_caption[recording]]
        return audio.log_mel(voices.synthesise(voice, text, int(self.recording_seed[recording])))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def decode(data: bytes, name: str) -> Image.Image:
    """Decode an encoded picture to RGB: the first of several, on white where it is transparent.

    Raises:
        InputError: if it is damaged.
    """
    try:
        picture: Image.Image = Image.open(io.BytesIO(data))
        if picture.mode.startswith("I;16"):  # 16 bits, which Pillow would clip to 8 instead of scaling
            picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return picture.convert("RGB")
    except UnidentifiedImageError as error:
        raise InputError(f"{name}: is not a picture in a known format; replace or remove it") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{name}: not a readable picture ({error}); replace or remove it") from error


def encode(picture: Image.Image, quality: int = 95) -> bytes:
    """JPEG bytes of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _group(owners: np.ndarray, members: Sequence[int] | np.ndarray, count: int) -> list[np.ndarray]:
    """For each owner 0..count-1, the members that belong to it, in order."""
    order = np.argsort(owners, kind="stable")
    bounds = np.searchsorted(owners[order], np.arange(count + 1))
    members = np.asarray(members)[order]
    return [members[bounds[i] : bounds[i + 1]] for i in range(count)]
