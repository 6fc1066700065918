"""Recording from this machine's microphone, until the speaker falls silent or presses Enter (through sounddevice)."""

import importlib
import queue
import select
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets import audio
from datasets.errors import InputError

BLOCK = 0.1  # seconds
WAIT = 15.0  # seconds for the first word
PAUSE = 1.2  # seconds of quiet that end a description
LEAD = 3  # blocks kept before the first word
LOUDER = 4.0  # times the level of the room is speech
QUIETEST, LOUDEST = 2e-3, 2e-2  # between which the limit lies (root mean square), whatever the room


def record(stopped: Callable[[], bool] | None = None) -> Tensor:
    """Record one description as [N] float32 at 16 kHz.

    Args:
        stopped: tells that it shall end now; by default whether Enter was pressed.

    Raises:
        InputError: if sounddevice is missing, there is no microphone, or nothing is said.
    """
    try:
        sounddevice: Any = importlib.import_module("sounddevice")
    except ImportError as error:
        raise InputError("sounddevice: is not installed; run: pip install sounddevice") from error
    except OSError as error:  # the wheel for Linux brings no PortAudio
        raise InputError("PortAudio: is not installed; run: apt-get install libportaudio2") from error
    blocks: queue.Queue[np.ndarray] = queue.Queue()
    size = round(BLOCK * audio.SAMPLE_RATE)

    def take(data: np.ndarray, _frames: int, _time: Any, _status: Any) -> None:
        blocks.put(data[:, 0].copy())

    def heard() -> Iterable[np.ndarray]:
        while True:
            try:
                yield blocks.get(timeout=5)
            except queue.Empty:
                raise InputError("microphone: gives no sound; check that it is plugged in and not muted") from None

    try:
        with sounddevice.InputStream(
            samplerate=audio.SAMPLE_RATE, channels=1, dtype="float32", blocksize=size, callback=take
        ):
            print("speak now; recording ends when you fall silent, or with Enter", file=sys.stderr, flush=True)
            return until_silence(heard(), stopped or _enter_pressed)
    except sounddevice.PortAudioError as error:
        raise InputError(f"microphone: none can be used ({error}); plug one in, or give a recording") from error


def until_silence(blocks: Iterable[np.ndarray], stopped: Callable[[], bool]) -> Tensor:
    """What is said in `blocks` of `BLOCK` seconds, each [n] in [-1, 1], up to a pause, 30 s or `stopped`.

    The level of the room is the quietest so far; what is clearly louder is speech.

    Raises:
        InputError: if nothing is said.
    """
    kept: list[np.ndarray] = []
    levels: list[float] = []
    quiet, spoken = 0, False
    for block in blocks:
        kept.append(block)
        levels.append(float(np.sqrt(np.mean(np.square(block, dtype=np.float64)))))
        loud = levels[-1] > min(LOUDEST, max(QUIETEST, LOUDER * min(levels)))
        spoken, quiet = spoken or loud, 0 if loud else quiet + 1
        if stopped():
            spoken = True  # a whisper may stay below the level, and Enter is a person's word
            break
        if spoken and quiet * BLOCK >= PAUSE:
            break
        if not spoken:
            if len(levels) * BLOCK >= WAIT:
                raise InputError("microphone: nothing was said; speak up, or choose another microphone in the system")
            kept = kept[-LEAD:]
        elif len(kept) * BLOCK >= audio.MAX_SECONDS - BLOCK:
            break
    if not spoken:
        raise InputError("microphone: nothing was said; speak up, or choose another microphone in the system")
    wave = torch.from_numpy(np.concatenate(kept)).float()
    audio.check(wave, "microphone")
    return wave


def name() -> str:
    """What to call pictures of a recording of now."""
    return time.strftime("spoken-%Y%m%d-%H%M%S")


def _enter_pressed() -> bool:
    try:
        if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
            return False
        sys.stdin.readline()
    except (OSError, ValueError):  # no standard input, or one that cannot be asked (Windows)
        return False
    return True
