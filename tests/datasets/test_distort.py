import math

import pytest
import torch

from datasets import distort
from datasets.errors import InputError

RATE = 16_000


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def tone(hertz, seconds=1.0, height=0.3):
    return height * torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)


def power_at(wave, hertz):
    """Share of the power within 30 Hz of a frequency."""
    energy = torch.fft.rfft(wave).abs().square()
    place = round(hertz * len(wave) / RATE)
    room = round(30 * len(wave) / RATE)
    return float(energy[max(0, place - room) : place + room + 1].sum() / energy.sum())


def snr(clean, noisy):
    """dB of speech over what else there is, whatever both were scaled by: by regression on the clean wave."""
    speech = clean * (noisy @ clean) / (clean @ clean)
    return float(10 * torch.log10(speech.square().sum() / (noisy - speech).square().sum()))


@pytest.mark.parametrize("level", [20.0, 10.0, 5.0, 0.0, -5.0])
def test_white_noise_is_as_far_below_as_asked(level):
    wave = tone(440, seconds=2.0)
    noisy = distort.white(wave, level, chance())
    assert snr(wave, noisy) == pytest.approx(level, abs=0.1)
    assert noisy.shape == wave.shape
    assert noisy.dtype == torch.float32


@pytest.mark.parametrize("level", [20.0, 0.0])
def test_babblers_are_equally_loud_and_together_as_far_below_as_asked(level):
    wave = tone(440)
    others = [tone(1000, seconds=0.31, height=0.01), tone(3000, seconds=2.5, height=0.9)]
    noisy = distort.babble(wave, level, others, chance())
    assert noisy.shape == wave.shape
    assert snr(wave, noisy) == pytest.approx(level, abs=0.2)
    assert power_at(noisy, 1000) == pytest.approx(power_at(noisy, 3000), rel=0.1)
    assert power_at(noisy, 1000) == pytest.approx(0.5 / (1 + 10 ** (level / 10)), rel=0.1)


@pytest.mark.parametrize("condition", ["white", "babble", "rate", "telephone", "clean"])
def test_nothing_clips_and_nothing_given_is_changed(condition):
    wave = tone(440, height=0.99)
    before = wave.clone()
    level = {"rate": 1.2, "telephone": None, "clean": None}.get(condition, -10.0)
    found = distort.distort(wave, condition, level, chance(), [tone(713)])
    assert found.abs().max() <= 1 + 1e-6
    assert torch.isfinite(found).all()
    assert torch.equal(wave, before)
    if condition in ("white", "babble"):
        assert (found.abs() > 0.9999).sum() < 10  # scaled down, not cut off


def test_the_same_seed_gives_the_same_noise_at_every_level():
    wave, others = tone(440), [tone(1000), tone(1500, seconds=0.7)]
    for condition in distort.RANDOM:
        quiet, again, other = (distort.distort(wave, condition, 20.0, chance(seed), others) for seed in (1, 1, 2))
        assert torch.equal(quiet, again)
        assert not torch.equal(quiet, other)
        loud = distort.distort(wave, condition, 14.0, chance(1), others)
        torch.testing.assert_close(loud - wave, (quiet - wave) * 10 ** (6 / 20), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.3])
def test_faster_speech_is_shorter_at_the_same_pitch_and_level(rate):
    wave = torch.cat([tone(440), tone(900)])
    found = distort.change_rate(wave, rate)
    assert len(found) == round(len(wave) / rate)
    middle = len(found) // 2
    assert power_at(found[:middle], 440) > 0.9
    assert power_at(found[middle:], 900) > 0.9
    assert found.square().mean() == pytest.approx(float(wave.square().mean()), rel=0.15)


def test_the_usual_speed_changes_nothing():
    wave = 0.2 * torch.randn(RATE, generator=chance())
    torch.testing.assert_close(distort.change_rate(wave, 1.0), wave, rtol=0, atol=1e-3)


def test_the_telephone_keeps_its_band_and_the_length():
    def passed(hertz):
        # Beside a tone that passes, since the line sets the level.
        both = tone(1000) + tone(hertz)
        found = distort.telephone(both)
        assert len(found) == len(both)
        return power_at(found, hertz) / power_at(found, 1000)

    assert passed(600) > 0.7
    assert passed(2500) > 0.6
    assert passed(100) < 0.01
    assert passed(3900) < 0.1
    assert passed(6000) < 0.001


def test_the_telephone_hears_faint_speech_as_well_as_loud_and_in_step():
    wave = tone(440) + tone(1900, height=0.1)
    loud = distort.telephone(wave)
    torch.testing.assert_close(distort.telephone(0.01 * wave), loud, rtol=0, atol=0.01)  # rounding to 8 bits
    lags = [float(loud[4000:12000] @ wave[4000 + lag : 12000 + lag]) for lag in range(-18, 19)]
    assert abs(lags.index(max(lags)) - 18) <= 10  # samples: 0.6 ms


def test_every_condition_of_the_results_is_one_and_comes_once():
    assert distort.CONDITIONS[0] == ("clean", None)
    assert len(set(distort.CONDITIONS)) == len(distort.CONDITIONS) == 15
    wave = tone(440)
    for condition, level in distort.CONDITIONS:
        found = distort.distort(wave, condition, level, chance(), [tone(700)])
        assert torch.equal(found, wave) == (condition == "clean")


@pytest.mark.parametrize(
    ("condition", "level", "others", "words"),
    [
        ("hail", 3.0, [], ("hail", "white, babble")),
        ("white", None, [], ("white", "no level")),
        ("telephone", 3.0, [], ("telephone", "no level")),
        ("rate", 0.1, [], ("rate 0.1", "from 0.5 to 2")),
        ("rate", float("nan"), [], ("rate nan", "out of range")),
        ("babble", 3.0, [], ("babble", "at least one")),
        ("babble", 3.0, [torch.zeros(RATE)], ("another speaker", "silent")),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(condition, level, others, words):
    with pytest.raises(InputError) as caught:
        distort.distort(tone(440), condition, level, chance(), others)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_silence_has_no_level():
    with pytest.raises(InputError, match="silent"):
        distort.white(torch.zeros(RATE), 10.0, chance())
