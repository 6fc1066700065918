import pytest

from datasets.errors import InputError
from s2i.model.text_reader import MAX_CHARACTERS, TextReader


def test_words_are_read_and_the_unknown_ones_named(talking):
    read = TextReader(talking)("A small YELLOW bird, with qzxy wings; птица!")
    assert read.words == ["a", "small", "yellow", "bird", "with", "qzxy", "wings"]
    assert read.unknown == ["qzxy", "птица"]
    assert read.condition.words.shape == (1, 256, 7)
    assert read.left_out == 0
    again = TextReader(talking)("a small yellow bird with zzz wings")
    assert (again.condition.sentence == read.condition.sentence).all()
    assert (TextReader(talking)("a red bird").condition.sentence != read.condition.sentence).any()


def test_what_comes_after_the_last_word_that_is_read_is_counted(talking):
    assert TextReader(talking)("bird " * 30).left_out == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("x" * 10_000, "10,000 characters"),
        ("a" * (MAX_CHARACTERS + 1), "characters"),
        ("малая жёлтая птица", "English"),
        ("小さな黄色い鳥", "English"),
        ("qzxy blorp", "qzxy, blorp"),
        ("!!! ???", "English"),
    ],
)
def test_text_that_cannot_be_read_is_refused_in_one_line(talking, text, words):
    with pytest.raises(InputError, match=r"^text: ") as caught:
        TextReader(talking)(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_notes_suggest_the_word_that_was_meant(talking):
    read = TextReader(talking)("a smal bird with zzzz wings and more")
    assert read.meant == {"smal": "small"}
    assert read.notes[0].startswith("words that the model does not know: smal (did you mean small?), ")
    assert TextReader(talking)("a small yellow bird").notes == []
    assert TextReader(talking)("bird " * 30).notes == ["only the first 24 words are read; 6 were left out"]


def test_a_text_of_misspelt_words_alone_is_refused_with_those_that_were_meant(talking):
    with pytest.raises(InputError, match=r"not known: yelow \(did you mean yellow\?\), brid \(did you mean bird\?\)"):
        TextReader(talking)("yelow brid")
