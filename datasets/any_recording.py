"""Recordings as Python holds them: samples as every library gives them, files, open files and encoded bytes."""

import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from datasets import recording_file
from datasets.errors import InputError
from datasets.samples import MAX_CHANNELS, RATES, SAMPLE_RATE, to_wave

AnyRecording: TypeAlias = str | Path | bytes | Any
"""A recording in any form that `waveform` takes."""
NAME = "recording"  # opens the messages about what has no name
FORMS = "give a file, samples [N] at 16 kHz, or (samples, rate in Hz)"
LARGEST = 1 << 28  # bytes of an open file


def waveform(recording: AnyRecording) -> torch.Tensor:
    """Any form of a recording as [N] float32 at 16 kHz in [-1, 1].

    Samples are a tensor or array [N], [N, C] or [C, N] (channels are what there are fewer of): floats in [-1, 1],
    or integers of 8, 16 or 32 bits, as files hold them.

    Args:
        recording: a file's path; its bytes; an open binary file; samples at 16 kHz; samples with their rate in Hz,
            in either order (torchaudio, librosa and soundfile put it last, scipy and gradio first); or a dictionary
            of Hugging Face's datasets, with `array` and `sampling_rate`, or with `bytes` or `path`.

    Raises:
        InputError: if it is not a recording, or too short, too long or silent.
    """
    if isinstance(recording, str | os.PathLike):
        return recording_file.load(Path(recording))
    if isinstance(recording, bytes | bytearray | memoryview):
        return _read_bytes(bytes(recording), NAME)
    if hasattr(recording, "read"):
        return _read_open(recording)
    if isinstance(recording, Mapping):
        return _read_mapping(recording)
    samples, rate = recording, SAMPLE_RATE
    if isinstance(recording, tuple | list) and len(recording) == 2:
        numbers = [_is_number(part) for part in recording]
        if sum(numbers) == 1:
            samples, rate = recording if numbers[1] else reversed(recording)
        elif isinstance(recording, tuple):
            kinds = " and ".join(type(part).__name__ for part in recording)
            raise InputError(f"{NAME}: a pair of {kinds}; {FORMS}")
    return to_wave(_channels_last(samples), _whole_rate(rate), NAME)


def _read_bytes(data: bytes, name: str) -> torch.Tensor:
    return recording_file.read(io.BytesIO(data), len(data), name)


def _read_open(file: Any) -> torch.Tensor:
    name = getattr(file, "name", None)
    name = name if isinstance(name, str) and name else NAME
    try:
        data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # closed, or opened for writing
        raise InputError(f"{name}: cannot be read ({error}); open it anew, as binary") from error
    if not isinstance(data, bytes):
        raise InputError(f"{name}: is open as text; open it as binary ('rb')")
    if len(data) > LARGEST:
        raise InputError(f"{name}: is larger than {LARGEST // 2**20} MB; one description needs far less")
    return _read_bytes(data, name)


def _read_mapping(recording: Mapping[str, Any]) -> torch.Tensor:
    if recording.get("array") is not None:
        if recording.get("sampling_rate") is None:
            raise InputError(f"{NAME}: has an array but no sampling_rate; give both")
        return waveform((recording["array"], recording["sampling_rate"]))
    if isinstance(recording.get("bytes"), bytes):
        return _read_bytes(recording["bytes"], str(recording.get("path") or NAME))
    if recording.get("path") is not None:
        return recording_file.load(recording["path"])
    keys = ", ".join(map(str, recording)) or "nothing"
    raise InputError(f"{NAME}: a dictionary of {keys}; it needs array and sampling_rate, or bytes, or path")


def _is_number(value: Any) -> bool:
    """Whether `value` is one number, in whatever type, rather than samples."""
    return (
        not isinstance(value, str | bytes)
        and getattr(value, "shape", None) in ((), None)
        and np.isscalar(value.item() if hasattr(value, "item") else value)
    )


def _whole_rate(rate: Any) -> int:
    hertz = float(rate) if isinstance(rate, int | float) else float(getattr(rate, "item", lambda: math.nan)())
    if isinstance(rate, bool) or not RATES[0] <= hertz <= RATES[1]:
        raise InputError(f"{NAME}: rate {hertz:g} Hz is out of range; give a rate such as 16000 Hz")
    return round(hertz)


def _channels_last(samples: Any) -> torch.Tensor:
    """Samples of any kind as [N, C] float32, integers scaled to [-1, 1]."""
    if isinstance(samples, torch.Tensor):
        tensor = samples.detach().cpu()
    else:
        try:
            array = np.asarray(samples)
            if array.dtype.kind not in "fiu":
                raise TypeError(f"it is {array.dtype if array.dtype != object else type(samples).__name__}")
            # Copied, in this machine's order of bytes: torch takes no other, nor views that go backwards.
            tensor = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))
        except (TypeError, ValueError) as error:
            raise InputError(f"{NAME}: holds no samples ({error}); {FORMS}") from error
    if tensor.dim() not in (1, 2):
        raise InputError(f"{NAME}: has shape {list(tensor.shape)}; give [N] or [channels, N], one recording at a time")
    if tensor.dtype == torch.uint8:
        tensor = (tensor.float() - 128) / 128
    elif tensor.dtype in (torch.int8, torch.int16, torch.int32):
        tensor = (tensor.double() / -torch.iinfo(tensor.dtype).min).float()
    elif not tensor.is_floating_point():
        raise InputError(f"{NAME}: has samples of {tensor.dtype}; give floats in [-1, 1], or integers of 16 or 32 bits")
    if tensor.dim() == 1:
        return tensor.float()[:, None]
    if not tensor.numel():
        return torch.zeros(0, 1)
    if min(tensor.shape) > MAX_CHANNELS:
        raise InputError(f"{NAME}: has shape {list(tensor.shape)}; give [N] or [channels, N], of few channels")
    return (tensor.T if tensor.shape[0] < tensor.shape[1] else tensor).float()
