"""The networks of the published recognisers of emotion."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from datasets.ravdess import EMOTIONS, VOICES
from s2i.emotion.encoder import EmotionOutput
from s2i.emotion.features import N_FEATURES, N_MFCC, PATCH, WINDOWS

FACES = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""The classes of FER-2013, a data set of faces; a calm voice has none of its own and counts as neutral."""


class Standardised(nn.Module):
    """Gives every input mean 0 and variance 1 over the training recordings, without which these networks learn little.

    Args:
        size: of the last dimension of an input, for each of which statistics are kept.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def standardise(self, inputs: Tensor) -> None:
        """Learn the statistics from `inputs` [N, ..., size] of training recordings."""
        flat = inputs.flatten(0, -2).float()
        self.mean.copy_(flat.mean(0))
        self.scale.copy_(flat.std(0).clamp(min=1e-6))

    def scaled(self, x: Tensor) -> Tensor:
        """`x` [B, ..., size] standardised; what is far out is cut off at ten deviations."""
        return ((x - self.mean) / self.scale).clamp(-10, 10)


class Mlp(Standardised):
    """A perceptron with one hidden layer of 300 units over the 180 means of a recording [B, 1, 180]."""

    def __init__(self, *, hidden: int = 300, dropout: float = 0.3) -> None:
        super().__init__(N_FEATURES)
        self.layers = nn.Sequential(
            nn.Linear(N_FEATURES, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, len(EMOTIONS))
        )

    def forward(self, x: Tensor) -> EmotionOutput:
        """Predict from [B, 1, 180]."""
        return EmotionOutput(self.layers(self.scaled(x)[:, 0]))


class Lstm(Standardised):
    """A recurrent network over five windows of 180 features [B, 5, 180], in both directions.

    In one direction alone, as the description may be read, it is 5 points worse on recordings held out of training.
    """

    def __init__(self, *, hidden: int = 128, dropout: float = 0.4) -> None:
        super().__init__(N_FEATURES)
        self.lstm = nn.LSTM(N_FEATURES, hidden, batch_first=True, bidirectional=True)
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(2 * hidden, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, len(EMOTIONS))
        )

    def forward(self, x: Tensor) -> EmotionOutput:
        """Predict from [B, 5, 180]."""
        last = self.lstm(self.scaled(x))[1][0]  # [2, B, hidden], of each direction
        return EmotionOutput(self.layers(last.movedim(0, 1).flatten(1)))


class WindowCnn(Standardised):
    """Convolutions along the 180 features, the five windows being channels: [B, 5, 180]."""

    def __init__(self, *, width: int = 32, dropout: float = 0.3) -> None:
        super().__init__(N_FEATURES)
        self.layers = nn.Sequential(
            nn.Conv1d(WINDOWS, width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(4),
            nn.Dropout(dropout),
            nn.Conv1d(width, 2 * width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(4),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(2 * width * (N_FEATURES // 16), len(EMOTIONS)),
        )

    def forward(self, x: Tensor) -> EmotionOutput:
        """Predict from [B, 5, 180]."""
        return EmotionOutput(self.layers(self.scaled(x)))


class MfccCnn(Standardised):
    """Convolutions along the 40 MFCC means of a recording [B, 1, 40], to the seven classes of a face data set."""

    def __init__(self, *, width: int = 64, dropout: float = 0.2) -> None:
        super().__init__(N_MFCC)
        self.layers = nn.Sequential(
            nn.Conv1d(1, width, 5, padding=2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.MaxPool1d(4),
            nn.Conv1d(width, 2 * width, 5, padding=2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(2 * width * (N_MFCC // 4), len(FACES)),
        )

    def forward(self, x: Tensor) -> EmotionOutput:
        """Predict from [B, 1, 40]."""
        return EmotionOutput(self.layers(self.scaled(x)))


class AlexNet(Standardised):
    """AlexNet's five convolutions and three poolings at a quarter of its widths, over MFSC patches [B, P, 3, 40, 40].

    The stride of 4 and the kernel of 11 are those of pictures of 224 px; a patch of 40 takes 2 and 5. A recording is
    what its patches say on average. The voice is predicted from the same features.
    """

    def __init__(
        self, *, widths: tuple[int, ...] = (24, 64, 96, 96, 64), hidden: int = 256, dropout: float = 0.5
    ) -> None:
        super().__init__(3)
        layers: list[nn.Module] = []
        for number, (a, b) in enumerate(pairwise((3, *widths))):
            kernel = 5 if number < 2 else 3
            layers += [nn.Conv2d(a, b, kernel, 2 if number == 0 else 1, kernel // 2), nn.BatchNorm2d(b), nn.ReLU()]
            if number in (0, 1, 4):
                layers.append(nn.MaxPool2d(3, 2, padding=1))
        self.convs = nn.Sequential(*layers)
        side = -(-PATCH // 16)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(widths[-1] * side**2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.to_emotion = nn.Linear(hidden, len(EMOTIONS))
        self.to_voice = nn.Linear(hidden, len(VOICES))

    def forward(self, x: Tensor) -> EmotionOutput:
        """Predict from [B, P, 3, 40, 40]; the logits are the logarithms of probabilities averaged over patches."""
        count = x.shape[1]
        scaled = self.scaled(x.flatten(0, 1).movedim(1, -1)).movedim(-1, 1)
        features = self.layers(self.convs(scaled.contiguous()))

        def average(logits: Tensor) -> Tensor:
            return logits.unflatten(0, (-1, count)).float().log_softmax(2).logsumexp(1) - float(
                torch.tensor(count).log()
            )

        return EmotionOutput(average(self.to_emotion(features)), average(self.to_voice(features)))
