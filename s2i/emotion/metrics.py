"""How well emotions are recognised: accuracy and F1 of confusion matrices, and calibration of confidences."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts [C, C] of recordings: rows are the truth, columns the predictions."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def accuracy(counts: np.ndarray) -> float:
    """Share of a confusion matrix [C, C] on its diagonal, from 0 to 1."""
    return float(np.trace(counts) / max(1, counts.sum()))


def macro_f1(counts: np.ndarray) -> float:
    """F1 = 2 hits / (predicted + true) averaged over the classes that are predicted or true, from 0 to 1."""
    support = counts.sum(1) + counts.sum(0)
    return float((2 * np.diag(counts)[support > 0] / support[support > 0]).mean())


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015): |confidence - accuracy| over equal bins, by their sizes."""
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float((confidence - correct)[bin_of == k].sum())) for k in range(bins)]
    return sum(gaps) / max(1, len(confidence))


def mean_and_std(values: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation of `values`."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}


def over_splits(matrices: Sequence[np.ndarray]) -> dict[str, Any]:
    """Accuracy, its standard deviation and macro F1 over the confusion matrices [C, C] of splits."""
    accuracies = mean_and_std([accuracy(counts) for counts in matrices])
    f1 = mean_and_std([macro_f1(counts) for counts in matrices])
    return {"accuracy": accuracies["mean"], "std": accuracies["std"], "macro_f1": f1["mean"], "macro_f1_std": f1["std"]}


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which logits [N, C] are to be divided so that their softmax is a calibrated confidence.

    It minimises the mean negative log-likelihood of `labels` [N] (Guo et al. 2017, section 4.2), found by golden
    section between 0.1 and 10, since the loss has one minimum in 1 / temperature.
    """

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / math.exp(log_temperature), labels))

    low, high, share = math.log(0.1), math.log(10.0), (math.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - share * (high - low), low + share * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return math.exp((low + high) / 2)
