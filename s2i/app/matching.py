"""How well a picture matches its description: by a held-out DAMSM where the words are known, and by the trained one."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attngan.networks import encoders
from attngan.networks.condition import Condition
from datasets.captions import Vocabulary, pad
from datasets.errors import InputError
from s2i.model.model_folder import DAMSM
from s2i.model.session import cosine

HELD_OUT_WEIGHTS = Path("evaluators", "judge.safetensors")
DISTRACTORS = Path(__file__).parent / "files" / "descriptions.txt"
ROUNDING = 1e-5  # of a cosine, which differs a little between a text alone and among others


class Match(NamedTuple):
    """How a picture matches words.

    Attributes:
        cosine: of the two vectors, from -1 to 1.
        rank: 1 if no other description matches the picture better.
        of: how many descriptions were compared, this one included.
    """

    cosine: float
    rank: int
    of: int


class HeldOutMatcher:
    """A DAMSM that was trained apart from the generator, on other captions.

    Args:
        path: its weights.

    Raises:
        InputError: if the file is missing, damaged or of a DAMSM that never saw text.
    """

    def __init__(self, path: Path) -> None:
        self._image, _ = encoders.load_image_encoder(path)
        self._text, self._vocabulary = encoders.load_text_encoder(path)
        self._distractors = read(self._text, self._vocabulary, distractors())

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray, text: str) -> Match:
        """Match `picture` [S, S, 3] uint8 with `text`, against the descriptions of other birds.

        Raises:
            InputError: if `text` has no words.
        """
        image = self._image(to_tensor(picture)).pooled
        if not text.strip():
            raise InputError("text: is empty; tell what was said")
        score = cosine(image, read(self._text, self._vocabulary, [text]))
        others = torch.nn.functional.cosine_similarity(image, self._distractors)
        better = int((others > score + ROUNDING).sum())
        return Match(score, 1 + better, 1 + len(others))


class SpeechMatch:
    """The DAMSM that the generator was trained with, which can score pure speech, though not impartially."""

    def __init__(self, folder: Path) -> None:
        self._image, _ = encoders.load_image_encoder(folder / DAMSM)

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray, condition: Condition) -> float:
        """Cosine of `picture` [S, S, 3] uint8 and what was heard, from -1 to 1."""
        return cosine(self._image(to_tensor(picture)).pooled, condition.sentence.cpu())


def load_held_out_matcher(folder: Path) -> HeldOutMatcher | None:
    """The held-out matcher that is shipped with the model, or None where there is none."""
    path = folder / HELD_OUT_WEIGHTS
    return HeldOutMatcher(path) if path.is_file() else None


def distractors() -> list[str]:
    """Descriptions of birds to compare a description with, as people wrote them."""
    return DISTRACTORS.read_text(encoding="utf-8").splitlines()


@torch.inference_mode()
def read(encoder: torch.nn.Module, vocabulary: Vocabulary, texts: list[str]) -> Tensor:
    """The sentences [N, D] of `texts`."""
    sentences: Tensor = encoder(*pad([vocabulary.encode(text) for text in texts])).sentence
    return sentences


def to_tensor(picture: np.ndarray) -> Tensor:
    """[S, S, 3] uint8 to [1, 3, S, S] in [-1, 1]."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
