"""Formats whose length has to be counted or which FFmpeg decodes: mp3, aac, m4a, webm, FLAC in Ogg."""

import io
import re

import numpy as np
import pytest
import soundfile
import torch

from datasets import audio, mpeg_frames
from datasets.errors import InputError

av = pytest.importorskip("av")


def rising(seconds=2.0, rate=48_000):
    """A tone that rises by an octave, so that every moment sounds different."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * 300 * (time + time**2 / (2 * seconds)))).astype(np.float32)


def is_rising(wave, seconds=2.0, tolerance=0.08):
    """Whether `wave` [N] is `rising`, but for some delay of its encoder and what it costs in quality."""
    frames = round(seconds * 100) - 20
    heard, wanted = audio.log_mel(wave), audio.log_mel(torch.from_numpy(rising(seconds, audio.SAMPLE_RATE)))[10:-10]
    best = min(float((heard[k : k + frames].argmax(1) != wanted[:frames].argmax(1)).float().mean()) for k in range(20))
    return best < tolerance


def encode(path, wave, codec, container, rate=48_000, layout="mono", **options):
    """Write `wave` [N] or [C, N] with FFmpeg."""
    wave = np.atleast_2d(wave)
    with av.open(str(path), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        sample_format = {"flac": "s16", "libmp3lame": "fltp", "aac": "fltp"}.get(codec, "flt")
        for start in range(0, wave.shape[1], 960):
            piece = np.zeros((len(wave), 960), np.float32)
            piece[:, : wave[:, start : start + 960].shape[1]] = wave[:, start : start + 960]
            if sample_format == "s16":
                piece = (piece.T.reshape(1, -1) * 32767).round().astype(np.int16)
            elif sample_format == "flt":
                piece = piece.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format=sample_format, layout=layout)
            frame.sample_rate, frame.pts = rate, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        audio.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message, message


PHONES = [
    ("aac", "ipod", "a.m4a"),
    ("libopus", "webm", "a.webm"),
    ("aac", "adts", "a.aac"),
    ("flac", "ogg", "a.ogg"),
    ("flac", "ogg", "a.oga"),
    ("aac", "mp4", "a.wav"),
]


@pytest.mark.parametrize(("codec", "container", "name"), PHONES)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_what_phones_and_browsers_record_is_read_by_its_contents(tmp_path, codec, container, name, layout):
    wave = np.stack([rising()] * (1 + (layout == "stereo")))
    path = encode(tmp_path / name, wave, codec, container, layout=layout)
    assert is_rising(audio.load(path))
    assert len(audio.load(path)) / audio.SAMPLE_RATE == pytest.approx(2.0, abs=0.1)
    (tmp_path / "nameless").write_bytes(path.read_bytes())
    assert torch.equal(audio.load(tmp_path / "nameless"), audio.load(path))


@pytest.mark.parametrize(("codec", "container", "name"), PHONES)
def test_they_are_refused_when_cut_or_of_the_wrong_length(tmp_path, codec, container, name):
    path = encode(tmp_path / name, rising(), codec, container)
    data = path.read_bytes()
    for kept in (0.97, 0.5, 0.2):
        path.write_bytes(data[: int(len(data) * kept)])
        if container == "webm" and kept > 0.9:
            continue  # may end with the last packet, behind which there is only an index
        refused(path, "cut off")
    refused(encode(tmp_path / name, rising(0.1), codec, container), "at least 0.3 s")
    refused(encode(tmp_path / name, rising(33.0), codec, container), "at most 30 s")
    refused(encode(tmp_path / name, 0 * rising(), codec, container), "silent")


@pytest.mark.parametrize(("codec", "container", "name"), PHONES)
def test_an_inverted_channel_does_not_silence_the_other(tmp_path, codec, container, name):
    wave = np.stack([rising(), -rising()])
    assert is_rising(audio.load(encode(tmp_path / name, wave, codec, container, layout="stereo")))


def test_a_film_without_sound_is_told(tmp_path):
    with av.open(str(tmp_path / "film.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p")
        for _ in range(20):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        file.mux(stream.encode(None))
    refused(tmp_path / "film.mp4", "holds no sound")


def without_count(data):
    """An mp3 without the frame that counts the others."""
    first = mpeg_frames.count(data, mpeg_frames.MPEG, most_seconds=1).first
    frame = mpeg_frames.mpeg_frame(data, first)
    assert re.search(b"Xing|Info", data[first : first + frame.length])
    return data[first + frame.length :]


def mp3(wave, rate, mode):
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format="MP3", bitrate_mode=mode)
    return buffer.getvalue()


def cut_within_a_frame(data, length):
    """The first `length` bytes, or some more: an mp3 cut between two frames is a shorter one, and nothing tells."""
    ends = [0]
    while ends[-1] < len(data):
        ends.append(ends[-1] + mpeg_frames.mpeg_frame(data, ends[-1]).length)
    return data[: length + 9 * (length in ends)]


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_that_does_not_say_how_long_it_is(tmp_path, rate, mode):
    path, data = tmp_path / "a.mp3", without_count(mp3(rising(2.0, rate), rate, mode))
    path.write_bytes(data)
    wave = audio.load(path)
    assert len(wave) / audio.SAMPLE_RATE == pytest.approx(2.0, abs=0.15)
    assert is_rising(wave)
    for kept in (0.97, 0.5):
        path.write_bytes(cut_within_a_frame(data, int(len(data) * kept)))
        refused(path, "cut off")
    path.write_bytes(data * 16)
    refused(path, "at most 30 s")


def test_tags_around_an_mp3_are_passed_over(tmp_path, capfd):
    data = mp3(rising(1.0, 16_000), 16_000, "VARIABLE")
    path = tmp_path / "a.mp3"
    for sound in (data, without_count(data)):
        path.write_bytes(sound)
        whole = audio.load(path)
        for tail in (b"TAG".ljust(128, b"\0"), b"APETAGEX" + bytes(300), bytes(999), b"\xff" * 3000):
            path.write_bytes(b"ID3\4\0\0\0\0\2\0" + bytes(256) + sound + tail)
            assert torch.equal(audio.load(path), whole)
    assert capfd.readouterr().err == ""  # libmpg123 would complain by itself


def test_an_mp3_of_variable_rate_is_painted_to_its_end(tmp_path):
    rng = np.random.default_rng(0)
    loud_first = np.concatenate([rng.normal(0, 0.3, 44_100), rising(4.8, 44_100)]).clip(-1, 1)
    data = without_count(mp3(loud_first, 44_100, "VARIABLE"))
    path = tmp_path / "a.mp3"
    path.write_bytes(data)
    with soundfile.SoundFile(path) as sound:
        assert sound.frames / 44_100 < 4  # the guess of libsndfile, by the first frame
    wave = audio.load(path)
    assert len(wave) / audio.SAMPLE_RATE == pytest.approx(5.8, abs=0.1)
    assert is_rising(wave[16_000:], 4.8)


def test_an_mp3_that_counts_its_frames_wrongly(tmp_path):
    data = mp3(rising(2.0, 16_000), 16_000, "CONSTANT")
    at = re.search(b"Xing|Info", data).start() + 8
    said = int.from_bytes(data[at : at + 4], "big")
    path = tmp_path / "a.mp3"
    for claim in (said // 3, 1, 0):
        path.write_bytes(data[:at] + claim.to_bytes(4, "big") + data[at + 4 :])
        assert len(audio.load(path)) / audio.SAMPLE_RATE == pytest.approx(2.0, abs=0.2)
    path.write_bytes(data[:at] + (said + 1).to_bytes(4, "big") + data[at + 4 :])
    refused(path, "cut off")


def test_frames_by_hand():
    """144 x 128000 / 44100 = 417.96 bytes of MPEG 1 layer 3, one more with padding; 72 x 64000 / 22050 of MPEG 2."""
    assert mpeg_frames.mpeg_frame(b"\xff\xfb\x90\xc4", 0)[:3] == (417, 1152, 44_100)
    assert mpeg_frames.mpeg_frame(b"\xff\xfb\x92\xc4", 0)[:3] == (418, 1152, 44_100)
    assert mpeg_frames.mpeg_frame(b"\xff\xf3\x80\xc4", 0)[:3] == (208, 576, 22_050)
    assert mpeg_frames.mpeg_frame(b"\xff\xe3\x80\xc4", 0)[:3] == (417, 576, 11_025)
    assert mpeg_frames.mpeg_frame(b"\xff\xfd\xa0\xc4", 0)[:3] == (626, 1152, 44_100)  # layer 2, 192 kbit/s
    for wrong in (b"\xff\xeb\x90\xc4", b"\xff\xfb\xf0\xc4", b"\xff\xfb\x0c\xc4", b"\xff\xf9\x90\xc4", b"\xff\xfb\x90"):
        assert mpeg_frames.mpeg_frame(wrong, 0) is None
    assert mpeg_frames.adts_frame(b"\xff\xf1\x4c\x80\x2e\x7f\xfc", 0)[:3] == (371, 1024, 48_000)


def test_counting_gigabytes_of_nothing_is_quick(tmp_path):
    for name, data in (
        ("a.mp3", b"\xff" * 2**24),
        ("b.mp3", b"\xff\xfb\x90\0" * 2**20),
        ("c.aac", b"\xff\xf1\x4c" * 2**20),
    ):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, "damaged")
