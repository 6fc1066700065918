"""What a text encoder teaches a speech encoder: pure functions from tensors to a scalar."""

import torch
import torch.nn.functional as F
from torch import Tensor

SHARPNESS = 10.0  # of the softmax over segments
WANDER = 0.15  # how far from its even share of the time a word is looked for, as a share of the recording


def words_loss(segments: Tensor, segment_mask: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
    """How far the segments of speech are from the teacher's words, each word found where it is said.

    Each word is compared with a mixture of the segments, weighted by their likeness to it and by how near they are to
    where it would be, were all words equally long: two words that are the same are so kept apart. The distance is
    that of `losses.teacher_loss`.

    Args:
        segments: [B, D, S]; segment_mask: [B, S] bool. words: [B, D, L]; word_mask: [B, L] bool.
    """
    segments, words = segments.float(), words.float()
    likeness = torch.einsum("bdl,bds->bls", F.normalize(words, dim=1), F.normalize(segments, dim=1))
    place = [
        (torch.arange(mask.shape[1], device=mask.device) + 0.5) / mask.sum(1, keepdim=True)
        for mask in (word_mask, segment_mask)
    ]
    distance = (place[0][:, :, None] - place[1][:, None, :]) / WANDER
    scores = (SHARPNESS * likeness - distance.square() / 2).masked_fill(~segment_mask[:, None], float("-inf"))
    found = torch.einsum("bds,bls->bdl", segments, scores.softmax(2))
    error = (found - words).square().mean(1)[word_mask].mean()
    return error / words.square().mean(1)[word_mask].mean()


def transcript_loss(logits: Tensor, segment_mask: Tensor, tokens: Tensor, word_mask: Tensor) -> Tensor:
    """That the segments say the words in their order: connectionist temporal classification (Graves et al. 2006).

    Args:
        logits: [B, S, V], number 0 of which is the blank. segment_mask: [B, S] bool.
        tokens: [B, L], numbers of words from 1; those beyond V count as 1, unknown. word_mask: [B, L] bool.
    """
    known = torch.where(tokens < logits.shape[2], tokens, 1)
    lengths = word_mask.sum(1)
    loss = F.ctc_loss(
        logits.float().log_softmax(2).transpose(0, 1),
        known,
        segment_mask.sum(1),
        lengths,
        reduction="none",
        zero_infinity=True,  # more words than segments
    )
    return (loss / lengths).mean()
