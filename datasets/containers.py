"""What the bytes of a recording say of it before any of its sound is decoded: its format, and whether it is whole.

libsndfile believes the headers of programs that could not know the length when they wrote them, and passes over
missing bytes in silence; so both are settled here.
"""

import codecs
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from datasets import flac_length, mpeg_frames
from datasets.errors import InputError
from datasets.file_view import View
from datasets.samples import MAX_SECONDS, check_seconds

ACCEPTED = "wav, flac, ogg, mp3, m4a, aac or webm"
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".oga", ".opus", ".m4a", ".aac", ".webm")
SMALLEST = 128  # bytes: shorter than any header with sound behind it
LARGEST = 3 << 29  # bytes: longer than 30 s of 16 channels at the highest rate
PEEK = 1 << 16
LONGEST_STREAM = 1 << 22  # bytes of mp3 or aac that are looked at; 30 s take 2 MB
PARTS = 10_000  # chunks, boxes or tags that are passed over to find the sound
# Lengths of the sound that programs write who cannot know it: "none" and "as much as can be", less their headers.
UNKNOWN = (range(1), range(2_000_000_000, 2_000_000_001), range(0x7FFFF000, 0x80000001), range(0xFFFFFF80, 0x100000000))


@dataclass
class Recording:
    """A recording about to be decoded.

    Attributes:
        view: its bytes, without tags in front, with a header that tells the right length.
        demuxer: of FFmpeg, for what libsndfile cannot decode, or not without lines of its own about damage; else None.
        seconds: how long it must last at least; 0 where nothing tells.
    """

    view: View
    demuxer: str | None = None
    seconds: float = 0.0


def inspect(file: BinaryIO, size: int, name: str) -> Recording:
    """Look at an open file of `size` bytes; `name` opens the messages.

    Raises:
        InputError: if it is empty, too large, in no known format, or cut off before its end.
    """
    if size == 0:
        raise InputError(f"{name}: is an empty file; copy or record it again")
    view = View(file, 0, size)
    for _ in range(PARTS):  # tags in front of what they belong to
        head = view.at(0, 10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        tag = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        view = view.part(10 + tag + (10 if head[5] & 0x10 else 0))
        if view.size <= 0:
            raise InputError(f"{name}: ends within its header; copy or record the file again")
    look = _look_of(view.at(0, PEEK), size - view.size)
    if look is None:
        _refuse_unknown(view.at(0, PEEK), name)
    assert look is not None
    if view.size < SMALLEST:
        raise InputError(f"{name}: ends within its header; copy or record the file again")
    if size > LARGEST:
        raise InputError(f"{name}: is larger than {LARGEST // 2**20} MB; cut it to at most {MAX_SECONDS:.0f} s")
    return look(view, name)


def cut_off(name: str) -> InputError:
    """The error about a recording that lacks its end."""
    return InputError(f"{name}: is cut off before its end; copy or record it again")


def damaged_header(name: str) -> InputError:
    """The error about a recording that cannot even be opened."""
    return InputError(f"{name}: its header is cut off or damaged; copy the file again, or convert it to {ACCEPTED}")


def _look_of(head: bytes, tagged: int) -> Callable[[View, str], Recording] | None:
    """Who knows files that begin with `head`, after `tagged` bytes of tags."""
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] in (b"WAVE", b""):
        return _wav
    for magic, look in ((b"fLaC", _flac), (b"OggS", _ogg), (b"NIST_1A", _nist), (b"\x1a\x45\xdf\xa3", _webm)):
        if head.startswith(magic):
            return look
    if head.startswith((b"RF64", b"riff", b"FORM", b".snd", b"caff")):
        return lambda view, name: Recording(view)
    if head[4:8] == b"ftyp":
        return _mp4
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return _aac
    # Some programs leave zeros between their tag and the first frame.
    if (len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0) or tagged:
        return _mp3
    return None


def _refuse_unknown(head: bytes, name: str) -> None:
    with contextlib.suppress(UnicodeDecodeError):
        # The last character may be cut in two, hence the decoder that waits for more.
        if "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head):
            raise InputError(f"{name}: is a text file, not a recording; give a {ACCEPTED} file")
    raise InputError(f"{name}: is not a recording in a known format; convert it to {ACCEPTED}")


def _wav(view: View, name: str) -> Recording:
    order = "little" if view.at(0, 4) == b"RIFF" else "big"
    place, block = 12, 1
    for _ in range(PARTS):
        header = view.at(place, 8)
        if len(header) < 8:
            break
        length, inside = int.from_bytes(header[4:], order), place + 8  # type: ignore[arg-type]
        if header[:4] == b"fmt ":
            block = int.from_bytes(view.at(inside + 12, 2), order) or 1  # type: ignore[arg-type]
        if header[:4] == b"data":
            there = view.size - inside
            if any(length in known for known in UNKNOWN) and not (length == 0 and _is_chunks(view, inside, order)):
                view.patch(place + 4, (there - there % block).to_bytes(4, order))  # type: ignore[arg-type]
            elif length > there:
                raise cut_off(name)
            return Recording(view)
        place = inside + length + length % 2
    if place > view.size:
        raise cut_off(name)
    raise damaged_header(name)


