"""How well trained encoders find the picture of a caption, on a corpus."""

import json
from typing import Any

import torch
from torch import Tensor

from attngan.evaluation import metrics
from attngan.networks.condition import CaptionEncoder
from attngan.networks.image_encoder import ImageEncoder
from attngan.runtime.ranks import ALONE, Ranks, rank_here
from datasets import cli
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import write_text
from datasets.loader import Loader, to_unit


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
        wholes [N, D], sentences [rounds, N, D] and species [N], on the CPU.
    """
    found: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    turns = [(first, turn) for turn in range(rounds) for first in range(0, len(loader), loader.batch_size)]
    for number, (first, turn) in enumerate(turns):
        if number % ranks.world != ranks.rank:
            continue
        batch = loader.in_order(first, turn)
        moved = batch.to(device)
        assert moved.pictures is not None, "the loader was not asked for pictures"
        whole = torch.empty(0) if turn else image(to_unit(moved.pictures)).pooled.float().cpu()  # once is enough
        found[number] = (whole, batch.species[: len(whole)], caption.encode(moved).sentence.float().cpu())
    wholes, species, sentences = zip(*ranks.collect(found), strict=True)
    wholes = tuple(whole for whole in wholes if len(whole))
    return torch.cat(wholes), torch.cat(sentences).view(rounds, len(loader), -1), torch.cat(species)


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

    Raises:
        InputError: if the corpus has no test split.
    """
    if rank_here() > 0:
        return {}
    corpus = Corpus(config.corpus)
    speech = vocabulary is None
    kinds: dict[str, tuple[bool | None, bool | None]] = {"text": (None, None)}
    if speech:
        kinds = {"seen_voices": (True, None), "unseen_voices": (False, True), "unseen_engines": (False, False)}
    found = {}
    for name, (heard, engine_heard) in kinds.items():
        try:
            options: dict[str, Any] = {"words": vocabulary, "speech": speech, "heard": heard}
            loader = Loader(corpus, "test", batch_size=64, size=image.trunk.size, engine_heard=engine_heard, **options)
        except InputError:
            if name.startswith("unseen"):  # a corpus of own recordings knows no unheard voices
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
