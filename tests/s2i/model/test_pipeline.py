import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from attngan.runtime import checkpoint
from attngan.runtime.training_options import HALF, SINGLE
from datasets import audio
from datasets.errors import InputError
from s2i import SpeechToImage
from s2i.model import model_folder
from tests.helpers import refused


def test_one_line_each_for_load_call_and_save(model, wav, tmp_path):
    pictures = SpeechToImage.load(model)(str(wav))
    paths = pictures.save(tmp_path / "out", "bird")
    assert [path.name for path in paths] == ["bird-8.png", "bird-16.png", "bird-32.png"]
    for path, stage in zip(paths, pictures.stages, strict=True):
        assert (np.asarray(Image.open(path)) == stage[0]).all()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in paths)


def test_the_result_has_the_shapes_that_it_promises(model, wav):
    pictures = SpeechToImage.load(model)(wav, samples=2)
    segments = len(pictures.segments)
    assert len(pictures) == 2
    assert segments == 6
    assert [stage.shape for stage in pictures.stages] == [(2, s, s, 3) for s in (8, 16, 32)]
    assert all(stage.dtype == np.uint8 for stage in pictures.stages)
    assert [looked.shape for looked in pictures.attention] == [(2, s, s, segments) for s in (8, 16)]
    for looked in pictures.attention:
        np.testing.assert_allclose(looked.sum(3), 1, atol=1e-5)
    assert pictures.log_mel.shape == (101, audio.N_MELS)
    assert pictures.segments[0][0] == 0
    assert pictures.segments[-1][1] == pytest.approx(1.01)
    assert all(a[1] == b[0] for a, b in zip(pictures.segments, pictures.segments[1:], strict=False))
    assert pictures.image(1, 0).size == (8, 8)


def test_pixels_depend_on_recording_seed_and_sample_and_on_nothing_else(model, wav, small, tmp_path):
    paint = SpeechToImage.load(model)
    one, three = paint(wav, seed=5), paint(wav, samples=3, seed=5)
    for a, b in zip(one.stages, three.stages, strict=True):
        assert (a[0] == b[0]).all()
    last = three.stages[-1].astype(int)
    assert np.abs(last[0] - last[1]).mean() > 1
    assert np.abs(last[1] - last[2]).mean() > 1
    assert np.abs(last[0] - paint(wav, seed=6).stages[-1][0]).mean() > 1
    other = tmp_path / "other.wav"
    soundfile.write(other, small.hum(900), 16_000)
    assert (last[0] != paint(other, seed=5).stages[-1][0]).any()
    torch.manual_seed(99)
    assert (SpeechToImage.load(model)(wav, seed=5).stages[-1] == one.stages[-1]).all()


def test_a_recording_may_be_a_file_a_tensor_or_an_array_with_its_rate(model, wav, small):
    paint = SpeechToImage.load(model)
    wanted = paint(wav).stages[-1].astype(int)
    wave, _ = soundfile.read(wav, dtype="float32")
    integers, _ = soundfile.read(wav, dtype="int16")
    stereo = np.stack([wave, wave])
    forms = (torch.from_numpy(wave), wave, (wave, 16_000), (stereo.T, 16_000.0), (stereo, 16_000), integers)
    forms += ((16_000, integers), wav.read_bytes(), {"array": wave, "sampling_rate": 16_000})
    for recording in forms:
        assert np.abs(paint(recording).stages[-1] - wanted).max() <= 1
    resampled = paint((small.hum(300, rate=48_000), 48_000)).stages[-1]
    assert np.abs(resampled - wanted).mean() < 3


def test_what_holds_no_speech_is_painted_only_by_force(model):
    paint = SpeechToImage.load(model)
    noise = torch.randn(32_000, generator=torch.Generator().manual_seed(0)) / 10
    with pytest.raises(InputError, match=r"recording: holds no speech, .* force=True"):
        paint(noise)
    assert len(paint(noise, force=True)) == 1


def test_samples_are_numbered_in_their_files(model, wav, tmp_path):
    paths = SpeechToImage.load(model)(wav, samples=2).save(tmp_path, "a")
    assert [path.name for path in paths] == [f"a-{n}-{resolution}.png" for n in (1, 2) for resolution in (8, 16, 32)]


def test_half_precision_weights_become_float32(model, wav):
    wanted = SpeechToImage.load(model)(wav).stages[-1].astype(int)
    for name, kind in (("speech", "speech-encoder-weights"), ("generator", "generator")):
        state, about = checkpoint.load(model / f"{name}.safetensors", kind)
        inner = state["caption"] if name == "speech" else state
        for key, value in inner.items():
            inner[key] = value.half() if value.is_floating_point() else value
        checkpoint.save(model / f"{name}.safetensors", state, about)
    paint = SpeechToImage.load(model)
    assert {value.dtype for value in paint.generator.parameters()} == {torch.float32}
    assert np.abs(paint(wav).stages[-1] - wanted).mean() < 2


