"""All measures of a set of pictures, from what the evaluators saw in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.evaluation import colours, distances, metrics
from attngan.evaluation.evaluators import Observations, RealStatistics
from attngan.evaluation.metrics import Score
from datasets.errors import InputError

CANDIDATES = 100  # captions that R-precision chooses from


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
    width = draws[0].features.shape[1]
    if real.features.shape[1] != width:
        raise InputError(f"statistics: {real.features.shape[1]} wide, features {width}; take both from one extractor")
    frechet = [distances.frechet_from_moments(real.moments, distances.moments(seen.features)) for seen in draws]
    found = {
        "inception_score": pair(distances.inception_score(draws[0].probabilities, splits=splits, seed=seed)),
        "fid": {"mean": float(np.mean(frechet)), "std": float(np.std(frechet))},
    }
    if len(real.features):
        found["kid"] = pair(distances.kernel_distance(real.features, draws[0].features, seed=seed))
    return found


def between_halves(seen: Observations, *, splits: int = 10, seed: int = 0) -> dict[str, Any]:
    """The same of real photographs, whose distances are those of one random half of them from the other."""
    orders = [torch.randperm(len(seen.features), generator=torch.Generator().manual_seed(seed + k)) for k in range(2)]
    halves = [(seen.features[order[::2]], seen.features[order[1::2]]) for order in orders]
    frechet = [distances.frechet_distance(*half) for half in halves]
    return {
        "inception_score": pair(distances.inception_score(seen.probabilities, splits=splits, seed=seed)),
        "fid": {"mean": float(np.mean(frechet)), "std": float(np.std(frechet))},
        "kid": pair(distances.kernel_distance(*halves[0], seed=seed)),
    }


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
