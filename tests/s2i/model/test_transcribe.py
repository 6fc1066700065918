import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datasets import audio, corpus, voices
from datasets.corpus import Tables
from s2i import transcribe as command
from s2i.model import transcribe
from s2i.model.transcribe import Recogniser, WhisperFolder, word_error_rate
from tests.helpers import refused

CAPTIONS = (
    "this bird has a red head and black wings",
    "This bird has a yellow belly, and a white breast.",
    "a small bird with a long orange beak",
    "a large xyzzybird with brown wings and a grey back",
)
VOICE = voices.by_name("espeak-us")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A recogniser of the captions, which tests must leave as it is."""
    path = tmp_path_factory.mktemp("recogniser") / "new"
    Recogniser.from_captions(CAPTIONS, path)
    return path


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A recording of each of the first two captions."""
    paths = [tmp_path_factory.mktemp("spoken") / f"{name}.wav" for name in ("first", "second")]
    for path, caption in zip(paths, CAPTIONS, strict=False):
        audio.save(path, voices.synthesise(VOICE, caption, 0))
    return paths


def state(folder):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_speech_becomes_its_words_again_and_again(folder):
    recogniser = Recogniser(folder)
    for seed, caption in enumerate(CAPTIONS[:3]):
        heard = recogniser(voices.synthesise(VOICE, caption, seed))
        assert word_error_rate([caption], [heard]) <= 25
        assert heard == heard.lower()


def test_a_file_an_array_and_a_tensor_are_heard_alike(folder, spoken):
    recogniser = Recogniser(folder)
    wave = audio.load(spoken[1])
    heard = [recogniser(recording) for recording in (spoken[1], str(spoken[1]), wave.numpy(), wave.double())]
    assert heard == ["this bird has a yellow belly and a white breast"] * 4


