import dataclasses
import os
from itertools import pairwise

import pytest
import torch

from datasets.errors import InputError
from s2i.app import recording
from s2i.model import painted_file
from s2i.model.session import Session


@pytest.fixture
def session(talking):
    return Session(talking)


@pytest.fixture
def wave(small):
    return torch.from_numpy(small.hum(300))


def test_stages_come_one_after_the_other_and_agree_with_the_whole(session, wave):
    described = session.hear(wave)
    whole = session.paint(described, 5)
    counts = []
    for pictures in session.stages(described, 5):
        counts.append(len(pictures.stages))
        for some, all_of in zip(pictures.stages, whole.stages, strict=False):
            assert (some == all_of).all()
    assert counts == [1, 2, 3]
    assert (session.model(wave, seed=5).stages[-1] == whole.stages[-1]).all()
    assert (session.model(wave, samples=2, seed=5).stages[-1][1] == session.paint(described, 5, 1).stages[-1][0]).all()


def test_a_mixture_goes_from_one_to_the_other(session, wave):
    one, other = session.hear(wave), session.read("a small yellow bird with black wings and a red head")
    assert session.between(one, other, 0) is one
    assert session.between(one, other, 1) is other
    sentences = [session.between(one, other, share).condition.sentence for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    steps = [float((b - a).norm()) for a, b in pairwise(sentences)]
    assert steps == pytest.approx([steps[0]] * 4, rel=1e-4)
    middle = session.between(one, other, 0.5)
    assert len(one.segments) < middle.condition.words.shape[2] < len(other.parts)
    assert session.between(middle, other, 0.0) is one


def test_a_picture_is_painted_again_from_its_file(session, wave, tmp_path):
    kept = recording.read(recording.write(tmp_path / "heard.wav", wave))
    one, other = session.hear(wave), session.read("a red bird")
    for described in (one, other, session.between(one, other, 0.3)):
        pictures = session.paint(described, 9, 2)
        (tmp_path / "bird.json").write_text(pictures.origins[0].painting.to_json())
        about = painted_file.read(tmp_path / "bird.json")
        again, _, same = session.repaint(about, [("heard.wav", kept)])
        assert same
        assert (again.stages[-1] == pictures.stages[-1]).all()
    assert not session.repaint(
        painted_file.Origin(dataclasses.replace(about.painting, pixels="x")), [("heard.wav", kept)]
    )[2]
    with pytest.raises(InputError, match="none given"):
        session.repaint(about, [])
    with pytest.raises(InputError, match=r"b\.wav: is not the recording"):
        session.repaint(about, [("b.wav", wave * 0.5)])


@pytest.mark.parametrize("more", [0, 1])
def test_a_picture_is_painted_again_with_as_many_threads_as_there_are_cores(session, monkeypatch, more):
    monkeypatch.setattr(os, "cpu_count", lambda: torch.get_num_threads() + more)
    described, before, used = session.read("a red bird"), torch.get_num_threads(), []
    pictures = session.paint(described, 9)
    about = dataclasses.replace(pictures.origins[0].painting, threads=before + 1023)
    plain = session.model.paint

    def paint(*arguments, **named):
        used.append(torch.get_num_threads())
        return plain(*arguments, **named)

    monkeypatch.setattr(session.model, "paint", paint)
    session.repaint(painted_file.Origin(about))
    assert used == [before + more]
    assert torch.get_num_threads() == before
    assert session.paint(described, 9).origins[0].painting.threads == before


def test_notes_tell_what_was_not_understood(session):
    described = session.read("a red bird with zorp " + "wings " * 30)
    assert any("zorp" in note for note in described.notes)
    assert any("first 24 words" in note for note in described.notes)
    assert session.read("a red bird").notes == ()


def test_a_sentence_can_be_said(session):
    pytest.importorskip("espeakng_loader")
    described = session.say("a small yellow bird")
    assert described.text == "a small yellow bird"
    assert described.wave is not None
    assert described.spoken
    assert not described.typed
    for text in ("", "жёлтая птица", "x" * 10_000):
        with pytest.raises(InputError, match=r"^text"):
            session.say(text)
