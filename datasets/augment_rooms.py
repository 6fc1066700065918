"""What waits and rooms do to log-mel spectrograms in training: pauses, echoes and narrow lines."""

import math

import torch
from torch import Tensor

from datasets.audio import FRAMES_PER_SECOND, LOG_FLOOR
from datasets.speech_activity import DECIBEL, loudness

SEARCH = 12  # frames on either side of its place in which a pause looks for the softest
ECHO_FRAMES = 60


def paused_lengths(lengths: Tensor, pauses: Tensor) -> Tensor:
    """Frames of recordings of `lengths` [B] with `pauses` [B, P] frames in them."""
    return lengths + pauses.sum(1)


def pause(mels: Tensor, mask: Tensor, pauses: Tensor, places: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Fall silent in log-mels [B, T, 40]: [B, longest, 40] and the mask.

    Args:
        mask: [B, T], True for real frames, which come first.
        pauses: [B, P] int64, how many frames each pause lasts, 0 for none.
        places: [B, P], where: 0 before all, 1 after all, between them at the softest frame nearby.
        longest: frames of the result.
    """
    lengths = mask.sum(1)
    device = mels.device
    loud = loudness(mels).masked_fill(~mask, float("inf"))
    offsets = torch.arange(-SEARCH, SEARCH + 1, device=device)
    wanted = (places * lengths[:, None]).round().long()
    near = (wanted[..., None] + offsets).clamp(min=0).minimum((lengths - 1).clamp(min=0)[:, None, None])
    rows = torch.arange(len(mels), device=device)[:, None, None]
    softest = near.gather(2, loud[rows, near].argmin(2, keepdim=True))[..., 0]
    inner = (places > 0) & (places < 1)
    at = torch.where(inner, softest, torch.where(places > 0, lengths[:, None], 0))  # in front of which frame

    time = torch.arange(mels.shape[1], device=device)
    shift = ((at[:, :, None] <= time) * pauses[:, :, None]).sum(1)  # [B, T]
    target = (time + shift).masked_fill(~mask, longest)  # padding goes to one frame more, which is cut off
    out = mels.new_full((len(mels), longest + 1, mels.shape[2]), math.log(LOG_FLOOR))
    out.scatter_(1, target.clamp(max=longest)[..., None].expand_as(mels), mels)
    total = paused_lengths(lengths, pauses)
    return out[:, :longest], torch.arange(longest, device=device)[None] < total[:, None]


def echo(mels: Tensor, mask: Tensor, seconds: Tensor, direct_db: Tensor) -> Tensor:
    """Stand log-mels [B, T, 40] in rooms: powers add up with those before, decaying by 60 dB in `seconds` [B].

    The echo has the energy of the sound, lowered by `direct_db` [B]; by infinity, there is none. What waves do, when
    phases are random.
    """
    time = torch.arange(ECHO_FRAMES, device=mels.device)
    decay = torch.exp(-60 * DECIBEL * time / (seconds[:, None] * FRAMES_PER_SECOND))
    decay = decay * (torch.exp(-direct_db * DECIBEL) / decay.sum(1))[:, None]
    decay[:, 0] += 1.0
    power = mels.exp().where(mask[..., None], 0.0)
    size = mels.shape[1] + ECHO_FRAMES
    spectrum = torch.fft.rfft(power, size, dim=1) * torch.fft.rfft(decay, size, dim=1)[..., None]
    echoed = torch.fft.irfft(spectrum, size, dim=1)[:, : mels.shape[1]]
    return echoed.clamp(min=LOG_FLOOR).log().where(torch.isfinite(direct_db)[:, None, None], mels)


def narrow(hertz: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How much bands [40] at `hertz` lose on a line from `low` [B] to `high` [B] Hz, in log power: [B, 40].

    24 dB an octave below, nothing but 45 dB less above, as what sampling at twice that rate leaves.
    """
    below = (low[:, None] / hertz.clamp(min=1.0)).log2().clamp(min=0.0) * 24.0
    above = (hertz > high[:, None]) * 45.0
    return -DECIBEL * (below + above)
