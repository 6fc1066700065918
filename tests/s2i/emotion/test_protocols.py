from pathlib import Path

import numpy as np
import pytest

from datasets.errors import InputError
from datasets.ravdess import Recording
from s2i.emotion import protocols


def recordings(actors=range(1, 25), each=5):
    return [Recording(Path(f"{k}.wav"), k % 8, 0, 0, 0, actor) for actor in actors for k in range(each)]


def heard(some, indices):
    return {some[k].actor for k in indices}


def test_random_splits_test_a_fifth_and_differ():
    some = recordings()
    splits = protocols.random_splits(some, 3)
    for split in splits:
        assert len(split.test) == 24
        assert sorted([*split.training, *split.test]) == list(range(120))
    assert len({tuple(split.test) for split in splits}) == 3
    assert (splits[1].test == protocols.random_splits(some, 2)[1].test).all()


def test_no_tested_actor_was_heard_and_each_is_tested_once_a_repeat():
    some = recordings()
    folds = protocols.actor_folds(some, 5, 2)
    assert len(folds) == 10
    for fold in folds:
        assert not heard(some, fold.training) & heard(some, fold.test)
        assert len(fold.training) + len(fold.test) == len(some)
    for repeat in (folds[:5], folds[5:]):
        assert sorted(np.concatenate([fold.test for fold in repeat])) == list(range(len(some)))


def test_folds_hold_women_and_men():
    for fold in protocols.folds_of_actors(recordings(), 5):
        women = sum(actor % 2 == 0 for actor in fold)
        assert len(fold) in (4, 5)
        assert women in (2, 3)


def test_few_actors_make_fewer_folds():
    for actors in ((1, 2, 3), (1, 3, 5), (2, 3, 5)):
        folds = protocols.folds_of_actors(recordings(actors), 3)
        assert sorted(actor for fold in folds for actor in fold) == list(actors)
        assert all(folds)
    with pytest.raises(InputError, match="2 actors are too few for 3 folds"):
        protocols.actor_folds(recordings((1, 2)), 3, 1)


def test_choices_are_made_without_the_actors_of_the_first_fold():
    some = recordings()
    first = set(protocols.folds_of_actors(some, 5)[0])
    chosen = protocols.choosing_trials(some, 5)
    assert len(chosen) == 4
    for each in chosen:
        assert not (heard(some, each.training) | heard(some, each.test)) & first
        assert not heard(some, each.training) & heard(some, each.test)


def test_one_sex_trains_and_the_other_is_tested():
    some = recordings()
    women, men = protocols.one_sex_trials(some)
    assert all(actor % 2 == 0 for actor in heard(some, women.training))
    assert all(actor % 2 == 1 for actor in heard(some, women.test))
    assert (women.training == men.test).all()
    assert protocols.one_sex_trials(recordings((1, 3))) == []


def test_figures_of_a_confusion_matrix_by_hand():
    counts = protocols.confusion(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0]), 4)
    assert counts.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert protocols.accuracy(counts) == pytest.approx(3 / 6)
    # 2 x 2 / (3 + 4), 2 x 1 / (2 + 2), 0; the fourth class is neither there nor told.
    assert protocols.macro_f1(counts) == pytest.approx((4 / 7 + 1 / 2 + 0) / 3)
    assert protocols.macro_f1(np.diag([3, 5])) == 1


def test_the_calibration_error_by_hand():
    confidence, right = np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, False, True, True])
    assert protocols.calibration_error(confidence, right) == pytest.approx((2 * 0.45 + 2 * 0.45) / 4)
    assert protocols.calibration_error(np.array([1.0]), np.array([True])) == 0


def test_mean_and_spread_are_over_trials():
    told = protocols.over_trials([np.diag([4, 4]), np.array([[2, 2], [2, 2]])])
    assert told["accuracy"] == pytest.approx(0.75)
    assert told["std"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert protocols.over_trials([np.eye(2, dtype=int)])["std"] == 0
