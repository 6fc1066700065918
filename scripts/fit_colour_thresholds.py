"""Fit the shares of a picture above which it counts as showing a colour, to the training photographs of a corpus.

    python -m scripts.fit_colour_thresholds --corpus data/cub.h5

What it prints for CUB stands in attngan/evaluation/colours.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation.colour_words import COLOURS, named_colours
from attngan.evaluation.colours import LEAST_SHARE, SIDE, colour_shares
from datasets import cli
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Pictures, to_unit


@dataclass(frozen=True)
class FitConfig:
    """Where the photographs are."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, whose training split is used."""


def mention_rates(captions: Iterable[Sequence[str]]) -> Tensor:
    """For N pictures with some captions each, the share of captions that name each colour: [N, 11] float32."""
    return torch.stack([named_colours(each).float().mean(0) for each in captions])


def fit_thresholds(shares: Tensor, mentioned: Tensor) -> dict[str, float]:
    """For each colour the share above which a picture is likelier described by it than not: best balanced accuracy.

    Args:
        shares: [N, 11] of real photographs, as `colour_shares` gives them.
        mentioned: [N, 11] bool, or from 0 to 1 the share of a picture's captions that name the colour.

    Returns:
        One threshold for each colour that some but not all pictures are described by, `LEAST_SHARE` or above.

    Raises:
        InputError: if the two are not [N, 11] both.
    """
    if shares.shape != mentioned.shape or shares.shape[1:] != (len(COLOURS),) or not len(shares):
        claim = f"shapes {list(shares.shape)} and {list(mentioned.shape)}"
        raise InputError(f"shares and mentions: {claim}, should both be [N, {len(COLOURS)}] of the same N pictures")
    thresholds = {}
    for colour, share, weight in zip(COLOURS, shares.cpu().double().t(), mentioned.cpu().double().t(), strict=True):
        values, place = np.unique(share.clamp(min=LEAST_SHARE).numpy(), return_inverse=True)
        if not 0 < weight.mean() < 1:
            continue
        described, rest = (np.bincount(place, each.numpy()) / float(each.sum()) for each in (weight, 1 - weight))
        gained = np.cumsum(rest - described)  # share of the rest at or below each value, less that of the described
        best = int(gained.argmax())
        thresholds[colour] = float(values[best : best + 2].mean())
    return thresholds


def fit(config: FitConfig) -> dict[str, float]:
    """The thresholds of the training photographs, from their centre crops.

    Raises:
        InputError: for a missing or damaged corpus, or one without captions.
    """
    corpus = Corpus(config.corpus)
    indices = corpus.pictures_of("train")
    captions: dict[int, list[str]] = {int(index): [] for index in indices}
    for text, picture in zip(corpus.captions, corpus.caption_picture.tolist(), strict=True):
        if picture in captions:
            captions[picture].append(text)
    described = [index for index, texts in captions.items() if texts]
    if not described:
        raise InputError(f"{config.corpus}: has no captions of training pictures; give a corpus with captions")
    pictures, shares = Pictures(corpus, np.array(described), SIDE), []
    for index in tqdm(described, desc="colours", unit="picture", mininterval=1):
        crop = torch.from_numpy(pictures.crop(index, None)[None].copy())
        shares.append(colour_shares(to_unit(crop.permute(0, 3, 1, 2))))
    return fit_thresholds(torch.cat(shares), mention_rates(captions[index] for index in described))


def main(arguments: list[str]) -> None:
    """Fit as the command line asks for, and print each colour's threshold."""
    config = cli.parse_tool(FitConfig, arguments, description=(__doc__ or "").split("\n")[0])
    for colour, threshold in fit(config).items():
        print(f"{colour} {threshold:.5f}")


if __name__ == "__main__":
    cli.run(main)
