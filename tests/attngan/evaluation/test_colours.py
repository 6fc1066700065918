import matplotlib.colors
import numpy as np
import pytest
import torch

from attngan.evaluation import colours
from attngan.evaluation.colour_words import COLOURS, colour_words
from datasets import synthetic
from datasets.errors import InputError
from datasets.loader import to_unit
from scripts.fit_colour_thresholds import fit_thresholds, mention_rates

FLAT = {
    "black": (12, 12, 14),
    "white": (250, 250, 246),
    "grey": (128, 130, 128),
    "brown": (110, 72, 40),
    "red": (200, 20, 30),
    "orange": (240, 130, 20),
    "yellow": (245, 215, 40),
    "green": (50, 140, 60),
    "blue": (30, 80, 200),
    "purple": (120, 40, 160),
    "pink": (250, 160, 190),
}


def flat(colour, side=64):
    """One picture [1, 3, side, side] of a single colour in 0..255."""
    return to_unit(torch.tensor(colour, dtype=torch.uint8)).view(1, 3, 1, 1).expand(1, 3, side, side)


def bird(colour, background, side=64):
    """A disc in the middle of a background, [1, 3, side, side]."""
    places = (torch.arange(side) + 0.5) * 2 / side - 1
    inside = (places[:, None].square() + places.square() < 0.5**2).expand(1, 3, side, side)
    return torch.where(inside, flat(colour, side), flat(background, side))


def share(pictures, colour):
    return colours.colour_shares(pictures)[:, COLOURS.index(colour)]


@pytest.fixture(scope="module")
def drawn():
    """Pictures, captions and species of 400 drawn birds, and thresholds fitted to the first half of the species."""
    made = list(synthetic.birds(400, 40, 64, 1, captions=6))
    pictures = to_unit(torch.from_numpy(np.stack([picture for picture, *_ in made])).permute(0, 3, 1, 2))
    species = torch.tensor([kind for _, kind, *_ in made])
    shares, seen = colours.colour_shares(pictures), species < 20
    truths = [[f"{a.body} {a.head} {a.wing} {a.belly} bird"] for _, _, a, _ in made]
    thresholds = fit_thresholds(shares[seen], mention_rates([t for t, s in zip(truths, seen, strict=True) if s]))
    test = (~seen).nonzero()[:, 0]
    return shares[test], [made[k][3] for k in test], species[test], thresholds


# Colours


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("side", [16, 64, 100, 256])
def test_a_flat_picture_has_one_colour(colour, side):
    assert share(flat(FLAT[colour], side), colour).item() == pytest.approx(1)


@pytest.mark.parametrize("colour", synthetic.COLOURS)
def test_the_colours_of_drawn_birds_are_what_they_are_called(colour):
    assert share(flat(synthetic.COLOURS[colour]), colour).item() == pytest.approx(1)


def test_people_call_the_colours_the_same():
    # The survey of xkcd.com (Munroe 2010, 222 500 sessions): names with one basic word and no other, as "dark red".
    right = {colour: [] for colour in COLOURS}
    for name, code in matplotlib.colors.XKCD_COLORS.items():
        words = name.removeprefix("xkcd:").replace("gray", "grey").replace("/", " ").split()
        basic = [word for word in words if word in right]
        if len(basic) == 1 and len(words) <= 2 and colour_words(" ".join(words)) == set(basic):
            rgb = torch.tensor(matplotlib.colors.to_rgb(code))
            right[basic[0]].append(COLOURS[colours.basic_colours(rgb, colours.cielab(rgb))] == basic[0])
    assert sum(map(len, right.values())) > 250
    means = {colour: np.mean(hits) for colour, hits in right.items()}
    assert np.mean(list(means.values())) > 0.88
    assert means.pop("brown") > 0.45  # mustard and olive browns are yellow here, as yellow birds in the shade are
    assert min(means.values()) > 0.75


def test_basic_colours_equal_a_slow_conversion():
    # CIELAB of sRGB primaries and a grey by Lindbloom (D65), and hues of HSV by matplotlib.
    rgb = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5], [1, 1, 1], [0, 0, 0]])
    expected = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [53.39, 0, 0], [100, 0, 0]]
    assert colours.cielab(rgb).numpy() == pytest.approx(np.array([*expected, [0, 0, 0]]), abs=0.02)
    many = torch.rand(500, 3, generator=torch.Generator().manual_seed(0))
    hues = matplotlib.colors.rgb_to_hsv(many.numpy())[:, 0] * 360
    assert colours._hue(many).numpy() == pytest.approx(hues, abs=1e-2)


# Shares


