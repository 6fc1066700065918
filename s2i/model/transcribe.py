"""The other path, to compare with: from a recording to words, which a text encoder can read like a written caption.

CMU Sphinx listens, with a language model and a pronunciation dictionary of captions; or Whisper, where there is one.
"""

import hashlib
import importlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets import audio, cli, files
from datasets.captions import tokenize
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.json_file import read_json
from datasets.language_model import ORDER, START, TrigramModel
from s2i.model.whisper import WEIGHTS, FasterWhisper

FORMAT = 1
ABOUT, ARPA, LANGUAGE, DICTIONARY = "recogniser.json", "captions.lm", "captions.lm.bin", "captions.dict"
WHISPER = "whisper"  # names the pip package's model in the place of a folder
SHIPPED = Path("pretrained", "recogniser")  # learnt from the captions that the shipped model was trained with
AGAIN = "remove it and build it again"
PADDING = 0.3  # seconds of quiet before and after
NOISE = 1e-3  # its standard deviation, -60 dB: a quiet room
LOG_BASE = math.log(1.0001)  # of the probabilities that pocketsphinx gives
UNKNOWN = -12.0  # natural log-probability of a word that no caption has, or that has no known pronunciation


class Recogniser:
    """CMU Sphinx (pocketsphinx through SpeechRecognition), told by captions which words to expect.

    Args:
        folder: what `from_captions` made.

    Attributes:
        unknown_words: how often each word of the captions occurs that has no known pronunciation, so that it is never
            heard; the most frequent first.

    Raises:
        InputError: if `folder` holds no recogniser or a damaged one, or if a package is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self._speech = _package("speech_recognition", "SpeechRecognition")
        acoustic = _package("pocketsphinx", "pocketsphinx").get_model_path("en-us/en-us")
        self.folder = Path(folder)
        self.unknown_words: dict[str, int] = _read_about(self.folder)["unknown_words"]
        self._language = (acoustic, str(self.folder / LANGUAGE), str(self.folder / DICTIONARY))

    @property
    def identity(self) -> str:
        """Tells what it learnt from what others did."""
        return files.sha256(self.folder / ABOUT)[:16]

    @cached_property
    def _captions(self) -> Any:
        return _package("pocketsphinx", "pocketsphinx").NGramModel.readfile(str(self.folder / LANGUAGE))

    def log_probability(self, words: Sequence[str]) -> float:
        """Natural logarithm of the probability that a caption begins with `words`."""
        total, history = 0.0, [START]
        for word in words:
            total += max(UNKNOWN, LOG_BASE * self._captions.prob([word, *history[:-ORDER:-1]]))
            history.append(word)
        return total

    @classmethod
    def from_captions(cls, captions: Iterable[str], folder: str | Path) -> "Recogniser":
        """Build a recogniser of the words of `captions` in `folder`, or take the one there if it is of the same.

        Raises:
            InputError: if no word has a pronunciation, `folder` cannot be written, or a package is missing.
        """
        folder, captions = Path(folder), list(captions)
        sphinx = _package("pocketsphinx", "pocketsphinx")
        _package("speech_recognition", "SpeechRecognition")  # lacking it should show before the work, not after
        dictionary = Path(sphinx.get_model_path("en-us/cmudict-en-us.dict"))
        identity = hashlib.sha256(json.dumps([FORMAT, files.sha256(dictionary), captions]).encode()).hexdigest()
        with suppress(InputError):
            if _read_about(folder)["identity"] == identity:
                return cls(folder)
        files.make_folder(folder)
        pronunciations = _pronunciations(dictionary)
        model = TrigramModel(captions, pronunciations)
        model.write(folder / ARPA)
        with files.replacing(folder / LANGUAGE) as temporary:  # the same, but read ten times as quickly
            sphinx.NGramModel.readfile(str(folder / ARPA)).write(str(temporary))
        files.write_text(folder / DICTIONARY, "".join(line for w in model.words for line in pronunciations[w]))
        sums = {name: files.sha256(folder / name) for name in (LANGUAGE, DICTIONARY)}
        about = {"identity": identity, "files": sums, "unknown_words": model.unknown_words}
        files.write_text(folder / ABOUT, json.dumps(about, indent=1))  # last, once the others are whole
        return cls(folder)

    def __call__(self, recording: audio.AnyRecording) -> str:
        """The words of `recording`, lower-case and separated by spaces; "" if none are understood.

        Args:
            recording: in any form that `datasets.any_recording.waveform` takes.

        Raises:
            InputError: if it is not a recording, or too short, too long or silent.
        """
        return " ".join(word for word, _, _ in self.timed(recording))

    def timed(self, recording: audio.AnyRecording) -> list[tuple[str, float, float]]:
        """Each word of `recording` with its start and end in seconds; arguments and errors as for a call."""
        wave = audio.waveform(recording)
        sound = self._speech.AudioData(_to_pcm(wave), audio.SAMPLE_RATE, 2)
        try:
            decoder = self._speech.Recognizer().recognize_sphinx(sound, language=self._language, show_all=True)
        except (self._speech.RequestError, RuntimeError) as error:  # files that went away or changed meanwhile
            raise InputError(f"{self.folder}: is damaged ({error}); {AGAIN}") from error
        if decoder.hyp() is None:
            return []
        seconds = len(wave) / audio.SAMPLE_RATE
        words = []
        for part in decoder.seg():  # its frames are 10 ms; variants are called red(2)
            if part.word[0] not in "<[+":  # silence and noise: <sil>, [NOISE], ++BREATH++
                start, end = (min(max(0.0, n / 100 - PADDING), seconds) for n in (part.start_frame, part.end_frame + 1))
                words.append((part.word.partition("(")[0], start, end))
        return words


class WhisperFolder:
    """A Whisper model in the form of Hugging Face's transformers, from a folder; nothing is downloaded.

    Args:
        folder: holds config.json, the weights and the tokenizer.

    Raises:
        InputError: if `folder` holds no such model or a damaged one, or if transformers is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        if not os.path.isfile(Path(folder) / "config.json"):
            raise InputError(f"{folder}: no Whisper model in it (config.json); give the folder of a downloaded one")
        transformers = _package("transformers", "transformers")
        try:
            self._processor = transformers.WhisperProcessor.from_pretrained(folder, local_files_only=True)
            model = transformers.WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # of many kinds, since it has many parts
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{folder}: is no whole Whisper model ({reason}); download it again") from error
        self._model = model.eval()
        # Models of English alone refuse to be told the language.
        self._options = {"language": "en"} if getattr(model.generation_config, "is_multilingual", False) else {}

    @torch.inference_mode()
    def __call__(self, recording: audio.AnyRecording) -> str:
        """The words of `recording` as for `Recogniser`, with the same errors."""
        wave = audio.waveform(recording).numpy()
        features = self._processor(wave, sampling_rate=audio.SAMPLE_RATE, return_tensors="pt").input_features
        tokens = self._model.generate(features, **self._options)
        return " ".join(tokenize(self._processor.batch_decode(tokens, skip_special_tokens=True)[0]))


