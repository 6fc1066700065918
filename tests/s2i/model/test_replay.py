import json

import numpy as np
import pytest
import torch

from datasets.errors import InputError
from s2i.model import replay
from s2i.model.model_folder import ModelFolder
from s2i.model.replay import PaintingFile, Source


def example(folder):
    sums = replay.model_checksums(ModelFolder(folder), speech=True, text=False)
    return PaintingFile((Source(text="a bird"), Source(speech="f00")), 0.25, 7, 2, sums, "abc")


def test_what_is_written_is_read(talking, tmp_path):
    path = tmp_path / "bird.json"
    wanted = example(talking)
    path.write_text(wanted.to_json())
    assert replay.load(path) == wanted
    assert set(wanted.model) == {"speech.safetensors", "generator.safetensors"}
    assert path.stat().st_size < 2000


def test_another_model_is_refused(talking, small):
    about = example(talking)
    about.check_model(ModelFolder(talking))
    small.generator(talking / "generator.safetensors", blocks=(2,))
    with pytest.raises(InputError, match=r"generator\.safetensors.*not the model"):
        about.check_model(ModelFolder(talking))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "cake"},
        {"format": 2},
        {"seed": "7"},
        {"seed": -1},
        {"seed": True},
        {"share": 2},
        {"sources": []},
        {"sources": [{"text": 3}]},
        {"sources": [{"file": "/etc/passwd"}]},
        {"model": {"../../etc/passwd": "00"}},
        {"pixels": None},
        {"threads": 0},
        {"threads": 1.0},
        {"threads": 10**6},
        {"more": 1},
    ],
)
def test_a_file_about_something_else_is_refused_in_one_line(talking, tmp_path, change):
    path = tmp_path / "bird.json"
    path.write_text(json.dumps({**json.loads(example(talking).to_json()), **change}))
    with pytest.raises(InputError) as caught:
        replay.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"a"', "\x00\xff", "{}" * 60_000])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "bird.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bird\.json"):
        replay.load(path)


def test_a_checksum_is_of_the_values_and_not_of_how_they_lie():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert replay.checksum(values) == replay.checksum(torch.from_numpy(values))
    assert replay.checksum(values.T.copy().T) == replay.checksum(values)
    assert replay.checksum(values + 1) != replay.checksum(values)
