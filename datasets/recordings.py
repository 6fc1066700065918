"""The recordings that a command line names: found, told apart by name, and read one by one."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import cli
from datasets.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_NAME = 150  # bytes of the names that pictures get, of the 255 that file systems allow


@dataclass(frozen=True)
class Recording:
    """One recording of a command line.

    Attributes:
        name: what its results are called; no two of a command line share it.
        wave: [N] float32 at 16 kHz.
        path: of its file.
    """

    name: str
    wave: "Tensor"
    path: Path


def read_each(
    paths: Iterable[Path], failures: list[InputError], check: "Callable[[Tensor, str], None] | None" = None
) -> Iterator[Recording]:
    """Read the recordings that a command line names, one after the other.

    What cannot be read is told on stderr at once, in a line of its own, and added to `failures`; the others follow.

    Args:
        paths: files, and folders of them.
        failures: a list to add to; the command ends with code 2 if it holds any.
        check: called with each recording [N] and its path; raises InputError of what is not wanted.

    Raises:
        InputError: if none are named.
    """
    paths = list(paths)
    if not paths:
        raise InputError("recordings: none given; name at least one recording, or a folder of them")
    from datasets import audio  # torch takes a second to import, which --help need not wait for

    files: list[Path] = []
    for path in paths:
        with noting(failures):
            files += audio.find_recordings([path])
    for path, name in name_apart(files).items():
        wave = None
        with noting(failures):
            wave = load_checked(path, check)
        if wave is not None:
            yield Recording(name, wave, path)


def load_checked(path: Path, check: "Callable[[Tensor, str], None] | None" = None) -> "Tensor":
    """Samples [N] at 16 kHz of a recording that `check`, given them and the file's name, does not refuse.

    Raises:
        InputError: if it cannot be read, or is refused.
    """
    from datasets import audio  # torch takes a second to import, which --help need not wait for

    wave = audio.load(path)
    if check is not None:
        check(wave, str(path))
    return wave


@contextmanager
def noting(failures: list[InputError], place: str = "") -> Iterator[None]:
    """Tell an error on stderr and add it to `failures`; `place` is what is said before it."""
    try:
        yield
    except InputError as error:
        error = InputError(f"{place}: {error}") if place else error
        cli.complain(error)
        failures.append(error)


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
