"""Recordings as browsers and phones give them."""

import itertools
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from datasets import audio
from datasets.errors import InputError
from datasets.files import replacing

MAX_BYTES = 25 * 2**20  # 30 s of stereo at 96 kHz and 32 bits take 23 MB
MAX_NAME_LENGTH = 60  # characters of a file's name in a message
# What the first bytes say, and the one demuxer of FFmpeg that is then allowed.
PHONE_FORMATS = ((4, b"ftyp", "mov"), (0, b"\x1a\x45\xdf\xa3", "matroska"))


def read(path: str | Path) -> Tensor:
    """Read a recording as [N] float32 at 16 kHz: wav, flac, ogg, mp3, and a phone's m4a and webm.

    Raises:
        InputError: as `datasets.audio.load`, but with the file's name for its path, which is nobody's business.
    """
    path = Path(path)
    name = path.name
    if len(name) > MAX_NAME_LENGTH:
        name = f"{name[: MAX_NAME_LENGTH // 2]}...{name[-MAX_NAME_LENGTH // 3 :]}"
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: is larger than {MAX_BYTES // 2**20} MB; one description needs far less")
        kind = _phone_format(path)
        return audio.load(path) if kind is None else _decode(path, kind)
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from error


def _phone_format(path: Path) -> str | None:
    if not path.is_file():
        return None  # which `audio.load` puts into words
    with open(path, "rb") as file:
        head = file.read(16)
    return next((kind for at, magic, kind in PHONE_FORMATS if head[at : at + len(magic)] == magic), None)


def _decode(path: Path, kind: str) -> Tensor:
    """Decode with FFmpeg (PyAV), from the open file, so that nothing else is opened, and never far past the limit."""
    import av  # takes some time to import, and few recordings need it

    pieces: list[np.ndarray] = []
    try:
        with open(path, "rb") as file, av.open(file, "r", format=kind, metadata_errors="ignore") as container:
            streams = container.streams.audio
            if not streams:
                raise InputError(f"{path}: holds no sound; record it again")
            rate = int(streams[0].rate or 0)
            if not audio.RATES[0] <= rate <= audio.RATES[1]:
                raise InputError(f"{path}: claims {rate} Hz; give a rate such as 16000 Hz")
            mono = av.AudioResampler(format="fltp", layout="mono", rate=rate)
            length = 0
            for frame in itertools.chain(container.decode(streams[0]), [None]):  # the last empties the resampler
                for part in mono.resample(frame):
                    pieces.append(part.to_ndarray()[0])
                    length += len(pieces[-1])
                if length > (audio.MAX_SECONDS + 1) * rate:
                    break
    except (av.FFmpegError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is cut off or damaged; record it again, or convert it to wav") from error
    wave = torch.from_numpy(np.concatenate(pieces)) if pieces else torch.zeros(0)
    if len(wave) and torch.isfinite(wave).all():
        wave = audio.resample(wave, rate)
    audio.check(wave, str(path))
    return wave


def write(path: Path, wave: Tensor) -> Path:
    """Write samples [N] at 16 kHz as they are, in 32-bit floats, which paint the same picture again."""
    with replacing(path) as temporary:
        soundfile.write(temporary, wave.numpy(), audio.SAMPLE_RATE, subtype="FLOAT")
    return path
