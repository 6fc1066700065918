"""Training the generator against its discriminators, for any caption encoder that is passed in."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from attngan.evaluation.observer import Observer
from attngan.networks.condition import CaptionEncoder, Condition, concatenate
from attngan.networks.generator import GENERATOR_KIND
from attngan.networks.image_encoder import ImageEncoder
from attngan.runtime import checkpoint
from attngan.runtime.machine import ranks_of, start
from attngan.runtime.run import Run, describe, training_loop
from attngan.training.gan_config import GanConfig
from attngan.training.gan_job import KIND, GanJob
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.loader import Loader

GRID_CAPTIONS, GRID_DRAWS = 8, 4


def train(
    config: GanConfig,
    image: ImageEncoder,
    caption: Any,
    *,
    vocabulary: Vocabulary | None,
    gammas: dict[str, float],
    description: dict[str, Any],
) -> Path:
    """Train a generator; returns the file of its averaged weights.

    Args:
        image: frozen, of the DAMSM loss. caption: frozen, makes the condition.
        vocabulary: for captions as words; None for recordings.
        gammas: gamma1, gamma2 and gamma3 of the DAMSM loss, those that its encoders were trained with.
        description: what the weights file says besides.

    Raises:
        InputError: for a corpus without what is needed, or a folder of another run.
    """
    fabric = start(config)
    ranks = ranks_of(fabric)
    corpus = Corpus(config.corpus)
    run = Run(config.run, KIND, config, may_change=("threads",), ranks=ranks)
    image.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    caption.to(fabric.device)
    job = GanJob(config, image, caption, fabric, gammas, Observer() if config.observer != "none" else None)
    best = -1.0
    if state := run.resume():
        job.restore(state)
        best = state.get("best", best)
    speech = vocabulary is None
    make_loader = partial(
        Loader,
        corpus,
        batch_size=config.batch_size,
        size=job.generator.resolutions[-1],
        words=vocabulary,
        speech=speech,
        seed=config.seed,
    )
    share = (ranks.rank, ranks.world)
    loader = make_loader(
        "train", close_up=config.close_up, speakers="training" if speech else "all", position=run.position, share=share
    )
    validation = make_loader("validation", augment=False)
    grid_condition = _grid_condition(validation, caption, fabric)
    noise = torch.randn(GRID_DRAWS, job.generator.noise, generator=torch.Generator().manual_seed(config.seed))
    weights = run.folder / "generator.safetensors"

    def draw_grid() -> None:
        if not ranks.main:
            return
        output = job.paint(grid_condition.repeat(GRID_DRAWS), noise.repeat(len(grid_condition), 1))
        for pictures in output.pictures[config.freeze :]:
            run.grid(f"painted-{pictures.shape[-1]}", pictures, GRID_DRAWS * 2)

    def validate() -> None:
        nonlocal best
        scores = job.validate(validation, config.seed)
        run.log({f"validation/{name}": value for name, value in scores.items()})
        about = {"generator": job.generator.arguments, "seen": run.position, "validation": scores, **description}
        about = describe(config, kind=GENERATOR_KIND, **about)
        if scores.get("birds", best) < best:  # where nobody observes, the last weights are kept
            return
        best = scores.get("birds", best)
        if ranks.main:
            checkpoint.save(weights, job.ema.network.state_dict(), about)
        ranks.wait()

    training_loop(
        run,
        loader,
        lambda batch: job.step(batch, run.position),
        lambda: {**job.state(), "best": best},
        batch_size=config.batch_size,
        every=[(config.grid_every, draw_grid), (config.validate_every, validate)],
    )
    run.close()
    return weights


def _grid_condition(loader: Loader, caption: CaptionEncoder, fabric: Any) -> Condition:
    """The condition of a few captions spread over the validation split."""
    conditions = []
    with torch.no_grad(), fabric.autocast():
        for batch in loader.once():
            condition = caption.encode(batch.to(fabric.device))
            conditions.append(Condition(condition.sentence.float(), condition.words.float(), condition.mask))
    condition = concatenate(conditions)
    return condition[torch.linspace(0, len(condition) - 1, min(GRID_CAPTIONS, len(condition))).long()]
