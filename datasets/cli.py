"""From a frozen dataclass to a command: presets, `--help`, `--dry-run`, and errors as one line with exit code 2."""

import contextlib
import dataclasses
import difflib
import io
import json
import os
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tyro

from datasets import saved_config
from datasets.errors import InputError

Config = TypeVar("Config")
INSTALLED = __name__.startswith("s2i.")
"""Whether this is not a checkout: in a wheel these packages lie below s2i, beside the weights (hatch_build.py)."""
DRY_RUN = "--dry-run prints the whole configuration and exits."


def as_json(config: Any) -> str:
    """The whole configuration as indented JSON; paths become strings, those in the checkout relative to it."""

    def plain(value: Any) -> str:
        inside = isinstance(value, Path) and value.is_relative_to(repository())
        return str(value.relative_to(repository()) if inside else value)

    return json.dumps(dataclasses.asdict(config), indent=2, default=plain)


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

    `--config FILE`, the config.json of a run, stands for a preset, so that the run can be repeated.

    Raises:
        InputError: for an unknown preset or option, a configuration that is none, and for a value that does not parse
            or that the dataclass refuses in `__post_init__`.
        SystemExit: after `--help` and `--dry-run`.
    """
    arguments = _spelled_out(kind, arguments)
    default = next(iter(presets))
    name, saved = _take_option(arguments, "--preset"), _take_option(arguments, "--config")
    if saved is not None and name is not None:
        raise InputError("--config: tells all options; leave out --preset")
    name = name or default
    if name not in presets:
        raise InputError(f"--preset {name}: no such preset; choose one of {', '.join(presets)}")
    about = (
        f"{description}\n\nBeside the options below: --preset {{{','.join(presets)}}} chooses the defaults that they "
        f"override (default: {default}), and --config FILE takes those of a run, from config.json in its folder; "
        f"{DRY_RUN}"
    )
    chosen = presets[name] if saved is None else saved_config.load(Path(saved), kind)
    return _parse(kind, at_home(chosen), arguments, about)


def parse_tool(kind: type[Config], arguments: list[str], *, description: str) -> Config:
    """Build a `kind` for a tool, which has no presets; its positional values may stand before and after options.

    Raises:
        InputError: for an unknown option, and for a value that does not parse or that the dataclass refuses.
        SystemExit: after `--help` and `--dry-run`.
    """
    flags = {f.name for f in dataclasses.fields(kind) if f.type is bool}  # type: ignore[arg-type]
    values: list[str] = []
    options: list[str] = []
    rest = iter(_spelled_out(kind, arguments))
    for argument in rest:
        if not argument.startswith("-"):
            values.append(argument)
            continue
        options.append(argument)
        name = argument.removeprefix("--").removeprefix("no-").replace("-", "_")
        if argument.startswith("--") and "=" not in argument and name not in {*flags, "help", "dry_run"}:
            options += [value for value in [next(rest, None)] if value is not None]
    return _parse(kind, at_home(kind()), [*values, *options], f"{description}\n\nBeside the options below: {DRY_RUN}")


def _spelled_out(kind: type[Any], arguments: list[str]) -> list[str]:
    """The arguments with --output for -o, wherever there is such an option."""
    if "output" not in {field.name for field in dataclasses.fields(kind)}:
        return list(arguments)
    return [
        f"--output{argument[2:]}" if argument == "-o" or argument.startswith("-o=") else argument
        for argument in arguments
    ]


def at_home(config: Config) -> Config:
    """The same defaults from any working directory: their relative paths are meant from the checkout.

    Those that a dataclass names in `here` are meant from the working directory, where people look for what they make,
    and in an installed copy all are but `pretrained`.
    """
    if Path.cwd() == repository():
        return config

    def home(path: Path) -> Path:
        return path if INSTALLED and path.parts[:1] != ("pretrained",) else repository() / path

    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    here = getattr(config, "here", ())
    moved = {name: home(value) for name, value in values.items() if isinstance(value, Path) and name not in here}
    return dataclasses.replace(config, **moved)  # type: ignore[type-var]


def _parse(kind: type[Config], default: Config, arguments: list[str], about: str) -> Config:
    """Let tyro parse; what it refuses becomes one line. `--dry-run` prints what was parsed and exits."""
    dry_run = "--dry-run" in arguments
    arguments = [argument for argument in arguments if argument != "--dry-run"]
    try:
        config, unknown = _tyro(kind, default, arguments, about)
    except SystemExit as leaving:
        if not leaving.code:
            raise
        if error := _refusal(leaving):
            raise error from None
        bad = next((group for group in _options(arguments) if _is_misread(kind, default, group)), arguments)
        raise InputError(f"{' '.join(bad)}: {_expected(kind, bad)}; see --help") from None
    if unknown:
        options = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(default)]  # type: ignore[arg-type]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], options, n=1)
        hint = f"did you mean {near[0]}? See --help" if near else "see --help for those there are"
        raise InputError(f"{unknown[0]}: no such option; {hint}")
    if dry_run:
        print(as_json(config))
        raise SystemExit(0)
    return config


def _tyro(kind: type[Config], default: Config, arguments: list[str], about: str = "") -> tuple[Config, list[str]]:
    """Parse, without the box that tyro draws about an error."""
    with contextlib.redirect_stderr(io.StringIO()):
        return tyro.cli(kind, default=default, args=arguments, description=about, return_unknown_args=True)


def _refusal(error: BaseException | None) -> InputError | None:
    """The line of the dataclass that `error` comes from, if it does: tyro would wrap it."""
    while error is not None and not isinstance(error, InputError):
        error = error.__context__
    return error


def _options(arguments: list[str]) -> list[list[str]]:
    """Each option with its values."""
    groups: list[list[str]] = []
    for argument in arguments:
        if argument.startswith("--"):
            groups.append([argument])
        elif groups:
            groups[-1].append(argument)
    return groups


def _is_misread(kind: type[Config], default: Config, option: list[str]) -> bool:
    """Whether tyro cannot read the values of this option, given alone."""
    try:
        _tyro(kind, default, option)
    except SystemExit as leaving:
        return bool(leaving.code) and _refusal(leaving) is None
    return False


def _expected(kind: type[Config], option: list[str]) -> str:
    """What the values of an option should have been."""
    name, equals, _ = option[0].removeprefix("--").partition("=")
    hint = typing.get_type_hints(kind).get(name.replace("-", "_"))
    if hint is bool:
        return "takes no value"
    if len(option) == 1 and not equals:
        return "needs a value"
    parts = typing.get_args(hint) if typing.get_origin(hint) is tuple else (hint,)
    number = {int: "whole number", float: "number"}.get(parts[0], "value")
    if len(parts) == 1:
        return f"give a {number}"
    return f"give {number}s" if parts[-1] is ... else f"give {len(parts)} {number}s"


def complain(error: InputError) -> None:
    """Print `error` on standard error as one line."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)


