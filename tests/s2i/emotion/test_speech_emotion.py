import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from attngan.runtime import checkpoint
from datasets import audio, cli
from datasets.errors import InputError
from datasets.ravdess import EMOTIONS
from s2i import emotion
from s2i.emotion import SpeechEmotion
from s2i.emotion.__main__ import describe, main
from s2i.emotion.encoder import EmotionEncoder
from s2i.emotion.novelty import MahalanobisDetector
from s2i.emotion.speech_emotion import valence_and_arousal

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "pretrained" / emotion.FILE
needs_weights = pytest.mark.skipif(not SHIPPED.is_file(), reason="pretrained/emotion.safetensors is not there")


def write(path, **changed):
    """A recogniser of random weights."""
    torch.manual_seed(0)
    network = EmotionEncoder(width=4, channels=16)
    embeddings = torch.randn(60, 32).abs()
    state = {
        "network": network.state_dict(),
        "familiarity": MahalanobisDetector.measure(embeddings, torch.arange(60) % 8).statistics,
    }
    about = {
        "kind": emotion.EMOTION_KIND,
        "network": network.arguments,
        "temperature": 1.5,
        "threshold": 2.0,
        "steadiest": 0.0,
    }
    checkpoint.save(path, state, about | changed)
    return path


@pytest.fixture
def listener(tmp_path):
    return SpeechEmotion.load(write(tmp_path / "emotion.safetensors"))


