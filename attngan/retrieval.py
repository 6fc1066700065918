"""How well trained encoders find the picture of a caption, on a corpus."""

import json
from typing import Any

import torch
from torch import Tensor

from attngan import metrics
from attngan.condition import CaptionEncoder
from attngan.image_encoder import ImageEncoder
from datasets import cli
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import write_text
from datasets.loader import Loader, to_unit


@torch.no_grad()
def embed(
    image: ImageEncoder, caption: CaptionEncoder, loader: Loader, rounds: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Embed the N pictures of the loader's split and `rounds` captions of each.

    Returns:
        wholes [N, D], sentences [rounds, N, D] and species [N], on the CPU.
    """
    wholes, sentences, species = [], [], []
    for number, batch in enumerate(loader.once(rounds)):
        moved = batch.to(device)
        assert moved.pictures is not None, "the loader was not asked for pictures"
        if number * loader.batch_size < len(loader):  # the pictures of later rounds are the same
            wholes.append(image(to_unit(moved.pictures)).whole.float().cpu())
            species.append(batch.species)
        sentences.append(caption.encode(moved).sentence.float().cpu())
    return torch.cat(wholes), torch.cat(sentences).view(rounds, len(loader), -1), torch.cat(species)


def measure(
    config: Any, image: ImageEncoder, caption: Any, *, vocabulary: Vocabulary | None, rounds: int
) -> dict[str, dict[str, float]]:
    """Retrieval on the test species, for recordings in heard and in unheard voices apart; printed and in results.json.

    Args:
        config: of the job that trained the two; its corpus and run folder are used, and it is written there as well.
        vocabulary: for captions as words; None for recordings.
        rounds: captions of each picture.

    Raises:
        InputError: if the corpus has no test split.
    """
    corpus = Corpus(config.corpus)
    speech = vocabulary is None
    kinds: dict[str, bool | None] = {"text": None}
    if speech:
        kinds = {"seen_voices": True, "unseen_voices": False}
    found = {}
    for name, heard in kinds.items():
        try:
            loader = Loader(
                corpus, "test", batch_size=64, size=image.trunk.size, words=vocabulary, speech=speech, heard=heard
            )
        except InputError:
            if name == "unseen_voices":  # a corpus of own recordings knows no unheard voices
                continue
            raise
        device = next(image.parameters()).device
        found[name] = metrics.retrieval(*embed(image.eval(), caption.eval().to(device), loader, rounds, device))
    write_text(
        config.run / "results.json", json.dumps({"test": found, "config": json.loads(cli.as_json(config))}, indent=2)
    )
    for name, scores in found.items():
        print(f"test, unseen species, {name}: " + ", ".join(f"{k} {v:.2f}" for k, v in scores.items()))
    return found
