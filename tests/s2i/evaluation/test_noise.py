import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from attngan.evaluation.evaluators import JUDGE
from datasets import distort
from datasets.captions import Vocabulary, tokenize
from datasets.corpus import Corpus
from datasets.errors import InputError
from s2i.evaluation import noise, painters
from s2i.evaluation.noise import NoiseConfig
from s2i.model import transcribe
from tests.helpers import write_damsm

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
    small.generator(tmp_path / "baselines" / "attngan.safetensors")
    vocabulary = Vocabulary.build(Corpus(birds).captions).words
    write_damsm(model / "damsm.safetensors", 3, vocabulary)
    write_damsm(tmp_path / "evaluators" / JUDGE, 4, vocabulary)
    monkeypatch.setattr(distort, "CONDITIONS", CONDITIONS)
    monkeypatch.setattr(noise, "recogniser", lambda corpus, model: Ear())
    Ear.heard = 0
    return NoiseConfig(
        corpus=birds,
        model=model,
        baselines=tmp_path / "baselines",
        evaluators=tmp_path / "evaluators",
        samples=4,
        resolution=16,
        work=tmp_path / "work",
        output=tmp_path / "out" / "noise.json",
    )


def as_options(config, **changes):
    names = ("corpus", "model", "baselines", "evaluators", "samples", "resolution", "work", "output")
    values = {name: getattr(config, name) for name in names} | changes
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def test_the_command_writes_scores_and_curves_and_says_who_is_ahead(config, capsys):
    noise.main(as_options(config))
    found = json.loads(config.output.read_text())
    assert [(each["condition"], each["level"]) for each in found] == [*CONDITIONS, ("heard voices", None)]
    for each in found:
        assert set(each) == {"condition", "level", "s2i", "transcribe", "word_error_rate"}
        for path in ("s2i", "transcribe"):
            assert 0 <= each[path]["mean"] <= 100
            assert each[path]["std"] >= 0
        assert 80 < each["word_error_rate"] <= 100
    assert Image.open(config.output.with_suffix(".png")).width >= 1000
    out = capsys.readouterr().out
    assert "direct is ahead at: " in out
    assert "transcribed is ahead at: " in out


def test_the_same_again_listens_to_nothing_and_finds_the_same(config):
    first = noise.measure(config)
    listened = Ear.heard
    assert listened == 4 * 4
    assert noise.measure(config) == first
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

    resolutions = (16,)

    def __init__(self, spoken, truths, log):
        self.spoken, self.truths, self.log = spoken, truths, log

    def read(self, texts):
        return meaning(texts)

    def listen(self, mels):
        return torch.stack([self.truths[round(float(mel.sum()), 1)] for mel in mels])

    def paint(self, condition, seeds, resolution):
        self.log.append((self.spoken, tuple(seeds), resolution))
        return condition


@pytest.fixture
def perfect(config, monkeypatch):
    """Both paths paint what they understand; the direct one knows the clean recordings."""
    corpus = Corpus(config.corpus)
    trials = painters.Trials.of(corpus, config.samples, config.seed)
    heard = painters.Trials.of(corpus, config.samples, config.seed, heard=True)
    waves = noise.transcripts.Waves(corpus, config.seed)
    truths, words = {}, {}
    for each in (trials, heard):
        for recording, caption in zip(each.recordings, each.captions, strict=True):
            wave = waves(int(recording))
            truths[round(float(noise.audio.log_mel(wave).sum()), 1)] = meaning([caption])[0]
            words[wave.numpy().tobytes()] = caption

    class Good:
        identity = "good"

        def __call__(self, wave):
            return words.get(wave.numpy().tobytes(), "")

    log = []
    monkeypatch.setattr(distort, "CONDITIONS", CONDITIONS[:1])
    monkeypatch.setattr(noise, "recogniser", lambda corpus, model: Good())
    monkeypatch.setattr(painters, "load", lambda name, **_: Perfect(name == "s2i", truths, log))
    judge = SimpleNamespace(read=meaning, image=lambda pictures: SimpleNamespace(pooled=pictures))
    monkeypatch.setattr(noise, "Matcher", lambda path: judge)
    return SimpleNamespace(words=words, truths=truths, log=log, trials=trials)


