"""The README's commands run as they are written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from datasets import audio
from s2i.app import texts

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ELSEWHERE = ("scripts/test.sh", "scripts/check.sh", "scripts/app.sh")  # they run this test, or have tests of their own
TRAINING = re.compile(r"scripts/(prepare_cub|train_\w+|measure|export|evaluate)\.sh")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    environment.pop("CUB_ROOT", None)
    words = command.split()
    words[0] = str(ROOT / words[0])
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture
def folder(tmp_path):
    """A folder of a user: with a recording of their own, as wav files, under the names that the README uses."""
    wave = audio.load(next((ROOT / "pretrained" / "examples").glob("*.flac")))
    for name in ("my-recording.wav", "bird.wav"):
        audio.save(tmp_path / name, wave)
    return tmp_path


def test_the_readme_has_commands():
    assert len(commands()) >= 8
    assert len(blocks("python")) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("scripts/") and c not in ELSEWHERE])
def test_command(command, folder):
    if TRAINING.match(command):
        done = run(f"{command} --dry-run", folder) if "train_shipped" not in command else None
        if done is None:  # it runs the others, one after the other
            script = (ROOT / command.split()[0]).read_text()
            assert all((ROOT / "scripts" / name).is_file() for name in re.findall(r"\$here/(\w+\.sh)", script))
            return
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("{")
        return
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    pictures = re.findall(r"\S+(?:-512|morph)\.png", done.stdout)
    assert pictures
    assert all((folder / picture).is_file() for picture in pictures)


@pytest.mark.slow
def test_python(folder):
    (code,) = (block for block in blocks("python") if "SpeechToImage" in block)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (folder / "outputs").iterdir()) == [
        f"bird-{side}.png" for side in (128, 256, 512, 64)
    ]


def test_the_lines_that_call_the_page_are_those_that_it_shows():
    (code,) = (block for block in blocks("python") if "gradio_client" in block)
    shown = texts.API.format(address="http://localhost:7860").splitlines()
    assert all(line in shown for line in code.splitlines() if line)


def test_every_script_is_named_in_the_readme():
    for script in (ROOT / "scripts").glob("*.sh"):
        assert script.name in README or script.name == "setup.sh"


def test_the_pictures_of_the_readme_are_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file()
