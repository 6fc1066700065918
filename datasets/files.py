"""Files that are either whole or not there: everything is written to a temporary name and renamed."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datasets.errors import InputError

LONGEST_NAME = 255  # bytes, of the file systems in use


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    File and folder are on the disk before this ends: a power cut leaves the old file or the new one, whole.

    Raises:
        InputError: if the folder cannot be written or the disk is full; `path` itself is then untouched.
    """
    path = Path(path)
    if not path.name or os.path.isdir(path):  # unlike Path's own, it does not mind unreadable folders
        raise InputError(f"{path}: cannot be written (Is a directory); name a file")
    # The suffix stays last, since writers such as Pillow choose the format by it.
    temporary = path.with_name(f".{_short(path)}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        with suppress(OSError):  # some file systems cannot do it for folders
            _sync(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({reason}); free some space or choose another place") from error
    finally:
        with suppress(OSError):  # the folder may not be one
            temporary.unlink(missing_ok=True)


def _short(path: Path) -> str:
    """The name of a file without its suffix, or what stands for it where the temporary one would be too long."""
    if len(os.fsencode(path.name)) <= LONGEST_NAME - len(".4194304.tmp"):
        return path.stem
    return hashlib.sha256(os.fsencode(path.stem)).hexdigest()[:32]


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def remove_leftovers(folder: Path, path: Path | None = None) -> None:
    """Remove the temporary files that killed processes left in `folder`, if asked only those of `replacing(path)`.

    No other process may be writing them.
    """
    stem, suffix = ("(.+)", r"(\.[^.]*)?") if path is None else (re.escape(_short(path)), re.escape(path.suffix))
    named = re.compile(rf"\.{stem}\.\d+\.tmp{suffix}")
    for leftover in folder.iterdir():
        if named.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` (UTF-8) to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(path: str | Path) -> Path:
    """Create the folder `path` and check that it can be written.

    Raises:
        InputError: if it cannot be created or written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written as a folder ({reason}); choose another place") from error
    return path


def check_output(path: str | Path, option: str = "--output") -> Path:
    """Return `path` if a file can be written there, so that nobody finds out after hours that none can.

    Raises:
        InputError: if it is a folder, or its folder cannot be written.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise InputError(f"{option} {path}: is a folder; name a file in it, such as {path / 'results.json'}")
    make_folder(path.parent)
    return path


def require_file(path: str | Path, what: str, *, maker: str = "") -> Path:
    """Return `path` if it is a readable file.

    Args:
        path: any path.
        what: names its role in the message.
        maker: the script that makes such a file, to be named where it is missing.

    Raises:
        InputError: if it is missing, a folder, or not readable.
    """
    path = Path(path)
    if not os.path.exists(path):  # unlike Path's own, it does not mind names that cannot be
        advice = f"make it with {maker}, or check the path" if maker else "check the path"
        raise InputError(f"{path}: {what} not found; {advice}")
    if not os.path.isfile(path):
        raise InputError(f"{path}: {what} should be a file, but this is a folder; name the file itself")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: {what} may not be read; check its permissions")
    return path


def sha256(path: str | Path) -> str:
    """Checksum of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()  # hashlib.file_digest came with Python 3.11
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
