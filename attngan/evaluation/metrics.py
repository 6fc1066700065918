"""Scores as functions of features; nothing here knows a network."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.errors import InputError


class Score(NamedTuple):
    """Mean and standard deviation over folds, in percent where the measure is a share."""

    mean: float
    std: float


def r_precision(
    pictures: Tensor,
    captions: Tensor,
    species: Tensor,
    *,
    candidates: int = 100,
    folds: int = 10,
    draws: int = 5,
    seed: int = 0,
) -> Score:
    """How often a picture's own caption is the nearest of itself and 99 others, in percent.

    The protocol of AttnGAN and DM-GAN: cosine similarity, the others drawn from other species. Ties count as misses,
    so that constant features score 0.

    Args:
        pictures, captions: [N, D], row k of one belongs to row k of the other. species: [N].
        candidates: captions to choose from, the true one included.
        folds: the hits are shuffled into as many folds, whose spread is the error bar.
        draws: fresh sets of other captions for each picture.

    Raises:
        InputError: if there are fewer captions of other species than candidates, or features are not finite.
    """
    _check_finite(pictures, captions)
    scores = F.normalize(pictures.float(), dim=1) @ F.normalize(captions.float(), dim=1).t()
    rng = np.random.default_rng(seed)
    labels = species.cpu().numpy()
    others = {label: np.flatnonzero(labels != label) for label in np.unique(labels)}
    if not 0 < candidates - 1 <= min(len(other) for other in others.values()):
        raise InputError(
            f"{len(labels)} captions of {len(others)} species: too few of other species to choose among {candidates}; "
            "give a split with more species"
        )
    hits = []
    for _ in range(draws):
        wrong = np.stack([rng.choice(others[label], candidates - 1, replace=False) for label in labels])
        best_other = scores.gather(1, torch.from_numpy(wrong).to(scores.device)).amax(1)
        hits.append((scores.diagonal() > best_other).cpu().numpy())
    shuffled = rng.permutation(np.concatenate(hits))
    means = [fold.mean() * 100 for fold in np.array_split(shuffled, folds)]
    return Score(float(shuffled.mean() * 100), float(np.std(means)))


def recall(queries: Tensor, gallery: Tensor, at: tuple[int, ...] = (1, 5, 10)) -> dict[int, float]:
    """Share of queries whose own item is among the k nearest of the whole gallery, in percent, for each k.

    Args:
        queries, gallery: [N, D], row k of one belongs to row k of the other; cosine similarity.

    Raises:
        InputError: for features that are not finite.
    """
    _check_finite(queries, gallery)
    scores = F.normalize(queries.float(), dim=1) @ F.normalize(gallery.float(), dim=1).t()
    better = (scores >= scores.diagonal()[:, None]).sum(1)  # itself included
    return {k: float((better <= k).float().mean() * 100) for k in at}


def retrieval(pictures: Tensor, captions: Tensor, species: Tensor, *, seed: int = 0) -> dict[str, float]:
    """R-precision, and recall@1/5/10 from caption to picture, under the names that logs and results use.

    Args:
        pictures: [N, D]. captions: [K, N, D], K captions of each picture. species: [N].
    """
    candidates = min(100, int(min((species != label).sum() for label in species.unique())) + 1)
    times = len(captions)
    precision = r_precision(
        pictures.repeat(times, 1), captions.flatten(0, 1), species.repeat(times), candidates=candidates, seed=seed
    )
    recalls = [recall(turn, pictures) for turn in captions]
    return {
        "r_precision": precision.mean,
        "r_precision_std": precision.std,
        **{f"recall_at_{k}": float(np.mean([each[k] for each in recalls])) for k in recalls[0]},
    }


def mean_average_precision(queries: Tensor, gallery: Tensor, query_species: Tensor, gallery_species: Tensor) -> float:
    """Mean average precision in percent of retrieval by cosine similarity, where the same species is relevant.

    The protocol of S2IGAN (Wang et al. 2020), in the direction from caption to picture: for each query, the precision
    at each picture of its species, averaged over those. Pictures that tie share the rank of the last of them, so that
    constant features score what chance would, the share of pictures that are relevant.

    Args:
        queries, gallery: [N, D] and [M, D]. query_species, gallery_species: [N] and [M].

    Raises:
        InputError: for different widths, features that are not finite, or a species in no picture of the gallery.
    """
    if queries.shape[1] != gallery.shape[1]:
        raise InputError(f"features: {queries.shape[1]} wide in queries, {gallery.shape[1]} in the gallery; take equal")
    _check_finite(queries, gallery)
    if missing := sorted(set(query_species.tolist()) - set(gallery_species.tolist())):
        raise InputError(f"gallery: no picture of species {missing[0]}, which queries ask for; add some")
    shown = F.normalize(gallery.float(), dim=1)
    total = 0.0
    for query, species in zip(F.normalize(queries.float(), dim=1), query_species, strict=True):
        scores = shown @ query
        relevant = scores[gallery_species == species].sort().values
        better = len(scores) - torch.searchsorted(scores.sort().values, relevant)  # itself and ties included
        better_relevant = len(relevant) - torch.searchsorted(relevant, relevant)
        total += float((better_relevant / better).mean())
    return total / len(queries) * 100


def _check_finite(*features: Tensor) -> None:
    if not all(torch.isfinite(each).all() for each in features):
        raise InputError("features: not finite; the network that made them has diverged, train it again")
