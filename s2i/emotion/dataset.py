"""What recognisers of emotion learn from: features of every recording, kept on disk, and labels."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from datasets import audio, distort
from datasets.ravdess import Recording
from s2i.emotion import features as emotion_features
from s2i.evaluation.cache import Cache

VERSION = 1  # of the features; another one is computed anew


@dataclass(frozen=True)
class Features:
    """The inputs of recognisers, of N recordings; `lengths` are of the log-mels."""

    windows: Tensor
    """[N, 5, 180]."""
    means: Tensor
    """[N, 1, 180]; the first 40 are the MFCC."""
    mels: list[Tensor]
    """N log-mels [T, 40], trimmed, half precision."""

    @functools.cached_property
    def patches(self) -> list[Tensor]:
        """N times [P, 3, 40, 40], half precision."""
        return [emotion_features.patches(mel).half() for mel in self.mels]

    def batch(self, inputs: str, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """The inputs that `Recogniser.inputs` names: a tensor, or padded log-mels [B, T, 40] with their mask [B, T]."""
        if inputs == "mels":
            mels = [self.mels[k].float() for k in indices]
            mask = torch.arange(max(map(len, mels)))[None] < torch.tensor([len(mel) for mel in mels])[:, None]
            return nn.utils.rnn.pad_sequence(mels, batch_first=True), mask
        if inputs == "patches":
            return (torch.stack([self.patches[k].float() for k in indices]),)
        places = torch.as_tensor(np.asarray(indices))
        if inputs == "mfcc":
            return (self.means[places][..., : emotion_features.N_MFCC],)
        return ((self.windows if inputs == "windows" else self.means)[places],)


def extract(wave: Tensor) -> dict[str, Tensor]:
    """The features of one recording [N], 16 kHz."""
    return {
        "windows": emotion_features.windows_180(wave, emotion_features.WINDOWS),
        "means": emotion_features.windows_180(wave),
        "mel": emotion_features.trim(audio.log_mel(wave)).half(),
    }


def load_features(
    recordings: Sequence[Recording], cache: Cache, condition: str = "clean", level: float | None = None
) -> Features:
    """The features of `recordings` under a condition of `datasets.distort`, computed once and then read from `cache`.

    Raises:
        InputError: if a recording is damaged, silent, too short or too long.
    """

    def compute() -> dict[str, Tensor]:
        extracted = []
        for number, recording in enumerate(tqdm(recordings, desc=f"features, {condition}", unit="recording")):
            wave = audio.load(recording.path)
            generator = torch.Generator().manual_seed(number)
            extracted.append(extract(distort.distort(wave, condition, level, generator)))
        stacked = {name: torch.stack([each[name] for each in extracted]) for name in ("windows", "means")}
        mels = [each["mel"] for each in extracted]
        return {**stacked, "mels": torch.cat(mels), "lengths": torch.tensor([len(mel) for mel in mels])}

    files = [(str(recording.path), recording.path.stat().st_size) for recording in recordings]
    identity = {"version": VERSION, "files": files, "condition": condition, "level": level}
    arrays = cache.arrays("features", identity, compute)
    mels = list(arrays["mels"].split(arrays["lengths"].tolist()))
    return Features(windows=arrays["windows"], means=arrays["means"], mels=mels)


@dataclass(frozen=True)
class Labels:
    """The labels of N recordings: tensors [N] of indices."""

    emotion: Tensor
    voice: Tensor
    intensity: Tensor

    @classmethod
    def of(cls, recordings: Sequence[Recording]) -> "Labels":
        """The labels of `recordings`."""
        names = ("emotion", "voice", "intensity")
        return cls(*(torch.tensor([getattr(recording, name) for recording in recordings]) for name in names))
