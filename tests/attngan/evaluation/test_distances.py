import math

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from attngan.evaluation import distances
from datasets.errors import InputError

NAN, INFINITE = float("nan"), float("inf")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kernel(x, y):
    return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3


# Inception score


def test_one_prediction_for_all_scores_1():
    assert distances.inception_score(torch.full((100, 7), 1 / 7)) == pytest.approx((1, 0), abs=1e-12)
    same = draw(1, 7).softmax(1).expand(100, 7)
    assert distances.inception_score(same).mean == pytest.approx(1, abs=1e-6)


def test_sure_and_balanced_predictions_score_the_number_of_classes():
    # In one split, that is: shuffled parts are not balanced, and score less.
    sure = torch.eye(8).repeat(25, 1)
    assert distances.inception_score(sure, splits=1) == pytest.approx((8, 0))
    assert 6 < distances.inception_score(sure, splits=10).mean < 8


def test_sure_predictions_score_by_how_often_each_class_comes():
    # Entropy of (1/2, 1/4, 1/4): 1.5 ln 2, and exp of it is 2^1.5; a class that never comes changes nothing.
    sure = torch.eye(4)[[0, 0, 1, 2] * 10]
    assert distances.inception_score(sure, splits=1).mean == pytest.approx(2**1.5)


@pytest.mark.parametrize(("count", "splits"), [(400, 10), (203, 7), (50, 1)])
def test_inception_score_is_that_of_torch_fidelity(count, splits):
    logits = 3 * draw(count, 11)
    order = np.random.default_rng(5).permutation(count)
    expected = isc_features_to_metric(logits.double()[order], splits=splits, shuffle=False)
    found = distances.inception_score(logits.double().softmax(1), splits=splits, seed=5)
    assert found == pytest.approx((expected["inception_score_mean"], expected["inception_score_std"]), rel=1e-9)


def test_inception_score_of_half_precision_is_near():
    probabilities = (3 * draw(400, 11)).softmax(1)
    exact = distances.inception_score(probabilities)
    assert distances.inception_score(probabilities.half()).mean == pytest.approx(exact.mean, rel=2e-3)


def test_inception_score_falls_with_doubt_and_with_sameness():
    logits = draw(400, 11)
    by_sureness = [distances.inception_score((s * logits).softmax(1)).mean for s in (0.0, 0.5, 2.0, 8.0)]
    assert by_sureness == sorted(by_sureness)
    preference = torch.linspace(0, 1, 11)
    by_sameness = [distances.inception_score((8 * logits + s * preference).softmax(1)).mean for s in (0, 10, 40, 200)]
    assert by_sameness == sorted(by_sameness, reverse=True)


def test_inception_score_repeats_by_seed():
    probabilities = (3 * draw(400, 11)).softmax(1)
    assert distances.inception_score(probabilities, seed=1) == distances.inception_score(probabilities, seed=1)
    assert distances.inception_score(probabilities, seed=1) != distances.inception_score(probabilities, seed=2)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (torch.full((9, 4), 0.25), "splits 10.*9"),
        (draw(20, 4), "apply a softmax"),
        (torch.full((20, 4), 0.5), "sums to 2"),
        (torch.tensor([[1.5, -0.5]] * 20), "from -0.5"),
        (torch.full((20, 4), NAN), "not finite"),
        (torch.full((20,), 0.05), "should be"),
    ],
)
def test_inception_score_refuses_what_is_no_prediction(probabilities, message):
    with pytest.raises(InputError, match=message) as caught:
        distances.inception_score(probabilities)
    assert "\n" not in str(caught.value)


# Kernel distance