def test_what_is_understood_is_found_by_both_paths_with_the_same_noise(config, perfect):
    for each in noise.measure(config):
        assert each["s2i"]["mean"] == each["transcribe"]["mean"] == 100
        assert each["word_error_rate"] == 0
    per_case = len(perfect.log) // 2
    for case in range(0, len(perfect.log), 4):
        direct, transcribed = perfect.log[case : case + 2], perfect.log[case + 2 : case + 4]
        assert [entry[1:] for entry in direct] == [entry[1:] for entry in transcribed]
        assert all(entry[0] for entry in direct)
        assert direct[0][1] != direct[1][1]  # draws differ
    assert per_case == 4


def test_where_no_word_is_recognised_only_that_path_falls(config, perfect):
    perfect.words.clear()
    for each in noise.measure(config):
        assert each["s2i"]["mean"] == 100
        assert each["transcribe"]["mean"] == 0
        assert each["word_error_rate"] == 100


def test_both_paths_get_the_distorted_recording(config, perfect, monkeypatch):
    monkeypatch.setattr(distort, "CONDITIONS", (("white", 0.0),))
    with pytest.raises(KeyError):  # the stub knows clean recordings alone
        noise.measure(config)
    told = [json.loads(line) for line in (config.work / "transcripts.jsonl").read_text().splitlines()]
    assert [(each["condition"], each["level"], each["words"]) for each in told] == [("white", 0.0, "")] * 4


def test_the_summary_tells_leads_from_leads_within_the_error():
    def case(condition, level, direct, transcribed):
        scores = {"s2i": {"mean": direct, "std": 1.0}, "transcribe": {"mean": transcribed, "std": 1.0}}
        return {"condition": condition, "level": level, **scores, "word_error_rate": 12.3}

    cases = [case("clean", None, 20.0, 30.0), case("white", 10.0, 21.0, 20.0), case("white", 0.0, 15.0, 4.0)]
    *lines, direct, transcribed = noise.summary(cases).splitlines()
    assert direct == "direct is ahead at: white 10 dB (+1.0, within the error); white 0 dB (+11.0)"
    assert transcribed == "transcribed is ahead at: clean (-10.0)"
    assert "12.3 %" in lines[1]
    assert noise.summary(cases[:1]).splitlines()[-2] == "direct is ahead at: nothing"


def test_bad_requests_are_refused_before_any_listening(config, tmp_path):
    for changes, words in (
        ({"resolution": 99}, ("--resolution 99", "8, 16, 32 px")),
        ({"samples": 10_000}, ("--samples 10000", "give fewer")),
        ({"samples": 1}, ("--samples 1", "at least 2")),
        ({"evaluators": tmp_path / "none"}, (JUDGE, "not found")),
        ({"baselines": tmp_path / "none"}, ("attngan.safetensors", "not found")),
        ({"corpus": tmp_path / "none.h5"}, ("none.h5", "not found")),
    ):
        with pytest.raises(InputError) as caught:
            noise.main(as_options(config, **changes))
        assert all(word in str(caught.value) for word in words)
        assert "\n" not in str(caught.value)
    assert Ear.heard == 0
    assert not config.work.exists()


def test_a_missing_recogniser_is_told_with_the_remedy(config, monkeypatch, tmp_path):
    monkeypatch.setattr(noise, "recogniser", lambda corpus, model: transcribe.recogniser(corpus, tmp_path))
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(InputError, match="run: pip install pocketsphinx"):
        noise.measure(config)


def test_all_recordings_of_a_condition_are_painted_in_each_draw(config):
    found = []

    class Painter:
        spoken = True

        def listen(self, mels):
            return len(mels)

        def paint(self, condition, seeds, resolution):
            found.append((condition, len(seeds), resolution))
            return torch.zeros(condition, 3)

    trials = type("Trials", (), {"pictures": np.arange(70), "__len__": lambda self: 70})()
    judge = SimpleNamespace(image=lambda pictures: SimpleNamespace(pooled=pictures))
    seen = noise.seen_by(judge, Painter(), trials, [None] * 70, [""] * 70, config)
    assert seen.shape == (2, 70, 3)
    assert [count for count, *_ in found] == [24, 23, 23] * 2
    assert {resolution for *_, resolution in found} == {16}
