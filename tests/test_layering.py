import ast
import subprocess
import sys
from pathlib import Path

import pytest

import datasets

ROOT = Path(__file__).parents[1]
ROOMS = (  # each imports from itself and from those before it
    "datasets",
    "attngan.runtime",
    "attngan.networks",
    "attngan.evaluation",
    "attngan.training",
    "s2i.model",
    "s2i.evaluation",
    ("s2i.emotion", "s2i.faces", "s2i.app"),  # these know nothing of each other, but for the page, which shows all
    "s2i",  # the commands, which people run
)
FLOORS = ("datasets", "attngan", "s2i")
MODULES = sorted(path.relative_to(ROOT) for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
LONGEST = 320
each_module = pytest.mark.parametrize("module", MODULES, ids=str)


def imported(source):
    """The modules that a module imports, anywhere in it, as dotted names; of `from a import b` both a and a.b."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def room_of(name):
    """The place in `ROOMS` of the room that a dotted name lies in; None of what is not ours."""
    rooms = [
        (room, place) for place, group in enumerate(ROOMS) for room in ([group] if isinstance(group, str) else group)
    ]
    inside = [(room, place) for room, place in rooms if f"{name}.".startswith(f"{room}.")]
    return max(inside, key=lambda pair: len(pair[0]))[1] if inside else None


def dotted(module):
    return ".".join(module.with_suffix("").parts).removesuffix(".__init__")


def test_imports_are_seen_wherever_they_are():
    source = "import a.b, c as d\nfrom e.f import g\nfrom . import h\ndef f():\n    import i\n    from j import k\n"
    assert imported(source) == {"a.b", "c", "e.f", "e.f.g", "i", "j", "j.k"}


def test_rooms_are_told_apart():
    assert room_of("numpy") is None
    assert room_of("datasets.audio") < room_of("attngan.networks.generator") < room_of("s2i.model.pipeline")
    assert room_of("s2i.generate") > room_of("s2i.app.page") == room_of("s2i.emotion")


def test_every_module_has_a_room():
    homeless = [module for module in MODULES if room_of(dotted(module)) is None and len(module.parts) > 2]
    assert not homeless


@each_module
def test_rooms_import_from_those_before_them(module):
    here = room_of(dotted(module))
    if module.name == "__init__.py" and module.parent == Path("s2i"):
        here = len(ROOMS)  # the Python interface
    later = {name for name in imported((ROOT / module).read_text()) if (room_of(name) or 0) > (here or 0)}
    later -= {"s2i", "attngan"}  # packages that hold rooms
    assert not later, f"{module} imports {sorted(later)}"


@each_module
def test_nothing_imports_tests_or_scripts(module):
    assert not {name.partition(".")[0] for name in imported((ROOT / module).read_text())} & {"scripts", "tests"}


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
