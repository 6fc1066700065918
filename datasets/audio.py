"""Recordings as everything else uses them: read in any form, and their log-mel spectrograms."""

import functools

import torch
import torchaudio

from datasets.any_recording import AnyRecording as AnyRecording
from datasets.any_recording import waveform as waveform
from datasets.containers import SUFFIXES as SUFFIXES
from datasets.recording_file import find_recordings as find_recordings
from datasets.recording_file import is_audio as is_audio
from datasets.recording_file import load as load
from datasets.recording_file import save as save
from datasets.samples import MAX_CHANNELS as MAX_CHANNELS
from datasets.samples import MAX_SECONDS as MAX_SECONDS
from datasets.samples import MIN_SECONDS as MIN_SECONDS
from datasets.samples import RATES as RATES
from datasets.samples import SAMPLE_RATE as SAMPLE_RATE
from datasets.samples import SILENCE_PEAK as SILENCE_PEAK
from datasets.samples import check as check
from datasets.samples import resample as resample

WINDOW = SAMPLE_RATE * 25 // 1000
HOP = SAMPLE_RATE * 10 // 1000
N_FFT = 1 << (WINDOW - 1).bit_length()
N_MELS = 40
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
LOG_FLOOR = 1e-6


@functools.cache
def mel_transform(device: torch.device) -> torchaudio.transforms.MelSpectrogram:
    """The power spectrogram in mel bands, made once a device."""
    return torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE, n_fft=N_FFT, win_length=WINDOW, hop_length=HOP, n_mels=N_MELS
    ).to(device)


def log_mel(wave: torch.Tensor) -> torch.Tensor:
    """Return log(mel power + 1e-6), float32 `[T, 40]` with T = 1 + N // 160, of `wave` [N]; not normalised."""
    with torch.no_grad():
        return (mel_transform(wave.device)(wave.float()) + LOG_FLOOR).log().transpose(0, 1).contiguous()


def masked_mean(mels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of `mels` [..., T, 40] over the real frames of `mask` [..., T]: `[..., 1, 40]`."""
    real = mask.unsqueeze(-1)
    return mels.where(real, 0.0).sum(-2, keepdim=True) / real.sum(-2, keepdim=True).clamp(min=1)


def normalise(mel: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Give every band of every utterance mean 0 and variance 1 over its real frames; padded frames become 0.

    Args:
        mel: `[T, 40]` or `[B, T, 40]`, log-mel.
        mask: `[T]` or `[B, T]`, True for real frames; without it all are.
    """
    if mask is None:
        mask = torch.ones(mel.shape[:-1], dtype=torch.bool, device=mel.device)
    centred = (mel - masked_mean(mel, mask)).where(mask.unsqueeze(-1), 0.0)
    return centred / masked_mean(centred.square(), mask).sqrt().clamp(min=1e-4)


def stack_mels(mels: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad [T_i, 40] log-mels with zeros to ([B, T, 40], mask [B, T], True where a frame is)."""
    mask = torch.zeros(len(mels), max(len(mel) for mel in mels), dtype=torch.bool)
    for row, mel in enumerate(mels):
        mask[row, : len(mel)] = True
    return torch.nn.utils.rnn.pad_sequence(mels, batch_first=True), mask
