"""Who says what: planning the recordings of a corpus and making them, in pieces that survive an interruption."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets import audio, channels, corpus, voices
from datasets.arrays import read_arrays
from datasets.corpus import Tables
from datasets.errors import InputError
from datasets.files import make_folder, remove_leftovers, replacing
from datasets.picture_record import Entry, Spoken

PIECE = 500  # recordings written at a time; what an interruption can lose


@dataclass(frozen=True)
class Recording:
    """One recording to make or to read: the rows of the tables, and where its sound comes from."""

    picture: int
    caption: int
    voice: int
    seed: int
    text: str
    own: Spoken | None = None
    varied: bool = False


def plan(
    entries: list[Entry],
    *,
    engines: Sequence[str],
    training: int,
    measuring: int,
    voices_each: int,
    seed: int,
    varied: bool = False,
) -> tuple[Tables, list[Recording]]:
    """Decide who says what: the tables of the corpus, and its recordings in order.

    Training captions are spoken by voices that train, validation captions by voices for validation; test captions once
    by a voice that trains, once by another voice of an engine of those, and those of every second picture, since they
    take long, once by an engine of which no voice trains, as far as they are installed. Entries that bring their own
    recordings keep those.

    Args:
        engines: speech engines to use where they are installed.
        training, measuring: how many captions of a picture are spoken, in the training and in the other splits.
        voices_each: voices that speak each training caption.
        varied: whether training captions are spoken in rooms, over lines and so on (`channels.vary`).

    Raises:
        InputError: if speech is to be made and no engine is installed.
    """
    tables = Tables(species=sorted({entry.species for entry in entries}))
    species = {name: number for number, name in enumerate(tables.species)}
    spoken = any(not entry.recordings for entry in entries)
    cast = _cast(engines) if spoken else []
    tables.voice_names = [voice.name for voice in cast]
    tables.voice_heard = [voice.heard for voice in cast]
    tables.voice_engine_heard = [voice.engine in voices.HEARD_ENGINES for voice in cast]
    pools = _pools(cast)
    if any(entry.recordings for entry in entries):
        tables.voice_names.append("own")
        tables.voice_heard.append(True)
        tables.voice_engine_heard.append(True)
    recordings: list[Recording] = []
    rng = np.random.default_rng(seed)
    measured = -1  # number of the test picture
    for entry in entries:
        picture, first = len(tables.picture_names), len(tables.captions)
        tables.picture_names.append(entry.name)
        tables.picture_species.append(species[entry.species])
        tables.picture_split.append(corpus.SPLITS.index(entry.split))
        tables.captions.extend(entry.captions)
        tables.caption_picture.extend([picture] * len(entry.captions))
        for own_recording in entry.recordings:
            caption = first + own_recording.caption if own_recording.caption >= 0 else -1
            recordings.append(Recording(picture, caption, len(tables.voice_names) - 1, 0, "", own_recording))
        if entry.recordings:
            continue
        learns = entry.split == "train"
        measured += entry.split == "test"
        for number in rng.permutation(len(entry.captions))[: training if learns else measuring]:
            if learns:
                share = np.array([cast[voice].share for voice in pools["heard"]])
                several = min(voices_each, len(share))
                chosen = list(rng.choice(pools["heard"], several, replace=False, p=share / share.sum()))
            elif entry.split == "validation":
                chosen = [int(rng.choice(pools["validation"] or pools["voices"] or pools["heard"]))]
            else:
                kinds = ("heard", "voices") if measured % 2 else ("heard", "voices", "engines")
                chosen = [int(rng.choice(pools[kind])) for kind in kinds if pools[kind]]
            for voice in chosen:
                jitter = int(rng.integers(2**31))
                caption, text = first + int(number), entry.captions[number]
                recordings.append(Recording(picture, caption, int(voice), jitter, text, varied=varied and learns))
    tables.recording_picture = [recording.picture for recording in recordings]
    tables.recording_caption = [recording.caption for recording in recordings]
    tables.recording_voice = [recording.voice for recording in recordings]
    tables.recording_seed = [recording.seed for recording in recordings]
    return tables, recordings


def _pools(cast: Sequence[voices.Voice]) -> dict[str, list[int]]:
    """The numbers of the voices that train, that validate, and that measure, of engines heard in training or not."""
    pools: dict[str, list[int]] = {"heard": [], "validation": [], "voices": [], "engines": []}
    for number, voice in enumerate(cast):
        measures = "voices" if voice.engine in voices.HEARD_ENGINES else "engines"
        pools[{"training": "heard", "validation": "validation", "measuring": measures}[voice.use]].append(number)
    return pools


def _cast(engines: Sequence[str]) -> list[voices.Voice]:
    """The voices to speak with; what is missing is told on standard error."""
    cast = [voice for voice in voices.available() if voice.engine in engines]
    missing = [engine for engine in engines if engine not in {voice.engine for voice in cast}]
    remedy = "; ".join(voices.INSTALL[engine] for engine in missing)
    if not cast:
        raise InputError(f"--engines {' '.join(engines)}: none is installed; {remedy or 'name one'}")
    if missing:
        print(f"warning: not installed, so without their voices: {', '.join(missing)} ({remedy})", file=sys.stderr)
    if not any(voice.heard for voice in cast):
        raise InputError(f"--engines {' '.join(engines)}: none of their voices may train; add espeak")
    if all(voice.heard for voice in cast):
        print("warning: no voice is left for measuring only; add espeak to --engines", file=sys.stderr)
    return cast


def log_mel_of(recording: Recording, voice_name: str) -> np.ndarray:
    """The recording's log-mel, [T, 40] float16."""
    if recording.own is not None:
        try:
            wave = audio.load(recording.own.file)
        except InputError as error:
            raise InputError(f"{recording.own.origin}: {error}") from error
    else:
        wave = voices.synthesise(voices.by_name(voice_name), recording.text, recording.seed)
        if recording.varied:
            wave = channels.vary(wave, recording.seed)
    return audio.log_mel(wave).numpy().astype(np.float16)


