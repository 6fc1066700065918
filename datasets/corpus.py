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
                                                           voices/engine_heard [V] False: no voice of it trains

`offset` and `mel` are absent where recordings are synthesised on the fly. Several such files are one corpus where a
manifest lists them (datasets/shard.py).
"""

import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import h5py
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from datasets import audio, channels, voices
from datasets.errors import InputError
from datasets.files import replacing
from datasets.shard import SCHEMA, VERSION, Groups, Shard, Texts, locate, merge, shard_files

SLACK = 50_000_000  # bytes left free on the disk
SPLITS = ("train", "validation", "test")
Speakers: TypeAlias = Literal["all", "training", "held-out", "held-out voices", "held-out engines"]
"""All; those heard in training; those kept out of it, or of those the voices of engines of which others are heard, or
those of engines of which none is."""
Change: TypeAlias = Callable[[np.ndarray, int], np.ndarray]  # of a table's values, knowing the number of their file


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
    voice_engine_heard: list[bool] = field(default_factory=list)  # empty: all


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
            ("voices/engine_heard", tables.voice_engine_heard or [True] * len(tables.voice_names), bool),
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
    """A corpus opened for reading, of one file or of those that a manifest lists.

    Tables of numbers are in memory, about 40 bytes for a picture with one caption and recording; texts, pictures and
    recordings are read when asked for. Species and voices of the same name in several files are the same.

    Raises:
        InputError: if a file is missing, cut off, still being written, not a corpus, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._shards: list[Shard] = []
        for file in shard_files(self.path):
            self._shards.append(Shard(file))
        try:
            self._read_tables()
        except InputError:
            self.close()
            raise

    def _read_tables(self) -> None:
        shards = self._shards
        self.sources: dict[str, str] = {name: value for shard in shards for name, value in shard.sources.items()}
        self.config: dict[str, Any] = shards[0].config
        self.names, self.captions = Texts(shards, "pictures/name"), Texts(shards, "captions/text")
        self.species_names, species = merge([shard.texts("species") for shard in shards])
        self.voice_names, voice = merge([shard.texts("voices/name") for shard in shards])
        self.voice_heard = np.zeros(len(self.voice_names), dtype=bool)
        self.voice_engine_heard = np.ones(len(self.voice_names), dtype=bool)
        for shard, places in zip(shards, voice, strict=True):
            self.voice_heard[places] = shard.numbers("voices/heard")
            if "voices/engine_heard" in shard.file:  # older files know of no such engines
                self.voice_engine_heard[places] = shard.numbers("voices/engine_heard")
        pictures, captions = self._starts("pictures/encoded"), self._starts("captions/picture")
        self._first_picture, self._first_recording = pictures, self._starts("recordings/picture")

        def joined(table: str, change: Change = lambda values, _: values) -> np.ndarray:
            return np.concatenate([change(shard.numbers(table), number) for number, shard in enumerate(shards)])

        def moved(starts: np.ndarray) -> Change:
            return lambda values, number: np.where(values < 0, values, values + starts[number]).astype(values.dtype)

        self.species: np.ndarray = joined("pictures/species", lambda values, number: species[number][values])
        self.split: np.ndarray = joined("pictures/split")
        self.caption_picture: np.ndarray = joined("captions/picture", moved(pictures))
        self.recording_picture: np.ndarray = joined("recordings/picture", moved(pictures))
        self.recording_caption: np.ndarray = joined("recordings/caption", moved(captions))
        self.recording_voice: np.ndarray = joined("recordings/voice", lambda values, number: voice[number][values])
        self.recording_seed: np.ndarray = joined("recordings/seed")
        self._offsets = [s.numbers("recordings/offset") if "recordings/offset" in s.file else None for s in shards]

    def _starts(self, table: str) -> np.ndarray:
        """For each file, the number of the first of its rows in a table, and the number of rows in all."""
        return np.cumsum([0, *[len(shard.table(table)) for shard in self._shards]])

    @property
    def identity(self) -> str:
        """What changes when a file of the corpus does."""
        files = [shard.path for shard in self._shards]
        return "".join(f"{file.resolve()}{file.stat().st_mtime_ns}" for file in files)

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

    def captions_by_picture(self, which: str = "all") -> Groups:
        """For each picture, the indices of its captions: all, or only every second one, "even" or "odd"."""
        start, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[which]
        return Groups(self.caption_picture, np.arange(len(self.captions)), len(self), start, step)

    def recordings_by_picture(self, speakers: Speakers = "all") -> Groups:
        """For each picture, the indices of its recordings by some speakers."""
        recordings = np.arange(len(self.recording_picture))
        if speakers != "all":
            chosen = self.voice_heard if speakers == "training" else ~self.voice_heard
            if speakers == "held-out voices":
                chosen = chosen & self.voice_engine_heard
            elif speakers == "held-out engines":
                chosen = chosen & ~self.voice_engine_heard
            recordings = recordings[chosen[self.recording_voice]]
        return Groups(self.recording_picture[recordings], recordings, len(self))

    @property
    def evaluation_speakers(self) -> Speakers:
        """Those to measure with: held out from training, or all where none are."""
        return "all" if self.voice_heard.all() else "held-out"

    def encoded(self, index: int) -> bytes:
        """Picture `index` as it is stored, JPEG or PNG."""
        shard, row = locate(self._first_picture, index)
        return bytes(self._shards[shard].table("pictures/encoded")[row].tobytes())

    def picture(self, index: int) -> Image.Image:
        """Picture `index`, RGB."""
        return decode(self.encoded(index), f"{self.path}: picture {self.names[index]}")

    def frames(self, recording: int) -> int:
        """Frames of the log-mel of a recording."""
        shard, row = locate(self._first_recording, recording)
        offsets = self._offsets[shard]
        return len(self.mel(recording)) if offsets is None else int(offsets[row + 1] - offsets[row])

    def mel(self, recording: int) -> torch.Tensor:
        """Log-mel of a recording, [T, 40] float32, not normalised; synthesised now if it is not stored."""
        shard, row = locate(self._first_recording, recording)
        offsets = self._offsets[shard]
        if offsets is not None:
            first, last = offsets[row : row + 2]
            return torch.from_numpy(self._shards[shard].table("recordings/mel")[first:last].astype(np.float32))
        voice = voices.by_name(self.voice_names[self.recording_voice[recording]])
        text = self.captions[self.recording_caption[recording]]
        seed = int(self.recording_seed[recording])
        wave = voices.synthesise(voice, text, seed)
        if self.config.get("varied") and self.split[self.recording_picture[recording]] == SPLITS.index("train"):
            wave = channels.vary(wave, seed)
        return audio.log_mel(wave)

    def close(self) -> None:
        """Close the files."""
        for shard in self._shards:
            shard.file.close()


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
