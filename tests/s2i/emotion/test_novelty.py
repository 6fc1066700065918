import math

import pytest
import torch

from s2i.emotion.novelty import MahalanobisDetector


def test_familiarity_is_the_mahalanobis_distance_in_units_of_the_median():
    generator = torch.Generator().manual_seed(0)
    deviations = torch.tensor([3.0, 1.0, 0.2])
    labels = torch.arange(6000) % 2
    embeddings = deviations * torch.randn(6000, 3, generator=generator) + 20.0 * labels[:, None]
    detector = MahalanobisDetector.measure(embeddings, labels, directions=3)
    distance = detector.distance(embeddings)
    assert float(distance.median()) == pytest.approx(1, rel=1e-3)
    # By class means and one covariance; the median of the norm of three normal numbers is 1.538.
    far = torch.tensor([[0.0, 0.0, 0.2 * 5], [3.0 * 5, 0.0, 0.0]])
    torch.testing.assert_close(detector.distance(far), torch.full((2,), 5 / math.sqrt(2.366)), rtol=0.05, atol=0)


def test_what_is_unlike_training_is_further_away():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(500, 40, generator=generator)
    detector = MahalanobisDetector.measure(embeddings, torch.arange(500) % 8)
    assert float(detector.distance(10 + embeddings).min()) > float(detector.distance(embeddings).max())


def test_familiarity_goes_through_a_file_in_half_precision():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(300, 20, generator=generator)
    detector = MahalanobisDetector.measure(embeddings, torch.arange(300) % 3)
    again = MahalanobisDetector({name: value.half().float() for name, value in detector.statistics.items()})
    torch.testing.assert_close(again.distance(embeddings), detector.distance(embeddings), rtol=0.02, atol=0.02)


def test_one_emotion_alone_has_a_distance_too():
    embeddings = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.full((30,), 4)
    assert torch.isfinite(MahalanobisDetector.measure(embeddings, labels).distance(embeddings)).all()
