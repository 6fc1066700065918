"""Training captions and pictures to match: DAMSM, its text-free variant, and the speech encoder are this one job.

What differs is the caption encoder that is passed in, and how the picture features come about: from a trunk that
learns, from a frozen trunk's cache through projections that learn, or from a whole image encoder that is frozen.
"""

from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from attngan.evaluation import metrics
from attngan.evaluation.retrieval import embed
from attngan.networks.condition import CaptionEncoder
from attngan.networks.image_encoder import ImageEncoder
from attngan.runtime import checkpoint
from attngan.runtime.machine import ranks_of, start
from attngan.runtime.run import Run, describe, training_loop
from attngan.training.damsm_config import DamsmTrainingConfig
from attngan.training.damsm_job import DamsmJob, DamsmNetworks, Teacher
from attngan.training.feature_cache import FeatureCache
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Loader


def train(
    config: DamsmTrainingConfig,
    image: ImageEncoder,
    caption: Any,
    *,
    kind: str,
    vocabulary: Vocabulary | None,
    image_frozen: bool,
    description: dict[str, Any],
    teacher: Teacher | None = None,
    captions: str = "all",
    may_change: tuple[str, ...] = (),
    sizes: tuple[int, ...] = (),
) -> Path:
    """Train `caption` and, unless it is frozen, `image` to match on a corpus; returns the file of the best weights.

    Validated on species that training never sees, by the averaged weights, in unheard voices where captions are
    spoken; measured on the test species once, at the end, with the best.

    Args:
        kind: what checkpoints call themselves.
        vocabulary: for captions as words; None for recordings.
        description: what the weights file says besides, so that the networks can be built again from it.
        teacher: of captions as recordings, on a corpus that has their words.
        captions: which written captions of each picture to train with, as `Loader` takes it.
        sizes: sides in px that a frozen trunk sees pictures at, one of them at random in each step; none for its own.

    Raises:
        InputError: for a corpus without what is needed, or a folder of another run.
    """
    fabric = start(config)
    corpus = Corpus(config.corpus)
    ranks = ranks_of(fabric)
    speech = vocabulary is None
    run = Run(config.run, kind, config, may_change, ranks)
    job = DamsmJob(
        config, image, caption, len(corpus.species_names), fabric, image_frozen=image_frozen, teacher=teacher
    )
    best = {"r_precision": -1.0}
    if state := run.resume():
        job.restore(state)
        best = state["best"]

    cached = not image.trunk.trainable or image_frozen
    size = image.trunk.size
    make_loader = partial(Loader, corpus, batch_size=config.batch_size, speech=speech, seed=config.seed)
    loader = make_loader(
        "train",
        size=0 if cached else size,
        speakers="training" if speech else "all",
        words=teacher.vocabulary if teacher else vocabulary,
        captions=captions,
        position=run.position,
        share=(ranks.rank, ranks.world),
    )
    validation = make_loader(
        "validation", size=size, speakers=corpus.evaluation_speakers if speech else "all", words=vocabulary
    )
    if len(np.unique(corpus.species[validation.indices])) < 2:
        raise InputError(
            f"{config.corpus}: its validation split has pictures of one class only; "
            "put a second class into it, for the two to be told apart"
        )
    if cached:
        indices = np.sort(loader.indices)
        for each in sizes or (size,):
            job.caches.append(
                FeatureCache(
                    config.cache or config.run,
                    corpus,
                    indices,
                    image,
                    views=config.views,
                    device=fabric.device,
                    ranks=ranks,
                    size=each,
                )
            )

    def best_description(scores: dict[str, float]) -> dict[str, Any]:
        return describe(config, kind=f"{kind}-weights", seen=run.position, validation=scores, **description)

    def validate() -> None:
        nonlocal best
        averaged = cast(DamsmNetworks, job.ema.network)
        caption_encoder = cast(CaptionEncoder, averaged.caption)
        with fabric.autocast():
            embedded = embed(averaged.image, caption_encoder, validation, 1 if speech else 2, fabric.device, ranks)
        scores = metrics.retrieval(*embedded)
        run.log({f"validation/{name}": value for name, value in scores.items()})
        if scores["r_precision"] > best["r_precision"]:
            best = scores
            shipped = {"caption": averaged.caption.state_dict()}
            if not image_frozen:
                shipped["image"] = averaged.image.state_dict()
            if ranks.main:
                checkpoint.save(run.folder / "best.safetensors", shipped, best_description(scores))
            ranks.wait()

    training_loop(
        run,
        loader,
        lambda batch: job.step(batch, run.position),
        lambda: {**job.state(), "best": best},
        batch_size=config.batch_size,
        every=[(config.validate_every, validate)],
    )
    run.close()
    return run.folder / "best.safetensors"
