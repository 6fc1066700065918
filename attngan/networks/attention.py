"""Attention between words and picture regions: one copy for the generator and for DAMSM."""

import torch
from torch import Tensor


def masked_softmax(scores: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Softmax over `dim` in float32 with weight 0 where `mask` (broadcastable to `scores`) is False."""
    return torch.softmax(scores.float().masked_fill(~mask, float("-inf")), dim=dim).to(scores.dtype)


def attend_words(queries: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """For each region a mixture of the words, weighted by their likeness (AttnGAN, equations 2 and 3).

    The mask is broadcast over regions as [B, 1, T]; the published code tiles it in the wrong order, so that most
    regions attend to the padding of their own caption (AttnGAN issue 93).

    Args:
        queries: [B, C, R] region features.
        words: [B, C, T] words projected to the same width.
        mask: [B, T] bool, True where a word is.

    Returns:
        Context [B, C, R] and the attention [B, R, T], which sums to 1 over T.
    """
    attention = masked_softmax(queries.transpose(1, 2) @ words, mask[:, None, :], dim=2)
    return words @ attention.transpose(1, 2), attention
