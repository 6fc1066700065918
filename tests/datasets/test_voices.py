import ctypes.util
import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from datasets import audio, engines, voices
from datasets.errors import InputError

TEXT = "this bird has a red head and black wings"
AVAILABLE = voices.available()
ONE_OF_EACH = [next(v for v in AVAILABLE if v.engine == e) for e in sorted({v.engine for v in AVAILABLE})]
each_voice = pytest.mark.parametrize("voice", AVAILABLE, ids=lambda voice: voice.name)
each_engine = pytest.mark.parametrize("voice", ONE_OF_EACH, ids=lambda voice: voice.engine)


def test_espeak_comes_with_the_requirements():
    assert "espeak" in {voice.engine for voice in AVAILABLE}


def test_the_table_keeps_unheard_voices_apart():
    names = [voice.name for voice in voices.VOICES]
    assert len(set(names)) == len(names)
    assert len({(voice.engine, voice.code) for voice in voices.VOICES}) == len(names)
    for engine in ("espeak", "flite"):
        assert {voice.heard for voice in voices.VOICES if voice.engine == engine} == {True, False}
    for use in voices.USES:
        assert any(voice.use == use for voice in voices.VOICES if voice.engine == "espeak")  # which is always there
    assert {voice.engine for voice in voices.VOICES} - voices.HEARD_ENGINES == {"hts", "piper"}
    assert voices.by_name("flite-slt").code == "slt"
    with pytest.raises(InputError, match="unknown; choose one of"):
        voices.by_name("nobody")


@each_voice
def test_every_voice_speaks(voice):
    wave = voices.synthesise(voice, TEXT, 0)
    assert (wave.dtype, wave.dim()) == (torch.float32, 1)
    assert 1.5 < len(wave) / audio.SAMPLE_RATE < 6
    assert 0.05 < wave.abs().max() <= 1.0
    audio.check(wave, voice.name)
    longer = voices.synthesise(voice, f"{TEXT} and {TEXT}", 0)
    assert len(longer) > 1.5 * len(wave)


@each_voice
def test_the_same_arguments_give_the_same_samples(voice):
    first = voices.synthesise(voice, TEXT, 3)
    other = voices.synthesise(voice, "another text", 4)
    assert torch.equal(first, voices.synthesise(voice, TEXT, 3))
    assert len(other) != len(first)
    assert not torch.equal(first, voices.synthesise(voice, TEXT, 4))


@pytest.mark.slow
def test_another_process_gives_the_same_samples():
    code = (
        "from datasets import voices\nfor voice in voices.available():\n"
        f"    print(float(voices.synthesise(voice, {TEXT!r}, 5).double().abs().sum()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [float(voices.synthesise(voice, TEXT, 5).double().abs().sum()) for voice in AVAILABLE]
    # To rounding: neural voices add up in another order now and then.
    assert [float(line) for line in done.stdout.split()] == pytest.approx(here, rel=1e-5)


def pitch_of(wave):
    """The commonest period in Hz, by autocorrelation of the whole."""
    spectrum = torch.fft.rfft(wave, 2 * len(wave)).abs().square()
    correlation = torch.fft.irfft(spectrum)[: len(wave)]
    low, high = audio.SAMPLE_RATE // 300, audio.SAMPLE_RATE // 70
    return audio.SAMPLE_RATE / (low + int(correlation[low:high].argmax()))


@each_engine
def test_seeds_change_rate_and_pitch_within_bounds(voice, monkeypatch):
    lengths = [len(voices.synthesise(voice, TEXT, seed)) for seed in range(8)]
    monkeypatch.setattr(voices, "RATE_JITTER", 0.0)
    steady = [voices.synthesise(voice, TEXT, seed) for seed in range(8)]
    usual = len(steady[0])
    assert max(lengths) / min(lengths) > 1.08
    # A network hurries through pauses more than through words, so that its speed is not quite what was asked for.
    slack = 0.2 if voice.engine in ("hibari", "piper") else 0.03
    assert all(0.85 - slack < length / usual < 1.19 + slack for length in lengths)
    assert all(abs(len(wave) - usual) < slack * usual for wave in steady)
    pitches = [pitch_of(wave) for wave in steady]
    assert max(pitches) / min(pitches) > 1.05


@each_engine
@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), (" \n\t", "empty"), ("...", "give words"), ("x" * 1001, "at most 1000")]
)
def test_text_that_cannot_be_spoken_is_refused(voice, text, words):
    with pytest.raises(InputError, match=words) as caught:
        voices.synthesise(voice, text, 0)
    assert voice.name in str(caught.value)
    assert "\n" not in str(caught.value)


