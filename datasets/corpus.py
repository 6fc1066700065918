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

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image

from datasets import audio, voices
from datasets.errors import InputError
from datasets.files import replacing, require_file

SCHEMA = "spoken-captions"
VERSION = 1
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
        for index, data in enumerate(encoded_pictures):
            encoded[index] = np.frombuffer(data, dtype=np.uint8)
        if mels is not None:
            _write_mels(file, mels, len(tables.recording_picture))
        file.attrs["complete"] = True


def _write_mels(file: h5py.File, mels: Iterable[np.ndarray], count: int) -> None:
    frames = file.create_dataset(
        "recordings/mel", (0, audio.N_MELS), maxshape=(None, audio.N_MELS), chunks=(512, audio.N_MELS), dtype="float16"
    )
    offsets, waiting, filled = [0], [], 0
    for mel in mels:
        waiting.append(mel.astype(np.float16))
        offsets.append(offsets[-1] + len(mel))
        if offsets[-1] - filled > 200_000 or len(offsets) == count + 1:  # 16 MB at a time
            frames.resize(offsets[-1], axis=0)
            frames[filled:] = np.concatenate(waiting)
            waiting, filled = [], offsets[-1]
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
            reason = "is being written by another process" if "lock" in str(error) else "is not HDF5, or is cut off"
            raise InputError(f"{path}: {reason}; build it again with scripts/prepare_cub.sh") from error
        attributes = dict(self._file.attrs)
        if attributes.get("schema") != SCHEMA:
            raise InputError(f"{path}: not a corpus of spoken captions; build one with scripts/prepare_cub.sh")
        if attributes.get("version") != VERSION:
            raise InputError(
                f"{path}: schema version {attributes.get('version')}, this code reads version {VERSION}; "
                "build it again with scripts/prepare_cub.sh"
            )
        if not attributes.get("complete", False):
            raise InputError(f"{path}: its writing was not finished; run scripts/prepare_cub.sh again, it goes on")
        self.sources: dict[str, str] = json.loads(attributes["sources"])
        self.config: dict[str, Any] = json.loads(attributes["config"])
        try:
            self._read_tables()
        except (KeyError, OSError, RuntimeError) as error:
            raise InputError(f"{path}: a table is missing or damaged ({error}); build it again") from error

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
        self._mel = file["recordings/mel"] if "recordings/mel" in file else None

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

    def captions_by_picture(self) -> list[np.ndarray]:
        """For each picture, the indices of its captions."""
        return _group(self.caption_picture, np.arange(len(self.captions)), len(self))

    def recordings_by_picture(self, heard: bool | None = None) -> list[np.ndarray]:
        """For each picture, the indices of its recordings, if asked only those of voices heard in training or not."""
        chosen = np.arange(len(self.recording_picture))
        if heard is not None:
            chosen = chosen[self.voice_heard[self.recording_voice] == heard]
        return _group(self.recording_picture[chosen], chosen, len(self))

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
    """Decode an encoded picture to RGB.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
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
