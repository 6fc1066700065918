"""One lock for whatever only one process may do at a time; the kernel's, so it ends with the process that holds it."""

import errno
import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from datasets.errors import InputError
from datasets.files import make_folder, remove_leftovers

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # file systems of some clusters


class Lock:
    """A lock file that is held from the making of this object until `release`, or until the process ends.

    The file is removed on release. A process that opened it before it was removed would hold a lock that nobody else
    can see, so whoever gets the lock looks whether the file is still the one under its name.

    Args:
        path: the lock file; its folder must be there.
        busy: what is raised when another process holds it, one line.

    Raises:
        InputError: if another process holds it, or the file cannot be made.
    """

    def __init__(self, path: Path, busy: str) -> None:
        self.path = path
        self._file: int | None = None
        while self._file is None:
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still(file, path):
                    self._file = file
            except BlockingIOError as error:
                raise InputError(busy) from error
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise InputError(f"{path}: cannot be locked ({error.strerror}); choose another place") from error
                print(f"warning: {path}: this file system has no locks; start nothing else there", file=sys.stderr)
                self._file = file
            finally:
                if self._file is None:
                    os.close(file)

    def release(self) -> None:
        """Let others have it; does nothing the second time."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # a folder that can no longer be written keeps it, which does no harm
                if _is_still(file, self.path):
                    self.path.unlink(missing_ok=True)  # last of all, while it is held
            os.close(file)

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def alone_in(folder: Path) -> Lock:
    """Make a folder of work in progress, keep other processes out of it, and remove what killed ones left half done.

    Raises:
        InputError: if another process holds it, or it cannot be written.
    """
    busy = f"{folder}: another process works in it; wait until it ends, or name another folder"
    lock = Lock(make_folder(folder) / ".lock", busy)
    remove_leftovers(folder)
    return lock


def _is_still(file: int, path: Path) -> bool:
    """Whether `path` names the open file."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False
