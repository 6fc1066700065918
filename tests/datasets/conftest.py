import io

import numpy as np
import pytest
from PIL import Image

from datasets import corpus
from datasets.corpus import Corpus, Tables


def png(array):
    """`array` [H, W, 3] uint8 as PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def ramp(height, width, blue=0):
    """A picture whose red is the column, green the row: any crop of it tells where it was cut."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, blue)], 2).astype(np.uint8)


SIZES = [(48, 76), (76, 76), (100, 76), (76, 120), (30, 40), (76, 90)]  # height, width
MELS = [np.full((10 + number, 40), number / 2, np.float32) for number in range(12)]


@pytest.fixture
def small_tables():
    """Six pictures of three species, each with two captions, each of them spoken in one voice."""
    return Tables(
        species=["crow", "finch", "gull"],
        picture_names=[f"picture {number}" for number in range(6)],
        picture_species=[0, 1, 0, 1, 2, 2],
        picture_split=[0, 0, 0, 0, 1, 2],
        captions=[f"the {'first' if number % 2 == 0 else 'second'} bird {number}" for number in range(12)],
        caption_picture=[number // 2 for number in range(12)],
        recording_picture=[number // 2 for number in range(12)],
        recording_caption=list(range(12)),
        recording_voice=[number % 2 for number in range(12)],
        recording_seed=[2**31 - 1 - number for number in range(12)],
        voice_names=["espeak-us", "espeak-us-f5"],
        voice_heard=[True, False],
    )


@pytest.fixture
def small_pictures():
    return [ramp(*size, blue=number) for number, size in enumerate(SIZES)]


@pytest.fixture
def write_small(tmp_path, small_tables, small_pictures):
    """Write the small corpus, by default with recordings, and return its path."""

    def write(name="small.h5", mels=MELS, pictures=None):
        path = tmp_path / name
        encoded = [png(picture) for picture in small_pictures] if pictures is None else pictures
        corpus.write(path, small_tables, encoded, mels, sources={"table": "12ab"}, config={"seed": 3, "where": path})
        return path

    return write


@pytest.fixture
def small(write_small):
    opened = Corpus(write_small())
    yield opened
    opened.close()
