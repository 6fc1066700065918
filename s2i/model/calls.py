"""What a call of `SpeechToImage` was given: one recording or a list of them, and the seeds of each."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch

from datasets.errors import InputError

RandomNumbers: TypeAlias = torch.Generator | Sequence[torch.Generator] | None
Encoded = TypeVar("Encoded")
MAX_SAMPLES = 100  # the attention of each takes about 7 MB


def is_list(recording: Any) -> bool:
    """Whether `recording` is a list of recordings, rather than one in a form that is a list: numbers, or [array, rate].

    Channels may be lists of numbers as well; a list of arrays is a list of recordings.
    """
    if not isinstance(recording, list):
        return False
    return not any(isinstance(part, list) or (np.isscalar(part) and not isinstance(part, str)) for part in recording)


def recordings_of(recording: Any) -> list[Any]:
    """The recordings that were given, none for None."""
    if recording is None:
        return []
    return recording if is_list(recording) else [recording]


def texts_of(text: str | Sequence[str] | None) -> list[str]:
    """The texts that were given, none for None.

    Raises:
        InputError: if one of them is no text.
    """
    texts = [text] if isinstance(text, str) else list(text) if isinstance(text, list | tuple) else text
    if texts is None:
        return []
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise InputError(f"text: is a {type(text).__name__}; give a string, or a list of strings")
    return texts


def seeds_for(count: int, seed: int | Sequence[int], generator: RandomNumbers) -> list[int]:
    """The seed of each of `count` descriptions.

    Raises:
        InputError: if there are too few or too many, one is no whole number, or both kinds are given.
    """
    if generator is not None:
        if seed != 0:
            raise InputError("generator: draws the seeds; leave out seed")
        generators: list[Any] = list(generator) if isinstance(generator, list | tuple) else [generator] * count
        _check_count("generator", generators, count)
        return [_draw(each) for each in generators]
    seeds: list[Any] = [seed] * count if np.isscalar(seed) else list(seed)  # type: ignore[arg-type]
    _check_count("seed", seeds, count)
    try:
        return [operator.index(each) for each in seeds]
    except TypeError as error:
        raise InputError(f"seed {seed}: is no whole number; give one, at least 0") from error


def _check_count(name: str, given: Sequence[Any], count: int) -> None:
    if len(given) != count:
        raise InputError(f"{name}: {len(given)} given for {count} descriptions; give one for all, or one for each")


def _draw(generator: torch.Generator) -> int:
    if not isinstance(generator, torch.Generator):
        raise InputError(f"generator: is a {type(generator).__name__}; give a torch.Generator, or a list of them")
    return int(torch.randint(2**62, (1,), generator=generator, device=generator.device))


def telling(encode: Callable[[Any], Encoded], given: Any, place: int, count: int) -> Encoded:
    """What `encode` makes of the part of a list at `place`, from 1, which an error names."""
    try:
        return encode(given)
    except InputError as error:
        raise InputError(f"{place} of {count}: {error}" if count > 1 else str(error)) from error


def check_numbers(samples: int, seed: int) -> None:
    """Check how many pictures, and of which noise.

    Raises:
        InputError: if a number is out of range.
    """
    if not 1 <= samples <= MAX_SAMPLES:
        raise InputError(f"samples {samples}: out of range; give a value from 1 to {MAX_SAMPLES}")
    if seed < 0:
        raise InputError(f"seed {seed}: out of range; give a value at least 0")
