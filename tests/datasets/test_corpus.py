import io
import multiprocessing
import os
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from datasets import audio, picture_file, records, voices
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.shard import Groups
from tests import helpers

MELS = [np.full((10 + number, 40), number / 2, np.float32) for number in range(12)]


def refused(path, *words):
    assert helpers.refused(lambda: Corpus(path), *words).startswith(f"{path}: ")


def test_everything_comes_back(small, small_tables, small_pictures):
    assert len(small) == 6
    assert small.sources == {"table": "12ab"}
    assert small.config == {"seed": 3, "where": str(small.path)}
    assert small.species_names == ["crow", "finch", "gull"]
    assert small.names == small_tables.picture_names
    assert small.captions == small_tables.captions
    assert small.voice_names == ["espeak-us", "espeak-us-f5"]
    assert small.voice_heard.tolist() == [True, False]
    for name in ("caption_picture", "recording_picture", "recording_caption", "recording_voice", "recording_seed"):
        assert getattr(small, name).tolist() == getattr(small_tables, name), name
    assert small.species.tolist() == small_tables.picture_species
    assert small.split.tolist() == small_tables.picture_split
    for number, picture in enumerate(small_pictures):
        assert np.array_equal(np.asarray(small.picture(number)), picture)


def test_recordings_are_stored_in_half_precision_and_read_in_single(small, write_small):
    for number in (0, 5, 11):
        assert torch.equal(small.mel(number), torch.full((10 + number, 40), number / 2))
    pi = Corpus(write_small("pi.h5", [np.full((3, 40), np.pi, np.float32)] * 12)).mel(7)
    assert pi.dtype == torch.float32
    assert (pi == 3.140625).all()  # the half-precision number next to pi


def test_more_frames_than_are_written_at_once(write_small):
    mels = [np.full((30_000, 40), number, np.float16) for number in range(12)]
    stored = Corpus(write_small("long.h5", iter(mels)))
    for number in (0, 6, 7, 11):  # the first 200,000 frames end within number 6
        assert torch.equal(stored.mel(number), torch.full((30_000, 40), float(number)))


def test_jpeg_bytes_are_kept(write_small, small_pictures):
    encoded = [picture_file.encode(Image.fromarray(picture)) for picture in small_pictures]
    stored = Corpus(write_small("jpeg.h5", pictures=encoded))
    assert [stored.encoded(number) for number in range(6)] == encoded


def test_groups_by_picture(small):
    assert [group.tolist() for group in small.captions_by_picture()] == [[2 * n, 2 * n + 1] for n in range(6)]
    assert [group.tolist() for group in small.captions_by_picture("even")] == [[2 * n] for n in range(6)]
    assert [group.tolist() for group in small.captions_by_picture("odd")] == [[2 * n + 1] for n in range(6)]
    assert [group.tolist() for group in small.recordings_by_picture()] == [[2 * n, 2 * n + 1] for n in range(6)]
    assert [group.tolist() for group in small.recordings_by_picture("training")] == [[2 * n] for n in range(6)]
    assert [group.tolist() for group in small.recordings_by_picture("held-out")] == [[2 * n + 1] for n in range(6)]


def test_groups_when_owners_are_mixed_or_own_nothing():
    groups = Groups(np.array([2, 0, 2, 0]), np.array([10, 11, 12, 13]), 4)
    assert len(groups) == 4
    assert [group.tolist() for group in groups] == [[11, 13], [], [10, 12], []]


def test_splits(small):
    assert small.pictures_of("train").tolist() == [0, 1, 2, 3]
    assert small.pictures_of("validation").tolist() == [4]
    assert small.pictures_of("test").tolist() == [5]
    with pytest.raises(InputError, match="'dev': unknown; choose one of train, validation, test"):
        small.pictures_of("dev")
    small.split[:] = 0
    with pytest.raises(InputError, match="no pictures in the test split"):
        small.pictures_of("test")


def test_on_the_fly_gives_what_would_have_been_stored(write_small, small_tables):
    made = [
        audio.log_mel(voices.synthesise(voices.by_name(small_tables.voice_names[voice]), text, seed)).numpy()
        for voice, text, seed in zip(
            small_tables.recording_voice, small_tables.captions, small_tables.recording_seed, strict=True
        )
    ]
    stored, live = Corpus(write_small("stored.h5", made)), Corpus(write_small("live.h5", None))
    for number in (0, 1, 11):
        assert torch.equal(stored.mel(number), live.mel(number).half().float())


