import struct

import numpy as np
import pytest
import soundfile
import torch

from datasets import audio
from datasets.errors import InputError


def sine(hertz=440.0, seconds=1.0, rate=audio.SAMPLE_RATE, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "good.wav"
    soundfile.write(path, sine(), audio.SAMPLE_RATE)
    return path


def refused(path, *words):
    """Load `path`, which must fail with one line that names it and holds `words`."""
    with pytest.raises(InputError) as caught:
        audio.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (22050, 2), (44100, 2), (48000, 1)])
def test_load_gives_the_same_wave_from_every_format_and_rate(tmp_path, suffix, rate, channels):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.stack([sine(rate=rate)] * channels, 1), rate)
    wave = audio.load(path)
    assert (wave.dtype, wave.dim()) == (torch.float32, 1)
    assert abs(len(wave) - 16000) <= 1
    inside = slice(1600, 14400)  # lossy codecs and filters differ at the ends
    tolerance = 2e-3 if suffix in ("wav", "flac") else 0.06
    torch.testing.assert_close(wave[inside], torch.from_numpy(sine())[inside], atol=tolerance, rtol=0)


def test_load_takes_the_mean_of_the_channels(tmp_path):
    soundfile.write(tmp_path / "two.wav", np.stack([sine(level=0.6), 0 * sine()], 1), 16000, subtype="FLOAT")
    torch.testing.assert_close(audio.load(tmp_path / "two.wav"), torch.from_numpy(sine(level=0.3)))


def test_load_goes_by_contents_and_not_by_suffix(tmp_path, wav):
    (tmp_path / "wrong.mp3").write_bytes(wav.read_bytes())
    torch.testing.assert_close(audio.load(tmp_path / "wrong.mp3"), audio.load(wav))


def test_load_scales_down_what_exceeds_one(tmp_path):
    soundfile.write(tmp_path / "loud.wav", 30000 * sine(), 16000, subtype="FLOAT")
    assert audio.load(tmp_path / "loud.wav").abs().max() == pytest.approx(1.0)


@pytest.mark.parametrize("rate", [44101, 12345, 191999])
def test_an_odd_rate_costs_no_gigabytes(tmp_path, rate):
    soundfile.write(tmp_path / "odd.wav", sine(rate=rate), rate)
    wave = audio.load(tmp_path / "odd.wav")
    assert abs(len(wave) - 16000) <= 3
    spectrum = np.abs(np.fft.rfft(wave.numpy()[:16000]))
    assert spectrum.argmax() == 440


def test_load_refuses_what_is_no_file(tmp_path):
    refused(tmp_path / "missing.wav", "not found")
    refused(tmp_path, "folder")


def test_load_refuses_bytes_that_are_no_recording(tmp_path):
    messages = set()
    for name, data, word in (
        ("empty.wav", b"", "empty"),
        ("random.wav", np.random.default_rng(0).bytes(5000), "known format"),
        ("text.wav", "a blue bird, très petit\n".encode() * 99, "text file"),
        ("magic.wav", b"RIFF", "header"),
    ):
        (tmp_path / name).write_bytes(data)
        messages.add(refused(tmp_path / name, word).partition(": ")[2])
    assert len(messages) == 4


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("kept", [20, 40, 0.5, 0.97])
def test_load_refuses_a_file_cut_anywhere(tmp_path, suffix, kept, capfd):
    path = tmp_path / f"whole.{suffix}"
    soundfile.write(path, sine(seconds=3), 16000)
    audio.load(path)
    data = path.read_bytes()
    path.write_bytes(data[: kept if kept > 1 else int(kept * len(data))])
    refused(path, "header" if kept > 1 else "cut off")
    assert capfd.readouterr().err == ""  # libmpg123 would complain by itself


def test_load_believes_no_header_that_claims_gigabytes(tmp_path, wav):
    data = wav.read_bytes()
    assert data[36:40] == b"data"
    wav.write_bytes(data[:40] + struct.pack("<I", 0xFFFFFF00) + data[44:])
    refused(wav, "cut off")
    flac = tmp_path / "claims.flac"
    soundfile.write(flac, sine(), 16000)
    stream = bytearray(flac.read_bytes())
    stream[21:26] = bytes([stream[21] | 15]) + b"\xff" * 4  # 2^36 - 1 samples
    flac.write_bytes(stream)
    refused(flac, "at most 30 s")
    wav.write_bytes(data[:24] + struct.pack("<I", 1) + data[28:])
    refused(wav, "1 Hz")


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (0 * sine(), "silent"),
        (1e-4 * sine(), "silent"),
        (0 * sine() + 0.5, "silent"),
        (sine(seconds=0.29), "lasts 0.29 s"),
        (sine(seconds=30.5), "at most 30 s"),
        (np.where(np.arange(16000) == 7, np.nan, sine()), "not numbers"),
        (np.where(np.arange(16000) == 7, np.inf, sine()), "not numbers"),
    ],
)
def test_load_and_check_refuse_what_cannot_be_a_description(tmp_path, samples, words):
    soundfile.write(tmp_path / "bad.wav", samples, 16000, subtype="FLOAT")
    refused(tmp_path / "bad.wav", words)
    with pytest.raises(InputError, match=f"^microphone: .*{words}"):
        audio.check(torch.from_numpy(samples).float(), "microphone")


