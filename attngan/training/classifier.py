"""Training the classifier of bird species."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation.classifier import KIND, Classifier
from attngan.runtime import checkpoint
from attngan.runtime.machine import start
from attngan.runtime.optimisation import Ema, learning_rate, set_learning_rate
from attngan.runtime.run import Run, describe, training_loop
from attngan.training.classifier_config import ClassifierConfig
from attngan.training.damsm_job import augment
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Pictures, to_unit

HELD_OUT = 4  # every fourth picture of a species is kept for measuring


def halves(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Pictures to train with and pictures to measure with, of every species some; indices.

    Raises:
        InputError: if some species has too few pictures for both.
    """
    training, measuring = [], []
    for species in np.unique(corpus.species):
        pictures = np.flatnonzero(corpus.species == species)
        if len(pictures) < HELD_OUT:
            raise InputError(
                f"{corpus.path}: {corpus.species_names[species]} has {len(pictures)} pictures; "
                f"a classifier needs {HELD_OUT} of each species"
            )
        measuring.append(pictures[HELD_OUT - 1 :: HELD_OUT])
        training.append(np.setdiff1d(pictures, measuring[-1]))
    return np.concatenate(training), np.concatenate(measuring)


def train(config: ClassifierConfig) -> Path:
    """Train the classifier; returns the file of its averaged weights.

    Raises:
        InputError: for a missing or damaged corpus, species of too few pictures, or a folder of another run.
    """
    fabric = start(config)
    corpus = Corpus(config.corpus)
    training, measuring = halves(corpus)
    network = Classifier(
        n_species=len(corpus.species_names), size=config.size, width=config.width, blocks=config.blocks
    )
    network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(config.run, KIND, config, may_change=("threads",))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    ema = Ema(network, half_life=config.ema_pictures)
    if state := run.resume():
        network.load_state_dict(state["network"])
        ema.network.load_state_dict(state["ema"])
        checkpoint.load_optimizer(optimizer, state["optimizer"])
    pictures = Pictures(corpus, np.concatenate([training, measuring]), config.size)

    def batches() -> Any:
        while True:
            rng = np.random.default_rng([config.seed, run.position])
            indices = rng.choice(training, config.batch_size, replace=len(training) < config.batch_size)
            yield indices, np.stack([pictures.crop(int(index), rng) for index in indices])

    def step(batch: tuple[np.ndarray, np.ndarray]) -> dict[str, Tensor]:
        indices, crops = batch
        network.train()
        factor = learning_rate(
            run.position, config.pictures, warm_up=min(2_000, config.pictures // 10), flat=0.3, final=0.01
        )
        set_learning_rate(optimizer, config.learning_rate * factor)
        draws = torch.Generator().manual_seed(config.seed * 1_000_003 + run.position)
        augmented = augment(to_unit(torch.from_numpy(crops).permute(0, 3, 1, 2).to(fabric.device)), draws)
        labels = torch.from_numpy(corpus.species[indices]).to(fabric.device)
        with fabric.autocast():
            logits = network(augmented.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=config.smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        ema.update(network, run.position, config.batch_size)
        return {"loss": loss.detach(), "accuracy": (logits.argmax(1) == labels).float().mean() * 100}

    weights = run.folder / "classifier.safetensors"

    @torch.no_grad()
    def validate() -> None:
        correct: list[Tensor] = []
        for first in tqdm(range(0, len(measuring), 128), desc="measuring", leave=False):
            indices = measuring[first : first + 128]
            crops = torch.from_numpy(np.stack([pictures.crop(int(index), None) for index in indices]))
            with fabric.autocast():
                logits = ema.network(to_unit(crops.permute(0, 3, 1, 2).to(fabric.device)))
            correct.append(logits.argmax(1).cpu() == torch.from_numpy(corpus.species[indices]))
        scores = {"accuracy": float(torch.cat(correct).float().mean() * 100)}
        run.log({f"validation/{name}": value for name, value in scores.items()})
        about = {KIND: network.arguments, "seen": run.position, "validation": scores}
        checkpoint.save(weights, ema.network.state_dict(), describe(config, kind=f"{KIND}-weights", **about))

    def state_now() -> dict[str, Any]:
        return {"network": network.state_dict(), "ema": ema.network.state_dict(), "optimizer": optimizer.state_dict()}

    every = [(config.validate_every, validate)]
    training_loop(run, batches(), step, state_now, batch_size=config.batch_size, every=every)
    run.close()
    return weights
