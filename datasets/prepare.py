"""The command that builds a corpus: from CUB, from somebody's own CSV, or from drawn birds."""

import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets import audio, cli, corpus, cub, own, synthetic, voices
from datasets.corpus import Tables
from datasets.entry import Entry
from datasets.errors import InputError
from datasets.files import make_folder, replacing

SOURCES = ("cub", "csv", "drawn")
PIECE = 500  # recordings written at a time; what an interruption can lose


@dataclass(frozen=True)
class PrepareConfig:
    """What goes into the corpus and where it is written."""

    source: str = "cub"
    """Where pictures and captions come from: cub, csv or drawn."""
    cub_root: Path = Path("data/cub")
    """Folder with CUB_200_2011/ and birds/ in it. The environment variable CUB_ROOT is the default if it is set."""
    csv: Path | None = None
    """Table of own data with the columns image, recording and, each optional, caption, class, split."""
    output: Path = Path("data/cub.h5")
    """The corpus file to write."""
    recordings_per_picture: int = 4
    """Captions of each training picture that are spoken, 0 to 10; 10 is all of them."""
    measuring_recordings_per_picture: int = 2
    """Captions of each validation and test picture that are spoken, each by a heard and by an unheard voice."""
    voices_per_caption: int = 1
    """Different voices that speak each training caption."""
    engines: tuple[str, ...] = ("espeak", "flite", "festival")
    """Speech engines to use where they are installed; espeak always is."""
    on_the_fly: bool = False
    """Store no recordings; synthesise each when it is asked for. Saves disk, costs time in every epoch."""
    short_side: int = 608
    """Pictures are reduced to this short side in px, never enlarged. 608 is what training at 512 px reads."""
    validation_species: int = 10
    """Training species set aside for choosing models (CUB only)."""
    drawn_pictures: int = 240
    """How many birds to draw (drawn only)."""
    drawn_species: int = 12
    """How many kinds of drawn birds (drawn only)."""
    workers: int = max(1, os.cpu_count() or 1)
    """Processes that synthesise speech."""
    seed: int = 0
    """Chooses captions, voices, their pitch and rate, and the validation species."""

    def __post_init__(self) -> None:
        cli.check_choice("source", self.source, SOURCES)
        cli.check_range("recordings_per_picture", self.recordings_per_picture, 0, 10)
        cli.check_range("measuring_recordings_per_picture", self.measuring_recordings_per_picture, 0, 10)
        cli.check_range("voices_per_caption", self.voices_per_caption, 1, 20)
        cli.check_range("short_side", self.short_side, 32, 2048)
        cli.check_range("drawn_pictures", self.drawn_pictures, 30, 1_000_000)
        cli.check_range("drawn_species", self.drawn_species, 5, 1000)
        cli.check_range("workers", self.workers, 1, 256)
        for engine in self.engines:
            cli.check_choice("engines", engine, tuple(voices.INSTALL))
        if self.source == "csv" and self.csv is None:
            raise InputError("--csv: missing; name the table of your own pictures and recordings")


PRESETS = {
    "cub": PrepareConfig(),
    "tiny": PrepareConfig(
        source="drawn", output=Path("data/tiny.h5"), recordings_per_picture=2, short_side=96, engines=("espeak",)
    ),
    "own": PrepareConfig(source="csv", csv=Path("own.csv"), output=Path("data/own.h5")),
}


@dataclass(frozen=True)
class Recording:
    """One recording to make or to read: the rows of the tables, and where its sound comes from."""

    picture: int
    caption: int
    voice: int
    seed: int
    text: str
    file: Path | None = None


def main(arguments: list[str]) -> None:
    """Build the corpus that the command line asks for."""
    presets = PRESETS
    if root := os.environ.get("CUB_ROOT"):
        presets = {name: replace(preset, cub_root=Path(root)) for name, preset in PRESETS.items()}
    description = "Build a corpus: one HDF5 file of pictures, captions and spoken captions."
    build(cli.parse(PrepareConfig, presets, arguments, description=description))


