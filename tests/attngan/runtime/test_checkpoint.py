import json
import resource
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from attngan.runtime import checkpoint
from datasets.errors import InputError


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "network.safetensors"
    checkpoint.save(path, {"weights": torch.arange(500.0), "step": 3}, {"kind": "thing", "note": "hello"})
    return path


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_nested_state_comes_back(tmp_path):
    state: dict[str, Any] = {
        "networks": OrderedDict({"a.weight": torch.randn(2, 3), "a.bias": torch.randn(3)}),
        "half": torch.randn(4).to(torch.bfloat16),
        "mask": torch.tensor([True, False]),
        "count": torch.tensor(7),
        "empty": torch.empty(0),
        "by_number": {0: {"step": torch.tensor(1.0)}, 17: {}},
        "plain": [1, 2.5, None, True, "text", [], {}],
        "pair": (1, torch.ones(2)),
        "best": {"r_precision": 12.345678901234567, "tiny": 5e-324},
    }
    checkpoint.save(tmp_path / "x.safetensors", state, {"kind": "k", "size": [1, 2]})
    found, description = checkpoint.load(tmp_path / "x.safetensors", "k")
    assert description["size"] == [1, 2]
    assert list(found) == list(state)
    for name in ("half", "mask", "count", "empty"):
        assert torch.equal(found[name], state[name])
        assert found[name].dtype == state[name].dtype
    assert list(found["networks"]) == ["a.weight", "a.bias"]
    assert torch.equal(found["networks"]["a.weight"], state["networks"]["a.weight"])
    assert found["by_number"] == {0: {"step": torch.tensor(1.0)}, 17: {}}
    assert found["plain"] == state["plain"]
    assert found["best"] == state["best"]  # to the last digit
    assert found["pair"][0] == 1
    assert torch.equal(found["pair"][1], torch.ones(2))


def test_tensors_that_share_memory_or_are_views_come_back(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    state = {
        "one": base,
        "same": base,
        "view": base.t(),
        "last": torch.randn(1, 2, 3, 3).to(memory_format=torch.channels_last),
    }
    checkpoint.save(tmp_path / "x.safetensors", state, {"kind": "k"})
    found, _ = checkpoint.load(tmp_path / "x.safetensors", "k")
    assert all(torch.equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_optimizer_goes_on_as_if_nothing_had_happened(tmp_path, kind, fused, layout):
    def begin():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh(), nn.Conv2d(5, 2, 3)).to(memory_format=layout)  # type: ignore[call-overload]
        return network, kind(network.parameters(), lr=0.1, betas=(0.5, 0.9), fused=fused)

    def step(network, optimizer, number):
        optimizer.zero_grad()
        pictures = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(number))
        network(pictures).square().sum().backward()
        optimizer.step()

    network, optimizer = begin()
    step(network, optimizer, 0)
    checkpoint.save(tmp_path / "x.safetensors", {"n": network.state_dict(), "o": optimizer.state_dict()}, {"kind": "k"})
    again, other = begin()
    state, _ = checkpoint.load(tmp_path / "x.safetensors", "k")
    again.load_state_dict(state["n"])
    checkpoint.load_optimizer(other, state["o"])
    for number in (1, 2):
        step(network, optimizer, number)
        step(again, other, number)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_names_that_look_alike_do_not_collide(tmp_path):
    state = {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1), 1: torch.full((1,), 2.0), "1": torch.full((1,), 3.0)}
    checkpoint.save(tmp_path / "x.safetensors", state, {"kind": "k"})
    found, _ = checkpoint.load(tmp_path / "x.safetensors", "k")
    assert [float(found["a"]["b"]), float(found["a.b"]), float(found[1]), float(found["1"])] == [0, 1, 2, 3]


def test_the_file_is_plain_safetensors(saved):
    assert [list(tensor.shape) for tensor in safetensors.torch.load_file(saved).values()] == [[500]]


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.1, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * share)])
    for read in (lambda: checkpoint.load(saved, "thing"), lambda: checkpoint.kind_of(saved)):
        with pytest.raises(InputError, match="cut off") as error:
            read()
        assert "network.safetensors" in one_line(error)


def test_a_file_that_lacks_its_last_byte_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(InputError, match="cut off") as error:
        checkpoint.load(saved, "thing")
    one_line(error)


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am a text file\n", bytes(range(256)) * 40, b"PK\x03\x04" + bytes(500)]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a checkpoint") as error:
        checkpoint.load(path, "thing")
    assert str(path) in one_line(error)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"gone\.safetensors: thing checkpoint not found"):
        checkpoint.load(tmp_path / "gone.safetensors", "thing")
    with pytest.raises(InputError, match="folder"):
        checkpoint.load(tmp_path, "thing")


def test_weights_of_other_programs_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"x": torch.ones(2)}, path)
    with pytest.raises(InputError, match=r"other\.safetensors") as error:
        checkpoint.load(path, "thing")
    one_line(error)


