from pathlib import Path

import pytest

from attngan.training.gan_config import GanConfig
from attngan.training.gan_networks import build_generator
from datasets.errors import InputError
from s2i.evaluation import baselines

STAGES = (GanConfig(stages=1, pictures=10), GanConfig(stages=2, pictures=5))


def test_every_row_has_a_name_and_a_word_about_it():
    assert set(baselines.NAMES) == {*baselines.TRAINED, *baselines.OTHERS}
    assert all(baselines.about(name) for name in baselines.NAMES)


def test_unknown_rows_are_refused_with_those_that_are_known():
    baselines.check(("s2i", "real"))
    with pytest.raises(InputError, match=r"gan: no such row; known are real, stackgan") as refused:
        baselines.check(("s2i", "gan"))
    assert all(name in str(refused.value) for name in baselines.NAMES)
    with pytest.raises(InputError, match="twice"):
        baselines.check(("s2i", "s2i"))


@pytest.mark.parametrize("name", baselines.TRAINED)
def test_each_training_starts_where_the_one_before_ended(name):
    *before, first, second = baselines.trainings(name, STAGES, Path("runs"))
    assert first.init == (before[-1].run / "checkpoint.safetensors" if before else None)
    assert first.freeze == 0
    assert second.init == first.run / "checkpoint.safetensors"
    assert second.freeze == 1
    assert (first.run.name, second.run.name) == (f"{name}-64", f"{name}-128")


def test_the_row_that_begins_with_text_goes_on_from_it_with_speech():
    text, speech, larger = baselines.trainings("s2i_text_first", STAGES, Path("runs"))
    assert (text.condition, speech.condition, larger.condition) == ("text", "speech", "speech")
    assert (text.stages, speech.stages, larger.stages) == (1, 1, 2)
    assert text.run.name == "s2i_text_first-64-text"
    assert text.init is None


def test_all_rows_have_the_same_budget_and_care():
    free = {"run", "init", "condition", *baselines.STACKGAN}
    for name in baselines.TRAINED:
        assert sum(config.pictures for config in baselines.trainings(name, STAGES, Path("runs"))) == 15
    for stage in range(2):
        alike = [name for name, row in baselines.TRAINED.items() if not row.text_first]
        configs = [vars(baselines.trainings(name, STAGES, Path("runs"))[stage]) for name in alike]
        for name in configs[0].keys() - free:
            assert len({str(config[name]) for config in configs}) == 1, name


def test_stackgan_knows_the_sentence_alone():
    for name in ("stackgan", "stackgan_speech"):
        for config in baselines.trainings(name, STAGES, Path("runs")):
            assert not config.attention
            assert config.damsm_weight == 0
            assert build_generator(config).arguments["attention"] is False
