"""State dicts of other programs: files of `torch.save`, read without running code."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.files import require_file


def read_state_dict(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors by name of a file of `torch.save`, without the prefix that training on several GPUs leaves.

    Args:
        what: it should hold, for messages.

    Raises:
        InputError: if the file is missing, damaged, would run code, or holds something else.
    """
    require_file(path, what)
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a wrong file makes torch raise
        reason = f"{type(error).__name__}: torch reads no tensors from it, or it would run code"
        raise InputError(f"{path}: not {what} ({reason}); save the state_dict() alone") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise InputError(f"{path}: not {what}, since it holds no dictionary of tensors; save the state_dict() alone")
    return {str(name).removeprefix("module."): value for name, value in state.items()}
