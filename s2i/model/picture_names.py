"""What painted pictures are called, so that none is written over another."""

import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from datasets import picture_file
from datasets.errors import InputError

Files = Sequence[tuple[Path, np.ndarray]]  # each with its picture [S, S, 3] uint8


def of_words(words: Iterable[str]) -> str:
    """What pictures of typed `words` are called: the words, cut at 60 characters."""
    return "-".join(words)[:60].rstrip("-")


def of_picture(path: Path, sides: Iterable[int]) -> str:
    """What the pictures are called of which `path`, called NAME-SIDE.png, is one: NAME."""
    name, _, side = path.stem.rpartition("-")
    return name if name and re.fullmatch(r"\d{1,9}", side) and int(side) in sides else path.stem


def unused(files: Callable[[str], Files], name: str, seed: int) -> str:
    """A name under which no other pictures lie: `name`, or else with the seed, or else with a number.

    Args:
        files: what would be written under a name.
    """
    names = itertools.chain([name, f"{name}-seed{seed}"], (f"{name}-seed{seed}-{n}" for n in itertools.count(2)))
    free = next(each for each in names if all(_is_or_may_be(*file) for file in files(each)))
    if free != name:
        folder = files(name)[0][0].parent
        told = f"other pictures have this name; the new ones are called {Path(free).name}"
        print(f"note: {folder / Path(name).name}: {told}", file=sys.stderr)
    return free


def _is_or_may_be(path: Path, pixels: np.ndarray) -> bool:
    """Whether a file is not there, or shows just these `pixels` [S, S, 3]."""
    if not os.path.lexists(path):
        return True
    try:
        return np.array_equal(np.asarray(picture_file.decode(picture_file.read(path), str(path))), pixels)
    except InputError:  # it is something else
        return False