def build(config: PrepareConfig) -> Path:
    """Build a corpus; run again after an interruption, it goes on where it was.

    Raises:
        InputError: if the source is incomplete or the output cannot be written.
    """
    entries, sources = read_source(config)
    tables, recordings = plan(entries, config)
    make_folder(config.output.parent)
    described = {name: value for name, value in vars(config).items() if name not in ("workers", "output")}
    identity = json.dumps([described, sources, tables.voice_names], default=str, sort_keys=True)
    if config.output.is_file():
        old = corpus.Corpus(config.output)
        if old.config.get("identity") == hashlib.sha256(identity.encode()).hexdigest():
            print(f"{config.output}: is there already, built from the same sources with the same options")
            return config.output
        old.close()
    described["identity"] = hashlib.sha256(identity.encode()).hexdigest()
    print(
        f"{len(entries):,} pictures of {len(tables.species)} species, {len(tables.captions):,} captions, "
        f"{len(recordings):,} recordings in {len(tables.voice_names)} voices"
    )
    folder = config.output.with_name(f".{config.output.stem}.{described['identity'][:12]}.parts")
    if not config.on_the_fly:
        _estimate(entries, recordings, tables, config)
        _record(recordings, tables, folder, config.workers)
    progress = tqdm(entries, desc="pictures", unit="picture", file=sys.stderr, mininterval=1)
    mels = None if config.on_the_fly else _pieces(folder, len(recordings))
    corpus.write(
        config.output, tables, (entry.picture() for entry in progress), mels, sources=sources, config=described
    )
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{config.output}: {config.output.stat().st_size / 1e6:,.0f} MB")
    return config.output


def read_source(config: PrepareConfig) -> tuple[list[Entry], dict[str, str]]:
    """The entries of the configured source and the checksums of its files."""
    if config.source == "cub":
        return cub.read(
            config.cub_root,
            short_side=config.short_side,
            validation_species=config.validation_species,
            seed=config.seed,
        )
    if config.source == "csv":
        assert config.csv is not None  # checked in the configuration
        return own.read(config.csv, short_side=config.short_side, seed=config.seed)
    entries = synthetic.entries(
        count=config.drawn_pictures, species=config.drawn_species, size=config.short_side, seed=config.seed
    )
    return entries, {"drawn": f"{config.drawn_pictures} birds, seed {config.seed}"}


def plan(entries: list[Entry], config: PrepareConfig) -> tuple[Tables, list[Recording]]:
    """Decide who says what: the tables of the corpus, and its recordings in order.

    Training captions are spoken by voices of the heard kind only; validation and test captions once by a heard and
    once by an unheard voice. Entries that bring their own recordings keep those.
    """
    tables = Tables(species=sorted({entry.species for entry in entries}))
    species = {name: number for number, name in enumerate(tables.species)}
    spoken = any(not entry.recordings for entry in entries)
    cast = [voice for voice in voices.available() if voice.engine in config.engines] if spoken else []
    tables.voice_names = [voice.name for voice in cast]
    tables.voice_heard = [voice.heard for voice in cast]
    heard = [number for number, voice in enumerate(cast) if voice.heard]
    unheard = [number for number, voice in enumerate(cast) if not voice.heard]
    if any(entry.recordings for entry in entries):
        tables.voice_names.append("own")
        tables.voice_heard.append(True)
    recordings: list[Recording] = []
    rng = np.random.default_rng(config.seed)
    for entry in entries:
        picture, first = len(tables.picture_names), len(tables.captions)
        tables.picture_names.append(entry.name)
        tables.picture_species.append(species[entry.species])
        tables.picture_split.append(corpus.SPLITS.index(entry.split))
        tables.captions.extend(entry.captions)
        tables.caption_picture.extend([picture] * len(entry.captions))
        for file, number in entry.recordings:
            caption = first + number if number >= 0 else -1
            recordings.append(Recording(picture, caption, len(tables.voice_names) - 1, 0, str(file), file))
        if entry.recordings:
            continue
        training = entry.split == "train"
        wanted = config.recordings_per_picture if training else config.measuring_recordings_per_picture
        for number in rng.permutation(len(entry.captions))[:wanted]:
            if training:
                chosen = list(rng.permutation(heard)[: config.voices_per_caption])
            else:
                chosen = [int(rng.choice(pool)) for pool in (heard, unheard) if pool]
            for voice in chosen:
                seed = int(rng.integers(2**31))
                recordings.append(Recording(picture, first + int(number), int(voice), seed, entry.captions[number]))
    tables.recording_picture = [recording.picture for recording in recordings]
    tables.recording_caption = [recording.caption for recording in recordings]
    tables.recording_voice = [recording.voice for recording in recordings]
    tables.recording_seed = [recording.seed for recording in recordings]
    return tables, recordings