def test_kernel_distance_by_hand():
    x, y = [[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [1.0, 1.0]]
    # k(x1, x2) = 1, k(y1, y2) = 2^3 = 8; across: 2^3, 1.5^3, 1, 1.5^3.
    expected = 1 + 8 - 2 * (8 + 3.375 + 1 + 3.375) / 4
    found = distances.kernel_distance(torch.tensor(x), torch.tensor(y))
    assert found == pytest.approx((expected, 0), abs=1e-12)


def test_kernel_distance_equals_a_loop():
    x, y = draw(6, 3).double().tolist(), draw(6, 3, seed=1).double().tolist()
    within = sum(kernel(z[i], z[j]) for z in (x, y) for i in range(6) for j in range(6) if i != j) / 30
    across = sum(kernel(a, b) for a in x for b in y) / 36
    found = distances.kernel_distance(torch.tensor(x), torch.tensor(y), subsets=3)
    assert found.mean == pytest.approx(within - 2 * across, rel=1e-6)


def test_kernel_distance_of_one_distribution_is_0_on_average():
    # Unbiased, so that halves of one set fall on either side of 0; the biased estimate is far above.
    found = [distances.kernel_distance(*draw(400, 8, seed=k).chunk(2), subsets=1).mean for k in range(40)]
    error = np.std(found) / math.sqrt(40)
    assert abs(np.mean(found)) < 3 * error
    assert min(found) < 0 < max(found)


def test_kernel_distance_is_that_of_torch_fidelity():
    real, fake = draw(90, 16).double(), draw(90, 16, seed=1).double() * 1.3 + 0.2

    def reference(size, subsets):
        found = kid_features_to_metric(real, fake, kid_subsets=subsets, kid_subset_size=size, verbose=False)
        return found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]

    # Of all pictures there is one subset only; smaller ones are drawn by another generator.
    assert distances.kernel_distance(real, fake, subsets=3) == pytest.approx(reference(90, 3), rel=1e-9, abs=1e-12)
    expected, found = reference(40, 300), distances.kernel_distance(real, fake, subsets=300, subset_size=40)
    assert found.mean == pytest.approx(expected[0], abs=5 * expected[1] / math.sqrt(300))
    assert found.std == pytest.approx(expected[1], rel=0.25)


def test_kernel_distance_takes_sets_of_different_sizes():
    found = distances.kernel_distance(draw(50, 8), draw(900, 8, seed=1), subsets=20)
    assert abs(found.mean) < 0.2
    assert found.std > 0


def test_kernel_distance_repeats_by_seed():
    real, fake = draw(100, 8), draw(100, 8, seed=1) + 1
    first = distances.kernel_distance(real, fake, subset_size=20, seed=1)
    assert first == distances.kernel_distance(real, fake, subset_size=20, seed=1)
    assert first != distances.kernel_distance(real, fake, subset_size=20, seed=2)


# Fréchet distance


def test_frechet_distance_of_equal_spread_is_the_squared_distance_of_means():
    features = draw(500, 8)
    shift = torch.linspace(-1, 2, 8)
    found = distances.frechet_distance(features, features + shift)
    assert found == pytest.approx(shift.square().sum().item(), rel=1e-4)
    assert distances.frechet_distance(features, features) == pytest.approx(0, abs=1e-5)


def test_frechet_distance_of_one_spread_twice_the_other():
    # Covariances C and 4C: trace(C + 4C - 2 * 2C) = trace(C).
    features = draw(500, 8)
    centred = features - features.mean(0)
    trace = np.trace(np.cov(centred.numpy(), rowvar=False))
    assert distances.frechet_distance(centred, 2 * centred) == pytest.approx(trace, rel=1e-4)


def test_frechet_distance_of_known_gaussians():
    # Diagonal covariances: |a - b|^2 + sum (s - t)^2 of the standard deviations.
    a, b = np.array([0.0, 1.0, -2.0]), np.array([1.0, 1.0, 0.0])
    s, t = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 1.0])
    found = distances.frechet_from_moments(distances.Moments(a, np.diag(s**2)), distances.Moments(b, np.diag(t**2)))
    assert found == pytest.approx(5 + 4 + 0.25)


