import numpy as np
import pytest
import torch

from attngan.evaluation import scores
from attngan.evaluation.colour_words import COLOURS
from attngan.evaluation.distances import FrechetDistance
from attngan.evaluation.evaluators import Observations, RealStatistics
from datasets.errors import InputError


def draws(seed):
    return torch.Generator().manual_seed(seed)


def features_of(count=120, width=6, seed=1):
    return torch.randn(count, width, generator=draws(seed))


def shown(features, *, matched=None, judged=None, probabilities=None, shares=None):
    count = len(features)
    return Observations(
        features,
        torch.full((count, 4), 0.25) if probabilities is None else probabilities,
        features_of(count, 16, 2) if matched is None else matched,
        features_of(count, 16, 3) if judged is None else judged,
        torch.full((count, 11), 1 / 11) if shares is None else shares,
    )


def distance(fake, real):
    return scores.quality([shown(fake)], RealStatistics.of(real, "x"))["fid"]["mean"]


def test_a_set_is_no_distance_from_itself():
    real = features_of()
    found = scores.quality([shown(real)], RealStatistics.of(real, "x"))
    assert found["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    assert found["kid"]["mean"] < 1e-6  # unbiased, and the same rows in both make it negative


def test_a_shift_is_as_far_as_its_square():
    real, shift = features_of(), torch.tensor([1.0, -2, 0, 0.5, 0, 0])
    assert distance(real + shift, real) == pytest.approx(float(shift.square().sum()), rel=1e-4)
    # Twice the deviation: trace(S + 4 S - 2 * 2 S) = trace(S), beside the means' distance.
    centred = real - real.mean(0)
    assert distance(2 * centred, centred) == pytest.approx(float(centred.t().cov().trace()), rel=1e-3)


def test_noise_is_farther_and_more_noise_farther_still():
    real, noise = features_of(), features_of(seed=5)
    found = [scores.quality([shown(real + level * noise)], RealStatistics.of(real, "x")) for level in (0.1, 1.0, 3.0)]
    for measure in ("fid", "kid"):
        small, middle, large = (each[measure]["mean"] for each in found)
        assert small < middle < large


def test_the_distance_is_over_all_draws_and_the_inception_score_of_the_first():
    real = features_of()
    flat = torch.full((120, 4), 0.25)
    sure = torch.eye(4).repeat(30, 1)
    pair = [shown(real + 1, probabilities=sure), shown(real + 2, probabilities=flat)]
    found = scores.quality(pair, RealStatistics.of(real, "x"), splits=1)
    assert found["fid"]["mean"] == pytest.approx((6 + 24) / 2, rel=1e-3)
    assert found["inception_score"]["mean"] == pytest.approx(4)
    other = scores.quality(pair[::-1], RealStatistics.of(real, "x"), splits=1)
    assert other["inception_score"]["mean"] == pytest.approx(1)
    assert other["fid"]["mean"] == pytest.approx(found["fid"]["mean"])


def test_error_bars_are_those_of_another_set_of_captions():
    values = features_of(400, 1, 11)[:, 0]
    found = scores.bootstrap(lambda rows: float(values[rows].mean()), 400, 2000, 0)
    assert found == pytest.approx(float(values.std()) / 20, rel=0.06)  # the standard error of a mean
    # What sets of as many other captions differ by, the error bar of one set should say.
    real = RealStatistics.of(features_of(2000, 3, 1), "x")
    sets = [features_of(200, 3, 100 + k) * 1.5 + 0.5 for k in range(300)]
    frechet = FrechetDistance(real.moments)
    told = [scores.quality([shown(each)], real)["fid"]["std"] for each in sets[:20]]
    assert np.mean(told) == pytest.approx(np.std([frechet(each) for each in sets]), rel=0.2)


def test_statistics_that_were_saved_give_the_same(tmp_path):
    class Extractor:
        name = identity = features_identity = "x"

    real, seen = RealStatistics.of(features_of(), "x"), shown(features_of(seed=9) + 0.3)
    real.save(tmp_path / "real.safetensors", {})
    again = RealStatistics.load(tmp_path / "real.safetensors", Extractor())
    first, second = (scores.quality([seen], each) for each in (real, again))
    assert second["fid"]["mean"] == pytest.approx(first["fid"]["mean"], rel=1e-4)
    assert second["kid"]["mean"] == pytest.approx(first["kid"]["mean"], rel=1e-2)


def test_the_same_seed_gives_the_same_scores():
    seen, real = shown(features_of(seed=7)), RealStatistics.of(features_of(), "x")
    assert scores.quality([seen], real, seed=3) == scores.quality([seen], real, seed=3)
    assert scores.between_halves(seen, seed=3) == scores.between_halves(seen, seed=3)
    assert scores.between_halves(seen, seed=3)["fid"] != scores.between_halves(seen, seed=4)["fid"]


def test_halves_of_photographs_are_near_each_other():
    features = features_of(600)
    found = scores.between_halves(shown(features))
    assert 0 < found["fid"]["mean"] < 0.3
    assert abs(found["kid"]["mean"]) < 0.05
    assert found["inception_score"]["mean"] == pytest.approx(1)
    assert found["fid"]["mean"] < distance(features + features_of(600, seed=4), features)


def test_too_few_pictures_and_bad_features_are_refused():
    real, few = RealStatistics.of(features_of(), "x"), shown(features_of(6))
    with pytest.raises(InputError, match="splits 10: not between 1 and the number of pictures, 6"):
        scores.quality([few], real)
    with pytest.raises(InputError, match="splits 10"):
        scores.between_halves(few)
    with pytest.raises(InputError, match="6 wide, features 4"):
        scores.quality([shown(features_of(20, 4))], real)
    bad = features_of(20)
    bad[3, 2] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        scores.quality([shown(bad)], real)
    with pytest.raises(InputError, match="not finite"):
        scores.between_halves(shown(bad))


CAPTIONS = [f"a {colour} bird" for colour in COLOURS[:10]] * 20
SPECIES = torch.arange(200) % 10


def test_perfect_sentences_score_a_hundred():
    matched, judged = features_of(200, 16, 2), features_of(200, 8, 3)
    shares = torch.eye(11)[SPECIES]  # each bird all of its colour
    seen = shown(features_of(200), matched=matched, judged=judged, shares=shares)
    found = scores.consistency(seen, matched, judged, CAPTIONS, SPECIES)
    assert found["r_precision"] == found["r_precision_held_out"] == {"mean": 100, "std": 0}
    assert [found["recall"][f"at_{k}"] for k in (1, 5, 10)] == [100, 100, 100]
    assert found["recall"]["mean_average_precision"] > 100 / 20  # at least its own of 20 comes first
    assert found["colours"]["right"] == pytest.approx(100)
    assert found["colours"]["exchanged"] == pytest.approx(0)


def test_random_sentences_score_about_chance():
    seen = shown(features_of(1000), matched=features_of(1000, 16, 2), judged=features_of(1000, 8, 3))
    species = torch.arange(1000) % 10
    found = scores.consistency(
        seen, features_of(1000, 16, 4), features_of(1000, 8, 5), ["a bird"] * 1000, species, seed=1
    )
    assert 0.3 < found["r_precision"]["mean"] < 2.0  # 1 of 100
    assert 0.3 < found["r_precision_held_out"]["mean"] < 2.0
    assert found["recall"]["at_10"] < 3
    assert 9 < found["recall"]["mean_average_precision"] < 12  # a tenth is of the same species
    assert "colours" not in found  # none are named


def test_the_two_encoders_are_scored_apart():
    matched, judged = features_of(200, 16, 2), features_of(200, 8, 3)
    seen = shown(features_of(200), matched=matched, judged=judged)
    found = scores.consistency(seen, matched, judged.roll(1, 0), CAPTIONS, SPECIES)
    assert found["r_precision"]["mean"] == 100
    assert found["r_precision_held_out"]["mean"] < 10
    assert found["recall"]["at_1"] < 5  # by the held-out one
    flipped = scores.consistency(seen, matched.roll(1, 0), judged, CAPTIONS, SPECIES)
    assert flipped["r_precision"]["mean"] < 10
    assert flipped["recall"]["at_1"] == 100


def test_fewer_captions_than_candidates_choose_among_all():
    pictures = features_of(12, 8)
    species = torch.arange(12) // 4
    assert scores.match(pictures, pictures, species)["mean"] == 100
    assert scores.match(torch.ones(12, 8), pictures, species)["mean"] <= 100 / 3
    # 8 captions of other species: 9 candidates, so chance is a ninth.
    chance = [scores.match(features_of(12, 8, 10 + k), pictures, species, seed=k)["mean"] for k in range(40)]
    assert 100 / 18 < sum(chance) / 40 < 100 / 5
    with pytest.raises(InputError, match="1 species"):
        scores.match(pictures, pictures, torch.zeros(12))


def test_sentences_that_are_not_numbers_are_refused():
    seen, good = shown(features_of(200)), features_of(200, 16, 4)
    bad = good.clone()
    bad[0, 0] = float("inf")
    for matched, judged in ((bad, good), (good, bad)):
        with pytest.raises(InputError, match="not finite"):
            scores.consistency(seen, matched, judged, CAPTIONS, SPECIES)
    with pytest.raises(InputError, match="captions: 3 for 200 pictures"):
        scores.consistency(seen, good, good, CAPTIONS[:3], SPECIES)
