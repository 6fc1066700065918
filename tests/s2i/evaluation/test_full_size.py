import json

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from datasets.errors import InputError
from s2i.evaluation import measure
from tests.helpers import write_damsm


@pytest.fixture(scope="module")
def birds(tmp_path_factory, build_birds):
    return build_birds(tmp_path_factory.mktemp("measure") / "birds.h5", drawn_pictures=48, short_side=32)


@pytest.fixture
def damsm(tmp_path):
    path = tmp_path / "damsm.safetensors"
    write_damsm(path)
    return path


def options(birds, model, damsm, output, **more):
    values = {"corpus": birds, "model": model, "damsm": damsm, "output": output, "pictures": 8, "grid": 4, **more}
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def test_figures_and_grid(birds, model, damsm, tmp_path, capsys):
    output = tmp_path / "out" / "measures.json"
    measure.main(options(birds, model, damsm, output))
    found = json.loads(output.read_text())
    assert found["pictures"] == 8
    for name in ("r_precision", "r_precision_real_photographs", "r_precision_recordings_exchanged"):
        assert 0 <= found[name] <= 100
    assert -1 <= found["cosine_recordings_exchanged"] <= 1
    assert {"commit", "command", "machine", "seed"} <= set(found)
    assert Image.open(output.with_suffix(".png")).width > 400
    assert Image.open(output.with_name(f"{output.stem}-detail.png")).width > 400
    assert "r_precision: " in capsys.readouterr().out
    again = tmp_path / "again.json"
    measure.main(options(birds, model, damsm, again))
    assert json.loads(again.read_text())["cosine"] == found["cosine"]


def test_more_pictures_than_recordings_are_refused(birds, model, damsm, tmp_path):
    with pytest.raises(InputError, match="--pictures 1000"):
        measure.main(options(birds, model, damsm, tmp_path / "m.json", pictures=1000))


def test_fine_detail_is_above_half_of_the_nyquist_frequency():
    pixels = torch.arange(32)
    fine = torch.where(pixels % 2 == 0, 1.0, -1.0).expand(1, 3, 32, 32)  # the Nyquist frequency itself
    coarse = torch.sin(pixels * 2 * torch.pi / 8).expand(1, 3, 32, 32)  # a quarter of it
    # All the energy of a wave of amplitude 1 lies in one coefficient: (32 * 32)^2.
    torch.testing.assert_close(measure.fine_detail(fine), torch.tensor([1024.0**2]))
    assert measure.fine_detail(coarse) < 1
    enlarged = F.interpolate(torch.randn(1, 3, 16, 16), scale_factor=2.0, mode="bicubic")
    assert measure.fine_detail(enlarged) < 0.2 * measure.fine_detail(torch.randn(1, 3, 32, 32))
