"""The experiments behind the figures of emotion: each result is kept on disk, so that a stopped run goes on."""

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
from s2i.emotion.dataset import VERSION, Features, Labels, load_features
from s2i.emotion.encoder import EmotionEncoder
from s2i.emotion.novelty import MahalanobisDetector
from s2i.emotion.protocols import INDEPENDENT, Split
from s2i.emotion.recognisers import RECOGNISERS, Recogniser
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
INITIALISATIONS = {  # ours initialised in other ways, to say which is best: options and learning rate
    "convolutions over bands, from scratch": {},
    "the SEN's convolutions, from its weights": {"options": SEN_OPTIONS, "learning_rate": 1e-3},
    "the SEN's convolutions, from scratch": {"options": SEN_OPTIONS, "learning_rate": 1e-3},
}
FROM_SEN = "the SEN's convolutions, from its weights"


@dataclass(frozen=True)
class Context:
    """What all experiments of a run share."""

    recordings: tuple[Recording, ...]
    run: Path
    """Folder of features and results."""
    sen: Path
    """Weights of the speech encoder, for the comparison of initialisations."""
    seed: int
    epoch_share: float
    """Of each recogniser's epochs."""


@dataclass(frozen=True)
class Experiment:
    """One recogniser, trained and tested on one split."""

    recogniser: str
    split: Split
    initialisation: str | None = None
    """A key of `INITIALISATIONS`, of ours only."""

    @property
    def name(self) -> str:
        """Split, recogniser and initialisation, for progress and file names."""
        suffix = "" if self.initialisation is None else f"-start{list(INITIALISATIONS).index(self.initialisation)}"
        return f"{self.split.name}-{self.recogniser}{suffix}"


@functools.lru_cache(maxsize=8)
def features_of(context: Context, condition: str = CLEAN) -> Features:
    """Of all recordings, clean or under one of `CONDITIONS`; computed once and then read from disk."""
    named = CONDITIONS.get(condition, (CLEAN, None))
    return load_features(context.recordings, Cache(context.run), *named)


def recipe(experiment: Experiment) -> Recogniser:
    """How the experiment's recogniser is trained."""
    return replace(RECOGNISERS[experiment.recogniser], **INITIALISATIONS.get(experiment.initialisation or "", {}))  # type: ignore[arg-type]


def train(context: Context, experiment: Experiment) -> nn.Module:
    """Train the experiment's network on its training part."""
    recogniser = recipe(experiment)
    network = None
    seed = context.seed + experiment.split.number
    if experiment.initialisation == FROM_SEN:
        torch.manual_seed(seed)
        network = recogniser.build()
        assert isinstance(network, EmotionEncoder)
        network.start_from(load_speech_encoder(context.sen))
    return emotion_training.fit(
        recogniser,
        features_of(context, CLEAN),
        Labels.of(context.recordings),
        experiment.split.training,
        seed=seed,
        network=network,
        epochs=max(1, round(recogniser.epochs * context.epoch_share)),
        label=experiment.name,
    )


def result(context: Context, experiment: Experiment) -> dict[str, Tensor]:
    """What the experiment's network predicts of its test recordings, computed once and then read from disk.

    Returns:
        `emotion/CONDITION` [K, C] logits, `voice/CONDITION` [K, 2] of those that predict it, and of ours
        `distance/CONDITION` [K], for clean recordings and, of actors never heard, each of `CONDITIONS`.
    """
    recogniser = recipe(experiment)

    def compute() -> dict[str, Tensor]:
        network = train(context, experiment)
        detector = detector_of(context, network, experiment.split.training)
        predictions: dict[str, Tensor] = {}
        for condition in (CLEAN, *(CONDITIONS if experiment.split.protocol == INDEPENDENT else ())):
            features = features_of(context, condition)
            predicted = emotion_training.predict(network, recogniser.inputs, features, experiment.split.test)
            if detector is not None:
                predicted["distance"] = detector.distance(predicted.pop("embedding"))
            predictions |= {f"{name}/{condition}": value for name, value in predicted.items()}
        return predictions

    return Cache(context.run).arrays(experiment.name, _identity(context, experiment), compute)


def detector_of(context: Context, network: nn.Module, training: np.ndarray) -> MahalanobisDetector | None:
    """The detector of what is unlike the `training` recordings, of ours; None of the published recognisers."""
    if not isinstance(network, EmotionEncoder):
        return None
    embeddings = emotion_training.predict(network, "mels", features_of(context, CLEAN), training)["embedding"]
    return MahalanobisDetector.measure(embeddings, Labels.of(context.recordings).emotion[training])


def weights(context: Context, experiment: Experiment) -> dict[str, Tensor]:
    """Trained weights and, below `familiarity/`, the detector's statistics; computed once and then read from disk."""

    def compute() -> dict[str, Tensor]:
        network = train(context, experiment)
        detector = detector_of(context, network, experiment.split.training)
        assert detector is not None
        return {
            **network.state_dict(),
            **{f"familiarity/{name}": value for name, value in detector.statistics.items()},
        }

    return Cache(context.run).arrays(f"{experiment.name}-weights", _identity(context, experiment), compute)


def _identity(context: Context, experiment: Experiment) -> dict[str, Any]:
    """All that the result depends on; another identity is computed anew."""
    names = [
        [context.recordings[k].path.stem for k in part] for part in (experiment.split.training, experiment.split.test)
    ]
    recogniser = recipe(experiment)
    return {
        "recordings": hashlib.sha256(str(names).encode()).hexdigest(),
        "recipe": {
            name: getattr(value, "__name__", str(value))  # of the network, which may stand in another module one day
            for name, value in vars(recogniser).items()
            if name not in ("title", "published")
        },
        "variation": emotion_training.AUGMENTATION if recogniser.inputs == "mels" else None,
        "version": VERSION,
        "seed": context.seed,
        "epoch_share": context.epoch_share,
        "start": experiment.initialisation,
    }


def _run_one(context: Context, experiment: Experiment) -> str:
    torch.set_num_threads(1)
    result(context, experiment)
    return experiment.name


def run_all(context: Context, experiments: Sequence[Experiment], workers: int) -> list[dict[str, Tensor]]:
    """The results of all experiments in their order, those that are not on disk yet computed by so many processes."""
    for condition in (
        CLEAN,
        *(CONDITIONS if any(experiment.split.protocol == INDEPENDENT for experiment in experiments) else ()),
    ):
        features_of(context, condition)  # once, before the processes ask for them
    if workers > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for done in as_completed([pool.submit(_run_one, context, experiment) for experiment in experiments]):
                print(f"done: {done.result()}", flush=True)
    return [result(context, experiment) for experiment in experiments]
