"""What a recogniser hears in the recordings of a corpus, clean or distorted, kept on disk as it goes."""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from datasets import distort, files, voices
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.json_file import parse_json
from s2i.evaluation.baselines import TRANSCRIBED
from s2i.model.transcribe import WHISPER, WhisperFolder, recogniser
from s2i.model.whisper import packaged_folder

Listener: TypeAlias = Callable[[Tensor], str]

FORMAT = 1  # counts up when the same recording under the same condition sounds otherwise
SPEAKERS = 6  # who babble at once
CROWD = 48  # recordings that they are taken from


def wave_of(corpus: Corpus, recording: int) -> Tensor:
    """A recording as [N] float32, 16 kHz, spoken again as it was for the corpus, which keeps its log-mel alone.

    Raises:
        InputError: if nobody can speak it again: somebody's own recording, or a voice that is not installed.
    """
    name = corpus.voice_names[int(corpus.recording_voice[recording])]
    caption = int(corpus.recording_caption[recording])
    if caption < 0 or name not in {voice.name for voice in voices.VOICES}:
        raise InputError(
            f"{corpus.path}: recording {recording} (voice {name}) was read from a file and only its log-mel is kept; "
            "give a corpus whose captions are spoken by voices, such as that of scripts/prepare_cub.sh"
        )
    return voices.synthesise(voices.by_name(name), corpus.captions[caption], int(corpus.recording_seed[recording]))


def listeners(corpus_file: Path, model: Path | None = None) -> dict[str, Listener]:
    """Who listens, for each of the rows `baselines.TRANSCRIBED`.

    Args:
        model: as for `transcribe.recogniser`; one that is named listens alone. Without it there are two: CMU Sphinx
            and, where it is installed, Whisper.

    Raises:
        InputError: if a file is missing or damaged, or if a package is missing.
    """
    found: dict[str, Listener] = {TRANSCRIBED[0]: recogniser(corpus_file, model)}
    if model is None and packaged_folder() is not None:
        found[TRANSCRIBED[1]] = recogniser(corpus_file, Path(WHISPER))
    return found


class Waves:
    """The recordings of a corpus as waves, under any of `distort.CONDITIONS`.

    All levels of a condition have the same noise and the same other speakers, louder or softer.

    Args:
        seed: of noise and babble.
    """

    def __init__(self, corpus: Corpus, seed: int = 0) -> None:
        self.corpus, self.seed = corpus, seed
        spoken = np.flatnonzero(np.isin(corpus.recording_picture, corpus.pictures_of("test")))
        self._crowd = np.random.default_rng([seed]).permutation(spoken)[:CROWD]
        self._spoken: dict[int, Tensor] = {}

    def __call__(self, recording: int, condition: str = "clean", level: float | None = None) -> Tensor:
        """One recording as [N'] float32, 16 kHz, in [-1, 1].

        Raises:
            InputError: for an unknown condition or level, what `wave_of` refuses, or a crowd of this recording alone.
        """
        wave = wave_of(self.corpus, recording)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + recording)
        others = self._others(recording) if condition == "babble" else []
        return distort.distort(wave, condition, level, generator, others)

    def _others(self, recording: int) -> list[Tensor]:
        """Recordings of other pictures; kept, since the same few are needed again and again."""
        able = self._crowd[self.corpus.recording_picture[self._crowd] != self.corpus.recording_picture[recording]]
        speakers = np.random.default_rng([self.seed, recording]).permutation(able)[:SPEAKERS].tolist()
        for other in speakers:
            if other not in self._spoken:
                self._spoken[other] = wave_of(self.corpus, other)
        return [self._spoken[other] for other in speakers]


def transcribe(
    corpus: Corpus,
    recordings: Sequence[int] | np.ndarray,
    listener: Listener,
    cache: Path,
    *,
    condition: str = "clean",
    level: float | None = None,
    seed: int = 0,
) -> list[str]:
    """The words of each recording under a condition; what was heard before is not listened to again.

    Each transcript is a line of JSON in the file `cache`, written at once, so that a job that was stopped goes on where
    it was. Lines of other corpora, recognisers, conditions and seeds may stand in the same file; a line that was
    torn by a crash is passed over.

    Args:
        listener: a `Recogniser` or a `WhisperFolder`, or another that tells itself from others by `identity`.
        seed: of noise and babble; the other conditions do not depend on it.

    Raises:
        InputError: if a recording cannot be spoken again, the listener refuses it, or `cache` cannot be written.
    """
    key = {
        "format": FORMAT,
        "corpus": _identity_of_corpus(corpus),
        "listener": _identity_of_listener(listener),
        "condition": condition,
        "level": level,
        "seed": seed if condition in distort.RANDOM else None,
    }
    words = _read(cache, key)
    missing = [int(k) for k in dict.fromkeys(np.asarray(recordings).tolist()) if k not in words]
    if missing:
        waves = Waves(corpus, seed)
        title = condition if level is None else f"{condition} {level:g}"
        files.make_folder(cache.parent)
        for recording in tqdm(missing, desc=f"listening, {title}", unit="recording", file=sys.stderr):
            words[recording] = listener(waves(recording, condition, level))
            _append(cache, {**key, "recording": recording, "words": words[recording]})
    return [words[int(recording)] for recording in recordings]


def _read(cache: Path, key: dict[str, object]) -> dict[int, str]:
    """The words of each recording that lines with `key` tell."""
    if not cache.exists():
        return {}
    words = {}
    for line in files.require_file(cache, "transcripts").read_bytes().splitlines():
        try:
            entry = parse_json(line, dict)
            if all(entry[name] == value for name, value in key.items()):
                words[int(entry["recording"])] = str(entry["words"])
        except (ValueError, KeyError, TypeError):  # torn
            continue
    return words


def _append(cache: Path, entry: dict[str, object]) -> None:
    """Write one line, on a line of its own even after a torn one."""
    try:
        with open(cache, "a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(entry).encode() + b"\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{cache}: cannot be written ({reason}); free some space or choose another place") from error


def _identity_of_corpus(corpus: Corpus) -> str:
    """Of all that decides how its recordings sound, and which number is which."""
    digest = hashlib.sha256(json.dumps([list(corpus.captions), corpus.voice_names]).encode())
    for table in (corpus.recording_picture, corpus.recording_caption, corpus.recording_voice, corpus.recording_seed):
        digest.update(np.ascontiguousarray(table, dtype=np.int64).tobytes())
    digest.update(np.ascontiguousarray(corpus.split).tobytes())  # who babbles
    return digest.hexdigest()[:16]


def _identity_of_listener(listener: Listener) -> str:
    """Of what it learnt."""
    if isinstance(listener, WhisperFolder):
        digest = hashlib.sha256()
        for value in listener._model.state_dict().values():
            digest.update(value.float().numpy().tobytes())
        return digest.hexdigest()[:16]
    return str(listener.identity)  # type: ignore[attr-defined]
