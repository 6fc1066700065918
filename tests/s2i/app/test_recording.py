import os

import numpy as np
import pytest
import soundfile
import torch

from datasets import audio
from datasets.errors import InputError
from s2i.app import recording

av = pytest.importorskip("av")


def encode(path, wave, codec, container, rate=48_000):
    """Write `wave` as a phone would."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        for start in range(0, len(wave), 960):
            piece = np.zeros((1, 960), np.float32)
            piece[0, : len(wave[start : start + 960])] = wave[start : start + 960]
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


@pytest.mark.parametrize(("codec", "container", "name"), [("aac", "ipod", "a.m4a"), ("libopus", "webm", "a.webm")])
def test_what_phones_and_browsers_record_is_read_whatever_it_is_called(small, tmp_path, codec, container, name):
    wave = small.hum(300, 2.0, 48_000)
    encode(tmp_path / name, wave, codec, container)
    (tmp_path / "other.wav").write_bytes((tmp_path / name).read_bytes())
    for path in (tmp_path / name, tmp_path / "other.wav"):
        read = recording.read(path)
        assert len(read) / audio.SAMPLE_RATE == pytest.approx(2.0, abs=0.1)
        wanted = audio.log_mel(torch.from_numpy(small.hum(300, 2.0)))[20:180]
        best = min(float((audio.log_mel(read)[20 + k : 180 + k] - wanted).abs().mean()) for k in range(-6, 7))
        assert best < 2.0


@pytest.mark.parametrize(("length", "word"), [(0.1, "at least 0.3 s"), (31.0, "at most 30 s")])
def test_a_phone_recording_of_another_length_is_refused(small, tmp_path, length, word):
    encode(tmp_path / "a.m4a", small.hum(300, length, 48_000), "aac", "ipod")
    with pytest.raises(InputError, match=word) as caught:
        recording.read(tmp_path / "a.m4a")
    assert str(tmp_path) not in str(caught.value)


def test_a_damaged_phone_recording_is_refused(small, tmp_path):
    path = tmp_path / "a.m4a"
    encode(path, small.hum(300, 2.0, 48_000), "aac", "ipod")
    good = path.read_bytes()
    for bad in (good[:20], good[: len(good) // 2], good[:12] + os.urandom(3000)):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"^a\.m4a: "):
            recording.read(path)


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


def test_the_readers_agree_on_plain_wav(small, tmp_path):
    soundfile.write(tmp_path / "a.wav", small.hum(300), 16_000)
    assert (recording.read(tmp_path / "a.wav") == audio.load(tmp_path / "a.wav")).all()
