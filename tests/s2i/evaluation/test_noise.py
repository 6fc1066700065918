import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from attngan.evaluation.evaluators import CLASSIFIER, HELD_OUT
from datasets import audio, distort
from datasets.captions import Vocabulary, tokenize
from datasets.corpus import Corpus
from datasets.errors import InputError
from s2i.evaluation import models, noise
from s2i.evaluation.evaluate_config import EvaluateConfig
from s2i.evaluation.evaluation import Evaluation
from s2i.evaluation.evaluation_set import EvaluationSet
from s2i.evaluation.transcripts import Waves
from s2i.model import transcribe
from tests.helpers import write_classifier, write_damsm

CONDITIONS = (("clean", None), ("white", 0.0), ("telephone", None))


@pytest.fixture(scope="module")
def birds(tmp_path_factory, build_birds):
    return build_birds(tmp_path_factory.mktemp("noise") / "birds.h5", drawn_pictures=48, short_side=32)


class Ear:
    """Hears two words, whatever is said, and counts."""

    identity = "ear"
    heard = 0

    def __call__(self, wave):
        Ear.heard += 1
        return "red wings" if Ear.heard % 2 else ""


@pytest.fixture
def config(birds, model, small, tmp_path, monkeypatch):
    """Networks of random weights, three conditions, and no recogniser to wait for."""
    (tmp_path / "baselines").mkdir()
    for name in ("attngan", "s2i_equal"):
        small.generator(tmp_path / "baselines" / f"{name}.safetensors")
    vocabulary = Vocabulary.build(Corpus(birds).captions).words
    write_damsm(model / "damsm.safetensors", 3, vocabulary)
    write_damsm(tmp_path / "evaluators" / HELD_OUT, 4, vocabulary)
    write_classifier(tmp_path / "evaluators" / CLASSIFIER, 5, n_species=12)
    monkeypatch.setattr(distort, "CONDITIONS", CONDITIONS)
    monkeypatch.setattr(noise, "listeners", lambda corpus, model: {"transcribe": Ear()})
    Ear.heard = 0
    return EvaluateConfig(
        corpus=birds,
        model=model,
        baselines=tmp_path / "baselines",
        evaluators=tmp_path / "evaluators",
        noise_samples=4,
        draws=2,
        resolution=16,
        work=tmp_path / "work",
    )


def measure(config):
    return noise.measure(Evaluation(config))


def test_both_paths_are_scored_under_every_condition(config):
    cases = measure(config)
    assert [(each["condition"], each["level"]) for each in cases] == [*CONDITIONS, ("heard voices", None)]
    for each in cases:
        assert set(each) == {"condition", "level", "s2i_equal", "transcribe", "word_error_rate"}
        for path in ("s2i_equal", "transcribe"):
            assert 0 <= each[path]["mean"] <= 100
            assert each[path]["std"] >= 0
        assert 80 < each["word_error_rate"] <= 100


def test_the_same_again_listens_to_nothing_and_finds_the_same(config):
    first = measure(config)
    listened = Ear.heard
    assert listened == 4 * 4
    assert measure(config) == first
    assert Ear.heard == listened


def meaning(texts):
    """Which words a text has: of texts of the same words the same vector, without words zeros."""
    vectors = torch.zeros(len(texts), 512)
    for row, text in enumerate(texts):
        for word in tokenize(text):
            place = torch.randn(512, generator=torch.Generator().manual_seed(sum(map(ord, word)) * 31 + len(word)))
            vectors[row] += place
    return vectors


class Perfect:
    """Paints what it is given, and its judge sees exactly that."""

    generator = SimpleNamespace(stages_to=lambda resolution: 2)

    def __init__(self, speech, truths, log):
        self.speech, self.truths, self.log = speech, truths, log

    def encode(self, texts, mels):
        if not self.speech:
            return meaning(texts)
        return torch.stack([self.truths[round(float(mel.sum()), 1)] for mel in mels()])

    def log_mel(self, wave):
        return audio.log_mel(wave)

    def paint(self, condition, seeds, resolution):
        self.log.append((self.speech, tuple(seeds), resolution))
        return [condition]


@pytest.fixture
def perfect(config, monkeypatch):
    """Both paths paint what they understand; the direct one knows the clean recordings."""
    corpus = Corpus(config.corpus)
    count = config.noise_samples
    samples = EvaluationSet.of(corpus, count, config.seed)
    heard = EvaluationSet.of(corpus, count, config.seed, speakers="training")
    waves = Waves(corpus, config.seed)
    truths, words = {}, {}
    for each in (samples, heard):
        for recording, caption in zip(each.recordings, each.captions, strict=True):
            wave = waves(int(recording))
            truths[round(float(audio.log_mel(wave).sum()), 1)] = meaning([caption])[0]
            words[wave.numpy().tobytes()] = caption

    class Good:
        identity = "good"

        def __call__(self, wave):
            return words.get(wave.numpy().tobytes(), "")

    class Deaf:
        identity = "deaf"

        def __call__(self, wave):
            return ""

    log = []
    monkeypatch.setattr(distort, "CONDITIONS", CONDITIONS[:1])
    monkeypatch.setattr(noise, "listeners", lambda corpus, model: {"transcribe": Good(), "transcribe_whisper": Deaf()})
    monkeypatch.setattr(models, "load", lambda name, **_: Perfect(name == "s2i_equal", truths, log))
    judge = SimpleNamespace(read=meaning, look=lambda pictures: pictures)
    monkeypatch.setattr(Evaluation, "evaluators", SimpleNamespace(held_out_matcher=judge))
    return SimpleNamespace(words=words, truths=truths, log=log)


