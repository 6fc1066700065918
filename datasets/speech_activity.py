"""Where in a recording somebody speaks, how loud, and features of that alone: what waits and rooms add is left out.

All of it is relative to the recording's own speech: neither its level nor how long it waits before, between and after
the words changes what is measured.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets import audio

DECIBEL = math.log(10) / 10  # of power, in natural logarithms
LOWEST_BAND = 4  # of those that loudness is measured in, from about 200 Hz: hum and wind are below
RANGE_DB, VOWEL_DB = 40.0, 12.0  # below the loudest frame, and below the speech level, that the level is taken from
STATISTICS_DB, SOFT_DB = 20.0, 2.0  # below the speech level to which bands are normalised, and how softly it ends
ACTIVE_DB = 33.0  # below the speech level that a frame still is speech
FLOOR_DB = 50.0  # below the speech level that nothing quieter is told from
HANGOVER = 10  # frames kept before and after speech, so that pauses last at most twice as long
REFERENCE = 2.0  # speech level of `levelled` recordings, as `speech_level`
GAIN_DB = 80.0  # at most


def loudness(mels: Tensor) -> Tensor:
    """Log of the mean power of the bands above hum: log-mels [..., T, 40] to [..., T]."""
    return mels[..., LOWEST_BAND:].logsumexp(-1) - math.log(mels.shape[-1] - LOWEST_BAND)


def speech_level(loud: Tensor, mask: Tensor) -> Tensor:
    """The loudness of vowels: the median of the frames near it, so that neither silence nor clicks move it.

    Args:
        loud: [B, T], of `loudness`. mask: [B, T], True for real frames, at least one in a row.

    Returns:
        [B].
    """
    heard = loud.masked_fill(~mask, float("-inf"))
    above = heard.amax(1, keepdim=True) - RANGE_DB * DECIBEL
    for _ in range(2):
        level = heard.masked_fill(heard < above, float("nan")).nanmedian(1).values
        above = level[:, None] - VOWEL_DB * DECIBEL
    return level


def levelled(wave: Tensor) -> Tensor:
    """`wave` [N] without a constant offset and with its speech at one level; it may leave [-1, 1].

    So that `audio.log_mel`, whose floor is fixed, hears a faint recording as well as a loud one.
    """
    wave = wave - wave.mean()
    with torch.no_grad():
        power = audio.mel_transform(wave.device)(wave.float()).clamp(min=1e-20).log().transpose(0, 1)
    level = speech_level(loudness(power)[None], torch.ones(1, len(power), dtype=torch.bool, device=wave.device))
    gain = ((REFERENCE - float(level)) / 2 / math.log(10) * 20) if torch.isfinite(level).all() else 0.0
    return wave * 10 ** (min(gain, GAIN_DB) / 20)


class Speech(NamedTuple):
    """Normalised features of speech, pauses shortened.

    Attributes:
        features: [B, T', 40], each band of mean 0 and variance 1 over the frames of speech; padding is 0.
        mask: [B, T'], True for real frames.
        frames: [B, T'] int64, which frame of the recording each comes from; those before and after it are clamped.
    """

    features: Tensor
    mask: Tensor
    frames: Tensor


def speech(mels: Tensor, mask: Tensor) -> Speech:
    """What is said in log-mels [B, T, 40], not normalised, with mask [B, T].

    Bands are normalised over speech alone, softly weighted by loudness; what lies far below the speech, in each band,
    is one floor; frames further than `HANGOVER` from speech are left out, and every recording begins and ends with as
    many frames of floor. Zeros, faint noise and hum around or between the words hence give what the words alone give.
    """
    mels = mels.where(mask[..., None], math.log(audio.LOG_FLOOR))
    loud = loudness(mels)
    level = speech_level(loud, mask)
    threshold = (level[:, None] - STATISTICS_DB * DECIBEL - loud) / (SOFT_DB * DECIBEL)
    weight = torch.sigmoid(-threshold).where(mask, 0.0)[..., None]
    total = weight.sum(1, keepdim=True).clamp(min=1e-6)
    floor = (level - FLOOR_DB * DECIBEL)[:, None, None]
    floored = torch.logaddexp(mels, floor.expand_as(mels))
    mean = (floored * weight).sum(1, keepdim=True) / total
    deviation = ((floored - mean).square() * weight).sum(1, keepdim=True).div(total).sqrt().clamp(min=0.1)

    active = mask & (loud > (level - ACTIVE_DB * DECIBEL)[:, None])
    wide = F.pad(active.float(), (HANGOVER, HANGOVER))
    kept = F.max_pool1d(wide[:, None], 2 * HANGOVER + 1, 1, HANGOVER)[:, 0] > 0
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    counts = kept.sum(1)
    longest = int(counts.max())
    order = order[:, :longest]
    new_mask = torch.arange(longest, device=mels.device)[None] < counts[:, None]
    lengths = mask.sum(1)
    source = order - HANGOVER
    inside = (source >= 0) & (source < lengths[:, None])
    frames = source.clamp(min=0).minimum((lengths - 1)[:, None])
    gathered = floored.gather(1, frames[..., None].expand(-1, -1, mels.shape[2]))
    gathered = torch.where(inside[..., None], gathered, floor)
    features = ((gathered - mean) / deviation).where(new_mask[..., None], 0.0)
    return Speech(features, new_mask, frames)
