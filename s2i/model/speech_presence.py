"""Whether a recording holds speech at all: a small network on how its spectrum, its loudness and its pitch move."""

import functools
import math
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.runtime import checkpoint
from datasets import audio, speech_activity
from datasets.errors import InputError
from s2i.model.model_folder import ModelFolder

WEIGHTS, KIND = "speech-presence.safetensors", "speech-presence"
LONGEST = 5 * audio.SAMPLE_RATE  # of the loudest part is enough, and keeps it fast
RANGE_DB = 60.0  # below the loudest band that nothing quieter is told from
ACTIVE_DB = 25.0  # below the level of the loud frames that sound still counts
CEPSTRA = 13
LAGS = (2, 5, 10, 20)  # frames of 10 ms over which spectra are compared
MODULATION = (0.5, 2.0, 4.0, 8.0, 16.0, 40.0)  # edges in Hz of the bands of loudness over time
BANDS = ((0, 8), (8, 16), (16, 26), (26, 40))  # of the 40 mel bands, whose loudness over time is measured
PITCH_WINDOW = 640  # samples, 40 ms
PITCH_HERTZ = (70.0, 450.0)
VOICED = 0.5  # autocorrelation above which a frame has a pitch


@functools.cache
def _cosines() -> Tensor:
    """The discrete cosine transform from 40 mel bands to `CEPSTRA` coefficients."""
    n = torch.arange(audio.N_MELS) + 0.5
    k = torch.arange(CEPSTRA)[:, None]
    return torch.cos(math.pi / audio.N_MELS * n * k).T * (2 / audio.N_MELS) ** 0.5


def features(wave: Tensor) -> Tensor:
    """What the measure looks at of `wave` [N], 16 kHz, as [F]; neither level nor silence around it matters.

    Spread and speed of cepstral coefficients, the spectrum of loudness over time in four bands (speech has syllables,
    2 to 8 a second), how sharp the spectrum is, and how long and how steadily there is a pitch.
    """
    wave = wave.float() - wave.mean()
    if len(wave) > LONGEST:
        energy = F.pad(wave.square().double().cumsum(0), (1, 0))
        first = int((energy[LONGEST:] - energy[:-LONGEST])[:: audio.HOP].argmax()) * audio.HOP
        wave = wave[first : first + LONGEST]
    transform = audio.mel_transform(wave.device)
    spectra = transform.spectrogram(wave)
    mels = transform.mel_scale(spectra).T  # power
    mels = mels.clamp(min=max(1e-20, float(mels.max()) * 10 ** (-RANGE_DB / 10))).log()
    loud = speech_activity.loudness(mels)
    level = speech_activity.speech_level(loud[None], torch.ones(1, len(loud), dtype=torch.bool))
    active = loud > level - ACTIVE_DB * speech_activity.DECIBEL
    if not active.any():  # nothing is left of a constant
        active = ~active
    places = active.nonzero()[:, 0]
    first, last = int(places[0]), int(places[-1]) + 1
    mels, loud, active = mels[first:last], loud[first:last], active[first:last]
    cepstra = mels @ _cosines()
    heard = cepstra[active]
    parts = [heard.std(0, correction=0), heard.mean(0)[1:6] / 4]
    for lag in LAGS:
        parts.append(_moves(cepstra, active, lag))
    parts.append(_modulation(mels))
    parts.append(_sharpness(spectra.T[first:last][active][::2]))
    parts.append(_pitch(wave, first, active))
    starts = (active[1:] & ~active[:-1]).sum() / len(active) * audio.FRAMES_PER_SECOND
    parts.append(torch.stack([active.float().mean(), starts / 4, (loud[active].std(correction=0)) / 2]))
    return torch.cat(parts)


def _moves(cepstra: Tensor, active: Tensor, lag: int) -> Tensor:
    """Mean distance of cepstral coefficients `lag` frames apart, [CEPSTRA]."""
    if len(cepstra) <= lag:
        return torch.zeros(CEPSTRA)
    both = active[lag:] & active[:-lag]
    moved = (cepstra[lag:] - cepstra[:-lag]).abs()
    return (moved * both[:, None]).sum(0) / both.sum().clamp(min=1)


def _modulation(mels: Tensor) -> Tensor:
    """For each of `BANDS` the shares of its loudness over time that move at each of `MODULATION`."""
    curves = torch.stack([mels[:, low:high].mean(1) for low, high in BANDS])
    curves = (curves - curves.mean(1, keepdim=True)) * torch.hann_window(curves.shape[1], periodic=False)
    power = torch.fft.rfft(curves, n=max(400, curves.shape[1])).abs().square()
    hertz = torch.linspace(0, audio.FRAMES_PER_SECOND / 2, power.shape[1])
    shares = [power[:, (hertz >= low) & (hertz < high)].sum(1) for low, high in pairwise(MODULATION)]
    total = torch.stack(shares, 1)
    return (total / total.sum(1, keepdim=True).clamp(min=1e-6)).flatten() * 3


