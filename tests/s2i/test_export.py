import hashlib
import json

import numpy as np
import pytest
import torch

from attngan.runtime import checkpoint
from datasets.cli import repository
from datasets.errors import InputError
from s2i import SpeechToImage, export


@pytest.fixture
def trained(model, tmp_path):
    """Options for trained weights and an output folder that is not there yet."""
    return export.ExportConfig(
        sen=model / "speech.safetensors", gan=model / "generator.safetensors", output=tmp_path / "shipped"
    )


def test_what_is_exported_paints_the_same(model, trained, wav, capsys):
    export.main(["--sen", str(trained.sen), "--gan", str(trained.gan), "--output", str(trained.output)])
    assert sorted(path.name for path in trained.output.iterdir()) == [
        "generator.safetensors",
        "model.json",
        "speech.safetensors",
    ]
    before, after = (SpeechToImage.load(folder)(wav).stages[-1].astype(int) for folder in (model, trained.output))
    assert np.abs(before - after).mean() < 2
    out = capsys.readouterr().out
    assert "MB in all, of at most 24 MB" in out
    assert len(out.splitlines()) == 3


def test_floats_are_halved_integers_and_descriptions_stay(trained):
    export.export(trained)
    state, about = checkpoint.load(trained.output / "generator.safetensors", "generator")
    original, wanted = checkpoint.load(trained.gan, "generator")
    assert about == wanted
    assert {value.dtype for value in state.values()} == {torch.float16, torch.int64}
    assert "initial.seed.1.running_var" in state
    for name, value in original.items():
        torch.testing.assert_close(state[name].to(value.dtype), value, rtol=1e-3, atol=1e-6)
    assert checkpoint.kind_of(trained.output / "speech.safetensors") == "speech-encoder-weights"


def test_what_half_precision_cannot_hold_stays():
    state = export.halve({"a": torch.tensor([1e6]), "b": {"c": torch.ones(2), "d": torch.ones(2).long()}})
    assert state["a"].dtype == torch.float32
    assert state["b"]["c"].dtype == torch.float16
    assert state["b"]["d"].dtype == torch.int64


def test_the_manifest_tells_checksums_and_descriptions_without_places_of_this_machine(trained):
    state, about = checkpoint.load(trained.gan, "generator")
    checkpoint.save(trained.gan, state, {**about, "command": f"{repository()}/s2i/train_gan.py --seed 3"})
    export.export(trained)
    manifest = json.loads((trained.output / "model.json").read_text())["files"]
    for name, told in manifest.items():
        data = (trained.output / name).read_bytes()
        assert told["sha256"] == hashlib.sha256(data).hexdigest()
        assert told["bytes"] == len(data)
    assert manifest["generator.safetensors"]["command"] == "s2i/train_gan.py --seed 3"
    assert manifest["speech.safetensors"]["seen"] == 7


def test_too_large_a_model_is_refused_and_the_folder_left_alone(trained, monkeypatch):
    export.export(trained)
    before = {path.name: path.read_bytes() for path in trained.output.iterdir()}
    monkeypatch.setattr(export, "LIMIT", sum(map(len, before.values())) // 3)
    with pytest.raises(InputError, match="MB in all") as caught:
        export.export(trained)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in trained.output.iterdir()} == before


def test_weights_of_the_wrong_network_are_refused(trained, tmp_path):
    for wrong in (
        export.ExportConfig(sen=trained.gan, gan=trained.gan, output=trained.output),
        export.ExportConfig(sen=trained.sen, gan=trained.sen, output=trained.output),
        export.ExportConfig(sen=trained.sen, gan=trained.gan, damsm=trained.gan, output=trained.output),
        export.ExportConfig(sen=tmp_path / "missing", gan=trained.gan, output=trained.output),
    ):
        with pytest.raises(InputError, match=r"holds a|not found"):
            export.export(wrong)
    assert not trained.output.exists()


def test_a_folder_that_cannot_be_written_is_refused(trained, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        export.export(export.ExportConfig(sen=trained.sen, gan=trained.gan, output=tmp_path / "file" / "x"))
