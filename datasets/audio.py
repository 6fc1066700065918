"""Recordings: loading and judging them, and their log-mel spectrograms."""

import codecs
import contextlib
import functools
import io
import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import torch
import torchaudio

from datasets.errors import InputError
from datasets.files import replacing, require_file

AnyRecording: TypeAlias = str | Path | torch.Tensor | np.ndarray | tuple[torch.Tensor | np.ndarray, int]

SAMPLE_RATE = 16_000
WINDOW = SAMPLE_RATE * 25 // 1000
HOP = SAMPLE_RATE * 10 // 1000
N_FFT = 1 << (WINDOW - 1).bit_length()
N_MELS = 40
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
LOG_FLOOR = 1e-6
MIN_SECONDS = 0.3
MAX_SECONDS = 30.0
SILENCE_PEAK = 1e-4
SILENCE_RMS = 2e-5
RATES = (4_000, 384_000)
MAX_CHANNELS = 16
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".oga", ".opus")
SUBTYPES = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
MAGIC = (b"RIFF", b"RIFX", b"RF64", b"riff", b"fLaC", b"OggS", b"FORM", b".snd", b"caff", b"ID3")
SMALLEST = 128  # bytes: shorter than any header with sound behind it


def is_audio(path: str | Path) -> bool:
    """Whether the name of `path` ends as a recording's does (in either case)."""
    return Path(path).suffix.lower() in SUFFIXES


def find_recordings(paths: Iterable[str | Path]) -> list[Path]:
    """List the files among `paths`, in the order given, each folder replaced by its recordings at any depth, sorted.

    Raises:
        InputError: for a path that does not exist and for a folder with no recordings.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(require_file(path, "recording"))
            continue
        inside = sorted(p for p in path.rglob("*") if is_audio(p) and p.is_file() and not p.name.startswith("."))
        if not inside:
            raise InputError(f"{path}: no recordings in this folder; it needs files named {', '.join(SUFFIXES)}")
        found += inside
    return found


def _check_seconds(seconds: float, name: str) -> None:
    if seconds < MIN_SECONDS:
        raise InputError(f"{name}: lasts {seconds:.2f} s; record at least {MIN_SECONDS} s of speech")
    if seconds > MAX_SECONDS:
        raise InputError(f"{name}: lasts {seconds:.0f} s; cut it to at most {MAX_SECONDS:.0f} s (one description)")


def waveform(recording: AnyRecording, *, integers: bool = False) -> torch.Tensor:
    """Any form of a recording as [N] float32 at 16 kHz.

    Args:
        recording: a file; samples [N] at 16 kHz in [-1, 1]; or (samples [N] or [N, channels], rate in Hz).
        integers: whether samples of 16 or 32 bits, as other readers give them, are taken as well.

    Raises:
        InputError: if it is not a recording, or too short, too long or silent.
    """
    if isinstance(recording, str | Path):
        return load(recording)
    samples, rate = recording if isinstance(recording, tuple) else (recording, SAMPLE_RATE)
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"recording: rate {rate} Hz is out of range; give a rate such as 16000 Hz")
    wave = torch.as_tensor(samples).detach().cpu()
    if integers and wave.dtype in (torch.int16, torch.int32):
        wave = wave.double() / -torch.iinfo(wave.dtype).min
    if wave.is_floating_point():
        wave = wave.float()
        if wave.dim() == 2 and isinstance(recording, tuple):
            wave = wave.mean(1)
        if wave.dim() == 1 and torch.isfinite(wave).all():
            wave = resample(wave, rate)
    check(wave, "recording")
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
    _check_seconds(len(wave) / SAMPLE_RATE, name)
    if not torch.isfinite(wave).all():
        raise InputError(f"{name}: holds samples that are not numbers (NaN or infinity); export the recording again")
    sound = wave - wave.mean()  # a constant is silent, however large
    if sound.abs().max() < SILENCE_PEAK or sound.square().mean().sqrt() < SILENCE_RMS:
        raise InputError(f"{name}: is silent; check the microphone and record it again")


def _ends_early(head: bytes, tail: bytes, size: int) -> bool:
    """Whether the container itself says that bytes are missing, which libsndfile passes over in silence."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        position = 12
        while position + 8 <= len(head):
            chunk, length = head[position : position + 4], int.from_bytes(head[position + 4 : position + 8], "little")
            if chunk == b"data":  # programs that write to a pipe cannot know the length and put all ones
                return length != 0xFFFFFFFF and position + 8 + length > size
            position += 8 + length + length % 2
        return position > size
    if head[:4] == b"OggS":
        page = tail[tail.rfind(b"OggS") :]
        return len(page) < 27 or len(page) < 27 + page[26] or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
    at = max(head[:4096].find(b"Info"), head[:4096].find(b"Xing"))
    if at >= 0 and len(head) >= at + 16 and not head.startswith(b"fLaC"):
        flags, _, length = struct.unpack(">III", head[at + 4 : at + 16])
        return flags & 3 == 3 and length > size
    return False


