import functools
import math
from types import SimpleNamespace

import pytest
import soundfile
import torch
import torchaudio

from attngan.networks.generator import Generator
from attngan.runtime import checkpoint
from datasets import prepare, voices
from s2i.model.speech_encoder import SpeechEncoder
from tests.helpers import write_damsm

RATE = 16_000


@functools.cache
def spoken():
    """A long sentence in a synthetic voice, since what is no speech is not painted."""
    text = "this bird has a red head and black wings, and its belly is white with many small brown spots"
    return voices.synthesise(voices.by_name("espeak-us"), text, 0)


def hum(place, seconds=1.0, rate=RATE):
    """A stretch of speech that begins at another `place` for another number, again and again where it is long."""
    count = math.ceil(seconds * RATE) + 1
    start = place * 23 % (len(spoken()) // 2)
    wave = spoken().repeat(2 + count // len(spoken()))[start : start + count]
    if rate != RATE:
        wave = torchaudio.functional.resample(wave, RATE, rate)
    return (0.4 * wave / wave.abs().max()).numpy()[: round(seconds * rate)]


def write_encoder(path, **arguments):
    torch.manual_seed(1)
    encoder = SpeechEncoder(**{"width": 12, "hidden": 8, "segments": 6, "segment_frames": 2} | arguments)
    about = {"kind": "speech-encoder-weights", "speech": encoder.arguments, "seen": 7}
    checkpoint.save(path, {"caption": encoder.state_dict()}, about)
    return encoder


def write_generator(path, **arguments):
    torch.manual_seed(2)
    small = {"stages": 3, "base": 8, "widths": (4,), "blocks": (1,), "max_width": 8}
    generator = Generator(**small | arguments)
    with torch.no_grad():
        for head in generator.heads:  # fresh ones paint grey in grey
            for value in head.parameters():
                value.mul_(30)
    checkpoint.save(path, generator.state_dict(), {"kind": "generator", "generator": generator.arguments})
    return generator


@pytest.fixture
def small():
    """How tests make their recordings and networks, of any size."""
    return SimpleNamespace(hum=hum, encoder=write_encoder, generator=write_generator, damsm=write_damsm)


@pytest.fixture
def model(tmp_path):
    """A folder with a small model of random weights."""
    folder = tmp_path / "model"
    write_encoder(folder / "speech.safetensors")
    write_generator(folder / "generator.safetensors")
    return folder


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "recordings" / "bird.wav"
    path.parent.mkdir()
    soundfile.write(path, hum(300), RATE)
    return path


@pytest.fixture(scope="session")
def build_birds():
    """Write a corpus of drawn birds of 12 species, with one espeak recording each or two, and give its path."""

    def build(path, *, drawn_pictures=60, short_side=40):
        return prepare.build(
            prepare.PrepareConfig(
                source="drawn",
                output=path,
                recordings_per_picture=1,
                measuring_recordings_per_picture=1,
                short_side=short_side,
                engines=("espeak",),
                drawn_pictures=drawn_pictures,
                drawn_species=12,
                workers=1,
            )
        )

    return build


@pytest.fixture(scope="session")
def build_talking():
    """Write into a folder a small model that reads as well as hears, and give the folder."""

    def build(folder):
        write_encoder(folder / "speech.safetensors")
        write_generator(folder / "generator.safetensors")
        write_damsm(folder / "damsm.safetensors")
        return folder

    return build


@pytest.fixture
def talking(model, build_talking):
    """A folder with a small model that reads as well as hears."""
    return build_talking(model)
