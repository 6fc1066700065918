import os
import subprocess
import sys
import tempfile

import pytest

from s2i.app.scratch import PREFIX, remove_abandoned, scratch
from tests.helpers import refused
from tests.s2i.app.asking import ROOT

HOLD = """
import sys
from s2i.app.scratch import scratch
with scratch() as folder:
    (folder / "recording.wav").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Start a process that holds a folder, and give (process, folder)."""
    processes = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.communicate()


@pytest.fixture
def everywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_private_and_goes(everywhere):
    with scratch() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert tempfile.gettempdir() == str(folder)
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert tempfile.gettempdir() == str(everywhere)
    assert list(everywhere.iterdir()) == []


def test_folders_of_killed_processes_go_and_those_of_running_ones_stay(everywhere, hold):
    killed, left = hold()
    _, alive = hold()
    killed.kill()
    killed.wait()
    (everywhere / "other").mkdir()
    # of another version, named after a process number that is in use again
    (everywhere / f"{PREFIX}{os.getpid()}-x").mkdir()
    with scratch() as folder:
        assert sorted(map(str, everywhere.iterdir())) == sorted([alive, str(everywhere / "other"), str(folder)])
    assert left != alive


def test_links_are_not_followed(everywhere):
    (everywhere / "precious").mkdir()
    (everywhere / "precious" / "file").touch()
    (everywhere / f"{PREFIX}link").symlink_to(everywhere / "precious")
    remove_abandoned(everywhere)
    assert (everywhere / "precious" / "file").exists()


def test_a_folder_that_cannot_be_made_is_told(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    refused(lambda: scratch().__enter__(), "/proc/none", "TMPDIR")
