"""Recordings as browsers and phones give them, and their files, which are removed once nobody uses them."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from datasets import audio
from datasets.errors import InputError
from datasets.files import replacing

MAX_BYTES = 25 * 2**20  # 30 s of stereo at 96 kHz and 32 bits take 23 MB
KEPT = 600  # seconds that files nobody shows are kept, downloads among them
SHOWN = 60  # characters of a file's name in a message
# What the first bytes say, and the one demuxer of FFmpeg that is then allowed.
PHONE_FORMATS = ((4, b"ftyp", "mov"), (0, b"\x1a\x45\xdf\xa3", "matroska"))


def read(path: str | Path) -> Tensor:
    """Read a recording as [N] float32 at 16 kHz: wav, flac, ogg, mp3, and a phone's m4a and webm.

    Raises:
        InputError: as `datasets.audio.load`, but with the file's name for its path, which is nobody's business.
    """
    path = Path(path)
    name = path.name if len(path.name) <= SHOWN else f"{path.name[: SHOWN // 2]}...{path.name[-SHOWN // 3 :]}"
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


class Uploads:
    """Which files sessions use; a file goes when its last session has another, or none.

    Args:
        folder: only files in it are ever removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._used: dict[str, Path] = {}
        self._kept: set[Path] = set()
        self._lock = threading.Lock()

    def use(self, session: str, path: str | Path) -> None:
        """Note that `session` now uses `path`, and no more what it used before."""
        path = Path(path).resolve()
        with self._lock:
            before = self._used.get(session)
            if path.is_relative_to(self._folder):
                self._used[session] = path
                if before not in (None, path):
                    self._remove(before)

    def keep(self) -> None:
        """Never remove what is there now: the examples, which gradio copies and would itself remove."""
        self._kept = set(self._folder.rglob("*"))

    def release(self, session: str) -> None:
        """Note that `session` is over."""
        with self._lock:
            self._remove(self._used.pop(session, None))

    def drop(self, path: str | Path) -> None:
        """Remove a file that is used up, unless a session still shows it."""
        path = Path(path).resolve()
        with self._lock:
            if path.is_relative_to(self._folder):
                self._remove(path)

    def sweep(self, older: float = KEPT) -> None:
        """Remove files, and folders left empty, that are older than so many seconds and shown by no session."""
        limit = time.time() - older
        with self._lock:
            used = set(self._used.values())
            for path in sorted(self._folder.rglob("*"), reverse=True):  # a folder after what lies in it
                try:
                    if path in used or path in self._kept or path.stat().st_mtime >= limit:
                        continue
                    if path.is_dir() and not path.is_symlink():
                        path.rmdir()
                    else:
                        path.unlink()
                except OSError:  # another has removed it, or it is not empty
                    continue

    def _remove(self, path: Any) -> None:
        if path is not None and path not in self._kept and path not in self._used.values():
            path.unlink(missing_ok=True)
