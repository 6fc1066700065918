import json

import pytest

from datasets.errors import InputError
from s2i.evaluation import transcribers
from s2i.model import whisper


def test_the_rate_is_that_of_all_words_and_its_error_shrinks_with_more_captions():
    captions, words = ["a red bird", "one"], ["a red", ""]
    few = transcribers.spread(captions, words, 0)
    assert few["mean"] == pytest.approx(50.0)  # two of four words
    many = transcribers.spread(captions * 50, words * 50, 0)
    assert many["mean"] == pytest.approx(50.0)
    assert 0 < many["std"] < few["std"] / 4
    assert transcribers.spread(captions, captions, 0) == {"mean": 0.0, "std": 0.0}


def test_the_table_has_a_line_for_each_voice_and_the_mean():
    def row(voice, first, second):
        rates = {"pocketsphinx": {"mean": first, "std": 1.0}, "Whisper": {"mean": second, "std": 2.0}}
        return {
            "voice": voice,
            "engine": "e",
            "use": "measuring",
            "condition": "clean",
            "n": 5,
            "word_error_rate": rates,
        }

    lines = transcribers.table([row("slt", 10.0, 20.0), row("joe", 30.0, 10.0)]).splitlines()
    assert lines[0] == "| voice | condition | n | pocketsphinx | Whisper |"
    assert lines[2] == "| slt (measuring) | clean | 5 | 10.0 ± 1.0 | 20.0 ± 2.0 |"
    assert lines[-1] == "| **mean of voices** | clean | 10 | 20.0 | 15.0 |"


@pytest.mark.slow
def test_all_that_are_installed_listen(build_birds, tmp_path, capsys):
    corpus = build_birds(tmp_path / "birds.h5", drawn_pictures=48, short_side=32)
    output = tmp_path / "out" / "transcribers.json"
    words = f"--corpus {corpus} --captions 1 --voices espeak-us-f5 --conditions clean --output {output}"
    transcribers.main(words.split())
    found = json.loads(output.read_text())
    (row,) = found["rows"]
    expected = ["pocketsphinx", *(["Whisper", "Whisper and captions"] if whisper.packaged_folder() else [])]
    assert list(row["word_error_rate"]) == list(found["seconds"]) == expected
    assert all(each["mean"] >= 0 for each in row["word_error_rate"].values())
    assert row["n"] == 1
    assert "espeak-us-f5" in output.with_suffix(".md").read_text()
    assert "espeak-us-f5 (measuring)" in capsys.readouterr().out


def test_what_cannot_be_measured_is_told(tmp_path):
    with pytest.raises(InputError, match="corpus not found"):
        transcribers.main(["--corpus", str(tmp_path / "none.h5")])
    with pytest.raises(InputError, match="conditions"):
        transcribers.main(["--conditions", "storm"])