def test_missing_folder_text_and_empty_are_refused(tmp_path):
    refused(tmp_path / "none.h5", "not found")
    refused(tmp_path, "folder")
    for name, data in (("text.h5", b"hello\n" * 99), ("empty.h5", b"")):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, "not HDF5, or is cut off")


@pytest.mark.parametrize("kept", [7, 100, 1000, 0.3, 0.7, 0.99, -1])
def test_a_file_cut_off_anywhere_is_refused(write_small, kept):
    path = write_small()
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else kept])
    refused(path, "cut off")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("schema", "something", "not a corpus"),
        ("schema", None, "not a corpus"),
        ("version", 3, "version 3, this code reads versions 1 and 2"),
        ("version", None, "version None"),
        ("complete", False, "not finished"),
    ],
)
def test_wrong_attributes_are_refused(write_small, name, value, words):
    path = write_small()
    with h5py.File(path, "a") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    refused(path, words)


@pytest.mark.parametrize("name", ["species", "pictures/encoded", "captions/text", "recordings/seed", "voices/heard"])
def test_a_missing_table_is_refused(write_small, name):
    path = write_small()
    with h5py.File(path, "a") as file:
        del file[name]
    refused(path, "missing or damaged")


def _hold(path, ready, done):
    with h5py.File(path, "a"):
        ready.set()
        done.wait(60)


def test_a_file_that_is_open_for_writing_is_refused(write_small):
    path = write_small()
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(path, ready, done))
    process.start()
    assert ready.wait(60)
    refused(path, "being written by another process")
    done.set()
    process.join()


def failing(items, after):
    yield from items[:after]
    raise OSError(28, "No space left on device")


def test_a_failing_write_leaves_the_old_file_and_nothing_else(write_small, tmp_path):
    path = write_small()
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"small\.h5: cannot be written \(No space left on device\)"):
        write_small(mels=failing(MELS, 5))
    with pytest.raises(InputError, match="cannot be written"):
        write_small(pictures=failing([b"x"], 1))
    with pytest.raises(ValueError, match="11 log-mels for 12 recordings"):
        write_small(mels=MELS[:11])
    with pytest.raises(ValueError, match="5 pictures for 6 names"):
        write_small(pictures=[b"x"] * 5)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("good", range(0, 7, 2))
def test_a_disk_that_fills_up_is_one_line(write_small, tmp_path, monkeypatch, good):
    path = write_small()
    before, left = path.read_bytes(), iter([10**9] * good + [10**7] * 99)  # 6 pictures, then the recordings
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=next(left)))
    with pytest.raises(InputError, match=r"small\.h5: cannot be written \(No space left on device\); free some space"):
        write_small()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


# --- damage


def read_all(path):
    """Everything in a corpus, as comparable values."""
    opened = Corpus(path)
    try:
        tables = [getattr(opened, name).tolist() for name in TABLES]
        texts = [list(opened.names), list(opened.captions), opened.species_names, opened.voice_names]
        encoded = [opened.encoded(row) for row in range(len(opened))]
        mels = [opened.mel(row).numpy().tobytes() for row in range(len(opened.recording_picture))]
        return [tables, texts, encoded, mels, opened.sources, opened.config]
    finally:
        opened.close()


TABLES = ("species", "split", "caption_picture", "recording_picture", "recording_caption", "recording_voice")
TABLES += ("recording_seed", "voice_heard")


def test_a_damaged_sector_anywhere_is_noticed_or_does_no_harm(write_small):
    path = write_small()
    whole, data = read_all(path), path.read_bytes()
    told = []
    for begin in range(0, len(data), 512):
        path.write_bytes(data[:begin] + b"\xa5" * len(data[begin : begin + 512]) + data[begin + 512 :])
        try:
            assert read_all(path) == whole, f"sector at {begin}"
        except InputError as error:
            told.append(str(error))
    assert len(told) > 20  # of some hundred, most of which are room for more
    assert all(line.startswith(f"{path}: ") and line.endswith("scripts/prepare_cub.sh") for line in told)
    assert "\n" not in "".join(told)


