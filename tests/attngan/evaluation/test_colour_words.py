import pytest
import torch

from attngan.evaluation.colour_words import COLOURS, MEANING, colour_words, named_colours


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("this bird is red", "red"),
        ("A Red Bird, with WHITE wings!", "red white"),
        ("a gray crown and grey back", "grey"),
        ("the bird is blue-grey", "blue grey"),
        ("it has a blueish back with bluish, reddish and greenish tones", "blue red green"),
        ("a tan belly and a crimson head", "brown red"),
        ("an olive bird with a golden throat", "green yellow"),
        ("a teal and violet bird with rusty wings", "blue purple brown"),
        ("browns and greys all over", "brown grey"),
        ("a small bird with a long tail", ""),
        ("this bird is dark and colorful", ""),
        ("", ""),
        # words that only look like it
        ("a redstart or a blackbird, a bird of prey in greenery", ""),
        # negations
        ("a black bird with no red", "black"),
        ("a black bird without any red or yellow", "black"),
        ("it is not white but brown", "brown"),
        ("the crown isn't blue", ""),
        ("neither black nor white, it is yellow", "yellow"),
        ("there is no tail and the wings are green", "green"),
        ("it lacks pink and has a red throat", "red"),
        ("black all over except for a white belly", "black white"),
    ],
)
def test_colours_of_captions(caption, expected):
    assert colour_words(caption) == set(expected.split())


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a red bird with an orange beak", "red"),
        ("a red bird with a long pointed black and orange bill", "red"),
        ("a grey bird with pink feet and black eyes", "grey"),
        ("its beak is orange and its feet are bright yellow", ""),
        ("blue wings and eyes that are black and white", "blue"),
        ("a yellow eyering and a yellow belly", "yellow"),
        ("an orange billed, white bellied bird", "white"),
        ("the head is red and the beak is short", "red"),
        ("the bird is white and has a short beak", "white"),
        ("a white and grey bird with a curved beak", "white grey"),
        ("a bird with black feathers and a yellow colored beak", "black"),
    ],
)
def test_colours_of_small_parts_do_not_count(caption, expected):
    assert colour_words(caption) == set(expected.split())


def test_small_parts_count_if_asked():
    assert colour_words("a red bird with an orange beak", small_parts=True) == {"red", "orange"}
    assert colour_words("its beak is orange, with no black", small_parts=True) == {"orange"}


def test_every_word_means_one_basic_colour():
    assert set(MEANING.values()) == set(COLOURS)
    assert all(MEANING[colour] == colour for colour in COLOURS)
    assert all(colour_words(f"a {word} bird") == {colour} for word, colour in MEANING.items())


def test_named_colours():
    names = named_colours(["a red bird", "a small bird", "black and white wings"])
    assert names.dtype == torch.bool
    assert [[COLOURS[k] for k in row.nonzero()[:, 0]] for row in names] == [["red"], [], ["black", "white"]]
    assert named_colours([]).shape == (0, len(COLOURS))
