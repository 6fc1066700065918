import pytest
import torch

from s2i.app import view
from s2i.model.session import Session


def test_the_viewer_gets_what_it_draws(talking, small):
    session, wave = Session(talking), torch.from_numpy(small.hum(300))
    described = session.hear(wave)
    shown = view.viewer(described, session.paint(described, 0), [("<b>", 0.1, 0.3)], 3)
    assert [stage["resolution"] for stage in shown["stages"]] == [8, 16, 32]
    assert shown["stages"][0]["attention"] is None
    assert sum(shown["stages"][1]["attention"]["mass"]) == pytest.approx(1, abs=0.01)
    assert len(shown["parts"]) == len(described.segments)
    assert shown["wave"]["rate"] == 16_000
    typed = session.read("a red bird")
    shown = view.viewer(typed, session.paint(typed, 0))
    assert [part["word"] for part in shown["parts"]] == ["a", "red", "bird"]
    assert shown["mel"] is None
    mixed = session.between(described, typed, 0.5)
    assert view.viewer(mixed, session.paint(mixed, 0))["parts"] == []


def test_html_shows_words_and_never_runs_them():
    evil = "<img src=x onerror=alert(1)>'\""
    for made in (view.status(evil, notes=[evil]), view.card(evil, evil, None, [evil], evil)):
        assert "<img" not in made
        assert "&lt;img" in made