@pytest.mark.parametrize("table", ["pictures/encoded", "recordings/mel", "captions/text"])
def test_what_is_damaged_is_named(write_small, table):
    path = write_small()
    with h5py.File(path, "a") as file:
        data = file[table] if table == "recordings/mel" else file[f"{table}/bytes"]
        data[len(data) // 2] = 77
    expected = rf"^{path}: {table}: missing or damaged \(.* is not what was written\); remove"
    with pytest.raises(InputError, match=expected):
        read_all(path)


@pytest.mark.parametrize(
    ("table", "row", "value", "words"),
    [
        ("pictures/species", 2, -1, "row 2 is -1, outside of 0 to 2"),
        ("pictures/species", 2, 3, "row 2 is 3, outside of 0 to 2"),
        ("pictures/split", 0, 3, "row 0 is 3, outside of 0 to 2"),
        ("captions/picture", 11, 6, "row 11 is 6, outside of 0 to 5"),
        ("recordings/picture", 4, -1, "row 4 is -1, outside of 0 to 5"),
        ("recordings/caption", 4, 12, "row 4 is 12, outside of -1 to 11"),
        ("recordings/voice", 4, 2, "row 4 is 2, outside of 0 to 1"),
        ("recordings/seed", 4, -5, "row 4 is -5, outside of 0"),
        ("recordings/offset", 4, 9, "does not fit the recordings"),
        ("recordings/offset", 12, 1_000_000, "does not fit the recordings"),
    ],
)
def test_a_number_that_names_nothing_is_refused(write_small, table, row, value, words):
    path = write_small()
    with h5py.File(path, "a") as file:
        values = file[table][:]
        values[row] = value
        del file[table]
        records.write_numbers(file, table, values, values.dtype.type)  # as if it had been written so
    refused(path, words, table)


def test_tables_that_do_not_fit_together_are_refused(write_small):
    path = write_small()
    with h5py.File(path, "a") as file:
        del file["recordings/seed"]
        records.write_numbers(file, "recordings/seed", [1, 2], np.int64)
    refused(path, "recordings/seed: has 2 rows instead of 12")


@pytest.mark.parametrize("rows", [1_500_000_000, 2**44])
def test_a_table_that_claims_more_than_the_file_holds_is_refused(write_small, rows):
    path = write_small()
    with h5py.File(path, "a") as file:
        del file["recordings/seed"]
        file.create_dataset("recordings/seed", (rows,), np.int64, chunks=(1000,))
    refused(path, "recordings/seed", f"claims {8 * rows:,} bytes")


def test_a_sparse_file_is_not_taken_for_a_large_one(write_small):
    path = write_small()
    with h5py.File(path, "a") as file:
        del file["recordings/seed"]
        file.create_dataset("recordings/seed", (1_500_000_000,), np.int64, chunks=(1000,))
    os.truncate(path, 20_000_000_000)
    refused(path, "recordings/seed", "claims 12,000,000,000 bytes")


def write_version_1(path, tables, encoded, mels):
    """A file as they were before there were checksums."""
    text = h5py.string_dtype("utf-8")
    with h5py.File(path, "w") as file:
        file.attrs.update(
            schema="spoken-captions", version=1, complete=True, sources='{"a": "b"}', config='{"seed": 3}'
        )
        for name, values, kind in (
            ("species", tables.species, text),
            ("pictures/name", tables.picture_names, text),
            ("pictures/species", tables.picture_species, np.int32),
            ("pictures/split", tables.picture_split, np.uint8),
            ("captions/text", tables.captions, text),
            ("captions/picture", tables.caption_picture, np.int32),
            ("recordings/picture", tables.recording_picture, np.int32),
            ("recordings/caption", tables.recording_caption, np.int32),
            ("recordings/voice", tables.recording_voice, np.int16),
            ("recordings/seed", tables.recording_seed, np.int64),
            ("voices/name", tables.voice_names, text),
            ("voices/heard", tables.voice_heard, bool),
            ("recordings/offset", np.cumsum([0, *map(len, mels)]), np.int64),
        ):
            file.create_dataset(name, data=np.array(values, dtype=object if kind is text else kind), dtype=kind)
        pictures = file.create_dataset("pictures/encoded", (len(encoded),), dtype=h5py.vlen_dtype(np.dtype("uint8")))
        for row, data in enumerate(encoded):
            pictures[row] = np.frombuffer(data, np.uint8)
        frames = np.concatenate(mels).astype(np.float16)
        file.create_dataset("recordings/mel", data=frames, chunks=(512, 40), maxshape=(None, 40))


def test_files_of_the_first_version_are_read(tmp_path, write_small, small_tables, small_pictures):
    path, encoded_pictures = tmp_path / "old.h5", [encoded(Image.fromarray(p), "PNG") for p in small_pictures]
    write_version_1(path, small_tables, encoded_pictures, MELS)
    old, new = read_all(path), read_all(write_small(pictures=encoded_pictures))
    assert old[:4] == new[:4]
    assert old[4:] == [{"a": "b"}, {"seed": 3}]
    with h5py.File(path, "a") as file:
        file["recordings/caption"][3] = 12
    refused(path, "recordings/caption", "row 3 is 12, outside of -1 to 11")
