"""All measures of a set of pictures, from what the evaluators saw in them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.evaluation import colours, distances, metrics
from attngan.evaluation.evaluators import Observations, RealStatistics
from attngan.evaluation.metrics import Score
from datasets.errors import InputError

CANDIDATES = 100  # captions that R-precision chooses from
SCORE_RESAMPLES, FRECHET_RESAMPLES = 100, 20  # of the captions, for the error bars
HALVINGS = 2  # of the photographs


def pair(score: Score) -> dict[str, float]:
    """As results files have it."""
    return {"mean": score.mean, "std": score.std}


def quality(draws: Sequence[Observations], real: RealStatistics, *, splits: int = 10, seed: int = 0) -> dict[str, Any]:
    """Inception Score of the first draw, Fréchet distance over all draws, and kernel distance.

    Of statistics without features, such as others publish, there is no kernel distance.

    Args:
        draws: what was seen in the same captions painted with different noise.
        splits: of the Inception Score.

    Raises:
        InputError: for fewer pictures than splits, statistics of another extractor, or features that are not finite.
    """
    return quality_of([(seen.features, seen.probabilities) for seen in draws], real, splits=splits, seed=seed)


def quality_of(
    draws: Sequence[tuple[Tensor, Tensor]], real: RealStatistics, *, splits: int = 10, seed: int = 0
) -> dict[str, Any]:
    """The same from features [N, F] and class probabilities [N, C] of each draw.

    The deviations of Inception Score and Fréchet distance are bootstrapped over the captions: those of the first
    draw's pictures are drawn again with putting back.
    """
    features, probabilities = draws[0]
    width = features.shape[1]
    if real.features.shape[1] != width:
        raise InputError(f"statistics: {real.features.shape[1]} wide, features {width}; take both from one extractor")
    distance = distances.FrechetDistance(real.moments)
    frechet = [distances.frechet_from_moments(real.moments, distances.moments(seen)) for seen, _ in draws]
    spread = bootstrap(lambda rows: distance(features[rows]), len(features), FRECHET_RESAMPLES, seed)
    found = {
        "inception_score": _inception_score(probabilities, splits, seed),
        "fid": {"mean": float(np.mean(frechet)), "std": spread},
    }
    if len(real.features):
        found["kid"] = pair(distances.kernel_distance(real.features, features, seed=seed))
    return found


def between_halves(seen: Observations, *, splits: int = 10, seed: int = 0) -> dict[str, Any]:
    """The same of real photographs, whose distances are those of one random half of them from the other."""
    return halves_of(seen.features, seen.probabilities, splits=splits, seed=seed)


def halves_of(features: Tensor, probabilities: Tensor, *, splits: int = 10, seed: int = 0) -> dict[str, Any]:
    """The same from features [N, F] and class probabilities [M, C]; the deviation of the Fréchet distance is over
    random halves."""
    draws = [torch.randperm(len(features), generator=torch.Generator().manual_seed(seed + k)) for k in range(HALVINGS)]
    halves = [(features[order[::2]], features[order[1::2]]) for order in draws]
    frechet = [distances.frechet_distance(*half) for half in halves]
    return {
        "inception_score": _inception_score(probabilities, splits, seed),
        "fid": {"mean": float(np.mean(frechet)), "std": float(np.std(frechet))},
        "kid": pair(distances.kernel_distance(*halves[0], seed=seed)),
    }


def _inception_score(probabilities: Tensor, splits: int, seed: int) -> dict[str, float]:
    def score(rows: Tensor) -> float:
        return distances.inception_score(probabilities[rows], splits=splits, seed=seed).mean

    count = len(probabilities)
    return {"mean": score(torch.arange(count)), "std": bootstrap(score, count, SCORE_RESAMPLES, seed)}


def bootstrap(statistic: Callable[[Tensor], float], count: int, resamples: int, seed: int) -> float:
    """Standard deviation of a statistic of `count` rows over resamples of them (Efron and Tibshirani 1993, chapter 6).

    Args:
        statistic: of the rows with given indices [count], some of them several times.
    """
    rng = np.random.default_rng(seed)
    return float(np.std([statistic(torch.from_numpy(rng.integers(count, size=count))) for _ in range(resamples)]))


def match(pictures: Tensor, sentences: Tensor, species: Tensor, *, seed: int = 0) -> dict[str, float]:
    """R-precision of pictures [N, D] with their captions' sentences [N, D], among 100 or all if there are fewer."""
    fewest = min(int((species != label).sum()) for label in species.unique())
    candidates = min(CANDIDATES, fewest + 1)
    return pair(metrics.r_precision(pictures, sentences, species, candidates=candidates, seed=seed))


def consistency(
    seen: Observations, matched: Tensor, judged: Tensor, captions: Sequence[str], species: Tensor, *, seed: int = 0
) -> dict[str, Any]:
    """How well pictures fit their captions: R-precision by both encoders, recall and mAP by the judge, colours.

    Args:
        matched, judged: sentence vectors of the captions by the encoder that training used and by the judge, [N, D].
        species: [N]; those other captions that R-precision chooses from are of other species.
    """
    recall = metrics.recall(judged, seen.judged)
    kinds = colours.agreement(seen.shares, captions, species).get("all")
    return {
        "r_precision": match(seen.matched, matched, species, seed=seed),
        "r_precision_held_out": match(seen.judged, judged, species, seed=seed),
        "recall": {
            **{f"at_{k}": value for k, value in recall.items()},
            "mean_average_precision": metrics.mean_average_precision(judged, seen.judged, species, species),
        },
        **({"colours": {"right": kinds.own, "exchanged": kinds.exchanged}} if kinds else {}),
    }