def run(main: Callable[[list[str]], int | None]) -> None:
    """Run `main(arguments)` as a command: `InputError` becomes one line and exit code 2, Ctrl-C exit code 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names may hold what the terminal's alphabet lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except InputError as error:
        complain(error)
        code = 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        _discard_output()
        code = 1
    except OSError as error:  # names that are too long, a disk that fails, an output that is full
        named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
        remedy = "check the name and the disk"
        if error.errno is None and "library" in str(error):  # packages of torch that do not fit together
            named, remedy = "a library", "install torch, torchaudio and torchvision anew, all from one index"
        complain(InputError(f"{named}: cannot be used ({error.strerror or error}); {remedy}"))
        _discard_output()
        code = 2
    except ModuleNotFoundError as error:  # an installed copy brings what painting needs
        package = str(error.name).partition(".")[0]
        if package in ("s2i", "attngan", "datasets"):
            raise
        complain(InputError(f"{package}: is not installed; this needs it: install the extra [train]"))
        code = 2
    except MemoryError:
        complain(InputError("memory: there is not enough; end other programs, or give less at a time"))
        code = 2
    sys.exit(code or 0)


def _discard_output() -> None:
    """Let nothing more be written to standard output, which Python flushes once more when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    """The folder of the packages, where `pretrained` is: the checkout, or the package s2i of an installed copy."""
    return Path(__file__).resolve().parents[1]


def workplace() -> Path:
    """Where data, runs and outputs are by default: the checkout, or of an installed copy the working directory."""
    return Path.cwd() if INSTALLED else repository()
