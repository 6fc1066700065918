import numpy as np
import pytest
import torch

from datasets.errors import InputError
from s2i.evaluation.cache import Cache


class Counted:
    def __init__(self, value):
        self.value, self.calls = value, 0

    def __call__(self):
        self.calls += 1
        return self.value


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "work")


def test_arrays_are_computed_once(cache):
    compute = Counted({"a": torch.arange(3.0), "b": torch.ones(2, 2, dtype=torch.int64)})
    first = cache.arrays("row", {"seed": 0}, compute)
    again = Cache(cache.folder).arrays("row", {"seed": 0}, compute)
    assert compute.calls == 1
    assert all(torch.equal(first[name], again[name]) and first[name].dtype == again[name].dtype for name in first)


def test_another_name_or_identity_is_another_result(cache):
    compute = Counted({"a": torch.zeros(1)})
    for name, identity in (("row", {"seed": 0}), ("row", {"seed": 1}), ("other", {"seed": 0})):
        cache.arrays(name, identity, compute)
    assert compute.calls == 3


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_a_damaged_file_is_computed_again(cache, damage):
    compute = Counted({"a": torch.arange(100.0)})
    cache.arrays("row", {}, compute)
    path = cache.path("row", {}, ".npz")
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    assert torch.equal(cache.arrays("row", {}, compute)["a"], torch.arange(100.0))
    assert compute.calls == 2


def test_nothing_that_runs_code_is_read(cache):
    np.savez(cache.path("row", {}, ".npz"), a=np.array([object()], dtype=object))
    compute = Counted({"a": torch.ones(1)})
    assert torch.equal(cache.arrays("row", {}, compute)["a"], torch.ones(1))


def test_plain_values_are_computed_once(cache):
    compute = Counted({"r_precision": 12.5})
    assert cache.plain("retrieval", {"of": "text"}, compute) == cache.plain("retrieval", {"of": "text"}, compute)
    assert compute.calls == 1
    cache.path("retrieval", {"of": "text"}, ".json").write_text("{")
    assert cache.plain("retrieval", {"of": "text"}, compute) == {"r_precision": 12.5}
    assert compute.calls == 2


def test_what_stops_a_computation_leaves_nothing(cache):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.arrays("row", {}, stop)
    assert list(cache.folder.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        Cache(tmp_path / "file")
