"""The folder for everything temporary: private, locked while its process lives, and removed once it does not."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets.errors import InputError

PREFIX = "speech-to-image-"
TRIES = 10


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that only this user can read, where everything temporary goes, and which goes when we do.

    Those that killed processes left are removed. The kernel drops a lock with its process, so that this holds even
    where process numbers repeat, as in containers.

    Raises:
        InputError: if the disk is full or cannot be written.
    """
    before = tempfile.tempdir
    everywhere = Path(tempfile.gettempdir())
    remove_abandoned(everywhere)
    folder, lock = _create(everywhere)
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_abandoned(everywhere: Path) -> None:
    """Remove the folders in `everywhere` that no process holds; those of other users stay."""
    for folder in everywhere.glob(f"{PREFIX}*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _create(everywhere: Path) -> tuple[Path, int | None]:
    """A new folder, and the open file that locks it, or None where the file system has no locks."""
    for _ in range(TRIES):
        try:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=everywhere))
        except OSError as error:
            raise InputError(f"{everywhere}: cannot be written ({error.strerror}); set TMPDIR to another") from error
        lock = _lock(folder)
        if lock is not None:  # else another process took the folder for abandoned before it was locked
            break
    return folder, lock


def _lock(folder: Path) -> int | None:
    """The open file that locks `folder`, or None if another process holds it, or it cannot be locked or is gone."""
    try:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file), os.stat(folder)):
            return file
    except OSError:
        pass
    os.close(file)
    return None
