import importlib.util
import math
from pathlib import Path

import pytest
import torch

from datasets import voices
from datasets.errors import InputError
from datasets.language_model import TrigramModel
from s2i.model import transcribe, whisper
from s2i.model.transcribe import word_error_rate
from s2i.model.whisper import FasterWhisper, log_probability

CAPTIONS = ["this bird has a red head", "this bird has black wings", "a small bird with a red belly"]
SAID = "this bird has a red head and black wings"
installed = pytest.mark.skipif(whisper.packaged_folder() is None, reason="requirements-whisper.txt is not installed")


def language():
    return TrigramModel(CAPTIONS, {word for caption in CAPTIONS for word in caption.split()})


def test_probabilities_of_words_add_up():
    captions = language()
    both = captions.probability("this", ["<s>"]) * captions.probability("bird", ["<s>", "this"])
    assert log_probability(captions, ["this", "bird"]) == pytest.approx(math.log(both))
    assert log_probability(captions, ["this", "xyz"]) < log_probability(captions, ["this", "bird"]) - 5
    assert log_probability(captions, []) == 0


@installed
@pytest.mark.slow
def test_it_hears_a_synthetic_voice_alone_and_with_captions(tmp_path):
    wave = voices.synthesise(voices.by_name("espeak-us"), SAID, 0)
    alone, helped = FasterWhisper(threads=1), FasterWhisper(captions=language(), threads=1)
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
