"""The command that builds a corpus: from CUB, from somebody's own CSV, or from drawn birds."""

import hashlib
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder, remove_leftovers
from datasets.lock import Lock

if TYPE_CHECKING:  # all of these import torch, which --help need not wait for
    from datasets.corpus import Tables
    from datasets.picture_record import Entry
    from datasets.synthesis import Recording

SOURCES = ("cub", "csv", "drawn")
ENGINES = ("espeak", "flite", "festival", "pico", "hibari", "hts", "piper")


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
    recordings_per_picture: int = 7
    """Captions of each training picture that are spoken, 0 to 10; 10 is all of them."""
    measuring_recordings_per_picture: int = 1
    """Captions of each validation and test picture that are spoken: the former by a voice for validation alone, the
    latter by a heard voice, by an unheard one, and by an engine of which no voice is heard."""
    voices_per_caption: int = 1
    """Different voices that speak each training caption."""
    engines: tuple[str, ...] = ENGINES
    """Speech engines to use where they are installed; espeak always is."""
    varied: bool = True
    """Training recordings are made in rooms, over telephone lines, with codecs and so on as well."""
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
        cli.check_range("validation_species", self.validation_species, 1, 149)
        cli.check_range("drawn_pictures", self.drawn_pictures, 30, 1_000_000)
        cli.check_range("drawn_species", self.drawn_species, 5, 1000)
        cli.check_range("workers", self.workers, 1, 256)
        cli.check_range("seed", self.seed, 0, 2**31 - 1)
        for engine in self.engines:
            cli.check_choice("engines", engine, ENGINES)
        if self.source == "csv" and self.csv is None:
            raise InputError("--csv: missing; name the table of your own pictures and recordings")
        if self.source != "csv" and self.csv is not None:
            raise InputError(f"--csv {self.csv}: only used with --source csv; leave out one of the two")
        if self.source == "csv" and self.on_the_fly:
            raise InputError("--on-the-fly: own recordings are read, not synthesised; leave the option out")


PRESETS = {
    "cub": PrepareConfig(),
    "tiny": PrepareConfig(
        source="drawn", output=Path("data/tiny.h5"), recordings_per_picture=2, short_side=96, engines=("espeak",)
    ),
    "small": PrepareConfig(  # pictures and captions alone, for training from text at up to 128 px, easily carried along
        output=Path("data/cub-small.h5"),
        recordings_per_picture=0,
        measuring_recordings_per_picture=0,
        short_side=152,
    ),
    "own": PrepareConfig(source="csv", csv=Path("own.csv"), output=Path("data/own.h5")),
}


def main(arguments: list[str]) -> None:
    """Build the corpus that the command line asks for."""
    presets = PRESETS
    if root := os.environ.get("CUB_ROOT"):
        presets = {name: replace(preset, cub_root=Path(root).absolute()) for name, preset in PRESETS.items()}
    description = "Build a corpus: one HDF5 file of pictures, captions and spoken captions."
    build(cli.parse(PrepareConfig, presets, arguments, description=description))


def build(config: PrepareConfig) -> Path:
    """Build a corpus; run again after an interruption, it goes on where it was.

    Raises:
        InputError: if the source is incomplete or the output cannot be written.
    """
    from datasets import synthesis

    entries, sources = read_source(config)
    tables, recordings = synthesis.plan(
        entries,
        engines=config.engines,
        training=config.recordings_per_picture,
        measuring=config.measuring_recordings_per_picture,
        voices_each=config.voices_per_caption,
        seed=config.seed,
        varied=config.varied,
    )
    if not config.output.name or os.path.isdir(config.output):
        raise InputError(
            f"--output {config.output}: is a folder; name a file in it, such as {config.output / 'cub.h5'}"
        )
    make_folder(config.output.parent)
    # Where the sources lie does not matter: their checksums tell what they are.
    places = ("workers", "output", "cub_root", "csv")
    described = {name: value for name, value in vars(config).items() if name not in places}
    identity = json.dumps([described, sources, tables.voice_names], default=str, sort_keys=True)
    described["identity"] = hashlib.sha256(identity.encode()).hexdigest()
    lock = config.output.with_name(f".{config.output.name}.lock")
    with Lock(lock, f"{config.output}: is being built by another process; wait until it ends"):
        remove_leftovers(config.output.parent, config.output)
        if _is_built(config.output, described["identity"]):
            print(f"{config.output}: is there already, built from the same sources with the same options")
        else:
            _build(entries, tables, recordings, config, sources, described)
    return config.output


