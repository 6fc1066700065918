"""The whole walk for people who use Python: `SpeechToImage.load()("bird.wav").save("outputs", "bird")`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from attngan.networks.condition import Condition
from attngan.networks.generator import Generator, load_generator
from attngan.runtime.device import find_device
from attngan.runtime.training_options import SINGLE
from datasets import audio
from datasets.errors import InputError
from datasets.files import replacing
from s2i.model import speech_presence
from s2i.model.model_folder import GENERATOR, SPEECH, ModelFolder
from s2i.model.speech_encoder import SpeechEncoder, load_speech_encoder

MAX_SAMPLES = 100  # the attention of each takes about 7 MB


@dataclass(frozen=True)
class Pictures:
    """What was painted from one recording, or another condition, N times.

    Attributes:
        stages: one array [N, S, S, 3] uint8 for each stage, the smallest first.
        attention: for each stage but the first [N, R, R, T] float32: how much each of the R x R regions of the stage
            before looked at each segment of speech; sums to 1 over T.
        segments: T times (start, end) in seconds; none of what was not spoken.
        log_mel: [frames, 40] float32, 100 frames a second; no frames of what was not spoken.
    """

    stages: list[np.ndarray]
    attention: list[np.ndarray]
    segments: list[tuple[float, float]]
    log_mel: np.ndarray

    def __len__(self) -> int:
        return len(self.stages[0])

    def image(self, sample: int = 0, stage: int = -1) -> Image.Image:
        """One picture, by default the first sample at the last, largest stage."""
        return Image.fromarray(self.stages[stage][sample])

    def save(self, folder: str | Path, name: str) -> list[Path]:
        """Write every picture as FOLDER/NAME-SIDE.png, or NAME-SAMPLE-SIDE.png of several samples (from 1).

        Raises:
            InputError: if the folder cannot be written or the disk is full; a picture is whole or not there.
        """
        files = self.files(folder, name)
        for path, pixels in files:
            with replacing(path) as temporary:
                Image.fromarray(pixels).save(temporary)
        return [path for path, _ in files]

    def files(self, folder: str | Path, name: str) -> list[tuple[Path, np.ndarray]]:
        """What `save` writes: each path with its picture [S, S, 3] uint8."""
        numbers = [f"-{sample + 1}" if len(self) > 1 else "" for sample in range(len(self))]
        return [
            (Path(folder) / f"{name}{number}-{pictures.shape[1]}.png", pictures[sample])
            for sample, number in enumerate(numbers)
            for pictures in self.stages
        ]


@dataclass(frozen=True)
class EncodedRecording:
    """What the speech encoder made of one recording.

    Attributes:
        condition: one caption, of T segments.
        segments: T times (start, end) in seconds.
        log_mel: [frames, 40] float32, 100 frames a second.
    """

    condition: Condition
    segments: list[tuple[float, float]]
    log_mel: np.ndarray


class SpeechToImage:
    """Paints spoken descriptions.

    Args:
        encoder: turns a recording into a condition.
        generator: turns a condition into pictures.
        device: where both run.
        precision: "32-true", as the weights are, or "bf16-mixed", in bfloat16 where that is faster, as the generator
            was trained; colours differ by about 1 of 255.
    """

    def __init__(
        self, encoder: SpeechEncoder, generator: Generator, device: torch.device, *, precision: str = SINGLE
    ) -> None:
        self.device, self.precision = device, precision
        self.encoder = encoder.to(device).eval()
        self.generator = generator.to(device).eval()

    @classmethod
    def load(
        cls, folder: str | Path | ModelFolder | None = None, device: str = "auto", *, precision: str = SINGLE
    ) -> "SpeechToImage":
        """The model of a folder with speech.safetensors and generator.safetensors, by default the one that is shipped.

        Args:
            device: "auto", a GPU where there is one, or a name that torch knows.
            precision: as for the class.

        Raises:
            InputError: if a file is missing, damaged, changed or something else, or the two do not fit together.
        """
        folder = folder if isinstance(folder, ModelFolder) else ModelFolder(folder)
        place = find_device(device)
        folder.check()
        encoder = load_speech_encoder(folder / SPEECH)
        generator, _ = load_generator(folder / GENERATOR)
        given, expected = encoder.to_sentence.out_features, generator.augmentation.project.in_features
        if given != expected:
            raise InputError(
                f"{folder}: {SPEECH} gives {given} dimensions, {GENERATOR} wants {expected}; "
                "take both from the same training"
            )
        return cls(encoder, generator, place, precision=precision)

    def __call__(
        self, recording: audio.AnyRecording, *, samples: int = 1, seed: int = 0, force: bool = False
    ) -> Pictures:
        """Paint what `recording` says, `samples` times.

        The same recording, seed and sample give the same pixels on the same machine, however many samples are asked.

        Args:
            recording: in any form that `datasets.any_recording.waveform` takes.
            samples: from 1 to 100.
            seed: at least 0.
            force: paint what holds no speech as well, as far as can be told: music, noise, a bird's song.

        Raises:
            InputError: if the recording is not one, too short, too long or silent, or without speech, or a number is
                out of range.
        """
        _check_numbers(samples, seed)
        heard = self.hear(recording, force=force)
        painted = self.paint(heard.condition, samples=samples, seed=seed)
        return dataclasses.replace(painted, segments=heard.segments, log_mel=heard.log_mel)

    @torch.inference_mode()
    def hear(self, recording: audio.AnyRecording, *, force: bool = False) -> EncodedRecording:
        """Encode `recording`, which is as for a call and gives the same errors, without painting it."""
        wave = audio.waveform(recording)
        if not force:
            name = str(recording) if isinstance(recording, str | Path) else "recording"
            speech_presence.check(wave, name, "give a spoken description, or force=True to paint it")
        mel = self.encoder.log_mel(wave)
        shown = audio.log_mel(wave) if self.encoder.front == "whisper" else mel
        return EncodedRecording(self.encoder.hear([mel]), self.encoder.spans(mel), shown.numpy())

    def paint(
        self, condition: Condition, *, samples: int = 1, seed: int = 0, first: int = 0, stages: int | None = None
    ) -> Pictures:
        """Paint a condition of one caption, heard or read; one picture at a time, so that none depends on the others.

        Args:
            condition: of one caption.
            samples: from 1 to 100.
            seed: at least 0.
            first: number of the first sample; 2 gives what would come third.
            stages: paint only the first so many sizes, for speed; None paints all.

        Raises:
            InputError: if a number is out of range.
        """
        _check_numbers(samples, seed)
        noise = self.generator.sample_noise([(seed, sample) for sample in range(first, first + samples)])
        output = self.generator.paint(
            condition, noise, stages=stages, device=self.device, precision=self.precision, batch_size=1
        )
        return Pictures(
            stages=[_to_uint8(pictures) for pictures in output.pictures],
            attention=[_to_maps(attention) for attention in output.attention],
            segments=[],
            log_mel=np.zeros((0, audio.N_MELS), np.float32),
        )


def morph(one: Condition, other: Condition, share: float) -> Condition:
    """A caption between two of one caption each: `one` at share 0, `other` at 1.

    Sentences are mixed, and so are words or segments, once both sequences are stretched to a common length, which
    itself goes from one's to the other's.

    Raises:
        InputError: if `share` is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share {share:g}: out of range; give a value from 0 to 1")
    if share in (0, 1):
        return other if share else one
    sequences = [condition.words[:, :, condition.mask[0]] for condition in (one, other)]
    length = round(sequences[0].shape[2] * (1 - share) + sequences[1].shape[2] * share)
    start, end = (F.interpolate(words, length, mode="linear", align_corners=True) for words in sequences)
    return Condition(
        torch.lerp(one.sentence, other.sentence, share),
        torch.lerp(start, end, share),
        torch.ones(1, length, dtype=torch.bool, device=one.mask.device),
    )


def _check_numbers(samples: int, seed: int) -> None:
    if not 1 <= samples <= MAX_SAMPLES:
        raise InputError(f"samples {samples}: out of range; give a value from 1 to {MAX_SAMPLES}")
    if seed < 0:
        raise InputError(f"seed {seed}: out of range; give a value at least 0")


def _to_uint8(pictures: Tensor) -> np.ndarray:
    """[N, 3, S, S] in [-1, 1] to [N, S, S, 3] uint8."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _to_maps(attention: Tensor) -> np.ndarray:
    """[N, R * R, T] to [N, R, R, T]."""
    count, regions, segments = attention.shape
    side = round(regions**0.5)
    return attention.reshape(count, side, side, segments).float().cpu().numpy()
