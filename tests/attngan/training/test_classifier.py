import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from attngan.evaluation.classifier import load_classifier
from attngan.runtime import checkpoint
from attngan.runtime.run import Run
from attngan.training import classifier
from attngan.training.classifier_config import PRESETS
from datasets.corpus import Corpus
from datasets.errors import InputError


def options(silent_birds, run, **more):
    return replace(PRESETS["tiny"], corpus=silent_birds, run=run, threads=1, **more)


def test_every_species_is_trained_and_measured_with_different_pictures(silent_birds):
    corpus = Corpus(silent_birds)
    training, measuring = classifier.halves(corpus)
    assert sorted([*training, *measuring]) == list(range(len(corpus)))
    for part in (training, measuring):
        assert set(corpus.species[part]) == set(corpus.species)
    assert len(measuring) == sum(count // 4 for count in np.bincount(corpus.species))


def test_it_learns_drawn_birds_and_loads_again(silent_birds, tmp_path):
    path = classifier.train(options(silent_birds, tmp_path, pictures=1_600, validate_every=800))
    network, description = load_classifier(path)
    assert description["validation"]["accuracy"] > 3 * 100 / 8
    pictures = torch.randn(3, 3, 64, 64).clamp(-1, 1)
    assert network(pictures).shape == (3, 8)
    torch.testing.assert_close(network(pictures), network.head(network.features(pictures)))  # no dropout any more
    with pytest.raises(InputError, match="generator"):
        checkpoint.load(path, "generator")


def test_a_stopped_run_goes_on_to_the_same_digits(silent_birds, tmp_path):
    config = options(
        silent_birds, tmp_path / "whole", pictures=96, checkpoint_every=32, log_every=16, precision="32-true"
    )
    classifier.train(config)
    parts = replace(config, run=tmp_path / "parts")

    class Killed(Exception):
        pass

    def save(run, state, real=Run.save):
        real(run, state)
        if run.position == 32:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save", save)
        with pytest.raises(Killed):
            classifier.train(parts)
    classifier.train(parts)

    def losses(folder):
        lines = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
        return [line["loss"] for line in lines if "loss" in line]

    assert losses(config.run) == losses(parts.run)
    assert len(losses(parts.run)) == 6


def test_a_species_of_too_few_pictures_is_named(silent_birds):
    corpus = Corpus(silent_birds)
    corpus.species = np.where(np.arange(len(corpus)) < 2, 0, 1)
    with pytest.raises(InputError, match=rf"{corpus.species_names[0]} has 2 pictures"):
        classifier.halves(corpus)
