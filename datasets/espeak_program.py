"""A program of its own that speaks with espeak-ng (GPL-3), whose library is loaded here and nowhere else.

`python espeak_program.py LIBRARY [DATA]` reads one request a line from standard input, as JSON, and answers each on
standard output with a line of JSON, `{"rate": Hz, "bytes": N}` or `{"error": text}`, and N bytes of samples (int16,
little endian). It ends with its input. It imports nothing of this project.
"""

import ctypes
import json
import os
import sys
from typing import Any, BinaryIO

SYNCHRONOUS, DONT_EXIT, UTF8, RATE, PITCH, RANGE = 2, 0x8000, 1, 1, 3, 4  # of espeak-ng's speak_lib.h
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Library:
    """The espeak-ng library through its C interface; `say` gives the same samples every time.

    Args:
        path: of the library.
        data: folder of its voices; None for where the library itself looks.
    """

    def __init__(self, path: str, data: str | None) -> None:
        self.path, self.data = path, data
        self.library: ctypes.CDLL | None = None
        self.pieces: list[bytes] = []
        self.callback = CALLBACK(self._collect)  # held here, or C would call freed memory

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count > 0:
            self.pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def _reload(self) -> tuple[ctypes.CDLL, int]:
        """Load the library anew: its oscillators and noise go on from one utterance to the next otherwise."""
        import _ctypes

        if self.library is not None:
            self.library.espeak_Terminate()
            _ctypes.dlclose(self.library._handle)
            self.library = None
        library = ctypes.CDLL(self.path)
        data = self.data.encode() if self.data else None
        rate = library.espeak_Initialize(SYNCHRONOUS, 0, data, DONT_EXIT)
        if rate <= 0:
            raise OSError("its data could not be loaded")
        library.espeak_SetSynthCallback(self.callback)
        if hasattr(library, "espeak_ng_SetRandSeed"):  # breathy voices draw noise, seeded by the clock otherwise
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        else:  # until 1.51 it is the noise of C
            ctypes.CDLL(None).srand(1)
        self.library = library
        return library, rate

    def say(self, voice: str, text: str, rate: int, pitch: int, range_: int) -> tuple[bytes, int]:
        """Samples of `text` and their rate in Hz; `rate` in words a minute, `pitch` and `range_` from 0 to 100.

        Raises:
            OSError: if the library, its data or the voice cannot be had.
        """
        library, hertz = self._reload()
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise OSError(f"it has no voice {voice}")
        for parameter, value in ((RATE, rate), (PITCH, pitch), (RANGE, range_)):
            library.espeak_SetParameter(parameter, value, 0)
        self.pieces.clear()
        data = text.encode()
        # Neither SSML nor phoneme codes are switched on, so markup is read aloud like any other character.
        library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, UTF8, None, None)
        return b"".join(self.pieces), hertz


def serve(library: Library, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer every request until there are no more."""
    for line in requests:
        samples, about = b"", dict[str, Any]()
        try:
            samples, hertz = library.say(**json.loads(line))
            about = {"rate": hertz, "bytes": len(samples)}
        except (OSError, AttributeError) as error:  # no such library, or one that lacks a function
            about = {"error": " ".join(str(error).split())}
        answers.write(json.dumps(about).encode() + b"\n" + samples)
        answers.flush()


if __name__ == "__main__":
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the library itself prints is no answer
    serve(Library(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None), sys.stdin.buffer, answer)
