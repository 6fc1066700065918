import numpy as np
import pytest
import torch

from datasets import audio, engines, voices
from s2i.model import spoken_language, whisper

installed = pytest.mark.skipif(whisper.packaged_folder() is None, reason="requirements-whisper.txt is not installed")


@installed
@pytest.mark.slow
def test_english_is_not_remarked_on_and_another_language_is():
    assert spoken_language.note(voices.synthesise(voices.by_name("espeak-us"), "this bird is all white", 0)) is None
    said = "this bird has a red head and black wings"
    assert spoken_language.note(voices.synthesise(voices.by_name("pico-gb"), said, 0)) is None
    samples, rate = engines.pico("it-IT", "questo uccello ha la testa rossa e le ali nere", 1.0, 1.0)
    assert spoken_language.note(audio.resample(torch.from_numpy(samples), rate)) == spoken_language.NOTE


def test_of_what_is_short_and_without_whisper_nothing_is_told(monkeypatch):
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(48_000).astype(np.float32) / 10)
    assert spoken_language.note(noise[:16_000]) is None
    spoken_language._decoder.cache_clear()
    monkeypatch.setattr(spoken_language, "packaged_folder", lambda: None)
    assert spoken_language.note(noise) is None
    spoken_language._decoder.cache_clear()
