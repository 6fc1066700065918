"""Ranges for installing, the set for a checkout and exact versions for reproducing say the same."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import hatch_build

tomllib = pytest.importorskip("tomllib")  # Python 3.11
ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SAFE = {"pillow": "12.3", "nltk": "3.10.4", "tqdm": "4.66.3", "torch": "2.10"}  # the first without known advisories


def by_name(lines):
    """Requirements by canonical name; comments and what is empty do not count."""
    found = [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def extra(*names):
    """What these extras bring, beside the base, those that they name in turn included."""
    lines = by_name([line for name in names for line in PROJECT["optional-dependencies"][name]])
    own = lines.pop("speech-to-image", None)
    return {**lines, **(extra(*own.extras) if own else {})}


def file(name):
    return by_name((ROOT / name).read_text().splitlines())


def locked():
    """All lines of the lock file: name to requirements, of which each holds for some Pythons and systems."""
    found = {}
    for line in (ROOT / "requirements-lock.txt").read_text().splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


BASE = by_name(PROJECT["dependencies"])
FILES = {
    "requirements.txt": {**BASE, **extra("dev")},
    "requirements-voices.txt": extra("voices"),
    "requirements-whisper.txt": extra("whisper"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_pin_what_the_extras_allow(name):
    pinned, allowed = file(name), FILES[name]
    assert pinned.keys() == allowed.keys()
    for package, requirement in pinned.items():
        exact = [each.version for each in requirement.specifier if each.operator == "==" and "*" not in each.version]
        if exact:
            assert allowed[package].specifier.contains(exact[0]), package
        else:
            floors = {str(each) for each in allowed[package].specifier if each.operator == ">="}
            assert floors <= {re.sub(r"^==(.*)\.\*$", r">=\1", str(each)) for each in requirement.specifier}, package


def test_the_wheel_names_the_packages_of_an_extra():
    for name, packages in hatch_build.PACKAGES.items():
        assert packages.split() == [*extra(name)]


def test_the_extras_and_files_are_all_there_are():
    assert {*PROJECT["optional-dependencies"]} == {"app", "train", "dev", "voices", "whisper"}
    assert {path.name for path in ROOT.glob("requirements*.txt")} == {*FILES, "requirements-lock.txt"}


def test_the_base_brings_nothing_that_only_training_or_developing_needs():
    heavy = {"lightning-fabric", "tensorboard", "timm", "torchvision", "scipy", "pytorch-fid", "espeakng-loader"}
    assert not BASE.keys() & (heavy | {"playwright", "ruff", "mypy", "pytest", "piper-tts"})


def test_the_lock_is_exact_and_fits():
    lock = locked()
    for requirements in lock.values():
        for requirement in requirements:
            (only,) = requirement.specifier
            assert only.operator == "=="
            assert "*" not in only.version
    for name in FILES:
        for package, requirement in file(name).items():
            for each in lock[package]:
                (only,) = each.specifier
                assert requirement.specifier.contains(only.version), package


def test_the_lock_has_everything():
    """All that is installed because of the files, in turn, is in it."""
    todo, seen, lock = {name for each in FILES for name in file(each)}, set(), locked()
    while todo:
        name = todo.pop()
        seen.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue  # of an extra that is not installed here
        wanted = [Requirement(line) for line in lines]
        todo |= {canonicalize_name(each.name) for each in wanted if not each.marker or each.marker.evaluate()} - seen
    assert not seen - lock.keys()


@pytest.mark.parametrize("package", SAFE)
def test_floors_leave_out_releases_with_known_advisories(package):
    for requirement in (BASE[package], file("requirements.txt")[package]):
        (floor,) = (each.version for each in requirement.specifier if each.operator in (">=", "=="))
        assert Version(floor) >= Version(SAFE[package])