def _is_chunks(view: View, place: int, order: str) -> bool:
    """Whether from `place` to the end there are chunks and nothing else: then there is really no sound before them."""
    for _ in range(PARTS):
        header = view.at(place, 8)
        if not header:
            return True
        if len(header) < 8 or not header[:4].isalnum():
            return False
        length = int.from_bytes(header[4:], order)  # type: ignore[arg-type]
        place += 8 + length + length % 2
        if place > view.size + 1:
            return False
    return False


def _flac(view: View, name: str) -> Recording:
    block, about = int.from_bytes(view.at(10, 2), "big"), bytearray(view.at(21, 5))
    if len(about) == 5 and not (about[0] & 15 or any(about[1:])):
        total = flac_length.total_samples(view.at(max(0, view.size - flac_length.LARGEST_FRAME), view.size), block)
        if total is None:
            raise cut_off(name)
        about[0] |= total >> 32 & 15
        view.patch(21, bytes(about[:1]) + (total & 0xFFFFFFFF).to_bytes(4, "big"))
    return Recording(view)


def _ogg(view: View, name: str) -> Recording:
    tail = view.at(max(0, view.size - PEEK), PEEK)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26] or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        raise cut_off(name)
    head = view.at(0, 27 + 255 + 8)
    codec = head[27 + head[26] :]
    return Recording(view, None if codec.startswith((b"\x01vorbis", b"OpusHead")) else "ogg")


def _nist(view: View, name: str) -> Recording:
    header = view.at(0, PEEK).partition(b"end_head")[0].decode("latin-1")
    found = dict(re.findall(r"^(\w+) -[irs]\d* *(\S+)", header, flags=re.MULTILINE))
    coding = found.get("sample_coding", "pcm")
    if "," in coding:
        raise InputError(f"{name}: is NIST SPHERE, compressed ({coding}); convert it with sph2pipe, or to {ACCEPTED}")
    try:
        sound = [int(found[f"{key}"]) for key in ("sample_count", "channel_count", "sample_n_bytes")]
        start = int(header.split("\n")[1])
    except (KeyError, ValueError, IndexError) as error:
        raise damaged_header(name) from error
    if start + sound[0] * sound[1] * sound[2] > view.size:
        raise cut_off(name)
    return Recording(view)


def _mp3(view: View, name: str) -> Recording:
    stream = _count(view, mpeg_frames.MPEG, name)
    frame = view.at(stream.first, 2048)
    about = mpeg_frames.MPEG.read(frame, 0)
    assert about is not None
    view = view.part(stream.first, stream.end)
    at = max(frame[: about.length].find(b"Xing"), frame[: about.length].find(b"Info"))
    flags, said = (int.from_bytes(frame[at + k : at + k + 4], "big") for k in (4, 8))
    # This frame counts the others; decoders go by what is there, and so a count that is too small harms nothing.
    if at >= 0 and flags & 1 and said > stream.frames - 1 and stream.seconds <= MAX_SECONDS:
        raise cut_off(name)
    # Some frames are for the encoder's delay and to fill up its last one, and decoders need some to begin with.
    return Recording(view, "mp3", stream.seconds - 4 * about.samples / about.rate)


def _aac(view: View, name: str) -> Recording:
    stream = _count(view, mpeg_frames.ADTS, name)
    return Recording(view.part(stream.first, stream.end), "aac", stream.seconds * (stream.frames - 3) / stream.frames)


def _count(view: View, form: mpeg_frames.Form, name: str) -> mpeg_frames.Stream:
    data = view.at(0, LONGEST_STREAM)
    stream = mpeg_frames.count(data, form, most_seconds=MAX_SECONDS + 1)
    if stream is None:
        raise damaged_header(name)
    if stream.cut and len(data) == view.size:
        raise cut_off(name)
    if stream.seconds > MAX_SECONDS + 1:
        check_seconds(stream.seconds, name)
    return stream


def _mp4(view: View, name: str) -> Recording:
    place, kinds = 0, set()
    for _ in range(PARTS):
        header = view.at(place, 16)
        if len(header) < 8:
            break
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        kinds.add(kind)
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length == 0:  # up to the end
            place = view.size
            break
        place += max(8, length)
    if place > view.size or b"moov" not in kinds:
        raise cut_off(name)
    return Recording(view, "mov")


def _webm(view: View, name: str) -> Recording:
    place = 0
    for _ in range(PARTS):
        head = view.at(place, 16)
        if not head:
            break
        width = 4 if head[0] >= 0x10 else 0  # of the identifiers at the top level
        bits = next((k for k in range(8) if head[width : width + 1] and head[width] >> (7 - k) & 1), None)
        if not width or bits is None:
            break
        size = int.from_bytes(head[width : width + bits + 1], "big") & ((1 << 7 * (bits + 1)) - 1)
        if size == (1 << 7 * (bits + 1)) - 1:  # unknown, as browsers leave it
            break
        place += width + bits + 1 + size
        if place > view.size:
            raise cut_off(name)
    return Recording(view, "matroska")
