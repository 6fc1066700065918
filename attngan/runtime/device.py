"""Where a network computes, and how precisely."""

import torch

from attngan.runtime.training_options import HALF, PRECISIONS
from datasets.cli import check_choice
from datasets.errors import InputError


def find_device(name: str) -> torch.device:
    """The device of a name that torch knows; of "auto" a GPU where there is one, else the CPU.

    Raises:
        InputError: if there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without that device
        raise InputError(f"device {name}: cannot be used here; give auto, cpu or cuda") from error


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context that computes in `precision`: `SINGLE` as the weights are, `HALF` in bfloat16 where that is faster.

    Raises:
        InputError: for another precision.
    """
    check_choice("precision", precision, PRECISIONS)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == HALF)
