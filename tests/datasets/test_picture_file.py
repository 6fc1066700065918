import ast
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from datasets import csv_source, picture_file
from datasets.errors import InputError
from datasets.picture_record import read_picture
from s2i.evaluation import folders
from tests import helpers

ROOT = Path(__file__).parents[2]
PROGRAM = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 60\n%%EndComments\n0 0 50 50 rectfill\nshowpage\n%%EOF\n"


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_decode_brings_every_kind_of_picture_to_rgb():
    grey = picture_file.decode(encoded(Image.new("L", (4, 4), 100), "PNG"), "grey")
    deep = Image.fromarray(np.full((4, 4), 100 * 257, np.uint16))
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    clear.putpixel((0, 0), (200, 0, 0, 255))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 9, 8, 7])
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("blue", "red")]
    assert grey.mode == "RGB"
    assert grey.getpixel((1, 1)) == (100, 100, 100)
    assert picture_file.decode(encoded(deep, "PNG"), "16 bits").getpixel((1, 1)) == (100, 100, 100)
    on_white = picture_file.decode(encoded(clear, "PNG"), "transparent")
    assert on_white.getpixel((0, 0)) == (200, 0, 0)
    assert on_white.getpixel((1, 1)) == (255, 255, 255)
    assert picture_file.decode(encoded(palette, "PNG"), "palette").getpixel((1, 1)) == (9, 8, 7)
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert picture_file.decode(animated, "animated").getpixel((1, 1)) == (0, 0, 255)
    cmyk = picture_file.decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95), "cmyk")
    assert np.abs(np.array(cmyk.getpixel((1, 1))) - (255, 0, 0)).max() < 8