def test_shares_are_shares():
    pictures = torch.rand(70, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = colours.colour_shares(pictures)
    assert found.shape == (70, len(COLOURS))
    assert found.min() >= 0
    assert found.sum(1).numpy() == pytest.approx(np.ones(70), abs=1e-5)
    assert colours.colour_shares(pictures[66:67]) == pytest.approx(found[66:67])  # whatever else is in the batch
    assert colours.colour_shares(pictures[:0]).shape == (0, len(COLOURS))


@pytest.mark.parametrize("colour", COLOURS)
def test_the_background_hardly_counts(colour):
    other = "blue" if colour == "green" else "green"
    found = colours.colour_shares(bird(FLAT[colour], FLAT[other]))[0]
    assert found[COLOURS.index(colour)] > 0.99
    assert found[COLOURS.index(other)] < 0.01


def test_the_centre_counts_more_than_the_rest():
    # A stripe through the middle and as wide a one beside it, both as long as the picture.
    picture = flat(FLAT["white"]).clone()
    middle, beside = picture.clone(), picture.clone()
    middle[..., 28:36] = flat(FLAT["red"])[..., :8]
    beside[..., 44:52] = flat(FLAT["red"])[..., :8]
    assert share(middle, "red") > share(beside, "red") > 0


def test_more_of_a_colour_is_a_larger_share():
    found = [
        share(
            torch.cat([bird(FLAT["red"], FLAT["green"])[:, :, :k], bird(FLAT["black"], FLAT["green"])[:, :, k:]], 2),
            "red",
        )
        for k in (16, 26, 32, 38, 48)
    ]
    assert found == sorted(found)
    assert found[2].item() == pytest.approx(0.5, abs=0.02)


def test_shares_do_not_depend_on_resolution_or_mirroring():
    large = bird(FLAT["red"], FLAT["blue"], side=256)
    assert colours.colour_shares(large) == pytest.approx(
        colours.colour_shares(bird(FLAT["red"], FLAT["blue"])), abs=0.07
    )  # the outline is mixed
    noisy = large + 0.2 * torch.randn(large.shape, generator=torch.Generator().manual_seed(0))
    assert colours.colour_shares(noisy) == pytest.approx(colours.colour_shares(noisy.flip(3)), abs=1e-4)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (torch.zeros(3, 64, 64), "should be"),
        (torch.zeros(1, 1, 64, 64), "should be"),
        (torch.zeros(1, 3, 4, 4), "at least 8"),
        (torch.full((1, 3, 64, 64), float("nan")), "not finite"),
    ],
)
def test_what_is_no_picture_is_refused(pictures, message):
    with pytest.raises(InputError, match=message):
        colours.colour_shares(pictures)


# Thresholds


def test_there_is_a_threshold_for_every_colour():
    assert set(colours.THRESHOLDS) == set(COLOURS)
    assert all(colours.LEAST_SHARE <= limit < 0.5 for limit in colours.THRESHOLDS.values())


# Right or not


@pytest.mark.parametrize("colour", COLOURS)
def test_a_flat_bird_is_right_about_its_colour_only(colour):
    captions = [f"a {name} bird" for name in COLOURS]
    shares = colours.colour_shares(bird(FLAT[colour], (96, 120, 60)).expand(11, 3, 64, 64))
    hits = colours.colour_hits(shares, captions)
    assert (hits.said == torch.eye(11, dtype=torch.bool)).all()
    assert [name for name, right in zip(COLOURS, hits.right.any(1), strict=True) if right] == [colour]


def test_words_without_a_threshold_do_not_count():
    shares = colours.colour_shares(bird(FLAT["red"], FLAT["green"]))
    hits = colours.colour_hits(shares, ["a red and black bird"], {"black": 0.1})
    assert hits.said.sum() == 1
    assert not hits.right.any()


def test_a_caption_for_each_picture_is_needed():
    with pytest.raises(InputError, match="captions: 2 for 1"):
        colours.colour_hits(colours.colour_shares(flat(FLAT["red"])), ["a red bird"] * 2)


def test_drawn_birds_are_nearly_always_right(drawn):
    shares, captions, species, thresholds = drawn
    first = [own[0] for own in captions]
    found = colours.agreement(shares, first, species, thresholds)
    assert found["all"].own > 90
    assert found["all"].exchanged < 50
    hits = colours.colour_hits(shares, first, thresholds)
    assert float(100 * hits.right.sum() / hits.said.sum()) == pytest.approx(found["all"].own)
    assert all(each.own > each.exchanged for each in found.values())


def test_agreement_is_the_mean_of_all_exchanges(drawn):
    shares, captions, species, thresholds = (each[:30] if not isinstance(each, dict) else each for each in drawn)
    first = [own[1] for own in captions]
    right = said = 0
    for k in range(30):
        others = [j for j in range(30) if species[j] != species[k]]
        hits = colours.colour_hits(shares[others], [first[k]] * len(others), thresholds)
        right, said = right + hits.right.sum() / len(others), said + hits.said.sum() / len(others)
    found = colours.agreement(shares, first, species, thresholds)
    assert found["all"].exchanged == pytest.approx(float(100 * right / said), rel=1e-5)


def test_agreement_vanishes_when_birds_are_exchanged_or_colourless(drawn):
    shares, captions, species, thresholds = drawn
    first = [own[0] for own in captions]
    order = np.random.default_rng(0).permutation(len(shares))
    gaps = [
        found.own - found.exchanged
        for found in (
            colours.agreement(each, first, species, thresholds)["all"]
            for each in (shares, shares[order], torch.full_like(shares, 1 / 11))
        )
    ]
    assert gaps[0] > 45
    assert abs(gaps[1]) < 10
    assert gaps[2] == pytest.approx(0)


def test_agreement_needs_two_species(drawn):
    shares, captions, species, thresholds = drawn
    with pytest.raises(InputError, match="all pictures are of one"):
        colours.agreement(shares, [own[0] for own in captions], torch.zeros_like(species), thresholds)
    assert colours.agreement(shares[:20], ["a small bird"] * 20, species[:20], thresholds) == {}
