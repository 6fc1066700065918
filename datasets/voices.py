"""Text-to-speech voices that turn written captions into recordings, and which of them training may hear."""

import functools
import importlib.util
import random
import re
import shutil
import subprocess
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from datasets import audio, engines
from datasets.engines import INSTALL
from datasets.errors import InputError

MAX_CHARACTERS = 1000
RATE_JITTER = 0.15
PITCH_JITTER = 0.15
USES = ("training", "validation", "measuring")


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Attributes:
        name: what recordings are filed under.
        engine: one of `engines.INSTALL`.
        code: the engine's own name for the voice.
        use: "training"; "validation", for choosing the best of a training; or "measuring", for what is reported.
            A voice serves one use alone, and of the engines "hts" and "piper" no voice trains.
        pitch: usual pitch in Hz; for the engines of pip, where a voice brings its own, a factor.
        rate: usual speed as a factor of the engine's.
        share: how often it speaks in training, beside the others.
        size: factors, from least to most, by which the speaker's pitch and formants together may be moved.
    """

    name: str
    engine: str
    code: str
    use: str
    pitch: float = 1.0
    rate: float = 1.0
    share: float = 1.0
    size: tuple[float, float] = (1.0, 1.0)

    @property
    def heard(self) -> bool:
        """Whether training may use it."""
        return self.use == "training"


VOICES = (
    Voice("espeak-us", "espeak", "en-us", "training", share=0.6),
    Voice("espeak-us-f2", "espeak", "en-us+f2", "training", share=0.6),
    Voice("espeak-us-f3", "espeak", "en-us+f3", "training", share=0.6),
    Voice("espeak-us-m1", "espeak", "en-us+m1", "training", share=0.6),
    Voice("espeak-us-m3", "espeak", "en-us+m3", "training", share=0.6),
    Voice("espeak-us-klatt2", "espeak", "en-us+klatt2", "training", share=0.6),
    Voice("espeak-gb", "espeak", "en", "training", share=0.6),
    Voice("espeak-gb-rp", "espeak", "en-gb-x-rp", "training", share=0.6),
    Voice("flite-kal16", "flite", "kal16", "training", pitch=105.0, rate=0.9, size=(0.9, 1.1)),
    Voice("flite-awb", "flite", "awb", "training", pitch=133.0, share=0.5, size=(0.9, 1.15)),
    Voice("flite-rms", "flite", "rms", "training", pitch=100.0, share=0.5, size=(0.9, 1.25)),
    Voice("festival-kal", "festival", "kal_diphone", "training", pitch=105.0, size=(0.9, 1.1)),
    Voice("pico-us", "pico", "en-US", "training", share=3.0, size=(0.8, 1.1)),
    Voice("hibari-heart", "hibari", "heart", "training", share=3.0, size=(0.78, 1.1)),
    Voice("espeak-us-f4", "espeak", "en-us+f4", "validation"),
    Voice("festival-ked", "festival", "ked_diphone", "validation", pitch=105.0),
    Voice("pico-gb", "pico", "en-GB", "validation"),
    Voice("flite-slt", "flite", "slt", "measuring", pitch=172.0),
    Voice("espeak-us-f5", "espeak", "en-us+f5", "measuring"),
    Voice("espeak-scotland-m2", "espeak", "en-gb-scotland+m2", "measuring"),
    Voice("hts-slt", "hts", "cmu_us_slt_arctic_hts", "measuring"),
    Voice("piper-joe", "piper", "joe", "measuring"),
)
HEARD_ENGINES = frozenset(voice.engine for voice in VOICES if voice.heard)


@functools.cache
def _installed(engine: str) -> str | None:
    """The voices that `engine` offers, as text to search by whole words; None if it is not installed."""
    if engine == "espeak":
        return "" if engines.espeak_library() else None
    if packages := engines.PACKAGES.get(engine):
        return "" if all(importlib.util.find_spec(package) for package in packages) else None
    program = engines.PROGRAMS[engine]
    if shutil.which(program) is None:
        return None
    arguments = [program, "-lv"] if program == "flite" else [program, "-b", "(print (voice.list))"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def _has(voice: Voice) -> bool:
    listed = _installed(voice.engine)
    named = voice.engine in engines.PROGRAMS  # the others are installed with all of their voices
    return listed is not None and (not named or voice.code in re.findall(r"\w+", listed))


def available(voices: Iterable[Voice] = VOICES) -> list[Voice]:
    """List those of `voices` that this machine can speak with, in the order given."""
    return [voice for voice in voices if _has(voice)]


_LOCK = threading.Lock()  # neither the libraries nor the pipes can serve two threads at once


def _plain(text: str) -> str:
    """`text` in ASCII on one line, without control characters."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in ascii_only).split())


