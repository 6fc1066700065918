"""What the observer says of pictures: share of birds, Inception Score and distances by its features, R-precision."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attngan.evaluation import scores, species_head
from attngan.evaluation.evaluators import HEAD, OBSERVER_JUDGE, OBSERVER_REAL, Matcher, Observed, RealStatistics
from attngan.evaluation.observer import Observer
from attngan.evaluation.species_head import SpeciesHead


class ObserverEvaluator:
    """The observer with what was fitted to its features: a classifier of species, a matcher, statistics of photographs.

    Args:
        observer: no generator is trained against it.
        head: of bird species, for the Inception Score.
        matcher: how well pictures and captions fit, through a network of the observer's kind.
        real: statistics of its features of the real photographs.

    Attributes:
        name: for readers of a number that it made.
        identity: tells it from others.
    """

    def __init__(self, observer: Observer, head: SpeciesHead, matcher: Matcher, real: RealStatistics) -> None:
        self.observer, self.head, self.matcher, self.real = observer, head, matcher, real
        self.name = observer.name
        self.identity = f"{observer.identity}-{matcher.identity}"

    @classmethod
    def load(cls, folder: Path) -> "ObserverEvaluator | None":
        """That of a folder of evaluators; None if it is one without an observer's part.

        Raises:
            InputError: if a file or the package of the observer's weights is missing, damaged or another.
        """
        if not any((folder / name).exists() for name in (HEAD, OBSERVER_REAL)):
            return None
        observer = Observer()
        head = species_head.load(folder / HEAD, observer.identity)
        return cls(
            observer, head, Matcher(folder / OBSERVER_JUDGE), RealStatistics.load(folder / OBSERVER_REAL, observer)
        )

    def to(self, device: torch.device) -> "ObserverEvaluator":
        """The same, on a device."""
        self.observer.to(device)
        self.matcher.to(device)
        return self

    def look(self, pictures: Tensor) -> Observed:
        """What is seen in pictures [N, 3, S, S] in [-1, 1] of any size; on the CPU."""
        features, bird = self.observer.look(pictures)
        return Observed(features.cpu(), bird.float().cpu(), self.matcher.look(pictures))

    def quality(self, draws: Sequence[Observed], *, splits: int = 10, seed: int = 0) -> dict[str, Any]:
        """Share of birds in percent, Inception Score, Fréchet and kernel distance of the same captions' pictures."""
        pairs = [(seen.features, self._probabilities(seen.features)) for seen in draws]
        return {"birds": share(draws[0].bird), **scores.quality_of(pairs, self.real, splits=splits, seed=seed)}

    def quality_of_photographs(
        self, seen: Observed, unlearned: Tensor, *, splits: int = 10, seed: int = 0
    ) -> dict[str, Any]:
        """The same of real photographs, the Inception Score of those alone that the head did not learn from.

        Args:
            unlearned: [N] bool.
        """
        probabilities = self._probabilities(seen.features)
        quality = scores.halves_of(seen.features, probabilities[unlearned], splits=splits, seed=seed)
        return {"birds": share(seen.bird), **quality}

    def match(self, seen: Observed, captions: Sequence[str], species: Tensor, *, seed: int = 0) -> dict[str, float]:
        """R-precision of pictures with their captions."""
        return scores.match(seen.judged, self.matcher.read(captions), species, seed=seed)

    @torch.no_grad()
    def _probabilities(self, features: Tensor) -> Tensor:
        return self.head(features).softmax(1)


def share(bird: Tensor) -> dict[str, float]:
    """Percent of [N] zeros and ones, and its standard error."""
    mean = float(bird.mean())
    return {"mean": 100 * mean, "std": 100 * math.sqrt(mean * (1 - mean) / len(bird))}
