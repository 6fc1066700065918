"""Losses: pure functions from tensors to a scalar, each naming its equation."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from attngan.networks.attention import masked_softmax

TYPICAL_WORDS = 12


def matching_loss(scores: Tensor, species: Tensor | None) -> Tensor:
    """Cross entropy in both directions of a square matrix whose diagonal holds the true pairs (AttnGAN, eq. 10-13).

    Args:
        scores: [B, B], captions by pictures.
        species: [B]; pairs of the same species off the diagonal count neither as right nor as wrong. None: all count.
    """
    scores = scores.float()
    if species is not None:
        same = (species[:, None] == species[None]) & ~torch.eye(len(species), dtype=torch.bool, device=species.device)
        scores = scores.masked_fill(same, float("-inf"))
    labels = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores, labels) + F.cross_entropy(scores.t(), labels)


def sentence_scores(sentences: Tensor, pooled: Tensor, gamma: float = 10.0) -> Tensor:
    """Cosine similarity of each caption [B, D] with each picture [B', D], times gamma_3: [B, B']."""
    return gamma * F.normalize(sentences.float(), dim=1) @ F.normalize(pooled.float(), dim=1).t()


def word_scores(
    words: Tensor, mask: Tensor, regions: Tensor, gamma1: float = 4.0, gamma2: float = 5.0, gamma3: float = 10.0
) -> Tensor:
    """How well the words of each caption are found among the regions of each picture, [B, B'].

    AttnGAN, equations 7 to 10: softmax over words, softmax over regions, cosine of each word with its context, and a
    soft maximum over words. Three departures: the soft maximum is a mean inside the logarithm, log(1/T sum exp), since
    a sum grows by log T with the length, so that long recordings would match everything; the softmax over words, which
    gives each of T words about 1/T, is multiplied by T / 12, since otherwise the softmax over regions that follows goes
    flat with length (12: the words of a short caption, for which gamma_1 was tuned); and all B x B' pairs are one
    product instead of a loop. So saying every word twice leaves a score as it is. Without the paper's root 1/gamma_2,
    as in its code.

    Args:
        words: [B, D, T]; mask: [B, T] bool; regions: [B', D, R].
    """
    likeness = torch.einsum("idt,jdr->ijtr", words, regions)
    over_words = masked_softmax(likeness, mask[:, None, :, None], dim=2)
    sharpness = gamma1 * mask.sum(1) / TYPICAL_WORDS
    weights = torch.softmax(sharpness[:, None, None, None] * over_words.float(), dim=3).to(words.dtype)
    # cos(word, context) without building [B, B', T, D]: the context's norm comes from the Gram matrix of the regions.
    product = (weights * likeness).sum(3).float()
    gram = torch.einsum("jdr,jds->jrs", regions, regions)
    norm = (torch.einsum("ijtr,jrs->ijts", weights, gram) * weights).sum(3).float().clamp_min(1e-8).sqrt()
    cosine = product / (norm * words.float().norm(dim=1)[:, None].clamp_min(1e-8))
    cosine = (gamma2 * cosine).masked_fill(~mask[:, None], float("-inf"))
    return gamma3 * (torch.logsumexp(cosine, dim=2) - mask.sum(1).float().log()[:, None])


def teacher_loss(sentence: Tensor, target: Tensor) -> Tensor:
    """Squared distance of sentences [B, D] from a teacher's, as a share of the teacher's squared length.

    0 is agreement, 1 what a sentence of zeros gets. Unlike a cosine it makes the lengths agree, so that a generator
    can take the one encoder's sentences for the other's.
    """
    return F.mse_loss(sentence.float(), target.float()) / target.float().square().mean()


def words_loss(
    words: Tensor,
    mask: Tensor,
    regions: Tensor,
    species: Tensor | None,
    *,
    group: int = 16,
    gammas: dict[str, float] | None = None,
    share: tuple[int, int] = (0, 1),
) -> Tensor:
    """`matching_loss` of `word_scores`, within groups of at most `group` pairs.

    All pairs of a batch of 64 would be four times as dear as all pairs of its four groups of 16, for a term that
    takes most of the time already. `gammas` are those of `word_scores` by name. With `share` (number, count) every
    count-th group is computed alone, and the mean over all shares is the loss of all groups.
    """
    number, count = share
    groups = [slice(first, first + group) for first in range(0, len(words), group)]
    if len(groups) > 1 and len(words[groups[-1]]) == 1:
        groups.pop()  # nothing to tell a last single pair from
    parts: list[Tensor] = []
    for rows in groups[number::count]:
        scores = word_scores(words[rows], mask[rows], regions[rows], **(gammas or {}))
        parts.append(matching_loss(scores, None if species is None else species[rows]))
    if not parts:  # a share without a group still takes part in what the others hand back
        return 0.0 * (words.sum() + regions.sum())
    return torch.stack(parts).mean() * (len(parts) * count / len(groups))


def kl_to_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1), mean over elements (StackGAN, eq. 2)."""
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).mean()


def mode_seeking_loss(one: Tensor, other: Tensor, noise: Tensor, other_noise: Tensor) -> Tensor:
    """Distance of noises over distance of the pictures painted from them (Mao et al. 2019, equation 3, its inverse).

    Low where another noise gives another picture, so it keeps a generator from painting one bird for each caption.

    Args:
        one, other: [B, 3, S, S], painted from the same captions, or features of such. noise, other_noise: [B, Z].
    """
    pictures = (one.float() - other.float()).abs().flatten(1).mean(1)
    return ((noise - other_noise).abs().mean(1) / (pictures + 1e-2)).mean()


def consistency_loss(pictures: list[Tensor]) -> Tensor:
    """Squared distance of each picture [B, 3, S, S], reduced, from the one of half the side that it was painted over.

    So a stage adds detail and leaves colours alone. StackGAN-v2 compares means and covariances of colours instead
    (Zhang et al. 2018, equation 9), since its stages paint anew. The smaller picture gets no gradient.
    """
    total = torch.zeros((), device=pictures[0].device)
    for before, picture in pairwise(pictures):
        total = total + F.mse_loss(F.avg_pool2d(picture.float(), 2), before.detach().float())
    return total


def discriminator_loss(real: Tensor, fake: Tensor, wrong: Tensor | None, kind: str) -> Tensor:
    """Tell real pictures from painted ones, and from real ones with a wrong caption.

    `wrong` and `fake` share one half of the loss where both are given, as in DF-GAN and the published AttnGAN.

    Args:
        real, fake, wrong: logits of any shape. kind: "hinge" or "bce".
    """

    def of(logits: Tensor, sign: float) -> Tensor:
        signed = sign * logits.float()
        return F.relu(1 - signed).mean() if kind == "hinge" else F.softplus(-signed).mean()

    negative = of(fake, -1) if wrong is None else (of(fake, -1) + of(wrong, -1)) / 2
    return of(real, 1) + negative


def generator_loss(fake: Tensor, kind: str) -> Tensor:
    """Make painted pictures pass for real: -mean (hinge) or the non-saturating form (bce)."""
    return -fake.float().mean() if kind == "hinge" else F.softplus(-fake.float()).mean()


def gradient_penalty(logits: Tensor, inputs: list[Tensor], *, power: float, scale: float) -> Tensor:
    """scale * mean(|| d logits / d inputs ||^power) on real, matching pairs.

    R1 (Mescheder et al. 2018): inputs = [pictures], power 2, scale gamma / 2. MA-GP (DF-GAN, eq. 2): inputs =
    [pictures, sentences], power 6, scale 2. Needs a graph to the inputs.
    """
    gradients = torch.autograd.grad(logits.float().sum(), inputs, create_graph=True)
    squared = sum(gradient.float().flatten(1).square().sum(1) for gradient in gradients)
    assert isinstance(squared, Tensor)
    return scale * ((squared + 1e-12) ** (power / 2)).mean()
