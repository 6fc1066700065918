import pytest
import torch

from datasets.ravdess import EMOTIONS
from s2i.emotion.networks import FACES, AlexNet
from s2i.emotion.recognisers import RECOGNISERS

INPUTS = {
    "lstm": (4, 5, 180),
    "cnn": (4, 5, 180),
    "mlp": (4, 1, 180),
    "conv1d": (4, 1, 40),
    "alexnet": (4, 3, 3, 40, 40),
}


@pytest.mark.parametrize("name", INPUTS)
def test_each_takes_what_it_sees_and_tells_its_classes(name):
    recogniser = RECOGNISERS[name]
    network = recogniser.build().eval()
    output = network(torch.randn(INPUTS[name]))
    assert output.emotion.shape == (4, len(recogniser.classes))
    assert torch.isfinite(output.emotion).all()
    assert (output.voice is not None) == (name == "alexnet")


@pytest.mark.parametrize("name", INPUTS)
def test_the_scale_of_features_makes_no_difference_once_standardised(name):
    torch.manual_seed(0)
    inputs = torch.randn(INPUTS[name])
    network = RECOGNISERS[name].build().eval()
    outputs = []
    for factor in (1.0, 1000.0):
        varied = factor * inputs
        network.standardise(varied.movedim(2, -1) if name == "alexnet" else varied)
        outputs.append(network(varied).emotion)
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-3, atol=1e-4)


def test_a_calm_voice_counts_as_neutral_among_the_faces():
    labels = RECOGNISERS["conv1d"].labels(torch.arange(len(EMOTIONS)))
    assert [FACES[k] for k in labels] == [name if name != "calm" else "neutral" for name in EMOTIONS]
    assert RECOGNISERS["ours"].labels(torch.arange(8)).tolist() == list(range(8))


def test_alexnet_says_what_its_patches_say_on_average():
    network = AlexNet().eval()
    patches = torch.randn(1, 3, 3, 40, 40)
    each = torch.stack([network(patches[:, k : k + 1]).emotion[0].exp() for k in range(3)])
    torch.testing.assert_close(network(patches).emotion[0].exp(), each.mean(0))
    assert float(network(patches).voice.detach().exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_all_are_small(name):
    count = sum(p.numel() for p in RECOGNISERS[name].build().parameters())
    assert 2 * count <= 3_000_000
