import itertools
import math

import pytest
from nltk.lm import WittenBellInterpolated
from nltk.util import everygrams

from datasets.captions import tokenize
from datasets.errors import InputError
from datasets.language_model import TrigramModel

CAPTIONS = ("A red bird.", "a blue bird")
BIRDS = (
    "this bird has a red head and black wings",
    "this bird has a red belly, and a black beak!",
    "a small bird with black and white wings",
    "the wings of this small bird are the red of a rose",
    "bird",
)


def read_arpa(path):
    """The logarithms of an ARPA file: ({n-gram: of its probability}, {n-gram: of its backoff weight}, counts told)."""
    probabilities, backoffs, told = {}, {}, {}
    length = 0
    lines = iter(path.read_text(encoding="ascii").splitlines())
    assert next(lines) == "\\data\\"
    for line in lines:
        if line.startswith("ngram "):
            order, count = line.removeprefix("ngram ").split("=")
            told[int(order)] = int(count)
        elif line.endswith("-grams:"):
            length += 1
            assert line == f"\\{length}-grams:"
        elif line == "\\end\\":
            break
        elif line:
            number, words, *backoff = line.split("\t")
            gram = tuple(words.split())
            assert len(gram) == length
            assert gram not in probabilities
            probabilities[gram] = float(number)
            if backoff:
                backoffs[gram] = float(backoff[0])
    assert list(lines) == []
    return probabilities, backoffs, told


def by_arpa(probabilities, backoffs, word, history):
    """P(word | history) by the rule of the ARPA format."""
    if (*history, word) in probabilities:
        return 10 ** probabilities[(*history, word)]
    return 10 ** backoffs.get(history, 0.0) * by_arpa(probabilities, backoffs, word, history[1:])


def histories(words):
    """All there can be, of no, one and two words."""
    return [(), *((word,) for word in ["<s>", *words]), *itertools.product(["<s>", *words], words)]


def test_probabilities_are_those_of_the_equation():
    model = TrigramModel(CAPTIONS, ["a", "bird", "blue", "red"])
    assert model.words == ["a", "bird", "blue", "red"]
    # 8 words in all with the two ends, 5 different ones, each of them 1/5 before anything is counted.
    assert model.probability("red") == pytest.approx((1 + 5 / 5) / (8 + 5))
    assert model.probability("a") == pytest.approx(3 / 13)
    assert model.probability("</s>") == pytest.approx(3 / 13)
    # After "a" two words, both different.
    assert model.probability("red", ["a"]) == pytest.approx((1 + 2 * 2 / 13) / 4)
    assert model.probability("bird", ["a"]) == pytest.approx(2 * 3 / 13 / 4)
    assert model.probability("red", ["<s>", "a"]) == pytest.approx((1 + 2 * (1 + 4 / 13) / 4) / 4)
    # After "a red", as after "red", one word.
    assert model.probability("bird", ["a", "red"]) == pytest.approx((1 + (1 + 3 / 13) / 2) / 2)
    # Never seen: "a bird" and, after "bird", "red", whose backoff weight is 1 kind / (2 words + 1 kind).
    assert model.probability("red", ["a", "bird"]) == pytest.approx(1 / 3 * 2 / 13)
    assert model.probability("red", ["and", "then", "a", "bird"]) == pytest.approx(1 / 3 * 2 / 13)
    assert model.probability("green", ["a"]) == model.probability("<s>", ["a"]) == 0


def test_probabilities_are_those_of_nltk():
    model = TrigramModel(BIRDS, tokenize(" ".join(BIRDS)))
    sentences = [["<s>", *tokenize(caption), "</s>"] for caption in BIRDS]
    reference = WittenBellInterpolated(3)
    grams = [[gram for gram in everygrams(words, max_len=3) if gram != ("<s>",)] for words in sentences]
    reference.fit(grams, vocabulary_text=[word for words in sentences for word in words])
    unigrams = reference.counts.unigrams
    # Its single words are not smoothed; ours are, with 1 / D for each of the D there are, which the first test checks.
    reference.estimator.unigram_score = lambda word: (unigrams[word] + 1) / (unigrams.N() + unigrams.B())
    for history in histories(model.words):
        for word in [*model.words, "</s>"]:
            assert model.probability(word, history) == pytest.approx(reference.score(word, history or None), rel=1e-12)


