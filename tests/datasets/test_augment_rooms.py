import math

import pytest
import torch

from datasets.audio import LOG_FLOOR
from datasets.augment_rooms import echo, narrow, pause, paused_lengths
from datasets.speech_activity import DECIBEL

FLOOR = math.log(LOG_FLOOR)


def test_pauses_stand_where_they_should():
    mels = torch.arange(1.0, 41.0)[None, :, None].expand(2, 40, 40).clone()
    mels[0, 17] = -5.0  # the softest frame near the middle of the first
    mask = torch.arange(40) < torch.tensor([40, 30])[:, None]
    pauses = torch.tensor([[3, 2, 4], [0, 5, 0]])
    places = torch.tensor([[0.0, 1.0, 0.5], [0.0, 1.0, 0.5]])
    lengths = paused_lengths(mask.sum(1), pauses)
    assert lengths.tolist() == [49, 35]
    out, out_mask = pause(mels, mask, pauses, places, 49)
    assert out_mask.sum(1).tolist() == [49, 35]
    silent = (out == FLOOR).all(2)
    assert silent[0].nonzero()[:, 0].tolist() == [0, 1, 2, 20, 21, 22, 23, 47, 48]
    assert silent[1, :35].nonzero()[:, 0].tolist() == [30, 31, 32, 33, 34]
    for row in range(2):  # nothing is lost or out of order
        torch.testing.assert_close(out[row][~silent[row] & out_mask[row]], mels[row][mask[row]])


def test_an_echo_adds_powers_that_decay():
    mels = torch.full((1, 80, 40), FLOOR)
    mels[0, 5] = 0.0
    mask = torch.ones(1, 80, dtype=torch.bool)
    out = echo(mels, mask, torch.tensor([0.4]), torch.tensor([0.0]))[0, :, 3].exp()
    assert out[:5].max() < 2 * 80 * LOG_FLOOR
    tail = out[6:20]
    torch.testing.assert_close((tail[1:] / tail[:-1]), torch.full((13,), 10 ** (-6 / 40)), rtol=0.02, atol=0)
    assert out[5:60].sum() == pytest.approx(2.0, rel=0.05)  # the echo is as loud as the sound
    assert torch.equal(echo(mels, mask, torch.tensor([0.4]), torch.tensor([math.inf])), mels)


def test_a_narrow_line_loses_what_is_outside_of_its_band():
    hertz = torch.tensor([75.0, 150.0, 300.0, 1000.0, 3400.0, 5000.0])
    lost = narrow(hertz, torch.tensor([300.0]), torch.tensor([3500.0]))[0] / -DECIBEL
    torch.testing.assert_close(lost, torch.tensor([48.0, 24.0, 0.0, 0.0, 0.0, 45.0]))
