import math

import pytest
import torch

from datasets import audio, channels, voices
from datasets.speech_activity import (
    FLOOR_DB,
    HANGOVER,
    REFERENCE,
    levelled,
    loudness,
    speech,
    speech_level,
)

VOICE = voices.by_name("espeak-us")
TEXT = "this bird has a red head and black wings"


@pytest.fixture(scope="module")
def wave():
    return voices.synthesise(VOICE, TEXT, 0)


def heard(wave):
    mel = audio.log_mel(levelled(wave))
    return speech(mel[None], torch.ones(1, len(mel), dtype=torch.bool))


def test_loudness_is_the_log_of_the_mean_power_above_hum():
    mel = torch.full((3, 40), math.log(2.0))
    mel[:, :4] = 50.0  # hum, which does not count
    torch.testing.assert_close(loudness(mel), torch.full((3,), math.log(2.0)))


def test_the_level_is_that_of_vowels_whatever_is_around_them():
    loud = torch.tensor([[0.0] * 20 + [-3.0] * 5 + [-9.0] * 5])
    mask = torch.ones(1, 30, dtype=torch.bool)
    assert speech_level(loud, mask).item() == pytest.approx(0.0)
    silence = torch.full((1, 500), -14.0)
    click = torch.tensor([[6.0]])
    around = torch.cat([silence, loud, click, silence], 1)
    assert speech_level(around, torch.ones(1, around.shape[1], dtype=torch.bool)).item() == pytest.approx(0.0)
    padded = torch.cat([loud, torch.full((1, 9), 7.0)], 1)
    assert speech_level(padded, torch.arange(39)[None] < 30).item() == pytest.approx(0.0)


@pytest.mark.parametrize("factor", [1.0, 1e-3, 2.5])
def test_levelled_speech_has_one_level(wave, factor):
    mel = audio.log_mel(levelled(factor * wave + 0.1))
    level = speech_level(loudness(mel)[None], torch.ones(1, len(mel), dtype=torch.bool))
    assert level.item() == pytest.approx(REFERENCE, abs=0.02)


def test_bands_have_mean_0_and_variance_1_over_speech(wave):
    features, mask, frames = heard(wave)
    mel = audio.log_mel(levelled(wave))
    loud = loudness(mel)[frames[0]]
    spoken = features[0][mask[0] & (loud > loud.quantile(0.4))]
    assert spoken.mean().abs() < 0.5
    assert 0.5 < spoken.std() < 1.5


@pytest.mark.parametrize("noise_db", [None, -80.0])
@pytest.mark.parametrize(("before", "after"), [(5.0, 0.0), (0.0, 5.0), (5.0, 5.0)])
def test_waiting_changes_nothing(wave, before, after, noise_db):
    plain = heard(wave)
    padded = heard(channels.pad(wave, before, after, noise_db, torch.Generator().manual_seed(0)))
    assert abs(padded.mask.sum() - plain.mask.sum()) <= 2
    count = min(padded.features.shape[1], plain.features.shape[1])
    difference = (padded.features[0, :count] - plain.features[0, :count]).abs().mean()
    assert difference < 0.05


def test_a_pause_in_the_middle_is_shortened(wave):
    plain, paused = heard(wave), heard(channels.interrupt(wave, 3.0))
    assert 0 <= paused.mask.sum() - plain.mask.sum() <= 2 * HANGOVER
    assert paused.frames[0].diff().max() > 250  # what was left out


def test_every_recording_begins_and_ends_with_the_same_frames_of_floor(wave):
    features, mask, _ = heard(wave)
    first, last = features[0, :HANGOVER], features[0][mask[0]][-HANGOVER // 2 :]
    assert first.amax() < 0
    assert last.amax() < 0
    level = speech_level(loudness(audio.log_mel(levelled(wave)))[None], torch.ones(1, 1 + len(wave) // 160).bool())
    assert math.exp(-FLOOR_DB / 10 * math.log(10)) * math.exp(level) > audio.LOG_FLOOR  # the relative floor is felt


def test_padding_and_batch_mates_change_nothing(wave):
    mels = [audio.log_mel(levelled(each)) for each in (wave, channels.pad(wave, 1.0, 0.5, -70.0, torch.Generator()))]
    stacked, mask = audio.stack_mels(mels)
    spoilt = stacked.masked_fill(~mask[..., None], float("nan"))
    together = speech(spoilt, mask)
    assert (together.features[~together.mask] == 0).all()
    for row, mel in enumerate(mels):
        alone = speech(mel[None], torch.ones(1, len(mel), dtype=torch.bool))
        count = int(alone.mask.sum())
        assert together.mask[row].sum() == count
        torch.testing.assert_close(together.features[row, :count], alone.features[0, :count], rtol=1e-4, atol=1e-4)
        assert torch.equal(together.frames[row, :count], alone.frames[0, :count])
