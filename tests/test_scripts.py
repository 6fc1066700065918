"""Every script explains itself, at once: `--help` and `--dry-run` import nothing that takes long."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from s2i.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path for path in (ROOT / "scripts").glob("*.sh") if path.name not in ("setup.sh", "steps.sh"))
OURS = [name for name in COMMANDS if name not in ("demo", "shard")]  # the one paints at once, the other has no options
# What every installation has beside Python and is quick to import: tyro, and what it brings.
LIGHT = {"tyro", "typing_extensions", "docstring_parser", "typeguard"}
ASK = """
import contextlib, io, runpy, sys
from importlib.metadata import packages_distributions
before = set(sys.modules)  # setuptools, where it is installed, is there from the start
for option in ("--help", "--dry-run"):
    sys.argv = ["s2i", {command!r}, option]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            runpy.run_module("s2i", run_name="__main__")
        except SystemExit as leaving:
            assert not leaving.code, leaving.code
    assert printed.getvalue().strip(), option
print(*sorted({{name.partition(".")[0] for name in sys.modules.keys() - before}} & packages_distributions().keys()))
"""


def run(*command, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


def test_there_are_commands():
    assert len(OURS) >= 12
    assert len(SCRIPTS) >= 15


@pytest.mark.parametrize("command", OURS)
def test_help_and_dry_run_import_nothing_that_takes_long(command):
    done = run(sys.executable, "-c", ASK.format(command=command))
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= LIGHT


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_has_help(script):
    done = run(str(script), "--help", PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 50


def test_training_the_shipped_model_must_be_asked_for():
    done = run(str(ROOT / "scripts/train_shipped.sh"))
    assert done.returncode == 2
    assert "train_shipped.sh cpu" in done.stderr
    done = run(str(ROOT / "scripts/train_shipped.sh"), "tpu")
    assert done.returncode == 2
    assert done.stderr.startswith("error: tpu: unknown; give cpu, ")


@pytest.mark.parametrize(
    ("arguments", "steps", "output"),
    [
        (["train_shipped.sh", "cpu"], 10, ROOT / "outputs/model"),
        (["train_shipped.sh", "gpu", "pretrained"], 6, "pretrained"),
        (["train_evaluators.sh"], 5, ROOT / "outputs/evaluators"),
        (["train_evaluators.sh", "data/own.h5", "mine"], 5, "mine"),
        (["measure_drawn.sh", "elsewhere"], 6, "elsewhere/drawn.json"),
    ],
)
def test_scripts_of_several_commands_print_them(arguments, steps, output):
    done = run(str(ROOT / "scripts" / arguments[0]), *arguments[1:], "--dry-run", PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == steps
    assert lines[-1].split()[-2:] == ["--output", str(output)]


@pytest.mark.parametrize("command", OURS)
def test_nothing_is_written_into_the_shipped_model_unless_it_is_named(command):
    done = run(sys.executable, "-m", "s2i", command, "--dry-run")
    assert done.returncode == 0, done.stderr
    for option in ("output", "run", "runs", "work"):
        assert not re.search(rf'"{option}": "pretrained', done.stdout)
