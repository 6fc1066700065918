import numpy as np
import pytest
import torch

from s2i.emotion import metrics
from s2i.emotion.metrics import fit_temperature


def test_figures_of_a_confusion_matrix_by_hand():
    counts = metrics.confusion(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0]), 4)
    assert counts.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert metrics.accuracy(counts) == pytest.approx(3 / 6)
    # 2 x 2 / (3 + 4), 2 x 1 / (2 + 2), 0; the fourth class is neither true nor predicted.
    assert metrics.macro_f1(counts) == pytest.approx((4 / 7 + 1 / 2 + 0) / 3)
    assert metrics.macro_f1(np.diag([3, 5])) == 1


def test_the_calibration_error_by_hand():
    confidence, right = np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, False, True, True])
    assert metrics.calibration_error(confidence, right) == pytest.approx((2 * 0.45 + 2 * 0.45) / 4)
    assert metrics.calibration_error(np.array([1.0]), np.array([True])) == 0


def test_mean_and_deviation_are_over_splits():
    summary = metrics.over_splits([np.diag([4, 4]), np.array([[2, 2], [2, 2]])])
    assert summary["accuracy"] == pytest.approx(0.75)
    assert summary["std"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert metrics.over_splits([np.eye(2, dtype=int)])["std"] == 0


def test_the_temperature_is_that_which_made_the_labels():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 5, generator=generator)
    labels = torch.multinomial((logits / 1.7).softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(1.7, rel=0.05)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3 * 1.7, rel=0.05)


def test_answers_that_are_always_right_are_made_as_sure_as_may_be():
    assert fit_temperature(torch.eye(4), torch.arange(4)) == pytest.approx(0.1, rel=0.01)
    assert fit_temperature(torch.eye(4), torch.arange(4).flip(0)) == pytest.approx(10, rel=0.01)
