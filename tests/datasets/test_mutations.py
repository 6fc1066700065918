"""Damaged files of every kind that people give: nothing but one line of our own, in a moment, in little memory.

Each kind is a good file that a seeded generator damages: bits flipped, bytes set, stretches removed, repeated or
inserted, or the end cut off. The fast tier takes a few mutants of each, the slow one hundreds.
"""

import io
import resource
import time

import numpy as np
import pytest
import soundfile
from PIL import Image

from datasets import any_recording, csv_source, picture_file
from datasets.errors import InputError
from datasets.picture_record import read_picture
from s2i.evaluation import folders
from s2i.model import replay
from s2i.model.replay import PaintingFile, Source

av = pytest.importorskip("av")
FEW, MANY = 12, 300
SECONDS = 10
MEGABYTES = 2000
INTERESTING = (
    b"\xff" * 4,
    bytes(4),
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\xfe\xff\xff\xff",
)


def mutant(data, rng):
    """`data` with one to eight damages."""
    damaged = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        size = len(damaged)
        # Headers are where damage does most, so half of it happens there.
        at = int(rng.integers(max(1, min(size, 200) if rng.integers(2) else size)))
        length = int(rng.integers(1, 40))
        match int(rng.integers(7)):
            case 0:
                damaged[at : at + 1] = bytes([damaged[at] ^ 1 << int(rng.integers(8))]) if at < size else b""
            case 1:
                damaged[at : at + length] = rng.bytes(length)
            case 2:
                value = INTERESTING[int(rng.integers(len(INTERESTING)))]
                damaged[at : at + len(value)] = value
            case 3:
                del damaged[at : at + length]
            case 4:
                damaged[at:at] = rng.bytes(length)
            case 5:
                damaged[at:at] = damaged[at : at + length * 10]
            case 6:
                del damaged[max(1, at) :]
    return bytes(damaged)


def tone(seconds=1.5, rate=16_000):
    return (0.3 * np.sin(np.arange(round(seconds * rate)) * 0.17) + 0.01).astype(np.float32)


def written(kind, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone()] * 2, 1), 16_000, format=kind, **options)
    return buffer.getvalue()


def encoded(container, codec, layout="mono"):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000, layout=layout)
        wave = tone(rate=48_000)
        for start in range(0, len(wave) - 959, 960):
            piece = wave[None, start : start + 960]
            integers = codec == "flac"
            piece = (piece * 32767).astype(np.int16) if integers else np.ascontiguousarray(piece)
            frame = av.AudioFrame.from_ndarray(piece, format="s16" if integers else "flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def piped(data):
    """A wav whose header says nothing of its length."""
    return data[:40] + b"\xff" * 4 + data[44:]


RECORDINGS = {
    "wav": lambda: written("WAV", subtype="PCM_16"),
    "wav of floats": lambda: written("WAV", subtype="FLOAT"),
    "wav from a pipe": lambda: piped(written("WAV", subtype="PCM_16")),
    "flac": lambda: written("FLAC"),
    "flac from a pipe": lambda: (lambda data: data[:21] + bytes([data[21] & 0xF0]) + bytes(20) + data[42:])(
        written("FLAC")
    ),
    "ogg": lambda: written("OGG", subtype="VORBIS"),
    "mp3": lambda: written("MP3"),
    "mp3 with tag": lambda: b"ID3\4\0\0\0\0\1\0" + bytes(128) + written("MP3"),
    "aiff": lambda: written("AIFF"),
    "sphere": lambda: written("NIST", subtype="PCM_16"),
    "m4a": lambda: encoded("ipod", "aac"),
    "webm": lambda: encoded("webm", "libopus"),
    "aac": lambda: encoded("adts", "aac"),
    "flac in ogg": lambda: encoded("ogg", "flac"),
}


def painted(kind, mode="RGB", **options):
    array = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(array).convert(mode).save(buffer, kind, **({"exif": exif} if kind != "BMP" else {}), **options)
    return buffer.getvalue()


PICTURES = {
    "jpg": lambda: painted("JPEG"),
    "progressive jpg": lambda: painted("JPEG", progressive=True),
    "png": lambda: painted("PNG"),
    "png with palette": lambda: painted("PNG", "P", transparency=3),
    "png with glass": lambda: painted("PNG", "RGBA"),
    "webp": lambda: painted("WEBP"),
    "webp without loss": lambda: painted("WEBP", lossless=True),
    "bmp": lambda: painted("BMP"),
    "gif": lambda: painted("GIF", "P"),
}
TABLE = (
    'image,recording,caption,class,split\n1.png,1.wav,"a red bird, small",robin,train\n'
    '1.png,2.wav,"its ""wings""",robin,train\n2.png,3.wav,schöner Vogel,wren,test\n'
).encode()
REPLAY = PaintingFile((Source("a red bird"),), 0.0, 3, 0, {"generator.safetensors": "ab12"}, "cd34").to_json().encode()


def hear(data, folder):
    any_recording.waveform(data)


def look(data, folder):
    path = folder / "x.png"
    path.write_bytes(data)
    for opening in (lambda: read_picture(path, 32), lambda: picture_file.decode(data, str(path), upright=True)):
        try:
            opening()
        except InputError as error:
            check_line(error)
    folders.check_picture(path)
    folders._read(path)


def read_table(data, folder):
    path = folder / "own.csv"
    path.write_bytes(data)
    csv_source.read(path, short_side=32, seed=0)


def read_replay(data, folder):
    path = folder / "picture.json"
    path.write_bytes(data)
    replay.load(path)


KINDS = {
    **{name: (make, hear) for name, make in RECORDINGS.items()},
    **{name: (make, look) for name, make in PICTURES.items()},
    "csv": (lambda: TABLE, read_table),
    "json": (lambda: REPLAY, read_replay),
}


def check_line(error):
    assert "\n" not in str(error)
    assert len(str(error)) < 1000


def check_mutants(kind, count, folder, capfd):
    make, read = KINDS[kind]
    good = make()
    for name in ("1", "2", "3"):
        (folder / f"{name}.wav").touch()
        Image.new("RGB", (40, 30)).save(folder / f"{name}.png")
    read(good, folder)
    refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        data = mutant(good, np.random.default_rng([number, len(kind)]))
        start = time.thread_time()
        try:
            read(data, folder)
        except InputError as error:
            refused += 1
            check_line(error)
        except BaseException as error:
            raise AssertionError(f"mutant {number} of {kind}: {type(error).__name__}: {error}") from error
        assert time.thread_time() - start < SECONDS, f"mutant {number} of {kind}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    assert grown < MEGABYTES, f"{kind} grew by {grown:.0f} MB"
    assert capfd.readouterr().err == ""
    return refused


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_mutants(kind, tmp_path, capfd):
    assert check_mutants(kind, FEW, tmp_path, capfd) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_mutants(kind, tmp_path, capfd):
    assert check_mutants(kind, MANY, tmp_path, capfd) > MANY // 10
