"""Text-to-speech voices that turn written captions into recordings.

The programs are used to make recordings only and nothing here links to them at import: espeak-ng (GPL-3, loaded from
the `espeakng-loader` package when first asked for), flite and festival (both under BSD-like licences, run as commands).
"""

import ctypes
import functools
import importlib.util
import json
import math
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from datasets import audio
from datasets.errors import InputError

INSTALL = {
    "espeak": "pip install espeakng-loader",
    "flite": "apt-get install flite",
    "festival": "apt-get install festival festvox-kallpc16k",
}
MAX_CHARACTERS = 1000
RATE_JITTER = 0.15
PITCH_JITTER = 0.15
ESPEAK_WORDS_PER_MINUTE = 175


@dataclass(frozen=True)
class Voice:
    """One speaker.

    Attributes:
        name: what recordings are filed under.
        engine: "espeak", "flite" or "festival".
        code: the engine's own name for the voice.
        heard: whether training may use it; the others are kept for measuring how new voices are understood.
        pitch: usual pitch in Hz; for espeak, where a voice brings its own, a factor.
        rate: usual speed as a factor of the engine's.
    """

    name: str
    engine: str
    code: str
    heard: bool
    pitch: float = 1.0
    rate: float = 1.0


VOICES = (
    Voice("espeak-us", "espeak", "en-us", True),
    Voice("espeak-us-f2", "espeak", "en-us+f2", True),
    Voice("espeak-us-f3", "espeak", "en-us+f3", True),
    Voice("espeak-us-m1", "espeak", "en-us+m1", True),
    Voice("espeak-us-m3", "espeak", "en-us+m3", True),
    Voice("espeak-us-klatt2", "espeak", "en-us+klatt2", True),
    Voice("espeak-gb", "espeak", "en", True),
    Voice("espeak-gb-rp", "espeak", "en-gb-x-rp", True),
    Voice("flite-kal16", "flite", "kal16", True, pitch=105.0, rate=0.9),
    Voice("flite-awb", "flite", "awb", True, pitch=133.0),
    Voice("flite-rms", "flite", "rms", True, pitch=100.0),
    Voice("festival-kal", "festival", "kal_diphone", True, pitch=105.0),
    Voice("flite-slt", "flite", "slt", False, pitch=172.0),
    Voice("espeak-us-f5", "espeak", "en-us+f5", False),
    Voice("espeak-scotland-m2", "espeak", "en-gb-scotland+m2", False),
)


@functools.cache
def _installed(engine: str) -> str | None:
    """The voices that `engine` offers, as text to search by whole words; None if it is not installed."""
    if engine == "espeak":
        return "" if importlib.util.find_spec("espeakng_loader") else None
    if shutil.which(engine) is None:
        return None
    arguments = [engine, "-lv"] if engine == "flite" else [engine, "-b", "(print (voice.list))"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def _has(voice: Voice) -> bool:
    listed = _installed(voice.engine)
    return listed is not None and (voice.engine == "espeak" or voice.code in re.findall(r"\w+", listed))


def available(voices: Iterable[Voice] = VOICES) -> list[Voice]:
    """List those of `voices` that this machine can speak with, in the order given."""
    return [voice for voice in voices if _has(voice)]


class _Espeak:
    """The espeak-ng library through its C interface (speak_lib.h); `say` gives the same samples every time."""

    SYNCHRONOUS, DONT_EXIT, UTF8, RATE, PITCH, RANGE = 2, 0x8000, 1, 1, 3, 4
    CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def __init__(self) -> None:
        self.library: ctypes.CDLL | None = None
        self.pieces: list[bytes] = []
        self.callback = self.CALLBACK(self._collect)  # held here, or C would call freed memory

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count > 0:
            self.pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def _reload(self) -> tuple[ctypes.CDLL, int]:
        """Load the library anew: its oscillators and noise go on from one utterance to the next otherwise."""
        import _ctypes

        import espeakng_loader

        if self.library is not None:
            self.library.espeak_Terminate()
            _ctypes.dlclose(self.library._handle)
            self.library = None
        try:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = str(espeakng_loader.get_data_path()).encode()
        except (OSError, RuntimeError) as error:
            raise InputError(f"espeak: could not be loaded ({error}); install it again: {INSTALL['espeak']}") from error
        rate = library.espeak_Initialize(self.SYNCHRONOUS, 0, data, self.DONT_EXIT)
        if rate <= 0:
            raise InputError(f"espeak: its data could not be loaded; install it again: {INSTALL['espeak']}")
        library.espeak_SetSynthCallback(self.callback)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # breathy voices draw noise, seeded by the clock otherwise
        self.library = library
        return library, rate

    def say(self, code: str, text: str, pitch: float, rate: float, spread: float) -> tuple[np.ndarray, int]:
        library, hertz = self._reload()
        if library.espeak_SetVoiceByName(code.encode()) != 0:
            raise InputError(f"espeak: has no voice {code}; install it again: {INSTALL['espeak']}")
        library.espeak_SetParameter(self.RATE, round(ESPEAK_WORDS_PER_MINUTE * rate), 0)
        library.espeak_SetParameter(self.PITCH, round(50 + 50 * math.log2(pitch)), 0)  # 50 steps to the octave
        library.espeak_SetParameter(self.RANGE, round(50 * spread), 0)
        self.pieces.clear()
        data = text.encode()
        # Neither SSML nor phoneme codes are switched on, so markup is read aloud like any other character.
        library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, self.UTF8, None, None)
        return np.frombuffer(b"".join(self.pieces), np.int16).astype(np.float32) / 32768, hertz


