"""The trainings behind the figures of emotion: jobs whose results are kept on disk, so that a stopped run goes on."""

import functools
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from datasets.ravdess import Recording
from s2i.emotion import training as emotion_training
from s2i.emotion.encoder import EmotionEncoder, Familiarity
from s2i.emotion.networks import RECOGNISERS, Recogniser
from s2i.emotion.protocols import INDEPENDENT, Trial
from s2i.emotion.training import Features, Labels
from s2i.evaluation.cache import Cache
from s2i.model.speech_encoder import load_speech_encoder

CLEAN = "clean"
CONDITIONS: dict[str, tuple[str, float | None]] = {
    "noise 20 dB": ("white", 20.0),
    "noise 10 dB": ("white", 10.0),
    "noise 0 dB": ("white", 0.0),
    "telephone": ("telephone", None),
}
"""Under which actors never heard are tested beside clean recordings: name, condition of `datasets.distort`, level."""
SEN_OPTIONS = (("trunk", "sen"), ("width", 160), ("channels", 192))
STARTS = {  # ours with other beginnings, to say which is best: options and learning rate
    "convolutions over bands, from scratch": {},
    "the SEN's convolutions, from its weights": {"options": SEN_OPTIONS, "learning_rate": 1e-3},
    "the SEN's convolutions, from scratch": {"options": SEN_OPTIONS, "learning_rate": 1e-3},
}
FROM_SEN = "the SEN's convolutions, from its weights"


@dataclass(frozen=True)
class Context:
    """What all jobs of a run share."""

    recordings: tuple[Recording, ...]
    run: Path
    """Folder of features and results."""
    sen: Path
    """Weights of the speech encoder, for the comparison of beginnings."""
    seed: int
    epoch_share: float
    """Of each recogniser's epochs."""


@dataclass(frozen=True)
class Job:
    """One training and its test."""

    recogniser: str
    trial: Trial
    start: str | None = None
    """A key of `STARTS`, of ours only."""

    @property
    def name(self) -> str:
        """It, for progress and file names."""
        start = "" if self.start is None else f"-start{list(STARTS).index(self.start)}"
        return f"{self.trial.name}-{self.recogniser}{start}"


@functools.lru_cache(maxsize=8)
def features_of(context: Context, condition: str = CLEAN) -> Features:
    """Of all recordings, clean or under one of `CONDITIONS`; computed once and then read from disk."""
    named = CONDITIONS.get(condition, (CLEAN, None))
    return emotion_training.load_features(context.recordings, Cache(context.run), *named)


def recipe(job: Job) -> Recogniser:
    """How the job's recogniser is trained."""
    return replace(RECOGNISERS[job.recogniser], **STARTS.get(job.start or "", {}))  # type: ignore[arg-type]


def train(context: Context, job: Job) -> nn.Module:
    """Train the job's network on its training part."""
    recogniser = recipe(job)
    network = None
    seed = context.seed + job.trial.number
    if job.start == FROM_SEN:
        torch.manual_seed(seed)
        network = recogniser.build()
        assert isinstance(network, EmotionEncoder)
        network.start_from(load_speech_encoder(context.sen))
    return emotion_training.fit(
        recogniser,
        features_of(context, CLEAN),
        Labels.of(context.recordings),
        job.trial.training,
        seed=seed,
        network=network,
        epochs=max(1, round(recogniser.epochs * context.epoch_share)),
        told=job.name,
    )


def result(context: Context, job: Job) -> dict[str, Tensor]:
    """What the job's network made of its test recordings, computed once and then read from disk.

    Returns:
        `emotion/CONDITION` [K, C] logits, `voice/CONDITION` [K, 2] of those that tell it, and of ours
        `distance/CONDITION` [K], for clean recordings and, of actors never heard, each of `CONDITIONS`.
    """
    recogniser = recipe(job)

    def compute() -> dict[str, Tensor]:
        network = train(context, job)
        familiarity = familiarity_of(context, network, job.trial.training)
        found: dict[str, Tensor] = {}
        for condition in (CLEAN, *(CONDITIONS if job.trial.protocol == INDEPENDENT else ())):
            heard = emotion_training.listen(network, recogniser.sees, features_of(context, condition), job.trial.test)
            if familiarity is not None:
                heard["distance"] = familiarity.distance(heard.pop("embedding"))
            found |= {f"{name}/{condition}": value for name, value in heard.items()}
        return found

    return Cache(context.run).arrays(job.name, _identity(context, job), compute)


def familiarity_of(context: Context, network: nn.Module, chosen: np.ndarray) -> Familiarity | None:
    """How far from its training recordings ours finds others; None of the published recognisers."""
    if not isinstance(network, EmotionEncoder):
        return None
    heard = emotion_training.listen(network, "mels", features_of(context, CLEAN), chosen)
    return Familiarity.measure(heard["embedding"], Labels.of(context.recordings).emotion[chosen])


def weights(context: Context, job: Job) -> dict[str, Tensor]:
    """The job's trained weights and, below `familiarity/`, its statistics; computed once and then read from disk."""

    def compute() -> dict[str, Tensor]:
        network = train(context, job)
        familiarity = familiarity_of(context, network, job.trial.training)
        assert familiarity is not None
        return {
            **network.state_dict(),
            **{f"familiarity/{name}": value for name, value in familiarity.statistics.items()},
        }

    return Cache(context.run).arrays(f"{job.name}-weights", _identity(context, job), compute)


def _identity(context: Context, job: Job) -> dict[str, Any]:
    """All that the result depends on; another identity is computed anew."""
    names = [[context.recordings[k].path.stem for k in part] for part in (job.trial.training, job.trial.test)]
    recogniser = recipe(job)
    return {
        "recordings": hashlib.sha256(str(names).encode()).hexdigest(),
        "recipe": {
            name: getattr(value, "__name__", str(value))  # of the network, which may stand in another module one day
            for name, value in vars(recogniser).items()
            if name not in ("title", "published")
        },
        "variation": emotion_training.VARIATION if recogniser.sees == "mels" else None,
        "version": emotion_training.VERSION,
        "seed": context.seed,
        "epoch_share": context.epoch_share,
        "start": job.start,
    }


def _quietly(context: Context, job: Job) -> str:
    torch.set_num_threads(1)
    result(context, job)
    return job.name


def run_all(context: Context, jobs: Sequence[Job], workers: int) -> list[dict[str, Tensor]]:
    """The results of all jobs in their order, those that are not on disk yet computed by so many processes."""
    for condition in (CLEAN, *(CONDITIONS if any(job.trial.protocol == INDEPENDENT for job in jobs) else ())):
        features_of(context, condition)  # once, before the processes ask for them
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for done in as_completed([pool.submit(_quietly, context, job) for job in jobs]):
                print(f"done: {done.result()}", flush=True)
    return [result(context, job) for job in jobs]