def test_probabilities_sum_to_one_for_every_history():
    model = TrigramModel(BIRDS, " ".join(BIRDS).split())
    for history in histories(model.words):
        assert sum(model.probability(word, history) for word in [*model.words, "</s>"]) == pytest.approx(1, abs=1e-12)


def test_the_file_gives_the_same_probabilities_by_the_rule_of_its_format(tmp_path):
    model = TrigramModel(BIRDS, " ".join(BIRDS).split())
    model.write(tmp_path / "new" / "birds.lm")
    probabilities, backoffs, told = read_arpa(tmp_path / "new" / "birds.lm")
    lengths = [len(gram) for gram in probabilities]
    assert told == {length: lengths.count(length) for length in (1, 2, 3)}
    assert probabilities[("<s>",)] == -99
    for gram in probabilities:  # readers take for granted that both are there
        assert gram[1:] in probabilities or len(gram) == 1
        assert gram[:-1] in backoffs or len(gram) == 1
    assert set(backoffs) <= set(probabilities)
    for history in histories(model.words):
        values = [by_arpa(probabilities, backoffs, word, history) for word in [*model.words, "</s>"]]
        wanted = [model.probability(word, history) for word in [*model.words, "</s>"]]
        assert values == pytest.approx(wanted, rel=1e-5)
        assert sum(values) == pytest.approx(1, abs=1e-5)


def test_sphinx_reads_the_same_probabilities(tmp_path):
    pocketsphinx = pytest.importorskip("pocketsphinx")
    model = TrigramModel(BIRDS, " ".join(BIRDS).split())
    model.write(tmp_path / "birds.lm")
    read = pocketsphinx.NGramModel.readfile(str(tmp_path / "birds.lm"))
    for history in histories(model.words):
        for word in [*model.words, "</s>"]:
            logarithm = read.prob([word, *reversed(history)]) * math.log(1.0001)  # its own base
            assert logarithm == pytest.approx(math.log(model.probability(word, history)), abs=3e-3)


def test_unknown_words_are_in_no_n_gram_but_counted(tmp_path):
    model = TrigramModel(["a xyzzy bird", "a bird", "xyzzy plugh", "a xyzzy"], ["a", "bird", "cat"])
    assert model.words == ["a", "bird"]
    assert model.unknown_words == {"xyzzy": 3, "plugh": 1}
    assert list(model.unknown_words) == ["xyzzy", "plugh"]
    model.write(tmp_path / "a.lm")
    probabilities, _, _ = read_arpa(tmp_path / "a.lm")
    assert {gram for gram in probabilities if len(gram) > 1} == {
        ("<s>", "a"),
        ("a", "bird"),
        ("bird", "</s>"),
        ("<s>", "a", "bird"),
        ("a", "bird", "</s>"),
    }
    # "a" thrice, but only once is known what comes after: N = 1, D = 1; unigrams: a 3, bird 2, end 4.
    assert model.probability("bird", ["a"]) == pytest.approx((1 + (2 + 3 / 3) / (9 + 3)) / 2)
    for history in histories(model.words):
        assert sum(model.probability(word, history) for word in ("a", "bird", "</s>")) == pytest.approx(1)


@pytest.mark.parametrize("captions", [[], ["", "?!"], ["xyzzy"]])
def test_captions_without_known_words_are_refused(captions):
    with pytest.raises(InputError, match="captions: hold no word of the vocabulary") as caught:
        TrigramModel(captions, ["bird"])
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        TrigramModel(CAPTIONS, ["bird"]).write(tmp_path)
    assert list(tmp_path.iterdir()) == []
