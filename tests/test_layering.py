import ast
import subprocess
import sys
from pathlib import Path

import pytest

import datasets

ROOT = Path(__file__).parents[1]
ABOVE = {  # what each floor must not know of
    "datasets": {"attngan", "s2i", "scripts", "tests"},
    "attngan": {"s2i", "scripts", "tests"},
    "s2i": {"scripts", "tests"},
}
MODULES = sorted(path.relative_to(ROOT) for floor in ABOVE for path in (ROOT / floor).rglob("*.py"))
LONGEST = 320
each_module = pytest.mark.parametrize("module", MODULES, ids=str)


def imported(source):
    """The top-level packages that a module imports, anywhere in it; relative imports stay within."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_imports_are_found_wherever_they_are():
    source = "import a.b, c as d\nfrom e.f import g\nfrom . import h\ndef f():\n    import i\n    from j import k\n"
    assert imported(source) == {"a", "c", "e", "i", "j"}


def test_there_are_modules_on_every_floor():
    assert {module.parts[0] for module in MODULES} == set(ABOVE)


@each_module
def test_floors_import_from_below_only(module):
    assert not imported((ROOT / module).read_text()) & ABOVE[module.parts[0]]


@each_module
def test_no_module_is_long(module):
    assert len((ROOT / module).read_text().splitlines()) <= LONGEST


def test_datasets_is_ours_and_not_the_library_of_the_same_name():
    assert datasets.__file__ is not None
    assert Path(datasets.__file__).resolve().parent == ROOT / "datasets"


def test_the_tests_hide_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_importing_has_no_side_effects(tmp_path):
    names = [".".join(module.with_suffix("").parts).removesuffix(".__init__") for module in MODULES]
    code = f"""
import importlib, sys, threading, warnings
import torch, torchaudio, torchvision, matplotlib, lightning_fabric, tensorboard, nltk, tyro, scipy  # theirs
threads, seed, path, filters = torch.get_num_threads(), torch.initial_seed(), list(sys.path), list(warnings.filters)
for name in {names!r}:
    importlib.import_module(name)
assert torch.get_num_threads() == threads
assert torch.initial_seed() == seed
assert sys.path == path
assert warnings.filters == filters
assert not torch.cuda.is_initialized()
assert threading.active_count() == 1, threading.enumerate()
"""
    here, home = tmp_path / "here", tmp_path / "home"  # matplotlib keeps a cache at home, which is not ours
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        capture_output=True,
        text=True,
        cwd=here,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(home), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(here.rglob("*")) == []
