"""Files of weights: one safetensors file with a description in its header, which loads without executing code."""

import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.files import replacing, require_file
from datasets.json_file import parse_json

FORMAT = 2  # of the files written by `save`
UNSIGNED = 1  # files of this format have no checksum
CHECKSUM = "crc32"

Built = TypeVar("Built")


def save(path: str | Path, state: Any, description: dict[str, Any]) -> None:
    """Write nested dicts and lists of tensors and plain values as one safetensors file, whole or not at all.

    Tensors go in as tensors; the structure, the plain values and `description` go into the header as JSON.
    """
    tensors: dict[str, Tensor] = {}

    def strip(value: Any, name: str) -> Any:
        if isinstance(value, Tensor):
            while name in tensors:  # {"a": {"b": ...}} and {"a.b": ...}
                name += "'"
            tensors[name] = value.detach().cpu().contiguous().clone()
            return {"__tensor__": name}
        if isinstance(value, dict):
            return {"__items__": [[key, strip(item, f"{name}.{key}".lstrip("."))] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            return [strip(item, f"{name}.{index}") for index, item in enumerate(value)]
        return value

    header = json.dumps({"format": FORMAT, "state": strip(state, ""), **description}, default=str)
    # Within the description, since safetensors would write two entries in any order.
    signed = f'{header[:-1]}, "{CHECKSUM}": "{_checksum(header, tensors)}"}}'
    with replacing(path) as temporary:
        # Not by save_file, which writes a temporary file of its own that a kill leaves behind.
        temporary.write_bytes(serialise(tensors, metadata={"description": signed}))


def _checksum(header: str, tensors: dict[str, Tensor]) -> str:
    """CRC-32 of the description and of the names, types, sizes and bytes of all tensors, eight hexadecimal digits."""
    found = zlib.crc32(header.encode())
    for name in sorted(tensors):
        value = tensors[name]
        found = zlib.crc32(f"{name} {value.dtype} {list(value.shape)}".encode(), found)
        found = zlib.crc32(value.contiguous().reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def load(path: str | Path, kind: str) -> tuple[Any, dict[str, Any]]:
    """Read what `save` wrote: (state, description). No code is run. Files of older versions have no checksum.

    Args:
        kind: what the description must call itself, so that one network's file is not taken for another's.

    Raises:
        InputError: if the file is missing, cut off, changed since it was written, of another format, or of another
            kind.
    """
    text, wanted = _metadata(path, kind)
    header = _header(path, text)
    if header.get("kind") != kind:
        raise InputError(f"{path}: holds a {header.get('kind')}, not a {kind}; give the other file")
    with _telling(path):
        tensors = load_file(path)
    if header["format"] != UNSIGNED and _checksum(text, tensors) != wanted:
        raise InputError(f"{path}: is not what was written into it; copy or train it again")

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            if "__tensor__" in value:
                return tensors[value["__tensor__"]]
            return {key: restore(item) for key, item in value["__items__"]}
        return [restore(item) for item in value] if isinstance(value, list) else value

    with _telling(path):
        return restore(header.pop("state")), header


@contextmanager
def _telling(path: str | Path) -> Iterator[None]:
    """Tell in one line that a file is damaged."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"{path}: lacks {error}; copy or train it again") from error
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(f"{path}: not a checkpoint, or cut off ({error}); copy or train it again") from error


def _metadata(path: str | Path, kind: str) -> tuple[str, str | None]:
    """The description as it was written, and the checksum, if there is one."""
    require_file(path, f"{kind} checkpoint")
    with _telling(path), safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    text = str(metadata.get("description", "{}"))
    signature = re.search(rf', "{CHECKSUM}": "([0-9a-f]{{8}})"}}$', text)
    return (f"{text[: signature.start()]}}}", signature[1]) if signature else (text, None)


def _header(path: str | Path, text: str) -> dict[str, Any]:
    with _telling(path):
        header = parse_json(text, dict)
    if "format" not in header:
        raise InputError(f"{path}: holds weights, but not of this program; give a file that its training wrote")
    if header["format"] not in (UNSIGNED, FORMAT):
        raise InputError(
            f"{path}: written in format {header['format']}, this code reads {FORMAT}; train it again or use the "
            "version of the code that wrote it"
        )
    return header


def kind_of(path: str | Path) -> str:
    """What a file written by `save` calls itself.

    Raises:
        InputError: if it is missing or not such a file.
    """
    return str(_header(path, _metadata(path, "model")[0]).get("kind"))


def build(network: Callable[..., Built], description: dict[str, Any], field: str, path: str | Path) -> Built:
    """Call `network` with the arguments that `description` holds under `field`.

    Raises:
        InputError: if they are missing or are not its arguments, which is a network of another version.
    """
    try:
        return network(**description[field])
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: describes a network of another version ({reason}); train it again") from error


def part(state: Any, name: str, path: str | Path) -> Any:
    """What a state or a description holds under `name`.

    Raises:
        InputError: if it holds no such thing.
    """
    with _telling(path):
        return state[name]


def load_weights(module: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Load a state dict, half precision or not, into `module`.

    Raises:
        InputError: if names or sizes differ, which is a network of another size.
    """
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        difference = str(error).split("\n")[1 if "\n" in str(error) else 0].strip()[:200]
        raise InputError(f"{path}: weights of another size of network ({difference}); give matching options") from error


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the state of an optimizer whose fused step takes moments to lie in memory as their weights do.

    Files hold them contiguous, and `load_state_dict` alone would leave those of channels-last weights transposed.
    """
    optimizer.load_state_dict(state)
    for weight, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                values[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
