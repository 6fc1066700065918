import math

import pytest
import torch

from datasets import audio
from s2i.emotion import features

RATE = audio.SAMPLE_RATE
PITCHES = {"c": 261.63, "e": 329.63, "a": 440.0}


def tone(hertz, seconds=1.0, level=0.3):
    return level * torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)


def test_there_are_180_of_each_window(small):
    wave = torch.from_numpy(small.hum(300))
    assert features.windows_180(wave).shape == (1, 180)
    assert features.windows_180(wave, 5).shape == (5, 180)
    assert torch.isfinite(features.windows_180(wave, 5)).all()


def test_the_whole_is_the_mean_of_its_windows():
    wave = torch.cat([tone(300, 1.0), tone(900, 1.0)])
    frames = 1 + len(wave) // features.HOP  # 63: windows of 32 and 31 frames
    halves = features.windows_180(wave, 2)
    share = round(frames / 2) / frames
    expected = share * halves[0] + (1 - share) * halves[1]
    torch.testing.assert_close(features.windows_180(wave)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "place"), [("c", 0), ("e", 4), ("a", 9)])
def test_chroma_tells_the_pitch_class_in_any_octave(name, place):
    for octave in (0.5, 1, 2):
        chroma = features.windows_180(tone(PITCHES[name] * octave))[0, 40:52]
        assert int(chroma.argmax()) == place
        assert chroma[place] > 0.9
        assert chroma.min() >= 0


def test_mel_means_are_power_and_grow_with_the_square_of_the_wave():
    soft, loud = (features.windows_180(tone(500, level=level))[0, 52:] for level in (0.1, 0.2))
    torch.testing.assert_close(loud, 4 * soft, rtol=1e-3, atol=1e-7)
    low, high = (int(features.windows_180(tone(hertz))[0, 52:].argmax()) for hertz in (300, 3000))
    assert low < high


def test_the_first_mfcc_tells_the_level_and_the_others_do_not():
    noise = torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    soft, loud = (features.windows_180(level * noise)[0, :40] for level in (0.01, 0.1))
    # An orthonormal DCT gives the mean over 128 bands times their square root; ten times the wave is 20 dB.
    assert float(loud[0] - soft[0]) == pytest.approx(20 * math.sqrt(128), rel=1e-3)
    torch.testing.assert_close(loud[1:], soft[1:], rtol=0, atol=1e-2)


def test_very_short_recordings_have_all_windows():
    extracted = features.windows_180(tone(300, 0.05), 5)
    assert extracted.shape == (5, 180)
    assert torch.isfinite(extracted).all()


def test_trimming_takes_silence_away_and_speech_stays():
    quiet = 1e-4 * torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    mel = audio.log_mel(torch.cat([quiet, tone(400, 0.5), quiet]))
    trimmed = features.trim(mel)
    assert 50 <= len(trimmed) <= 50 + 2 * features.MARGIN + 4
    whole = audio.log_mel(tone(400, 0.5))
    torch.testing.assert_close(features.trim(whole), whole)


def test_trimming_does_not_depend_on_the_level():
    noise = torch.randn(RATE, generator=torch.Generator().manual_seed(0)) * torch.linspace(0, 1, RATE) ** 4
    lengths = {len(features.trim(audio.log_mel(level * noise))) for level in (0.1, 0.3)}
    assert len(lengths) == 1


def test_noise_is_steady_and_a_voice_that_comes_and_goes_is_not():
    noise = torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    beats = noise * (0.55 + 0.45 * torch.sin(8 * math.pi * torch.arange(RATE) / RATE))
    steady, lively = (features.liveliness(audio.log_mel(0.1 * wave)) for wave in (noise, beats))
    assert steady < 1.5
    assert lively > 4
    assert features.liveliness(audio.log_mel(0.01 * beats)) == pytest.approx(lively, rel=0.05)
    # 10 dB up and down in equal parts
    assert features.liveliness(torch.tensor([0.0, 2 * math.log(10)] * 8)[:, None].expand(16, 40)) == pytest.approx(10)


def test_patches_are_the_static_bands_and_their_deltas():
    mel = torch.arange(100.0)[:, None].expand(100, 40) + torch.arange(40.0)  # rises by one a frame
    extracted = features.patches(mel)
    assert extracted.shape == (4, 3, 40, 40)
    torch.testing.assert_close(extracted[1, 0], mel[20:60].T)
    torch.testing.assert_close(extracted[1, 1], torch.ones(40, 40))
    torch.testing.assert_close(extracted[1, 2], torch.zeros(40, 40))


def test_short_recordings_fill_a_patch():
    mel = torch.randn(15, 40)
    extracted = features.patches(mel)
    assert extracted.shape == (1, 3, 40, 40)
    torch.testing.assert_close(extracted[0, 0, :, 15:30], mel.T)
