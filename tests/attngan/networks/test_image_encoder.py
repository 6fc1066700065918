import pytest
import torch
import torch.nn.functional as F

from attngan.networks.image_encoder import ImageEncoder, InceptionTrunk, ScratchTrunk, resize
from datasets.errors import InputError


def pictures(batch=3, side=32, seed=0):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def small(**options):
    torch.manual_seed(0)
    return ImageEncoder(ScratchTrunk(**{"size": 32, "width": 4, "blocks": (1, 1, 1, 1), **options}), dimension=10)


@pytest.mark.parametrize(("size", "grid"), [(32, 4), (64, 8), (96, 12)])
def test_regions_are_a_grid_of_an_eighth_of_the_size(size, grid):
    encoder = small(size=size)
    features = encoder(pictures(side=size))
    assert features.pooled.shape == (3, 10)
    assert features.regions.shape == (3, 10, grid * grid)


@pytest.mark.parametrize("side", [16, 32, 33, 64, 100])
def test_pictures_of_any_size(side):
    features = small().eval()(pictures(side=side))
    assert features.regions.shape == (3, 10, 16)


def test_resize():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert torch.equal(resize(ramp, 8), ramp)
    torch.testing.assert_close(resize(ramp, 4)[0, 0, 0], torch.tensor([0.5, 2.5, 4.5, 6.5]))  # means of pairs
    assert resize(ramp, 16).shape == (1, 1, 16, 16)
    # Fine stripes enlarged by nothing and made smaller by 3.2 must become grey, not stripes of another frequency.
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[..., ::2] = 1
    assert (resize(stripes, 20) - 0.5).abs().max() < 0.1
    assert (F.interpolate(stripes, (20, 20), mode="bilinear") - 0.5).abs().max() > 0.25


def test_project_serves_cached_features():
    encoder = small().eval()
    features = encoder.trunk(pictures())
    torch.testing.assert_close(encoder.project(features).pooled, encoder(pictures()).pooled)
    torch.testing.assert_close(encoder.project(features).regions, encoder(pictures()).regions)


def test_pictures_do_not_depend_on_their_batch_mates():
    encoder = small().eval()
    together = encoder(pictures())
    alone = encoder(pictures()[1:2])
    torch.testing.assert_close(alone.pooled[0], together.pooled[1])
    torch.testing.assert_close(alone.regions[0], together.regions[1])


def test_gradients_reach_every_weight_and_the_pictures():
    encoder, given = small(), pictures().requires_grad_()
    features = encoder(given)
    (features.pooled.square().mean() + features.regions.square().mean()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert given.grad.abs().sum() > 0


def test_the_scratch_trunk_learns_and_says_so():
    assert ScratchTrunk.trainable
    assert all(p.requires_grad for p in small().parameters())


@pytest.mark.slow  # about 2 s: building Inception-v3 and one forward pass at 299 px
def test_inception_with_random_weights():
    torch.manual_seed(0)
    encoder = ImageEncoder(InceptionTrunk())
    trunk = encoder.trunk
    assert not trunk.trainable
    assert not any(p.requires_grad for p in trunk.parameters())
    assert encoder.project_local.weight.requires_grad
    encoder.train()
    assert encoder.training
    assert not any(module.training for module in trunk.modules())
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    # As in the reference notes, A2: Mixed_6e is 768 x 17 x 17, the pooled feature 2048, the projections 196,608 and
    # 524,544 weights.
    with torch.no_grad():
        features = trunk(pictures(1, 299))
    assert features.local.shape == (1, 768, 17, 17)
    assert features.pooled.shape == (1, 2048)
    assert encoder.project_local.weight.numel() == 196_608
    assert sum(p.numel() for p in encoder.project_pooled.parameters()) == 524_544
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


@pytest.mark.slow
def test_weights_of_the_wrong_network_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(ScratchTrunk(size=32, width=4).state_dict(), path)
    with pytest.raises(InputError, match=r"weights\.pth: not a state dict of torchvision's inception_v3"):
        InceptionTrunk(path)
    path.write_bytes(b"not weights at all")
    with pytest.raises(InputError, match=r"weights\.pth"):
        InceptionTrunk(path)
    with pytest.raises(InputError, match=r"none\.pth"):
        InceptionTrunk(tmp_path / "none.pth")
