import dataclasses
from itertools import pairwise

import pytest
import torch

from datasets.errors import InputError
from s2i.app import recording, view
from s2i.model import replay
from s2i.model.session import Painter, repaint


@pytest.fixture
def painter(talking):
    return Painter(talking)


@pytest.fixture
def wave(small):
    return torch.from_numpy(small.hum(300))


def test_stages_come_one_after_the_other_and_agree_with_the_whole(painter, wave):
    described = painter.hear(wave)
    whole = painter.paint(described, 5)
    counts = []
    for pictures in painter.stages(described, 5):
        counts.append(len(pictures.stages))
        for some, all_of in zip(pictures.stages, whole.stages, strict=False):
            assert (some == all_of).all()
    assert counts == [1, 2, 3]
    assert (painter.model(wave, seed=5).stages[-1] == whole.stages[-1]).all()
    assert (painter.model(wave, samples=2, seed=5).stages[-1][1] == painter.paint(described, 5, 1).stages[-1][0]).all()


def test_a_mixture_goes_from_one_to_the_other(painter, wave):
    one, other = painter.hear(wave), painter.read("a small yellow bird with black wings and a red head")
    assert painter.between(one, other, 0) is one
    assert painter.between(one, other, 1) is other
    sentences = [painter.between(one, other, share).condition.sentence for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    steps = [float((b - a).norm()) for a, b in pairwise(sentences)]
    assert steps == pytest.approx([steps[0]] * 4, rel=1e-4)
    middle = painter.between(one, other, 0.5)
    assert len(one.segments) < middle.condition.words.shape[2] < len(other.parts)
    assert painter.between(middle, other, 0.0) is one


def test_a_picture_is_painted_again_from_its_file(painter, wave, tmp_path):
    kept = recording.read(recording.write(tmp_path / "heard.wav", wave))
    one, other = painter.hear(wave), painter.read("a red bird")
    for described in (one, other, painter.between(one, other, 0.3)):
        pictures = painter.paint(described, 9, 2)
        (tmp_path / "bird.json").write_text(painter.about(described, pictures, 9, 2).to_json())
        about = replay.load(tmp_path / "bird.json")
        again, same = repaint(painter, about, [("heard.wav", kept)])
        assert same
        assert (again.stages[-1] == pictures.stages[-1]).all()
    assert not repaint(painter, dataclasses.replace(about, pixels="other"), [("heard.wav", kept)])[1]
    with pytest.raises(InputError, match="none given"):
        repaint(painter, about, [])
    with pytest.raises(InputError, match=r"b\.wav: is not the recording"):
        repaint(painter, about, [("b.wav", wave * 0.5)])


def test_a_picture_is_painted_again_with_as_many_threads(painter, monkeypatch):
    described, before, used = painter.read("a red bird"), torch.get_num_threads(), []
    pictures = painter.paint(described, 9)
    about = dataclasses.replace(painter.about(described, pictures, 9, 0), threads=before + 1)
    plain = painter.model.paint

    def paint(*arguments, **named):
        used.append(torch.get_num_threads())
        return plain(*arguments, **named)

    monkeypatch.setattr(painter.model, "paint", paint)
    repaint(painter, about, [])
    assert used == [before + 1]
    assert torch.get_num_threads() == before
    assert painter.about(described, pictures, 9, 0).threads == before


def test_notes_tell_what_was_not_understood(painter):
    described = painter.read("a red bird with zorp " + "wings " * 30)
    assert any("zorp" in note for note in described.notes)
    assert any("first 24 words" in note for note in described.notes)
    assert painter.read("a red bird").notes == ()


def test_a_sentence_can_be_said(painter):
    pytest.importorskip("espeakng_loader")
    described = painter.say("a small yellow bird")
    assert described.text == "a small yellow bird"
    assert described.wave is not None
    assert described.spoken
    assert not described.typed
    for text in ("", "жёлтая птица", "x" * 10_000):
        with pytest.raises(InputError, match=r"^text"):
            painter.say(text)


def test_the_viewer_gets_what_it_draws(painter, wave):
    described = painter.hear(wave)
    shown = view.viewer(described, painter.paint(described, 0), [("<b>", 0.1, 0.3)], 3)
    assert [stage["resolution"] for stage in shown["stages"]] == [8, 16, 32]
    assert shown["stages"][0]["attention"] is None
    assert sum(shown["stages"][1]["attention"]["mass"]) == pytest.approx(1, abs=0.01)
    assert len(shown["parts"]) == len(described.segments)
    assert shown["wave"]["rate"] == 16_000
    typed = painter.read("a red bird")
    shown = view.viewer(typed, painter.paint(typed, 0))
    assert [part["word"] for part in shown["parts"]] == ["a", "red", "bird"]
    assert shown["mel"] is None
    mixed = painter.between(described, typed, 0.5)
    assert view.viewer(mixed, painter.paint(mixed, 0))["parts"] == []


def test_html_shows_words_and_never_runs_them():
    evil = "<img src=x onerror=alert(1)>'\""
    for made in (view.status(evil, notes=[evil]), view.card(evil, evil, None, [evil], evil)):
        assert "<img" not in made
        assert "&lt;img" in made
