import json

import pytest
import torch

from datasets.audio import SAMPLE_RATE
from s2i.evaluation import robustness
from s2i.evaluation.robustness import CHANNELS, RobustnessConfig, own_found, sentences_of, table
from s2i.model.speech_encoder import load_speech_encoder


def test_own_sentences_are_found_when_they_are_nearest():
    clean = torch.eye(5)
    assert own_found(clean, clean) == 100
    assert own_found(clean.roll(1, 0), clean) == 0
    # Of two sentences, one is its own, and the other is nearer to somebody else's.
    assert own_found(torch.tensor([[1.0, 0.1], [1.0, 0.2]]), torch.eye(2)) == 50
    assert own_found(torch.ones(3, 2), torch.ones(3, 2)) == 0  # ties are misses


@pytest.fixture(scope="module")
def birds(tmp_path_factory, build_birds):
    return build_birds(tmp_path_factory.mktemp("robust") / "birds.h5", drawn_pictures=48, short_side=32)


def test_the_command_tells_of_each_channel_by_who_speaks(birds, talking, small, tmp_path, monkeypatch, capsys):
    small.encoder(talking / "speech.safetensors", front="speech", dimension=256)
    monkeypatch.setattr(
        robustness, "CHANNELS", {name: CHANNELS[name] for name in ("clean", "silence, 5 s each side", "-60 dB")}
    )
    output = tmp_path / "out" / "robustness.json"
    options = {"corpus": birds, "model": talking, "samples": 3, "output": output}
    robustness.main([word for name, value in options.items() for word in (f"--{name}", str(value))])
    found = json.loads(output.read_text())["rows"]
    told = capsys.readouterr()
    assert "no row for unheard engines" in told.err  # espeak alone is installed for this corpus
    assert [row["voices"] for row in found] == ["heard voices"] * 3 + ["unheard voices"] * 3
    for row in found:
        assert row["n"] == 3
        assert row["cosine_worst"] <= row["cosine_mean"] <= 1 + 1e-6
        if row["channel"] == "clean":
            assert row["cosine_worst"] == pytest.approx(1.0, abs=1e-5)
            assert row["own_found"] == 100
        if row["channel"].startswith("silence"):
            assert row["cosine_worst"] > 0.99  # a front that hears speech alone
    assert table(found) in told.out
    assert "| clean | 1.00 (1.00), 100, " in told.out


def test_sentences_do_not_depend_on_batch_mates(talking, small):
    encoder = load_speech_encoder(talking / "speech.safetensors")
    waves = [torch.from_numpy(small.hum(200 + 50 * k, 0.5 + 0.2 * k)) for k in range(3)]
    together = sentences_of(encoder, waves)
    for row, wave in enumerate(waves):
        torch.testing.assert_close(sentences_of(encoder, [wave])[0], together[row], rtol=1e-3, atol=1e-4)


def test_every_channel_takes_speech(small):
    wave = torch.from_numpy(small.hum(300, 1.0))
    for name, channel in CHANNELS.items():
        if name == "antiphase stereo":
            continue
        heard = channel(wave, torch.Generator().manual_seed(0))
        assert torch.isfinite(heard).all(), name
        assert len(heard) >= SAMPLE_RATE - 1, name


@pytest.mark.parametrize(("name", "value"), [("samples", 1), ("seed", -1)])
def test_bad_numbers_are_refused(name, value):
    with pytest.raises(Exception, match=name):
        RobustnessConfig(**{name: value})
