"""Picture files, whoever made them: every file is opened here, so that none is ever taken for a program to run."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from datasets.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""What Pillow may take a file for. Left to itself it looks at the contents alone, and hands PostScript to Ghostscript,
which runs it: a picture must never start a program."""
KNOWN = "jpg, png, webp, bmp or gif"
MAX_PIXELS = 89_478_485  # a quarter of a gigabyte of three colours, Pillow's own limit
MAX_BYTES = 2**29  # so many pixels of four bytes, and room to spare
UPRIGHT = {  # what undoes each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read(path: str | Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        InputError: if it is missing, cannot be read, or is larger than `MAX_BYTES`.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: picture not found; restore it or remove its row")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(_unreadable(str(path), error)) from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: is larger than {MAX_BYTES // 2**20} MB; save the picture as jpg or png")
    return data


def open_picture(data: bytes, name: str) -> Image.Image:
    """Read the header of an encoded picture, one of `FORMATS`; the first of several. `name` opens the messages.

    Raises:
        InputError: if it is no picture, damaged, or has more than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():  # of damage beside the picture, which would be lines of their own
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        raise InputError(
            f"{name}: is not a picture in a known format ({KNOWN}), or is damaged; replace or remove it"
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: {_too_many()}") from error
    except Exception as error:  # Pillow's readers raise nearly anything when a file is damaged
        raise InputError(_unreadable(name, error)) from error
    if picture.width * picture.height > MAX_PIXELS:
        raise InputError(f"{name}: {picture.width}x{picture.height} px: {_too_many()}")
    return picture


def decode(data: bytes, name: str, *, upright: bool = False) -> Image.Image:
    """Decode an encoded picture to RGB: the first of several, on white where it is transparent.

    Args:
        upright: turn it as its EXIF orientation says; otherwise its pixels are as they are stored.

    Raises:
        InputError: as `open_picture`.
    """
    picture = open_picture(data, name)
    turn = UPRIGHT.get(orientation(picture)) if upright else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoded = _to_rgb(picture)
    except Exception as error:  # as above
        raise InputError(_unreadable(name, error)) from error
    return decoded if turn is None else decoded.transpose(turn)


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation of an opened picture, from 1 to 8; 1, upright as stored, where its EXIF cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # malformed EXIF, of which there are many kinds, harms no picture
        return 1
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else 1


def encode(picture: Image.Image, quality: int = 95) -> bytes:
    """JPEG bytes of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # 16 bits, which Pillow would clip to 8 instead of scaling
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture)
    return white


def _too_many() -> str:
    return f"has more than {MAX_PIXELS // 10**6} million pixels; reduce it"


def _unreadable(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:150] or type(error).__name__
    return f"{name}: not a readable picture ({reason}); replace or remove it"
