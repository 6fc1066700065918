import math

import numpy as np
import pytest
import torch

from datasets import audio


def sine(hertz=440.0, seconds=1.0, rate=audio.SAMPLE_RATE, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_constants_agree_with_each_other():
    assert (audio.WINDOW, audio.HOP, audio.N_FFT, audio.FRAMES_PER_SECOND) == (400, 160, 512, 100)


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
