import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from datasets.errors import InputError
from s2i.model import microphone

SIZE = 1600
ROOM = 1e-3


def room(seed=0):
    return (ROOM * np.random.default_rng(seed).standard_normal(SIZE)).astype(np.float32)


def voice(level=0.1):
    return (level * np.sin(np.arange(SIZE) / 10)).astype(np.float32)


def seconds(blocks, stopped=lambda: False):
    return len(microphone.until_silence(iter(blocks), stopped)) / 16_000


def test_recording_ends_after_a_pause_and_keeps_the_start():
    blocks = [*[room(k) for k in range(20)], *[voice()] * 15, *[room(k) for k in range(50)]]
    assert seconds(blocks) == pytest.approx(0.3 + 1.4 + 1.2, abs=0.15)


def test_short_pauses_do_not_end_it_and_speech_may_begin_at_once():
    speech = [*[voice()] * 8, *[room(k) for k in range(8)], *[voice()] * 8]
    assert seconds([*speech, *[room(k) for k in range(30)]]) == pytest.approx(2.4 + 1.2, abs=0.15)
    assert seconds([*[voice()] * 30, *[room(k) for k in range(30)]]) == pytest.approx(3.0 + 1.2, abs=0.15)


def test_enter_ends_it_and_endless_noise_too():
    presses = iter([False] * 9 + [True])
    assert seconds(itertools.repeat(voice()), lambda: next(presses)) == pytest.approx(1.0)
    assert seconds(itertools.repeat(voice(0.3))) <= 30


def test_nothing_said_is_refused():
    with pytest.raises(InputError, match="nothing was said"):
        seconds(itertools.repeat(room()))
    with pytest.raises(InputError, match="nothing was said"):
        seconds([room()] * 3)


def test_without_a_device_the_line_says_so(monkeypatch):
    class Missing(Exception):
        pass

    def stream(**_):
        raise Missing("Error querying device -1")

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(InputStream=stream, PortAudioError=Missing))
    with pytest.raises(InputError, match=r"microphone: none can be used .*device -1.*give a recording"):
        microphone.record()
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match="pip install sounddevice"):
        microphone.record()
