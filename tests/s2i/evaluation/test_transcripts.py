import json

import numpy as np
import pytest
import torch

from datasets import audio, corpus
from datasets.corpus import Corpus, Tables
from datasets.errors import InputError
from s2i.evaluation import transcripts
from s2i.evaluation.transcripts import Waves, transcribe, wave_of
from s2i.model.transcribe import Recogniser

COLOURS = ("red", "yellow", "white", "black", "brown", "grey")


def write(path, **changes):
    """Six pictures of three species, each caption spoken by a heard and by an unheard voice."""
    values = {
        "species": ["crow", "finch", "gull"],
        "picture_names": list(COLOURS),
        "picture_species": [0, 0, 1, 1, 2, 2],
        "picture_split": [0, 0, 2, 2, 2, 2],
        "captions": [f"a small bird with {colour} wings" for colour in COLOURS],
        "caption_picture": list(range(6)),
        "recording_picture": [k // 2 for k in range(12)],
        "recording_caption": [k // 2 for k in range(12)],
        "recording_voice": [k % 2 for k in range(12)],
        "recording_seed": list(range(12)),
        "voice_names": ["espeak-us", "espeak-us-f5"],
        "voice_heard": [True, False],
    }
    tables = Tables(**(values | changes))
    kept = [np.zeros((30, 40), np.float32)] * 12 if -1 in tables.recording_caption else None
    corpus.write(path, tables, [b""] * 6, kept, sources={}, config={})
    return Corpus(path)


@pytest.fixture
def birds(tmp_path):
    opened = write(tmp_path / "birds.h5")
    yield opened
    opened.close()


class Ear:
    """Notes what it listened to, and hears how long that was."""

    def __init__(self, identity="ear", fails_at=None):
        self.identity, self.fails_at = identity, fails_at
        self.heard = []

    def __call__(self, wave):
        if len(self.heard) == self.fails_at:
            raise KeyboardInterrupt
        self.heard.append(wave)
        return f"word {len(wave)}"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "work" / "transcripts.jsonl"


def test_a_recording_sounds_as_the_log_mel_of_the_corpus_says(birds):
    for recording in (0, 5):
        torch.testing.assert_close(audio.log_mel(wave_of(birds, recording)), birds.mel(recording))
    assert len(wave_of(birds, 0)) != len(wave_of(birds, 1))


def test_recordings_of_people_are_refused_in_one_line(tmp_path):
    for number, changes in enumerate(({"voice_names": ["own", "own"]}, {"recording_caption": [-1] * 12})):
        own = write(tmp_path / f"own{number}.h5", **changes)
        with pytest.raises(InputError, match=r"own\d.h5: recording 3 .* give a corpus") as caught:
            wave_of(own, 3)
        assert "\n" not in str(caught.value)


def test_noise_and_babble_are_the_same_again_and_other_with_another_seed(birds):
    for condition in ("white", "babble"):
        first, again, other = (Waves(birds, seed)(6, condition, 5.0) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert first.shape == wave_of(birds, 6).shape
        assert not torch.equal(first, other)
    assert torch.equal(Waves(birds, 1)(6), wave_of(birds, 6))
    noises = [Waves(birds)(recording, "white", 20.0) - wave_of(birds, recording) for recording in (6, 7)]
    shorter = min(map(len, noises))
    assert abs(np.corrcoef(noises[0][:shorter], noises[1][:shorter])[0, 1]) < 0.05


def test_those_who_babble_are_of_the_test_split_and_describe_other_pictures(birds, monkeypatch):
    said = []

    def listened(opened, recording):
        said.append(recording)
        return wave_of(opened, recording)

    monkeypatch.setattr(transcripts, "wave_of", listened)
    waves = Waves(birds, 0)
    waves(6, "babble", 5.0)
    assert said[0] == 6
    assert set(said[1:]) == {4, 5, 8, 9, 10, 11}
    waves(6, "babble", 0.0)
    assert said[7:] == [6]  # the others are kept


def test_words_come_in_the_order_asked_for_and_are_listened_to_once(birds, cache):
    ear = Ear()
    words = transcribe(birds, [4, 7, 4], ear, cache)
    assert words == [f"word {len(wave_of(birds, k))}" for k in (4, 7, 4)]
    assert len(ear.heard) == 2
    again = Ear()
    assert transcribe(birds, np.array([7, 4]), again, cache) == words[1::-1]
    assert again.heard == []
    assert [json.loads(line)["recording"] for line in cache.read_text().splitlines()] == [4, 7]


def test_a_stopped_job_goes_on_where_it_was(birds, cache):
    with pytest.raises(KeyboardInterrupt):
        transcribe(birds, [4, 5, 6], Ear(fails_at=2), cache)
    ear = Ear()
    assert len(transcribe(birds, [4, 5, 6], ear, cache)) == 3
    assert len(ear.heard) == 1


@pytest.mark.parametrize("cut", [1, 20, -2])
def test_a_torn_line_is_passed_over_and_spoils_no_other(birds, cache, cut):
    words = transcribe(birds, [4, 5], Ear(), cache)
    whole = cache.read_bytes()
    start = whole.index(b"\n") + 1
    cache.write_bytes(whole[:cut] if cut < 0 else whole[: start + cut])
    ear = Ear()
    assert transcribe(birds, [4, 5], ear, cache) == words
    assert len(ear.heard) == 1
    assert transcribe(birds, [4, 5], Ear(fails_at=0), cache) == words


def test_lines_that_are_none_are_passed_over(birds, cache):
    cache.parent.mkdir()
    cache.write_bytes(b"[]\n\n{}\nnull\n\xff\xfe\n3\n")
    assert len(transcribe(birds, [4], Ear(), cache)) == 1
    assert transcribe(birds, [4], Ear(fails_at=0), cache)


def test_what_was_heard_otherwise_is_not_used(birds, cache, tmp_path):
    transcribe(birds, [4], Ear(), cache, condition="white", level=5.0)
    other = write(tmp_path / "other.h5", recording_seed=list(range(1, 13)))
    for given, ear, options in (
        (birds, Ear(), {"condition": "white", "level": 10.0}),
        (birds, Ear(), {"condition": "babble", "level": 5.0}),
        (birds, Ear(), {"condition": "white", "level": 5.0, "seed": 1}),
        (birds, Ear(), {}),
        (birds, Ear("other"), {"condition": "white", "level": 5.0}),
        (other, Ear(), {"condition": "white", "level": 5.0}),
    ):
        transcribe(given, [4], ear, cache, **options)
        assert len(ear.heard) == 1
    assert transcribe(birds, [4], Ear(fails_at=0), cache, condition="white", level=5.0)


def test_where_there_is_no_chance_the_seed_does_not_matter(birds, cache):
    for condition, level in (("clean", None), ("rate", 1.2), ("telephone", None)):
        transcribe(birds, [4], Ear(), cache, condition=condition, level=level, seed=0)
        assert transcribe(birds, [4], Ear(fails_at=0), cache, condition=condition, level=level, seed=9)


def test_a_copy_of_a_corpus_is_the_same(birds, cache, tmp_path):
    transcribe(birds, [4], Ear(), cache)
    copy = write(tmp_path / "copy.h5")
    assert transcribe(copy, [4], Ear(fails_at=0), cache)


def test_a_recogniser_hears_the_captions_and_is_told_from_another(birds, cache, tmp_path):
    recogniser = Recogniser.from_captions(birds.captions, tmp_path / "recogniser")
    assert transcribe(birds, [4, 8], recogniser, cache) == [birds.captions[k] for k in (2, 4)]
    other = Recogniser.from_captions(["a blue bird"], tmp_path / "other")
    assert transcribe(birds, [4], other, cache) != [birds.captions[2]]
    assert len(cache.read_text().splitlines()) == 3


def test_places_that_cannot_be_written_are_refused(birds, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        transcribe(birds, [4], Ear(), tmp_path / "file" / "transcripts.jsonl")
    with pytest.raises(InputError, match="folder"):
        transcribe(birds, [4], Ear(), tmp_path)
