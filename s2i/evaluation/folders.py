"""Scoring pictures that another model made: a folder of them and, where there is one, a table of their captions."""

import functools
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation import scores
from attngan.evaluation.evaluators import Evaluators, Observations, Observed, RealStatistics, concatenate
from attngan.evaluation.observer_scores import ObserverEvaluator
from datasets import audio, picture_file
from datasets.errors import InputError
from datasets.loader import to_unit
from s2i.evaluation.cache import Cache
from s2i.evaluation.picture_table import read_table
from s2i.model.speech_encoder import load_speech_encoder

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MODES = ("RGB", "RGBA", "RGBX", "P", "PA")  # 8 bits in three colours, or a palette of such
NAMES = {"1": "black and white", "L": "gray", "LA": "gray", "I": "gray of 32 bits", "F": "gray of 32 bits"}
SMALLEST = 8  # px
LARGEST = 128  # px; larger ones are reduced to it, as the photographs were of which there are statistics
FEWEST = 4  # pictures: two halves of two
CHUNK = 256  # pictures whose results are kept together
BATCH = 64  # pictures looked at together
RECORDINGS = 32  # heard together


def score_folder(
    folder: Path,
    table: Path | None,
    evaluators: Evaluators,
    real: RealStatistics,
    *,
    speech: Path,
    observer: ObserverEvaluator | None = None,
    splits: int = 10,
    seed: int = 0,
    cache: Cache | None = None,
    largest: int = LARGEST,
) -> dict[str, Any]:
    """Score the pictures of a folder, at any depth, each by its middle square.

    Args:
        table: CSV of the pictures' captions or recordings (`read_table`), or None to score quality alone.
        speech: weights of the speech encoder that hears the recordings; it is read only if there are no captions.
        observer: scores as well, if it is given.
        splits: of the Inception Score.
        seed: of what is random in the scores.
        cache: where to keep what was seen, so that a scoring that was stopped goes on.
        largest: side in px that larger pictures are reduced to, as the real ones were.

    Returns:
        The number of `pictures`, what `scores.quality` gives, what the `observer` gives, and with captions what
        `scores.consistency` gives. With
        recordings alone there is only `r_precision`, by the encoder that training used: the held-out one reads text.

    Raises:
        InputError: for a folder or table that is missing or bad, too few pictures, one that is broken, gray, of 16 bits
            or smaller than 8 px, a bad recording, or features that are not finite.
    """
    folder = Path(folder)
    pictures = find_pictures(folder)
    if len(pictures) < max(splits, FEWEST):
        needed = f"--splits {splits} needs {splits}" if splits > FEWEST else f"scoring needs {FEWEST}"
        raise InputError(f"{folder}: {len(pictures)} pictures, {needed}; add pictures or give fewer splits")
    described = None if table is None else read_table(Path(table), folder, pictures)
    resolutions = _check_all(pictures, largest)
    spoken = None
    if described is not None and described.recordings is not None:
        print(f"{table}: has no captions, so the held-out encoder, which reads text, gives no figure")
        spoken = _hear(described.recordings, speech)
    seen = _look_at_all(folder, pictures, resolutions, evaluators, cache, largest)
    options = {"splits": splits, "seed": seed}
    _warn_of_few(*seen.features.shape)
    row = {"pictures": len(pictures), **_quietly(lambda: scores.quality([seen], real, **options))}
    if observer is not None:
        observed: Observed = _look_at_all(folder, pictures, resolutions, observer, cache, largest)
        row["observer"] = _quietly(lambda: observer.quality([observed], **options))
    if described is None:
        return row
    if spoken is not None:
        _check_width(spoken, seen.matched, speech)
        return {**row, "r_precision": scores.match(seen.matched, spoken, described.species, seed=seed)}
    assert described.captions is not None
    if observer is not None:
        row["observer"]["r_precision"] = observer.match(observed, described.captions, described.species, seed=seed)
    matched, judged = (
        encoder.read(described.captions) for encoder in (evaluators.matcher, evaluators.held_out_matcher)
    )
    return {**row, **scores.consistency(seen, matched, judged, described.captions, described.species, seed=seed)}


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder at any depth, sorted; hidden files do not count.

    Raises:
        InputError: if it is not a folder, or none are in it.
    """
    if not os.path.isdir(folder):
        reason = "is a file" if os.path.exists(folder) else "not found"
        raise InputError(f"{folder}: {reason}; give the folder of the pictures")
    pictures = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not pictures:
        raise InputError(f"{folder}: no pictures in this folder; it needs files named {', '.join(SUFFIXES)}")
    return pictures


def _check_all(pictures: Sequence[Path], largest: int) -> list[int]:
    with tqdm(pictures, desc="checking", unit="picture", leave=False) as bar:
        return [check_picture(path, largest) for path in bar]


def check_picture(path: Path, largest: int = LARGEST) -> int:
    """The resolution in px at which a picture will be looked at, once its header says that it can be scored.

    Raises:
        InputError: if it is broken, not in 8 bits and three colours, or smaller than 8 px.
    """
    advice = "scores compare 8-bit colour pictures; convert it"
    with picture_file.open_picture(picture_file.read(path), str(path)) as picture:
        mode, size = picture.mode, picture.size
        tile = getattr(picture, "tile", None)  # how the file holds its pixels
        coded = str(tile[0][3]) if tile else ""
    if mode.startswith("I;16") or ";16" in coded:
        raise InputError(f"{path}: has 16 bits a channel; {advice}")
    if mode not in MODES:
        raise InputError(f"{path}: is {NAMES.get(mode, 'not in red, green and blue')} (mode {mode}); {advice}")
    if min(size) < SMALLEST:
        raise InputError(f"{path}: {size[0]}x{size[1]} px is too small; give at least {SMALLEST} px")
    return min(*size, largest)


def _hear(recordings: Sequence[Path], speech: Path) -> Tensor:
    """The sentences [N, D] of recordings by a speech encoder."""
    encoder = load_speech_encoder(speech)
    sentences = []
    with tqdm(total=len(recordings), desc="listening", unit="recording", leave=False) as bar, torch.inference_mode():
        for first in range(0, len(recordings), RECORDINGS):
            mels = [encoder.log_mel(audio.load(path)) for path in recordings[first : first + RECORDINGS]]
            sentences.append(encoder.hear(mels).sentence)
            bar.update(len(mels))
    return torch.cat(sentences).clone()


def _check_width(spoken: Tensor, matched: Tensor, speech: Path) -> None:
    if spoken.shape[1] != matched.shape[1]:
        widths = f"gives {spoken.shape[1]} dimensions, the image encoder {matched.shape[1]}"
        raise InputError(f"{speech}: {widths}; take both from the same training")


def look_at_all(
    folder: Path, pictures: Sequence[Path], evaluators: Evaluators, cache: Cache | None, largest: int = LARGEST
) -> Observations:
    """What the evaluators see in pictures of a folder, each by its middle square, reduced to `largest` px.

    Raises:
        InputError: for fewer than four, or one that cannot be scored.
    """
    if len(pictures) < FEWEST:
        raise InputError(f"{folder}: {len(pictures)} pictures, {FEWEST} are needed; add some")
    return _look_at_all(folder, pictures, _check_all(pictures, largest), evaluators, cache, largest)


def _look_at_all(
    folder: Path,
    pictures: Sequence[Path],
    resolutions: Sequence[int],
    eye: Any,
    cache: Cache | None,
    largest: int = LARGEST,
) -> Any:
    """What an eye, Evaluators or an ObserverEvaluator, sees in all pictures, in their order."""
    parts: list[Any] = []
    with tqdm(total=len(pictures), desc="looking", unit="picture") as bar:
        for first in range(0, len(pictures), CHUNK):
            chunk = slice(first, first + CHUNK)
            compute = functools.partial(_look, pictures[chunk], resolutions[chunk], eye, bar, largest)
            kind = Observed if isinstance(eye, ObserverEvaluator) else Observations
            if cache is None:
                parts.append(kind(**compute()))
            else:
                about = [(path, path.stat()) for path in pictures[chunk]]
                files = [[str(path.relative_to(folder)), kept.st_size, kept.st_mtime_ns] for path, kept in about]
                identity = {"evaluators": eye.identity, "files": files}
                if largest != LARGEST:
                    identity["largest"] = largest
                parts.append(kind(**cache.arrays("folder", identity, compute)))
            bar.update(min(first + CHUNK, len(pictures)) - bar.n)  # those that were kept
    return concatenate(parts)


def _look(pictures: Sequence[Path], resolutions: Sequence[int], eye: Any, bar: tqdm, largest: int) -> dict[str, Tensor]:
    """What is seen in pictures of which those of one size are looked at together, in the order given."""
    order, parts = [], []
    for resolution in sorted(set(resolutions)):
        same = [place for place, own_side in enumerate(resolutions) if own_side == resolution]
        for first in range(0, len(same), BATCH):
            places = same[first : first + BATCH]
            parts.append(eye.look(torch.stack([_read(pictures[place], largest) for place in places])))
            _check_finite(parts[-1], [pictures[place] for place in places])
            order += places
            bar.update(len(places))
    return vars(concatenate(parts)[torch.tensor(order).argsort()])


def _read(path: Path, largest: int = LARGEST) -> Tensor:
    """The middle square of a picture, upright, [3, S, S] in [-1, 1] with S at most `largest`."""
    picture = picture_file.decode(picture_file.read(path), str(path), upright=True)
    resolution = min(picture.size)
    left, top = (picture.width - resolution) // 2, (picture.height - resolution) // 2
    square = picture.crop((left, top, left + resolution, top + resolution))
    if resolution > largest:
        square = square.resize((largest, largest), Image.Resampling.LANCZOS)
    return to_unit(torch.from_numpy(np.array(square)).permute(2, 0, 1))


def _check_finite(seen: Observations | Observed, pictures: Sequence[Path]) -> None:
    for name, values in vars(seen).items():
        bad = (~values.isfinite()).reshape(len(values), -1).any(1)
        if bad.any():
            path = pictures[int(bad.nonzero()[0])]
            raise InputError(
                f"{path}: {name} of it are not finite; the evaluators' weights are damaged, get them again"
            )


def _quietly(score: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Its result without scipy's warnings of few pictures, of which `_warn_of_few` has told."""
    from scipy.linalg import LinAlgWarning  # slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)
        return score()


def _warn_of_few(count: int, width: int) -> None:
    if count <= width:
        print(
            f"{count} pictures for features of {width} dimensions: FID is too large; compare it by equal numbers only"
        )
