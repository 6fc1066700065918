"""Recordings as browsers and phones give them."""

from pathlib import Path

import soundfile
from torch import Tensor

from datasets import audio
from datasets.errors import InputError
from datasets.files import replacing

MAX_BYTES = 25 * 2**20  # 30 s of stereo at 96 kHz and 32 bits take 23 MB
MAX_NAME_LENGTH = 60  # characters of a file's name in a message


def read(path: str | Path) -> Tensor:
    """Read a recording as [N] float32 at 16 kHz, as commands do.

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
        return audio.load(path)
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from error


def write(path: Path, wave: Tensor) -> Path:
    """Write samples [N] at 16 kHz as they are, in 32-bit floats, which paint the same picture again."""
    with replacing(path) as temporary:
        soundfile.write(temporary, wave.numpy(), audio.SAMPLE_RATE, subtype="FLOAT")
    return path
