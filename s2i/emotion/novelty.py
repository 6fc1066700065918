"""Novelty detection: how unlike the training recordings a sound is, and out-of-distribution sounds to test it on."""

from collections.abc import Mapping

import torch
from torch import Tensor

from datasets import audio, voices

COUNT = 12  # sounds of each kind
SECONDS = 3.0
SENTENCES = (
    "this bird has a red head and black wings",
    "a small yellow bird with a grey belly and a short pointed beak",
    "the bird is blue all over with a white throat",
)


class MahalanobisDetector:
    """The Mahalanobis distance of embeddings from those of training (Lee et al. 2018).

    The embeddings are reduced to the directions in which training recordings vary most; a distance is from the nearest
    emotion's centre, with one covariance for all, in units of the training recordings' median.

    Args:
        statistics: what `measure` gave.
    """

    def __init__(self, statistics: Mapping[str, Tensor]) -> None:
        self.statistics = dict(statistics)

    @classmethod
    def measure(cls, embeddings: Tensor, labels: Tensor, directions: int = 32) -> "MahalanobisDetector":
        """Learn from embeddings [N, E] of training recordings and their emotions [N]."""
        embeddings = embeddings.double()
        mean = embeddings.mean(0)
        basis = torch.linalg.svd(embeddings - mean, full_matrices=False)[2][:directions].T  # [E, D]
        reduced = (embeddings - mean) @ basis
        classes = labels.unique()
        centres = torch.stack([reduced[labels == label].mean(0) for label in classes])
        within = reduced - centres[torch.searchsorted(classes, labels)]
        covariance = within.T @ within / len(within)
        covariance += 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.double)
        whiten = torch.linalg.cholesky(torch.linalg.inv(covariance))
        statistics = {"middle": mean, "project": basis @ whiten, "centres": centres @ whiten}
        detector = cls({**statistics, "unit": torch.ones((), dtype=torch.double)})
        detector.statistics["unit"] = detector.distance(embeddings).median()
        return cls({name: value.float() for name, value in detector.statistics.items()})

    def distance(self, embeddings: Tensor) -> Tensor:
        """Distances [N] of embeddings [N, E]; half of the training recordings have less than 1."""
        s = self.statistics
        reduced = (embeddings.to(s["middle"].dtype) - s["middle"]) @ s["project"]
        return torch.cdist(reduced, s["centres"]).amin(1) / s["unit"]


def novel_sounds(count: int = COUNT) -> dict[str, list[Tensor]]:
    """Out-of-distribution sounds: noises, tones, clicks and synthetic voices, `count` waves [N] of each at 16 kHz.

    They are the same every time on the same machine.
    """
    generator = torch.Generator().manual_seed(0)
    size = round(SECONDS * audio.SAMPLE_RATE)
    time = torch.arange(size) / audio.SAMPLE_RATE

    def coloured(power: float) -> Tensor:
        """Noise whose power falls with frequency to `power`."""
        spectrum = torch.fft.rfft(torch.randn(size, generator=generator))
        wave = torch.fft.irfft(spectrum / torch.arange(1, len(spectrum) + 1) ** (power / 2), size)
        return 0.3 * wave / wave.abs().max()

    def tone() -> Tensor:
        """A steady tone with overtones, of a pitch between 100 and 1000 Hz."""
        hertz = 100 * 10 ** float(torch.rand(1, generator=generator))
        partials = [torch.sin(2 * torch.pi * hertz * k * time) / k for k in range(1, 5)]
        return 0.2 * torch.stack(partials).sum(0)

    def clicks() -> Tensor:
        """About ten clicks a second, as of keys or rain."""
        hits = (torch.rand(size, generator=generator) < 10 / audio.SAMPLE_RATE).float()
        hits[size // 2] = 1.0
        fade = torch.exp(-torch.arange(400) / 60.0) * torch.randn(400, generator=generator)
        return 0.5 * torch.nn.functional.conv1d(hits[None, None], fade.flip(0)[None, None], padding=399)[0, 0, :size]

    kinds = {
        "white noise": [coloured(0.0) for _ in range(count)],
        "pink noise": [coloured(1.0) for _ in range(count)],
        "brown noise": [coloured(2.0) for _ in range(count)],
        "tones": [tone() for _ in range(count)],
        "clicks": [clicks() for _ in range(count)],
    }
    speakers = voices.available()
    spoken = [
        voices.synthesise(speakers[k % len(speakers)], SENTENCES[k % len(SENTENCES)], k)
        for k in range(count if speakers else 0)
    ]
    return {**kinds, "voices of programs": spoken} if spoken else kinds
