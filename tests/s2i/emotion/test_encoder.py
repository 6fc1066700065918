import pytest
import torch

from s2i.emotion.encoder import EmotionEncoder
from s2i.model.speech_encoder import SpeechEncoder

SMALL = {"bands": {"width": 4, "channels": 16}, "sen": {"trunk": "sen", "width": 8, "channels": 12}}


def encoder(trunk="bands"):
    torch.manual_seed(0)
    return EmotionEncoder(**SMALL[trunk]).eval()


@pytest.mark.parametrize("trunk", SMALL)
def test_shapes(trunk):
    output = encoder(trunk).predict(torch.randn(3, 61, 40), torch.ones(3, 61, dtype=torch.bool))
    assert output.emotion.shape == (3, 8)
    assert output.voice.shape == (3, 2)
    assert output.intensity.shape == (3,)
    assert output.embedding.shape == (3, 2 * SMALL[trunk]["channels"])


@pytest.mark.parametrize("trunk", SMALL)
def test_arguments_build_it_again(trunk):
    one = encoder(trunk)
    other = EmotionEncoder(**one.arguments)
    other.load_state_dict(one.state_dict())
    mels, mask = torch.randn(1, 40, 40), torch.ones(1, 40, dtype=torch.bool)
    torch.testing.assert_close(other.eval().predict(mels, mask).emotion, one.predict(mels, mask).emotion)


@pytest.mark.parametrize("trunk", SMALL)
def test_padding_changes_next_to_nothing(trunk):
    network, mels = encoder(trunk), torch.randn(1, 64, 40)
    mask = torch.ones(1, 64, dtype=torch.bool)
    alone = network.predict(mels, mask).emotion
    padded = torch.nn.functional.pad(mels, (0, 0, 0, 64), value=7.0)
    together = network.predict(padded, torch.nn.functional.pad(mask, (0, 64))).emotion
    # Batch norm lifts what is behind the end off zero, of which convolutions see a rim.
    torch.testing.assert_close(together, alone, rtol=0, atol=0.05 * float(alone.detach().abs().max()) + 1e-3)


def test_the_gain_of_the_microphone_makes_no_difference():
    network, mels, mask = encoder(), torch.randn(1, 50, 40), torch.ones(1, 50, dtype=torch.bool)
    torch.testing.assert_close(network.predict(mels + 3.0, mask).emotion, network.predict(mels, mask).emotion)


def test_it_learns_mean_and_scale_of_training():
    network = encoder()
    frames = 5 + 3 * torch.randn(4000, 40, generator=torch.Generator().manual_seed(0)) + torch.arange(40.0)
    network.standardise(frames)
    normal = network.normalise(frames[None], torch.ones(1, 4000, dtype=torch.bool))
    assert float(normal.std()) == pytest.approx(1, abs=0.01)
    assert float(normal.mean(1).abs().max()) < 1e-3


def test_it_may_start_from_the_speech_encoder():
    speech = SpeechEncoder(width=8, hidden=12)
    network = encoder("sen")
    network.start_from(speech)
    for mine, theirs in zip(network.trunk.convs.parameters(), speech.convs.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_an_unknown_trunk_is_refused():
    with pytest.raises(ValueError, match="not one of bands, sen"):
        EmotionEncoder(trunk="roots")
