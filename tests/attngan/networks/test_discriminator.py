import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from attngan.networks.discriminator import Discriminator, FeatureDiscriminator, TextureDiscriminator
from attngan.networks.image_encoder import InceptionTrunk, ScratchTrunk

WIDTH = 12  # of sentences in these tests


def small(resolution=16, **options):
    torch.manual_seed(0)
    return Discriminator(resolution=resolution, **{"width": 4, "max_width": 16, "dimension": WIDTH, **options})


def pictures(batch=4, resolution=16, seed=0):
    return torch.randn(batch, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


def sentences(batch=4, seed=0):
    return torch.randn(batch, WIDTH, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("resolution", "depth"), [(8, 1), (16, 2), (64, 4), (512, 7), (1024, 8)])
def test_depth_comes_from_the_side(resolution, depth):
    network = small(resolution, width=2, max_width=4)
    assert sum(isinstance(module, nn.Conv2d) for module in network.trunk) == depth
    with torch.no_grad():
        assert network.features(pictures(1, resolution)).shape[2:] == (4, 4)
        logits = network(pictures(2, resolution), sentences(2))
    assert logits.unconditional.shape == logits.conditional.shape == (2,)


def test_width_doubles_up_to_the_cap():
    convs = [module for module in small(128, width=8, max_width=32).trunk if isinstance(module, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [8, 16, 32, 32, 32]


def test_weights_counted_by_hand():
    # Convolutions 4x4: 3 -> 64 -> 128 -> 256 -> 512 (64 px), then 512 -> 512 at each further doubling; heads: 4x4 to 1
    # twice, 3x3 from 512 + 256 to 512. The notes (A5) put the 512 px network capped at 512 at about 19 M; the
    # published one has 281.6 M.
    trunk = [16 * a * b + b for a, b in ((3, 64), (64, 128), (128, 256), (256, 512))]
    heads = 2 * (16 * 512 + 1) + 9 * 768 * 512 + 512
    further = 16 * 512 * 512 + 512
    for extra, resolution in enumerate((64, 128, 256, 512)):
        network = Discriminator(resolution=resolution, width=64, spectral=False)
        assert sum(p.numel() for p in network.parameters()) == sum(trunk) + heads + extra * further
    assert sum(trunk) + heads == pytest.approx(6.3e6, rel=0.01)  # A5, D64
    assert sum(trunk) + heads + 3 * further == pytest.approx(19e6, rel=0.01)


def test_texture_is_judged_patch_by_patch():
    torch.manual_seed(0)
    network = TextureDiscriminator(width=4, dimension=WIDTH).eval()
    seen, said = pictures(2, 128), sentences(2)
    changed = seen.clone()
    changed[:, :, :40, :40] = 0
    with torch.no_grad():
        before, after = network(seen, said), network(changed, said)
        whole = network(pictures(2, 32), said)
    assert whole.unconditional.shape == (2,)  # one patch alone
    for logits, others, reach in zip(before, after, (46, 62), strict=True):
        differ = (logits != others).view(2, 13, 13)
        starts = 8 * torch.arange(13) - 7 - (8 if reach == 62 else 0)  # where the patch of a logit begins
        assert differ[:, (starts < 40) & (starts + reach > 0)][:, :, starts < 40].float().mean() > 0.9
        assert not differ[:, starts >= 40].any()
        assert not differ[:, :, starts >= 40].any()


def largest_singular_value(weight):
    return float(torch.linalg.svdvals(weight.detach().flatten(1))[0])


def test_spectral_norm_bounds_every_convolution():
    network = small()
    for module in network.modules():
        if parametrize.is_parametrized(module):
            with torch.no_grad():
                module.parametrizations.weight.original.mul_(7)
    for _ in range(30):
        network(pictures(), sentences())
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) == 5
    for conv in convs:
        assert parametrize.is_parametrized(conv, "weight")
        assert largest_singular_value(conv.weight) == pytest.approx(1, abs=0.02)


def test_without_spectral_norm_weights_are_plain():
    network = small(spectral=False)
    assert not any(parametrize.is_parametrized(module) for module in network.modules())


def test_normalise_weights_takes_one_power_iteration_within_the_cache():
    network = small().train()
    vectors = network.trunk[2].parametrizations.weight[0]
    start = vectors._u.clone()
    with parametrize.cached():
        network.normalise_weights()
        once = vectors._u.clone()
        network(pictures(), sentences())
        network(pictures(), sentences())
        assert torch.equal(vectors._u, once)
    assert not torch.equal(start, once)


def test_normalised_weights_stay_in_float32_under_autocast():
    network = small()
    with torch.autocast("cpu", torch.bfloat16), parametrize.cached():
        network.normalise_weights()
        assert network.trunk[0].weight.dtype == torch.float32
        assert network(pictures(), sentences()).conditional.dtype == torch.bfloat16


@pytest.mark.parametrize("spectral", [True, False])
def test_a_picture_is_judged_alone(spectral):
    network = small(spectral=spectral).eval()
    together = network(pictures(), sentences())
    for row in range(4):
        alone = network(pictures()[row : row + 1], sentences()[row : row + 1])
        torch.testing.assert_close(alone.unconditional[0], together.unconditional[row])
        torch.testing.assert_close(alone.conditional[0], together.conditional[row])


def test_the_caption_matters_to_one_head_only():
    network = small().eval()
    ours, theirs = network(pictures(), sentences()), network(pictures(), sentences(seed=1))
    assert torch.equal(ours.unconditional, theirs.unconditional)
    assert (ours.conditional - theirs.conditional).abs().min() > 1e-4
    other = network(pictures(seed=1), sentences())
    assert (ours.unconditional - other.unconditional).abs().min() > 1e-4


def test_features_can_be_judged_with_another_caption():
    network = small().eval()
    features = network.features(pictures())
    torch.testing.assert_close(
        network.judge(features, sentences(seed=1)), network(pictures(), sentences(seed=1)).conditional
    )


def through_features(**options):
    torch.manual_seed(0)
    trunk = ScratchTrunk(size=32, width=8, blocks=(1, 1, 1, 1)).eval().requires_grad_(False)
    return trunk, FeatureDiscriminator(trunk, **{"width": 6, "dimension": WIDTH, **options})


def test_the_features_of_every_level_are_judged():
    trunk, network = through_features()
    assert [tuple(x.shape[1:]) for x in trunk.maps(pictures(2, 32))] == [(c, s, s) for s, c in trunk.levels.items()]
    network.eval()
    for resolution in (16, 32, 64, 256):  # brought to the size that the trunk knows
        assert network.features(pictures(2, resolution)).shape == (2, 3 * 6, 4, 4)
    looked = pictures(2, 32).requires_grad_()
    features = network.features(looked)
    for level in features.chunk(3, 1):
        (gradient,) = torch.autograd.grad(level.sum(), looked, retain_graph=True)
        assert gradient.abs().max() > 0


def test_the_frozen_trunk_is_neither_saved_nor_trained():
    trunk, network = through_features()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    network.train().requires_grad_(True)
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
    assert not trunk.training
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    sum(part.sum() for part in network(pictures(4, 32), sentences())).backward()
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())
    own = sum(value.numel() for value in network.state_dict().values())
    assert own < sum(value.numel() for value in before.values())


def test_what_is_seen_through_features_depends_on_the_caption():
    _, network = through_features()
    network.eval()
    seen = pictures(4, 32)
    with torch.no_grad():
        one, other = network(seen, sentences(seed=0)), network(seen, sentences(seed=1))
    assert torch.equal(one.unconditional, other.unconditional)
    assert not torch.allclose(one.conditional, other.conditional)


def test_levels_of_inception_fit_it():
    trunk = InceptionTrunk()
    with torch.no_grad():
        sizes = [tuple(x.shape[1:]) for x in trunk.maps(pictures(1, 299))]
    assert sizes == [(channels, resolution, resolution) for resolution, channels in trunk.levels.items()]
    network = FeatureDiscriminator(trunk, width=4, dimension=WIDTH).eval()
    with torch.no_grad():
        assert network.features(pictures(1, 64)).shape == (1, 8, 4, 4)
