import os

import pytest
import soundfile
import torch

from datasets import audio
from datasets.errors import InputError
from s2i.app import recording


@pytest.mark.parametrize(
    ("kind", "word"),
    [("empty", "empty"), ("text", "text file"), ("random", "format"), ("gone", "not found"), ("huge", "25 MB")],
)
def test_messages_name_the_file_and_not_its_folder(tmp_path, kind, word):
    path = tmp_path / f"{'long' * 40}.wav"
    if kind != "gone":
        path.write_bytes(
            {"empty": b"", "text": b"a bird " * 99, "random": bytes(range(200, 256)) * 99, "huge": b""}[kind]
        )
    if kind == "huge":
        os.truncate(path, recording.MAX_BYTES + 1)
    with pytest.raises(InputError, match=word) as caught:
        recording.read(path)
    assert str(tmp_path) not in str(caught.value)
    assert "longlong" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_is_written_is_read_to_the_last_bit(small, tmp_path):
    wave = torch.from_numpy(small.hum(300))
    assert (recording.read(recording.write(tmp_path / "a.wav", wave)) == wave).all()


@pytest.mark.parametrize("claim", [2**32 - 1, 0x7FFFF000, 0])
def test_the_page_reads_what_commands_read(small, tmp_path, claim):
    path = tmp_path / "a.wav"
    soundfile.write(path, small.hum(300), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[:40] + claim.to_bytes(4, "little") + data[44:])  # as programs write it to a pipe
    assert len(recording.read(path)) == 16_000
    assert (recording.read(path) == audio.load(path)).all()
