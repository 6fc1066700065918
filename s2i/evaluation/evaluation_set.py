"""What every model paints in an evaluation: test pictures, each with a caption and a recording of it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from datasets.corpus import Corpus, Speakers
from datasets.errors import InputError
from datasets.loader import Pictures, to_unit


@dataclass(frozen=True)
class EvaluationSet:
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
        cls, corpus: Corpus, count: int, seed: int, *, speakers: Speakers | None = None, option: str = "samples"
    ) -> "EvaluationSet":
        """A random choice of test pictures, spoken by speakers who are held out from training where there are any.

        Args:
            count: how many; 0 for all.
            speakers: whose recordings to take instead.
            option: of the command line that `count` was given by, for the error.

        Raises:
            InputError: if the test split has fewer recordings with captions.
        """
        recordings = corpus.recordings_by_picture(speakers or corpus.evaluation_speakers)
        first = {
            int(index): int(recordings[index][0]) for index in corpus.pictures_of("test") if len(recordings[index])
        }
        usable = [index for index, recording in first.items() if corpus.recording_caption[recording] >= 0]
        if len(usable) < max(2, count):
            raise InputError(
                f"--{option} {count}: {corpus.path} has {len(usable)} test pictures with a recording and its caption; "
                "give fewer, or a corpus with more"
            )
        pictures = np.array(sorted(np.random.default_rng(seed).permutation(usable)[: count or len(usable)]))
        spoken = np.array([first[int(index)] for index in pictures])
        captions = [corpus.captions[corpus.recording_caption[recording]] for recording in spoken]
        return cls(corpus, pictures, spoken, captions, torch.from_numpy(corpus.species[pictures]))

    def photographs(self, rows: Tensor, resolution: int) -> Tensor:
        """The photographs of `rows`, [N, 3, S, S] in [-1, 1]."""
        return read_photographs(self.corpus, self.pictures[rows.numpy()], resolution)

    def mels(self, rows: Tensor) -> list[Tensor]:
        """The log-mels [T, 40] of the recordings of `rows`, not normalised."""
        return [self.corpus.mel(int(recording)) for recording in self.recordings[rows.numpy()]]

    def seeds(self, rows: Tensor, *numbers: int) -> list[tuple[int, ...]]:
        """What the noise of `rows` is sampled by: `numbers`, and the picture's own, the same for all models."""
        return [(*numbers, int(index)) for index in self.pictures[rows.numpy()]]


def read_photographs(corpus: Corpus, indices: np.ndarray, resolution: int) -> Tensor:
    """The middle squares of pictures of a corpus, [N, 3, S, S] in [-1, 1]."""
    reader = Pictures(corpus, indices, resolution)
    squares = np.stack([reader.crop(int(index), None) for index in indices])
    return to_unit(torch.from_numpy(squares).permute(0, 3, 1, 2))
