import numpy as np
import pytest

from datasets import nonspeech
from datasets.samples import SAMPLE_RATE

KINDS = nonspeech.LEARNT | nonspeech.HELD_OUT


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_has_its_length_its_range_and_its_seed(kind):
    first, again, other = (KINDS[kind](np.random.default_rng(seed), 1.25) for seed in (3, 3, 4))
    assert len(first) == 1.25 * SAMPLE_RATE
    assert first.dtype == np.float32
    assert np.abs(first).max() == pytest.approx(0.8, abs=1e-5)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_kind_is_both_learnt_and_held_out():
    assert not nonspeech.LEARNT.keys() & nonspeech.HELD_OUT.keys()


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_the_power_of_noise_falls_by_its_slope(slope):
    power = np.abs(np.fft.rfft(nonspeech.noise(np.random.default_rng(0), 4.0, slope))) ** 2
    hertz = np.fft.rfftfreq(4 * SAMPLE_RATE, 1 / SAMPLE_RATE)
    octaves = [power[(hertz >= low) & (hertz < 2 * low)].mean() for low in (500, 1000, 2000)]
    falls = 10 * np.log10(np.array(octaves[:-1]) / octaves[1:])
    assert falls == pytest.approx([3.01 * slope] * 2, abs=0.7)
