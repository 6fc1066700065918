"""What recognisers of emotion learn from and how: features of every recording, kept on disk, and one training loop."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from attngan.runtime.optimisation import Ema, learning_rate
from datasets import audio, distort
from datasets.augment import augment
from datasets.ravdess import Recording
from s2i.emotion import features as emotion_features
from s2i.emotion.encoder import EmotionEncoder, Heard
from s2i.emotion.networks import Recogniser, Standardised
from s2i.evaluation.cache import Cache

VERSION = 1  # of the features; another one is computed anew
BUCKET = 8  # batches whose recordings are sorted by length, which saves padding
VARIATION: dict[str, Any] = {"speed": 0.15, "tract": 0.1, "equaliser_db": 3.0, "noise": 0.2, "time_width": 0.1}
"""How recordings vary in training ours, beside the defaults of `datasets.augment.augment`."""
CUT = 224  # frames of a recording that ours sees at once while it learns
MIXING = 0.1  # of the beta distribution of how two recordings are mixed (Zhang et al. 2018)
SIDE_WEIGHT = 0.3  # of the terms for voice and intensity
EMA_SHARE = 0.04  # half-life of ours' averaged weights, in shares of the whole training


@dataclass(frozen=True)
class Features:
    """What recognisers see of N recordings; `lengths` are of the log-mels."""

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

    def batch(self, sees: str, chosen: Sequence[int]) -> tuple[Tensor, ...]:
        """The inputs of a network: one tensor, or padded log-mels [B, T, 40] with their mask [B, T]."""
        if sees == "mels":
            mels = [self.mels[k].float() for k in chosen]
            mask = torch.arange(max(map(len, mels)))[None] < torch.tensor([len(mel) for mel in mels])[:, None]
            return nn.utils.rnn.pad_sequence(mels, batch_first=True), mask
        if sees == "patches":
            return (torch.stack([self.patches[k].float() for k in chosen]),)
        rows = torch.as_tensor(np.asarray(chosen))
        if sees == "mfcc":
            return (self.means[rows][..., : emotion_features.N_MFCC],)
        return ((self.windows if sees == "windows" else self.means)[rows],)


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
        found = []
        for number, recording in enumerate(tqdm(recordings, desc=f"features, {condition}", unit="recording")):
            wave = audio.load(recording.path)
            generator = torch.Generator().manual_seed(number)
            found.append(extract(distort.distort(wave, condition, level, generator)))
        whole = {name: torch.stack([each[name] for each in found]) for name in ("windows", "means")}
        mels = [each["mel"] for each in found]
        return {**whole, "mels": torch.cat(mels), "lengths": torch.tensor([len(mel) for mel in mels])}

    files = [(str(recording.path), recording.path.stat().st_size) for recording in recordings]
    identity = {"version": VERSION, "files": files, "condition": condition, "level": level}
    arrays = cache.arrays("features", identity, compute)
    mels = list(arrays["mels"].split(arrays["lengths"].tolist()))
    return Features(windows=arrays["windows"], means=arrays["means"], mels=mels)


@dataclass(frozen=True)
class Labels:
    """What is known of N recordings: tensors [N] of indices."""

    emotion: Tensor
    voice: Tensor
    intensity: Tensor

    @classmethod
    def of(cls, recordings: Sequence[Recording]) -> "Labels":
        """Those that the names tell."""
        names = ("emotion", "voice", "intensity")
        return cls(*(torch.tensor([getattr(recording, name) for recording in recordings]) for name in names))


def fit(
    recogniser: Recogniser,
    features: Features,
    labels: Labels,
    chosen: np.ndarray,
    *,
    seed: int,
    network: nn.Module | None = None,
    epochs: int | None = None,
    told: str = "",
) -> nn.Module:
    """Train a recogniser on the recordings `chosen`; the same arguments give the same weights on the same machine.

    Nothing is chosen while it runs: the last weights are taken, for ours a running average of them.

    Args:
        network: to start from, instead of fresh weights.
        epochs: instead of the recogniser's.
        told: what the progress bar says.
    """
    torch.manual_seed(seed)
    network = recogniser.build() if network is None else network
    _standardise(network, recogniser.sees, features, chosen)
    epochs = recogniser.epochs if epochs is None else epochs
    total, seen = epochs * len(chosen), 0
    weights = [p for p in network.parameters() if p.dim() > 1]
    rest = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": recogniser.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recogniser.learning_rate, fused=True)
    ema = Ema(network, half_life=EMA_SHARE * total) if isinstance(network, EmotionEncoder) else None
    generator = torch.Generator().manual_seed(seed)
    classes = len(recogniser.classes)
    emotion = F.one_hot(recogniser.labels(labels.emotion), classes).float()
    emotion = emotion * (1 - recogniser.smoothing) + recogniser.smoothing / classes
    targets = {"emotion": emotion, "voice": F.one_hot(labels.voice, 2).float(), "intensity": labels.intensity.float()}
    network.train()
    with tqdm(total=total, unit="recording", desc=told, mininterval=5, leave=False, disable=not told) as bar:
        for rows in _batches(features, recogniser, chosen, epochs, seed):
            wanted = {name: target[torch.from_numpy(rows)] for name, target in targets.items()}
            for group in optimizer.param_groups:
                factor = learning_rate(seen, total, warm_up=total // 10, final=0.01)
                group["lr"] = recogniser.learning_rate * factor
            if isinstance(network, EmotionEncoder):
                heard, wanted = _hear_varied(network, features.batch("mels", list(rows)), wanted, generator)
            elif recogniser.sees == "patches":
                heard = network(_some_patches(features, rows, generator))
            else:
                heard = network(*features.batch(recogniser.sees, list(rows)))
            optimizer.zero_grad(set_to_none=True)
            _loss(heard, wanted).backward()
            optimizer.step()
            seen += len(rows)
            bar.update(len(rows))
            if ema is not None:
                ema.update(network, seen, len(rows))
    return (network if ema is None else ema.network).eval().requires_grad_(False)


def _standardise(network: nn.Module, sees: str, features: Features, chosen: np.ndarray) -> None:
    if isinstance(network, EmotionEncoder):
        network.standardise(torch.cat([features.mels[k] for k in chosen]).float())
    elif isinstance(network, Standardised) and sees == "patches":
        network.standardise(torch.cat([features.patches[k][::4] for k in chosen]).movedim(1, -1))
    elif isinstance(network, Standardised):
        network.standardise(features.batch(sees, list(chosen))[0])


def _batches(
    features: Features, recogniser: Recogniser, chosen: np.ndarray, epochs: int, seed: int
) -> Iterator[np.ndarray]:
    """Indices of each step, every recording once an epoch; batches of log-mels are of like length."""
    rng = np.random.default_rng(seed)
    size = recogniser.batch_size
    lengths = np.array([len(mel) for mel in features.mels])
    for _ in range(epochs):
        order = rng.permutation(chosen)
        batches = []
        for first in range(0, len(order), BUCKET * size):
            bucket = order[first : first + BUCKET * size]
            if recogniser.sees == "mels":
                bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
            batches += np.array_split(bucket, -(-len(bucket) // size))
        for k in rng.permutation(len(batches)):
            if len(batches[k]) > 1:  # batch norm has no variance of one
                yield batches[k]


def _hear_varied(
    network: EmotionEncoder, batch: tuple[Tensor, ...], wanted: dict[str, Tensor], generator: torch.Generator
) -> tuple[Heard, dict[str, Tensor]]:
    """What the network makes of varied and mixed recordings, and what it should have made of them."""
    mels, mask = augment(*_cut(batch[0], batch[1], generator), generator, **VARIATION)
    x = network.normalise(mels, mask)
    draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    share, others = float(draw.beta(MIXING, MIXING)), torch.from_numpy(draw.permutation(len(x)))
    x = torch.lerp(x[others], x, share)
    wanted = {name: torch.lerp(value[others], value, share) for name, value in wanted.items()}
    with torch.autocast("cpu", torch.bfloat16):
        return network(x, mask | mask[others]), wanted


def _cut(mels: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A stretch of each of `mels` [B, T, 40] from a random place, `CUT` frames or all that is there."""
    lengths = mask.sum(1)
    room = (lengths - CUT).clamp(min=0)
    start = (torch.rand(len(mels), generator=generator) * (room + 1)).long()
    place = torch.arange(min(CUT, mels.shape[1]))[None]
    rows = (start[:, None] + place).clamp(max=mels.shape[1] - 1)
    return mels.gather(1, rows[:, :, None].expand(-1, -1, mels.shape[2])), place < lengths.clamp(max=CUT)[:, None]


