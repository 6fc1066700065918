"""A part of an open file, which libsndfile and FFmpeg take for a file of its own."""

import io
from typing import BinaryIO


class View(io.RawIOBase):
    """The bytes of an open file from `start` on, some of them replaced."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._at, self.size = file, start, 0, size - start
        self._patches: list[tuple[int, bytes]] = []

    def patch(self, at: int, data: bytes) -> None:
        """Show `data` instead of what is at `at`."""
        self._patches.append((at, data))

    def at(self, place: int, length: int) -> bytes:
        """The bytes at a place; fewer than `length` at the end."""
        self.seek(place)
        return self.read(length) or b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`, all of it unless the file ends."""
        self._file.seek(self._start + self._at)
        data = bytearray(self._file.read(max(0, min(len(buffer), self.size - self._at))))
        for place, patch in self._patches:
            for offset, byte in enumerate(patch, place - self._at):
                if 0 <= offset < len(data):
                    data[offset] = byte
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def part(self, start: int, stop: int | None = None) -> "View":
        """The same file from one place to another, without the replaced bytes."""
        return View(self._file, self._start + start, self._start + (self.size if stop is None else stop))