def synthesise(voice: Voice, text: str, seed: int) -> torch.Tensor:
    """Speak `text` as `[N]` float32, 16 kHz, in [-1, 1].

    Speed and pitch vary by up to 15 % with `seed`, and so does how large a speaker some voices are; the same
    arguments always give the same samples.

    Raises:
        InputError: if the engine or the voice is not installed, or if `text` is empty, too long or yields no speech.
    """
    if not _has(voice):
        raise InputError(f"voice {voice.name}: {voice.engine} is not installed; run: {INSTALL[voice.engine]}")
    words = _plain(text)
    where = f"voice {voice.name}, text {words[:60]!r}"
    if not words:
        raise InputError(f"voice {voice.name}: the text is empty; give a description in English")
    if not any(letter.isalnum() for letter in words):
        raise InputError(f"{where}: yields no speech; give words to say")
    if len(words) > MAX_CHARACTERS:
        raise InputError(f"{where}: has {len(words)} characters; give at most {MAX_CHARACTERS}")
    chance = random.Random(f"{voice.name}/{seed}")
    rate = voice.rate * chance.uniform(1 - RATE_JITTER, 1 + RATE_JITTER)
    pitch = voice.pitch * chance.uniform(1 - PITCH_JITTER, 1 + PITCH_JITTER)
    spread = chance.uniform(0.7, 1.3)
    size = chance.uniform(*voice.size)
    with _LOCK:
        samples, hertz = _speak(voice, words, pitch, rate, size, spread, where)
    wave = audio.resample(torch.from_numpy(samples), hertz)
    if len(wave) == 0 or wave.abs().max() < audio.SILENCE_PEAK:
        raise InputError(f"{where}: yields no speech; give words to say")
    shortest = int(audio.MIN_SECONDS * audio.SAMPLE_RATE)
    wave = torch.nn.functional.pad(wave, (0, max(0, shortest - len(wave))))  # a single short word is still speech
    audio.check(wave, where)
    return wave


def _speak(
    voice: Voice, words: str, pitch: float, rate: float, size: float, spread: float, where: str
) -> tuple[np.ndarray, int]:
    """Speak as `voice`, at `pitch` and `rate`, as a speaker `size` times as high: samples [N] and their rate in Hz."""
    engine, code = voice.engine, voice.code

    def own(at: float) -> tuple[np.ndarray, int]:
        if engine == "espeak":
            return engines.espeak(code, words, pitch, at, spread)
        if engine == "pico":
            return engines.pico(code, words, pitch, at)
        if engine == "hibari":
            return engines.hibari(code, words, at)
        if engine == "piper":
            return engines.piper(code, words, at)
        return engines.program(engine, code, words, pitch, at)

    if engine in ("hibari", "hts", "piper"):  # they have no pitch to set; formants move along, hence by half as much
        size = size * pitch**0.5
    try:
        return engines.shifted(own, size, rate)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def by_name(name: str) -> Voice:
    """Find the voice called `name`.

    Raises:
        InputError: if there is none.
    """
    for voice in VOICES:
        if voice.name == name:
            return voice
    raise InputError(f"voice {name}: unknown; choose one of {', '.join(voice.name for voice in VOICES)}")
