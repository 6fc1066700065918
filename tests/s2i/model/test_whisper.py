import importlib.util
import math
from pathlib import Path

import pytest
import torch

from datasets import voices
from datasets.errors import InputError
from datasets.language_model import TrigramModel
from s2i.model import transcribe, whisper
from s2i.model.transcribe import Recogniser, word_error_rate
from s2i.model.whisper import FasterWhisper

CAPTIONS = ["this bird has a red head", "this bird has black wings", "a small bird with a red belly"]
SAID = "this bird has a red head and black wings"
installed = pytest.mark.skipif(whisper.packaged_folder() is None, reason="requirements-whisper.txt is not installed")


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    return Recogniser.from_captions(CAPTIONS, tmp_path_factory.mktemp("captions"))


@pytest.mark.parametrize("words", ["this bird has", "red red wings", "a small", ""])
def test_probabilities_of_words_are_those_of_the_captions(captions, words):
    model = TrigramModel(CAPTIONS, {word for caption in CAPTIONS for word in caption.split()})
    history, total = ["<s>"], 0.0
    for word in words.split():
        total += math.log(model.probability(word, history))
        history.append(word)
    assert captions.log_probability(words.split()) == pytest.approx(total, abs=2e-3)


def test_a_word_that_no_caption_has_is_unlikely_but_possible(captions):
    assert captions.log_probability(["zebra"]) == transcribe.UNKNOWN
    assert captions.log_probability(["this", "zebra"]) < captions.log_probability(["this", "bird"]) - 5


@installed
@pytest.mark.slow
def test_it_hears_a_synthetic_voice_alone_and_with_captions(captions, tmp_path):
    wave = voices.synthesise(voices.by_name("espeak-us"), SAID, 0)
    alone, helped = FasterWhisper(threads=1), FasterWhisper(captions=captions, threads=1)
    assert word_error_rate([SAID], [alone(wave)]) < 50
    assert word_error_rate([SAID], [helped(wave)]) < 50
    assert alone.identity != helped.identity
    assert "en" in alone.languages
    words = alone.timed(wave)
    assert {"red", "black", "wings"} & {word for word, _, _ in words}
    assert all(0 <= start <= end <= len(wave) / 16_000 + 0.5 for _, start, end in words)
    assert isinstance(transcribe.recogniser(tmp_path / "none.h5", Path("whisper")), FasterWhisper)


@installed
def test_no_recording_is_refused():
    with pytest.raises(InputError, match="silent"):
        FasterWhisper(threads=1)(torch.zeros(16_000))


def test_what_is_missing_or_damaged_is_told(tmp_path, monkeypatch):
    pytest.importorskip("faster_whisper")
    with pytest.raises(InputError, match=r"no Whisper model in it \(model.bin\)"):
        FasterWhisper(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no whole Whisper model") as caught:
        FasterWhisper(tmp_path)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -r requirements-whisper\.txt"):
        FasterWhisper()