def _sharpness(power: Tensor) -> Tensor:
    """Of spectra [n, 257]: flatness, and the shares of power in the strongest lines."""
    power = power[:, 3:] + 1e-12 * power.max() + 1e-20
    flatness = power.log().mean(1) - power.mean(1).log()
    strongest = power.topk(8, 1).values / power.sum(1, keepdim=True)
    each = torch.stack([flatness / 3, strongest[:, :3].sum(1), strongest.sum(1)])
    return torch.cat([each.mean(1), each.std(1, correction=0)]) * 2


def _pitch(wave: Tensor, first: int, active: Tensor) -> Tensor:
    """How often there is a pitch, how clear it is, how it moves, and how long it stays the same."""
    places = (active.nonzero()[::3, 0] + first) * audio.HOP
    frames = F.pad(wave, (PITCH_WINDOW // 2, PITCH_WINDOW)).unfold(0, PITCH_WINDOW, 1)[places]
    frames = (frames - frames.mean(1, keepdim=True)) * torch.hann_window(PITCH_WINDOW)
    same = torch.fft.irfft(torch.fft.rfft(frames, n=1024).abs().square())
    shape = torch.fft.irfft(torch.fft.rfft(torch.hann_window(PITCH_WINDOW), n=1024).abs().square())
    shortest, longest = (round(audio.SAMPLE_RATE / hertz) for hertz in reversed(PITCH_HERTZ))
    lags = (same / same[:, :1].clamp(min=1e-12))[:, shortest:longest] / (shape / shape[0])[shortest:longest]
    clear, place = lags.max(1)
    semitones = 12 * torch.log2(audio.SAMPLE_RATE / (place + shortest).float())
    voiced = clear > VOICED
    step = (semitones[1:] - semitones[:-1]).abs()[voiced[1:] & voiced[:-1]]
    step = step if len(step) else torch.zeros(1)
    spread = semitones[voiced].std(correction=0) if voiced.any() else torch.zeros(())
    values = [clear.mean(), clear.std(correction=0), voiced.float().mean(), spread / 4]
    values += [(step < 0.03).float().mean(), ((step >= 0.03) & (step < 1.5)).float().mean(), step.clamp(max=4).mean()]
    return torch.stack(values) * 2


class SpeechPresence(nn.Module):
    """From `features` to how surely there is speech, in log-odds from which the threshold is taken: below 0, none.

    Args:
        inputs: how many features there are.
        hidden: units of the one hidden layer.
    """

    def __init__(self, *, inputs: int, hidden: int) -> None:
        super().__init__()
        self.arguments = {"inputs": inputs, "hidden": hidden}
        self.mean: Tensor
        self.scale: Tensor
        self.threshold: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.register_buffer("threshold", torch.zeros(()))
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Dropout(0.3), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Take [B, F] to [B]."""
        known = ((features - self.mean) / self.scale).clamp(-4, 4)  # what is further off is as strange
        scores: Tensor = self.layers(known)[:, 0] - self.threshold
        return scores

    @torch.inference_mode()
    def measure(self, wave: Tensor) -> float:
        """Of a recording [N], 16 kHz."""
        return float(self(features(wave)[None]))

    def save(self, path: Path, **about: object) -> None:
        """Write the weights, with what is to be known of them."""
        checkpoint.save(path, {"network": self.state_dict()}, {"kind": KIND, "network": self.arguments, **about})


def load(path: Path) -> SpeechPresence:
    """What `SpeechPresence.save` wrote, frozen.

    Raises:
        InputError: if the file is missing, damaged, or something else.
    """
    state, description = checkpoint.load(path, KIND)
    network = checkpoint.build(SpeechPresence, description, "network", path)
    checkpoint.load_weights(network, checkpoint.part(state, "network", path), path)
    return network.eval().requires_grad_(False)


@functools.cache
def shipped() -> SpeechPresence:
    """The one that is shipped."""
    return load(ModelFolder() / WEIGHTS)


class NoSpeechError(InputError):
    """A recording holds something else."""


def check(wave: Tensor, name: str, advice: str = "record a spoken description, or give --force to paint it") -> None:
    """Check that a recording [N], 16 kHz, holds speech; `name` opens the message, `advice` ends it.

    Raises:
        NoSpeechError: if it does not.
    """
    if shipped().measure(wave) < 0:
        raise NoSpeechError(f"{name}: holds no speech, as far as can be told; {advice}")
