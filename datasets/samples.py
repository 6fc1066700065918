"""The samples of one recording: mixed to one channel, brought to 16 kHz, and judged."""

from fractions import Fraction

import torch
import torchaudio

from datasets.errors import InputError

SAMPLE_RATE = 16_000
MIN_SECONDS = 0.3
MAX_SECONDS = 30.0
SILENCE_PEAK = 1e-4
SILENCE_RMS = 2e-5
RATES = (4_000, 384_000)
MAX_CHANNELS = 16
INVERTED = -0.5  # correlation with the loudest channel below which a channel is its mirror image


def check_seconds(seconds: float, name: str) -> None:
    """Raise `InputError`, opened by `name`, unless a recording may last so many seconds."""
    if seconds < MIN_SECONDS:
        raise InputError(f"{name}: lasts {seconds:.2f} s; record at least {MIN_SECONDS} s of speech")
    if seconds > MAX_SECONDS:
        raise InputError(f"{name}: lasts {seconds:.0f} s; cut it to at most {MAX_SECONDS:.0f} s (one description)")


def check_form(rate: float, channels: int, name: str) -> None:
    """Raise `InputError`, opened by `name`, unless a recording may have this rate in Hz and so many channels."""
    if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= MAX_CHANNELS:
        claim = f"claims {rate:g} Hz and {channels} channels"
        raise InputError(f"{name}: {claim}; give one or two channels at a rate such as 16000 Hz")


def mix(samples: torch.Tensor) -> torch.Tensor:
    """The mean [N] of the channels of `samples` [N, C], floats.

    A channel that is the loudest one turned upside down, as a wrongly soldered cable makes it, is turned back first:
    the mean of the two would be silence.
    """
    if samples.shape[1] == 1 or not len(samples):
        return samples.mean(dim=1)
    energy = samples.square().sum(dim=0)
    loudest = samples[:, int(energy.argmax())]
    loudest = loudest - loudest.mean()
    mixed = torch.zeros_like(loudest)
    for channel in samples.unbind(dim=1):
        centred = channel - channel.mean()
        correlation = centred.dot(loudest) / (centred.norm() * loudest.norm())
        mixed += -channel if correlation < INVERTED else channel
    return mixed / samples.shape[1]


def resample(wave: torch.Tensor, rate: int) -> torch.Tensor:
    """Bring `wave` [N] from `rate` Hz to 16 kHz, scaled down if its peak left [-1, 1]."""
    # A filter for exactly 44101 -> 16000 Hz would take gigabytes; the nearest simple ratio is off by under 0.01 %.
    ratio = Fraction(rate, SAMPLE_RATE).limit_denominator(640)
    if ratio != 1:
        wave = torchaudio.functional.resample(wave, ratio.numerator, ratio.denominator)
    return wave / wave.abs().max().clamp(min=1.0) if len(wave) else wave


def to_wave(samples: torch.Tensor, rate: int, name: str) -> torch.Tensor:
    """Bring `samples` [N, C] at `rate` Hz to [N] float32 at 16 kHz in [-1, 1], and `check` them.

    Raises:
        InputError: as `check`, and for a rate or a number of channels that is out of range.
    """
    check_form(rate, samples.shape[1], name)
    wave = mix(samples.float())
    if torch.isfinite(wave).all():
        wave = resample(wave, rate)
    check(wave, name)
    return wave


def check(wave: torch.Tensor, name: str) -> None:
    """Check that `wave` [N], 16 kHz, can be a spoken description; `name` opens the message.

    Raises:
        InputError: if it is not one-dimensional, not floating, not finite, too short, too long or silent.
    """
    if wave.dim() != 1 or not wave.is_floating_point():
        raise InputError(
            f"{name}: has shape {list(wave.shape)} and {wave.dtype}; give one channel [N] of floats in [-1, 1]"
        )
    check_seconds(len(wave) / SAMPLE_RATE, name)
    if not torch.isfinite(wave).all():
        raise InputError(f"{name}: holds samples that are not numbers (NaN or infinity); export the recording again")
    sound = wave - wave.mean()  # a constant is silent, however large
    if sound.abs().max() < SILENCE_PEAK or sound.square().mean().sqrt() < SILENCE_RMS:
        raise InputError(f"{name}: is silent; check the microphone and record it again")
