import pytest
import torch

from attngan.networks.projected import ProjectedDiscriminator
from attngan.networks.trunks import TimmTrunk

timm = pytest.importorskip("timm")
WIDTH = 12


def looking(size=64, **options):
    torch.manual_seed(0)
    trunk = TimmTrunk(timm.create_model("tf_efficientnet_lite0", pretrained=False), size=64)
    return trunk, ProjectedDiscriminator(
        trunk, size=size, **{"width": 6, "mixed": 8, "dimension": WIDTH, **options}
    ).eval()


def pictures(batch=3, side=64):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def sentences(batch=3, seed=0):
    return torch.randn(batch, WIDTH, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("size", "side"), [(64, 64), (96, 64), (128, 32)])
def test_every_scale_has_a_verdict_of_each_picture(size, side):
    _, network = looking(size)
    logits = network(pictures(side=side), sentences())
    assert logits.unconditional.shape == logits.conditional.shape == (3 * 4,)


def test_a_scale_is_judged_by_its_own_network_alone():
    _, network = looking()
    features = network.features(pictures())
    before = network.unconditional(features).flatten(1)
    features[:, :6] += 1  # of the finest scale
    after = network.unconditional(features).flatten(1)
    assert (after != before)[:, 0].all()
    torch.testing.assert_close(after[:, 1:], before[:, 1:])


def test_the_caption_adds_an_inner_product():
    _, network = looking(spectral=False)
    features = network.features(pictures())
    silent = network.judge(features, sentences() * 0)
    torch.nn.init.zeros_(network.project.bias)
    alone = network.unconditional(features).flatten()
    torch.testing.assert_close(network.judge(features, sentences() * 0), alone)
    one, opposite = network.judge(features, sentences()), network.judge(features, -sentences())
    torch.testing.assert_close(one - alone, alone - opposite, rtol=1e-3, atol=1e-4)
    assert silent.shape == one.shape


def test_the_mixing_is_fixed_and_saved():
    trunk, network = looking()
    learning = {name for name, _ in network.named_parameters()}
    kept = set(network.state_dict())
    mixing = {name for name in kept if "trunk.channels" in name or "trunk.scales" in name}
    assert len(mixing) == 4 + 3
    assert not mixing & learning
    assert not any("_frozen" in name for name in kept)
    assert not any(parameter.requires_grad for parameter in trunk._network[0].parameters())


def test_coarse_scales_reach_the_finest():
    _, network = looking()
    with torch.no_grad():
        maps = network.trunk.frozen.maps(pictures())
        before = network.trunk.judge_maps(maps)
        maps[3] = maps[3] + 1
        after = network.trunk.judge_maps(maps)
    assert all((after - before)[:, first : first + 6].abs().max() > 0 for first in (0, 6, 12, 18))


def test_one_look_gives_features_and_what_the_trunk_saw():
    trunk, network = looking()
    features, seen = network.look(pictures())
    torch.testing.assert_close(features, network.features(pictures()))
    torch.testing.assert_close(seen.pooled, trunk(pictures()).pooled)
