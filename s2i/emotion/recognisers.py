"""The recognisers of emotion that are compared: a table of networks, their inputs and how they are trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from datasets.ravdess import EMOTIONS
from s2i.emotion.encoder import EmotionEncoder
from s2i.emotion.networks import FACES, AlexNet, Lstm, MfccCnn, Mlp, WindowCnn


@dataclass(frozen=True)
class Recogniser:
    """A network, its inputs, and how it is trained."""

    title: str
    """Its name for people."""
    network: Callable[..., nn.Module]
    """Makes it, with fresh weights; takes the arguments `options`."""
    inputs: str
    """An input of `dataset.Features`: means, windows, mfcc, patches or mels."""
    published: float | None
    """The accuracy that was published, a fraction."""
    epochs: int
    """Passes over the training recordings."""
    learning_rate: float
    """Of AdamW, at its highest."""
    batch_size: int = 32
    """Recordings in a step."""
    weight_decay: float = 0.01
    """Of AdamW."""
    classes: tuple[str, ...] = EMOTIONS
    """Emotions that it predicts."""
    smoothing: float = 0.0
    """Of the labels."""
    options: tuple[tuple[str, Any], ...] = ()
    """Arguments of the network."""

    def build(self) -> nn.Module:
        """The network with fresh weights."""
        return self.network(**dict(self.options))

    def labels(self, emotions: Tensor) -> Tensor:
        """Indices [N] into `EMOTIONS` as indices into `classes`."""
        places = [self.classes.index(name if name in self.classes else "neutral") for name in EMOTIONS]
        return torch.tensor(places)[emotions]


RECOGNISERS = {
    "lstm": Recogniser(
        "LSTM in both directions, five windows of 180 features", Lstm, "windows", 0.75, 90, 3e-3, 64, smoothing=0.1
    ),
    "cnn": Recogniser("CNN, five windows of 180 features", WindowCnn, "windows", 0.56, 40, 3e-3, 64, smoothing=0.1),
    "mlp": Recogniser("MLP, 180 features", Mlp, "means", 0.62, 60, 3e-3, 64),
    "conv1d": Recogniser("1-D CNN, 40 MFCC means, 7 classes", MfccCnn, "mfcc", 0.458, 40, 3e-3, 64, classes=FACES),
    "alexnet": Recogniser("AlexNet, MFSC patches 40 x 40 x 3", AlexNet, "patches", None, 40, 1e-3, smoothing=0.1),
    "ours": Recogniser("ours, log-mels", EmotionEncoder, "mels", None, 100, 2e-3, weight_decay=0.05, smoothing=0.1),
}
"""In the order of tables."""
PUBLISHED = tuple(name for name in RECOGNISERS if name != "ours")
