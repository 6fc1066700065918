"""The models of the table, ready to paint the same captions: each an encoder and a generator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attngan.networks import encoders
from attngan.networks.condition import CaptionEncoder, Condition
from attngan.networks.generator import Generator, load_generator
from datasets.captions import pad, tokenize
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import sha256
from datasets.loader import Batch, stack_mels
from s2i.evaluation.baselines import TRAINED
from s2i.model import model_folder
from s2i.model.speech_encoder import load_speech_encoder

TOGETHER = 32  # pictures painted at a time


@dataclass(frozen=True)
class Trials:
    """N test pictures, each with one caption and a recording of it.

    Attributes:
        pictures: [N] indices of the corpus's pictures, each once.
        recordings: [N] indices of its recordings.
        captions: N texts, what the recordings say.
        species: [N] int64.
    """

    corpus: Corpus
    pictures: np.ndarray
    recordings: np.ndarray
    captions: list[str]
    species: Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        samples: int,
        seed: int,
        *,
        heard: bool | None = None,
        engine_heard: bool | None = None,
    ) -> "Trials":
        """A random choice of test pictures, in voices that training never heard where there are any.

        Args:
            samples: how many; 0 for all.
            heard: voices to take instead: True, heard in training, or False, not.
            engine_heard: engines to take alone: those of which a voice is heard in training, or the others.

        Raises:
            InputError: if the test split has fewer recordings with captions.
        """
        spoken = corpus.recordings_by_picture(corpus.measuring_voices if heard is None else heard, engine_heard)
        first = {int(index): int(spoken[index][0]) for index in corpus.pictures_of("test") if len(spoken[index])}
        able = [index for index, recording in first.items() if corpus.recording_caption[recording] >= 0]
        if len(able) < max(2, samples):
            raise InputError(
                f"--samples {samples}: {corpus.path} has {len(able)} test pictures with a recording and its caption; "
                "give fewer, or a corpus with more"
            )
        pictures = np.array(sorted(np.random.default_rng(seed).permutation(able)[: samples or len(able)]))
        recordings = np.array([first[int(index)] for index in pictures])
        captions = [corpus.captions[corpus.recording_caption[recording]] for recording in recordings]
        return cls(corpus, pictures, recordings, captions, torch.from_numpy(corpus.species[pictures]))


class Painter:
    """A caption encoder and the generator that was trained with it.

    Args:
        encoder: of text or of speech, as `spoken` says.
        number: of a caption: its words as a text encoder's numbers; None if the encoder takes speech.
        files: what the weights were read from.
    """

    def __init__(
        self,
        encoder: CaptionEncoder,
        generator: Generator,
        number: Callable[[str], list[int]] | None,
        files: Sequence[Path],
        budget: int | None,
    ) -> None:
        self._encoder, self._generator, self._number = encoder, generator, number
        self.spoken = number is None
        self.identity = "-".join(sha256(path)[:16] for path in files)
        self.budget = budget
        self.resolutions = generator.resolutions

    def read(self, captions: Sequence[str]) -> Condition:
        """The condition of written captions; one without words counts as an unknown word."""
        assert self._number is not None, "this encoder listens"
        tokens, mask = pad([self._number(text) if tokenize(text) else [1] for text in captions])
        index = torch.arange(len(captions))
        return self._encode(Batch(index, index, tokens=tokens, token_mask=mask))

    def listen(self, mels: Sequence[Tensor]) -> Condition:
        """The condition of log-mels [T_i, 40], not normalised."""
        assert self._number is None, "this encoder reads"
        stacked, mask = stack_mels(list(mels))
        index = torch.arange(len(mels))
        return self._encode(Batch(index, index, mels=stacked, mel_mask=mask))

    @torch.inference_mode()
    def _encode(self, batch: Batch) -> Condition:
        return self._encoder.encode(batch)

    @torch.inference_mode()
    def paint(self, condition: Condition, seeds: Sequence[Sequence[int]], resolution: int) -> Tensor:
        """Paint a condition with the noise that each seed gives: [N, 3, S, S] in [-1, 1].

        Raises:
            InputError: if no stage paints pictures of this resolution.
        """
        if resolution not in self.resolutions:
            raise InputError(
                f"--resolution {resolution}: a model paints {', '.join(map(str, self.resolutions))} px; "
                "choose one of these"
            )
        widths = (self._generator.noise, self._generator.arguments["conditioning"])
        drawn = [[np.random.default_rng([*seed, part]) for part in range(2)] for seed in seeds]
        noise, epsilon = (
            torch.from_numpy(np.stack([draws[k].standard_normal(widths[k], dtype=np.float32) for draws in drawn]))
            for k in range(2)
        )
        stages = self.resolutions.index(resolution) + 1
        found = []
        for rows_ in torch.arange(len(seeds)).split(TOGETHER):
            with torch.autocast("cpu", torch.bfloat16):
                painting = self._generator(condition[rows_], noise[rows_], epsilon[rows_], stages=stages)
            found.append(painting.pictures[-1].float())
        return torch.cat(found)


def load(name: str, *, model: Path, baselines: Path) -> Painter:
    """The painter of a row; of `transcribe` it is that of `attngan`, which reads what was recognised.

    Args:
        model: folder of the shipped model. baselines: folder that training the rows wrote.

    Raises:
        InputError: if a file is missing, damaged, or something else.
    """
    source = "attngan" if name == "transcribe" else name
    path = model / model_folder.GENERATOR if source == "s2i" else baselines / f"{source}.safetensors"
    generator, description = load_generator(path)
    row = TRAINED.get(source)
    encoder: CaptionEncoder
    number: Callable[[str], list[int]] | None = None
    if row is not None and row.condition == "text":
        encoder_path = model / model_folder.DAMSM
        encoder, vocabulary = encoders.load_text_encoder(encoder_path)
        number = vocabulary.encode
    else:
        text_free = row is not None and row.text_free
        encoder_path = baselines / f"{source}-speech.safetensors" if text_free else model / model_folder.SPEECH
        encoder = load_speech_encoder(encoder_path)
    return Painter(encoder, generator, number, (path, encoder_path), description.get("budget_pictures"))