def test_where_nothing_is_understood_there_are_no_words(folder):
    recogniser = Recogniser(folder)
    noise = torch.randn(audio.SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    assert recogniser(0.1 * noise) == ""


def test_silence_between_words_is_filled_with_faint_noise():
    wave = torch.zeros(1000)
    wave[500], wave[501] = 1.0, -1.0
    samples = np.frombuffer(transcribe._to_pcm(wave), "<i2").astype(float)
    quiet = round(transcribe.PADDING * audio.SAMPLE_RATE)
    assert len(samples) == 1000 + 2 * quiet
    assert samples[quiet + 500] > 32_000
    assert samples[quiet + 501] < -32_000
    assert np.delete(samples, [quiet + 500, quiet + 501]).std() == pytest.approx(32.8, rel=0.05)
    assert np.abs(np.delete(samples, [quiet + 500, quiet + 501])).max() < 200


def test_the_dictionary_has_the_words_of_the_captions_and_unknown_ones_are_told(folder):
    assert Recogniser(folder).unknown_words == {"xyzzybird": 1}
    lines = (folder / transcribe.DICTIONARY).read_text().splitlines()
    words = {line.split()[0].partition("(")[0] for line in lines}
    assert words == {word for caption in CAPTIONS for word in transcribe.tokenize(caption)} - {"xyzzybird"}
    assert "a AH" in lines
    assert "a(2) EY" in lines


def test_the_same_captions_take_what_is_there_and_others_build_anew(tmp_path):
    Recogniser.from_captions(CAPTIONS[:2], tmp_path)
    before = state(tmp_path)
    Recogniser.from_captions(iter(CAPTIONS[:2]), tmp_path)
    assert state(tmp_path) == before
    (tmp_path / transcribe.LANGUAGE).write_bytes(b"damaged")
    Recogniser.from_captions(CAPTIONS[:2], tmp_path)
    assert (tmp_path / transcribe.LANGUAGE).stat().st_size > 1000
    Recogniser.from_captions(CAPTIONS[2:], tmp_path)
    assert "orange" in (tmp_path / transcribe.DICTIONARY).read_text()
    assert "yellow" not in (tmp_path / transcribe.DICTIONARY).read_text()
    assert sorted(state(tmp_path)) == sorted(before)


def test_bad_folders_are_refused(folder, tmp_path):
    refused(lambda: Recogniser(tmp_path / "none"), tmp_path / "none", "not found")
    (tmp_path / "file").write_text("in the way")
    refused(lambda: Recogniser.from_captions(CAPTIONS, tmp_path / "file"), tmp_path / "file", "cannot be written")
    damages = {
        transcribe.ABOUT: [b"", b"[]", b"{", b"\xff", b"{}", b'{"files": {}}'],
        transcribe.DICTIONARY: [b"bird"],
        transcribe.LANGUAGE: [b""],
    }
    for name, contents in damages.items():
        for content in contents:
            for path in folder.iterdir():
                (tmp_path / path.name).write_bytes(path.read_bytes())
            (tmp_path / name).write_bytes(content)
            refused(lambda: Recogniser(tmp_path), tmp_path, "build it again")
    (tmp_path / transcribe.DICTIONARY).unlink()
    refused(lambda: Recogniser(tmp_path), tmp_path, "build it again")


def test_a_folder_that_is_damaged_meanwhile_is_told(folder, tmp_path, spoken):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    recogniser = Recogniser(tmp_path)
    (tmp_path / transcribe.LANGUAGE).write_bytes(b"nothing")
    refused(lambda: recogniser(spoken[0]), tmp_path, "is damaged")
    (tmp_path / transcribe.LANGUAGE).unlink()
    refused(lambda: recogniser(spoken[0]), tmp_path, "is damaged")


def test_captions_and_recordings_that_are_none_are_refused(folder, tmp_path, small):
    refused(lambda: Recogniser.from_captions(["xyzzybird"], tmp_path), "captions", "no word")
    recogniser = Recogniser(folder)
    refused(lambda: recogniser(tmp_path / "missing.wav"), "missing.wav", "not found")
    refused(lambda: recogniser(np.zeros(16_000, np.float32)), "recording", "silent")
    refused(lambda: recogniser(small.hum(300, 0.1)), "recording", "at least 0.3 s")
    refused(lambda: recogniser(np.ones((2, 2, 16_000), np.int16)), "recording", "shape")


@pytest.mark.parametrize(
    ("module", "package"), [("pocketsphinx", "pocketsphinx"), ("speech_recognition", "SpeechRecognition")]
)
def test_missing_packages_are_told_with_the_remedy(folder, tmp_path, monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    remedy = f"{package}: is not installed; run: pip install {package}"
    refused(lambda: Recogniser(folder), remedy)
    refused(lambda: Recogniser.from_captions(CAPTIONS, tmp_path / "new"), remedy)


def test_the_word_error_rate_is_that_counted_by_hand():
    # Of 5 + 2 words one is missed and one added in the first text, both are missed in the second.
    assert word_error_rate(["A red bird, has wings.", "black beak"], ["a bird has TWO wings", ""]) == pytest.approx(
        100 * 4 / 7
    )
    assert word_error_rate(["black beak"], ["black beak"]) == 0
    assert word_error_rate(["beak"], ["a long beak"]) == 200
    assert word_error_rate(["grey beak", "?"], ["gray beak", ""]) == 50


def test_word_error_rates_of_nothing_are_refused(monkeypatch):
    refused(lambda: word_error_rate(["a", "b"], ["a"]), "heard", "1 texts for 2 truths")
    refused(lambda: word_error_rate([], []), "truths", "no words")
    refused(lambda: word_error_rate(["!"], ["a"]), "truths", "no words")
    monkeypatch.setitem(sys.modules, "jiwer", None)
    refused(lambda: word_error_rate(["a"], ["a"]), "jiwer: is not installed; run: pip install jiwer")


def test_whisper_needs_its_folder_and_its_package(tmp_path, monkeypatch):
    refused(lambda: WhisperFolder(tmp_path / "none"), tmp_path / "none", "no Whisper model", "config.json")
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    refused(lambda: WhisperFolder(tmp_path), "transformers: is not installed; run: pip install transformers")


@pytest.mark.parametrize("multilingual", [False, True])
def test_whisper_is_loaded_from_its_folder_alone_and_told_the_language_if_it_knows_others(
    tmp_path, monkeypatch, spoken, multilingual
):
    called = {}

    class Processor:
        def __call__(self, samples, sampling_rate, return_tensors):
            called.update(length=len(samples), rate=sampling_rate, tensors=return_tensors)
            return SimpleNamespace(input_features=torch.ones(1, 80, 3000))

        def batch_decode(self, tokens, skip_special_tokens):
            assert skip_special_tokens
            return [f" This bird, has {int(tokens.sum())} wings."]

    class Model:
        generation_config = SimpleNamespace(is_multilingual=multilingual)

        def eval(self):
            return self

        def generate(self, features, **options):
            called.update(options=options)
            return torch.full((1, 2), int(features.mean()))

    def loads(thing):
        def from_pretrained(folder, *, local_files_only):
            assert local_files_only
            assert Path(folder) == tmp_path
            return thing()

        return SimpleNamespace(from_pretrained=from_pretrained)

    fake = SimpleNamespace(WhisperProcessor=loads(Processor), WhisperForConditionalGeneration=loads(Model))
    monkeypatch.setitem(sys.modules, "transformers", fake)
    (tmp_path / "config.json").write_text("{}")
    assert WhisperFolder(tmp_path)(spoken[0]) == "this bird has 2 wings"
    assert called == {
        "length": len(audio.load(spoken[0])),
        "rate": 16_000,
        "tensors": "pt",
        "options": {"language": "en"} if multilingual else {},
    }

    def fail(folder, **_):
        raise OSError("no weights\nin there")

    fake.WhisperForConditionalGeneration.from_pretrained = fail
    refused(lambda: WhisperFolder(tmp_path), tmp_path, "no weights in there")


@pytest.fixture
def run(capsys):
    """Run the command; gives (exit code, lines of stdout, lines of stderr)."""

    def run(*arguments):
        code = command.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


def test_the_command_prints_name_and_words_of_the_good_recordings(run, folder, spoken, tmp_path):
    (tmp_path / "bad.wav").write_text("a blue bird\n" * 99)
    code, out, err = run(tmp_path / "bad.wav", tmp_path / "missing.wav", "--model", folder, *spoken[::-1])
    assert code == 2
    assert out == [f"second\t{CAPTIONS[1].lower().translate({44: None, 46: None})}", f"first\t{CAPTIONS[0]}"]
    assert len(err) == 2
    assert "missing.wav: recording not found" in err[0]
    assert "bad.wav: is a text file" in err[1]
    assert run(spoken[0].parent / "nothing", "--model", folder)[:2] == (2, [])


def test_the_command_learns_from_training_captions_and_keeps_it_beside_the_corpus(run, spoken, tmp_path):
    tables = Tables(
        species=["crow"],
        picture_names=["one", "two", "three"],
        picture_species=[0] * 3,
        picture_split=[0, 0, 2],
        captions=list(CAPTIONS),
        caption_picture=[0, 1, 1, 2],
    )
    corpus.write(tmp_path / "birds.h5", tables, [b"", b"", b""], None, sources={}, config={})
    for _ in range(2):
        assert run(spoken[0], "--corpus", tmp_path / "birds.h5") == (0, [f"first\t{CAPTIONS[0]}"], [])
    kept = tmp_path / "birds.recogniser"
    words = (kept / transcribe.DICTIONARY).read_text()
    assert "orange" in words
    assert "grey" not in words
    assert json.loads((kept / transcribe.ABOUT).read_text())["unknown_words"] == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["birds.h5", "birds.recogniser"]


def test_the_command_refuses_what_it_cannot_use(run, spoken, tmp_path):
    refused(run, "recordings: none given")
    refused(lambda: run(spoken[0], "--corpus", tmp_path / "no.h5"), tmp_path / "no.h5", "corpus not found")
    refused(lambda: run(spoken[0], "--model", tmp_path), tmp_path, "recogniser not found")
    refused(lambda: run(spoken[0], "--modle", tmp_path), "--modle", "did you mean --model")
