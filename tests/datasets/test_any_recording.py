import io

import numpy as np
import pytest
import soundfile
import torch

from datasets import audio
from datasets.errors import InputError
from tests import helpers

RATE = audio.SAMPLE_RATE


def sine(rate=RATE, seconds=0.5):
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def like_sine(wave, tolerance=1e-5):
    assert (wave.dtype, wave.shape) == (torch.float32, (RATE // 2,))
    torch.testing.assert_close(wave[400:-400], torch.from_numpy(sine())[400:-400], atol=tolerance, rtol=0)


STEREO = np.stack([sine(), sine()])
SAMPLES = {
    "[N]": sine(),
    "[C, N]": STEREO,
    "[N, C]": STEREO.T,
    "[1, N]": STEREO[:1],
    "[N, 1]": STEREO[:1].T,
    "torch": torch.from_numpy(sine()),
    "torch [C, N]": torch.from_numpy(STEREO),
    "that is trained": torch.from_numpy(sine()).requires_grad_(),
    "float64": sine().astype(np.float64),
    "of the other byte order": sine().astype(">f4"),
    "backwards": sine()[::-1].copy()[::-1],
    "read-only": np.frombuffer(sine().tobytes(), np.float32),
    "a list": sine().tolist(),
}
INTEGERS = {
    "int16": ((sine() * 2**15).round().astype(np.int16), 2e-5),
    "int16 of the other byte order": ((sine() * 2**15).round().astype(">i2"), 2e-5),
    "int32": ((sine().astype(np.float64) * 2**31).round().astype(np.int32), 1e-6),
    "uint8": ((sine() * 128 + 128).round().astype(np.uint8), 5e-3),
    "int8": ((sine() * 128).round().astype(np.int8), 5e-3),
    "float16": (sine().astype(np.float16), 5e-4),
    "bfloat16": (torch.from_numpy(sine()).bfloat16(), 2e-3),
}


@pytest.mark.parametrize("samples", SAMPLES.values(), ids=SAMPLES)
def test_samples_at_16_khz_in_any_order_of_channels(samples, recwarn):
    like_sine(audio.waveform(samples))
    assert not helpers.warnings_of(recwarn)


@pytest.mark.parametrize(("samples", "tolerance"), INTEGERS.values(), ids=INTEGERS)
def test_samples_of_any_type_are_scaled(samples, tolerance):
    like_sine(audio.waveform(samples), tolerance)
    like_sine(audio.waveform((samples, RATE)), tolerance)


@pytest.mark.parametrize("kind", [int, float, np.int64, np.float32, torch.tensor, np.array])
@pytest.mark.parametrize("order", [1, -1])
def test_the_rate_may_come_first_or_last_in_any_type(kind, order):
    pair = (np.stack([sine(48_000)] * 2), kind(48_000))[::order]
    like_sine(audio.waveform(pair), 2e-3)
    like_sine(audio.waveform(list(pair)), 2e-3)


def test_as_scipy_gradio_and_sounddevice_give_them():
    integers = (np.stack([sine(44_100)] * 2, 1) * 32767).astype(np.int16)
    like_sine(audio.waveform((44_100, integers)), 2e-3)
    like_sine(audio.waveform((integers, 44_100.0)), 2e-3)


def test_as_datasets_of_hugging_face_give_them(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(), RATE, subtype="FLOAT")
    like_sine(
        audio.waveform({"path": str(path), "array": sine(8_000).astype(np.float64), "sampling_rate": 8_000}), 2e-2
    )
    like_sine(audio.waveform({"path": None, "array": sine(), "sampling_rate": RATE}))
    like_sine(audio.waveform({"bytes": path.read_bytes(), "path": "elsewhere.wav"}))
    like_sine(audio.waveform({"bytes": None, "path": str(path)}))
    with pytest.raises(InputError, match=r"^elsewhere\.wav: is cut off"):
        audio.waveform({"bytes": path.read_bytes()[:-100], "path": "elsewhere.wav"})
    for wrong, word in (
        ({"array": sine()}, "sampling_rate"),
        ({}, "nothing"),
        ({"audio": 1}, "audio"),
        ({"bytes": "text"}, "bytes"),
    ):
        with pytest.raises(InputError, match=word):
            audio.waveform(wrong)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_bytes_and_open_files_are_files(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sine(44_100), 44_100)
    whole, data = audio.load(path), path.read_bytes()
    for form in (data, bytearray(data), memoryview(data), io.BytesIO(data), str(path), path):
        assert torch.equal(audio.waveform(form), whole)
    with open(path, "rb") as file:
        assert torch.equal(audio.waveform(file), whole)
        with pytest.raises(InputError, match=rf"a\.{suffix}: is an empty file"):
            audio.waveform(file)  # it stands at its end
    with pytest.raises(InputError, match=rf"a\.{suffix}: cannot be read"):
        audio.waveform(file)  # closed
    with open(path, encoding="latin-1") as file, pytest.raises(InputError, match=rf"a\.{suffix}: is open as text"):
        audio.waveform(file)
    with pytest.raises(InputError, match=r"^recording: is cut off"):
        audio.waveform(data[: len(data) // 2])


def test_an_inverted_channel_is_turned_back():
    like_sine(audio.waveform(np.stack([sine(), -sine()])))


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (np.zeros((2, 3, 8000), np.float32), r"shape \[2, 3, 8000\]; give \[N\] or \[channels, N\]"),
        (np.zeros((200, 8000), np.float32), "few channels"),
        (np.float32(1), r"shape \[\]"),
        (3, r"shape \[\]"),
        (None, "holds no samples"),
        (object(), "holds no samples .*object"),
        (["a", "b"], "holds no samples"),
        (np.array(["a"]), "holds no samples"),
        ([[1.0], [1.0, 2.0]], "holds no samples"),
        (sine().astype(complex), "holds no samples .*complex"),
        (sine() > 0, "holds no samples .*bool"),
        (np.arange(8000), "samples of torch.int64"),
        (torch.arange(8000) > 5, "samples of torch.bool"),
        (np.arange(8000).astype(np.uint16), "samples of torch.uint16"),
        ((sine(), 0), "rate 0 Hz is out of range"),
        ((sine(), -16_000), "rate -16000 Hz"),
        ((sine(), float("nan")), "rate nan Hz"),
        ((sine(), 10**9), r"rate 1e\+09 Hz"),
        ((sine(), True), "rate"),
        ((sine(), None), "a pair of ndarray and NoneType"),
        ((sine(), "16000"), "a pair of ndarray and str"),
        ((sine(), sine()), "a pair of ndarray and ndarray; give a file, samples"),
        ((16_000, 16_000), "a pair of int and int"),
        (sine()[:100], "lasts 0.01 s"),
        (np.zeros(0, np.float32), "lasts 0.00 s"),
        (np.zeros((2, 0), np.float32), "lasts 0.00 s"),
        (0 * sine(), "is silent"),
        (np.full(8000, np.nan), "not numbers"),
    ],
)
def test_what_is_no_recording_is_told_in_one_line(recording, words, recwarn):
    with pytest.raises(InputError, match=f"^recording: .*({words})") as caught:
        audio.waveform(recording)
    assert "\n" not in str(caught.value)
    assert not helpers.warnings_of(recwarn)
