"""How a recogniser of emotion is trained, and what a trained one predicts."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from attngan.runtime.optimisation import Ema, learning_rate
from datasets.augment import augment
from s2i.emotion.dataset import Features, Labels
from s2i.emotion.encoder import EmotionEncoder, EmotionOutput
from s2i.emotion.networks import Standardised
from s2i.emotion.recognisers import Recogniser

BUCKET = 8  # batches whose recordings are sorted by length, which saves padding
AUGMENTATION: dict[str, Any] = {"speed": 0.15, "tract": 0.1, "equaliser_db": 3.0, "noise": 0.2, "time_width": 0.1}
"""Augmentation of the recordings that ours is trained on, beside the defaults of `datasets.augment.augment`."""
CROP_FRAMES = 224  # length in frames of a random crop that ours is trained on
MIXUP_ALPHA = 0.1  # of the beta distribution of the mixing weight (mixup, Zhang et al. 2018)
AUXILIARY_WEIGHT = 0.3  # of the terms for voice and intensity
EMA_SHARE = 0.04  # half-life of ours' averaged weights, in shares of the whole training


def fit(
    recogniser: Recogniser,
    features: Features,
    labels: Labels,
    indices: np.ndarray,
    *,
    seed: int,
    network: nn.Module | None = None,
    epochs: int | None = None,
    label: str = "",
) -> nn.Module:
    """Train a recogniser on the recordings `indices` [K]; the same arguments give the same weights on the same machine.

    No checkpoint is selected: the last weights are taken, for ours their exponential moving average.

    Args:
        network: to start from, instead of fresh weights.
        epochs: instead of the recogniser's.
        label: of the progress bar; none is shown without.
    """
    torch.manual_seed(seed)
    network = recogniser.build() if network is None else network
    _standardise(network, recogniser.inputs, features, indices)
    epochs = recogniser.epochs if epochs is None else epochs
    total, done = epochs * len(indices), 0
    weights = [p for p in network.parameters() if p.dim() > 1]
    rest = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": recogniser.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recogniser.learning_rate, fused=True)
    ema = Ema(network, half_life=EMA_SHARE * total) if isinstance(network, EmotionEncoder) else None
    generator = torch.Generator().manual_seed(seed)
    classes = len(recogniser.classes)
    emotion = F.one_hot(recogniser.labels(labels.emotion), classes).float()
    emotion = emotion * (1 - recogniser.smoothing) + recogniser.smoothing / classes
    all_targets = {
        "emotion": emotion,
        "voice": F.one_hot(labels.voice, 2).float(),
        "intensity": labels.intensity.float(),
    }
    network.train()
    with tqdm(total=total, unit="recording", desc=label, mininterval=5, leave=False, disable=not label) as bar:
        for batch in _batches(features, recogniser, indices, epochs, seed):
            targets = {name: target[torch.from_numpy(batch)] for name, target in all_targets.items()}
            for group in optimizer.param_groups:
                factor = learning_rate(done, total, warm_up=total // 10, final=0.01)
                group["lr"] = recogniser.learning_rate * factor
            if isinstance(network, EmotionEncoder):
                output, targets = _forward_augmented(network, features.batch("mels", list(batch)), targets, generator)
            elif recogniser.inputs == "patches":
                output = network(_random_patches(features, batch, generator))
            else:
                output = network(*features.batch(recogniser.inputs, list(batch)))
            optimizer.zero_grad(set_to_none=True)
            _loss(output, targets).backward()
            optimizer.step()
            done += len(batch)
            bar.update(len(batch))
            if ema is not None:
                ema.update(network, done, len(batch))
    return (network if ema is None else ema.network).eval().requires_grad_(False)


def _standardise(network: nn.Module, inputs: str, features: Features, indices: np.ndarray) -> None:
    if isinstance(network, EmotionEncoder):
        network.standardise(torch.cat([features.mels[k] for k in indices]).float())
    elif isinstance(network, Standardised) and inputs == "patches":
        network.standardise(torch.cat([features.patches[k][::4] for k in indices]).movedim(1, -1))
    elif isinstance(network, Standardised):
        network.standardise(features.batch(inputs, list(indices))[0])


def _batches(
    features: Features, recogniser: Recogniser, indices: np.ndarray, epochs: int, seed: int
) -> Iterator[np.ndarray]:
    """Indices of each step, every recording once an epoch; batches of log-mels are of like length."""
    rng = np.random.default_rng(seed)
    size = recogniser.batch_size
    lengths = np.array([len(mel) for mel in features.mels])
    for _ in range(epochs):
        order = rng.permutation(indices)
        batches = []
        for first in range(0, len(order), BUCKET * size):
            bucket = order[first : first + BUCKET * size]
            if recogniser.inputs == "mels":
                bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
            batches += np.array_split(bucket, -(-len(bucket) // size))
        for k in rng.permutation(len(batches)):
            if len(batches[k]) > 1:  # batch norm has no variance of one
                yield batches[k]


def _forward_augmented(
    network: EmotionEncoder, inputs: tuple[Tensor, ...], targets: dict[str, Tensor], generator: torch.Generator
) -> tuple[EmotionOutput, dict[str, Tensor]]:
    """The output for recordings that are augmented and mixed (mixup), and the targets, mixed likewise."""
    mels, mask = augment(*_crop(inputs[0], inputs[1], generator), generator, **AUGMENTATION)
    x = network.normalise(mels, mask)
    rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    share, others = float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)), torch.from_numpy(rng.permutation(len(x)))
    x = torch.lerp(x[others], x, share)
    targets = {name: torch.lerp(value[others], value, share) for name, value in targets.items()}
    with torch.autocast("cpu", torch.bfloat16):
        return network(x, mask | mask[others]), targets


def _crop(mels: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A stretch of each of `mels` [B, T, 40] from a random place, `CROP_FRAMES` frames or all that is there."""
    lengths = mask.sum(1)
    room = (lengths - CROP_FRAMES).clamp(min=0)
    start = (torch.rand(len(mels), generator=generator) * (room + 1)).long()
    place = torch.arange(min(CROP_FRAMES, mels.shape[1]))[None]
    frames = (start[:, None] + place).clamp(max=mels.shape[1] - 1)
    return mels.gather(1, frames[:, :, None].expand(-1, -1, mels.shape[2])), place < lengths.clamp(max=CROP_FRAMES)[
        :, None
    ]


