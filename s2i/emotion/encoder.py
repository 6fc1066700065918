"""Our recogniser of emotion: convolutions over log-mels, attention over time, and a head for each attribute."""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.attention import masked_softmax
from datasets import audio
from datasets.ravdess import EMOTIONS, VOICES
from s2i.model.speech_encoder import MaskedConv, SpeechEncoder

TRUNKS = ("bands", "sen")


class EmotionOutput(NamedTuple):
    """What a recogniser predicts of B recordings.

    Attributes:
        emotion: logits [B, C].
        voice: logits [B, 2] over `VOICES`, or None of a network without such a head.
        intensity: logit [B] that the emotion is strong, or None.
        embedding: [B, E] that the logits are linear in, or None.
    """

    emotion: Tensor
    voice: Tensor | None = None
    intensity: Tensor | None = None
    embedding: Tensor | None = None


class BandTrunk(nn.Module):
    """Convolutions over time and bands: [B, T, 40] to [B, C, T / 8] and its mask.

    A pattern is known again when it lies some bands higher, as it does for another throat. The first convolution goes
    to 25 Hz at once, as the speech encoder's does. A last one, over time alone, sees how the voice rises and falls.
    """

    KERNELS = ((9, 5), (3, 3), (3, 3))  # frames, bands
    STRIDES = ((4, 2), (1, 2), (2, 2))
    stride = math.prod(frames for frames, _ in STRIDES)

    def __init__(self, width: int, channels: int, dropout: float) -> None:
        super().__init__()
        widths = (1, width, 2 * width, 4 * width)
        self.convs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, kernel, stride, (kernel[0] // 2, kernel[1] // 2), bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(),
            )
            for (a, b), kernel, stride in zip(pairwise(widths), self.KERNELS, self.STRIDES, strict=True)
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on CPUs
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Conv1d(widths[-1] * audio.N_MELS // math.prod(b for _, b in self.STRIDES), channels, 1)
        self.norm = nn.BatchNorm1d(channels)
        self.contour = nn.Sequential(
            nn.Conv1d(channels, channels, 5, padding=2, bias=False), nn.BatchNorm1d(channels), nn.ReLU()
        )

    def forward(self, mels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Take normalised log-mels [B, T, 40], padded with zeros, and their mask [B, T]."""
        extra = -mels.shape[1] % self.stride
        x = F.pad(mels, (0, 0, 0, extra))[:, None].contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            x = conv(x)
        x = x.permute(0, 1, 3, 2).flatten(1, 2)  # [B, C * bands, T / 8]
        x = F.relu(self.norm(self.project(self.dropout(x))))
        mask = F.pad(mask, (0, extra))[:, :: self.stride]
        return x + self.contour(x * mask[:, None]), mask


class SenTrunk(nn.Module):
    """The convolutions of the speech embedding network: [B, T, 40] to [B, C, T / 8] and its mask."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.convs = SpeechEncoder(width=width, hidden=channels).convs

    def forward(self, mels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Take normalised log-mels [B, T, 40], padded with zeros, and their mask [B, T]."""
        x = mels.transpose(1, 2)
        for conv in self.convs:
            assert isinstance(conv, MaskedConv)
            x, mask = conv(x, mask)
        return x, mask


class EmotionEncoder(nn.Module):
    """Log-mels to emotion, voice and intensity.

    The front end is the speech encoder's (`datasets.audio.log_mel`). What the microphone's gain decides, the mean over
    all frames and bands, is taken out of each recording. Pooling is a softmax over time for each channel, of which
    mean and standard deviation are kept (attentive statistics, Okabe et al. 2018).

    Args:
        trunk: "bands", convolutions over time and frequency; "sen", those of the speech encoder, over time alone.
        width: channels of the first convolution ("bands") or of those at 25 Hz ("sen").
        channels: of what is pooled.
        dropout: of what is pooled, and of what it becomes.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, *, trunk: str = "bands", width: int = 24, channels: int = 128, dropout: float = 0.3, attention: int = 64
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "trunk": trunk,
            "width": width,
            "channels": channels,
            "dropout": dropout,
            "attention": attention,
        }
        if trunk not in TRUNKS:
            raise ValueError(f"trunk {trunk}: not one of {', '.join(TRUNKS)}")
        self.register_buffer("mean", torch.zeros(audio.N_MELS))
        self.register_buffer("scale", torch.ones(()))
        self.trunk = SenTrunk(width, channels) if trunk == "sen" else BandTrunk(width, channels, dropout)
        self.attention = nn.Sequential(nn.Conv1d(channels, attention, 1), nn.Tanh(), nn.Conv1d(attention, channels, 1))
        self.dropout = nn.Dropout(dropout)
        self.to_emotion = nn.Linear(2 * channels, len(EMOTIONS))
        self.to_voice = nn.Linear(2 * channels, len(VOICES))
        self.to_intensity = nn.Linear(2 * channels, 1)

    def standardise(self, frames: Tensor) -> None:
        """Learn mean and scale of the bands from `frames` [N, 40], log-mel of training recordings."""
        self.mean.copy_(frames.mean(0))
        self.scale.copy_((frames - self.mean).std())

    def start_from(self, encoder: SpeechEncoder) -> None:
        """Take over the convolutions of a trained speech encoder of the same widths ("sen" only)."""
        assert isinstance(self.trunk, SenTrunk)
        self.trunk.convs.load_state_dict(encoder.convs.state_dict())

    def normalise(self, mels: Tensor, mask: Tensor) -> Tensor:
        """Log-mels [B, T, 40] as the trunk wants them: no gain, about unit variance, padding 0."""
        x = mels - self.mean
        x = x - audio.masked_mean(x, mask).mean(-1, keepdim=True)
        return (x / self.scale).where(mask[..., None], 0.0)

    def forward(self, mels: Tensor, mask: Tensor) -> EmotionOutput:
        """Predict from normalised log-mels [B, T, 40] with mask [B, T]."""
        states, mask = self.trunk(mels, mask)
        weights = masked_softmax(self.attention(states).float(), mask[:, None], dim=2)
        mean = (weights * states).sum(2)
        deviation = ((weights * states.square()).sum(2) - mean.square()).clamp(min=1e-4).sqrt()
        embedding = torch.cat([mean, deviation], 1)
        x = self.dropout(embedding)
        return EmotionOutput(self.to_emotion(x), self.to_voice(x), self.to_intensity(x)[:, 0], embedding)

    def predict(self, mels: Tensor, mask: Tensor) -> EmotionOutput:
        """Predict from log-mels [B, T, 40] as `datasets.audio.log_mel` gives them, trimmed, with mask [B, T]."""
        return self(self.normalise(mels, mask), mask)
