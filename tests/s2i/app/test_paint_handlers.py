from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from s2i.app.backend import Backend
from s2i.app.paint_handlers import PaintHandlers
from s2i.model.session import Session


@pytest.fixture
def paint(talking, tmp_path):
    """Paint a recording as the page does; gives the lines that it tells."""
    handlers = PaintHandlers(Backend(Session(talking), tmp_path))
    handlers.backend.session.words = lambda wave: []  # the small model has no recogniser

    def paint(path, person="one"):
        request = SimpleNamespace(session_hash=person)
        return [told for _, told, *_ in handlers.speech(str(path), 0, 1, True, request)]

    return paint


@pytest.fixture
def tone(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000), 16_000)
    return path


def test_what_holds_no_speech_is_painted_when_paint_is_pressed_again(paint, tone):
    (refused,) = paint(tone)
    assert "holds no speech" in refused
    assert "press Paint" in refused
    assert "role='alert'" in refused
    assert "Painted 32 px" in paint(tone)[-1]
    assert "holds no speech" in paint(tone)[0]  # each time anew


def test_another_recording_or_another_person_is_asked_first(paint, tone, wav):
    paint(tone)
    assert "holds no speech" in paint(tone, "other")[0]
    assert "Painted 32 px" in paint(wav)[-1]
    assert "holds no speech" in paint(tone)[0]
