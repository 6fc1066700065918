"""Pickles that may be damaged, or made to harm: lists, dicts, numbers and text are read, nothing else is done."""

import io
import os
import pickle
from pathlib import Path
from typing import Any, ClassVar

from datasets.errors import InputError
from datasets.files import require_file

MOST_BYTES = 16_000_000  # the captions of CUB take 6 MB; an empty list in memory takes 64 times its byte


class _PlainUnpickler(pickle._Unpickler):
    """Refuses a pickle that names any code.

    It is the one in Python, since the one in C makes room for as many remembered things as a number in the file says.
    Neither reads on when it comes to a byte array, for which both would make room as well; plain data holds none.
    """

    dispatch: ClassVar = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        raise InputError(f"it wants to run code ({module}.{name})")


def read_plain_pickle(path: Path) -> Any:
    """Read a Python 2 or 3 pickle that holds plain data only, in memory that the size of the file bounds.

    Raises:
        InputError: if it is missing, damaged, larger than 16 MB, or would run code.
    """
    require_file(path, "caption metadata")
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise InputError(f"it is larger than {MOST_BYTES // 1_000_000} MB")
        return _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{path}: not plain data: {error}; get the original metadata") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f"{path}: damaged pickle ({type(error).__name__}); get it again") from error
