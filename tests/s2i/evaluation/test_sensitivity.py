import json

import pytest
import torch
from PIL import Image

from attngan.evaluation import species_head
from attngan.evaluation.corruptions import CORRUPTIONS
from attngan.evaluation.evaluators import CLASSIFIER, HEAD
from attngan.evaluation.observer import Observation
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from s2i import check_measures
from s2i.evaluation import sensitivity
from s2i.evaluation.sensitivity_config import MEASURES, SensitivityConfig
from tests.helpers import write_classifier, write_damsm


class Eye:
    """Sees the mean colours of 4 x 4 fields, and a bird where the middle is brighter than the border."""

    identity, name = "eye", "an eye"

    def look(self, pictures):
        fields = torch.nn.functional.adaptive_avg_pool2d(pictures, 4)
        return Observation(fields.flatten(1), fields[:, :, 1:3, 1:3].mean((1, 2, 3)) > fields.mean((1, 2, 3)))


@pytest.fixture(scope="module")
def birds(tmp_path_factory, build_birds):
    return build_birds(tmp_path_factory.mktemp("sensitivity") / "birds.h5", drawn_pictures=120, short_side=32)


@pytest.fixture
def config(birds, model, small, tmp_path, monkeypatch):
    monkeypatch.setattr(sensitivity, "Observer", Eye)
    small.generator(model / "generator.safetensors", stages=3)
    write_damsm(model / "damsm.safetensors", 3, Vocabulary.build(Corpus(birds).captions).words)
    folder = tmp_path / "evaluators"
    write_classifier(folder / CLASSIFIER, 5, n_species=12)
    head = species_head.fit(torch.randn(40, 48), torch.arange(40) % 4)
    species_head.save(head, folder / HEAD, network="eye")
    return SensitivityConfig(
        corpus=birds, evaluators=folder, model=model, resolution=32, output=tmp_path / "measures.json"
    )


def test_every_damage_is_scored_by_every_measure(config, capsys):
    figures = sensitivity.measure(config)
    assert list(figures["rows"]) == [*CORRUPTIONS, "painted"]
    assert all(row.keys() == MEASURES.keys() for row in figures["rows"].values())
    assert json.loads(config.output.read_text())["rows"] == figures["rows"]
    rows = figures["rows"]
    assert rows["shuffled_2"]["observer_fid"] > rows["photographs"]["observer_fid"]
    assert rows["recoloured"]["observer_fid"] > rows["photographs"]["observer_fid"]
    page = config.output.with_suffix(".md").read_text()
    assert all(f"| {name} |" in page for name in rows)
    assert "Blind to shape" in page
    assert Image.open(config.output.with_suffix(".jpg")).height > 300


def test_blindness_is_being_ranked_no_worse_than_what_is_painted():
    rows = {name: {"bird_share": 5.0, "observer_fid": 100.0} for name in [*CORRUPTIONS, "painted"]}
    rows["painted"] = {"bird_share": 20.0, "observer_fid": 50.0}
    rows["shuffled_2"] = {"bird_share": 20.0, "observer_fid": 60.0}
    rows["shuffled_4"] = {"bird_share": 19.0, "observer_fid": 40.0}
    assert sensitivity.blind_to(rows, "bird_share") == ["shuffled_2"]
    assert sensitivity.blind_to(rows, "observer_fid") == ["shuffled_4"]


def test_too_few_photographs_are_refused(config):
    with pytest.raises(InputError, match=r"--photographs 5: out of range"):
        check_measures.main(["--photographs", "5"])
    with pytest.raises(InputError, match=r"--photographs 5000: .* test photographs; give fewer"):
        sensitivity.measure(SensitivityConfig(**{**vars(config), "photographs": 5000}))
