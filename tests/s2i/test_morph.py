from itertools import pairwise

import numpy as np
import pytest
import soundfile
from PIL import Image

from datasets.errors import InputError
from s2i import morph
from s2i.morph import GAP

SIDE, RATE = 32, 16_000


@pytest.fixture
def run(model, wav, small, tmp_path, capsys):
    """Run the command between two recordings; gives the strip's columns, each [rows, SIDE, SIDE, 3]."""
    other = tmp_path / "other.flac"
    soundfile.write(other, small.hum(900), RATE)

    def run(*arguments, samples=1, ends=(wav, other)):
        path = tmp_path / "strips" / "strip.png"
        options = ["--model", model, "--resolution", SIDE, "--samples", samples, "--output", path]
        morph.main([str(argument) for argument in (*ends, *options, *arguments)])
        assert capsys.readouterr().out == f"{path}\n"
        strip = np.asarray(Image.open(path))
        assert strip.shape[0] == samples * (SIDE + GAP) - GAP
        columns = [strip[:, left : left + SIDE] for left in range(0, strip.shape[1], SIDE + GAP)]
        return [np.stack([c[top : top + SIDE] for top in range(0, len(c), SIDE + GAP)]) for c in columns]

    run.ends = wav, other
    return run


def test_it_goes_from_one_to_the_other_with_the_same_noise(run, model):
    from s2i.model.pipeline import SpeechToImage

    columns = run("--steps", 5, "--seed", 3, samples=2)
    assert len(columns) == 5
    painter = SpeechToImage.load(model)
    for column, recording in ((columns[0], run.ends[0]), (columns[-1], run.ends[1])):
        assert (column == painter(recording, samples=2, seed=3).stages[-1]).all()
    assert all((one != other).any() for one, other in pairwise(columns))
    assert (columns[0][0] != columns[0][1]).any()


def test_what_holds_no_speech_is_told_and_painted_only_by_force(run, tmp_path):
    tone = tmp_path / "tone.wav"
    soundfile.write(tone, 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE), RATE)
    with pytest.raises(InputError, match=r"tone\.wav: holds no speech, .* --force"):
        run(ends=(run.ends[0], tone))
    assert len(run("--force", "--steps", 2, ends=(run.ends[0], tone))) == 2


def test_between_two_that_are_the_same_nothing_changes(run):
    one, middle, other = run("--steps", 3, ends=(run.ends[0], run.ends[0]))
    assert (one == middle).all()
    assert (one == other).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--steps", 1), "--steps 1: out of range"),
        (("--samples", 0), "--samples 0: out of range"),
        (("--resolution", 48), "--resolution 48: the model paints 8, 16, 32 px"),
        (("--output", "strip.gif"), "--output strip.gif: should end in .png or .jpg"),
    ],
)
def test_what_cannot_be_painted_is_one_line(model, wav, arguments, message):
    with pytest.raises(InputError) as error:
        morph.main([str(wav), str(wav), "--model", str(model), "--resolution", "32", *map(str, arguments)])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_two_recordings_are_wanted(wav):
    with pytest.raises(InputError, match="recordings: 1 given; name two"):
        morph.main([str(wav)])
