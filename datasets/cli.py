"""From a frozen dataclass to a command: presets, `--help`, `--dry-run`, and errors as one line with exit code 2."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tyro

from datasets.errors import InputError

Config = TypeVar("Config")


def as_json(config: Any) -> str:
    """The whole configuration as indented JSON; paths become strings."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str)


def _take_option(arguments: list[str], name: str) -> str | None:
    """Remove `--name VALUE` or `--name=VALUE` from `arguments` and return VALUE."""
    for index, argument in enumerate(arguments):
        if argument == name:
            if index + 1 == len(arguments):
                raise InputError(f"{name}: needs a value")
            value = arguments[index + 1]
            del arguments[index : index + 2]
            return value
        if argument.startswith(f"{name}="):
            del arguments[index]
            return argument.partition("=")[2]
    return None


def parse(kind: type[Config], presets: Mapping[str, Config], arguments: list[str], *, description: str) -> Config:
    """Build a `kind` from a preset (`--preset NAME`, by default the first) and the options that override it.

    Raises:
        InputError: for an unknown preset or a value that the dataclass refuses in `__post_init__`.
        SystemExit: after `--help` and `--dry-run` (code 0) and for options that do not parse (code 2).
    """
    arguments = list(arguments)
    default = next(iter(presets))
    name = _take_option(arguments, "--preset") or default
    if name not in presets:
        raise InputError(f"--preset {name}: no such preset; choose one of {', '.join(presets)}")
    dry_run = "--dry-run" in arguments
    if dry_run:
        arguments.remove("--dry-run")
    about = (
        f"{description}\n\nBeside the options below: --preset {{{','.join(presets)}}} chooses the defaults that they "
        f"override (default: {default}); --dry-run prints the whole configuration and exits."
    )
    config = tyro.cli(kind, default=presets[name], args=arguments, description=about, config=(tyro.conf.FlagConversionOff,))
    if dry_run:
        print(as_json(config))
        raise SystemExit(0)
    return config


def run(main: Callable[[list[str]], int | None]) -> None:
    """Run `main(arguments)` as a command: `InputError` becomes one line and exit code 2, Ctrl-C exit code 130."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code or 0)


def check_range(field: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise `InputError` unless low <= value <= high."""
    if not low <= value <= high:
        wanted = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        raise InputError(f"--{field.replace('_', '-')} {value:g}: out of range; give a value {wanted}")


def check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `InputError` unless `value` is one of `choices`."""
    if value not in choices:
        raise InputError(f"--{field.replace('_', '-')} {value}: unknown; choose one of {', '.join(choices)}")


def repository() -> Path:
    """The checkout that this code lies in."""
    return Path(__file__).resolve().parents[1]