def test_check_accepts_the_limits_and_refuses_two_channels():
    for seconds in (audio.MIN_SECONDS, audio.MAX_SECONDS):
        audio.check(torch.from_numpy(sine(seconds=seconds)), "limit")
    with pytest.raises(InputError, match="shape"):
        audio.check(torch.zeros(2, 16000), "stereo")


@pytest.mark.parametrize(("suffix", "tolerance"), [(".wav", 4e-5), (".flac", 4e-5), (".ogg", 0.03)])
def test_save_and_load_return_the_wave(tmp_path, suffix, tolerance):
    wave = torch.from_numpy(sine())
    audio.save(tmp_path / f"new/saved{suffix}", wave)
    torch.testing.assert_close(audio.load(tmp_path / f"new/saved{suffix}"), wave, atol=tolerance, rtol=0)
    assert [p.name for p in (tmp_path / "new").iterdir()] == [f"saved{suffix}"]


def test_save_clips_and_refuses_other_suffixes(tmp_path):
    audio.save(tmp_path / "loud.wav", torch.from_numpy(4 * sine()))
    loaded, _ = soundfile.read(tmp_path / "loud.wav")
    assert np.abs(loaded).max() == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(InputError, match="suffix"):
        audio.save(tmp_path / "x.txt", torch.from_numpy(sine()))
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        audio.save(tmp_path / "folder.wav", torch.from_numpy(sine()))


def test_find_recordings_expands_folders_in_order(tmp_path, wav):
    (tmp_path / "deep/er").mkdir(parents=True)
    for name in ("b.WAV", "deep/er/a.flac", "deep/c.ogg", "notes.txt", ".b.1.tmp.wav"):
        (tmp_path / name).write_bytes(b"x")
    found = audio.find_recordings([wav, tmp_path])
    names = [str(p.relative_to(tmp_path)) for p in found]
    assert names == ["good.wav", "b.WAV", "deep/c.ogg", "deep/er/a.flac", "good.wav"]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no recordings"):
        audio.find_recordings([tmp_path / "none"])
    with pytest.raises(InputError, match="not found"):
        audio.find_recordings([tmp_path / "absent"])


