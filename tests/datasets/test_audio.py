import math
import struct

import numpy as np
import pytest
import soundfile
import torch

from datasets import audio
from datasets.errors import InputError
from tests import helpers


def sine(hertz=440.0, seconds=1.0, rate=audio.SAMPLE_RATE, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "good.wav"
    soundfile.write(path, sine(), audio.SAMPLE_RATE)
    return path


def refused(path, *words):
    """Load `path`, which must fail with one line that names it and holds `words`."""
    return helpers.refused(lambda: audio.load(path), path, *words)


def test_constants_agree_with_each_other():
    assert (audio.WINDOW, audio.HOP, audio.N_FFT, audio.FRAMES_PER_SECOND) == (400, 160, 512, 100)


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
    wav.write_bytes(data[:40] + struct.pack("<I", 0xFFFFFFFF) + data[44:])  # what a pipe writes: length unknown
    assert len(audio.load(wav)) == 16000
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


def mel_centre(band):
    """The centre of a band in Hz: 42 points at equal distances on the mel scale 2595 log10(1 + f / 700)."""
    top = 2595 * math.log10(1 + 8000 / 700)
    return 700 * (10 ** (top * (band + 1) / 41 / 2595) - 1)


@pytest.mark.parametrize("band", [5, 17, 30, 38])
def test_log_mel_of_a_sine_peaks_in_its_band(band):
    mel = audio.log_mel(torch.from_numpy(sine(mel_centre(band))))
    assert mel.shape == (101, 40)
    assert mel.dtype == torch.float32
    assert (mel[5:-5].argmax(1) == band).all()


def test_log_mel_of_silence_is_the_floor_and_ten_times_louder_is_log_100_more():
    torch.testing.assert_close(audio.log_mel(torch.zeros(8000)), torch.full((51, 40), math.log(1e-6)))
    wave = torch.randn(8000, generator=torch.Generator().manual_seed(0)) * 0.05
    difference = audio.log_mel(10 * wave) - audio.log_mel(wave)
    torch.testing.assert_close(difference, torch.full((51, 40), math.log(100)), atol=1e-2, rtol=0)


def test_normalise_by_hand():
    mel = torch.zeros(4, 40)
    mel[:, 3] = torch.tensor([1.0, 2.0, 3.0, 6.0])
    normal = audio.normalise(mel)
    torch.testing.assert_close(normal[:, 3], torch.tensor([-2.0, -1.0, 0.0, 3.0]) / math.sqrt(14 / 4))
    assert (normal[:, [0, 39]] == 0).all()  # a constant band has no variance to divide by


def batch(seed=0):
    mels = torch.randn(3, 50, 40, generator=torch.Generator().manual_seed(seed)) * 2 - 3
    mask = torch.arange(50) < torch.tensor([50, 31, 7])[:, None]
    return mels, mask


def test_normalise_looks_at_real_frames_only():
    mels, mask = batch()
    spoilt = mels.clone()
    spoilt[~mask] = float("nan")
    normal = audio.normalise(spoilt, mask)
    assert (normal[~mask] == 0).all()
    for row, length in enumerate((50, 31, 7)):
        torch.testing.assert_close(normal[row, :length], audio.normalise(mels[row, :length]))
        torch.testing.assert_close(normal[row, :length].mean(0), torch.zeros(40), atol=1e-5, rtol=0)
        torch.testing.assert_close(normal[row, :length].var(0, correction=0), torch.ones(40))
