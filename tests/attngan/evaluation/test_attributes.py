import random
from dataclasses import asdict

import pytest
import torch

from attngan.evaluation import attributes
from attngan.evaluation.attributes import ATTRIBUTES, SIDE, Reader, claimed_attributes, drawings, roughen, train_reader
from attngan.runtime import checkpoint
from datasets import synthetic
from datasets.errors import InputError
from datasets.loader import to_unit


@pytest.mark.parametrize("seed", range(20))
def test_sentences_name_what_is_true(seed):
    chance = random.Random(seed)
    bird = synthetic.BirdAttributes(**{name: chance.choice(choices) for name, choices in ATTRIBUTES.items()})
    for sentence in synthetic.sentences(bird, len(synthetic.TEMPLATES), seed):
        claim = claimed_attributes(sentence)
        assert claim.items() <= asdict(bird).items()
        for name, value in asdict(bird).items():  # nothing that it says is left out
            assert name in claim or value not in sentence.split() or value in claim.values()


@pytest.mark.parametrize("template", synthetic.TEMPLATES)
def test_every_template_names_its_placeholders(template):
    bird = synthetic.BirdAttributes(body="orange", head="orange", wing="orange", belly="orange")
    sentence = template.format(**asdict(bird)).replace("a orange", "an orange")
    assert {f"{{{name}}}" in template for name in claimed_attributes(sentence)} == {True}
    assert len(claimed_attributes(sentence)) == template.count("{")


@pytest.mark.parametrize("sentence", ["", "this bird has a pink head", "a small bird that eats seeds"])
def test_other_sentences_are_refused(sentence):
    with pytest.raises(InputError, match="is not a sentence about drawn birds"):
        claimed_attributes(sentence)


def test_drawings_repeat_and_wear_their_labels():
    pictures, labels = drawings(6, seed=4)
    assert pictures.shape == (6, 3, 76, 76)
    assert pictures.dtype == torch.uint8
    assert set(labels) == set(ATTRIBUTES)
    assert torch.equal(drawings(6, seed=4)[0], pictures)
    assert not torch.equal(drawings(6, seed=5)[0], pictures)
    for row in range(6):  # the colour that is claimed is somewhere in the picture
        for part in ("head", "wing"):
            colour = torch.tensor(synthetic.COLOURS[ATTRIBUTES[part][labels[part][row]]])
            assert (pictures[row].float() - colour[:, None, None]).abs().amax(0).min() < 0.1 * 255


def test_roughened_pictures_are_smaller_and_different_each_time():
    pictures = to_unit(drawings(4, seed=0)[0])
    draws = torch.Generator().manual_seed(0)
    first, second = roughen(pictures, draws), roughen(pictures, draws)
    assert first.shape == (4, 3, SIDE, SIDE)
    assert not torch.equal(first, second)
    centre = pictures[:, :, 6 : 6 + SIDE, 6 : 6 + SIDE]
    assert (first.mean((2, 3)) - centre.mean((2, 3))).abs().max() < 0.4  # still much the same colours


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("reader") / "reader.safetensors"
    return path, train_reader(path, pictures=4_000, drawn=500, width=8, batch_size=32)


def test_it_learns_to_read_drawings(trained):
    pictures, labels = drawings(100, seed=9)
    seen = trained[1].read(to_unit(pictures)[:, :, 6 : 6 + SIDE, 6 : 6 + SIDE])
    right = {name: float((seen[name] == labels[name]).float().mean()) for name in ATTRIBUTES}
    assert right["wing"] > 3 / 9
    assert right["body"] > 2 / 9
    assert sum(right[name] for name in ("head", "wing", "body", "belly")) / 4 > 2 / 9


def test_a_trained_reader_is_taken_and_one_of_another_budget_refused(trained, monkeypatch):
    path, reader = trained
    monkeypatch.setattr(attributes, "drawings", None)  # would be needed to train
    again = train_reader(path, pictures=4_000, drawn=500, width=8, batch_size=32)
    pictures = torch.rand(2, 3, 128, 128) * 2 - 1  # of another size
    for name, logits in again(pictures).items():
        assert logits.shape == (2, len(ATTRIBUTES[name]))
        assert torch.equal(logits, reader(pictures)[name])
    with pytest.raises(InputError, match="remove it"):
        train_reader(path, pictures=8_000, drawn=500, width=8, batch_size=32)


def test_another_file_is_not_taken_for_a_reader(tmp_path):
    path = tmp_path / "other.safetensors"
    checkpoint.save(path, Reader(width=4).state_dict(), {"kind": "generator"})
    with pytest.raises(InputError, match="not a attribute-reader"):
        train_reader(path)
