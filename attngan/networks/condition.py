"""The seam: what a caption is to everything that paints or judges, whether it was written or spoken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.errors import InputError

if TYPE_CHECKING:  # a name in annotations only; the module takes a second to import
    from datasets.loader import Batch

DIMENSION = 256


@dataclass
class Condition:
    """B captions.

    Attributes:
        sentence: [B, D], the caption as a whole.
        words: [B, D, T], its words, or its segments of speech.
        mask: [B, T] bool, True where a word or segment is; at least one in each row.
    """

    sentence: Tensor
    words: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.sentence)

    def __getitem__(self, rows: Any) -> "Condition":
        """The captions of `rows` (a slice or an index tensor)."""
        return Condition(self.sentence[rows], self.words[rows], self.mask[rows])

    def to(self, device: torch.device | str) -> "Condition":
        """The same captions on another device."""
        return Condition(self.sentence.to(device), self.words.to(device), self.mask.to(device))

    def repeat(self, times: int) -> "Condition":
        """Each caption `times` times in a row."""
        return self[torch.arange(len(self), device=self.sentence.device).repeat_interleave(times)]


def concatenate(conditions: Sequence[Condition]) -> Condition:
    """Several conditions as one; the shorter ones are padded with masked zeros."""
    longest = max(condition.words.shape[2] for condition in conditions)

    def padded(tensor: Tensor) -> Tensor:
        return F.pad(tensor, (0, longest - tensor.shape[-1]))

    return Condition(
        torch.cat([condition.sentence for condition in conditions]),
        torch.cat([padded(condition.words) for condition in conditions]),
        torch.cat([padded(condition.mask) for condition in conditions]),
    )


def morph(one: Condition, other: Condition, share: float) -> Condition:
    """A caption between two of one caption each: `one` at share 0, `other` at 1.

    Sentences are mixed, and so are words or segments, once both sequences are stretched to a common length, which
    itself goes from one's to the other's.

    Raises:
        InputError: if `share` is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share {share:g}: out of range; give a value from 0 to 1")
    if share in (0, 1):
        return other if share else one
    sequences = [condition.words[:, :, condition.mask[0]] for condition in (one, other)]
    length = round(sequences[0].shape[2] * (1 - share) + sequences[1].shape[2] * share)
    start, end = (F.interpolate(words, length, mode="linear", align_corners=True) for words in sequences)
    return Condition(
        torch.lerp(one.sentence, other.sentence, share),
        torch.lerp(start, end, share),
        torch.ones(1, length, dtype=torch.bool, device=one.mask.device),
    )


class CaptionEncoder(Protocol):
    """Anything that turns the captions of a batch into a condition: the text encoder, the speech encoder."""

    def encode(self, batch: "Batch") -> Condition:
        """The condition of the batch's captions."""
        ...