def test_it_tells_everything_of_a_recording(listener, wav):
    emotion_heard = listener(wav)
    assert tuple(emotion_heard.probabilities) == EMOTIONS
    assert sum(emotion_heard.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert emotion_heard.label == max(emotion_heard.probabilities, key=emotion_heard.probabilities.get)
    assert emotion_heard.confidence == max(emotion_heard.probabilities.values())
    assert emotion_heard.voice in ("female", "male")
    assert 0 <= emotion_heard.female <= 1
    assert -1 <= emotion_heard.valence <= 1
    assert -1 <= emotion_heard.arousal <= 1
    assert emotion_heard.familiar == (emotion_heard.distance <= 2.0)


def test_a_file_samples_and_samples_with_a_rate_are_heard_alike(listener, wav):
    wave = audio.load(wav)
    stereo, rate = torch.stack([wave, wave], 1).numpy(), audio.SAMPLE_RATE
    integers = (wave * 32768).round().clamp(-32768, 32767).short().numpy()
    forms = (str(wav), wave, (stereo, rate), stereo.T, (rate, integers), integers, wav.read_bytes())
    forms += ({"array": wave.double().numpy(), "sampling_rate": rate}, {"bytes": None, "path": str(wav)})
    sadness = [listener(recording).probabilities["sad"] for recording in forms]
    assert sadness == pytest.approx([sadness[0]] * len(forms), abs=1e-3)


def test_a_softer_recording_is_the_same_emotion(listener, wav):
    wave = audio.load(wav)
    one, other = listener(wave).probabilities, listener(0.25 * wave).probabilities
    assert list(one.values()) == pytest.approx(list(other.values()), abs=0.02)


def test_the_shortest_recordings_are_heard(listener, small):
    assert listener(small.hum(300, audio.MIN_SECONDS)).label in EMOTIONS
    click = np.zeros(audio.SAMPLE_RATE, np.float32)
    click[8000] = 1.0
    assert listener(click).label in EMOTIONS


def test_what_is_no_recording_is_refused(listener, tmp_path):
    for bad, word in (
        (np.zeros(16_000, np.float32), "silent"),
        (np.ones(16_000, np.int64), "floats"),
        ((np.ones(16_000, np.float32), 10), "rate"),
        (tmp_path / "none.wav", "not found"),
    ):
        with pytest.raises(InputError, match=word):
            listener(bad)


def test_the_temperature_makes_it_less_sure_but_not_different(tmp_path, wav):
    sure, unsure = (SpeechEmotion.load(write(tmp_path / "e.safetensors", temperature=t))(wav) for t in (0.1, 10.0))
    assert sure.label == unsure.label
    assert sure.confidence > unsure.confidence


def test_certainty_is_a_word(tmp_path, wav):
    path = tmp_path / "e.safetensors"
    words = [
        SpeechEmotion.load(write(path, temperature=temperature, threshold=threshold, steadiest=steadiest))(
            wav
        ).certainty
        for temperature, threshold, steadiest in ((0.001, 1e9, 0), (100, 1e9, 0), (0.001, 0, 0), (0.001, 1e9, 1e3))
    ]
    assert words == ["likely", "unsure", "unlike its training", "unlike its training"]


def test_places_on_the_circumplex():
    def of(**shares):
        return valence_and_arousal(dict.fromkeys(EMOTIONS, 0.0) | shares)

    assert of(neutral=1.0) == (0, 0)
    assert of(happy=1.0) == pytest.approx((math.cos(math.radians(7.8)), math.sin(math.radians(7.8))))
    signs = {
        "happy": (1, 1),
        "calm": (1, -1),
        "sad": (-1, -1),
        "angry": (-1, 1),
        "fearful": (-1, 1),
        "disgust": (-1, 1),
    }
    for name, sign in signs.items():
        assert tuple(np.sign(of(**{name: 1.0}))) == sign
    half = of(neutral=0.5, angry=0.5)
    assert np.hypot(*half) == pytest.approx(0.5)


def test_files_that_are_no_recogniser_are_refused(tmp_path):
    path = tmp_path / "bad.safetensors"
    with pytest.raises(InputError, match="not found"):
        SpeechEmotion.load(path)
    path.write_text("no weights")
    with pytest.raises(InputError, match="not a checkpoint"):
        SpeechEmotion.load(path)
    with pytest.raises(InputError, match="another version"):
        SpeechEmotion.load(write(path, network={"depth": 3}))
    with pytest.raises(InputError, match="another size"):
        SpeechEmotion.load(write(path, network={"width": 8}))
    with pytest.raises(InputError, match="holds a face, not a emotion-encoder"):
        SpeechEmotion.load(write(path, kind="face"))
    checkpoint.save(path, {"network": {}}, {"kind": emotion.EMOTION_KIND, "network": {}})
    with pytest.raises(InputError, match=r"bad\.safetensors"):
        SpeechEmotion.load(path)


def test_the_command_prints_a_line_for_each_recording(tmp_path, wav, capsys):
    model = write(tmp_path / "e.safetensors")
    assert main([str(wav), "--model", str(model)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    name, label, place, voice, shares = line.split("\t")
    assert name == "bird"
    assert label.split()[0] in EMOTIONS
    assert place.startswith("valence ")
    assert "arousal" in place
    assert "voice" in voice
    assert len(shares.split(", ")) == 8


def test_the_command_goes_on_after_a_bad_recording(tmp_path, wav, capsys):
    model = write(tmp_path / "e.safetensors")
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"")
    assert main([str(bad), str(wav), "--model", str(model)]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"error: {bad}: is an empty file; copy or record it again\n"
    assert len(printed.out.splitlines()) == 1
    with pytest.raises(InputError, match="none given"):
        main([])


def test_the_line_says_what_not_to_believe(listener, wav):
    assert f"({listener(wav).certainty})" in describe(listener(wav))


def test_importing_the_package_is_light_and_the_name_is_there():
    code = """
import sys, s2i
assert "torch" not in sys.modules
assert "SpeechEmotion" in s2i.__all__
from s2i import SpeechEmotion
assert SpeechEmotion.__module__ == "s2i.emotion.speech_emotion"
assert "s2i.model.pipeline" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=cli.repository(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs_weights
def test_the_shipped_recogniser_is_small_and_knows_what_is_no_voice():
    assert SHIPPED.stat().st_size <= 3_000_000
    listener = SpeechEmotion.load()
    noise = 0.1 * torch.randn(3 * audio.SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    assert listener(noise).certainty == "unlike its training"
    with pytest.raises(InputError, match="silent"):
        listener(torch.zeros(3 * audio.SAMPLE_RATE))