def _flite(code: str, text: str, pitch: float, rate: float, out: Path) -> str:
    """Speak `text` into the wav file `out`; return what the program says about it."""
    features = ["--setf", f"duration_stretch={1 / rate:.4f}", "--setf", f"int_f0_target_mean={pitch:.2f}"]
    command = ["flite", "-voice", code, *features, "-t", text, "-o", str(out)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    return done.stderr.decode(errors="replace")


@functools.cache
def _festival_process(owner: int) -> subprocess.Popen[str]:
    """A festival that goes on listening, for the process `owner`: starting one takes as long as a hundred captions."""
    command, pipe = ["festival", "--pipe"], subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, text=True, encoding="latin-1", errors="replace"
    )


def _festival(code: str, text: str, pitch: float, rate: float, out: Path) -> str:
    """Speak `text` into the wav file `out`; return what the program says about it."""
    process = _festival_process(os.getpid())
    assert process.stdin is not None
    assert process.stderr is not None
    words = re.sub(r'["\\]', " ", text)  # all that could end a Scheme string
    melody = f"(target_f0_mean {pitch:.2f}) (target_f0_std 14) (model_f0_mean 170) (model_f0_std 34)"
    complaints: list[str] = []
    try:
        process.stdin.write(
            f"(set! said nil) (voice_{code}) (Parameter.set 'Duration_Stretch {1 / rate:.4f}) "
            f"(set! int_lr_params '({melody})) "
            f'(set! said (utt.synth (Utterance Text "{words}"))) '
            f'(utt.save.wave said {json.dumps(str(out))} \'riff) (format stderr "finished\\n")\n'
        )
        process.stdin.flush()
        for line in process.stderr:
            if line == "finished\n":
                return "".join(complaints)
            complaints.append(line)
    except BrokenPipeError:
        pass
    _festival_process.cache_clear()  # it ended; the next caption starts another
    return "".join(complaints)


_ESPEAK = _Espeak()
_COMMANDS = {"flite": _flite, "festival": _festival}
_LOCK = threading.Lock()  # neither the library nor the pipe can serve two threads at once


def _plain(text: str) -> str:
    """`text` in ASCII on one line, without control characters."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in ascii_only).split())


def synthesise(voice: Voice, text: str, seed: int) -> torch.Tensor:
    """Speak `text` as `[N]` float32, 16 kHz, in [-1, 1].

    Speed and pitch vary by up to 15 % with `seed`; the same arguments always give the same samples.

    Raises:
        InputError: if the engine or the voice is not installed, or if `text` is empty, too long or yields no speech.
    """
    if not _has(voice):
        raise InputError(f"voice {voice.name}: {voice.engine} is not installed; run: {INSTALL[voice.engine]}")
    words = _plain(text)
    where = f"voice {voice.name}, text {words[:60]!r}"
    if not words:
        raise InputError(f"voice {voice.name}: the text is empty; give a description in English")
    if len(words) > MAX_CHARACTERS:
        raise InputError(f"{where}: has {len(words)} characters; give at most {MAX_CHARACTERS}")
    chance = random.Random(f"{voice.name}/{seed}")
    rate = voice.rate * chance.uniform(1 - RATE_JITTER, 1 + RATE_JITTER)
    pitch = voice.pitch * chance.uniform(1 - PITCH_JITTER, 1 + PITCH_JITTER)
    with _LOCK:
        if voice.engine == "espeak":
            samples, hertz = _ESPEAK.say(voice.code, words, pitch, rate, chance.uniform(0.7, 1.3))
        else:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "speech.wav"
                complaint = _COMMANDS[voice.engine](voice.code, words, pitch, rate, out)
                if not out.is_file():
                    said = " ".join(complaint.split())[:200] or "it says nothing more"
                    raise InputError(f"{where}: {voice.engine} made no recording ({said}); give words to say")
                samples, hertz = soundfile.read(out, dtype="float32")
    wave = audio.resample(torch.from_numpy(samples), hertz)
    if len(wave) == 0 or wave.abs().max() < audio.SILENCE_PEAK:
        raise InputError(f"{where}: yields no speech; give words to say")
    shortest = int(audio.MIN_SECONDS * audio.SAMPLE_RATE)
    wave = torch.nn.functional.pad(wave, (0, max(0, shortest - len(wave))))  # a single short word is still speech
    audio.check(wave, where)
    return wave


def by_name(name: str) -> Voice:
    """Find the voice called `name`.

    Raises:
        InputError: if there is none.
    """
    for voice in VOICES:
        if voice.name == name:
            return voice
    raise InputError(f"voice {name}: unknown; choose one of {', '.join(voice.name for voice in VOICES)}")