def log_mel_of(recording: Recording, voice_name: str) -> np.ndarray:
    """The recording's log-mel, [T, 40] float16."""
    if recording.file is not None:
        wave = audio.load(recording.file)
    else:
        wave = voices.synthesise(voices.by_name(voice_name), recording.text, recording.seed)
    return audio.log_mel(wave).numpy().astype(np.float16)


def _estimate(entries: list[Entry], recordings: list[Recording], tables: Tables, config: PrepareConfig) -> None:
    """Time a sample of the recordings and say what all of them will take; refuse when the disk is too small."""
    sample = recordings[:: max(1, len(recordings) // 24)][:24]
    start = time.perf_counter()
    frames = [len(log_mel_of(recording, tables.voice_names[recording.voice])) for recording in sample]
    seconds = (time.perf_counter() - start) / max(1, len(sample)) * len(recordings) / config.workers
    size = sum(frames) / max(1, len(frames)) * audio.N_MELS * 2 * len(recordings)
    pictures = entries[:: max(1, len(entries) // 16)]
    size += sum(len(entry.picture()) for entry in pictures) / len(pictures) * len(entries)
    free = shutil.disk_usage(config.output.parent).free
    print(f"estimated: {seconds / 60:.1f} minutes, {size / 1e9:.2f} GB, twice that while it is built")
    if 2.1 * size > free:
        raise InputError(
            f"{config.output}: needs {2.1 * size / 1e9:.1f} GB while it is built, {free / 1e9:.1f} GB are free; "
            "lower --recordings-per-picture, use --on-the-fly, or choose another disk"
        )


def _record(recordings: list[Recording], tables: Tables, folder: Path, workers: int) -> None:
    """Make all recordings that are not in `folder` yet, in pieces that are whole or not there."""
    make_folder(folder)
    tasks = [
        (folder / f"{first:08d}.npz", recordings[first : first + PIECE], tables.voice_names)
        for first in range(0, len(recordings), PIECE)
    ]
    open_tasks = [task for task in tasks if not task[0].is_file()]
    with tqdm(total=len(recordings), desc="recordings", unit="recording", file=sys.stderr, mininterval=1) as progress:
        progress.update(sum(len(task[1]) for task in tasks) - sum(len(task[1]) for task in open_tasks))
        if workers == 1 or len(open_tasks) <= 1:
            for task in open_tasks:
                progress.update(_record_piece(task))
            return
        with multiprocessing.get_context("spawn").Pool(min(workers, len(open_tasks))) as pool:
            for done in pool.imap_unordered(_record_piece, open_tasks):
                progress.update(done)


def _record_piece(task: tuple[Path, list[Recording], list[str]]) -> int:
    path, recordings, voice_names = task
    mels = [log_mel_of(recording, voice_names[recording.voice]) for recording in recordings]
    with replacing(path) as temporary:
        np.savez(temporary, mel=np.concatenate(mels), frames=[len(mel) for mel in mels])
    return len(recordings)


def _pieces(folder: Path, count: int) -> Iterator[np.ndarray]:
    for first in range(0, count, PIECE):
        with np.load(folder / f"{first:08d}.npz") as piece:
            yield from np.split(piece["mel"], np.cumsum(piece["frames"])[:-1])


if __name__ == "__main__":
    cli.run(main)
