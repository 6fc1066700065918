import math

import numpy as np
import pytest
import torch

from datasets import audio, channels, nonspeech
from datasets.cli import repository
from datasets.declip import MOST, declip

SPOKEN = repository() / "pretrained" / "examples" / "red-head-black-wings.flac"


@pytest.fixture(scope="module")
def wave():
    return audio.load(SPOKEN)


def distance(one, other):
    """Of the speech over the difference, in dB."""
    return 10 * math.log10(float(other.square().sum() / (one - other).square().sum()))


@pytest.mark.parametrize(("db", "better"), [(6.0, 6.0), (12.0, 3.0)])
def test_what_was_cut_off_comes_nearer_to_what_was_said(wave, db, better):
    loud = wave / wave.abs().max() * 10 ** (db / 20)
    clipped = channels.clip(wave, db)
    drawn = declip(clipped)
    assert distance(drawn, loud) > distance(clipped, loud) + better
    kept = clipped.abs() < 0.99
    assert torch.equal(drawn[kept], clipped[kept])
    assert drawn.abs().max() <= MOST + 1e-6
    assert (drawn.abs() >= clipped.abs() - 1e-6).all()


def test_a_recording_without_flat_tops_comes_back_as_it_is(wave):
    assert declip(wave) is wave
    assert declip(0.001 * wave).equal(0.001 * wave)


def test_a_clipped_sine_becomes_a_sine_again():
    sine = torch.sin(2 * torch.pi * 200 * torch.arange(16_000) / 16_000)
    assert distance(declip((2 * sine).clamp(-1, 1)), 2 * sine) > 25


@pytest.mark.parametrize(
    "samples",
    [
        np.ones(5000),
        np.sign(nonspeech.tones(np.random.default_rng(0), 1.0)),
        np.r_[np.zeros(3000), np.ones(60), np.zeros(3000)],
        np.r_[0.1, 1, 1, 1, 0.1] * 1.0,
    ],
    ids=["constant", "square", "one step", "very short"],
)
def test_what_is_no_clipped_speech_stays_finite_and_bounded(samples):
    drawn = declip(torch.from_numpy(samples.astype(np.float32)))
    assert drawn.isfinite().all()
    assert drawn.abs().max() <= MOST + 1e-5
    assert len(drawn) == len(samples)
