import hashlib
import os
from pathlib import Path

import pytest

from datasets import files
from datasets.errors import InputError


def one_line(caught, path):
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_replacing_renames_on_success_only(tmp_path):
    path = tmp_path / "new/folder/x.png"
    with files.replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"

    def fail():
        with files.replacing(path) as temporary:
            temporary.write_text("second")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    files.write_text(path, "old")

    def full(self, *arguments, **options):
        open(self, "w").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError) as caught:
        files.write_text(path, "new")
    assert "No space left on device" in one_line(caught, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    for path, write in (
        (tmp_path / "file/below.txt", lambda p: files.write_text(p, "x")),
        (tmp_path, lambda p: files.write_text(p, "x")),
        (tmp_path / ("x" * 300), lambda p: files.write_text(p, "x")),
        (Path("/proc/none/x.txt"), lambda p: files.write_text(p, "x")),
        (tmp_path / "file/folder", files.make_folder),
        (tmp_path / "file", files.make_folder),
        (Path("/proc/none"), files.make_folder),
    ):
        with pytest.raises(InputError) as caught:
            write(path)
        assert "cannot be written" in one_line(caught, path)
    assert (tmp_path / "file").read_text() == "x"
    with pytest.raises(InputError, match="cannot be written"):
        files.write_text("", "x")


def test_make_folder_leaves_no_trace(tmp_path):
    assert files.make_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert list((tmp_path / "a/b").iterdir()) == []


def test_remove_leftovers_takes_only_those_of_its_file(tmp_path):
    names = [".cub.12.tmp.h5", ".cub.x.12.tmp.h5", ".cubs.12.tmp.h5", ".cub.12.tmp.npz", "cub.h5", ".cub.a.tmp.h5"]
    for name in names:
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path, tmp_path / "cub.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names[1:])
    files.remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".cub.a.tmp.h5", "cub.h5"]


@pytest.mark.parametrize("length", [200, 245, 255])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path, length):
    path = tmp_path / ("x" * (length - 4) + ".txt")
    files.write_text(path, "all of it")
    assert path.read_text() == "all of it"
    with files.replacing(path) as temporary:
        temporary.write_text("all of it")
    temporary.touch()
    files.remove_leftovers(tmp_path, path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_renamed_is_on_the_disk_before(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append(os.readlink(f"/proc/self/fd/{file}")), sync(file)))
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("renamed"), replace(*names)))
    files.write_text(tmp_path / "x.txt", "x")
    assert done == [str(tmp_path / f".x.{os.getpid()}.tmp.txt"), "renamed", str(tmp_path)]


def test_require_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("x")
    assert files.require_file(str(path), "thing") == path
    for bad, words in (
        (tmp_path / "none", "thing not found"),
        (tmp_path, "this is a folder"),
        (path / "x", "not found"),
        (tmp_path / ("x" * 300), "not found"),
        ("a\0b", "not found"),
    ):
        with pytest.raises(InputError) as caught:
            files.require_file(bad, "thing")
        assert words in one_line(caught, bad)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_require_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "x"
    path.touch(mode=0)
    with pytest.raises(InputError, match="may not be read"):
        files.require_file(path, "thing")


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
