import math

import pytest
import torch

from s2i.emotion.encoder import EmotionEncoder, Familiarity, fit_temperature
from s2i.model.speech_encoder import SpeechEncoder

SMALL = {"bands": {"width": 4, "channels": 16}, "sen": {"trunk": "sen", "width": 8, "channels": 12}}


def encoder(trunk="bands"):
    torch.manual_seed(0)
    return EmotionEncoder(**SMALL[trunk]).eval()


@pytest.mark.parametrize("trunk", SMALL)
def test_shapes(trunk):
    heard = encoder(trunk).hear(torch.randn(3, 61, 40), torch.ones(3, 61, dtype=torch.bool))
    assert heard.emotion.shape == (3, 8)
    assert heard.voice.shape == (3, 2)
    assert heard.intensity.shape == (3,)
    assert heard.embedding.shape == (3, 2 * SMALL[trunk]["channels"])


@pytest.mark.parametrize("trunk", SMALL)
def test_arguments_build_it_again(trunk):
    one = encoder(trunk)
    other = EmotionEncoder(**one.arguments)
    other.load_state_dict(one.state_dict())
    mels, mask = torch.randn(1, 40, 40), torch.ones(1, 40, dtype=torch.bool)
    torch.testing.assert_close(other.eval().hear(mels, mask).emotion, one.hear(mels, mask).emotion)


@pytest.mark.parametrize("trunk", SMALL)
def test_padding_changes_next_to_nothing(trunk):
    network, mels = encoder(trunk), torch.randn(1, 64, 40)
    mask = torch.ones(1, 64, dtype=torch.bool)
    alone = network.hear(mels, mask).emotion
    padded = torch.nn.functional.pad(mels, (0, 0, 0, 64), value=7.0)
    together = network.hear(padded, torch.nn.functional.pad(mask, (0, 64))).emotion
    # Batch norm lifts what is behind the end off zero, of which convolutions see a rim.
    torch.testing.assert_close(together, alone, rtol=0, atol=0.05 * float(alone.detach().abs().max()) + 1e-3)


def test_the_gain_of_the_microphone_makes_no_difference():
    network, mels, mask = encoder(), torch.randn(1, 50, 40), torch.ones(1, 50, dtype=torch.bool)
    torch.testing.assert_close(network.hear(mels + 3.0, mask).emotion, network.hear(mels, mask).emotion)


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


def test_the_temperature_is_that_which_made_the_labels():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 5, generator=generator)
    labels = torch.multinomial((logits / 1.7).softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(1.7, rel=0.05)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3 * 1.7, rel=0.05)


def test_answers_that_are_always_right_are_made_as_sure_as_may_be():
    assert fit_temperature(torch.eye(4), torch.arange(4)) == pytest.approx(0.1, rel=0.01)
    assert fit_temperature(torch.eye(4), torch.arange(4).flip(0)) == pytest.approx(10, rel=0.01)


def test_familiarity_is_the_mahalanobis_distance_in_units_of_the_median():
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([3.0, 1.0, 0.2])
    labels = torch.arange(6000) % 2
    embeddings = spread * torch.randn(6000, 3, generator=generator) + 20.0 * labels[:, None]
    familiarity = Familiarity.measure(embeddings, labels, directions=3)
    distance = familiarity.distance(embeddings)
    assert float(distance.median()) == pytest.approx(1, rel=1e-3)
    # By class means and one covariance; the median of the norm of three normal numbers is 1.538.
    far = torch.tensor([[0.0, 0.0, 0.2 * 5], [3.0 * 5, 0.0, 0.0]])
    torch.testing.assert_close(familiarity.distance(far), torch.full((2,), 5 / math.sqrt(2.366)), rtol=0.05, atol=0)


def test_what_is_unlike_training_is_further_away():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(500, 40, generator=generator)
    familiarity = Familiarity.measure(embeddings, torch.arange(500) % 8)
    assert float(familiarity.distance(10 + embeddings).min()) > float(familiarity.distance(embeddings).max())


def test_familiarity_goes_through_a_file_in_half_precision():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(300, 20, generator=generator)
    familiarity = Familiarity.measure(embeddings, torch.arange(300) % 3)
    again = Familiarity({name: value.half().float() for name, value in familiarity.statistics.items()})
    torch.testing.assert_close(again.distance(embeddings), familiarity.distance(embeddings), rtol=0.02, atol=0.02)


def test_one_emotion_alone_has_a_distance_too():
    embeddings = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.full((30,), 4)
    assert torch.isfinite(Familiarity.measure(embeddings, labels).distance(embeddings)).all()
