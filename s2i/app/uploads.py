"""Uploaded files, which are removed once no session uses them."""

import threading
import time
from pathlib import Path

KEEP_SECONDS = 600  # that files nobody shows are kept, downloads among them


class Uploads:
    """Which files sessions use; a file goes when its last session has another, or none.

    Args:
        folder: only files in it are ever removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._used: dict[str, Path] = {}
        self._kept: set[Path] = set()
        self._lock = threading.Lock()

    def use(self, session: str, path: str | Path) -> None:
        """Note that `session` now uses `path`, and no more what it used before."""
        path = Path(path).resolve()
        with self._lock:
            before = self._used.get(session)
            if path.is_relative_to(self._folder):
                self._used[session] = path
                if before not in (None, path):
                    self._remove(before)

    def keep(self) -> None:
        """Never remove what is there now: the examples, which gradio copies and would itself remove."""
        self._kept = set(self._folder.rglob("*"))

    def release(self, session: str) -> None:
        """Note that `session` is over."""
        with self._lock:
            self._remove(self._used.pop(session, None))

    def drop(self, path: str | Path) -> None:
        """Remove a file that is used up, unless a session still shows it."""
        path = Path(path).resolve()
        with self._lock:
            if path.is_relative_to(self._folder):
                self._remove(path)

    def sweep(self, older: float = KEEP_SECONDS) -> None:
        """Remove files, and folders left empty, that are older than so many seconds and shown by no session."""
        limit = time.time() - older
        with self._lock:
            used = set(self._used.values())
            for path in sorted(self._folder.rglob("*"), reverse=True):  # a folder after what lies in it
                try:
                    if path in used or path in self._kept or path.stat().st_mtime >= limit:
                        continue
                    if path.is_dir() and not path.is_symlink():
                        path.rmdir()
                    else:
                        path.unlink()
                except OSError:  # another has removed it, or it is not empty
                    continue

    def _remove(self, path: Path | None) -> None:
        if path is not None and path not in self._kept and path not in self._used.values():
            path.unlink(missing_ok=True)
