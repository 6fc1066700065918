import errno
import fcntl
import multiprocessing
import os
import signal
import time

import pytest

from datasets.errors import InputError
from datasets.lock import Lock, alone_in

FORK = multiprocessing.get_context("fork")


def take_turns(path, inside, taken, met, until):
    """Take the lock and give it back as often as possible, and count when another is inside as well."""
    while time.monotonic() < until:
        try:
            with Lock(path, "busy"):
                with inside.get_lock():
                    inside.value += 1
                    met.value += inside.value > 1
                with inside.get_lock():
                    inside.value -= 1
                    taken.value += 1
        except InputError:
            continue


def test_it_is_never_held_twice(tmp_path):
    inside, taken, met = (FORK.Value("i", 0) for _ in range(3))
    arguments = (tmp_path / "x.lock", inside, taken, met, time.monotonic() + 2)
    processes = [FORK.Process(target=take_turns, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert taken.value > 100
    assert met.value == 0
    assert list(tmp_path.iterdir()) == []


def test_who_comes_second_is_told_and_gets_it_later(tmp_path):
    path = tmp_path / "x.lock"
    with Lock(path, "the first one"):
        with pytest.raises(InputError, match=r"^it is in use; wait$"):
            Lock(path, "it is in use; wait")
    again = Lock(path, "busy")
    again.release()
    again.release()
    assert list(tmp_path.iterdir()) == []


def hold(path, ready):
    with Lock(path, "busy"):
        ready.set()
        signal.pause()


def test_it_ends_with_a_killed_process(tmp_path):
    ready = FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "x.lock", ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(InputError, match="busy"):
        Lock(tmp_path / "x.lock", "busy")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    Lock(tmp_path / "x.lock", "busy").release()


def test_a_lock_file_that_somebody_removed_does_not_take_the_next_one_along(tmp_path):
    path = tmp_path / "x.lock"
    first = Lock(path, "busy")
    path.unlink()
    second = Lock(path, "busy")
    first.release()
    assert path.exists()
    with pytest.raises(InputError):
        Lock(path, "busy")
    second.release()


def test_a_place_that_cannot_be_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"none/x\.lock: cannot be written \(No such file or directory\)"):
        Lock(tmp_path / "none" / "x.lock", "busy")


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    Lock(tmp_path / "x.lock", "busy").release()
    assert capsys.readouterr().err.startswith(f"warning: {tmp_path}/x.lock: this file system has no locks")


def test_work_in_a_folder_begins_without_leftovers(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / ".checkpoint.17.tmp.safetensors").touch()
    (folder / "checkpoint.safetensors").touch()
    with alone_in(folder):
        assert sorted(path.name for path in folder.iterdir()) == [".lock", "checkpoint.safetensors"]
        with pytest.raises(InputError, match="another process works in it"):
            alone_in(folder)
    assert [path.name for path in folder.iterdir()] == ["checkpoint.safetensors"]
