import json

import pytest
import torch

from attngan.networks.encoders import build_image_encoder
from attngan.networks.generator import load_generator
from attngan.runtime import checkpoint
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from s2i import train_baselines
from s2i.evaluation import baselines, models
from s2i.model.speech_encoder import SpeechEncoder
from s2i.train_baselines import BaselinesConfig
from tests.helpers import IMAGE, write_damsm

GAMMAS = {"gamma1": 4.0, "gamma2": 5.0, "gamma3": 10.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory, build_birds):
    """Drawn birds, a model folder with encoders of random weights, and a text-free DAMSM."""
    root = tmp_path_factory.mktemp("baselines")
    build_birds(root / "birds.h5")
    vocabulary = Vocabulary.build(Corpus(root / "birds.h5").captions)
    write_damsm(root / "model/damsm.safetensors", 1, vocabulary.words, config=GAMMAS)
    torch.manual_seed(1)
    image = build_image_encoder({**IMAGE, "weights": None}).state_dict()
    for path, kind in ((root / "model/speech.safetensors", "speech-encoder-weights"), (root / "free", "damsm-weights")):
        speech = SpeechEncoder(width=12, hidden=8, segments=6)
        spoken = {"kind": kind, "speech": speech.arguments, "caption": "speech", "image": IMAGE, "config": GAMMAS}
        checkpoint.save(path, {"image": image, "caption": speech.state_dict()}, spoken)
    return root


@pytest.fixture
def options(place, tmp_path):
    return {
        "size": "tiny",
        "corpus": place / "birds.h5",
        "damsm": place / "model/damsm.safetensors",
        "sen": place / "model/speech.safetensors",
        "text_free": place / "free",
        "runs": tmp_path / "runs",
        "output": tmp_path / "baselines",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", baselines.TRAINED)
def test_a_row_is_trained_and_paints(name, options, place):
    config = BaselinesConfig(rows=(name,), pictures=(16, 8), **options)
    written = train_baselines.train(config)
    assert all(path.is_file() for path in written)
    generator, about = load_generator(options["output"] / f"{name}.safetensors")
    assert len(generator) == 2
    assert about["budget_pictures"] == 24
    assert generator.arguments["attention"] is not name.startswith("stackgan")
    first = 8 if baselines.TRAINED[name].text_first else 16  # the other half of it had another run
    for resolution, pictures in zip(generator.resolutions, (first, 8), strict=True):
        settings = json.loads((options["runs"] / f"{name}-{resolution}" / "config.json").read_text())
        assert settings["pictures"] == pictures
    model = models.load(name, model=place / "model", baselines=options["output"])
    assert model.budget == 24
    assert model.speech == (baselines.TRAINED[name].condition == "speech")
    condition = model.encode(["a red bird"], lambda: [torch.randn(90, 40)])
    assert model.paint(condition, [(0, 0)], 32)[-1].shape == (1, 3, 32, 32)
    shipped = {path: path.read_bytes() for path in written}
    train_baselines.train(config)  # a finished row is left as it is
    assert {path: path.read_bytes() for path in written} == shipped


def test_the_text_free_row_never_meets_text(options):
    config = BaselinesConfig(**options)
    for stage in config.trainings("s2i_text_free"):
        assert stage.condition == "speech"
        assert stage.damsm == stage.sen == options["text_free"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ("s2i",)}, "s2i: no such row; known are stackgan"),
        ({"pictures": (0, 5)}, "--pictures 0"),
        ({"size": "huge"}, "--size huge"),
    ],
)
def test_bad_options_are_refused(options, changes, message):
    with pytest.raises(InputError, match=message):
        BaselinesConfig(**{**options, **changes})


def test_a_missing_encoder_is_one_line(options, tmp_path):
    config = BaselinesConfig(rows=("attngan",), **{**options, "damsm": tmp_path / "none"})
    with pytest.raises(InputError, match=r"none: .*not found"):
        train_baselines.train(config)
