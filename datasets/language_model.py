"""How captions go on: a word trigram model, written as the ARPA file that speech recognisers read."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nltk.util import ngrams

from datasets.captions import tokenize
from datasets.errors import InputError
from datasets.files import write_text

START, END = "<s>", "</s>"
ORDER = 3
NEVER = "-99"  # how ARPA files write the logarithm of zero

Words = tuple[str, ...]


class TrigramModel:
    """P(word | the two words before) of captions, with Witten-Bell smoothing (Witten and Bell 1991, method C).

    With c(hw) counts of a word w after the history h, N(h) words seen after h and D(h) different ones among them,

        P(w | h) = (c(hw) + D(h) P(w | h')) / (N(h) + D(h)),

    where h' is h without its first word and P(w | h') without any history is 1 / D(). A word that was never seen after
    h thus gets B(h) P(w | h') with the backoff weight B(h) = D(h) / (N(h) + D(h)), and P(. | h) sums to 1 for every h.

    Args:
        captions: texts, split by `tokenize`.
        vocabulary: the words that may occur. Others belong to no n-gram: what stands before and after them is counted
            apart, as if nothing were known of their place.

    Attributes:
        words: the words of the vocabulary that occur, sorted.
        unknown_words: how often each other word occurs, the most frequent first.

    Raises:
        InputError: if no word of the captions is in the vocabulary.
    """

    def __init__(self, captions: Iterable[str], vocabulary: Iterable[str]) -> None:
        known = set(vocabulary)
        counts = [Counter[Words]() for _ in range(ORDER)]
        unknown = Counter[str]()
        for caption in captions:
            words = tokenize(caption)
            unknown.update(word for word in words if word not in known)
            for run in _known_runs(words, known):
                for length, counter in enumerate(counts, 1):
                    counter.update(ngrams(run, length))
        del counts[0][(START,)]  # it is given, never said
        self.words = sorted(word for (word,) in counts[0] if word != END)
        if not self.words:
            raise InputError("captions: hold no word of the vocabulary; give captions in English")
        self.unknown_words = dict(unknown.most_common())
        self._probability: dict[Words, float] = {}
        self._backoff: dict[Words, float] = {}
        uniform = 1 / len(counts[0])
        for counter in counts:
            seen, different = Counter[Words](), Counter[Words]()
            for gram, count in counter.items():
                seen[gram[:-1]] += count
                different[gram[:-1]] += 1
            for gram, count in counter.items():
                history = gram[:-1]
                lower = self._probability[gram[1:]] if history else uniform
                weighted = count + different[history] * lower
                self._probability[gram] = weighted / (seen[history] + different[history])
            self._backoff |= {h: different[h] / (seen[h] + different[h]) for h in seen}

    def probability(self, word: str, history: Sequence[str] = ()) -> float:
        """P(word | the last two words of `history`), in [0, 1]; 0 for a word that is not in `words`.

        Args:
            word: one of `words`, or "</s>", the end of a caption.
            history: what was said before, beginning with "<s>".
        """
        before = tuple(history)[1 - ORDER :]
        if (*before, word) in self._probability:
            return self._probability[(*before, word)]
        return self._backoff.get(before, 1.0) * self.probability(word, before[1:]) if before else 0.0

    def write(self, path: str | Path) -> None:
        """Write the model to `path` in the ARPA format: base-10 logarithms of P and B, whole or not at all.

        Raises:
            InputError: if it cannot be written.
        """
        sections: list[list[Words]] = [[] for _ in range(ORDER)]
        for gram in sorted([*self._probability, (START,)]):
            sections[len(gram) - 1].append(gram)
        lines = ["\\data\\", *(f"ngram {length}={len(grams)}" for length, grams in enumerate(sections, 1))]
        for length, grams in enumerate(sections, 1):
            lines += ["", f"\\{length}-grams:", *map(self._line, grams)]
        write_text(path, "\n".join([*lines, "", "\\end\\", ""]))

    def _line(self, gram: Words) -> str:
        probability = f"{math.log10(self._probability[gram]):.6f}" if gram in self._probability else NEVER
        line = f"{probability}\t{' '.join(gram)}"
        return f"{line}\t{math.log10(self._backoff[gram]):.6f}" if gram in self._backoff else line


def _known_runs(words: Sequence[str], known: set[str]) -> Iterator[list[str]]:
    """The caption with its start and end, cut at unknown words."""
    run = [START]
    for word in words:
        if word in known:
            run.append(word)
        else:
            yield run
            run = []
    yield [*run, END]