@pytest.mark.parametrize("mark", [b"RIFF", b"RIFX"])
@pytest.mark.parametrize(
    "claim", [0, 2_000_000_000, 0x7FFFF000, 0x7FFFFFDB, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 2**32 - 1]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_from_a_pipe_is_as_long_as_it_is(tmp_path, mark, claim, channels):
    path = tmp_path / "pipe.wav"
    endian = "BIG" if mark == b"RIFX" else "LITTLE"
    soundfile.write(path, np.stack([sine()] * channels, 1), 16000, subtype="PCM_16", endian=endian)
    whole, data = audio.load(path), path.read_bytes()
    assert (data[:4], data[36:40]) == (mark, b"data")
    order = ">I" if mark == b"RIFX" else "<I"
    for riff in (struct.pack(order, min(claim + 36, 2**32 - 1)), bytes(4), data[4:8]):
        path.write_bytes(data[:4] + riff + data[8:40] + struct.pack(order, claim) + data[44:])
        assert torch.equal(audio.load(path), whole)
    path.write_bytes(path.read_bytes()[:-1])  # a pipe that broke within a sample
    assert torch.equal(audio.load(path), whole[:-1])


def test_a_wav_from_a_pipe_may_be_too_long_or_empty(tmp_path, wav):
    data = wav.read_bytes()
    wav.write_bytes(data[:40] + bytes(4))
    refused(wav, "header")
    wav.write_bytes(data[:40] + bytes(4) + b"LIST" + struct.pack("<I", 200) + bytes(200))
    refused(wav, "lasts 0.00 s")
    soundfile.write(tmp_path / "long.wav", sine(seconds=40), 16000)
    data = (tmp_path / "long.wav").read_bytes()
    (tmp_path / "long.wav").write_bytes(data[:40] + b"\xff" * 4 + data[44:])
    refused(tmp_path / "long.wav", "lasts 40 s", "at most 30 s")


def id3(size, *, footer=False):
    """A tag of `size` bytes in front of what it is about."""
    packed = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0" + bytes([0x10 * footer]) + packed + b"TPE1 of nobody".ljust(size, b"\0") + bytes(10 * footer)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("tag", [id3(300), id3(70_000), id3(300, footer=True), id3(40) + id3(50)])
def test_a_tag_in_front_takes_nothing_away(tmp_path, suffix, tag):
    path = tmp_path / f"tagged.{suffix}"
    soundfile.write(path, sine(), 16000)
    whole, data = audio.load(path), path.read_bytes()
    path.write_bytes(tag + data)
    assert torch.equal(audio.load(path), whole)
    path.write_bytes(tag + data[: len(data) // 2])
    refused(path, "cut off")
    path.write_bytes(tag)
    refused(path, "header")
    path.write_bytes(tag[:-1] + bytes(range(256)) * 9)
    refused(path)


def unknown_length(flac):
    """FLAC as a pipe gets it: its first block says neither how many samples there are nor what their checksum is."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4 + 16) + flac[42:]


@pytest.mark.parametrize(
    ("rate", "channels", "seconds"), [(16000, 1, 1.0), (44100, 2, 2.0), (8000, 1, 9.9), (11111, 3, 0.31)]
)
def test_a_flac_of_unknown_length_is_as_long_as_it_is(tmp_path, rate, channels, seconds):
    path = tmp_path / "pipe.flac"
    noise = np.random.default_rng(0).normal(0, 0.1, (round(rate * seconds), channels))
    soundfile.write(path, noise, rate)
    whole, data = audio.load(path), path.read_bytes()
    path.write_bytes(unknown_length(data))
    assert torch.equal(audio.load(path), whole)
    for kept in (len(data) - 1, len(data) - 40, len(data) // 2):
        path.write_bytes(unknown_length(data)[:kept])
        refused(path, "cut off")
    soundfile.write(path, np.concatenate([noise] * 100)[: 31 * rate], rate)
    path.write_bytes(unknown_length(path.read_bytes()))
    refused(path, "lasts 31 s", "at most 30 s")


def sphere(wave, coding="pcm", count=None):
    lines = [
        "NIST_1A",
        "   1024",
        "database_id -s5 TIMIT",
        f"sample_count -i {count or len(wave)}",
        "sample_n_bytes -i 2",
    ]
    lines += ["channel_count -i 1", "sample_byte_format -s2 01", "sample_rate -i 16000", f"sample_coding -s3 {coding}"]
    header = "\n".join([*lines, "end_head", ""]).encode().ljust(1024)
    return header + (wave * 32767).round().astype("<i2").tobytes()


def test_nist_sphere_is_read_whatever_it_is_called(tmp_path):
    path = tmp_path / "SA1.WAV"
    path.write_bytes(sphere(sine()))
    torch.testing.assert_close(audio.load(path), torch.from_numpy(sine()), atol=1e-4, rtol=0)
    path.write_bytes(sphere(sine())[:-500])
    refused(path, "cut off")
    path.write_bytes(sphere(sine(), "pcm,embedded-shorten-v2.00"))
    refused(path, "compressed (pcm,embedded-shorten-v2.00)", "sph2pipe")
    for damage in (b"NIST_1A\n   1024\n".ljust(1500), sphere(sine()).replace(b"_count -i", b"_count -i x")):
        path.write_bytes(damage)
        refused(path, "header")


@pytest.mark.parametrize("level", [1.0, 0.7])
def test_a_channel_turned_upside_down_does_not_silence_the_other(tmp_path, level):
    soundfile.write(tmp_path / "two.wav", np.stack([sine(), -level * sine()], 1), 16000, subtype="FLOAT")
    wanted = torch.from_numpy(sine()) * (1 + level) / 2
    torch.testing.assert_close(audio.load(tmp_path / "two.wav"), wanted)
    rest = np.random.default_rng(0).normal(0, 0.01, (2, 16000))  # of what is not the speaker
    soundfile.write(tmp_path / "two.wav", np.stack([sine(), -level * sine()], 1) + rest.T, 16000, subtype="FLOAT")
    assert float((audio.load(tmp_path / "two.wav") - wanted).square().mean().sqrt()) < 0.02


def test_channels_that_merely_differ_keep_their_sign(tmp_path):
    one, other = sine(), 0.8 * np.roll(sine(200), 30)
    soundfile.write(tmp_path / "two.wav", np.stack([one, other], 1), 16000, subtype="FLOAT")
    torch.testing.assert_close(audio.load(tmp_path / "two.wav"), torch.from_numpy((one + other) / 2))


def test_a_file_of_gigabytes_is_refused_at_once(tmp_path, wav):
    for name, head in (
        ("a.wav", wav.read_bytes()[:44]),
        ("a.mp3", b"\xff\xfb\x90\xc4"),
        ("a.flac", b"fLaC" + bytes(60)),
    ):
        with open(tmp_path / name, "wb") as file:
            file.write(head)
            file.truncate(20 * 2**30)
        refused(tmp_path / name, "larger than")


def test_a_wav_that_holds_something_else_is_told(tmp_path):
    (tmp_path / "film.wav").write_bytes(b"RIFF" + struct.pack("<I", 5000) + b"AVI LIST" + bytes(5000))
    refused(tmp_path / "film.wav", "known format", "m4a")
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", 5000) + b"WAVE" + (b"JUNK" + bytes(4)) * 20_000)
    refused(tmp_path / "x.wav", "header is cut off or damaged", "webm")
