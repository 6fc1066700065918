"""The exported program paints what the model paints, of recordings of any length, without the model's code."""

import subprocess
import sys

import pytest
import torch

from s2i import SpeechToImage, export
from s2i.model import program
from tests.helpers import refused

RUN = """
import sys, torch
waves, noise, epsilon = torch.load(sys.argv[2])
run = torch.export.load(sys.argv[1]).module()
torch.save([run(wave, noise, epsilon) for wave in waves], sys.argv[3])
assert not {"s2i", "attngan"} & set(sys.modules)
"""


@pytest.mark.slow
def test_the_program_paints_equally_at_any_length(model, small, tmp_path):
    options = {
        "sen": model / "speech.safetensors",
        "gan": model / "generator.safetensors",
        "output": tmp_path / "shipped",
    }
    export.main(["--torch-export", *(f"--{name}={path}" for name, path in options.items())])
    paint = SpeechToImage.load(tmp_path / "shipped")
    noise = paint.generator.sample_noise([(7, 0)])
    waves = [torch.from_numpy(small.hum(300, seconds)) for seconds in (0.31, 1.0, 3.37, 29.9)]
    torch.save((waves, noise.noise, noise.epsilon), tmp_path / "given.pt")
    command = [sys.executable, "-c", RUN, str(tmp_path / "shipped" / "program.pt2")]
    done = subprocess.run(
        [*command, str(tmp_path / "given.pt"), str(tmp_path / "made.pt")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for wave, pictures in zip(waves, torch.load(tmp_path / "made.pt"), strict=True):
        wanted = paint.generator.paint(paint.hear(wave).condition, noise).pictures
        assert [picture.shape for picture in pictures] == [picture.shape for picture in wanted]
        for one, other in zip(pictures, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_an_encoder_that_chooses_frames_is_refused(model, small, tmp_path):
    small.encoder(model / "speech.safetensors", front="speech")
    paint = SpeechToImage.load(model)
    refused(lambda: program.export(paint.encoder, paint.generator, tmp_path / "program.pt2"), "--front utterance")
    assert not (tmp_path / "program.pt2").exists()
