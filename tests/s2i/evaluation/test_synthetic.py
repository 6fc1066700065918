import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from attngan.evaluation.attributes import ATTRIBUTES
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from s2i import evaluate_synthetic
from s2i.evaluation import synthetic
from s2i.evaluation.synthetic import SyntheticConfig, exchanged, shares
from tests.helpers import write_damsm

RIGHT = {"head": "red", "wing": "blue", "beak": "long"}


def seen(*birds):
    """What a reader would return that saw `birds`."""
    names = {name for bird in birds for name in bird}
    return {name: torch.tensor([ATTRIBUTES[name].index(bird[name]) for bird in birds]) for name in names}


def test_shares_count_what_is_claimed():
    all_of_it = shares(seen(*[RIGHT] * 20), [RIGHT] * 20)
    assert all_of_it == {"head": 100, "wing": 100, "beak": 100, "all": 100, "all_std": 0}
    wrong = {"head": "blue", "wing": "red", "beak": "short"}
    assert shares(seen(*[wrong] * 20), [RIGHT] * 20)["all"] == 0
    # The head of every second bird is right; wings are claimed of every fourth and right; beaks of none.
    birds = [{"head": "red" if k % 2 else "green", "wing": "blue", "beak": "short"} for k in range(40)]
    claims = [{"head": "red", "wing": "blue"} if k % 4 == 0 else {"head": "red"} for k in range(40)]
    found = shares(seen(*birds), claims)
    assert (found["head"], found["wing"]) == (50, 100)
    assert found["all"] == pytest.approx((20 + 10) / 50 * 100)
    assert found["all_std"] > 0
    assert "beak" not in found


def test_the_error_bar_is_the_deviation_of_the_folds():
    birds = [{**RIGHT, "head": "red" if k < 10 else "green"} for k in range(20)]
    claims = [{"head": "red"}] * 20
    each = shares(seen(*birds), claims, folds=20)  # a fold of one bird is 0 or 100
    assert each["all_std"] == pytest.approx(50)
    assert shares(seen(*birds), claims, folds=1)["all_std"] == 0


def test_exchanged_pictures_are_of_another_species():
    species = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 6))
    others = exchanged(species)
    assert sorted(others) == list(range(30))
    assert (species[others] != species).all()


@pytest.fixture(scope="module")
def birds(tmp_path_factory, build_birds):
    return build_birds(tmp_path_factory.mktemp("drawn") / "birds.h5", drawn_pictures=72, short_side=32)


@pytest.fixture
def config(birds, model, tmp_path):
    return SyntheticConfig(
        corpus=birds,
        sen=model / "speech.safetensors",
        gan=model / "generator.safetensors",
        reader=tmp_path / "reader.safetensors",
        reader_pictures=128,
        reader_drawings=64,
        output=tmp_path / "drawn.json",
    )


def test_figures_of_speech(config, capsys):
    options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in vars(config).items() if value is not None]
    evaluate_synthetic.main([word for option in options for word in option])
    found = json.loads(config.output.read_text())
    assert set(found) == {"s2i", "exchanged", "real", "meta"}
    for row in ("s2i", "exchanged", "real"):
        assert {"all", "all_std"} < set(found[row])
        assert all(0 <= value <= 100 for value in found[row].values())
    assert found["meta"]["pictures"] == 12
    assert sum(found["meta"]["named"].values()) >= 3 * 12
    assert "exchanged: " in capsys.readouterr().out
    assert synthetic.measure(config)["s2i"] == found["s2i"]  # the same pictures, the same reader


def test_written_sentences_are_painted_by_their_own_generator(config, model, tmp_path):
    words = Vocabulary.build(Corpus(config.corpus).captions)
    write_damsm(tmp_path / "damsm.safetensors", vocabulary=words.words)
    both = replace(config, damsm=tmp_path / "damsm.safetensors", text_gan=model / "generator.safetensors")
    assert set(synthetic.measure(both)["attngan"]) == set(synthetic.measure(config)["s2i"])


def test_a_perfect_painter_scores_as_the_drawings(config, monkeypatch):
    """With a reader that knows every test bird, real drawings are all right and exchanged ones are not."""
    corpus = Corpus(config.corpus)
    recordings = corpus.recordings_by_picture("held-out")
    truth: dict[str, list[int]] = {name: [] for name in ATTRIBUTES}
    for index in corpus.pictures_of("test"):
        claim = synthetic.claimed_attributes(corpus.captions[corpus.recording_caption[recordings[index][0]]])
        for name, choices in ATTRIBUTES.items():
            truth[name].append(choices.index(claim[name]) if name in claim else 0)
    known = {name: torch.tensor(values) for name, values in truth.items()}
    monkeypatch.setattr(synthetic, "_paint_and_read", lambda *_: {"s2i": known, "real": known})
    found = synthetic.measure(config)
    assert found["s2i"]["all"] == found["real"]["all"] == 100
    assert found["exchanged"]["all"] < 70


def test_captions_of_other_birds_are_refused(config, monkeypatch):
    monkeypatch.setattr(Corpus, "captions", property(lambda _: ["a bird"] * 10_000, lambda *_: None), raising=False)
    with pytest.raises(InputError, match="drawn birds"):
        synthetic.measure(config)


@pytest.mark.parametrize("field", ["pictures", "reader_pictures", "reader_drawings"])
def test_bad_values_are_refused(field):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} 1"):
        SyntheticConfig(**{field: 1})