def word_error_rate(truths: Sequence[str], heard: Sequence[str]) -> float:
    """Words missed, added and mistaken in all of `heard`, in percent of the words of `truths`; can exceed 100.

    Raises:
        InputError: if the two differ in length, `truths` hold no words, or jiwer is missing.
    """
    if len(truths) != len(heard):
        raise InputError(f"heard: has {len(heard)} texts for {len(truths)} truths; give one for each")
    said, understood = ([" ".join(tokenize(text)) for text in texts] for texts in (truths, heard))
    if not any(said):
        raise InputError("truths: hold no words; give at least one text with words")
    return 100 * _package("jiwer", "jiwer").wer(said, understood)


def _package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{package}: is not installed; run: pip install {package}") from error


def _read_about(folder: Path) -> dict[str, Any]:
    """What `from_captions` noted about its files, once they are found to be those."""
    path = files.require_file(folder / ABOUT, "recogniser")
    try:
        about: dict[str, Any] = read_json(path, "recogniser", AGAIN, dict)
        sums = {name: files.sha256(folder / name) for name in about["files"]}
        if sums == about["files"] and {"identity", "unknown_words"} <= about.keys():
            return about
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{folder}: is not a whole recogniser; {AGAIN}")


def _pronunciations(dictionary: Path) -> dict[str, list[str]]:
    """For each word, its lines `word PHONE PHONE ...` and `word(2) PHONE ...` in a dictionary of CMU Sphinx."""
    lines: dict[str, list[str]] = {}
    with open(dictionary, encoding="utf-8") as file:
        for line in file:
            lines.setdefault(line.partition(" ")[0].partition("(")[0], []).append(line)
    return lines


def _to_pcm(wave: Tensor) -> bytes:
    """Samples as 16-bit integers, in the faint noise of a quiet room.

    Speech that a program made has stretches of zeros and begins and ends at once, where Sphinx loses words: of 100
    words of one espeak voice it mistook 43, and 7 in faint noise.
    """
    quiet = round(PADDING * audio.SAMPLE_RATE)
    wave = F.pad(wave, (quiet, quiet))
    wave = wave + NOISE * torch.randn(len(wave), generator=torch.Generator().manual_seed(0))
    return (wave.clamp(-1, 1) * 32767).round().numpy().astype("<i2").tobytes()


def recogniser(corpus_file: Path, model: Path | None = None) -> "Recogniser | WhisperFolder | FasterWhisper":
    """The one in the folder `model`, or one of the training captions of a corpus, kept beside it.

    Args:
        model: also `WHISPER`, which is that of the pip package. Whisper in the form of CTranslate2 is helped by the
            captions of the recogniser that listens without it.

    Raises:
        InputError: if a file is missing or damaged, or if a package is missing.
    """
    if model is not None and not model.is_dir() and str(model) == WHISPER:
        return FasterWhisper(captions=_captions_of(corpus_file))
    if model:
        if (model / WEIGHTS).is_file():
            return FasterWhisper(model, captions=_captions_of(corpus_file))
        return WhisperFolder(model) if (model / "config.json").is_file() else Recogniser(model)
    return _recogniser_of(corpus_file)


def _recogniser_of(corpus_file: Path) -> Recogniser:
    """That of the training captions of a corpus, kept beside it; of those of the shipped model where there is none."""
    if not corpus_file.exists() and corpus_file.resolve() == cli.workplace() / "data" / "cub.h5":
        return Recogniser(cli.repository() / SHIPPED)
    return Recogniser.from_captions(_training_captions(corpus_file), corpus_file.with_suffix(".recogniser"))


def _captions_of(corpus_file: Path) -> Recogniser | None:
    """What knows how the captions of a corpus go on, or those of the shipped model; None without pocketsphinx."""
    with suppress(InputError):
        return _recogniser_of(corpus_file) if corpus_file.exists() else Recogniser(cli.repository() / SHIPPED)
    return None


def _training_captions(corpus_file: Path) -> list[str]:
    corpus = Corpus(corpus_file)
    learnt = np.flatnonzero(np.isin(corpus.caption_picture, corpus.pictures_of("train")))
    return [corpus.captions[k] for k in learnt]
