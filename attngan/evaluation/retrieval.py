"""How well trained encoders find the picture of a caption, on a corpus."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.evaluation import metrics
from attngan.networks.condition import CaptionEncoder
from attngan.networks.image_encoder import ImageEncoder
from attngan.runtime.ranks import ALONE, Ranks, rank_here
from datasets import cli
from datasets.captions import Vocabulary
from datasets.corpus import Corpus, Speakers
from datasets.files import write_text
from datasets.loader import Loader, to_unit
from datasets.rows import SPLITS


@torch.no_grad()
def embed(
    image: ImageEncoder,
    caption: CaptionEncoder,
    loader: Loader,
    rounds: int,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> tuple[Tensor, Tensor, Tensor]:
    """Embed the N pictures of the loader's split and `rounds` captions of each; the processes of `ranks` take turns.

    Returns:
        pooled [N, D], sentences [rounds, N, D] and species [N], on the CPU.
    """
    embedded: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    turns = [(first, turn) for turn in range(rounds) for first in range(0, len(loader), loader.batch_size)]
    for number, (first, turn) in enumerate(turns):
        if number % ranks.world != ranks.rank:
            continue
        batch = loader.in_order(first, turn)
        moved = batch.to(device)
        assert moved.pictures is not None, "the loader was not asked for pictures"
        pictures = torch.empty(0) if turn else image(to_unit(moved.pictures)).pooled.float().cpu()  # once is enough
        embedded[number] = (pictures, batch.species[: len(pictures)], caption.encode(moved).sentence.float().cpu())
    pooled, species, sentences = zip(*ranks.collect(embedded), strict=True)
    pooled = tuple(pictures for pictures in pooled if len(pictures))
    return torch.cat(pooled), torch.cat(sentences).view(rounds, len(loader), -1), torch.cat(species)


def measurable(corpus: Corpus, *, speech: bool) -> dict[str, Speakers]:
    """What `measure` can measure on a corpus, by the names that it gives the results, with who speaks.

    A corpus of own recordings knows no unheard voices, and may have no test split at all.
    """
    pictures = np.flatnonzero(corpus.split == SPLITS.index("test"))  # which may be none
    if not speech:
        return {"text": "all"} if np.isin(corpus.caption_picture, pictures).any() else {}
    kinds: dict[str, Speakers] = {
        "seen_voices": "training",
        "unseen_voices": "held-out voices",
        "unseen_engines": "held-out engines",
    }
    spoken = {name: corpus.recordings_by_picture(speakers) for name, speakers in kinds.items()}
    return {name: kinds[name] for name, owned in spoken.items() if any(len(owned[index]) for index in pictures)}


def tell_if_untested(path: Path, *, speech: bool) -> None:
    """Say before a training begins that there will be no test figures, if the corpus has nothing to measure them on."""
    if rank_here() > 0:
        return
    corpus = Corpus(path)
    if not measurable(corpus, speech=speech):
        what = "recordings" if speech else "captions"
        print(f"{path}: no picture of the test split has {what}, so the trained weights will have no test figures")
    corpus.close()


def measure(
    config: Any, image: ImageEncoder, caption: Any, *, vocabulary: Vocabulary | None, rounds: int
) -> dict[str, dict[str, float]]:
    """Retrieval on the test species, printed and in results.json.

    For recordings in heard voices, in unheard voices of heard engines, and in those of unheard engines apart.

    Of several processes that trained together, the first measures.

    Args:
        config: of the job that trained the two; its corpus and run folder are used, and it is written there as well.
        vocabulary: for captions as words; None for recordings.
        rounds: captions of each picture.
    """
    if rank_here() > 0:
        return {}
    corpus = Corpus(config.corpus)
    found = {}
    for name, speakers in measurable(corpus, speech=vocabulary is None).items():
        size, speech = image.trunk.size, vocabulary is None
        loader = Loader(corpus, "test", batch_size=64, size=size, words=vocabulary, speech=speech, speakers=speakers)
        device = next(image.parameters()).device
        found[name] = metrics.retrieval(*embed(image.eval(), caption.eval().to(device), loader, rounds, device))
    write_text(
        config.run / "results.json", json.dumps({"test": found, "config": json.loads(cli.as_json(config))}, indent=2)
    )
    for name, scores in found.items():
        print(f"test, unseen species, {name}: " + ", ".join(f"{k} {v:.2f}" for k, v in scores.items()))
    return found
