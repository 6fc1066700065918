"""How long a FLAC stream is that does not say so, because it was written to a pipe: its last frame tells (RFC 9639)."""

from typing import NamedTuple

LARGEST_FRAME = 1 << 21  # bytes searched for the last frame
CANDIDATES = 16  # places in those that look like a frame's beginning


class _Header(NamedTuple):
    length: int
    last_sample: int


def _table(width: int, polynomial: int) -> list[int]:
    top, mask = 1 << (width - 1), (1 << width) - 1
    found = []
    for value in range(256):
        value <<= width - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        found.append(value)
    return found


CRC_8, CRC_16 = _table(8, 0x07), _table(16, 0x8005)


def crc_8(data: bytes) -> int:
    """The checksum of a frame's header."""
    value = 0
    for byte in data:
        value = CRC_8[value ^ byte]
    return value


def crc_16(data: bytes) -> int:
    """The checksum of a frame."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ CRC_16[value >> 8 ^ byte]
    return value


def total_samples(tail: bytes, block: int) -> int | None:
    """Samples of a stream that ends with `tail`, of blocks of `block` samples; None if its last frame is not whole."""
    at, tried = len(tail), 0
    while tried < CANDIDATES and (at := tail.rfind(b"\xff", 0, at)) >= 0:
        header = _header(tail[at : at + 16], block)
        if header is None:
            continue
        tried += 1
        if crc_16(tail[at:-2]) == int.from_bytes(tail[-2:], "big"):
            return header.last_sample
    return None


def _header(data: bytes, block: int) -> _Header | None:
    """The header that `data` begins with, if its own checksum is right."""
    if len(data) < 6 or data[1] & 0xFE != 0xF8:
        return None
    size, rate, position = data[2] >> 4, data[2] & 15, 5
    ones = next((k for k in range(8) if not data[4] >> (7 - k) & 1), 8)  # as in UTF-8, of up to 36 bits
    if ones in (1, 8) or size == 0 or rate == 15:
        return None
    number = data[4] & (0x7F >> ones)
    for byte in data[5 : 4 + max(ones, 1)]:
        number, position = number << 6 | byte & 0x3F, position + 1
    if size in (6, 7):  # written out, less one, in as many bytes
        samples = int.from_bytes(data[position : position + size - 5], "big") + 1
        position += size - 5
    else:
        samples = 192 if size == 1 else 576 << size - 2 if size < 6 else 256 << size - 8
    position += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if position >= len(data) or crc_8(data[:position]) != data[position]:
        return None
    first = number if data[1] & 1 else number * block  # blocks of different sizes are numbered by their samples
    return _Header(position + 1, first + samples)
