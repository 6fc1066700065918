"""Recordings that were too loud for their microphone: what was cut off is drawn again, as the rest of it suggests."""

import numpy as np
import torch
from torch import Tensor

NEAR = 0.999  # of the peak, above which a sample counts as cut off if its neighbour is, too
LEAST = 1e-3  # share of such samples below which nothing is changed
MOST = 4.0  # times the peak that is drawn at most, 12 dB
WINDOW, ORDER = 640, 24  # samples that one prediction is fitted to, and how many it looks back
FULL = 0.9  # share of a window that may be cut off


def declip(wave: Tensor) -> Tensor:
    """`wave` [N] with its flat tops drawn beyond them; it may leave [-1, 1]. One without any comes back as it is.

    Samples that were cut off become those that a linear prediction of the speech around them, fitted to windows of
    40 ms, finds the likeliest (Janssen, Veldhuis and Vries 1986), begun from a cubic spline, and stay beyond the peak.
    """
    samples = wave.numpy().astype(np.float64)
    lost = _cut_off(samples)
    if lost.mean() < LEAST or lost.all():
        return wave
    from scipy.interpolate import CubicSpline  # few recordings need it

    peak = np.abs(samples).max()
    sign = np.sign(samples[lost])

    def beyond(values: np.ndarray) -> np.ndarray:
        return np.asarray(sign * np.clip(values * sign, peak, MOST * peak))

    kept = np.flatnonzero(~lost)
    begun = samples.copy()
    begun[lost] = beyond(CubicSpline(kept, samples[kept])(np.flatnonzero(lost)))
    drawn, weight = np.zeros_like(samples), np.zeros_like(samples)
    fade = np.hanning(WINDOW + 2)[1:-1]
    for first in range(-WINDOW // 2, len(samples), WINDOW // 2):
        part = slice(max(0, first), min(len(samples), first + WINDOW))
        share = fade[part.start - first : part.stop - first]
        drawn[part] += share * _predicted(begun[part], lost[part])
        weight[part] += share
    found = samples.copy()
    found[lost] = beyond((drawn / weight)[lost])
    return torch.from_numpy(found).to(wave.dtype)


def _cut_off(samples: np.ndarray) -> np.ndarray:
    """Which of `samples` [N] stand beside each other at the peak."""
    peak = np.abs(samples).max()
    at_top = np.zeros(len(samples), dtype=bool)
    for side in (samples, -samples):
        near = side >= NEAR * peak
        beside = np.zeros_like(near)
        beside[1:] |= near[:-1]
        beside[:-1] |= near[1:]
        at_top |= near & beside
    return at_top


def _predicted(samples: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """A window [n] with those of its samples that are `lost` [n] as a linear prediction of all of it wants them."""
    from scipy.linalg import LinAlgError, solve_toeplitz, solveh_banded

    places = np.flatnonzero(lost)
    if not len(places) or lost.mean() > FULL or len(samples) <= 2 * ORDER:
        return samples
    likeness = np.correlate(samples, samples, "full")[len(samples) - 1 : len(samples) + ORDER]
    likeness[0] = likeness[0] * (1 + 1e-4) + 1e-9
    try:
        prediction = np.concatenate([[1.0], -solve_toeplitz(likeness[:-1], likeness[1:])])
        weights = np.correlate(prediction, prediction, "full")[ORDER:]  # [ORDER + 1], of samples so far apart
        wanted = -np.convolve(np.where(lost, 0.0, samples), np.concatenate([weights[:0:-1], weights]), "same")[places]
        bands = np.zeros((ORDER + 1, len(places)))  # upper form of LAPACK
        bands[ORDER] = weights[0] * (1 + 1e-6)
        for step in range(1, min(ORDER + 1, len(places))):
            apart = places[step:] - places[:-step]
            bands[ORDER - step, step:] = np.where(apart <= ORDER, weights[np.minimum(apart, ORDER)], 0.0)
        found = samples.copy()
        found[places] = solveh_banded(bands, wanted)
    except (LinAlgError, ValueError):
        return samples
    return found
