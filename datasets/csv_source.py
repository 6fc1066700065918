"""Somebody's own pictures and recordings: a CSV with image, recording and, each optional, caption, class and split."""

import csv
import functools
import hashlib
import io
from pathlib import Path

from datasets.captions import tokenize
from datasets.corpus import SPLITS
from datasets.errors import InputError
from datasets.file_names import find_file
from datasets.files import require_file, sha256
from datasets.picture_record import Entry, Spoken, read_picture, split_species

REQUIRED = ("image", "recording")
FILES = ("image", "recording", "output")


def read(path: Path, *, short_side: int, seed: int) -> tuple[list[Entry], dict[str, str]]:
    """Read the CSV as entries, one a picture however many rows it has, and the checksums of CSV and files.

    Relative files are looked for beside the CSV. Without a class column each picture is a class of its own; without
    a split column a tenth of the classes is for validation and a tenth for testing.

    Raises:
        InputError: for a missing column or file, a duplicated row, an unknown split, a byte that is not UTF-8.
    """
    entries: dict[Path, Entry] = {}
    for line, row in rows(path):
        _add_row(f"{path}: line {line}", path.parent, row, entries, short_side)
    if not entries:
        raise InputError(f"{path}: has no rows; add a line for each recording")
    if not any(entry.split for entry in entries.values()):
        splits = split_species([entry.species for entry in entries.values()], (0.1, 0.1), seed)
        for entry in entries.values():
            entry.split = splits[entry.species]
    together = hashlib.sha256()
    for image, entry in entries.items():
        entry.split = entry.split or "train"
        for file in (image, *(recording.file for recording in entry.recordings)):
            together.update(sha256(file).encode())
    return list(entries.values()), {path.name: sha256(path), "pictures and recordings": together.hexdigest()}


def rows(path: Path, required: tuple[str, ...] = REQUIRED) -> list[tuple[int, dict[str, str]]]:
    """The rows of a table below the first, each with the number of its line, as text by column.

    Raises:
        InputError: for a missing file, a byte that is not UTF-8, a `required` column that is missing, a column that is
            named twice, or a row of more fields than columns.
    """
    data = require_file(path, "table of pictures and recordings").read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line} has a byte that is not UTF-8; save the table as UTF-8") from error
    if "\0" in text:
        raise InputError(f"{path}: holds zero bytes, so it is no text; save the table as UTF-8")
    first = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma is for decimals, and tabs when told to write text.
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    found: list[tuple[int, dict[str, str]]] = []
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        for name in required:
            if name not in columns:
                wanted = (
                    f"the first line must name {' and '.join(required)}, with commas (or semicolons, or tabs) between"
                )
                raise InputError(f"{path}: column {name!r} is missing; {wanted}")
        if twice := [name for name in columns if name and columns.count(name) > 1]:
            raise InputError(f"{path}: column {twice[0]!r} is named twice; remove one of the two")
        for values in reader:
            if len(values) > len(columns):
                count = f"has {len(values)} fields, the first line {len(columns)}"
                raise InputError(f"{path}: line {reader.line_num} {count}; put captions with commas in quotes")
            row = {name: _plain(name, value) for name, value in zip(columns, values, strict=False)}
            if any(row.values()):
                found.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: {error}; mend or quote the line") from error
    return found


def _plain(column: str, value: str) -> str:
    """A field without needless spaces; those within the name of a file are part of it."""
    return value.strip() if column in FILES else " ".join(value.split())


def _add_row(where: str, folder: Path, row: dict[str, str], entries: dict[Path, Entry], short_side: int) -> None:
    files = []
    for name in REQUIRED:
        if not row.get(name):
            raise InputError(f"{where}: {name} is empty; fill it in")
        found = find_file(folder, row[name])
        if found is None:
            raise InputError(f"{where}: {name} {row[name]} not found; mend the path")
        files.append(found.resolve())
    image, recording = files
    split = row.get("split", "").lower()
    if split and split not in SPLITS:
        raise InputError(f"{where}: split {split!r} is unknown; use one of {', '.join(SPLITS)}")
    name = entries[image].name if image in entries else row["image"]
    species = row.get("class") or name
    picture = functools.partial(read_picture, image, short_side)
    entry = entries.setdefault(image, Entry(name=name, species=species, split=split, picture=picture))
    if recording in [spoken.file for spoken in entry.recordings]:
        raise InputError(f"{where} repeats {row['image']} with {row['recording']}; remove one of the two")
    if (entry.species, entry.split) != (species, split):
        raise InputError(f"{where}: {row['image']} has another class or split in an earlier row; make them agree")
    caption = row.get("caption")
    if caption and not tokenize(caption):
        raise InputError(
            f"{where}: caption {caption[:40]!r} has no English words; describe the picture or leave it empty"
        )
    if caption and caption not in entry.captions:
        entry.captions.append(caption)
    entry.recordings.append(Spoken(recording, entry.captions.index(caption) if caption else -1, where))