def pieces(folder: Path, count: int) -> list[tuple[int, Path]]:
    """For each piece, the number of its first recording and its file."""
    return [(first, folder / f"{first:08d}.npz") for first in range(0, count, PIECE)]


def record(recordings: list[Recording], tables: Tables, folder: Path, workers: int) -> None:
    """Make all recordings that are not in `folder` yet, in pieces that are whole or not there.

    Pieces that are there are read first, and made again where they are damaged.

    Raises:
        InputError: if a recording cannot be made, or a process that makes them dies; whole pieces are kept.
    """
    make_folder(folder)
    remove_leftovers(folder)
    tasks = [
        (piece, recordings[first : first + PIECE], tables.voice_names)
        for first, piece in pieces(folder, len(recordings))
    ]
    open_tasks = [task for task in tasks if not _is_whole(task[0], len(task[1]))]
    done = len(recordings) - sum(len(task[1]) for task in open_tasks)
    options = {"desc": "recordings", "unit": "recording", "file": sys.stderr, "mininterval": 1}
    with tqdm(total=len(recordings), initial=done, **options) as progress:
        if workers == 1 or len(open_tasks) <= 1:
            for task in open_tasks:
                progress.update(_record_piece(task))
        else:
            _share_out(open_tasks, min(workers, len(open_tasks)), progress)


def _share_out(tasks: list[tuple[Path, list[Recording], list[str]]], workers: int, progress: tqdm) -> None:
    """Let processes make the pieces; none of them is left when this ends, however it does."""
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, _begin_worker) as pool:
        try:
            for made in as_completed([pool.submit(_record_piece, task) for task in tasks]):
                progress.update(made.result())
        except BaseException as error:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise InputError(
                    f"--workers {workers}: one that makes recordings was ended, perhaps for want of memory; the same "
                    "command goes on where it was, with fewer --workers in less memory"
                ) from error
            raise


def _begin_worker() -> None:
    """End at once when Ctrl-C is pressed, and when the process that gives the work ends, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _record_piece(task: tuple[Path, list[Recording], list[str]]) -> int:
    path, recordings, voice_names = task
    mels = [log_mel_of(recording, voice_names[recording.voice]) for recording in recordings]
    with replacing(path) as temporary:
        np.savez(temporary, mel=np.concatenate(mels), frames=[len(mel) for mel in mels])
    return len(recordings)


def _is_whole(path: Path, count: int) -> bool:
    if not path.is_file():
        return False
    try:
        _read_piece(path, count)
    except ValueError as error:
        print(f"{path}: is damaged ({error}) and is made again", file=sys.stderr)
        return False
    return True


def _read_piece(path: Path, count: int) -> list[np.ndarray]:
    """The `count` log-mels of a piece.

    Raises:
        ValueError: if it is not what was written.
    """
    piece = read_arrays(path)
    if piece.keys() != {"mel", "frames"}:
        raise ValueError("it does not hold recordings")
    mel, frames = piece["mel"], piece["frames"]
    if mel.dtype != np.float16 or mel.shape[1:] != (audio.N_MELS,) or frames.shape != (count,):
        raise ValueError("it does not hold the recordings of this place")
    if frames.min() < 1 or frames.sum() != len(mel):
        raise ValueError("its recordings do not fill it")
    return np.split(mel, np.cumsum(frames)[:-1])


def recorded(folder: Path, count: int) -> Iterator[np.ndarray]:
    """The log-mels of all pieces, in order.

    Raises:
        InputError: if a piece was damaged after it was made; it is removed, so that the same command makes it again.
    """
    for first, path in pieces(folder, count):
        try:
            found = _read_piece(path, min(PIECE, count - first))
        except (FileNotFoundError, ValueError) as error:
            path.unlink(missing_ok=True)
            raise InputError(f"{path}: was damaged ({error}) and is removed; give the same command again") from error
        yield from found
