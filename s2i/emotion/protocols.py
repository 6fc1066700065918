"""The protocols by which recognisers of emotion are compared: which recordings train and which test."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.errors import InputError
from datasets.ravdess import Recording

RANDOM, INDEPENDENT = "random_split", "actor_independent"
PROTOCOLS = (RANDOM, INDEPENDENT)
TEST_SHARE = 0.2  # of the recordings in a random split
FOLD_SEED = 5
VALIDATION_FOLDS = (1, 2)  # folds of whose actors the validation was by which the recipe of ours was chosen


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test part: indices into the recordings."""

    protocol: str
    number: int
    training: np.ndarray
    test: np.ndarray

    @property
    def name(self) -> str:
        """Protocol and number, for file names."""
        return f"{self.protocol}-{self.number}"


def random_splits(recordings: Sequence[Recording], count: int) -> list[Split]:
    """`count` times a fifth of the recordings to test, drawn without a look at who speaks.

    The published figures are of this kind: the same actors, often with the same sentence in the same emotion, are on
    both sides.
    """
    size = round(TEST_SHARE * len(recordings))
    if size < 1:
        raise InputError(f"{len(recordings)} recordings are too few for a random split; give at least 3")
    splits = []
    for number in range(count):
        order = np.random.default_rng(number).permutation(len(recordings))
        splits.append(Split(RANDOM, number, np.sort(order[size:]), np.sort(order[:size])))
    return splits


def folds_of_actors(recordings: Sequence[Recording], folds: int) -> list[list[int]]:
    """The actors of each fold, women and men spread evenly; always the same.

    Raises:
        InputError: if there are fewer actors than folds.
    """
    actors = sorted({recording.actor for recording in recordings})
    if len(actors) < folds:
        raise InputError(f"{len(actors)} actors are too few for {folds} folds; give more, or choose fewer --folds")
    rng = np.random.default_rng(FOLD_SEED)
    men = rng.permutation([actor for actor in actors if actor % 2])
    women = rng.permutation([actor for actor in actors if not actor % 2])
    dealt = [[*men[k::folds].tolist(), *women[folds - 1 - k :: folds].tolist()] for k in range(folds)]
    if not all(dealt):  # few actors, of one sex only: dealt out as they come
        everybody = [*men.tolist(), *women.tolist()]
        dealt = [everybody[k::folds] for k in range(folds)]
    return dealt


def actor_folds(recordings: Sequence[Recording], folds: int, repeats: int) -> list[Split]:
    """Each fold of actors is tested once in each repeat, by a training without any of them.

    Raises:
        InputError: if there are fewer actors than folds.
    """
    actor = np.array([recording.actor for recording in recordings])
    splits = []
    for number in range(repeats * folds):
        test = np.isin(actor, folds_of_actors(recordings, folds)[number % folds])
        splits.append(Split(INDEPENDENT, number, np.flatnonzero(~test), np.flatnonzero(test)))
    return splits


def one_sex_splits(recordings: Sequence[Recording]) -> list[Split]:
    """Trained on women and tested on men (0), and the other way round (1); none where only one sex is there."""
    voice = np.array([recording.voice for recording in recordings])
    parts = [np.flatnonzero(voice == number) for number in (0, 1)]
    if not all(len(part) for part in parts):
        return []
    return [Split("one_sex", 0, parts[0], parts[1]), Split("one_sex", 1, parts[1], parts[0])]


def validation_splits(recordings: Sequence[Recording], folds: int) -> list[Split]:
    """Splits to choose the recipe by: among the training actors of fold 0, one other fold validates in turn.

    The actors of fold 0 are in none of them, so that their result tells whether the choices fit others as well.
    """
    actor = np.array([recording.actor for recording in recordings])
    actors = folds_of_actors(recordings, folds)
    known = ~np.isin(actor, actors[0])
    splits = []
    for number in range(1, folds):
        validated = np.isin(actor, actors[number])
        splits.append(Split("choosing", number, np.flatnonzero(known & ~validated), np.flatnonzero(validated)))
    return splits if folds > 2 else []
