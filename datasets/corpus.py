"""One HDF5 file holds one corpus: pictures, captions, recordings, species, voices and splits.

Layout, schema version 2 (N pictures, C captions, R recordings, F frames in all):

    attributes            schema "spoken-captions", version, complete
    about                 [2] JSON: sources (name -> sha256), config
    pictures/encoded      [N] JPEG or PNG bytes            pictures/name     [N] text
    pictures/species      [N] index into species           pictures/split    [N] 0 train, 1 validation, 2 test
    captions/text         [C] text                         captions/picture  [C] index
    recordings/picture    [R] index                        recordings/caption [R] index, -1 where there is none
    recordings/voice      [R] index into voices            recordings/seed   [R] what jitters pitch and rate
    recordings/offset     [R + 1] first frame of each      recordings/mel    [F, 40] float16, log-mel, not normalised
    recordings/crc32      [R] checksum of each's frames
    species               [S] text                         voices/name [V], voices/heard [V] False: measuring only
                                                           voices/engine_heard [V] False: no voice of it trains

`offset`, `mel` and `crc32` are absent where recordings are synthesised on the fly. Texts and pictures lie one after the
other, and everything has checksums (datasets/records.py). Version 1 had no checksums, and variable-length HDF5 types,
in which one damaged sector lets the library search for ever; it is still read. Several such files are one corpus where
a manifest lists them (datasets/shard.py).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import h5py
import numpy as np
import torch
from PIL import Image

from datasets import audio, channels, picture_file, voices
from datasets.errors import InputError
from datasets.files import replacing
from datasets.records import Growing, Kind, checksum, write_numbers, write_records
from datasets.rows import SPLITS, Rows
from datasets.shard import SCHEMA, VERSION, Groups, Shard, Texts, locate, merge, shard_files

Speakers: TypeAlias = Literal["all", "training", "held-out", "held-out voices", "held-out engines"]
"""All; those heard in training; those kept out of it, or of those the voices of engines of which others are heard, or
those of engines of which none is."""
LOG_MEL = "log-mel"
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
    width: int = audio.N_MELS,
) -> None:
    """Write a corpus; it appears under its name only when it is complete.

    Args:
        encoded_pictures: JPEG or PNG bytes in the order of `tables.picture_names`.
        mels: one [T, 40] array a recording, in order, or [T, `width`] features of another front end, which `config`
            then names as `front`; None to synthesise on the fly.
    """
    # Since HDF5 1.10 what a file says of its own layout has checksums.
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=("v110", "v110")) as file:
        file.attrs.update(schema=np.bytes_(SCHEMA), version=VERSION, complete=False)
        about = [json.dumps(sources), json.dumps(config, default=str)]
        for name, texts in (
            ("about", about),
            ("species", tables.species),
            ("pictures/name", tables.picture_names),
            ("captions/text", tables.captions),
            ("voices/name", tables.voice_names),
        ):
            write_records(file, name, (text.encode() for text in texts), temporary)
        numbers: tuple[tuple[str, list[int] | list[bool], Kind], ...] = (
            ("pictures/species", tables.picture_species, np.int32),
            ("pictures/split", tables.picture_split, np.uint8),
            ("captions/picture", tables.caption_picture, np.int32),
            ("recordings/picture", tables.recording_picture, np.int32),
            ("recordings/caption", tables.recording_caption, np.int32),
            ("recordings/voice", tables.recording_voice, np.int16),
            ("recordings/seed", tables.recording_seed, np.int64),
            ("voices/heard", tables.voice_heard, np.bool_),
            ("voices/engine_heard", tables.voice_engine_heard or [True] * len(tables.voice_names), np.bool_),
        )
        for name, values, kind in numbers:
            write_numbers(file, name, values, kind)
        pictures = write_records(file, "pictures/encoded", encoded_pictures, temporary, chunk=262_144)
        if pictures != len(tables.picture_names):
            raise ValueError(f"{pictures} pictures for {len(tables.picture_names)} names")
        if mels is not None:
            _write_mels(file, mels, len(tables.recording_picture), width, temporary)
        file.attrs["complete"] = True


def _write_mels(file: h5py.File, mels: Iterable[np.ndarray], count: int, width: int, path: Path) -> None:
    frames = Growing(file, "recordings/mel", (width,), np.float16, chunk=512, path=path)
    offsets, sums = [0], []
    for row, mel in enumerate(mels):
        kept = mel.astype(np.float16)
        frames.append(kept)
        offsets.append(offsets[-1] + len(kept))
        sums.append(checksum(kept, row))
    frames.flush()
    if len(sums) != count:
        raise ValueError(f"{len(sums)} log-mels for {count} recordings")
    write_numbers(file, "recordings/offset", offsets, np.int64)
    write_numbers(file, "recordings/crc32", sums, np.uint32)


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
        self._encoded = [shard.records("pictures/encoded") for shard in shards]
        self.species_names, species = merge([shard.texts("species") for shard in shards])
        self.voice_names, voice = merge([shard.texts("voices/name") for shard in shards])
        rows = [Rows(shard, len(species[k]), len(voice[k])) for k, shard in enumerate(shards)]
        self.voice_heard = np.zeros(len(self.voice_names), dtype=bool)
        self.voice_engine_heard = np.ones(len(self.voice_names), dtype=bool)
        for each, places in zip(rows, voice, strict=True):
            self.voice_heard[places] = each.heard
            self.voice_engine_heard[places] = each.engine_heard
        pictures, captions = ([0, *np.cumsum([getattr(r, name) for r in rows])] for name in ("pictures", "captions"))
        self._first_picture = np.array(pictures)
        self._first_recording = np.cumsum([0, *[len(each.of["recordings/picture"]) for each in rows]])

        def joined(table: str, change: Change = lambda values, _: values) -> np.ndarray:
            return np.concatenate([change(each.of[table], number) for number, each in enumerate(rows)])

        def moved(starts: Sequence[int]) -> Change:
            return lambda values, number: np.where(values < 0, values, values + starts[number]).astype(values.dtype)

        self.species: np.ndarray = joined("pictures/species", lambda values, number: species[number][values])
        self.split: np.ndarray = joined("pictures/split")
        self.caption_picture: np.ndarray = joined("captions/picture", moved(pictures))
        self.recording_picture: np.ndarray = joined("recordings/picture", moved(pictures))
        self.recording_caption: np.ndarray = joined("recordings/caption", moved(captions))
        self.recording_voice: np.ndarray = joined("recordings/voice", lambda values, number: voice[number][values])
        self.recording_seed: np.ndarray = joined("recordings/seed")
        self._offsets, self._sums = [each.offsets for each in rows], [each.sums for each in rows]

    @property
    def front(self) -> str:
        """What its recordings are kept as: log-mels, or the features of another front end."""
        return str(self.config.get("front", LOG_MEL))

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
        return self._shards[shard].record("pictures/encoded", self._encoded[shard], row)

    def picture(self, index: int) -> Image.Image:
        """Picture `index`, RGB."""
        return picture_file.decode(self.encoded(index), f"{self.path}: picture {self.names[index]}")

    def frames(self, recording: int) -> int:
        """Frames of the log-mel of a recording."""
        shard, row = locate(self._first_recording, recording)
        offsets = self._offsets[shard]
        return len(self.mel(recording)) if offsets is None else int(offsets[row + 1] - offsets[row])

    def mel(self, recording: int) -> torch.Tensor:
        """Log-mel of a recording, [T, 40] float32, not normalised; synthesised now if it is not stored.

        Where the corpus has another `front`, its features [T, W] instead.
        """
        shard, row = locate(self._first_recording, recording)
        offsets = self._offsets[shard]
        if offsets is not None:
            first, last = offsets[row : row + 2]
            mel = self._shards[shard].mel(int(first), int(last), row, self._sums[shard])
            return torch.from_numpy(mel.astype(np.float32))
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