def _random_patches(features: Features, batch: np.ndarray, generator: torch.Generator) -> Tensor:
    """One patch of each recording, at random: [B, 1, 3, 40, 40]."""
    stacks = [features.patches[k] for k in batch]
    return torch.stack([stack[torch.randint(len(stack), (1,), generator=generator)].float() for stack in stacks])


def _loss(output: EmotionOutput, targets: dict[str, Tensor]) -> Tensor:
    loss = F.cross_entropy(output.emotion.float(), targets["emotion"])
    if output.voice is not None:
        loss = loss + AUXILIARY_WEIGHT * F.cross_entropy(output.voice.float(), targets["voice"])
    if output.intensity is not None:
        loss = loss + AUXILIARY_WEIGHT * F.binary_cross_entropy_with_logits(
            output.intensity.float(), targets["intensity"]
        )
    return loss


@torch.no_grad()
def predict(network: nn.Module, inputs: str, features: Features, indices: np.ndarray) -> dict[str, Tensor]:
    """Predictions for recordings `indices` [K]: emotion [K, C] and, if the network has them, voice and embedding."""
    forward: Callable[..., EmotionOutput] = network.predict if isinstance(network, EmotionEncoder) else network
    # one by one, so that no result depends on the others
    outputs = [forward(*features.batch(inputs, [int(index)])) for index in indices]
    return {
        name: torch.cat([getattr(output, name).float() for output in outputs])
        for name in ("emotion", "voice", "embedding")
        if outputs and getattr(outputs[0], name) is not None
    }
