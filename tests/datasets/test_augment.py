import math

import torch

from datasets.augment import _warp, augment


def batch(seed=0):
    mels = torch.randn(3, 50, 40, generator=torch.Generator().manual_seed(seed)) * 2 - 3
    mask = torch.arange(50) < torch.tensor([50, 31, 7])[:, None]
    return mels, mask


def generator(seed):
    return torch.Generator().manual_seed(seed)


NOTHING = {"speed": 0, "tract": 0, "level_db": 0, "equaliser_db": 0, "noise": 0, "time_masks": 0, "band_masks": 0}
NOTHING |= {"pauses": 0, "echoes": 0, "lines": 0}


def test_augment_without_strength_changes_nothing():
    mels, mask = batch()
    same, same_mask = augment(mels, mask, generator(0), **NOTHING)
    assert torch.equal(same_mask, mask)
    torch.testing.assert_close(same, mels.where(mask[..., None], 0))


def test_augment_is_reproducible_and_each_utterance_has_its_own_draw():
    mels, mask = batch()
    mels[1], mask[1] = mels[0], mask[0]
    first, again, other = (augment(mels, mask, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0][0, :5], other[0][0, :5])
    assert not torch.equal(first[0][0, :5], first[0][1, :5])


def test_augment_never_looks_at_padding():
    mels, mask = batch()
    spoilt = mels.clone()
    spoilt[~mask] = float("nan")
    for seed in range(8):
        clean, clean_mask = augment(mels, mask, generator(seed))
        dirty, dirty_mask = augment(spoilt, mask, generator(seed))
        assert torch.equal(clean_mask, dirty_mask)
        assert torch.equal(clean, dirty)
        assert (clean[~clean_mask] == 0).all()


def test_augment_changes_speed_within_bounds_and_keeps_a_ramp_a_ramp():
    mels = torch.arange(200.0)[None, :, None].expand(32, 200, 40) / 50
    mask = torch.ones(32, 200, dtype=torch.bool)
    fast, fast_mask = augment(mels, mask, generator(0), **{**NOTHING, "speed": 0.15})
    lengths = fast_mask.sum(1)
    assert lengths.min() >= round(200 / 1.15)
    assert lengths.max() <= round(200 / 0.85)
    assert lengths.max() - lengths.min() > 30
    for row in range(32):
        expected = torch.linspace(0, 199 / 50, int(lengths[row]))[:, None].expand(-1, 40)
        torch.testing.assert_close(fast[row, : lengths[row]], expected, atol=1e-4, rtol=0)


def test_augment_moves_a_tone_to_another_frequency_and_back():
    centres = torch.tensor([100.0 * (band + 1) for band in range(40)])
    mels = -((torch.arange(40.0) - 19) ** 2)[None, None].expand(3, 5, 40) / 10  # loudest in the band at 2000 Hz
    moved = _warp(mels, torch.tensor([1.0, 0.8, 1.25]), centres)
    torch.testing.assert_close(moved[0], mels[0])
    assert moved.argmax(2).tolist() == [[19] * 5, [24] * 5, [15] * 5]  # 2000, 2500 and 1600 Hz
    torch.testing.assert_close(moved[1, :, 4], mels[1, :, 3])  # 500 Hz shows what was at 400
    torch.testing.assert_close(moved[2, :, 7], mels[2, :, 9])


def test_augment_warps_within_bounds():
    mels = -((torch.arange(40.0) - 20) ** 2)[None, None].expand(64, 5, 40)
    mask = torch.ones(64, 5, dtype=torch.bool)
    warped, _ = augment(mels, mask, generator(0), **{**NOTHING, "tract": 0.2})
    peaks = warped[:, 0].argmax(1)
    assert 20 - 5 <= peaks.min() < 19
    assert 21 < peaks.max() <= 20 + 5


def test_augment_noise_has_the_level_asked_for():
    mels, mask = torch.full((16, 400, 40), -30.0), torch.ones(16, 400, dtype=torch.bool)
    mels[:, :200] = 0.0  # power 1 for half of the time; the level is that of the speech
    noisy, _ = augment(mels, mask, generator(0), **{**NOTHING, "noise": 1.0}, snr_db=(20, 20))
    level = noisy[:, 250:].exp().mean((1, 2)).log()
    expected = torch.full((16,), -20 * math.log(10) / 10)
    torch.testing.assert_close(level, expected, atol=0.5, rtol=0)  # the noise flutters
    untouched, _ = augment(mels, mask, generator(0), **NOTHING)
    assert (untouched[:, 250:] < -13).all()


def test_augment_hides_stretches_and_bands_with_the_mean():
    mels, mask = batch()
    mels, mask = mels[:1].repeat(64, 4, 1), mask[:1].repeat(64, 4)
    hidden, _ = augment(mels, mask, generator(0), **{**NOTHING, "time_masks": 1, "band_masks": 1})
    changed = hidden != mels
    mean = mels.mean(1, keepdim=True).expand_as(mels)
    torch.testing.assert_close(hidden[changed], mean[changed])
    frames, bands = changed.all(2).sum(1), changed.all(1).sum(1)
    assert 0 < frames.max() <= 0.08 * 200 + 1
    assert 0 < bands.max() <= 6
    assert changed.float().mean() > 0.05


def test_augment_equaliser_is_one_smooth_curve_an_utterance():
    mels, mask = batch()
    curved, _ = augment(mels, mask, generator(0), **{**NOTHING, "equaliser_db": 6.0})
    curve = (curved - mels)[0]
    torch.testing.assert_close(curve, curve[:1].expand_as(curve), atol=1e-5, rtol=0)
    assert curve[0].abs().max() > 0.2
    assert curve[0].diff().abs().max() < 0.6