def test_what_is_understood_is_found_by_both_paths_with_the_same_noise(config, perfect):
    for each in measure(config):
        assert each["s2i_equal"]["mean"] == each["transcribe"]["mean"] == 100
        assert (each["word_error_rate"], each["transcribe_whisper"]["mean"]) == (0, 0)
        assert each["word_error_rate_whisper"] == 100
    per_case = len(perfect.log) // 2
    for case in range(0, len(perfect.log), 6):
        direct, *transcribed = (perfect.log[case + k : case + k + 2] for k in (0, 2, 4))
        assert all([entry[1:] for entry in direct] == [entry[1:] for entry in each] for each in transcribed)
        assert all(entry[0] for entry in direct)
        assert direct[0][1] != direct[1][1]  # draws differ
    assert per_case == 6


def test_where_no_word_is_recognised_only_that_path_falls(config, perfect):
    perfect.words.clear()
    for each in measure(config):
        assert each["s2i_equal"]["mean"] == 100
        assert each["transcribe"]["mean"] == 0
        assert each["word_error_rate"] == 100


def test_both_paths_get_the_distorted_recording(config, perfect, monkeypatch):
    monkeypatch.setattr(distort, "CONDITIONS", (("white", 0.0),))
    with pytest.raises(KeyError):  # the stub knows clean recordings alone
        measure(config)
    told = [json.loads(line) for line in (config.work / "transcripts.jsonl").read_text().splitlines()]
    assert [(each["condition"], each["level"], each["words"]) for each in told] == [("white", 0.0, "")] * 8


def test_the_summary_tells_leads_from_leads_within_the_error():
    def case(condition, level, direct, transcribed):
        means = {"s2i_equal": direct, "transcribe": transcribed, "transcribe_whisper": transcribed - 5}
        scores = {name: {"mean": mean, "std": 1.0} for name, mean in means.items()}
        return {"condition": condition, "level": level, **scores, "word_error_rate": 12.3}

    cases = [case("clean", None, 20.0, 30.0), case("white", 10.0, 21.0, 20.0), case("white", 0.0, 15.0, 4.0)]
    *lines, direct, transcribed = noise.summary(cases).splitlines()
    assert direct == "direct is ahead at: white 10 dB (+1.0, within the error); white 0 dB (+11.0)"
    assert transcribed == "transcribed is ahead at: clean (-10.0)"
    assert "12.3 %" in lines[1]
    assert noise.summary(cases[:1]).splitlines()[-2] == "direct is ahead at: nothing"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resolution": 99}, ("--resolution 99", "8, 16, 32 px")),
        ({"noise_samples": 10_000}, ("--noise-samples 10000", "give fewer")),
        ({"evaluators": Path("none")}, (CLASSIFIER, "not found")),
        ({"baselines": Path("none")}, ("s2i_equal.safetensors", "not found")),
        ({"corpus": Path("none.h5")}, ("none.h5", "not found")),
    ],
)
def test_bad_requests_are_refused_before_any_listening(config, changes, words):
    with pytest.raises(InputError) as caught:
        measure(replace(config, **changes))
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)
    assert Ear.heard == 0
    assert not config.work.exists()


def test_a_missing_recogniser_is_told_with_the_remedy(config, monkeypatch, tmp_path):
    monkeypatch.setattr(noise, "listeners", lambda corpus, model: transcribe.recogniser(corpus, tmp_path))
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(InputError, match="run: pip install pocketsphinx"):
        measure(config)


def test_all_recordings_are_painted_in_batches(config, monkeypatch):
    log = []
    monkeypatch.setattr(noise, "BATCH", 3)
    model = Perfect(True, {0.0: torch.ones(512)}, log)
    spoken = EvaluationSet.of(Corpus(config.corpus), 8, 0)
    evaluation = SimpleNamespace(
        config=config, evaluators=SimpleNamespace(held_out_matcher=SimpleNamespace(look=lambda pictures: pictures))
    )
    vectors = noise._paint(evaluation, model, spoken, [torch.zeros(1)] * 8, [""] * 8, 1)
    assert vectors.shape == (8, 512)
    assert [len(seeds) for _, seeds, _ in log] == [3, 3, 2]
    assert [seed[-1] for _, seeds, _ in log for seed in seeds] == spoken.pictures.tolist()
    assert {resolution for *_, resolution in log} == {16}
