"""The frames of mp3 and raw aac (ADTS) streams, counted: neither says how long it is, nor whether it is whole.

ISO/IEC 11172-3, section 2.4.1.3, and 13818-3 (mp3: header and lengths of frames); 13818-7, section 6.2 (ADTS).
"""

import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

RATES_MPEG_1 = (44_100, 48_000, 32_000)  # Hz; half of it in MPEG 2, a quarter in MPEG 2.5
RATES_ADTS = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
BITRATES = {  # kbit/s by (MPEG 1 or not, layer) and the header's number from 1; 0 is "free"
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
CANDIDATES = 50_000  # places that look like the beginning of a frame
HEADER = 7  # bytes of an ADTS header; one of mp3 takes 4


class Frame(NamedTuple):
    """What a frame's header says: `kind` is what all frames of a stream have in common."""

    length: int
    samples: int
    rate: int
    kind: tuple[int, ...]


class Stream(NamedTuple):
    """What was counted: whole frames, their seconds, whether another is cut, and where they begin and end."""

    frames: int
    seconds: float
    cut: bool
    first: int
    end: int


class Form(NamedTuple):
    """How frames of one form begin, and how their header is read."""

    beginning: re.Pattern[bytes]
    read: Callable[[bytes, int], Frame | None]


def mpeg_frame(data: bytes, at: int) -> Frame | None:
    """The frame of mp3 (or of layers 1 and 2) whose header is at `at`, if one is; frames of free bitrate are not."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] < 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    bitrate, rate, padding = data[at + 2] >> 4, data[at + 2] >> 2 & 3, data[at + 2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    hertz = RATES_MPEG_1[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = BITRATES[version == 3, layer][bitrate - 1] * 1000
    if layer == 1:
        return Frame((12 * bits // hertz + padding) * 4, 384, hertz, (version, layer, rate))
    samples = 576 if layer == 3 and version != 3 else 1152
    return Frame(samples // 8 * bits // hertz + padding, samples, hertz, (version, layer, rate))


def adts_frame(data: bytes, at: int) -> Frame | None:
    """The frame of raw aac whose header is at `at`, if one is."""
    if at + HEADER > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    rate = data[at + 2] >> 2 & 15
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if rate >= len(RATES_ADTS) or length < HEADER:
        return None
    return Frame(length, 1024 * ((data[at + 6] & 3) + 1), RATES_ADTS[rate], (data[at + 1] >> 3 & 1, rate))


MPEG = Form(re.compile(rb"\xff[\xe2-\xff][\x10-\xef]", re.DOTALL), mpeg_frame)
ADTS = Form(re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), adts_frame)


def count(data: bytes, form: Form, *, most_seconds: float) -> Stream | None:
    """Count the frames of `data`, whatever else lies before, between and behind them, up to `most_seconds`.

    Returns:
        None if there is no frame that another one follows.
    """
    first = _find(data, form, 0, None)
    if first is None:
        return None
    kind = form.read(data, first).kind  # type: ignore[union-attr]
    position, end, frames, seconds, cut = first, first, 0, 0.0, False
    while seconds <= most_seconds:
        frame = form.read(data, position)
        if frame is None or frame.kind != kind:
            left = len(data) - position
            cut = 0 < left < HEADER and data[position] == 0xFF
            found = None if cut else _find(data, form, position, kind)
            if found is None:
                break
            position = found
            continue
        position += frame.length
        if position > len(data):
            cut = True
            break
        end, frames, seconds = position, frames + 1, seconds + frame.samples / frame.rate
    return Stream(frames, seconds, cut, first, end)


def _find(data: bytes, form: Form, start: int, kind: tuple[int, ...] | None) -> int | None:
    """Where the next frame begins that another of its kind, or the end, follows."""
    for match in itertools.islice(form.beginning.finditer(data, start), CANDIDATES):
        frame = form.read(data, at := match.start())
        if frame is not None and kind in (None, frame.kind):
            then = form.read(data, at + frame.length)
            if (then is not None and then.kind == frame.kind) or at + frame.length == len(data):
                return at
    return None
