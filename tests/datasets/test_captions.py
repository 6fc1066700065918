import pytest
import torch

from datasets.captions import MAX_WORDS, Vocabulary, pad, tokenize
from datasets.errors import InputError


def test_tokenize_keeps_words_and_digits():
    assert tokenize("A red-headed bird's 2 wings, très JOLI.") == [
        *("a", "red", "headed", "bird", "s", "2", "wings", "tr", "s", "joli")
    ]
    assert tokenize("?! ...") == []


def test_build_counts_and_orders():
    vocabulary = Vocabulary.build(["red bird", "red wing", "Red bird", "bird wing", "rare"], min_count=2)
    assert vocabulary.words == ["<end>", "<unk>", "bird", "red", "wing"]  # 3, 3 (by the alphabet), 2
    assert len(vocabulary) == 5
    assert "red" in vocabulary
    assert "rare" not in vocabulary


def test_encode_and_decode():
    vocabulary = Vocabulary(["<end>", "<unk>", "bird", "red"])
    assert vocabulary.encode("a red, red bird") == [1, 3, 3, 2]
    assert vocabulary.encode("a red, red bird", max_words=2) == [1, 3]
    assert len(vocabulary.encode("bird " * 99)) == MAX_WORDS
    assert vocabulary.decode([3, 2, 0, 0]) == "red bird"
    with pytest.raises(InputError, match=r"caption '\.\.\.': no words in it"):
        vocabulary.encode("...")


@pytest.mark.parametrize("words", [[], ["<end>"], ["<unk>", "<end>", "bird"], ["bird", "red"]])
def test_a_vocabulary_without_its_two_marks_is_refused(words):
    with pytest.raises(InputError, match="vocabulary: must begin with"):
        Vocabulary(words)


def test_pad():
    tokens, mask = pad([[5], [6, 7, 8], [9, 1]])
    assert tokens.tolist() == [[5, 0, 0], [6, 7, 8], [9, 1, 0]]
    assert tokens.dtype == torch.int64
    assert mask.tolist() == [[True, False, False], [True, True, True], [True, True, False]]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yelow", "yellow"),
        ("wigns", "wings"),  # two letters exchanged are one edit
        ("whit", "white"),  # "with", as near, is rarer in these captions
        ("turqoisee", "turquoise"),
        ("turkuoyse", "turquoise"),  # two edits, of nine letters
        ("yeelooww", None),  # three of eight
        ("whole", None),
        ("rad", None),  # too short to tell
        ("qzxy", None),
        ("x" * 1000, None),
    ],
)
def test_the_word_that_was_meant_is_the_nearest_and_most_frequent(written, meant):
    vocabulary = Vocabulary(["<end>", "<unk>", "white", "with", "red", "yellow", "wings", "turquoise"])
    assert vocabulary.nearest(written) == meant
