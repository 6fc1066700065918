import os
import time

import pytest
import soundfile
import torch

from datasets import audio
from datasets.errors import InputError
from s2i.app import recording
from s2i.app.recording import Uploads


@pytest.mark.parametrize(
    ("kind", "word"),
    [("empty", "empty"), ("text", "text file"), ("random", "format"), ("gone", "not found"), ("huge", "25 MB")],
)
def test_messages_name_the_file_and_not_its_folder(tmp_path, kind, word):
    path = tmp_path / f"{'long' * 40}.wav"
    if kind != "gone":
        path.write_bytes(
            {"empty": b"", "text": b"a bird " * 99, "random": bytes(range(200, 256)) * 99, "huge": b""}[kind]
        )
    if kind == "huge":
        os.truncate(path, recording.MAX_BYTES + 1)
    with pytest.raises(InputError, match=word) as caught:
        recording.read(path)
    assert str(tmp_path) not in str(caught.value)
    assert "longlong" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_is_written_is_read_to_the_last_bit(small, tmp_path):
    wave = torch.from_numpy(small.hum(300))
    assert (recording.read(recording.write(tmp_path / "a.wav", wave)) == wave).all()


def test_a_file_goes_when_its_last_session_has_another(tmp_path):
    uploads, (a, b) = Uploads(tmp_path), [tmp_path / name for name in ("a", "b")]
    for path in (a, b):
        path.touch()
    uploads.use("me", a)
    uploads.use("you", a)
    uploads.use("me", b)
    assert a.exists()
    uploads.drop(a)
    assert a.exists()
    uploads.release("you")
    assert not a.exists()
    uploads.release("me")
    uploads.release("nobody")
    assert not b.exists()


def test_nothing_outside_the_folder_is_ever_removed(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "outside"
    inside.mkdir()
    outside.touch()
    uploads = Uploads(inside)
    for path in (outside, inside / ".." / "outside"):
        uploads.use("me", path)
        uploads.release("me")
        uploads.drop(path)
    (inside / "link").symlink_to(outside)
    uploads.drop(inside / "link")
    uploads.sweep(-1)
    assert outside.exists()


def test_what_is_old_is_swept_unless_it_is_shown(tmp_path):
    uploads = Uploads(tmp_path)
    for name in ("x/old", "x/shown", "new"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    uploads.use("me", tmp_path / "x" / "shown")
    for name in ("x/old", "x/shown"):
        os.utime(tmp_path / name, (time.time() - 999,) * 2)
    uploads.sweep()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "shown", "x"]


def test_what_is_kept_stays_however_old_and_often_used(tmp_path):
    uploads, example = Uploads(tmp_path), tmp_path / "x" / "example.flac"
    example.parent.mkdir()
    example.touch()
    uploads.keep()
    (tmp_path / "x" / "new").touch()
    for path in (example, tmp_path / "x" / "new"):
        uploads.use("me", path)
    uploads.release("me")
    uploads.drop(example)
    uploads.sweep(-1)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["x", "example.flac"]


@pytest.mark.parametrize("claim", [2**32 - 1, 0x7FFFF000, 0])
def test_the_page_reads_what_commands_read(small, tmp_path, claim):
    path = tmp_path / "a.wav"
    soundfile.write(path, small.hum(300), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[:40] + claim.to_bytes(4, "little") + data[44:])  # as programs write it to a pipe
    assert len(recording.read(path)) == 16_000
    assert (recording.read(path) == audio.load(path)).all()
