import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from attngan.networks.encoders import load_image_encoder
from datasets.corpus import Corpus
from s2i.evaluation import full_size
from s2i.evaluation.evaluation_set import EvaluationSet
from s2i.evaluation.models import ComparedModel


@pytest.fixture(scope="module")
def birds(tmp_path_factory, build_birds):
    return build_birds(tmp_path_factory.mktemp("full-size") / "birds.h5", drawn_pictures=48, short_side=32)


@pytest.fixture
def measure(birds, talking, tmp_path):
    """Measure the small model on eight recordings, into a file of a name."""
    model = ComparedModel(talking / "generator.safetensors", talking / "speech.safetensors", speech=True)
    image, _ = load_image_encoder(talking / "damsm.safetensors")
    samples = EvaluationSet.of(Corpus(birds), 8, 0)
    return lambda name: full_size.measure(model, image, samples, grid=4, seed=0, output=tmp_path / name)


def test_figures_grid_and_details(measure, tmp_path):
    figures = measure("results.json")
    assert figures["pictures"] == 8
    for name in ("r_precision", "r_precision_real_photographs", "r_precision_recordings_exchanged"):
        assert 0 <= figures[name] <= 100
    assert -1 <= figures["cosine_recordings_exchanged"] <= 1
    assert figures["fine_detail_of_last_stage"] > 0
    grid, detail = (Image.open(tmp_path / f"results-{name}.png") for name in ("grid", "detail"))
    assert grid.width > 400
    assert detail.width > grid.width  # labels at the left
    assert detail.height > 1.5 * grid.height  # two stages below each other
    assert measure("again.json") == figures


def test_fine_detail_is_above_half_of_the_nyquist_frequency():
    pixels = torch.arange(32)
    fine = torch.where(pixels % 2 == 0, 1.0, -1.0).expand(1, 3, 32, 32)  # the Nyquist frequency itself
    coarse = torch.sin(pixels * 2 * torch.pi / 8).expand(1, 3, 32, 32)  # a quarter of it
    # All the energy of a wave of amplitude 1 lies in one coefficient: (32 * 32)^2.
    torch.testing.assert_close(full_size.fine_detail(fine), torch.tensor([1024.0**2]))
    assert full_size.fine_detail(coarse) < 1
    enlarged = F.interpolate(torch.randn(1, 3, 16, 16), scale_factor=2.0, mode="bicubic")
    assert full_size.fine_detail(enlarged) < 0.2 * full_size.fine_detail(torch.randn(1, 3, 32, 32))
