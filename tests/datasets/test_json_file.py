import os

import pytest

from datasets.errors import InputError
from datasets.json_file import MOST_BYTES, parse_json, read_json


def refused(path, kind, words):
    with pytest.raises(InputError) as caught:
        read_json(path, "list of birds", "write it again", kind)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith("; write it again") or "not found" in message
    assert "\n" not in message
    assert words in message


def test_objects_and_lists_are_read(tmp_path):
    (tmp_path / "x.json").write_text('{"crow": [1, 2.5, "é"]}', encoding="utf-8")
    assert read_json(tmp_path / "x.json", "x", "y", dict) == {"crow": [1, 2.5, "é"]}
    assert parse_json(b"[1]", list) == [1]


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", dict, "is damaged"),
        (b"{", dict, "is damaged"),
        (b'{"a": "\xff"}', dict, "can't decode byte"),
        (b"[]", dict, "it holds a list instead of a dict"),
        (b"{}", list, "it holds a dict instead of a list"),
        (b"3", dict, "it holds a int"),
        (b"[" * 200_000, list, "it is nested too deeply"),
        (b'{"a":' * 200_000, dict, "it is nested too deeply"),
        (b"[" + b"9" * 10_000 + b"]", list, "is damaged"),
    ],
)
def test_whatever_else_is_one_line(tmp_path, data, kind, words):
    path = tmp_path / "birds.json"
    path.write_bytes(data)
    refused(path, kind, words)


def test_one_that_claims_to_be_huge_is_not_read(tmp_path):
    path = tmp_path / "birds.json"
    with open(path, "wb") as file:
        os.ftruncate(file.fileno(), 20_000_000_000)  # sparse
    refused(path, dict, f"it is larger than {MOST_BYTES // 1_000_000} MB")


def test_one_that_is_not_there(tmp_path):
    refused(tmp_path / "none.json", dict, "list of birds not found")
