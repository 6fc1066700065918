import numpy as np
import pytest
import torch

from attngan.evaluation import species_head
from datasets.errors import InputError


def clusters(count=30, width=6):
    draws = torch.Generator().manual_seed(0)
    species = torch.arange(count) % 3
    return torch.eye(3, width)[species] * 4 + torch.randn(count, width, generator=draws), species


def test_it_tells_clusters_apart_that_it_did_not_learn_from():
    features, species = clusters()
    learned, kept = species_head.halves(species.numpy())
    head = species_head.fit(features[learned], species[learned])
    assert (head(features[kept]).argmax(1) == species[kept]).all()
    assert not any(weight.requires_grad for weight in head.parameters())


def test_halves_share_nothing_and_know_every_species():
    species = np.array([0, 1, 1, 2, 0, 2, 1])
    learned, kept = species_head.halves(species)
    assert sorted([*learned, *kept]) == list(range(7))
    assert set(species[learned]) == {0, 1, 2}


def test_a_file_belongs_to_the_network_that_made_the_features(tmp_path):
    features, species = clusters()
    head, path = species_head.fit(features, species), tmp_path / "head.safetensors"
    species_head.save(head, path, network="one", accuracy=99.0)
    torch.testing.assert_close(species_head.load(path, "one")(features), head(features))
    with pytest.raises(InputError, match="belongs to features of one, not of other"):
        species_head.load(path, "other")


def test_one_species_is_refused():
    with pytest.raises(InputError, match="needs two"):
        species_head.fit(torch.randn(4, 3), torch.zeros(4, dtype=torch.long))
