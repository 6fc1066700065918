"""What recognisers of emotion see of a recording: the published features, and log-mels as the speech encoder has them.

The published systems compute theirs with librosa; the same quantities are computed here with torchaudio, at 16 kHz.
"""

import functools
import math
from itertools import pairwise

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from datasets import audio

N_FFT, HOP = 2048, 512  # librosa's defaults
N_MFCC, N_CHROMA, N_MEL_MEANS = 40, 12, 128
N_FEATURES = N_MFCC + N_CHROMA + N_MEL_MEANS
WINDOWS = 5
DECIBELS = 80.0  # below the loudest, as librosa's power_to_db
TUNING = 440.0  # Hz of the A
OCTAVE, OCTAVES = 5.0, 2.0  # centre and width of the chroma filters' weight over octaves, as librosa
PATCH = audio.N_MELS  # frames of a patch, which is as long as it is high
PATCH_STEP = PATCH // 2
FADE_DB = 30.0  # a frame that is softer than the loudest by more is not speech
MARGIN = 8  # frames kept before and after speech


@functools.cache
def _chroma_filters() -> Tensor:
    """Weights [12, N_FFT / 2 + 1] of the spectrum's bins in each pitch class (Ellis 2007, as librosa's chroma_stft).

    Each bin is spread over the pitch classes as a bell of its own width in semitones; bins are scaled to length 1, and
    weighted by a bell over octaves, of which the fifth counts most.
    """
    hertz = torch.arange(1, N_FFT) * audio.SAMPLE_RATE / N_FFT
    pitch = N_CHROMA * (hertz / (TUNING / 16)).log2()  # in semitones
    pitch = torch.cat([pitch[:1] - 1.5 * N_CHROMA, pitch])  # the constant bin, an octave and a half below the first
    width = torch.cat([(pitch[1:] - pitch[:-1]).clamp(min=1.0), torch.ones(1)])
    distance = pitch[None] - torch.arange(N_CHROMA)[:, None]
    distance = (distance + N_CHROMA / 2 + 10 * N_CHROMA) % N_CHROMA - N_CHROMA / 2
    weights = F.normalize((-0.5 * (2 * distance / width) ** 2).exp(), dim=0)
    weights = weights * (-0.5 * ((pitch / N_CHROMA - OCTAVE) / OCTAVES) ** 2).exp()
    return weights.roll(-3, dims=0)[:, : N_FFT // 2 + 1]  # so that C comes first, not A


@functools.cache
def _mel_filters() -> Tensor:
    bins = N_FFT // 2 + 1
    return torchaudio.functional.melscale_fbanks(
        bins, 0.0, audio.SAMPLE_RATE / 2, N_MEL_MEANS, audio.SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    ).T


def windows_180(wave: Tensor, windows: int = 1) -> Tensor:
    """Mean MFCC, chroma and mel power of each of `windows` equal stretches of `wave` [N]: `[windows, 180]`.

    40 MFCC (of log mel power in dB), 12 chroma (largest of each frame 1), 128 mel power, in this order, each averaged
    over the stretch, as in `librosa.feature.mfcc`, `chroma_stft` and `melspectrogram` followed by a mean over time.
    """
    spectrum = torch.stft(
        wave.float(), N_FFT, HOP, window=torch.hann_window(N_FFT), pad_mode="constant", return_complex=True
    ).abs()
    mel = _mel_filters() @ spectrum.square()  # [128, T]
    decibel = 10 * mel.clamp(min=1e-10).log10()
    decibel = decibel.clamp(min=float(decibel.max()) - DECIBELS)
    mfcc = torchaudio.functional.create_dct(N_MFCC, N_MEL_MEANS, norm="ortho").T @ decibel
    chroma = _chroma_filters() @ spectrum
    chroma = chroma / chroma.amax(0, keepdim=True).clamp(min=1e-10)
    frames = torch.cat([mfcc, chroma, mel])  # [180, T]
    count = frames.shape[1]
    edges = [round(k * count / windows) for k in range(windows + 1)]
    parts = [frames[:, min(start, count - 1) : max(end, start + 1)] for start, end in pairwise(edges)]
    return torch.stack([part.mean(1) for part in parts])


def trim(mel: Tensor) -> Tensor:
    """The part of `mel` [T, 40], log-mel, from the first frame of speech to the last, with a small margin.

    Speech is what is less than 30 dB below the loudest frame.
    """
    loudness = mel.float().logsumexp(1)
    speech = (loudness > loudness.max() - FADE_DB * math.log(10) / 10).nonzero()[:, 0]
    return mel[max(0, int(speech[0]) - MARGIN) : int(speech[-1]) + MARGIN + 1]


def liveliness(mel: Tensor) -> float:
    """How much the loudness of `mel` [T, 40], log-mel, goes up and down: its standard deviation over frames in dB.

    Speech has syllables and pauses; noise of any colour is steady.
    """
    return float(mel.float().logsumexp(1).std(correction=0)) * 10 / math.log(10)


def patches(mel: Tensor) -> Tensor:
    """Overlapping patches [P, 3, 40, 40] of `mel` [T, 40], log-mel: the values, their deltas and the deltas' deltas.

    The MFSC input of a network for pictures (Zhang et al. 2018), in the size of the sister systems: 40 bands by 40
    frames of 10 ms, every 20 frames. A short recording is repeated until it fills a patch.
    """
    mel = mel.float()
    if len(mel) < PATCH:
        mel = mel.repeat(-(-PATCH // len(mel)), 1)
    bands = mel.T  # deltas go along the last dimension
    delta = torchaudio.functional.compute_deltas(bands)
    stack = torch.stack([bands, delta, torchaudio.functional.compute_deltas(delta)])  # [3, 40, T]
    return stack.unfold(2, PATCH, PATCH_STEP).permute(2, 0, 1, 3).contiguous()
