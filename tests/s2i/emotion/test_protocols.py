from pathlib import Path

import numpy as np
import pytest

from datasets.errors import InputError
from datasets.ravdess import Recording
from s2i.emotion import protocols


def recordings(actors=range(1, 25), each=5):
    return [Recording(Path(f"{k}.wav"), k % 8, 0, 0, 0, actor) for actor in actors for k in range(each)]


def actors_of(everything, indices):
    return {everything[k].actor for k in indices}


def test_random_splits_test_a_fifth_and_differ():
    everything = recordings()
    splits = protocols.random_splits(everything, 3)
    for split in splits:
        assert len(split.test) == 24
        assert sorted([*split.training, *split.test]) == list(range(120))
    assert len({tuple(split.test) for split in splits}) == 3
    assert (splits[1].test == protocols.random_splits(everything, 2)[1].test).all()


def test_no_tested_actor_was_heard_and_each_is_tested_once_a_repeat():
    everything = recordings()
    folds = protocols.actor_folds(everything, 5, 2)
    assert len(folds) == 10
    for fold in folds:
        assert not actors_of(everything, fold.training) & actors_of(everything, fold.test)
        assert len(fold.training) + len(fold.test) == len(everything)
    for repeat in (folds[:5], folds[5:]):
        assert sorted(np.concatenate([fold.test for fold in repeat])) == list(range(len(everything)))


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
    everything = recordings()
    first = set(protocols.folds_of_actors(everything, 5)[0])
    splits = protocols.validation_splits(everything, 5)
    assert len(splits) == 4
    for each in splits:
        assert not (actors_of(everything, each.training) | actors_of(everything, each.test)) & first
        assert not actors_of(everything, each.training) & actors_of(everything, each.test)


def test_one_sex_trains_and_the_other_is_tested():
    everything = recordings()
    women, men = protocols.one_sex_splits(everything)
    assert all(actor % 2 == 0 for actor in actors_of(everything, women.training))
    assert all(actor % 2 == 1 for actor in actors_of(everything, women.test))
    assert (women.training == men.test).all()
    assert protocols.one_sex_splits(recordings((1, 3))) == []
