import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from datasets import synthetic
from datasets.errors import InputError
from datasets.synthetic import BirdAttributes

BIRD = BirdAttributes("yellow", "red", "blue", "white", "long", "large", "leaves")


def share(picture, colour, near=30):
    """The share of pixels within `near` of a colour of the vocabulary."""
    return (np.abs(picture.astype(int) - synthetic.COLOURS[colour]).max(-1) < near).mean()


def test_draw_is_a_picture_that_repeats_by_seed():
    picture = synthetic.draw(BIRD, 64, 0)
    assert picture.shape == (64, 64, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, synthetic.draw(BIRD, 64, 0))
    assert not np.array_equal(picture, synthetic.draw(BIRD, 64, 1))


@pytest.mark.parametrize("seed", range(4))
def test_every_colour_of_the_bird_can_be_seen(seed):
    picture = synthetic.draw(BIRD, 128, seed)
    for colour in ("yellow", "red", "blue", "white"):
        assert share(picture, colour) > 0.01, colour
    assert share(picture, "black") < 0.01  # only the eye


@pytest.mark.parametrize("part", ["body", "head", "wing", "belly"])
def test_one_colour_changes_one_part(part):
    old = synthetic.draw(BIRD, 128, 0)
    new = synthetic.draw(dataclasses.replace(BIRD, **{part: "black"}), 128, 0)
    changed = (old != new).any(-1)
    assert 0.01 < changed.mean() < 0.25
    assert (new[changed].mean(-1) < old[changed].mean(-1)).mean() > 0.9


def test_a_long_beak_and_a_large_bird_take_more_of_the_picture():
    def bird_area(attributes):
        return sum(share(synthetic.draw(attributes, 128, 0), colour) for colour in ("yellow", "red", "blue", "white"))

    assert bird_area(BIRD) > 1.4 * bird_area(dataclasses.replace(BIRD, size="small"))
    long, short = (synthetic.draw(dataclasses.replace(BIRD, beak=beak), 128, 0) for beak in ("long", "short"))
    beak = np.array((222, 158, 54))
    counts = [(np.abs(picture.astype(int) - beak).max(-1) < 12).sum() for picture in (long, short)]
    assert counts[0] > 1.5 * counts[1]


def test_the_edges_are_smooth():
    picture = synthetic.draw(dataclasses.replace(BIRD, background="sky"), 128, 0).astype(int)
    # Between the red head and the background lie mixtures of both, which no part of the bird is.
    mixtures = (picture[..., 0] > 160) & (picture[..., 0] < 215) & (picture[..., 1] > 60) & (picture[..., 1] < 150)
    assert mixtures.sum() > 20


@pytest.mark.parametrize("size", [15, 4000])
def test_draw_refuses_sizes_out_of_range(size):
    with pytest.raises(InputError, match="size"):
        synthetic.draw(BIRD, size, 0)


@pytest.mark.parametrize("seed", range(40))
def test_sentences_are_true(seed):
    attributes = BirdAttributes("yellow", "red", "blue", "white", "long", "small")
    words = synthetic.describe(attributes, seed).split()
    assert " ".join(words).islower()
    for noun, truth in {
        "head": "red",
        "crown": "red",
        "wings": "blue",
        "belly": "white",
        "breast": "white",
        "body": "yellow",
        "back": "yellow",
        "beak": "long",
        "bill": "long",
    }.items():
        if noun in words:
            assert words[words.index(noun) - 1] == truth
    assert {"black", "green", "short", "large"}.isdisjoint(words)


def test_templates_vary_and_mind_the_article():
    orange = BirdAttributes("orange", "orange", "orange", "orange")
    spoken = synthetic.sentences(orange, 7, 0)
    assert len(set(spoken)) == 7  # all but the one that would say the colour twice
    assert not [sentence for sentence in spoken if "a orange" in sentence or "orange and orange" in sentence]
    assert sum("an orange" in sentence for sentence in spoken) >= 4
    assert len(synthetic.sentences(orange, 20, 0)) == 20
    assert len({synthetic.describe(BIRD, seed) for seed in range(60)}) == len(synthetic.TEMPLATES)


def test_species_differ_and_individuals_keep_their_colours():
    looks = synthetic.species_attributes(50, 0)
    assert len(set(looks)) == 50
    assert looks == synthetic.species_attributes(50, 0)
    assert looks != synthetic.species_attributes(50, 1)
    young = {synthetic.individual(looks[0], seed) for seed in range(60)}
    assert len(young) == 8  # 2 sizes before 4 backgrounds
    defaults = {"size": looks[0].size, "background": looks[0].background}
    assert {dataclasses.replace(bird, **defaults) for bird in young} == {looks[0]}
    with pytest.raises(InputError, match="n-species"):
        synthetic.species_attributes(0, 0)


def test_birds_come_species_by_species():
    made = list(synthetic.birds(7, 3, 32, 0, captions=2))
    assert [bird[1] for bird in made] == [0, 1, 2, 0, 1, 2, 0]
    looks = synthetic.species_attributes(3, 0)
    for picture, kind, attributes, captions in made:
        assert picture.shape == (32, 32, 3)
        assert attributes.head == looks[kind].head
        assert len(captions) == 2
    assert not np.array_equal(made[0][0], made[3][0])
    again = list(synthetic.birds(7, 3, 32, 0, captions=2))
    assert all(np.array_equal(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(made, again, strict=True))


def test_entries_are_the_same_birds_split_by_species():
    entries = synthetic.entries(24, 12, 48, 0)
    drawn = list(synthetic.birds(24, 12, 48, 0))
    assert [entry.captions for entry in entries] == [bird[3] for bird in drawn]
    decoded = np.asarray(Image.open(io.BytesIO(entries[5].picture())))
    assert np.abs(decoded.astype(int) - drawn[5][0]).mean() < 6  # JPEG
    splits = {}
    for entry in entries:
        assert splits.setdefault(entry.species, entry.split) == entry.split
    counts = sorted(list(splits.values()).count(split) for split in ("train", "validation", "test"))
    assert counts == [2, 2, 8]
