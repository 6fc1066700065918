"""From a caption to word numbers and back: the tokenizer and the vocabulary."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from nltk.metrics.distance import edit_distance
from nltk.tokenize import RegexpTokenizer

from datasets.errors import InputError

PAD, UNKNOWN = "<end>", "<unk>"
MAX_WORDS = 24  # CUB captions have 15 words on average; 97 % have at most 24.
SHORTEST, LETTERS_PER_EDIT = 4, 4  # letters of a word that is compared with others, and for each edit allowed

_tokenizer = RegexpTokenizer(r"[a-z0-9]+")


def tokenize(text: str) -> list[str]:
    """Lower-case words of letters and digits, in order; everything else separates."""
    return _tokenizer.tokenize(text.lower())


class Vocabulary:
    """The words that a text encoder knows. Number 0 is padding, 1 any unknown word.

    Args:
        words: in the order of their numbers.
        skips_unknown: whether unknown words are left out, as AttnGAN's published encoder was trained, instead of being
            read as number 1. A caption of which no word is known still is one unknown word.
    """

    def __init__(self, words: Sequence[str], *, skips_unknown: bool = False) -> None:
        if list(words[:2]) != [PAD, UNKNOWN]:
            raise InputError(f"vocabulary: must begin with {PAD} and {UNKNOWN}, begins with {list(words[:2])}")
        self.words, self.skips_unknown = list(words), skips_unknown
        self._number = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def build(cls, captions: Iterable[str], min_count: int = 3) -> "Vocabulary":
        """All words that occur at least `min_count` times, the most frequent first."""
        counts = Counter(word for caption in captions for word in tokenize(caption))
        known = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        return cls([PAD, UNKNOWN, *known])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._number

    def encode(self, caption: str, max_words: int = MAX_WORDS) -> list[int]:
        """Word numbers of at most the first `max_words` words.

        Raises:
            InputError: if the caption has no words.
        """
        words = tokenize(caption)
        if not words:
            raise InputError(f"caption {caption[:40]!r}: no words in it; describe the bird in English")
        return [self._number.get(word, 1) for word in (self.heeded(words) or words[:1])[:max_words]]

    def heeded(self, words: Sequence[str]) -> list[str]:
        """Those of `words` that are read: all, or the known ones where unknown ones are skipped."""
        return [word for word in words if word in self or not self.skips_unknown]

    def nearest(self, word: str) -> str | None:
        """The known word that was probably meant by `word`, or None if none is near.

        Near is a Damerau-Levenshtein distance of at most one edit for every four letters; of words that are equally
        near, the most frequent is taken.
        """
        if len(word) < SHORTEST:
            return None
        limit = len(word) // LETTERS_PER_EDIT
        alike = (known for known in self.words[2:] if len(known) >= SHORTEST and abs(len(known) - len(word)) <= limit)
        distances = {known: edit_distance(word, known, transpositions=True) for known in alike}
        nearest = min(distances, key=distances.__getitem__, default=None)  # the first of equals, so the most frequent
        return nearest if nearest is not None and distances[nearest] <= limit else None

    def decode(self, numbers: Iterable[int]) -> str:
        """The words of `numbers`, without padding."""
        return " ".join(self.words[number] for number in numbers if number)


def pad(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack word numbers to (tokens [B, L] int64, mask [B, L] bool, True where a word is)."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask = torch.from_numpy(np.arange(lengths.max())[None] < lengths[:, None])
    tokens = torch.zeros(mask.shape, dtype=torch.int64)
    tokens[mask] = torch.tensor([number for sequence in sequences for number in sequence])
    return tokens, mask
