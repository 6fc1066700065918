"""What was heard, and what was painted of it: as arrays, as PIL images and as files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from attngan.networks.condition import Condition
from attngan.networks.generator import GeneratorOutput
from datasets import audio
from s2i.model import painted_file
from s2i.model.painted_file import Origin
from s2i.model.replay import Source


@dataclass(frozen=True)
class EncodedRecording:
    """What the speech encoder made of one recording.

    Attributes:
        condition: one caption, of T segments.
        segments: T times (start, end) in seconds.
        log_mel: [frames, 40] float32, 100 frames a second.
        source: the checksum of its samples.
    """

    condition: Condition
    segments: list[tuple[float, float]]
    log_mel: np.ndarray
    source: Source


@dataclass(frozen=True)
class Pictures:
    """What was painted from one recording, or another condition, N times.

    Attributes:
        stages: one array [N, S, S, 3] uint8 for each stage, the smallest first.
        attention: for each stage but the first [N, R, R, T] float32: how much each of the R x R regions of the stage
            before looked at each segment of speech; sums to 1 over T.
        segments: T times (start, end) in seconds; none of what was not spoken.
        log_mel: [frames, 40] float32, 100 frames a second; no frames of what was not spoken.
        origins: N, how each was painted, which its files then tell; none where that is not known.
    """

    stages: list[np.ndarray]
    attention: list[np.ndarray]
    segments: list[tuple[float, float]]
    log_mel: np.ndarray
    origins: tuple[Origin, ...] = ()

    @classmethod
    def of(cls, output: GeneratorOutput) -> "Pictures":
        """What a generator gave for one caption with N noises."""
        return cls(
            stages=[_to_uint8(pictures) for pictures in output.pictures],
            attention=[_to_maps(attention) for attention in output.attention],
            segments=[],
            log_mel=np.zeros((0, audio.N_MELS), np.float32),
        )

    def __len__(self) -> int:
        return len(self.stages[0])

    @property
    def images(self) -> list[Image.Image]:
        """The largest picture of each sample."""
        return [self.image(sample) for sample in range(len(self))]

    def image(self, sample: int = 0, stage: int = -1) -> Image.Image:
        """One picture, by default the first sample at the last, largest stage."""
        return Image.fromarray(self.stages[stage][sample])

    def save(self, folder: str | Path, name: str, *, alone: bool = False) -> list[Path]:
        """Write every picture as FOLDER/NAME-SIDE.png, or NAME-SAMPLE-SIDE.png of several samples (from 1).

        Where `alone`, write only the largest, as FOLDER/NAME.png or NAME-SAMPLE.png. The text fields of each file tell
        how to paint it again (`painted_file`).

        Raises:
            InputError: if the folder cannot be written or the disk is full; a picture is whole or not there.
        """
        files = self.files(folder, name, alone=alone)
        for number, (path, pixels) in enumerate(files):
            painted_file.write(path, pixels, self.origin(number * len(self) // len(files)))
        return [path for path, _ in files]

    def origin(self, sample: int) -> Origin | None:
        """How a sample was painted, where that is known."""
        return self.origins[sample] if self.origins else None

    def files(self, folder: str | Path, name: str, *, alone: bool = False) -> list[tuple[Path, np.ndarray]]:
        """What `save` writes: each path with its picture [S, S, 3] uint8."""
        numbers = [f"-{sample + 1}" if len(self) > 1 else "" for sample in range(len(self))]
        return [
            (Path(folder) / f"{name}{number}{'' if alone else f'-{pictures.shape[1]}'}.png", pictures[sample])
            for sample, number in enumerate(numbers)
            for pictures in self.stages[-1 if alone else 0 :]
        ]


def _to_uint8(pictures: Tensor) -> np.ndarray:
    """[N, 3, S, S] in [-1, 1] to [N, S, S, 3] uint8."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _to_maps(attention: Tensor) -> np.ndarray:
    """[N, R * R, T] to [N, R, R, T]."""
    count, regions, segments = attention.shape
    side = round(regions**0.5)
    return attention.reshape(count, side, side, segments).float().cpu().numpy()
