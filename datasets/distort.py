"""What makes speech hard to understand: noise, other speakers, haste, the telephone; on waves, for measuring only."""

import numpy as np
import torch
from torch import Tensor
from torchaudio import functional

from datasets import audio
from datasets.errors import InputError

CONDITIONS: tuple[tuple[str, float | None], ...] = (
    ("clean", None),
    *(("white", level) for level in (20.0, 10.0, 5.0, 0.0)),
    *(("babble", level) for level in (20.0, 10.0, 5.0, 0.0)),
    *(("rate", level) for level in (0.8, 0.9, 1.1, 1.2, 1.3)),
    ("telephone", None),
)
"""Name and level of every condition: dB of speech over noise, or speed; in the order of results files."""

RANDOM = ("white", "babble")  # those that depend on chance
RATES = (0.5, 2.0)
WINDOW, SEARCH = 480, 160  # samples: three periods of a low voice, and one
TELEPHONE_RATE, TELEPHONE_BAND = 8000, (300.0, 3400.0)  # Hz
MU_LAW_STEPS = 256


def distort(
    wave: Tensor, condition: str, level: float | None, generator: torch.Generator, others: list[Tensor] | None = None
) -> Tensor:
    """`wave` [N] under one of `CONDITIONS`, or at a level between them; the same `generator` state, the same samples.

    Args:
        wave: [N], 16 kHz, in [-1, 1].
        others: recordings [M] that babble, for that condition only.

    Raises:
        InputError: for an unknown condition, a level that it cannot have, babble of nobody, or silence in noise.
    """
    known = list(dict.fromkeys(name for name, _ in CONDITIONS))
    if condition not in known:
        raise InputError(f"condition {condition}: unknown; choose one of {', '.join(known)}")
    if condition in ("clean", "telephone"):
        if level is not None:
            raise InputError(f"condition {condition}: has no level, {level:g} was given; give none")
        return wave if condition == "clean" else telephone(wave)
    if level is None:
        raise InputError(f"condition {condition}: has no level; give dB of speech over noise, or the speed")
    if condition == "rate":
        return change_rate(wave, level)
    return white(wave, level, generator) if condition == "white" else babble(wave, level, others or [], generator)


def white(wave: Tensor, snr_db: float, generator: torch.Generator) -> Tensor:
    """Add white noise, `snr_db` below the speech by their powers over the whole recording.

    Raises:
        InputError: if `wave` is silent.
    """
    return _mix(wave, torch.randn(len(wave), generator=generator), snr_db)


def babble(wave: Tensor, snr_db: float, others: list[Tensor], generator: torch.Generator) -> Tensor:
    """Add other speakers, all equally loud and together `snr_db` below the speech.

    Args:
        others: recordings [M]; each begins at a random place and is repeated or cut to the length of `wave`.

    Raises:
        InputError: if there are none, or a recording is silent.
    """
    if not others:
        raise InputError("babble: nobody speaks; give at least one other recording")
    crowd = torch.zeros_like(wave)
    for other in others:
        start = int(torch.randint(len(other), (1,), generator=generator))
        times = -(-(start + len(wave)) // len(other))
        part = other.repeat(times)[start : start + len(wave)]
        crowd += part / _power(part, "another speaker").sqrt()
    return _mix(wave, crowd, snr_db)


def change_rate(wave: Tensor, rate: float) -> Tensor:
    """Speak `rate` times as fast at the same pitch: [round(N / rate)].

    WSOLA (Verhelst and Roelands 1993): pieces of 30 ms overlap by half, each taken from up to 10 ms beside its place,
    where it goes on most like what the piece before was followed by.

    Raises:
        InputError: for a rate out of range.
    """
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"rate {rate:g}: out of range; give a value from {RATES[0]:g} to {RATES[1]:g}")
    half, length = WINDOW // 2, round(len(wave) / rate)
    samples = np.pad(wave.numpy(), (half + SEARCH, 4 * WINDOW + SEARCH))
    fade = np.hanning(WINDOW + 1)[:-1].astype(np.float32)  # overlapping by half it sums to 1
    count = -(-length // half) + 1
    said = np.zeros((count + 1) * half, np.float32)
    for k in range(count):
        start = round(k * half * rate)  # of the region to search, SEARCH before the place
        if k == 0:
            best = start + SEARCH
        else:
            region = samples[start : start + 2 * SEARCH + WINDOW]
            energy = np.convolve(region**2, np.ones(WINDOW), "valid")
            likeness = np.correlate(region, samples[best + half : best + half + WINDOW], "valid")
            best = start + int(np.argmax(likeness / np.sqrt(energy + 1e-9)))
        said[k * half : k * half + WINDOW] += fade * samples[best : best + WINDOW]
    return _within(torch.from_numpy(said[half : half + length]))


def telephone(wave: Tensor) -> Tensor:
    """Pass `wave` through a telephone line: 300 to 3400 Hz, 8 kHz, mu-law in 8 bits (ITU-T G.711); as long as before.

    The level is that of a line in use (peak 0.5), so that faint recordings keep more than a few of the steps.
    """
    line = functional.resample(wave / wave.abs().max().clamp(min=1e-9) / 2, audio.SAMPLE_RATE, TELEPHONE_RATE)
    for _ in range(2):  # 24 dB an octave
        line = functional.highpass_biquad(line, TELEPHONE_RATE, TELEPHONE_BAND[0])
        line = functional.lowpass_biquad(line, TELEPHONE_RATE, TELEPHONE_BAND[1])
    line = functional.mu_law_decoding(functional.mu_law_encoding(line, MU_LAW_STEPS), MU_LAW_STEPS)
    return _within(functional.resample(line, TELEPHONE_RATE, audio.SAMPLE_RATE)[: len(wave)])


def _mix(wave: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    wanted = _power(wave, "the recording") / 10 ** (snr_db / 10)
    return _within(wave + noise * (wanted / _power(noise, "the noise")).sqrt())


def _power(wave: Tensor, what: str) -> Tensor:
    power = wave.square().mean()
    if not power > 0:
        raise InputError(f"{what}: is silent, so that its level cannot be set; give a recording of speech")
    return power


def _within(wave: Tensor) -> Tensor:
    """Scaled down, not clipped, if its peak left [-1, 1]."""
    return wave / wave.abs().max().clamp(min=1.0)