def test_another_format_is_refused_with_both_numbers(saved):
    header = {"format": checkpoint.FORMAT + 1, "kind": "thing", "state": {}}
    safetensors.torch.save_file({}, saved, metadata={"description": json.dumps(header)})
    with pytest.raises(
        InputError, match=rf"format {checkpoint.FORMAT + 1}, this code reads {checkpoint.FORMAT}"
    ) as error:
        checkpoint.load(saved, "thing")
    one_line(error)


def test_another_kind_is_refused_with_both_names(saved):
    assert checkpoint.kind_of(saved) == "thing"
    with pytest.raises(InputError, match="holds a thing, not a generator") as error:
        checkpoint.load(saved, "generator")
    one_line(error)


def test_a_tensor_that_is_missing_is_named(saved):
    header = {"format": checkpoint.UNSIGNED, "kind": "thing", "state": {"__items__": [["w", {"__tensor__": "w.gone"}]]}}
    safetensors.torch.save_file({"x": torch.ones(1)}, saved, metadata={"description": json.dumps(header)})
    with pytest.raises(InputError, match=r"w\.gone"):
        checkpoint.load(saved, "thing")


def test_another_size_of_network_is_refused():
    with pytest.raises(InputError, match=r"some\.file: weights of another size") as error:
        checkpoint.load_weights(nn.Linear(3, 4), nn.Linear(3, 5).state_dict(), "some.file")
    assert "weight" in one_line(error)
    with pytest.raises(InputError, match="another size"):
        checkpoint.load_weights(nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 4)).state_dict(), "some.file")


def test_half_precision_weights_load_into_single_precision():
    network = nn.Linear(3, 4)
    half = {name: value.half() for name, value in network.state_dict().items()}
    other = nn.Linear(3, 4)
    checkpoint.load_weights(other, half, "some.file")
    assert other.weight.dtype == torch.float32
    torch.testing.assert_close(other.weight, network.weight, rtol=1e-3, atol=1e-3)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(saved):
    before = saved.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # as good as full: writing more fails
    try:
        with pytest.raises(InputError, match=r"network\.safetensors: cannot be written") as error:
            checkpoint.save(saved, {"weights": torch.zeros(100_000)}, {"kind": "thing"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_line(error)
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def test_a_crash_while_writing_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def half_written(path, data):
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", half_written)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(saved, {"weights": torch.zeros(10)}, {"kind": "thing"})
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        checkpoint.save(tmp_path / "file" / "x.safetensors", {}, {"kind": "thing"})


def test_build_refuses_the_arguments_of_another_version():
    assert checkpoint.build(lambda width: nn.Linear(width, 1), {"net": {"width": 3}}, "net", "f").in_features == 3
    for description in ({}, {"net": {"depth": 3}}):
        with pytest.raises(InputError, match="another version") as error:
            checkpoint.build(lambda width: nn.Linear(width, 1), description, "net", "f")
        one_line(error)


# --- damage


@pytest.fixture
def varied(tmp_path):
    """A file of all kinds of tensors and values, and what is in it."""
    torch.manual_seed(0)
    state = {
        "weights": torch.randn(40, 3),
        "half": torch.randn(9).half(),
        "brain": torch.randn(5).to(torch.bfloat16),
        "mask": torch.tensor([True, False]),
        "count": torch.tensor(7),
        "empty": torch.empty(0, 3),
        "step": 41,
    }
    path = tmp_path / "varied.safetensors"
    checkpoint.save(path, state, {"kind": "thing", "note": "hello"})
    return path, state


def test_a_flipped_bit_is_noticed_wherever_it_means_anything(varied):
    path, _ = varied
    whole, data, told = repr(checkpoint.load(path, "thing")), path.read_bytes(), []
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        try:
            assert repr(checkpoint.load(path, "thing")) == whole, f"byte {place}"
        except InputError as error:
            told.append(str(error))
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in told)
    assert len(told) > 0.9 * len(data)  # the rest is the name of the checksum, and spaces


def test_files_of_before_there_were_checksums_are_read(varied):
    path, state = varied
    with safetensors.safe_open(path, "pt") as file:
        description = file.metadata()["description"]
    tensors = safetensors.torch.load_file(path)
    old = json.loads(description)
    assert len(old.pop(checkpoint.CHECKSUM)) == 8
    old["format"] = checkpoint.UNSIGNED
    safetensors.torch.save_file(tensors, path, metadata={"description": json.dumps(old)})
    found, about = checkpoint.load(path, "thing")
    assert about["note"] == "hello"
    assert all(torch.equal(found[name], value) for name, value in state.items() if name != "step")
    tensors["weights"][0, 0] += 1
    safetensors.torch.save_file(tensors, path, metadata={"description": description})
    with pytest.raises(InputError, match=r"varied\.safetensors: is not what was written into it"):
        checkpoint.load(path, "thing")


def test_the_same_content_is_the_same_bytes(tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in range(8)]
    for path in paths:
        checkpoint.save(path, {"a": torch.ones(2), "b": torch.zeros(3)}, {"kind": "thing"})
    assert len({path.read_bytes() for path in paths}) == 1