def test_decode_refuses_what_is_no_picture():
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "JPEG")
    for data in (b"", b"text", whole[:40], whole[: len(whole) // 2]):
        with pytest.raises(InputError, match=r"^the picture: ") as caught:
            picture_file.decode(data, "the picture")
        assert "BytesIO" not in str(caught.value)


@pytest.fixture
def tripwire(tmp_path, monkeypatch):
    """A false Ghostscript, first on the PATH, and the file that tells whether anybody called it."""
    folder, called = tmp_path / "bin", tmp_path / "called"
    folder.mkdir()
    (folder / "gs").write_text(f"#!/bin/sh\ntouch {called}\nexit 1\n")
    (folder / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return called


def test_the_tripwire_would_be_hit(tripwire):
    code = "import io, sys\nfrom PIL import Image\nImage.open(io.BytesIO(sys.stdin.buffer.read())).load()"
    subprocess.run([sys.executable, "-c", code], input=PROGRAM, stderr=subprocess.DEVNULL, check=False)
    assert tripwire.exists()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "eps"])
def test_a_picture_that_is_a_program_is_refused_and_never_run(tripwire, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(PROGRAM)
    (tmp_path / "x.wav").touch()
    (tmp_path / "own.csv").write_text(f"image,recording\nx.{suffix},x.wav\n")
    entries, _ = csv_source.read(tmp_path / "own.csv", short_side=64, seed=0)
    for opening in (
        lambda: picture_file.decode(PROGRAM, str(path)),
        lambda: read_picture(path, 64),
        entries[0].picture,
        lambda: folders.check_picture(path),
        lambda: folders._read(path),
    ):
        with pytest.raises(InputError, match=rf"x\.{suffix}: is not a picture in a known format") as caught:
            opening()
        assert "\n" not in str(caught.value)
    assert not tripwire.exists()


def test_a_corpus_runs_no_program(tripwire, write_small):
    from datasets.corpus import Corpus

    with pytest.raises(InputError, match="picture 0: is not a picture"):
        Corpus(write_small(pictures=[PROGRAM] * 6)).picture(0)
    assert not tripwire.exists()


@pytest.mark.parametrize(
    "module", [path for floor in ("datasets", "attngan", "s2i", "scripts") for path in (ROOT / floor).rglob("*.py")]
)
def test_pillow_opens_nothing_without_a_list_of_formats(module):
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Image.open", "PIL.Image.open"):
            assert "formats" in {keyword.arg for keyword in node.keywords}, f"{module}: line {node.lineno}"


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def half_red(mode="RGB"):
    """40x20 px: red on the left, blue on the right."""
    picture = Image.new("RGB", (40, 20), "blue")
    picture.paste("red", (0, 0, 20, 20))
    return picture.convert(mode)


def is_turned(picture):
    """Whether `half_red` has become 20x40 with red on top, as orientation 6 asks."""
    return picture.size == (20, 40) and picture.getpixel((10, 5))[0] > 200 > 60 > picture.getpixel((10, 35))[0]


def raw_profile(exif):
    """EXIF as ImageMagick writes it into the text of a PNG."""
    hexadecimal = exif.hex()
    lines = "\n".join(hexadecimal[k : k + 72] for k in range(0, len(hexadecimal), 72))
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(exif):8d}\n{lines}\n", zip=True)
    return text


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA"])
@pytest.mark.parametrize("how", ["exif", "pnginfo"])
def test_a_png_of_any_mode_is_turned(tmp_path, mode, how):
    exif = exif_of(6)
    path = tmp_path / "x.png"
    half_red(mode).save(path, **({"exif": exif} if how == "exif" else {"pnginfo": raw_profile(exif)}))
    plain = picture_file.decode(path.read_bytes(), "x")
    turned = picture_file.decode(path.read_bytes(), "x", upright=True)
    assert plain.size == (40, 20)
    assert np.array_equal(np.asarray(turned), np.rot90(np.asarray(plain), -1))
    stored = Image.open(io.BytesIO(read_picture(path, 64)))
    assert stored.size == (20, 40)
    if mode in ("RGB", "RGBA", "P"):
        assert is_turned(turned)
        assert folders._read(path)[:, 1, 10].tolist() == [1, -1, -1]  # the middle of the picture that stands upright


MALFORMED = {
    "garbage": b"Exif\0\0" + bytes(range(200)),
    "header alone": b"Exif\0\0MM\0*",
    "far away": b"Exif\0\0II*\0\xff\xff\xff\xff",
    "cut off": exif_of(6)[:-9],
    "many": b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    "of text": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0\0\0\0\0",
    "of bytes": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x07\0\x04\0\0\0\x06\0\0\0\0\0\0\0",
    "of zero denominator": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0" + bytes(8),
    "nothing": b"Exif\0\0",
}


@pytest.mark.parametrize("exif", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "profile"])
def test_malformed_exif_harms_no_picture(tmp_path, exif, kind, recwarn, capfd):
    path = tmp_path / ("x.png" if kind == "profile" else f"x.{kind.lower()}")
    if kind == "profile":
        half_red().save(path, pnginfo=raw_profile(exif))
    elif kind == "PNG":
        half_red().save(path)
        chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
        data = path.read_bytes()
        path.write_bytes(data[:33] + chunk + data[33:])
    else:
        half_red().save(path, exif=exif)
    assert picture_file.decode(path.read_bytes(), "x", upright=True).size == (40, 20)
    assert picture_file.decode(read_picture(path, 64), "x").size == (40, 20)
    assert folders.check_picture(path) == 20
    assert folders._read(path).shape == (3, 20, 20)
    assert not helpers.warnings_of(recwarn)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["", "x", "\nexif\n", "\nexif\n 8\nzz", "\nexif\n 8\n123", "\n\n\n\xff"])
def test_a_malformed_profile_harms_no_picture(tmp_path, text):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text)
    half_red("RGBA").save(tmp_path / "x.png", pnginfo=info)
    assert Image.open(io.BytesIO(read_picture(tmp_path / "x.png", 64))).size == (40, 20)


def test_pictures_that_claim_to_be_huge_are_refused_by_their_header(tmp_path, recwarn):
    half_red().save(tmp_path / "x.png")
    data = tmp_path.joinpath("x.png").read_bytes()
    for width, height in ((10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)):
        header = data[12:16] + struct.pack(">II", width, height) + data[24:29]
        (tmp_path / "x.png").write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
        for opening in (read_picture, lambda path, _: folders.check_picture(path)):
            with pytest.raises(InputError, match=r"^.*x\.png: .*has more than 89 million pixels; reduce it$"):
                opening(tmp_path / "x.png", 64)
    assert not helpers.warnings_of(recwarn)


def test_a_text_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    half_red().save(tmp_path / "x.png")
    data = tmp_path.joinpath("x.png").read_bytes()
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(512)) + packer.flush()
    body = b"zTXtkey\0\0" + packed
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "x.png").write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(InputError, match=r"x\.png: not a readable picture \(.*MAX_TEXT"):
        read_picture(tmp_path / "x.png", 64)


def test_a_file_of_gigabytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_file, "MAX_BYTES", 2**20)
    with open(tmp_path / "x.png", "wb") as file:
        file.truncate(2**34)
    with pytest.raises(InputError, match=r"x\.png: is larger than 1 MB; save the picture as jpg or png"):
        read_picture(tmp_path / "x.png", 64)
