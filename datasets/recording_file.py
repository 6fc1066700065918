"""Recordings in files, whatever recorded them: wav, flac, ogg and mp3, and a phone's or browser's m4a, aac and webm.

One reader for commands, page and Python: libsndfile for what has no losses and Ogg, FFmpeg (PyAV) for the rest.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch

from datasets.containers import ACCEPTED, SUFFIXES, Recording, cut_off, damaged_header, inspect
from datasets.errors import InputError
from datasets.files import replacing, require_file
from datasets.samples import MAX_SECONDS, SAMPLE_RATE, check_form, check_seconds, to_wave

SUBTYPES = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}


def is_audio(path: str | Path) -> bool:
    """Whether the name of `path` ends as a recording's does (in either case)."""
    return Path(path).suffix.lower() in SUFFIXES


def find_recordings(paths: Iterable[str | Path]) -> list[Path]:
    """List the files among `paths`, in the order given, each folder replaced by its recordings at any depth, sorted.

    Raises:
        InputError: for a path that does not exist and for a folder with no recordings.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(require_file(path, "recording"))
            continue
        inside = sorted(p for p in path.rglob("*") if is_audio(p) and p.is_file() and not p.name.startswith("."))
        if not inside:
            raise InputError(f"{path}: no recordings in this folder; it needs files named {', '.join(SUFFIXES)}")
        found += inside
    return found


def load(path: str | Path) -> torch.Tensor:
    """Read a recording as `[N]` float32, mono, 16 kHz, in [-1, 1]: any format accepted, any rate, any channels.

    The contents decide what it is, and its name does not.

    Raises:
        InputError: if it is missing, a folder, empty, not a recording, cut off, silent, not finite, or does not last
            from `MIN_SECONDS` to `MAX_SECONDS`. Nothing long is read before its length is known.
    """
    path = require_file(path, "recording")
    try:
        with open(path, "rb") as file:
            return read(file, path.stat().st_size, str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); copy or record it again") from error


def read(file: BinaryIO, size: int, name: str) -> torch.Tensor:
    """Read an open file of `size` bytes as `load` does; `name` opens the messages."""
    recording = inspect(file, size, name)
    recording.view.seek(0)
    samples, rate = _sndfile(recording, name) if recording.demuxer is None else _ffmpeg(recording, name)
    return to_wave(samples, rate, name)


def save(path: str | Path, wave: torch.Tensor) -> None:
    """Write `wave` [N], 16 kHz, in [-1, 1], as .wav or .flac (16 bits) or .ogg (Vorbis), whole or not at all.

    Raises:
        InputError: for another suffix and if the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUBTYPES:
        raise InputError(f"{path}: recordings are written as {', '.join(SUBTYPES)}; choose one of these suffixes")
    container, subtype = SUBTYPES[path.suffix.lower()]
    encoded = io.BytesIO()  # so that a full disk is an OSError of ours and not one of libsndfile's many
    samples = wave.detach().cpu().clamp(-1.0, 1.0).numpy()
    soundfile.write(encoded, samples, SAMPLE_RATE, subtype=subtype, format=container)
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def _sndfile(recording: Recording, name: str) -> tuple[torch.Tensor, int]:
    """Samples [N, C] and their rate by libsndfile."""
    frames = None
    try:  # an open file rather than a name, so that the contents decide and the suffix does not
        with soundfile.SoundFile(recording.view) as sound:
            check_form(sound.samplerate, sound.channels, name)
            check_seconds(sound.frames / sound.samplerate, name)
            frames, rate = sound.frames, sound.samplerate
            samples = torch.from_numpy(sound.read(frames, dtype="float32", always_2d=True))
    except (soundfile.SoundFileError, TypeError) as error:
        if frames is None:
            raise damaged_header(name) from error
        raise InputError(f"{name}: is cut off or damaged inside; copy or record the file again") from error
    if len(samples) < frames:
        raise cut_off(name)
    return samples, rate


def _ffmpeg(recording: Recording, name: str) -> tuple[torch.Tensor, int]:
    """Samples [N, C] and their rate by FFmpeg, from the open file, so that nothing else is opened."""
    try:
        import av  # takes some time to import, and few recordings need it
    except ImportError as error:
        raise InputError(f"{name}: needs PyAV to be read; run: pip install av, or convert it to wav") from error
    pieces: list[np.ndarray] = []
    length, rate, planes = 0, 0, None
    damage = InputError(f"{name}: is cut off or damaged; record it again, or convert it to {ACCEPTED.split(',')[0]}")
    try:
        with av.open(recording.view, "r", format=recording.demuxer, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise InputError(f"{name}: holds no sound; record it again")
            for frame in container.decode(container.streams.audio[0]):
                if planes is None:  # what is decoded decides, since headers may tell half the rate
                    rate = frame.sample_rate
                    check_form(rate, frame.layout.nb_channels, name)
                    planes = av.AudioResampler(format="fltp", layout=frame.layout, rate=rate)
                decoded = [part.to_ndarray() for part in planes.resample(frame)]
                pieces += decoded
                length += sum(part.shape[1] for part in decoded)
                if length > (MAX_SECONDS + 1) * rate:
                    break
    except (av.FFmpegError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise damage from error
    if not pieces:
        raise damage
    check_seconds(length / rate, name)
    if length / rate < recording.seconds:
        raise damage
    return torch.from_numpy(np.concatenate(pieces, axis=1)).T, rate
