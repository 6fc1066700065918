"""The table of the captions or recordings of a folder's pictures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datasets import csv_source
from datasets.captions import tokenize
from datasets.errors import InputError
from datasets.file_names import find_file


@dataclass(frozen=True)
class PictureTable:
    """What a table says of N pictures, in their order.

    Attributes:
        captions: N, or None where the table has only recordings.
        recordings: N files, or None where it has captions.
        species: [N]; pictures of one class, or with the same caption or recording where there is no class column.
    """

    captions: list[str] | None
    recordings: list[Path] | None
    species: Tensor


def read_table(path: Path, folder: Path, pictures: Sequence[Path]) -> PictureTable:
    """Read the table of a folder's pictures, one row for each.

    The column image names a picture relative to the folder; caption is what it should show; recording, relative to the
    table, is what was said, and is only used where there are no captions; class is optional.

    Raises:
        InputError: naming the line, for a column or field that is missing, a picture that is not in the folder or is
            named twice, pictures without a row, or fewer than two classes, captions or recordings that differ.
    """
    rows = csv_source.rows(path, ("image",))
    if not rows:
        raise InputError(f"{path}: has no rows; add a line for each picture")
    columns = {name for _, row in rows for name in row}
    wanted = "caption" if "caption" in columns else "recording"
    if wanted not in columns:
        raise InputError(f"{path}: column 'caption' or 'recording' is missing; name one in the first line, and fill it")
    needed = ["image", wanted, *(["class"] if "class" in columns else [])]
    places = {os.path.abspath(picture): place for place, picture in enumerate(pictures)}
    described: dict[int, tuple[str, str]] = {}
    for line, row in rows:
        where = f"{path}: line {line}"
        for name in needed:
            if not row.get(name):
                raise InputError(f"{where}: {name} is empty; fill it in")
        image = find_file(folder, row["image"])
        place = None if image is None else places.get(os.path.abspath(image))
        if place is None:
            raise InputError(
                f"{where}: image {row['image']} is no picture in {folder}; mend the name or remove the row"
            )
        if place in described:
            raise InputError(f"{where}: image {row['image']} has a row already; give one row an image")
        value = row[wanted]
        if wanted == "caption" and not tokenize(value):
            raise InputError(f"{where}: caption {value[:40]!r} has no English words; describe the picture")
        if wanted == "recording":
            recording = find_file(path.parent, value)
            if recording is None:
                raise InputError(f"{where}: recording {value} not found; mend the path")
            value = str(recording)
        described[place] = value, row.get("class") or value
    if missing := [picture for place, picture in enumerate(pictures) if place not in described]:
        count = f"{len(missing)} of its {len(pictures)} pictures have no row in {path}"
        raise InputError(f"{folder}: {count}, the first is {missing[0].relative_to(folder)}; add rows or move them out")
    values = [described[place][0] for place in range(len(pictures))]
    classes, species = np.unique([described[place][1] for place in range(len(pictures))], return_inverse=True)
    if len(classes) < 2:
        kind = "class" if "class" in needed else wanted
        raise InputError(f"{path}: all rows have the same {kind}; R-precision chooses among different ones, give more")
    if wanted == "caption":
        return PictureTable(values, None, torch.from_numpy(species))
    return PictureTable(None, [Path(value) for value in values], torch.from_numpy(species))
