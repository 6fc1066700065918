"""Training the classifier of bird species."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation.classifier import KIND, Classifier
from attngan.runtime import checkpoint
from attngan.runtime.machine import PRECISIONS, make_fabric
from attngan.runtime.optimisation import Ema, learning_rate
from attngan.runtime.run import Run, describe, training_loop
from attngan.training.damsm_job import augment
from datasets import cli
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Pictures, to_unit

HELD_OUT = 4  # every fourth picture of a species is kept for measuring


@dataclass(frozen=True)
class ClassifierConfig:
    """Options of training the classifier."""

    corpus: Path = Path("data/cub.h5")
    """The corpus; the pictures of all its splits are used, three of four to train, one to measure."""
    run: Path = Path("runs/classifier")
    """Run folder; the same command again goes on there."""
    pictures: int = 300_000
    """Budget: how many pictures are seen in all."""
    batch_size: int = 64
    """Pictures in a step."""
    learning_rate: float = 2e-3
    """Of AdamW, at its highest."""
    weight_decay: float = 0.05
    """Of AdamW."""
    smoothing: float = 0.1
    """Of the labels."""
    size: int = 96
    """Side in px of the pictures that it sees."""
    width: int = 24
    """Channels of its first stage."""
    blocks: tuple[int, int, int, int] = (1, 1, 2, 2)
    """Residual blocks in each of its stages."""
    ema_pictures: float = 10_000
    """Half-life of the averaged weights, in pictures."""
    precision: str = "bf16-mixed"
    """bf16-mixed or 32-true."""
    validate_every: int = 50_000
    """Pictures between measurements."""
    checkpoint_every: int = 20_000
    """Pictures between checkpoints."""
    log_every: int = 640
    """Pictures between logged losses."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""
    seed: int = 1
    """Of everything random."""

    def __post_init__(self) -> None:
        cli.check_range("pictures", self.pictures, 1)
        cli.check_range("batch_size", self.batch_size, 2, 4096)
        cli.check_range("learning_rate", self.learning_rate, 1e-8, 1)
        cli.check_range("weight_decay", self.weight_decay, 0, 1)
        cli.check_range("smoothing", self.smoothing, 0, 0.99)
        cli.check_range("size", self.size, 32, 512)
        cli.check_range("width", self.width, 4, 512)
        for count in self.blocks:
            cli.check_range("blocks", count, 1, 8)
        for name in ("ema_pictures", "validate_every", "checkpoint_every", "log_every"):
            cli.check_range(name, getattr(self, name), 1)
        cli.check_range("threads", self.threads, 0, 1024)
        cli.check_range("seed", self.seed, 0)
        cli.check_choice("precision", self.precision, PRECISIONS)


PRESETS = {
    "cub": ClassifierConfig(),
    "tiny": ClassifierConfig(
        corpus=Path("data/tiny.h5"),
        run=Path("runs/tiny-classifier"),
        pictures=3_200,
        batch_size=16,
        size=32,
        width=8,
        blocks=(1, 1, 1, 1),
        ema_pictures=300,
        validate_every=1_600,
        checkpoint_every=1_600,
        log_every=160,
    ),
}


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
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    fabric = make_fabric(config.precision)
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
            chosen = rng.choice(training, config.batch_size, replace=len(training) < config.batch_size)
            yield chosen, np.stack([pictures.crop(int(index), rng) for index in chosen])

    def step(batch: tuple[np.ndarray, np.ndarray]) -> dict[str, Tensor]:
        chosen, crops = batch
        network.train()
        factor = learning_rate(
            run.position, config.pictures, warm_up=min(2_000, config.pictures // 10), flat=0.3, final=0.01
        )
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * factor
        draws = torch.Generator().manual_seed(config.seed * 1_000_003 + run.position)
        seen = augment(to_unit(torch.from_numpy(crops).permute(0, 3, 1, 2).to(fabric.device)), draws)
        labels = torch.from_numpy(corpus.species[chosen]).to(fabric.device)
        with fabric.autocast():
            logits = network(seen.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=config.smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        ema.update(network, run.position, config.batch_size)
        return {"loss": loss.detach(), "accuracy": (logits.argmax(1) == labels).float().mean() * 100}

    weights = run.folder / "classifier.safetensors"

    @torch.no_grad()
    def validate() -> None:
        right: list[Tensor] = []
        for first in tqdm(range(0, len(measuring), 128), desc="measuring", leave=False):
            chosen = measuring[first : first + 128]
            crops = torch.from_numpy(np.stack([pictures.crop(int(index), None) for index in chosen]))
            with fabric.autocast():
                logits = ema.network(to_unit(crops.permute(0, 3, 1, 2).to(fabric.device)))
            right.append(logits.argmax(1).cpu() == torch.from_numpy(corpus.species[chosen]))
        found = {"accuracy": float(torch.cat(right).float().mean() * 100)}
        run.log({f"validation/{name}": value for name, value in found.items()})
        about = {KIND: network.arguments, "seen": run.position, "validation": found}
        checkpoint.save(weights, ema.network.state_dict(), describe(config, kind=f"{KIND}-weights", **about))

    def state_now() -> dict[str, Any]:
        return {"network": network.state_dict(), "ema": ema.network.state_dict(), "optimizer": optimizer.state_dict()}

    every = [(config.validate_every, validate)]
    training_loop(run, batches(), step, state_now, batch_size=config.batch_size, every=every)
    run.close()
    return weights


def main(arguments: list[str]) -> None:
    """Train the classifier as the command line asks for."""
    train(cli.parse(ClassifierConfig, PRESETS, arguments, description="Train a classifier of bird species."))


if __name__ == "__main__":
    cli.run(main)