@pytest.mark.parametrize(
    ("recording", "word"),
    [
        (torch.zeros(16_000), "silent"),
        (torch.full((16_000,), torch.nan), "not numbers"),
        (torch.rand(1000), "at least"),
        (torch.rand(31 * 16_000), "at most"),
        (torch.rand(2, 2, 16_000), "shape"),
        ((torch.rand(16_000), 10), "rate"),
        (torch.ones(16_000, dtype=torch.complex64), "complex64"),
    ],
)
def test_a_bad_recording_is_refused(model, recording, word):
    refused(lambda: SpeechToImage.load(model)(recording), word)


def test_numbers_out_of_range_are_refused(model, wav):
    paint = SpeechToImage.load(model)
    refused(lambda: paint(wav, samples=0), "samples 0", "from 1")
    refused(lambda: paint(wav, samples=101), "samples 101", "to 100")
    refused(lambda: paint(wav, seed=-1), "seed -1", "at least 0")
    refused(lambda: SpeechToImage.load(model, device="abacus"), "abacus")


def test_a_damaged_model_is_refused(model):
    speech, generator = model / "speech.safetensors", model / "generator.safetensors"
    good = generator.read_bytes()

    def load():
        SpeechToImage.load(model)

    for cut in (0, 5, 100, len(good) // 2, len(good) - 1):
        generator.write_bytes(good[:cut])
        refused(load, generator, "cut off")
    generator.write_bytes(b"no safetensors" * 99)
    refused(load, generator, "not a checkpoint")
    generator.write_bytes(speech.read_bytes())
    refused(load, generator, "holds a speech-encoder-weights, not a generator")
    generator.unlink()
    refused(load, generator, "not found")
    generator.write_bytes(good)
    speech.write_bytes(good)
    refused(load, speech, "holds a generator, not a speech encoder")
    refused(lambda: SpeechToImage.load(model / "nowhere"), "nowhere", "not found")


def test_a_model_of_another_version_or_size_is_refused(model):
    generator = model / "generator.safetensors"
    state, about = checkpoint.load(generator, "generator")

    def load():
        SpeechToImage.load(model)

    checkpoint.save(generator, state, {**about, "generator": {**about["generator"], "widths": [8]}})
    refused(load, generator, "another size")
    checkpoint.save(generator, state, {**about, "generator": {**about["generator"], "colours": 3}})
    refused(load, generator, "another version", "colours")
    checkpoint.save(generator, state, {"kind": "generator"})
    refused(load, generator, "another version")
    checkpoint.save(generator, state, {**about, "format": checkpoint.FORMAT + 1})
    refused(load, generator, f"format {checkpoint.FORMAT + 1}", f"reads {checkpoint.FORMAT}")


def test_two_files_that_do_not_fit_together_are_refused(model, small):
    small.generator(model / "generator.safetensors", dimension=64)
    refused(lambda: SpeechToImage.load(model), "256", "64", "same training")
    small.encoder(model / "speech.safetensors", dimension=64)
    SpeechToImage.load(model)


def test_checksums_are_checked_where_there_is_a_manifest(model, small):
    model_folder.write_manifest(model, {"speech.safetensors": {"seen": 7}, "generator.safetensors": {}})
    SpeechToImage.load(model)
    assert json.loads((model / "model.json").read_text())["files"]["speech.safetensors"]["seen"] == 7
    small.generator(model / "generator.safetensors", blocks=(2,))
    refused(lambda: SpeechToImage.load(model), model / "generator.safetensors", "model.json")
    for text in ("{", "[]", '{"files": {}}', '{"files": 3}'):
        (model / "model.json").write_text(text)
        refused(lambda: SpeechToImage.load(model), model / "model.json", "checksums")


def test_painting_imports_nothing_that_only_training_needs():
    code = (
        "import sys; from s2i import SpeechToImage; SpeechToImage.load; "
        "print([m for m in ('lightning_fabric', 'tensorboard', 'torchvision', 'matplotlib', 'h5py', 'nltk', 'scipy', "
        "'attngan.runtime.run', 'attngan.training.gan', 'datasets.loader') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_in_half_precision_it_paints_nearly_the_same(model, wav):
    whole, half = (SpeechToImage.load(model, "cpu", precision=precision)(wav) for precision in (SINGLE, HALF))
    for a, b in zip(whole.stages, half.stages, strict=True):
        assert np.abs(a.astype(int) - b).mean() < 2.5
        assert (a != b).any()  # it really is another precision
