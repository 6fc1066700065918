"""The recordings that a command line names: found, told apart, read, and handed on one by one."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import cli
from datasets.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_NAME = 150  # bytes of the names that pictures get, of the 255 that file systems allow

Handler = Callable[["Tensor", str], Iterable[object]]


def print_each(recordings: Iterable[Path], prepare: Callable[[], Handler]) -> int:
    """Print what each recording gives, a line for each part of it; 2 if any could not be read, else 0.

    Args:
        recordings: files, and folders of them.
        prepare: called once there is something to do; returns what takes the samples [N] at 16 kHz of a recording and
            its name to what is printed.
    """
    from datasets import audio  # torch takes a second to import, which --help need not wait for

    bad = 0
    found: list[Path] = []
    for path in recordings:
        try:
            found += audio.find_recordings([path])
        except InputError as error:
            cli.complain(error)
            bad = 2
    if not found:
        return bad
    handle = prepare()
    for path, name in name_apart(found).items():
        try:
            wave = audio.load(path)
        except InputError as error:
            cli.complain(error)
            bad = 2
            continue
        for line in handle(wave, name):
            print(line, flush=True)
    return bad


def name_apart(paths: Iterable[Path]) -> dict[Path, str]:
    """Name each of `paths` after its stem; those that would be called alike, after suffix, folder or number as well.

    A file that is named twice is kept once. Case makes no difference, since for some file systems it makes none.
    """
    files = list({path.resolve(): path for path in paths}.values())
    names = {path: _shorten(path.stem) for path in files}
    for rename in (
        lambda path: f"{path.stem}-{path.suffix[1:]}",
        lambda path: f"{path.resolve().parent.name}-{path.stem}",
        lambda path: f"{path.resolve().parent.name}-{path.stem}-{path.suffix[1:]}",
    ):
        shared = _shared(names)
        better = names | {path: _shorten(rename(path)) for path in shared}
        # A longer name is worth it only where it tells all of its namesakes apart.
        still = {names[path].casefold() for path in _shared(better)}
        names |= {path: better[path] for path in shared if names[path].casefold() not in still}
    taken: set[str] = set()
    for path, name in names.items():
        number = 1
        while names[path].casefold() in taken:
            number += 1
            names[path] = f"{name}-{number}"
        taken.add(names[path].casefold())
    return names


def _shared(names: dict[Path, str]) -> list[Path]:
    """Those paths whose name is another's too."""
    counts = Counter(name.casefold() for name in names.values())
    return [path for path, name in names.items() if counts[name.casefold()] > 1]


def _shorten(name: str) -> str:
    return name.encode(errors="surrogateescape")[:LONGEST_NAME].decode(errors="ignore")
