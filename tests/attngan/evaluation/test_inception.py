from types import SimpleNamespace

import pytest
import torch
from pytorch_fid import inception as published
from torchvision import transforms
from torchvision.models import inception_v3

from attngan.evaluation.inception import InceptionExtractor
from datasets.errors import InputError


def base(pictures):
    return torch.full((len(pictures), 5), 3.0), torch.full((len(pictures), 4), 0.25)


base.name, base.identity = "the one trained here", "abcd"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights as the published files hold them, and the networks that they are of."""
    folder = tmp_path_factory.mktemp("inception")
    torch.manual_seed(1)
    made = []
    build = published._inception_v3
    with pytest.MonkeyPatch.context() as change:
        change.setattr(published, "_inception_v3", lambda **options: made.append(build(**options)) or made[0])
        change.setattr(published, "load_state_dict_from_url", lambda *_, **__: made[0].state_dict())
        fid = published.InceptionV3().eval()
    torch.save(made[0].state_dict(), folder / "fid.pth")
    birds = inception_v3(weights=None, num_classes=7, aux_logits=True, init_weights=False, transform_input=True).eval()
    torch.nn.init.normal_(birds.fc.weight, std=3.0)
    torch.save({f"module.{name}": value for name, value in birds.state_dict().items()}, folder / "birds.pth")
    return SimpleNamespace(folder=folder, fid=fid, birds=birds)


@pytest.fixture
def pictures():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1


def no_download(*_, **__):
    raise AssertionError("a download")


def test_features_are_those_of_pytorch_fid_and_probabilities_those_of_torchvision(files, pictures, monkeypatch):
    monkeypatch.setattr(published, "load_state_dict_from_url", no_download)
    extract = InceptionExtractor(files.folder / "fid.pth", files.folder / "birds.pth", base)
    features, probabilities = extract(pictures)
    with torch.no_grad():
        assert torch.equal(features, files.fid((pictures + 1) / 2)[0][:, :, 0, 0])
        seen = torch.nn.functional.interpolate((pictures + 1) / 2, size=(299, 299), mode="bilinear")
        seen = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(seen)
        torch.testing.assert_close(probabilities, files.birds(seen).softmax(1), rtol=1e-3, atol=1e-5)
    assert features.shape == (1, 2048)
    assert features.std() > 0
    assert probabilities.shape == (1, 7)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1))
    assert "trained here" not in extract.name


def test_what_no_weights_are_given_for_comes_from_the_base(files, pictures):
    fid_only = InceptionExtractor(files.folder / "fid.pth", None, base)
    assert fid_only.name.startswith("IS: the one trained here, FID: Inception-v3 of pytorch-fid")
    features, probabilities = fid_only(pictures)
    assert features.shape == (1, 2048)
    assert torch.equal(probabilities, base(pictures)[1])
    birds_only = InceptionExtractor(None, files.folder / "birds.pth", base, background=True)
    assert birds_only.name.startswith("IS: Inception-v3 of ")
    assert birds_only.name.endswith("FID: the one trained here")
    features, probabilities = birds_only(pictures)
    assert torch.equal(features, base(pictures)[0])
    assert probabilities.shape == (1, 6)  # without the background
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1))
    # Statistics of real pictures know features only.
    assert birds_only.features_identity == base.identity != fid_only.features_identity
    without = InceptionExtractor(None, files.folder / "birds.pth", base)
    assert len({fid_only.identity, birds_only.identity, without.identity, base.identity}) == 4


class Malice:
    def __reduce__(self):
        return print, ("code was run",)


def refuse(path, match, *, fid=False):
    with pytest.raises(InputError, match=match) as caught:
        InceptionExtractor(*((path, None) if fid else (None, path)), base)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_are_something_else_are_refused(files, tmp_path, capsys):
    with pytest.raises(InputError, match="none given"):
        InceptionExtractor(None, None, base)
    path = tmp_path / "weights.pth"
    refuse(path, "not found", fid=True)
    path.write_text("no weights")
    refuse(path, "not pytorch-fid's pt_inception.*state_dict", fid=True)
    torch.save({"fc.weight": Malice()}, path)
    refuse(path, "run code")
    assert "code was run" not in capsys.readouterr().out
    torch.save([torch.zeros(2)], path)
    refuse(path, "no dictionary of tensors")
    torch.save({"fc.weight": torch.zeros(3, 4)}, path)
    refuse(path, r"not a state dict of torchvision's inception_v3 \(Missing key")
    refuse(path, r"not pytorch-fid's .*Missing key", fid=True)
    torch.save({"weight": torch.zeros(3, 4)}, path)
    refuse(path, "fc.weight is missing")
    refuse(files.folder / "fid.pth", "has 1008 classes")
    refuse(files.folder / "birds.pth", r"not pytorch-fid's .*Unexpected key", fid=True)
    cut = (files.folder / "birds.pth").read_bytes()[:1000]
    path.write_bytes(cut)
    refuse(path, "torch reads no tensors")