def _is_built(output: Path, identity: str) -> bool:
    if not output.exists():
        return False
    from datasets import corpus

    try:
        old = corpus.Corpus(output)
    except InputError as error:
        raise InputError(f"{output}: is in the way: {str(error).removeprefix(f'{output}: ')}") from error
    old.close()
    return old.config.get("identity") == identity


def _build(
    entries: "list[Entry]",
    tables: "Tables",
    recordings: "list[Recording]",
    config: PrepareConfig,
    sources: dict[str, str],
    described: dict[str, Any],
) -> None:
    from tqdm import tqdm

    from datasets import corpus, synthesis

    print(
        f"{len(entries):,} pictures of {len(tables.species)} species, {len(tables.captions):,} captions, "
        f"{len(recordings):,} recordings in {len(tables.voice_names)} voices"
    )
    folder = config.output.with_name(f".{config.output.stem}.{described['identity'][:12]}.parts")
    for other in set(config.output.parent.glob(f".{config.output.stem}.*.parts")) - {folder}:
        print(f"{other}: is left from a build with other options; remove it to free its space")
    if config.source != "drawn":  # a broken picture should show before the hours of speech, not after
        for entry in tqdm(entries, desc="checking pictures", unit="picture", file=sys.stderr, mininterval=1):
            entry.picture()
    _estimate(entries, [] if config.on_the_fly else recordings, tables, folder, config)
    if not config.on_the_fly:
        synthesis.record(recordings, tables, folder, config.workers)
    progress = tqdm(entries, desc="pictures", unit="picture", file=sys.stderr, mininterval=1)
    mels = None if config.on_the_fly else synthesis.recorded(folder, len(recordings))
    corpus.write(
        config.output, tables, (entry.picture() for entry in progress), mels, sources=sources, config=described
    )
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{config.output}: {config.output.stat().st_size / 1e6:,.0f} MB")


def read_source(config: PrepareConfig) -> "tuple[list[Entry], dict[str, str]]":
    """The entries of the configured source and the checksums of its files."""
    from datasets import csv_source, cub, synthetic

    if config.source == "cub":
        return cub.read(
            config.cub_root,
            short_side=config.short_side,
            validation_species=config.validation_species,
            seed=config.seed,
        )
    if config.source == "csv":
        assert config.csv is not None  # checked in the configuration
        return csv_source.read(config.csv, short_side=config.short_side, seed=config.seed)
    entries = synthetic.entries(
        count=config.drawn_pictures, species=config.drawn_species, size=config.short_side, seed=config.seed
    )
    return entries, {"drawn": f"{config.drawn_pictures} birds, seed {config.seed}"}


def _estimate(
    entries: "list[Entry]", recordings: "list[Recording]", tables: "Tables", folder: Path, config: PrepareConfig
) -> None:
    """Time a sample of the recordings and say what all of them will take; refuse when the disk is too small."""
    from datasets import audio, synthesis

    sample = recordings[:: max(1, len(recordings) // 24)][:24]
    start = time.perf_counter()
    frames = [len(synthesis.log_mel_of(recording, tables.voice_names[recording.voice])) for recording in sample]
    each = (time.perf_counter() - start) / max(1, len(sample))
    made = [piece for first, piece in synthesis.pieces(folder, len(recordings)) if piece.is_file()]
    minutes = each * max(0, len(recordings) - synthesis.PIECE * len(made)) / config.workers / 60
    sound = sum(frames) / max(1, len(frames)) * audio.N_MELS * 2 * len(recordings)
    pictures = entries[:: max(1, len(entries) // 16)]
    size = sound + sum(len(entry.picture()) for entry in pictures) / len(pictures) * len(entries)
    needed = 1.05 * (size + sound)  # the recordings are there twice until the file is whole
    print(f"estimated: {minutes:.1f} minutes for speech, {size / 1e9:.2f} GB, {needed / 1e9:.2f} GB while it is built")
    free = shutil.disk_usage(config.output.parent).free + sum(piece.stat().st_size for piece in made)
    if needed > free:
        raise InputError(
            f"{config.output}: needs {needed / 1e9:.2f} GB while it is built, {free / 1e9:.2f} GB are free; "
            "lower --recordings-per-picture, use --on-the-fly, or choose another disk"
        )


if __name__ == "__main__":
    cli.run(main)
