from pathlib import Path

import pytest
import torch

from attngan.networks.discriminator import Discriminator
from attngan.networks.generator import GENERATOR_KIND, Generator
from attngan.runtime import checkpoint
from attngan.training.growing import read, start_from
from datasets.errors import InputError

WIDTH = 12


def generator(seed, **options):
    torch.manual_seed(seed)
    tiny = {"stages": 2, "base": 8, "widths": (4,), "blocks": (1,), "max_width": 8, "noise": 5, "conditioning": 6}
    return Generator(**{**tiny, "dimension": WIDTH, **options})


def discriminators(seed, *resolutions):
    torch.manual_seed(seed)
    return {str(px): Discriminator(resolution=px, width=4, max_width=4, dimension=WIDTH) for px in resolutions}


def trained():
    """What training saves of two stages, 8 and 16 px."""
    networks = torch.nn.ModuleDict(discriminators(3, 8, 16))
    live, averaged = generator(1).state_dict(), generator(2).state_dict()
    return {"generator": live, "ema": averaged, "adversary": {"networks": networks.state_dict()}}


def grow(network, opponents=None, freeze=0):
    start_from(trained(), network, opponents or {}, freeze=freeze, path=Path("old.safetensors"))
    return network.state_dict()


def taken(weights, source):
    """Names of the weights that are those of `source`."""
    return {name for name, value in weights.items() if name in source and torch.equal(value, source[name])}


def random_ones(network):
    """Names of weights that tell where they come from, since no two networks begin with the same."""
    return {n for n, p in network.named_parameters() if p.dim() > 1 and p.detach().abs().sum() > 0}


def test_as_many_stages_go_on_with_the_live_weights():
    network = generator(9)
    assert random_ones(network) <= taken(grow(network), trained()["generator"])


def test_frozen_stages_get_the_averaged_weights_and_new_ones_start_afresh():
    network = generator(9, stages=3)
    fresh = {name: value.clone() for name, value in network.state_dict().items()}
    weights = grow(network, freeze=1)
    names = random_ones(network)
    first = {n for n in names if n.startswith(("augmentation.", "initial.", "heads.0."))}
    second = {n for n in names if n.startswith(("refine.0.", "heads.1."))}
    third = {n for n in names if n.startswith(("refine.1.", "heads.2."))}
    assert first | second | third == names
    assert first <= taken(weights, trained()["ema"])
    assert second <= taken(weights, trained()["generator"])
    assert third <= taken(weights, fresh)


def test_discriminators_of_old_stages_go_on():
    opponents = discriminators(9, 16, 32)
    fresh = {name: value.clone() for name, value in opponents["32"].state_dict().items()}
    grow(generator(9, stages=3), opponents)
    old = {n[3:]: v for n, v in trained()["adversary"]["networks"].items() if n.startswith("16.")}
    assert taken(opponents["16"].state_dict(), old) == set(old)
    assert taken(opponents["32"].state_dict(), fresh) == set(fresh)


@pytest.mark.parametrize(
    ("options", "freeze", "what"),
    [
        ({"widths": (6,)}, 0, "does not fit at"),
        ({"affine": False}, 0, "does not fit at"),
        ({"stages": 4}, 3, "no stage 3"),
        ({"base": 4}, 0, "does not fit at"),
        ({"blocks": (2,)}, 2, "does not fit at"),  # a frozen stage would keep a block that never learnt anything
        ({"base": 16}, 0, "does not fit at"),
    ],
)
def test_what_does_not_fit_is_refused(options, freeze, what):
    with pytest.raises(InputError, match=what) as error:
        grow(generator(9, **options), freeze=freeze)
    assert str(error.value).startswith("old.safetensors: ")
    assert "\n" not in str(error.value)


def test_a_generators_weights_alone_are_enough(tmp_path):
    """Its discriminators start afresh, as those of the shipped model do."""
    path = tmp_path / "generator.safetensors"
    checkpoint.save(path, generator(2).state_dict(), {"kind": GENERATOR_KIND})
    state = read(path, "gan")
    network, opponents = generator(9), discriminators(9, 8, 16)
    fresh = {name: value.clone() for name, value in opponents["8"].state_dict().items()}
    start_from(state, network, opponents, freeze=0, path=path)
    assert random_ones(network) <= taken(network.state_dict(), generator(2).state_dict())
    assert taken(opponents["8"].state_dict(), fresh) == set(fresh)


def test_discriminators_of_a_checkpoint_that_numbers_them_go_on(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    state = trained()
    numbers = {"8": "0", "16": "1"}
    by_stage = {
        f"{numbers[name.partition('.')[0]]}.{name.partition('.')[2]}": value
        for name, value in state["adversary"]["networks"].items()
    }
    saved = {**state, "adversary": {"networks": by_stage, "optimizers": {}, "steps": 3}}
    checkpoint.save(path, saved, {"kind": "gan", "config": {"base": 8}})
    loaded = read(path, "gan")["adversary"]
    assert loaded["steps"] == 3
    assert list(loaded["networks"]) == list(state["adversary"]["networks"])
    opponents = discriminators(9, 8, 16)
    start_from(read(path, "gan"), generator(9), opponents, freeze=0, path=path)
    for name, network in discriminators(3, 8, 16).items():
        assert taken(opponents[name].state_dict(), network.state_dict()) == set(network.state_dict())


def test_a_file_that_is_neither_is_refused(tmp_path):
    path = tmp_path / "classifier.safetensors"
    checkpoint.save(path, {}, {"kind": "classifier-weights"})
    with pytest.raises(InputError, match="holds a classifier-weights, not a gan"):
        read(path, "gan")