def _some_patches(features: Features, rows: np.ndarray, generator: torch.Generator) -> Tensor:
    """One patch of each recording, at random: [B, 1, 3, 40, 40]."""
    stacks = [features.patches[k] for k in rows]
    return torch.stack([stack[torch.randint(len(stack), (1,), generator=generator)].float() for stack in stacks])


def _loss(heard: Heard, wanted: dict[str, Tensor]) -> Tensor:
    loss = F.cross_entropy(heard.emotion.float(), wanted["emotion"])
    if heard.voice is not None:
        loss = loss + SIDE_WEIGHT * F.cross_entropy(heard.voice.float(), wanted["voice"])
    if heard.intensity is not None:
        loss = loss + SIDE_WEIGHT * F.binary_cross_entropy_with_logits(heard.intensity.float(), wanted["intensity"])
    return loss


@torch.no_grad()
def listen(network: nn.Module, sees: str, features: Features, chosen: np.ndarray) -> dict[str, Tensor]:
    """What a trained network makes of recordings `chosen` [K]: emotion [K, C] and, if it has them, voice, embedding."""
    hear: Callable[..., Heard] = network.hear if isinstance(network, EmotionEncoder) else network
    found: list[Heard] = []
    for row in chosen:  # one by one, so that no result depends on the others
        found.append(hear(*features.batch(sees, [int(row)])))
    return {
        name: torch.cat([getattr(each, name).float() for each in found])
        for name in ("emotion", "voice", "embedding")
        if found and getattr(found[0], name) is not None
    }
