"""The models that are compared, ready to paint the same captions: each a caption encoder and a generator."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from attngan.networks import encoders
from attngan.networks.condition import Condition
from attngan.networks.generator import load_generator
from attngan.runtime.training_options import SINGLE
from datasets.files import sha256
from s2i.evaluation.baselines import TRAINED, TRANSCRIBED
from s2i.model.model_folder import DAMSM, GENERATOR, SPEECH
from s2i.model.speech_encoder import load_speech_encoder

BATCH = 32  # pictures painted at a time
CPU = torch.device("cpu")


class ComparedModel:
    """A generator and the caption encoder that it was trained with.

    Args:
        generator: its weights.
        encoder: weights of a speech encoder, or of a DAMSM with text.
        speech: which of the two.
        device, precision: where and how it paints; of `attngan.runtime.device`.

    Attributes:
        identity: tells its weights and precision from others.
        budget: how many pictures it was trained with, where its file tells.

    Raises:
        InputError: if a file is missing, damaged, or something else.
    """

    def __init__(
        self, generator: Path, encoder: Path, *, speech: bool, device: torch.device = CPU, precision: str = SINGLE
    ) -> None:
        self.generator, description = load_generator(generator)
        self.budget: int | None = description.get("budget_pictures")
        self.speech, self.device, self.precision = speech, device, precision
        if speech:
            self._speech_encoder = load_speech_encoder(encoder).to(device)
        else:
            self._text_encoder, self._vocabulary = encoders.load_text_encoder(encoder)
            self._text_encoder.to(device)
        self.identity = "-".join([*(sha256(path)[:16] for path in (generator, encoder)), precision])

    @torch.inference_mode()
    def encode(self, captions: Sequence[str], mels: Callable[[], Sequence[Tensor]]) -> Condition:
        """The condition of N captions; of their log-mels [T_i, 40], not normalised, where it was trained with speech.

        Args:
            mels: reads the log-mels; called only if they are needed.
        """
        if self.speech:
            return self._speech_encoder.hear(mels())
        return encoders.encode_captions(self._text_encoder, self._vocabulary, captions)

    def log_mel(self, wave: Tensor) -> Tensor:
        """The log-mel [T, 40] of a recording [N], 16 kHz, as the model wants it, if it takes speech."""
        return self._speech_encoder.log_mel(wave)

    def paint(self, condition: Condition, seeds: Sequence[Sequence[int]], resolution: int) -> list[Tensor]:
        """Paint N captions with the noise of N seeds: for each stage up to `resolution` [N, 3, S, S] in [-1, 1].

        Raises:
            InputError: if no stage paints pictures of this resolution.
        """
        stages, noise = self.generator.stages_to(resolution), self.generator.sample_noise(seeds)
        output = self.generator.paint(
            condition, noise, stages=stages, device=self.device, precision=self.precision, batch_size=BATCH
        )
        return output.pictures


def load(
    name: str, *, model: Path, baselines: Path, device: torch.device = CPU, precision: str = SINGLE
) -> ComparedModel:
    """The model of a row; of those of `TRANSCRIBED` it is that of `attngan`, which reads what was recognised.

    Args:
        model: folder of the shipped model.
        baselines: folder that training the rows wrote.
        device, precision: where and how it paints.

    Raises:
        InputError: if a file is missing, damaged, or something else.
    """
    source = "attngan" if name in TRANSCRIBED else name
    generator = model / GENERATOR if source == "s2i" else baselines / f"{source}.safetensors"
    row = TRAINED.get(source)
    speech = row is None or row.condition == "speech"
    encoder = model / (SPEECH if speech else DAMSM)
    if row is not None and row.text_free:
        encoder = baselines / f"{source}-speech.safetensors"
    return ComparedModel(generator, encoder, speech=speech, device=device, precision=precision)
