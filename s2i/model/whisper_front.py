"""The frozen encoder of Whisper tiny.en as a front end: what a network that was taught to write hears in speech."""

import functools

import numpy as np
import torch
from torch import Tensor

from datasets import audio, speech_activity
from datasets.files import sha256

WIDTH = 384  # of tiny.en
POOLED = 4  # of its frames of 20 ms, to those of 80 ms that the speech encoder works at
STEP = 0.08  # seconds
AFTER = 50  # frames of 10 ms of silence that it hears after the end
PEAK = 0.7
MAKER = "python -m s2i.whisper_features"


class WhisperFront:
    """What Whisper's encoder (Radford et al. 2022) makes of what is said, of the pip package's model.

    It hears each recording alone and no longer than it is: with the 30 s that Whisper always hears, features differ
    little (correlation .97 to .99), and take ten times as long.

    Args:
        threads: of the CPU; 0 takes as many as torch.

    Raises:
        InputError: if a package is missing.
    """

    def __init__(self, threads: int = 0) -> None:
        from s2i.model.whisper import load_model  # whose imports take time, which other front ends need not wait for

        self._model, self._weights = load_model(None, threads)

    @functools.cached_property
    def identity(self) -> str:
        """Tells these weights from others."""
        return sha256(self._weights)[:16]

    def __call__(self, wave: Tensor) -> Tensor:
        """A recording [N], 16 kHz, as [T, `WIDTH` + 1]: a frame for each 80 ms in which somebody speaks.

        The last feature is when each frame begins, in seconds: pauses are left out.
        """
        wave = wave - wave.mean()
        wave = wave * (PEAK / wave.abs().max().clamp(min=1e-9))
        features = self._model.feature_extractor(wave.numpy().astype(np.float32))
        padded = np.pad(features, ((0, 0), (0, AFTER)), constant_values=features.min())
        encoded = torch.from_numpy(np.array(self._model.encode(padded)))[0]
        count = -(-features.shape[1] // (2 * POOLED))
        encoded = encoded[: count * POOLED].unflatten(0, (-1, POOLED)).mean(1)
        mels = audio.log_mel(speech_activity.levelled(wave))
        heard = speech_activity.speech(mels[None], torch.ones(1, len(mels), dtype=torch.bool)).frames[0]
        spoken = (heard // (2 * POOLED)).unique()
        spoken = spoken[spoken < len(encoded)]
        return torch.cat([encoded[spoken], STEP * spoken[:, None]], 1)


@functools.cache
def shared() -> WhisperFront:
    """The one that all encoders of this process listen with."""
    return WhisperFront()
