"""What the measure of speech is calibrated and measured with: people, voices, sounds without speech, and conditions."""

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
from s2i.evaluation.presence_config import PresenceConfig
from s2i.model.speech_presence import features

ACTORS_LEARNT = 16  # of the 24 of RAVDESS; the others measure
SECONDS = (0.6, 8.0)  # of sounds without speech
STRETCH = (0.4, 2.5)  # of what is learnt from a part alone
Change: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
CONDITIONS: dict[str, Change] = {
    "clean": lambda wave, _: wave,
    "white noise, 10 dB": lambda wave, g: distort.white(wave, 10.0, g),
    "room, 0.4 s": lambda wave, g: channels.room(wave, 0.4, 3.0, g),
    "room, 0.8 s": lambda wave, g: channels.room(wave, 0.8, 0.0, g),
    "8 kHz mu-law": lambda wave, _: channels.mu_law(wave),
    "clipped by 12 dB": lambda wave, _: channels.clip(wave, 12.0),
    "-60 dB": lambda wave, _: channels.faint(wave),
    "silence, 2 s each side": lambda wave, g: channels.pad(wave, 2.0, 2.0, None, g),
}
"""In which speech is measured."""


@dataclass
class Sounds:
    """Features of N recordings.

    Attributes:
        features: N times [F].
        speech: N times whether it is speech.
        kinds: N times what it is.
        groups: N times who speaks, or what sounds: never in two folds.
    """

    features: list[Tensor] = field(default_factory=list)
    speech: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def __getitem__(self, rows: np.ndarray) -> "Sounds":
        """Some of them, by a mask [N]."""
        chosen = np.flatnonzero(rows)
        return Sounds(**{name: [values[row] for row in chosen] for name, values in vars(self).items()})

    def add(self, wave: Tensor, *, speech: bool, kind: str, group: str) -> None:
        """Look at one recording [N], 16 kHz."""
        self.features.append(features(wave))
        self.speech.append(speech)
        self.kinds.append(kind)
        self.groups.append(group)


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
    """Recordings of FOLDER/speech/KIND/* and FOLDER/other/KIND/*; last whether they are speech."""
    for name in ("speech", "other"):
        for place in sorted((folder / name).iterdir()) if (folder / name).is_dir() else ():
            for path in audio.find_recordings([place]):
                try:
                    yield audio.load(path), place.name, place.name, name == "speech"
                except InputError:  # too short, too long
                    continue


def stretch(wave: Tensor, seconds: float, place: float) -> Tensor:
    """A stretch of a recording [N], among those as loud as it is at least, at `place` from 0, the first, to 1."""
    count, hop = round(seconds * audio.SAMPLE_RATE), audio.HOP
    if len(wave) <= count:
        return wave
    power = F.pad(wave.square().double().cumsum(0), (1, 0))
    loud = (power[count:] - power[:-count])[::hop] / count >= wave.square().mean()
    able = loud.nonzero()[:, 0]
    first = int(able[round(place * (len(able) - 1))]) * hop if len(able) else 0
    return wave[first : first + count]


def changed(wave: Tensor, generator: torch.Generator) -> Tensor:
    """A recording as it might have been made elsewhere, by chance."""

    def draw(low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    if draw() < 0.5:
        wave = stretch(wave, draw(*STRETCH), draw())
    if draw() < 0.5:
        wave = channels.room(wave, draw(0.15, 1.2), draw(-4, 10), generator)
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


def recordings(config: PresenceConfig, *, learnt: bool) -> Iterator[tuple[Tensor, str, str, bool]]:
    """Recordings with kind, group and whether they are speech: those to learn from, or those to measure on."""
    for wave, kind, group in people(config.ravdess, learnt, config.people // (1 if learnt else 2), config.seed):
        yield wave, kind, group, True
    for wave, kind, group in engines(config.corpus, learnt, config.captions, config.seed):
        yield wave, kind, group, True
    if learnt:
        for wave, kind, group in others(nonspeech.LEARNT, config.sounds, config.seed):
            yield wave, kind, group, False
        return
    for wave, kind, group in others(nonspeech.HELD_OUT | nonspeech.LEARNT, config.sounds // 2, config.seed + 1):
        yield wave, kind, group, False
    if config.found is not None:
        yield from found(config.found)
