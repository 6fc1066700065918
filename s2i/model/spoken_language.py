"""Whether a recording sounds like English, by how sure Whisper tiny.en is of what it writes, where it is installed."""

import functools
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from datasets import audio
from datasets.errors import InputError
from s2i.model.whisper import load_model, packaged_folder
from s2i.model.whisper_front import PEAK

SHORTEST = 2.0  # seconds; of less too little can be told
AFTER = 100  # frames of 10 ms of silence that it hears after the end
LONGEST = 60  # tokens
UNSURE = -1.1
"""Mean natural log-probability of a token, below which it is no English: of 77 clean recordings in English (RAVDESS and
eighteen voices) none lies below, of 12 sentences in German, Spanish, French and Italian (SVOX Pico) nine."""
NOTE = "this hardly sounds like English, the only language that was learnt; expect a bird by chance"


@functools.cache
def _decoder() -> "Decoder | None":
    if packaged_folder() is None:
        return None
    with suppress(InputError):  # a damaged one is told where words are asked for
        return Decoder()
    return None


class Decoder:
    """Whisper tiny.en, which writes down one recording quickly, the likeliest token after the other.

    It hears the recording and no 30 s of silence behind it, which takes a third of a second rather than one.

    Raises:
        InputError: if a package is missing.
    """

    def __init__(self) -> None:
        self._model, _ = load_model()
        from faster_whisper.tokenizer import Tokenizer

        tokens = Tokenizer(self._model.hf_tokenizer, False, task="transcribe", language="en")
        self._prompt = self._model.get_prompt(tokens, [], without_timestamps=True)

    def log_probability(self, wave: Tensor) -> float:
        """The mean natural log-probability of the tokens that it writes for a recording [N], 16 kHz."""
        wave = wave * (PEAK / wave.abs().max().clamp(min=1e-9))
        features = self._model.feature_extractor(wave.numpy().astype(np.float32))
        encoded = self._model.encode(np.pad(features, ((0, 0), (0, AFTER)), constant_values=features.min()))
        options = {"beam_size": 1, "return_scores": True, "max_length": LONGEST}
        return float(self._model.model.generate(encoded, [self._prompt], **options)[0].scores[0])


@torch.inference_mode()
def note(wave: Tensor) -> str | None:
    """What to tell a person of a recording [N], 16 kHz, that hardly is English; None of others, and without Whisper."""
    if len(wave) < SHORTEST * audio.SAMPLE_RATE or (decoder := _decoder()) is None:
        return None
    return NOTE if decoder.log_probability(wave) < UNSURE else None
