"""Files by the names that tables give them, which rarely are the very bytes of the files' own."""

import os
import unicodedata
from pathlib import Path

from datasets.errors import InputError


def fold(name: str) -> str:
    """`name` without what people cannot see: kinds and runs of spaces, and whether an accent is part of its letter.

    macOS puts U+202F into the names of its screenshots, Japanese keyboards give U+3000, and spreadsheets and editors
    turn these into plain spaces or back, make two of one, and compose accents that file systems had taken apart.
    """
    return unicodedata.normalize("NFC", " ".join(name.split()))


def find_file(folder: Path, name: str) -> Path | None:
    """The file that is called `name`, relative to `folder`: by these characters, or else by `fold`; or None.

    Raises:
        InputError: if there are several that differ in nothing that can be seen.
    """
    for spelled in (name, name.strip()):
        if spelled and os.path.isfile(folder / spelled):
            return folder / spelled
    found = [Path(folder)]
    parts = Path(name.strip()).parts
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        found = [inside for place in found for inside in _called(place, part) if last or inside.is_dir()]
    found = [path for path in found if os.path.isfile(path)]
    if len(found) > 1:
        names = " and ".join(repr(path.name) for path in found[:2])
        raise InputError(f"{folder / name}: may be {names}, which differ in spaces or accents only; rename one of them")
    return found[0] if found else None


def _called(folder: Path, part: str) -> list[Path]:
    """What is called `part`, or looks like it, in a folder."""
    if os.path.lexists(folder / part):
        return [folder / part]
    try:
        return sorted(folder / entry for entry in os.listdir(folder) if fold(entry) == fold(part))
    except OSError:
        return []
