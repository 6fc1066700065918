import time

import numpy as np
import pytest
import torch

from attngan.runtime import checkpoint
from datasets import audio, channels, distort, nonspeech, voices
from datasets.cli import repository
from datasets.errors import InputError
from s2i.model import speech_presence
from s2i.model.speech_presence import NoSpeechError, SpeechPresence, features

EXAMPLES = sorted((repository() / "pretrained" / "examples").glob("*.flac"))
SAID = "this bird has a red head and black wings"


def spoken(voice="espeak-us-f4"):
    return voices.synthesise(voices.by_name(voice), SAID, 1)


def sound(kind, seconds=2.0):
    kinds = nonspeech.LEARNT | nonspeech.HELD_OUT
    return torch.from_numpy(kinds[kind](np.random.default_rng(11), seconds))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_speech(path):
    speech_presence.check(audio.load(path), str(path))


@pytest.mark.parametrize(
    "change",
    [
        lambda wave, g: wave,
        lambda wave, g: distort.white(wave, 10.0, g),
        lambda wave, g: channels.room(wave, 0.4, 3.0, g),
        lambda wave, g: channels.mu_law(wave),
        lambda wave, g: channels.clip(wave, 12.0),
        lambda wave, g: channels.faint(wave),
        lambda wave, g: channels.pad(wave, 5.0, 5.0, -80.0, g),
        lambda wave, g: wave[: len(wave) // 3],
    ],
)
def test_speech_is_speech_wherever_it_was_recorded(change):
    speech_presence.check(change(spoken(), torch.Generator().manual_seed(0)), "bird.wav")


@pytest.mark.parametrize("kind", ["tones", "organ", "piano", "white to pink noise", "brown noise", "hum", "songbirds"])
def test_other_sounds_are_refused_by_name_with_what_to_do(kind):
    with pytest.raises(NoSpeechError) as caught:
        speech_presence.check(sound(kind), "that.wav")
    assert str(caught.value).startswith("that.wav: holds no speech")
    assert "--force" in str(caught.value)


def test_neither_level_nor_silence_around_it_nor_a_constant_matters():
    wave = spoken()
    own = features(wave)
    padded = torch.nn.functional.pad(wave, (160 * 50, 160 * 80))
    for same in (0.01 * wave, wave + 0.1):
        torch.testing.assert_close(features(same), own, atol=0.02, rtol=0.02)
    measure = speech_presence.shipped().measure
    assert measure(padded) == pytest.approx(measure(wave), abs=0.5)


@pytest.mark.parametrize("wave", [torch.ones(4800) * 0.5, torch.zeros(4800).index_fill(0, torch.tensor([100]), 1.0)])
def test_features_of_what_hardly_sounds_are_finite(wave):
    assert features(wave).isfinite().all()


def test_it_is_small_and_quick():
    path = repository() / "pretrained" / speech_presence.WEIGHTS
    assert path.stat().st_size < 40_000
    wave, network = spoken(), speech_presence.shipped()
    network.measure(wave)
    spent = []
    for _ in range(5):
        start = time.process_time()
        network.measure(wave)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.03  # 6 ms where it was measured


def test_weights_come_back_and_bad_ones_are_refused(tmp_path):
    network = SpeechPresence(inputs=4, hidden=3)
    network.threshold += 2.0
    network.save(tmp_path / "a.safetensors", seed=3)
    again = speech_presence.load(tmp_path / "a.safetensors")
    assert torch.equal(again(torch.ones(2, 4)), network.eval()(torch.ones(2, 4)))
    checkpoint.save(tmp_path / "b.safetensors", {}, {"kind": "generator"})
    for name, words in (("b", "not a speech-presence"), ("none", "not found")):
        with pytest.raises(InputError, match=words):
            speech_presence.load(tmp_path / f"{name}.safetensors")
