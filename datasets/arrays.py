"""Arrays kept in files between two steps of a long job: what `numpy.savez` wrote, read only if it is whole."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np

LONGEST_HEADER = 10_000  # bytes; NumPy's own limit


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file by `numpy.savez`, whose checksums are verified, in memory that the file's size bounds.

    Raises:
        OSError: if it is not there or cannot be read.
        ValueError: if it is not what was written.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            size = os.fstat(file.fileno()).st_size
            members = archive.infolist()
            if sum(member.file_size for member in members) > size:
                raise ValueError("it claims more than it holds")
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed")
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except (OSError, ValueError):
        raise
    # What zipfile and NumPy raise for damaged files is not all documented.
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _array(data: bytes) -> np.ndarray:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError("it is of another version")
    shape, _, kind = np.lib.format.read_array_header_1_0(file, LONGEST_HEADER)
    if kind.hasobject or kind.itemsize * int(np.prod(shape, dtype=object)) != len(data) - file.tell():
        raise ValueError("an array does not fit its description")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)