def test_frechet_distance_from_one_reference_is_the_same():
    real, fake = draw(300, 12), draw(90, 12, seed=3) * torch.linspace(0.1, 3, 12) + 0.4
    found = distances.FrechetDistance(distances.moments(real))
    assert found(fake) == pytest.approx(distances.frechet_distance(real, fake), rel=1e-6)
    assert found(fake[:8]) == pytest.approx(distances.frechet_distance(real, fake[:8]), rel=1e-3)  # singular
    assert found(real) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_draws_nears_that_of_their_gaussians():
    real, fake = draw(40_000, 3), draw(40_000, 3, seed=1) * torch.tensor([3.0, 1.0, 0.5]) + torch.tensor([1.0, 0, 0])
    assert distances.frechet_distance(real, fake) == pytest.approx(1 + 4 + 0.25, rel=0.03)


def test_frechet_distance_is_that_of_pytorch_fid_and_torch_fidelity():
    real, fake = draw(300, 8), draw(200, 8, seed=1) * torch.linspace(0.5, 2, 8) + 0.3
    moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in (real.double().numpy(), fake.double().numpy())]
    expected = calculate_frechet_distance(*moments[0], *moments[1])
    assert distances.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)
    assert distances.frechet_distance(fake, real) == pytest.approx(expected, rel=1e-6)
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(x.double()) for x in (real, fake)), verbose=False)
    assert distances.frechet_distance(real, fake) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


def test_stored_moments_stand_for_the_pictures(tmp_path):
    real, fake = draw(300, 8), draw(200, 8, seed=1) + 0.3
    np.savez(tmp_path / "real.npz", **distances.moments(real)._asdict())
    stored = distances.Moments(**np.load(tmp_path / "real.npz"))
    found = distances.frechet_from_moments(stored, distances.moments(fake))
    assert found == distances.frechet_distance(real, fake)


# Both distances


@pytest.mark.parametrize("distance", [distances.frechet_distance, distances.kernel_distance])
def test_worse_pictures_are_farther(distance):
    real, other = draw(400, 8), draw(400, 8, seed=1)
    by_noise = [distance(real, other + s * draw(400, 8, seed=2)) for s in (0.0, 0.7, 1.5, 3.0)]
    by_shift = [distance(real, other + s) for s in (0.0, 0.3, 0.8, 2.0)]
    by_sameness = [distance(real, other * s) for s in (1.0, 0.7, 0.4, 0.1)]
    for found in (by_noise, by_shift, by_sameness):
        values = [each if isinstance(each, float) else each.mean for each in found]
        assert values == sorted(values)


@pytest.mark.parametrize("distance", [distances.frechet_distance, distances.kernel_distance])
@pytest.mark.parametrize("value", [NAN, INFINITE])
@pytest.mark.parametrize("place", [0, 1])
def test_distances_refuse_features_that_are_not_finite(distance, value, place):
    sets = [draw(20, 8), draw(20, 8)]
    sets[place][3, 2] = value
    with pytest.raises(InputError, match=("real", "fake")[place] + " features: not finite"):
        distance(*sets)


@pytest.mark.parametrize("distance", [distances.frechet_distance, distances.kernel_distance])
@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (draw(20, 8), draw(1, 8), "fake features.*N >= 2"),
        (draw(0, 8), draw(20, 8), "real features.*N >= 2"),
        (draw(20, 8), draw(20, 7), "8 wide in real and 7"),
        (draw(20, 8), draw(20), "fake features.*N >= 2"),
    ],
)
def test_distances_refuse_too_few_or_unlike_features(distance, real, fake, message):
    with pytest.raises(InputError, match=message) as caught:
        distance(real, fake)
    assert "\n" not in str(caught.value)


def test_kernel_distance_refuses_no_subsets():
    for arguments in ({"subsets": 0}, {"subset_size": 1}):
        with pytest.raises(InputError, match="too few"):
            distances.kernel_distance(draw(20, 8), draw(20, 8), **arguments)


def test_moments_that_do_not_fit_are_refused():
    good = distances.moments(draw(20, 3))
    with pytest.raises(InputError, match="fake moments"):
        distances.frechet_from_moments(good, distances.moments(draw(20, 4)))
    with pytest.raises(InputError, match="real moments"):
        distances.frechet_from_moments(distances.Moments(good.mean, good.covariance[:2]), good)
    with pytest.raises(InputError, match="fake moments: not finite"):
        distances.frechet_from_moments(good, distances.Moments(good.mean * NAN, good.covariance))
