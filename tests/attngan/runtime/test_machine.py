import shutil
import subprocess

import pytest

from attngan.runtime import machine
from attngan.runtime.machine import make_fabric
from datasets.errors import InputError


def test_an_unknown_precision_is_refused():
    assert make_fabric("32-true").device.type in ("cpu", "cuda")
    with pytest.raises(InputError, match="precision"):
        make_fabric("16-true")


def test_without_git_there_is_a_description_all_the_same(monkeypatch, tmp_path):
    assert machine.commit()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("git") is None
    told = machine.environment()["commit"]
    assert told == "unknown" or told.startswith("version ")


def test_an_installed_copy_does_not_take_the_commit_of_what_it_lies_in(monkeypatch, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=b"]
    subprocess.run(["git", "-C", tmp_path, *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run(["git", "-C", tmp_path, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    monkeypatch.setattr(machine, "repository", lambda: tmp_path)
    assert machine.commit() == head.stdout.strip()
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(machine, "repository", lambda: tmp_path / "site-packages")
    assert machine.commit() != head.stdout.strip()