@each_engine
def test_text_is_neither_command_nor_option_nor_markup(voice, tmp_path):
    target = tmp_path / "pwned"
    for text in (
        f"$(touch {target}) `touch {target}`",
        f"red; touch {target}",
        f"-o {target}",
        "--help",
        f'red") (system "touch {target}") (set! x "',
        f'red\\") (system "touch {target}") (set! x "',
        "(quit)",
        "<speak>red</speak>",
        "[[red]] a\0b\x1bc",
        "café ünïcode",
    ):
        assert len(voices.synthesise(voice, text, 0)) > 3000, text
    assert not target.exists()
    file = tmp_path / "long.txt"
    file.write_text("word " * 2000)  # a name is spoken, not read
    voices.synthesise(voice, str(file)[:60], 0)
    # Markup that was obeyed would say no more than the words in it.
    plain, marked = (len(voices.synthesise(voice, text, 0)) for text in ("red", "<emphasis>red</emphasis>"))
    assert marked > plain


@each_engine
def test_one_short_word_is_long_enough(voice):
    audio.check(voices.synthesise(voice, "a", 0), "a")


def test_a_missing_engine_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(voices, "_installed", lambda engine: None)
    assert voices.available() == []
    for engine, remedy in (("flite", "apt-get install flite"), ("espeak", "pip install espeakng-loader")):
        voice = next(voice for voice in voices.VOICES if voice.engine == engine)
        with pytest.raises(InputError, match=f"{engine} is not installed; run: {remedy}"):
            voices.synthesise(voice, TEXT, 0)


ESPEAK = voices.by_name("espeak-us-f2")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the libraries of a process")
def test_espeak_is_a_program_of_its_own():
    code = (
        "from datasets import voices\nwave = voices.synthesise(voices.by_name('espeak-us'), 'a bird', 0)\n"
        "print(len(wave), 'espeak' in open('/proc/self/maps').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[0]) > audio.MIN_SECONDS * audio.SAMPLE_RATE
    assert done.stdout.split()[1] == "False"


def test_espeak_that_ends_is_told_and_started_again():
    first = voices.synthesise(ESPEAK, TEXT, 0)
    process = engines._espeak_process(os.getpid())
    process.kill()
    process.wait()
    with pytest.raises(InputError, match="espeak: its program ended while it spoke; try again"):
        voices.synthesise(ESPEAK, TEXT, 0)
    assert torch.equal(voices.synthesise(ESPEAK, TEXT, 0), first)


@pytest.mark.parametrize(
    ("library", "complaint"),
    [(("/nowhere/libespeak-ng.so",), "cannot open shared object"), (("libm.so.6",), "undefined symbol")],
)
def test_a_library_that_is_none_is_told_with_its_remedy(library, complaint, monkeypatch):
    monkeypatch.setattr(engines, "espeak_library", lambda: library)
    engines._espeak_process.cache_clear()
    try:
        with pytest.raises(InputError, match=f"espeak: cannot speak.*{complaint}.*pip install espeakng-loader"):
            voices.synthesise(ESPEAK, TEXT, 0)
    finally:
        engines._espeak_process.cache_clear()


@pytest.mark.skipif(not ctypes.util.find_library("espeak-ng"), reason="the system has no espeak-ng")
def test_without_the_package_the_library_of_the_system_speaks(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "espeakng_loader" else find(name))
    engines._espeak_process.cache_clear()
    try:
        audio.check(voices.synthesise(ESPEAK, TEXT, 0), "the system's")
    finally:
        engines._espeak_process.cache_clear()
