"""The command `s2i` and its subcommands."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import s2i
from s2i.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = "\n".join(path.read_text() for path in (ROOT / "scripts").glob("*.sh"))


def run(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "s2i", *arguments], text=True, env=environment, **options)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_main_and_an_explanation(name):
    command = COMMANDS[name]
    assert callable(importlib.import_module(command.module).main)
    assert 10 < len(command.about) < 60


def test_scripts_call_commands_and_nothing_else():
    called = set(re.findall(r'"\$python" -m s2i ([\w-]+)', SCRIPTS))
    assert called <= COMMANDS.keys()
    assert COMMANDS.keys() - called == {"transcribe", "shard"}  # those that have no script
    assert set(re.findall(r'"\$python" -m ([\w.]+)', SCRIPTS)) <= {"s2i", "pip", "pytest", "ruff", "mypy"}


def test_help_lists_all_commands_and_comes_at_once():
    before = os.times()
    told = run("--help", capture_output=True, check=True).stdout
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1
    assert re.findall(r"^  ([\w-]+)", told, re.MULTILINE) == [*COMMANDS]
    assert run(capture_output=True, check=True).stdout == told


def test_version_and_commands_that_there_are_not():
    assert run("--version", capture_output=True, check=True).stdout == f"s2i {s2i.__version__}\n"
    done = run("genrate", "x.wav", capture_output=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: s2i genrate: no such command; did you mean s2i generate? See s2i --help\n"
    assert run("--wat", capture_output=True).stderr == "error: s2i --wat: no such command; see s2i --help\n"


def test_a_command_is_called_by_its_name():
    assert run("morph", "--help", capture_output=True, check=True).stdout.startswith("usage: s2i morph ")
    done = run("generate", "--sample", "3", capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --sample: no such option; did you mean --samples")
