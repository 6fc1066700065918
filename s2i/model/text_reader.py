"""Typed descriptions: the text encoder beside the shipped model, which gives conditions that its generator knows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from attngan.networks import encoders
from attngan.networks.condition import Condition
from datasets.captions import MAX_WORDS, tokenize
from datasets.errors import InputError
from s2i.model.model_folder import DAMSM, ModelFolder

MAX_CHARACTERS = 1000
NAMED = 8  # unknown words that a note names


@dataclass(frozen=True)
class EncodedText:
    """What the text encoder made of one description.

    Attributes:
        condition: one caption, of T words.
        text: the description, without needless spaces.
        words: the T words that were read.
        unknown: what it did not know, in order, each once: words of English and of others.
        meant: for each of the first of these that resembles a word that it knows, that word.
        left_out: how many words came after the last that is read.
    """

    condition: Condition
    text: str
    words: list[str]
    unknown: list[str]
    meant: dict[str, str]
    left_out: int

    @property
    def notes(self) -> list[str]:
        """What a person should be told: which words had no effect, one sentence each."""
        notes = []
        if self.unknown:
            notes.append(f"words that the model does not know: {named(self.unknown, self.meant)}")
        if self.left_out:
            notes.append(f"only the first {len(self.words)} words are read; {self.left_out} were left out")
        return notes


class TextReader:
    """The text encoder of a model folder.

    Args:
        folder: holds damsm.safetensors; by default the shipped model.
        device: where it computes, and where its conditions are.

    Raises:
        InputError: if the file is missing, damaged, or of a DAMSM that never saw text.
    """

    def __init__(self, folder: str | Path | ModelFolder | None = None, device: torch.device | str = "cpu") -> None:
        folder = folder if isinstance(folder, ModelFolder) else ModelFolder(folder)
        self.encoder, self.vocabulary = encoders.load_text_encoder(folder / DAMSM)
        self.encoder.to(device)

    @torch.inference_mode()
    def __call__(self, text: str) -> EncodedText:
        """Read one description.

        Raises:
            InputError: if `text` is empty, too long, or has no word that the encoder knows.
        """
        check_text(text)
        words = tokenize(text)
        foreign = [word for word in re.findall(r"\w+", text.lower()) if not word.isascii()]
        unknown = list(dict.fromkeys([word for word in words if word not in self.vocabulary] + foreign))
        near = ((word, self.vocabulary.nearest(word)) for word in unknown[:NAMED])
        meant = {word: known for word, known in near if known is not None}
        if not any(word in self.vocabulary for word in words):
            told = f" (not known: {named(unknown, meant)})" if unknown else ""
            raise InputError(
                f"text: has no word that the model knows{told}; it knows English descriptions of birds, such as "
                '"a small yellow bird with black wings"'
            )
        condition = encoders.encode_captions(self.encoder, self.vocabulary, [text])
        words = self.vocabulary.heeded(words)
        return EncodedText(
            condition, " ".join(text.split()), words[:MAX_WORDS], unknown, meant, max(0, len(words) - MAX_WORDS)
        )


def named(unknown: Sequence[str], meant: Mapping[str, str]) -> str:
    """Unknown words as a list for people, each with the word that was probably meant, if there is one."""
    shown = [f"{word[:20]} (did you mean {meant[word]}?)" if word in meant else word[:20] for word in unknown[:NAMED]]
    return ", ".join(shown) + ("..." if len(unknown) > NAMED else "")


def check_text(text: str) -> None:
    """Check that `text` is neither empty nor endless.

    Raises:
        InputError: if it is.
    """
    if not text.strip():
        raise InputError("text: is empty; describe a bird in English, such as: a small yellow bird with black wings")
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"text: has {len(text):,} characters; give at most {MAX_CHARACTERS:,}, of which {MAX_WORDS} words are read"
        )