def _check_bytes(path: Path, head: bytes, tail: bytes, size: int) -> None:
    """Check by its first and last 64 KiB that a file of `size` bytes is a recording; libsndfile would only complain."""
    if not (head.startswith(MAGIC) or (len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0)):  # the latter is mp3
        with contextlib.suppress(UnicodeDecodeError):
            # The last character may be cut in two, hence the decoder that waits for more.
            if "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head):
                raise InputError(f"{path}: is a text file, not a recording; give a wav, flac, ogg or mp3 file")
        raise InputError(f"{path}: is not a recording in a known format; convert it to wav, flac, ogg or mp3")
    if size < SMALLEST:
        raise InputError(f"{path}: ends within its header; copy or record the file again")
    if _ends_early(head, tail, size):
        raise InputError(f"{path}: is cut off before its end; copy or record it again")


def resample(wave: torch.Tensor, rate: int) -> torch.Tensor:
    """Bring `wave` [N] from `rate` Hz to 16 kHz, scaled down if its peak left [-1, 1]."""
    # A filter for exactly 44101 -> 16000 Hz would take gigabytes; the nearest simple ratio is off by under 0.01 %.
    ratio = Fraction(rate, SAMPLE_RATE).limit_denominator(640)
    if ratio != 1:
        wave = torchaudio.functional.resample(wave, ratio.numerator, ratio.denominator)
    return wave / wave.abs().max().clamp(min=1.0) if len(wave) else wave


def load(path: str | Path) -> torch.Tensor:
    """Read a recording as `[N]` float32, mono, 16 kHz, in [-1, 1]: wav, flac, ogg or mp3, any rate, any channels.

    Raises:
        InputError: if it is missing, a folder, empty, not a recording, cut off, silent, not finite, or does not last
            from `MIN_SECONDS` to `MAX_SECONDS`. Nothing long is read before its length is known.
    """
    path = require_file(path, "recording")
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path}: is an empty file; copy or record it again")
    with open(path, "rb") as file:
        head = file.read(1 << 16)
        file.seek(max(0, size - (1 << 16)))
        _check_bytes(path, head, file.read(), size)
        file.seek(0)
        frames = None
        try:  # an open file rather than a name, so that the contents decide and the suffix does not
            with soundfile.SoundFile(file) as sound:
                frames, rate, channels = sound.frames, sound.samplerate, sound.channels
                if not RATES[0] <= rate <= RATES[1] or channels > MAX_CHANNELS:
                    claim = f"claims {rate} Hz and {channels} channels"
                    raise InputError(f"{path}: {claim}; give one or two channels at a rate such as 16000 Hz")
                _check_seconds(frames / rate, str(path))
                samples = torch.from_numpy(sound.read(frames, dtype="float32", always_2d=True))
        except (soundfile.SoundFileError, TypeError, OSError) as error:
            damage = "its header is cut off or damaged" if frames is None else "is cut off or damaged inside"
            raise InputError(f"{path}: {damage}; copy or record the file again") from error
    if len(samples) < frames:
        raise InputError(f"{path}: is cut off before its end; copy or record it again")
    wave = samples.mean(dim=1)
    if torch.isfinite(wave).all():
        wave = resample(wave, rate)
    check(wave, str(path))
    return wave


def save(path: str | Path, wave: torch.Tensor) -> None:
    """Write `wave` [N], 16 kHz, in [-1, 1], as .wav or .flac (16 bits) or .ogg (Vorbis), whole or not at all.

    Raises:
        InputError: for another suffix and if the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUBTYPES:
        raise InputError(f"{path}: recordings are written as {', '.join(SUBTYPES)}; choose one of these suffixes")
    container, subtype = SUBTYPES[path.suffix.lower()]
    encoded = io.BytesIO()  # so that a full disk is an OSError of ours and not one of libsndfile's many
    samples = wave.detach().cpu().clamp(-1.0, 1.0).numpy()
    soundfile.write(encoded, samples, SAMPLE_RATE, subtype=subtype, format=container)
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


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
