"""From a corpus to batches. Batch k of a seed is always the same batch, so a run resumes by knowing its position."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from datasets import audio
from datasets.augment import Whole, augment
from datasets.captions import Vocabulary, pad
from datasets.corpus import LOG_MEL, Corpus, Speakers
from datasets.errors import InputError

ROOM = 76 / 64  # AttnGAN: pictures are read at 76/64 of the size, and a random square of the size is cut out


@dataclass
class Batch:
    """B pictures, each with one caption: as words, as a recording, or both.

    Attributes:
        index: [B] int64, which pictures of the corpus.
        species: [B] int64.
        pictures: [B, 3, S, S] uint8, or None if the loader was asked for none.
        close_ups: [B, 3, C, C] uint8, pieces of the same photographs, enlarged less where those need much; or None.
        tokens, token_mask: [B, L] int64 and bool, or None.
        mels, mel_mask: [B, T, 40] float32, log-mels, not normalised, and [B, T] bool, or None.
    """

    index: torch.Tensor
    species: torch.Tensor
    pictures: torch.Tensor | None = None
    close_ups: torch.Tensor | None = None
    tokens: torch.Tensor | None = None
    token_mask: torch.Tensor | None = None
    mels: torch.Tensor | None = None
    mel_mask: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Any) -> "Batch":
        """Some of its pictures (a slice or indices) with their captions."""
        return replace(self, **{k: v[rows] for k, v in vars(self).items() if v is not None})

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        moved = {k: v.to(device, non_blocking=True) for k, v in vars(self).items() if v is not None}
        return replace(self, **moved)


def to_unit(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in uint8 to float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def rows_of_share(rows: int, number: int, count: int) -> np.ndarray:
    """Which of a batch's rows the process `number` of `count` works on: as much of its first half as of its second.

    So a caption of the first half that is painted again with the noise of the second stays in one place.
    """
    if rows % (2 * count) == 0:
        return np.arange(rows).reshape(2, count, -1)[:, number].ravel()
    return np.array_split(np.arange(rows), count)[number]


ENLARGED = 1.5  # close-ups, at most; not 1, since noise of single pixels passes for the texture of what is that sharp


class Pictures:
    """Square crops of a corpus's pictures at one size, decoded once and kept in memory while they fit.

    Args:
        size: side S of the crops in px.
        memory_gb: decoded pictures are kept up to this much; beyond it they are decoded each time.
    """

    def __init__(self, corpus: Corpus, indices: np.ndarray, size: int, *, memory_gb: float = 6.0) -> None:
        self.corpus, self.size = corpus, size
        self._room = math.ceil(size * ROOM)
        self._kept: dict[int, np.ndarray] = {}
        budget = memory_gb * 1e9
        for index in tqdm(indices, desc=f"reading pictures at {size} px", unit="picture", leave=False, mininterval=1):
            array = self._read(int(index))
            budget -= array.nbytes
            if budget < 0:
                break
            self._kept[int(index)] = array

    def _read(self, index: int) -> np.ndarray:
        """The picture with its short side reduced to the size and some room, [H, W, 3] uint8; never enlarged."""
        picture = self.corpus.picture(index)
        scale = self._room / min(picture.size)
        if scale < 1:
            size = (max(self._room, round(picture.width * scale)), max(self._room, round(picture.height * scale)))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        return np.asarray(picture)

    def crop(self, index: int, rng: np.random.Generator | None) -> np.ndarray:
        """One [S, S, 3] crop: random place and mirroring with `rng`, the centre without."""
        picture = self._picture(index)
        return self._square(picture, min(picture.shape[:2]) * self.size // self._room, self.size, rng)

    def close_up(self, index: int, side: int, rng: np.random.Generator | None) -> np.ndarray:
        """One [side, side, 3] piece of the picture, enlarged as crops are, but at most `ENLARGED` times."""
        picture = self._picture(index)
        shortest = min(picture.shape[:2])
        enlarged = min(ENLARGED, self._room / shortest)
        return self._square(picture, min(round(side / enlarged), shortest), side, rng)

    def _picture(self, index: int) -> np.ndarray:
        picture = self._kept.get(index)
        return self._read(index) if picture is None else picture

    @staticmethod
    def _square(picture: np.ndarray, side: int, size: int, rng: np.random.Generator | None) -> np.ndarray:
        """A square of `side` px brought to `size`: random place and mirroring with `rng`, the centre without."""
        free_y, free_x = picture.shape[0] - side, picture.shape[1] - side
        top, left = (free_y // 2, free_x // 2) if rng is None else (rng.integers(free_y + 1), rng.integers(free_x + 1))
        square = picture[top : top + side, left : left + side]
        if side != size:
            square = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))
        if rng is not None and rng.integers(2):
            square = square[:, ::-1]
        return square


class Loader:
    """Endless batches of a split in random order, or one pass in order (`once`).

    Every picture comes once in each pass over the split, with a random one of its captions. The order, the choice and
    the augmentation depend on `seed` and the position alone.

    Args:
        size: side of the pictures in px; 0 for no pictures.
        close_up: side of pieces of the pictures that are hardly enlarged, in px; 0 for none.
        words: the vocabulary, to get captions as words; `captions` says which of each picture: all, even or odd.
        speech: to get recordings; `speakers` says by whom: `corpus.Speakers`.
        augment: random crops and mirroring, augmented recordings, where those are log-mels.
        position: pictures seen before, to go on from there.
        share: (number, count) of the process that gets its rows of every batch alone, where several train together;
            the rows are what they would be in the whole batch.

    Raises:
        InputError: if pictures of the split lack the captions or recordings that are asked for.
    """

    def __init__(
        self,
        corpus: Corpus,
        split: str,
        *,
        batch_size: int,
        size: int = 0,
        close_up: int = 0,
        words: Vocabulary | None = None,
        captions: str = "all",
        speech: bool = False,
        speakers: Speakers = "all",
        augment: bool = True,
        position: int = 0,
        seed: int = 0,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.corpus, self.batch_size, self.seed, self.augment = corpus, batch_size, seed, augment
        self.position, self.share = position, share
        self.words, self.speech, self.close_up = words, speech, close_up
        self.indices = corpus.pictures_of(split)
        self._captions = corpus.captions_by_picture(captions) if words is not None else None
        self._recordings = corpus.recordings_by_picture(speakers) if speech else None
        for what, owned in (("captions", self._captions), ("recordings", self._recordings)):
            if owned is not None:
                self.indices = self.indices[[len(owned[index]) > 0 for index in self.indices]]
                if not len(self.indices):
                    by = "" if speakers == "all" or what == "captions" else f" by {speakers} speakers"
                    raise InputError(f"{corpus.path}: no picture of the {split} split has {what}{by}; add some")
        self._pictures = Pictures(corpus, self.indices, size, memory_gb=6.0 / share[1]) if size else None

    def __len__(self) -> int:
        """Pictures in one pass."""
        return len(self.indices)

    def _index_at(self, position: int) -> int:
        turn, place = divmod(position, len(self.indices))
        if turn != getattr(self, "_turn", None):
            self._turn = turn
            self._order = np.random.default_rng([self.seed, turn]).permutation(self.indices)
        return int(self._order[place])

    def at(self, position: int) -> Batch:
        """The batch that begins at `position`."""
        places = range(position, position + self.batch_size)
        indices = np.array([self._index_at(place) for place in places])
        rngs = [np.random.default_rng([self.seed, 1, place]) for place in places]
        return self._assemble(indices, rngs, torch.Generator().manual_seed(self.seed * 1_000_003 + position))

    def __iter__(self) -> Iterator[Batch]:
        """Endless batches from `self.position` on, which counts the pictures handed out; the next is made meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(self.at, self.position)
            while True:
                batch = following.result()
                following = pool.submit(self.at, self.position + self.batch_size)
                self.position += self.batch_size
                yield batch

    def once(self, rounds: int = 1) -> Iterator[Batch]:
        """Each picture of the split `rounds` times, in order, centre crops, not augmented; the k-th caption in round k.

        A picture with fewer captions (or recordings) than rounds begins again with its first.
        """
        for turn in range(rounds):
            for first in range(0, len(self.indices), self.batch_size):
                yield self.in_order(first, turn)

    def in_order(self, first: int, turn: int = 0) -> Batch:
        """The batch of `once` that begins with picture `first` of the split, in round `turn`; never a share of it."""
        return self._assemble(self.indices[first : first + self.batch_size], None, None, turn)

    def _assemble(
        self,
        indices: np.ndarray,
        rngs: list[np.random.Generator] | None,
        generator: torch.Generator | None,
        turn: int = 0,
    ) -> Batch:
        rows = np.arange(len(indices)) if rngs is None else rows_of_share(len(indices), *self.share)
        own = indices[rows]
        batch = Batch(torch.from_numpy(own.astype(np.int64)), torch.from_numpy(self.corpus.species[own]))

        def choose(options: np.ndarray, row: int) -> int:
            return int(rngs[row].choice(options) if rngs else options[turn % len(options)])

        spoken = [-1] * len(indices)  # the captions of the recordings, which the words then are, too
        if self._recordings is not None:
            chosen = [choose(self._recordings[index], row) for row, index in enumerate(indices)]
            spoken = [int(self.corpus.recording_caption[recording]) for recording in chosen]
            batch.mels, batch.mel_mask = self._mels(chosen, rows, generator)
        if self._captions is not None and self.words is not None:
            picked = [
                spoken[row] if spoken[row] >= 0 else choose(self._captions[indices[row]], row) for row in rows.tolist()
            ]
            batch.tokens, batch.token_mask = pad([self.words.encode(self.corpus.captions[c]) for c in picked])
        if self._pictures is not None:
            wanted = [(int(indices[row]), rngs[row] if rngs and self.augment else None) for row in rows]
            batch.pictures = _stack([self._pictures.crop(index, rng) for index, rng in wanted])
            if self.close_up:
                batch.close_ups = _stack([self._pictures.close_up(index, self.close_up, rng) for index, rng in wanted])
        return batch

    def _mels(
        self, chosen: list[int], rows: np.ndarray, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-mels of `rows` of the recordings `chosen` for a whole batch, with their mask."""
        mels, mask = audio.stack_mels([self.corpus.mel(chosen[row]) for row in rows])
        if self.augment and generator is not None and self.corpus.front == LOG_MEL:
            whole = None
            if len(rows) < len(chosen):
                lengths = torch.tensor([self.corpus.frames(recording) for recording in chosen])
                whole = Whole(torch.from_numpy(rows), lengths)
            mels, mask = augment(mels, mask, generator, whole=whole)
        return mels, mask


def _stack(squares: list[np.ndarray]) -> torch.Tensor:
    """[S, S, 3] each to [B, 3, S, S]."""
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
