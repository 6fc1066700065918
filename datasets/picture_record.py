"""One picture as its source tells of it, before it is in a corpus."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from datasets import picture_file
from datasets.errors import InputError


class Spoken(NamedTuple):
    """A recording that somebody made.

    Attributes:
        file: the sound.
        caption: which of its picture's captions is spoken, -1 for none.
        origin: the place that names it, for messages.
    """

    file: Path
    caption: int
    origin: str


@dataclass
class Entry:
    """A picture with its captions and, where somebody spoke them, their recordings.

    `picture` gives encoded bytes when called, so that a list of entries stays small.
    """

    name: str
    species: str
    split: str
    picture: Callable[[], bytes]
    captions: list[str] = field(default_factory=list)
    recordings: list[Spoken] = field(default_factory=list)


def read_picture(path: Path, short_side: int, box: tuple[float, float, float, float] | None = None) -> bytes:
    """Read a picture file as JPEG bytes, cropped to `box` (left, top, right, bottom) and reduced to `short_side` px.

    A JPEG that needs neither is kept byte for byte.

    Raises:
        InputError: if the file is missing, broken, too large, or smaller than 16 px.
    """
    data = picture_file.read(path)
    with picture_file.open_picture(data, str(path)) as original:
        plain = original.format == "JPEG" and original.mode == "RGB"
        turned = picture_file.orientation(original) != 1
    # A box counts in the pixels as they are stored; without one the picture is turned as the camera was held.
    picture = picture_file.decode(data, str(path), upright=box is None)
    plain = plain and not (turned and box is None)
    if box is not None:
        left, top = max(0, int(box[0])), max(0, int(box[1]))
        right, bottom = min(picture.width, int(box[2])), min(picture.height, int(box[3]))
        if (left, top, right, bottom) != (0, 0, picture.width, picture.height):
            if right - left < 2 or bottom - top < 2:
                raise InputError(f"{path}: its bounding box lies outside of the picture; mend bounding_boxes.txt")
            picture, plain = picture.crop((left, top, right, bottom)), False
    if min(picture.size) < 16:
        raise InputError(f"{path}: {picture.width}x{picture.height} px is too small; give at least 16 px")
    scale = short_side / min(picture.size)
    if scale < 1:
        size = (max(16, round(picture.width * scale)), max(16, round(picture.height * scale)))
        picture, plain = picture.resize(size, Image.Resampling.LANCZOS), False
    return data if plain else picture_file.encode(picture)


def split_species(species: list[str], fractions: tuple[float, float], seed: int) -> dict[str, str]:
    """Put whole species into validation and test by the given fractions, the others into training.

    Each of the two gets at least one species where there are three or more.
    """
    names = sorted(set(species))
    order = np.random.default_rng(seed).permutation(len(names))
    enough = len(names) >= 3
    counts = [max(int(enough), round(len(names) * fraction)) for fraction in fractions]
    splits = ["validation"] * counts[0] + ["test"] * counts[1]
    return {names[k]: (splits[place] if place < len(splits) else "train") for place, k in enumerate(order)}
