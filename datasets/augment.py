"""What training does to log-mel spectrograms, so that they vary as speakers, microphones and rooms do."""

import math
from typing import NamedTuple

import torch

from datasets.audio import FRAMES_PER_SECOND, LOG_FLOOR, N_MELS, SAMPLE_RATE, masked_mean, mel_transform
from datasets.augment_rooms import echo, narrow, pause, paused_lengths
from datasets.speech_activity import ACTIVE_DB, DECIBEL, loudness, speech_level


class Whole(NamedTuple):
    """The batch that some recordings are `rows` [R] of: with them the chance falls as it would in all of it.

    `lengths` [B] are the frames of all its recordings.
    """

    rows: torch.Tensor
    lengths: torch.Tensor


def _longer(lengths: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Frames of recordings of `lengths` [B] at `factors` [B] times their speed."""
    return (lengths / factors).round().long().clamp(min=1)


def _stretch(
    mels: torch.Tensor, mask: torch.Tensor, factors: torch.Tensor, longest: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Play each of `mels` [B, T, 40] at `factors` [B] times its speed, interpolating; [B, longest, 40] and the mask."""
    lengths = mask.sum(1)
    longer = _longer(lengths, factors)
    time = torch.arange(longest, device=mels.device)
    step = (lengths - 1).clamp(min=0) / (longer - 1).clamp(min=1)
    last = (lengths - 1).clamp(min=0)[:, None]
    source = (time * step[:, None]).clamp(max=last)
    before = source.floor().long()
    after = torch.minimum(before + 1, last)
    rows = torch.arange(len(mels), device=mels.device)[:, None]
    return torch.lerp(mels[rows, before], mels[rows, after], (source - before)[..., None]), time < longer[:, None]


def _warp(mels: torch.Tensor, factors: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Move what each of `mels` [B, T, 40] has at a frequency to that frequency over `factors` [B], between bands.

    Longer and shorter vocal tracts differ so (vocal tract length perturbation, Jaitly and Hinton 2013).

    Args:
        centres: [40], middle of each band in Hz.
    """
    wanted = (centres * factors[:, None]).clamp(centres[0], centres[-1])
    above = torch.searchsorted(centres, wanted).clamp(1, len(centres) - 1)
    weight = (wanted - centres[above - 1]) / (centres[above] - centres[above - 1])
    size = mels.shape

    def bands(index: torch.Tensor) -> torch.Tensor:
        return mels.gather(2, index[:, None, :].expand(size))

    return torch.lerp(bands(above - 1), bands(above), weight[:, None, :])


def augment(
    mels: torch.Tensor,
    mask: torch.Tensor,
    generator: torch.Generator,
    *,
    speed: float = 0.15,
    tract: float = 0.2,
    level_db: float = 6.0,
    equaliser_db: float = 6.0,
    noise: float = 0.5,
    snr_db: tuple[float, float] = (5.0, 30.0),
    time_masks: int = 2,
    time_width: float = 0.08,
    band_masks: int = 2,
    band_width: int = 6,
    pauses: float = 0.3,
    pause_seconds: float = 0.8,
    echoes: float = 0.3,
    lines: float = 0.2,
    whole: Whole | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vary recordings as speakers, microphones and rooms would; every utterance gets its own draw from `generator`.

    Args:
        mels: `[B, T, 40]`, log-mel, not normalised; padded frames are not looked at.
        mask: `[B, T]`, True for real frames, which come first.
        generator: where all the chance comes from: the same state gives the same result.
        speed: the speech becomes up to this share faster or slower (0.15: 0.85 to 1.15 times its speed).
        tract: all frequencies become up to this share higher or lower, as of a shorter or longer vocal tract.
        level_db: up to so much louder or softer.
        equaliser_db: a smooth curve over the bands, of about this size.
        noise: the share of utterances that get steady noise, between white and pink.
        snr_db: the range of speech level over noise level.
        time_masks, time_width: stretches hidden, each up to this share of the utterance.
        band_masks, band_width: groups of neighbouring bands hidden, each up to so many bands.
        pauses: the share of utterances with pauses before, after and within, which noise fills as it fills the rest.
        pause_seconds: that each pause lasts at most.
        echoes: the share of utterances in a room.
        lines: the share of utterances over a line with a narrow band.
        whole: the batch that `mels` are a part of, if they are; they become what they would in all of it.

    Returns:
        `[B, T', 40]` (padded frames 0) and its mask `[B, T']`.
    """
    device = mels.device
    batch, rows = (len(mels), slice(None)) if whole is None else (len(whole.lengths), whole.rows)

    def for_all(low: float, high: float, *shape: int) -> torch.Tensor:
        draw = torch.rand(batch, *shape, generator=generator, device=generator.device)
        return (low + (high - low) * draw).to(device)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return for_all(low, high, *shape)[rows]

    bank = mel_transform(device).mel_scale.fb  # [frequencies, 40]
    hertz = torch.linspace(0, SAMPLE_RATE / 2, len(bank), device=device)
    bins = bank.sum(0)

    lengths = mask.sum(1) if whole is None else whole.lengths.to(device)
    factors = for_all(1 - speed, 1 + speed)
    lengths = _longer(lengths, factors)
    mels, mask = _stretch(mels, mask, factors[rows], int(lengths.max()))
    centres = hertz @ bank / bins
    mels = _warp(mels, uniform(1 - tract, 1 + tract), centres)
    waits = for_all(0.0, 1.0, 3).square() * (for_all(0.0, 1.0, 3) < 0.6) * (for_all(0.0, 1.0, 1) < pauses)
    waits = (waits * pause_seconds * FRAMES_PER_SECOND).long()
    places = torch.cat([torch.zeros(batch, 1, device=device), torch.ones(batch, 1, device=device)], 1)
    places = torch.cat([places, for_all(0.15, 0.85, 1)], 1)
    longest = int(paused_lengths(lengths, waits).max())
    mels, mask = pause(mels, mask, waits[rows], places[rows], longest)
    direct = torch.where(uniform(0.0, 1.0) < echoes, uniform(-3.0, 10.0), math.inf)
    mels = echo(mels, mask, uniform(0.15, 0.8), direct)
    band = narrow(centres, uniform(100.0, 350.0), uniform(3200.0, 4000.0))
    mels = mels + band[:, None, :] * (uniform(0.0, 1.0, 1, 1) < lines)
    place = torch.linspace(0, math.pi, N_MELS, device=device)
    waves = torch.stack([(order * place).cos() / order for order in range(1, 5)])  # the first is the tilt
    curve = uniform(-equaliser_db, equaliser_db, 4) @ waves
    mels = mels + (DECIBEL * (curve + uniform(-level_db, level_db, 1)))[:, None, :]
    mels = mels.clamp(min=math.log(LOG_FLOOR))

    colour = bins.log() - uniform(0.0, 1.0, 1) * centres.log()
    colour = colour - colour.logsumexp(1, keepdim=True) + math.log(N_MELS)  # mean power 1
    level = speech_level(loudness(mels), mask)[:, None]
    floor = level + colour - DECIBEL * uniform(*snr_db, 1)
    normal = torch.randn(batch, *mels.shape[1:], generator=generator, device=generator.device)[rows].to(device)
    noisy = torch.logaddexp(mels, floor[:, None, :] + normal / bins.clamp(min=1).sqrt())  # narrow bands flutter more
    mels = torch.where(uniform(0.0, 1.0, 1, 1) < noise, noisy, mels)

    def hidden(count: int, width: float, positions: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        span = uniform(0.0, 1.0, count, 1) * width
        start = uniform(0.0, 1.0, count, 1) * (total - span).clamp(min=0)
        return ((positions >= start) & (positions < start + span)).any(1)

    share = torch.arange(mels.shape[1], device=device) / mask.sum(1)[:, None, None]
    times = hidden(time_masks, time_width, share, torch.ones(1, device=device))
    bands = hidden(band_masks, band_width, torch.arange(N_MELS, device=device), torch.tensor(N_MELS, device=device))
    speech = mask & (loudness(mels) > speech_level(loudness(mels), mask)[:, None] - ACTIVE_DB * DECIBEL)
    hide = (times[:, :, None] | bands[:, None, :]) & speech[:, :, None]  # hidden silence would pass for speech
    mels = torch.where(hide, masked_mean(mels, speech), mels)
    return mels.where(mask.unsqueeze(-1), 0.0), mask
