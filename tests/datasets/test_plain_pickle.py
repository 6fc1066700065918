import os
import pickle
import resource
import time

import pytest

from datasets.errors import InputError
from datasets.plain_pickle import MOST_BYTES, read_plain_pickle

DATA = [[[1, 2], [3]], [[2]], {1: "a", 2: "bird", 3: "é"}, {"a": 1}]


def read(path, data):
    path.write_bytes(data)
    return read_plain_pickle(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_of_every_protocol(tmp_path, protocol):
    assert read(tmp_path / "x.pickle", pickle.dumps(DATA, protocol)) == DATA


class Harm:
    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_refused_and_not_run(tmp_path, protocol, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"x\.pickle: not plain data: it wants to run code"):
        read(tmp_path / "x.pickle", pickle.dumps([Harm()], protocol))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]r\xff\xff\xff\x7f.",  # room for two billion remembered things
        b"\x80\x02]p4000000000\n.",
        b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"a.",  # text of a terabyte
        b"\x80\x05\x96" + (2**33).to_bytes(8, "little") + b"a.",  # and bytes of eight gigabytes
        b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"a.",
        b"\x80\x04\x95" + (2**50).to_bytes(8, "little") + b"].",
    ],
)
def test_what_claims_to_be_huge_takes_no_memory(tmp_path, data):
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    if data[2:5] in (b"]r\xff", b"]p4") or data[2:3] == b"\x95":
        assert read(tmp_path / "x.pickle", data) == []
    else:
        with pytest.raises(InputError, match=r"x\.pickle: damaged pickle"):
            read(tmp_path / "x.pickle", data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
    assert time.process_time() - begin < 5


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "x.pickle"
    with open(path, "wb") as file:
        os.ftruncate(file.fileno(), 20_000_000_000)  # sparse
    with pytest.raises(InputError, match=f"larger than {MOST_BYTES // 1_000_000} MB"):
        read_plain_pickle(path)
