"""The configuration that a run left in its folder, read back as the dataclass that it was written from."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from datasets.errors import InputError
from datasets.json_file import read_json

Config = TypeVar("Config")


def load(path: Path, kind: type[Config]) -> Config:
    """The `kind` that `datasets.cli.as_json` wrote to `path`; what the file does not tell is as its default is.

    Raises:
        InputError: if the file is missing or damaged, of another kind of run, or holds a value that the dataclass
            cannot have.
    """
    given = read_json(path, "configuration", "give the config.json of a run folder", dict)
    renamed: Mapping[str, str] = getattr(kind, "renamed", {})
    values = {renamed.get(name, name): value for name, value in given.items()}
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - fields):
        raise InputError(f"{path}: {unknown[0]!r} is no option of this command; give the config.json of such a run")
    if not values:
        raise InputError(f"{path}: holds no options; give the config.json of a run folder")
    hints = typing.get_type_hints(kind)
    read = {}
    for name, value in values.items():
        try:
            read[name] = _read(value, hints[name])
        except TypeError as error:
            raise InputError(f"{path}: {name} is {str(value)[:60]!r}, {error}; mend the file") from error
    try:
        return kind(**read)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read(value: Any, hint: Any) -> Any:
    """A value of JSON as what a field of type `hint` holds.

    Raises:
        TypeError: if it is of another type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and types.NoneType in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not types.NoneType)
        return _read(value, hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError("should be a list")
        if arguments[-1] is ...:
            return tuple(_read(part, arguments[0]) for part in value)
        if len(value) != len(arguments):
            raise TypeError(f"should be a list of {len(arguments)}")
        return tuple(_read(part, each) for part, each in zip(value, arguments, strict=True))
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TypeError(f"should be {hint.__name__}")
    return value
