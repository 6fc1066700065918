"""What README and pages say is true of the files beside them, and their commands run as they are written there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import s2i
from datasets import audio
from s2i.__main__ import COMMANDS
from s2i.app import texts
from s2i.evaluation import results

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {str(path.relative_to(ROOT)): path for path in [*ROOT.glob("*.md"), *(ROOT / "pretrained").glob("*.md")]}
ELSEWHERE = ("scripts/test.sh", "scripts/check.sh", "scripts/app.sh")  # they run this test, or have tests of their own
LONG = re.compile(r"scripts/(prepare_cub|train_\w+|export|evaluate|measure_drawn|bench)\.sh")
MOST_WORDS = 1500
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[str]:
    """The scripts that README and pages call, each command once."""
    texts = [block for page in PAGES.values() for block in blocks("bash", page.read_text(encoding="utf-8"))]
    lines = "\n".join(texts).replace("\\\n", " ").splitlines()
    return list(dict.fromkeys(line.split("  #")[0].strip() for line in lines if line.startswith("scripts/")))


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    environment.pop("CUB_ROOT", None)
    words = shlex.split(command)
    words[0] = str(ROOT / words[0])
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture
def folder(tmp_path):
    """A folder of a user: with a recording of their own, as wav files, under the names that the README uses."""
    wave = audio.load(next((ROOT / "pretrained" / "examples").glob("*.flac")))
    for name in ("my-recording.wav", "bird.wav"):
        audio.save(tmp_path / name, wave)
    return tmp_path


def test_the_readme_is_short_and_has_commands():
    assert len(README.split()) <= MOST_WORDS
    assert len(commands()) >= 12
    assert len(blocks("python")) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in commands() if command not in ELSEWHERE])
def test_command(command, folder):
    if LONG.match(command):
        done = run(f"{command} --dry-run", folder)
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
        assert script.name in README or script.name in ("setup.sh", "steps.sh")


@each_page
def test_commands_of_an_installed_copy_are_commands(page):
    spans = re.findall(r"(?:`|^)s2i ([a-z][\w-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(spans) <= COMMANDS.keys()


@each_page
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((.*?)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.slow
@each_page
def test_options_that_are_named_with_a_script_are_options_of_it(page):
    text = " ".join(page.read_text(encoding="utf-8").split())
    for span in re.findall(r"`(scripts/[^`]+)`", text):
        script, *words = span.split()
        if options := {word for word in words if word.startswith("--")}:
            done = run(f"{script} --help", ROOT)
            assert done.returncode == 0, done.stderr
            assert options <= set(re.findall(r"--[\w-]+", done.stdout)), span


def test_the_model_card_says_what_the_results_say():
    _, front, _ = (ROOT / "pretrained/README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert {"language", "license", "tags", "datasets", "metrics", "model-index"} <= card.keys()
    (model,) = card["model-index"]
    figures = {metric["type"]: metric["value"] for metric in model["results"][0]["metrics"]}
    row = results.read(ROOT / "pretrained/results.json")["rows"]["s2i"]
    assert figures == {
        "fid": round(row["fid"]["mean"], 2),
        "inception_score": round(row["inception_score"]["mean"], 2),
        "r_precision": round(row["r_precision_held_out"]["mean"], 1),
    }


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # those that the format wants
    assert citation["version"] == s2i.__version__
    assert citation["license"] in (ROOT / "LICENSE").read_text()
    assert f"## {citation['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
