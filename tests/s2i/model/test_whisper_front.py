import importlib.util

import pytest
import torch

from datasets import audio, voices
from datasets.errors import InputError
from s2i.model import speech_encoder, whisper, whisper_front
from s2i.model.speech_encoder import SpeechEncoder
from s2i.model.whisper_front import STEP, WIDTH, WhisperFront

installed = pytest.mark.skipif(whisper.packaged_folder() is None, reason="requirements-whisper.txt is not installed")


@pytest.fixture(scope="module")
def wave():
    return voices.synthesise(voices.by_name("espeak-us"), "this bird has a red head and black wings", 0)


@pytest.fixture(scope="module")
def front():
    return WhisperFront(threads=1)


@installed
def test_it_hears_what_is_said_and_leaves_waiting_out(wave, front):
    heard = front(wave)
    assert heard.shape[1] == WIDTH + 1
    seconds = len(wave) / audio.SAMPLE_RATE
    assert 0.6 * seconds < STEP * len(heard) <= seconds + STEP
    assert (heard[1:, WIDTH] > heard[:-1, WIDTH]).all()
    padded = front(torch.nn.functional.pad(wave, (2 * 16_000, 3 * 16_000)))
    assert abs(len(padded) - len(heard)) <= 5  # the hangover around the words
    assert padded[0, WIDTH] - heard[0, WIDTH] == pytest.approx(2.0, abs=0.3)


@installed
def test_level_matters_little(wave, front):
    a, b = (front(wave * gain)[:, :WIDTH] for gain in (1.0, 0.02))
    torch.testing.assert_close(a, b, atol=0.05, rtol=0.05)


@installed
def test_an_encoder_listens_with_it_and_tells_when_segments_are(wave):
    encoder = SpeechEncoder(hidden=8, segments=6, segment_frames=2, front="whisper").eval()
    features = encoder.log_mel(wave)
    condition = encoder.hear([features])
    assert condition.sentence.shape == (1, 256)
    spans = encoder.spans(features)
    assert len(spans) == condition.words.shape[2] == 6
    assert all(start < end for start, end in spans)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert encoder.arguments["front"] == "whisper"


def test_a_missing_package_and_the_wrong_features_are_told(monkeypatch, wave):
    encoder = SpeechEncoder(hidden=8, front="whisper").eval()
    with pytest.raises(InputError, match=r"40 features a frame, .* front whisper wants 385"):
        encoder.hear([torch.zeros(50, 40)])
    with pytest.raises(InputError, match=r"385 features a frame, .* front speech wants 40"):
        SpeechEncoder(hidden=8, width=8, front="speech").hear([torch.zeros(50, 385)])
    pytest.importorskip("faster_whisper")
    whisper_front.shared.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -r requirements-whisper\.txt"):
        encoder.log_mel(wave)


def test_it_is_one_of_the_fronts():
    assert "whisper" in speech_encoder.FRONTS
    with pytest.raises(ValueError, match="unknown"):
        SpeechEncoder(front="wav2vec")
