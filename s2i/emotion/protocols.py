"""The two protocols by which recognisers of emotion are compared, and the figures that come of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.errors import InputError
from datasets.ravdess import Recording

RANDOM, INDEPENDENT = "random_split", "actor_independent"
PROTOCOLS = (RANDOM, INDEPENDENT)
TEST_SHARE = 0.2  # of the recordings in a random split
FOLD_SEED = 5
CHOSEN_ON = (1, 2)  # folds of whose actors the validation was by which the recipe of ours was chosen


@dataclass(frozen=True, eq=False)
class Trial:
    """One training and what it is tested on; indices into the recordings."""

    protocol: str
    number: int
    training: np.ndarray
    test: np.ndarray

    @property
    def name(self) -> str:
        """It, for file names."""
        return f"{self.protocol}-{self.number}"


def random_splits(recordings: Sequence[Recording], count: int) -> list[Trial]:
    """`count` times a fifth of the recordings to test, drawn without a look at who speaks.

    The published figures are of this kind: the same actors, often with the same sentence in the same emotion, are on
    both sides.
    """
    size = round(TEST_SHARE * len(recordings))
    if size < 1:
        raise InputError(f"{len(recordings)} recordings are too few for a random split; give at least 3")
    trials = []
    for number in range(count):
        order = np.random.default_rng(number).permutation(len(recordings))
        trials.append(Trial(RANDOM, number, np.sort(order[size:]), np.sort(order[:size])))
    return trials


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
    found = [[*men[k::folds].tolist(), *women[folds - 1 - k :: folds].tolist()] for k in range(folds)]
    if not all(found):  # few actors, of one sex only: dealt out as they come
        everybody = [*men.tolist(), *women.tolist()]
        found = [everybody[k::folds] for k in range(folds)]
    return found


def actor_folds(recordings: Sequence[Recording], folds: int, repeats: int) -> list[Trial]:
    """Each fold of actors is tested once in each repeat, by a training that heard none of them.

    Raises:
        InputError: if there are fewer actors than folds.
    """
    actor = np.array([recording.actor for recording in recordings])
    trials = []
    for number in range(repeats * folds):
        tested = np.isin(actor, folds_of_actors(recordings, folds)[number % folds])
        trials.append(Trial(INDEPENDENT, number, np.flatnonzero(~tested), np.flatnonzero(tested)))
    return trials


def one_sex_trials(recordings: Sequence[Recording]) -> list[Trial]:
    """Trained on women and tested on men (0), and the other way round (1); none where only one sex is there."""
    voice = np.array([recording.voice for recording in recordings])
    sides = [np.flatnonzero(voice == number) for number in (0, 1)]
    if not all(len(side) for side in sides):
        return []
    return [Trial("one_sex", 0, sides[0], sides[1]), Trial("one_sex", 1, sides[1], sides[0])]


def choosing_trials(recordings: Sequence[Recording], folds: int) -> list[Trial]:
    """By which choices are made: among the training actors of fold 0, one other fold validates in turn.

    The actors of fold 0 are in none of them, so that their result tells whether the choices fit others as well.
    """
    actor = np.array([recording.actor for recording in recordings])
    dealt = folds_of_actors(recordings, folds)
    known = ~np.isin(actor, dealt[0])
    trials = []
    for number in range(1, folds):
        validated = np.isin(actor, dealt[number])
        trials.append(Trial("choosing", number, np.flatnonzero(known & ~validated), np.flatnonzero(validated)))
    return trials if folds > 2 else []


def confusion(truth: np.ndarray, told: np.ndarray, classes: int) -> np.ndarray:
    """Counts [C, C] of recordings: rows are what they are, columns what was told."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, told), 1)
    return counts


def accuracy(counts: np.ndarray) -> float:
    """Share of a confusion matrix [C, C] on its diagonal, from 0 to 1."""
    return float(np.trace(counts) / max(1, counts.sum()))


def macro_f1(counts: np.ndarray) -> float:
    """F1 = 2 hits / (told + there) averaged over the classes that are told or there, from 0 to 1."""
    there = counts.sum(1) + counts.sum(0)
    return float((2 * np.diag(counts)[there > 0] / there[there > 0]).mean())


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015): |confidence - accuracy| over equal bins, by their sizes."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float((confidence - right)[place == k].sum())) for k in range(bins)]
    return sum(gaps) / max(1, len(confidence))


def summarise(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation over trials."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}


def over_trials(matrices: Sequence[np.ndarray]) -> dict[str, Any]:
    """Accuracy, its standard deviation and macro F1 over the confusion matrices of trials."""
    accuracies = summarise([accuracy(counts) for counts in matrices])
    f1 = summarise([macro_f1(counts) for counts in matrices])
    return {"accuracy": accuracies["mean"], "std": accuracies["std"], "macro_f1": f1["mean"], "macro_f1_std": f1["std"]}
