import pytest
from PIL import Image

from datasets import distort
from datasets.errors import InputError
from s2i.evaluation import noise_figure


def found(*cases):
    score = {"mean": 20.0, "std": 2.0}
    return [
        {"condition": name, "level": level, "s2i": score, "transcribe": score, "word_error_rate": 30.0 + place}
        for place, (name, level) in enumerate(cases)
    ]


def test_conditions_are_written_as_people_write_them():
    assert noise_figure.label("white", 5.0) == "white 5 dB"
    assert noise_figure.label("rate", 1.2) == "rate ×1.2"
    assert noise_figure.label("telephone", None) == "telephone"


def test_noise_grows_to_the_right_and_clean_speech_begins_it():
    shown, marks = noise_figure._places(found(*distort.CONDITIONS), "babble")
    assert marks == {0.0: "clean", 1.0: "20", 2.0: "10", 3.0: "5", 4.0: "0"}
    assert [(place, each["condition"], each["level"]) for place, each in shown] == [
        (0.0, "clean", None),
        (1.0, "babble", 20.0),
        (2.0, "babble", 10.0),
        (3.0, "babble", 5.0),
        (4.0, "babble", 0.0),
    ]


def test_speeds_stand_at_their_value_and_clean_speech_at_one():
    shown, marks = noise_figure._places(found(*distort.CONDITIONS), "rate")
    assert [place for place, _ in shown] == sorted(marks) == [0.8, 0.9, 1.0, 1.1, 1.2, 1.3]
    assert shown[2][1]["condition"] == "clean"


@pytest.mark.parametrize("cases", [[*distort.CONDITIONS, ("heard voices", None)], [("clean", None)], [("white", 5.0)]])
def test_all_conditions_or_a_few_are_drawn(cases, tmp_path):
    noise_figure.draw(found(*cases), tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").width >= 1000


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        noise_figure.draw(found(("clean", None)), tmp_path)
