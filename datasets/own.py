"""Somebody's own pictures and recordings: a CSV with image, recording and, each optional, caption, class and split."""

import csv
import functools
from pathlib import Path

from datasets.corpus import SPLITS
from datasets.entry import Entry, read_picture, split_species
from datasets.errors import InputError
from datasets.files import require_file, sha256

REQUIRED = ("image", "recording")
OPTIONAL = ("caption", "class", "split")


def read(path: Path, *, short_side: int, seed: int) -> tuple[list[Entry], dict[str, str]]:
    """Read the CSV as entries, one a picture however many rows it has, and the CSV's checksum.

    Relative files are looked for beside the CSV. Without a class column each picture is a class of its own; without
    a split column a tenth of the classes is for validation and a tenth for testing.

    Raises:
        InputError: for a missing column or file, a duplicated row, an unknown split, a byte that is not UTF-8.
    """
    require_file(path, "table of pictures and recordings")
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line} has a byte that is not UTF-8; save the table as UTF-8") from error
    rows = csv.DictReader(lines, strict=True)
    columns = [name.strip() for name in rows.fieldnames or []]
    for name in REQUIRED:
        if name not in columns:
            raise InputError(f"{path}: column {name!r} is missing; the first line must name {', '.join(REQUIRED)}")
    rows.fieldnames = columns
    entries: dict[Path, Entry] = {}
    seen: set[tuple[Path, Path]] = set()
    try:
        for row in rows:
            _add_row(path, rows.line_num, {k: (v or "").strip() for k, v in row.items() if k}, entries, seen, short_side)
    except csv.Error as error:
        raise InputError(f"{path}: line {rows.line_num}: {error}; mend or quote the line") from error
    if not entries:
        raise InputError(f"{path}: has no rows; add a line for each recording")
    if not any(entry.split for entry in entries.values()):
        splits = split_species([entry.species for entry in entries.values()], (0.1, 0.1), seed)
        for entry in entries.values():
            entry.split = splits[entry.species]
    for entry in entries.values():
        entry.split = entry.split or "train"
    return list(entries.values()), {path.name: sha256(path)}


def _add_row(
    path: Path,
    line: int,
    row: dict[str, str],
    entries: dict[Path, Entry],
    seen: set[tuple[Path, Path]],
    short_side: int,
) -> None:
    files = []
    for name in REQUIRED:
        if not row.get(name):
            raise InputError(f"{path}: line {line}: {name} is empty; fill it in")
        files.append((path.parent / row[name]).resolve())
        if not files[-1].is_file():
            raise InputError(f"{path}: line {line}: {name} {row[name]} not found; mend the path")
    image, recording = files
    if (image, recording) in seen:
        raise InputError(f"{path}: line {line} repeats {row['image']} with {row['recording']}; remove one of the two")
    seen.add((image, recording))
    split = row.get("split", "").lower()
    if split and split not in SPLITS:
        raise InputError(f"{path}: line {line}: split {split!r} is unknown; use one of {', '.join(SPLITS)}")
    species = row.get("class") or row["image"]
    entry = entries.setdefault(
        image,
        Entry(
            name=row["image"], species=species, split=split, picture=functools.partial(read_picture, image, short_side)
        ),
    )
    if (entry.species, entry.split) != (species, split):
        raise InputError(f"{path}: line {line}: {row['image']} has another class or split in an earlier row; make them agree")
    caption = row.get("caption")
    if caption and caption not in entry.captions:
        entry.captions.append(caption)
    entry.recordings.append((recording, entry.captions.index(caption) if caption else -1))
