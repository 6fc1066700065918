import pytest
import torch

from attngan.evaluation.colour_words import COLOURS
from attngan.evaluation.colours import LEAST_SHARE
from datasets.errors import InputError
from scripts.fit_colour_thresholds import FitConfig, fit, fit_thresholds, mention_rates


def test_thresholds_part_the_described_from_the_rest():
    shares, mentioned = torch.zeros(6, 11), torch.zeros(6, 11, dtype=torch.bool)
    shares[:, 4] = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    mentioned[3:, 4] = True
    assert fit_thresholds(shares, mentioned) == {"red": pytest.approx(0.35)}
    mentioned[0, 4] = True  # one of four below: still the best place
    assert fit_thresholds(shares, mentioned) == {"red": pytest.approx(0.35)}


def test_thresholds_weigh_both_sides_the_same():
    # 90 of 100 pictures are described: saying "always" is right in 90 %, yet the threshold parts the two.
    shares, mentioned = torch.zeros(100, 11), torch.zeros(100, 11)
    shares[:, 0] = torch.linspace(0, 0.99, 100)
    mentioned[10:, 0] = 1
    assert fit_thresholds(shares, mentioned)["black"] == pytest.approx(0.095)


def test_thresholds_take_shares_of_captions():
    shares, mentioned = torch.zeros(4, 11), torch.zeros(4, 11)
    shares[:, 2] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    mentioned[:, 2] = torch.tensor([0.2, 0.1, 0.9, 0.5])
    assert fit_thresholds(shares, mentioned) == {"grey": pytest.approx(0.25)}


def test_thresholds_are_never_below_the_least():
    shares, mentioned = torch.zeros(4, 11), torch.zeros(4, 11)
    shares[:, 5] = torch.tensor([0, 1e-9, 0.1, 0.2])
    mentioned[1:, 5] = 1
    assert fit_thresholds(shares, mentioned)["orange"] >= LEAST_SHARE


def test_thresholds_need_shares_and_mentions_of_the_same_pictures():
    for shares, mentioned in (
        (torch.zeros(4, 11), torch.zeros(5, 11)),
        (torch.zeros(4, 10), torch.zeros(4, 10)),
        (torch.zeros(0, 11), torch.zeros(0, 11)),
    ):
        with pytest.raises(InputError, match="same N"):
            fit_thresholds(shares, mentioned)


def test_mention_rates():
    shares = mention_rates([["a red bird", "a small bird"], ["a red bird"]])
    assert shares[:, COLOURS.index("red")].tolist() == [0.5, 1.0]
    assert shares.sum() == 1.5


def test_thresholds_of_drawn_birds_part_the_described_from_the_rest(silent_birds):
    thresholds = fit(FitConfig(silent_birds))
    assert set(thresholds) <= set(COLOURS)
    assert all(LEAST_SHARE <= limit < 0.6 for limit in thresholds.values())
