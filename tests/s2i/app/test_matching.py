import numpy as np
import pytest

from datasets.errors import InputError
from s2i.app.matching import HeldOutMatcher, SpeechMatch, distractors, load_held_out_matcher
from s2i.model.text_reader import TextReader

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def test_the_rank_counts_the_descriptions_that_match_better(talking):
    judge = HeldOutMatcher(talking / "damsm.safetensors")
    matches = [judge(PICTURE, text) for text in distractors()]
    best = max(matches, key=lambda match: match.cosine)
    assert best.rank == 1
    assert best.of == 100
    ordered = sorted(matches, key=lambda match: -match.cosine)
    assert [match.rank for match in ordered] == sorted(match.rank for match in matches)
    assert ordered[-1].rank > 50
    with pytest.raises(InputError, match="empty"):
        judge(PICTURE, " ")


def test_without_a_judge_there_is_none(talking, small):
    assert load_held_out_matcher(talking) is None
    (talking / "evaluators").mkdir()
    small.damsm(talking / "evaluators" / "judge.safetensors", seed=4)
    assert load_held_out_matcher(talking) is not None


def test_speech_is_matched_by_its_condition(talking):
    match, reader = SpeechMatch(talking), TextReader(talking)
    scores = [match(PICTURE, reader(text).condition) for text in ("a red bird", "yellow wings and head")]
    assert scores[0] != scores[1]
    assert all(-1 <= score <= 1 for score in scores)


def test_there_are_99_other_descriptions_and_all_differ():
    assert len(set(distractors())) == 99
    assert all(line.isascii() and len(line.split()) >= 5 for line in distractors())
