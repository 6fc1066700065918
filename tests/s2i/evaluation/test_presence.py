import json

import numpy as np
import pytest
import soundfile

from datasets import audio, nonspeech, voices
from datasets.errors import InputError
from s2i import calibrate_presence
from s2i.model import speech_presence


@pytest.fixture
def people(tmp_path):
    """A small RAVDESS, whose actors are synthetic."""
    for actor in (1, 2, 24):
        place = tmp_path / "ravdess" / f"Actor_{actor:02}"
        place.mkdir(parents=True)
        for number in range(1, 5):
            wave = voices.synthesise(voices.by_name("espeak-us"), "kids are talking by the door", 10 * actor + number)
            audio.save(place / f"03-01-0{number + 1}-01-01-01-{actor:02}.flac", wave)
    return tmp_path / "ravdess"


@pytest.mark.slow
def test_it_learns_measures_and_writes_what_it_found(people, build_birds, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(voices, "VOICES", tuple(v for v in voices.VOICES if v.name in ("espeak-us", "espeak-us-f5")))
    monkeypatch.setattr(voices.available, "__defaults__", (voices.VOICES,))
    few = {name: nonspeech.LEARNT[name] for name in ("tones", "hum")}
    monkeypatch.setattr(nonspeech, "LEARNT", few)
    monkeypatch.setattr(nonspeech, "HELD_OUT", {"brown noise": nonspeech.brown})
    found = tmp_path / "found" / "other" / "kettles"
    found.mkdir(parents=True)
    (tmp_path / "found" / "README").write_text("Kettles of a friend.")
    soundfile.write(found / "one.wav", 0.5 * nonspeech.wind(np.random.default_rng(0), 2.0), 16_000)
    corpus = build_birds(tmp_path / "birds.h5", drawn_pictures=48, short_side=32)
    words = f"--ravdess {people} --corpus {corpus} --people 10 --captions 4 --sounds 6 --steps 200 --hidden 8"
    words += f" --found {tmp_path / 'found'} --output {tmp_path / 'out'}"
    calibrate_presence.main(words.split())
    path = tmp_path / "out" / speech_presence.WEIGHTS
    figures = json.loads(path.with_suffix(".json").read_text())
    assert set(figures["detected"]) == {"brown noise", "tones", "hum", "kettles"}
    assert figures["detected"]["tones"] == {"n": 3, "percent": figures["detected"]["tones"]["percent"], "learnt": True}
    assert figures["detected"]["hum"]["percent"] > 50
    alarms = figures["false_alarms"]["people acting (RAVDESS)"]
    assert alarms["clean"]["n"] == 4
    assert alarms["clean"]["percent"] < 50
    page = path.with_suffix(".md").read_text()
    assert "Kettles of a friend." in page
    assert "| brown noise | no | 3 |" in page
    assert str(tmp_path) not in page.split("`")[0]
    wave = voices.synthesise(voices.by_name("espeak-us-f5"), "this bird has a red head and black wings", 1)
    assert speech_presence.load(path).measure(wave) > 0
    assert str(path) in capsys.readouterr().out


def test_what_is_missing_is_told(tmp_path):
    with pytest.raises(InputError, match="corpus"):
        calibrate_presence.main(["--corpus", str(tmp_path / "none.h5")])
    with pytest.raises(InputError, match="captions"):
        calibrate_presence.main(["--captions", "0"])
