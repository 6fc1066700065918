"""Calibration of the measure of speech: what it learns from, how its threshold is set, and how often it is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets import audio, channels, distort, nonspeech, ravdess, voices
from datasets.corpus import Corpus
from datasets.errors import InputError
from s2i.model.speech_presence import SpeechPresence, features

ACTORS_LEARNT = 16  # of the 24 of RAVDESS; the others measure
SECONDS = (0.6, 8.0)  # of sounds without speech
FOLDS = 4
Change: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
CONDITIONS: dict[str, Change] = {
    "clean": lambda wave, _: wave,
    "white noise, 10 dB": lambda wave, g: distort.white(wave, 10.0, g),
    "room, 0.4 s": lambda wave, g: channels.room(wave, 0.4, 3.0, g),
    "room, 0.8 s": lambda wave, g: channels.room(wave, 0.8, 0.0, g),
    "8 kHz mu-law": lambda wave, _: channels.mu_law(wave),
    "clipped by 12 dB": lambda wave, _: channels.clip(wave, 12.0),
    "-60 dB": lambda wave, _: channels.faint(wave),
    "mp3, 32 kbit/s": lambda wave, _: channels.codec(wave, "mp3", 32.0),
    "silence, 2 s each side": lambda wave, g: channels.pad(wave, 2.0, 2.0, None, g),
}
"""In which speech is measured."""


@dataclass
class Sounds:
    """Features of N recordings, some under several conditions.

    Attributes:
        features: N times [F].
        speech: N times whether it is speech.
        kinds: N times what it is.
        groups: N times who speaks, or what sounds: never in two folds.
        conditions: N times one of `CONDITIONS`, or how it was changed for training.
    """

    features: list[Tensor] = field(default_factory=list)
    speech: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)

    def add(self, wave: Tensor, *, speech: bool, kind: str, group: str, condition: str) -> None:
        """Look at one recording [N], 16 kHz."""
        self.features.append(features(wave))
        self.speech.append(speech)
        self.kinds.append(kind)
        self.groups.append(group)
        self.conditions.append(condition)


def people(root: Path, learnt: bool, count: int, seed: int) -> Iterator[tuple[Tensor, str, str]]:
    """Recordings of RAVDESS with kind and actor: of actors to learn from, or of the others."""
    recordings = [each for each in ravdess.read(root).recordings if (each.actor <= ACTORS_LEARNT) == learnt]
    for index in np.random.default_rng(seed).permutation(len(recordings))[:count]:
        yield audio.load(recordings[index].path), "people acting (RAVDESS)", f"actor {recordings[index].actor}"


def engines(corpus_file: Path, learnt: bool, count: int, seed: int) -> Iterator[tuple[Tensor, str, str]]:
    """Captions in voices that are installed, `count` of each: those of training and validation, or the others."""
    corpus = Corpus(corpus_file)
    captions = np.flatnonzero(np.isin(corpus.caption_picture, corpus.pictures_of("train" if learnt else "test")))
    rng = np.random.default_rng([seed, int(learnt)])
    for voice in voices.available():
        if (voice.use != "measuring") != learnt:
            continue
        for number, caption in enumerate(rng.choice(captions, count)):
            wave = voices.synthesise(voice, corpus.captions[caption], number)
            yield wave, f"voices of {voice.engine}", voice.name
    corpus.close()


def others(kinds: dict[str, nonspeech.Sound], count: int, seed: int) -> Iterator[tuple[Tensor, str, str]]:
    """Sounds without speech, `count` of each kind."""
    for kind, sound in kinds.items():
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            wave = torch.from_numpy(sound(rng, float(rng.uniform(*SECONDS))))
            yield wave, kind, kind


def found(folder: Path) -> Iterator[tuple[Tensor, str, str, bool]]:
    """Recordings that somebody collected: FOLDER/speech/KIND/* and FOLDER/other/KIND/*; last whether it is speech."""
    for name in ("speech", "other"):
        for place in sorted((folder / name).iterdir()) if (folder / name).is_dir() else ():
            for path in audio.find_recordings([place]):
                try:
                    yield audio.load(path), place.name, place.name, name == "speech"
                except InputError:  # too short, too long
                    continue


def changed(wave: Tensor, generator: torch.Generator) -> Tensor:
    """A recording as it might have been made elsewhere, by chance."""

    def draw(low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    if draw() < 0.4:
        wave = channels.room(wave, draw(0.15, 1.0), draw(-2, 10), generator)
    if draw() < 0.2:
        wave = channels.clip(wave, draw(3, 18))
    if draw() < 0.5:
        rng = np.random.default_rng(int(draw(0, 1e6)))
        hiss = torch.from_numpy(nonspeech.noise(rng, len(wave) / audio.SAMPLE_RATE, draw(0, 1.5)))
        wanted = wave.square().mean() / 10 ** (draw(5, 30) / 10)
        wave = wave + hiss * (wanted / hiss.square().mean()).sqrt()
        wave = wave / wave.abs().max().clamp(min=1.0)
    line = draw()
    if line < 0.15:
        wave = channels.mu_law(wave)
    elif line < 0.3:
        wave = channels.band(wave)
    elif line < 0.4:
        wave = channels.codec(wave, "mp3", draw(24, 64))
    elif line < 0.5:
        wave = channels.codec(wave, "opus", draw(8, 32))
    if draw() < 0.3:
        wave = channels.pad(wave, draw(0, 2), draw(0, 2), None if draw() < 0.5 else draw(-80, -50), generator)
    if draw() < 0.15:
        wave = channels.faint(wave, draw(-60, -30))
    return wave


def fit(sounds: Sounds, *, hidden: int, steps: int, seed: int) -> SpeechPresence:
    """A network that tells speech from the rest; every kind weighs alike, and so do both sides."""
    torch.manual_seed(seed)
    x, y = torch.stack(sounds.features), torch.tensor(sounds.speech).float()
    network = SpeechPresence(inputs=x.shape[1], hidden=hidden)
    network.mean.copy_(x.mean(0))
    network.scale.copy_(x.std(0).clamp(min=1e-3))
    names, index = np.unique(sounds.kinds, return_inverse=True)
    weight = torch.from_numpy(1 / np.bincount(index, minlength=len(names)))[torch.from_numpy(index)].float()
    for side in (0.0, 1.0):
        weight[y == side] /= weight[y == side].sum()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=3e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(steps):
        noisy = x + 0.2 * network.scale * torch.randn_like(x)
        loss = (F.binary_cross_entropy_with_logits(network(noisy), y, reduction="none") * weight).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)
