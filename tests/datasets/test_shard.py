import json
import time
import tracemalloc

import h5py
import numpy as np
import pytest
import torch

from datasets import corpus, shard
from datasets.corpus import Corpus, Tables
from datasets.errors import InputError
from datasets.loader import Loader
from datasets.shard import Texts, write_manifest


@pytest.fixture
def both(write_small, small_tables, tmp_path):
    """A corpus of two files: the small one, and one of two other birds, one of a species that both know."""
    first = write_small("first.h5")
    other = Tables(
        species=["gull", "owl"],
        picture_names=["picture 6", "picture 7"],
        picture_species=[0, 1],
        picture_split=[0, 2],
        captions=["a grey bird", "a bird of the night"],
        caption_picture=[0, 1],
        recording_picture=[1, 0],
        recording_caption=[1, -1],
        recording_voice=[0, 0],
        recording_seed=[5, 6],
        voice_names=["espeak-us-f5"],
        voice_heard=[False],
    )
    old = Corpus(first)
    encoded = [old.encoded(0), old.encoded(1)]
    old.close()
    mels = [np.full((3, 40), 1.5, np.float32), np.full((4, 40), 2.5, np.float32)]
    corpus.write(tmp_path / "more" / "second.h5", other, encoded, mels, sources={"other": "34cd"}, config={"seed": 4})
    path = tmp_path / "both.json"
    write_manifest(path, [first, tmp_path / "more" / "second.h5"])
    return path


def test_several_files_are_one_corpus(both, small):
    joined = Corpus(both)
    assert json.loads(both.read_text())["shards"] == ["first.h5", "more/second.h5"]
    assert len(joined) == 8
    assert joined.names == [f"picture {number}" for number in range(8)]
    assert joined.captions == [*small.captions, "a grey bird", "a bird of the night"]
    assert joined.species_names == ["crow", "finch", "gull", "owl"]
    assert joined.species.tolist() == [0, 1, 0, 1, 2, 2, 2, 3]  # the gull is the gull
    assert joined.voice_names == ["espeak-us", "espeak-us-f5"]
    assert joined.voice_heard.tolist() == [True, False]
    assert joined.recording_voice.tolist()[-2:] == [1, 1]
    assert joined.caption_picture.tolist()[-2:] == [6, 7]
    assert joined.recording_picture.tolist()[-2:] == [7, 6]
    assert joined.recording_caption.tolist()[-2:] == [13, -1]
    assert joined.captions_by_picture()[7].tolist() == [13]
    assert joined.recordings_by_picture()[6].tolist() == [13]
    assert joined.sources == {"table": "12ab", "other": "34cd"}
    assert joined.pictures_of("train").tolist() == [0, 1, 2, 3, 6]
    for number in range(6):
        assert np.array_equal(np.asarray(joined.picture(number)), np.asarray(small.picture(number)))
        assert torch.equal(joined.mel(number), small.mel(number))
    assert np.array_equal(np.asarray(joined.picture(7)), np.asarray(small.picture(1)))
    assert torch.equal(joined.mel(13), torch.full((4, 40), 2.5))
    assert [joined.frames(number) for number in (0, 11, 12, 13)] == [10, 21, 3, 4]
    joined.close()


def test_a_loader_reads_across_files(both):
    batches = list(Loader(Corpus(both), "train", batch_size=2, size=32, speech=True).once())
    assert [batch.index.tolist() for batch in batches] == [[0, 1], [2, 3], [6]]
    assert batches[-1].mels.shape[1] == 4


def test_the_identity_tells_of_every_file(both, tmp_path):
    before = Corpus(both).identity
    path = tmp_path / "more" / "second.h5"
    path.touch()
    assert Corpus(both).identity != before
    single = Corpus(path)  # as it was before there were several, so that old caches are found
    assert single.identity == f"{path.resolve()}{path.stat().st_mtime_ns}"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"schema": "else", "version": 1, "shards": ["a.h5"]}',
        '{"schema": "spoken-captions-shards", "version": 2, "shards": ["a.h5"]}',
        '{"schema": "spoken-captions-shards", "version": 1, "shards": []}',
    ],
)
def test_a_bad_manifest_is_one_line(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.json: .*write it again: python -m datasets\.shard"):
        Corpus(path)


def test_a_missing_or_damaged_file_is_named(both, tmp_path):
    with h5py.File(tmp_path / "more" / "second.h5", "a") as file:
        del file["recordings/seed"]
    with pytest.raises(InputError, match=r"second\.h5: recordings/seed: missing or damaged"):
        Corpus(both)
    (tmp_path / "more" / "second.h5").unlink()
    with pytest.raises(InputError, match=r"second\.h5: corpus not found"):
        Corpus(both)


def test_the_command(both, tmp_path, capsys):
    shard.main([str(tmp_path / "again.json"), str(tmp_path / "first.h5")])
    assert len(Corpus(tmp_path / "again.json")) == 6
    with pytest.raises(InputError, match="give the manifest"):
        shard.main([str(tmp_path / "again.json")])
    (tmp_path / "text.h5").write_text("no corpus")
    with pytest.raises(InputError, match="not HDF5"):
        shard.main([str(tmp_path / "never.json"), str(tmp_path / "text.h5")])
    assert not (tmp_path / "never.json").exists()


def test_texts_behave_as_a_list(small):
    texts = small.captions
    assert isinstance(texts, Texts)
    assert texts[0] == "the first bird 0"
    assert texts[-1] == texts[11] == "the second bird 11"
    assert texts[np.int64(3)] == "the second bird 3"
    assert texts[2:4] == ["the first bird 2", "the second bird 3"]
    assert list(texts) == [texts[row] for row in range(12)]
    assert texts != ["the first bird 0"]
    with pytest.raises(IndexError):
        texts[12]


ROWS = 500_000  # in each of two files


def draw_large(path, first):
    """`ROWS` pictures with a caption and a recording each; no picture holds anything."""
    text = h5py.string_dtype("utf-8")
    number = np.arange(ROWS)
    with h5py.File(path, "w") as file:
        file.attrs.update(schema="spoken-captions", version=1, complete=True, sources="{}", config="{}")
        file.create_dataset("species", data=[f"species {k}" for k in range(200)], dtype=text)
        file.create_dataset("voices/name", data=["espeak-us"], dtype=text)
        file.create_dataset("voices/heard", data=[True])
        file.create_dataset("pictures/encoded", (ROWS,), dtype=h5py.vlen_dtype(np.dtype("uint8")))
        file.create_dataset("pictures/name", (ROWS,), dtype=text)
        captions = file.create_dataset("captions/text", (ROWS,), dtype=text)
        captions[-1] = f"the last of {first}"
        for name, values, kind in (
            ("pictures/species", number % 200, np.int32),
            ("pictures/split", number % 3, np.uint8),
            ("captions/picture", number, np.int32),
            ("recordings/picture", number, np.int32),
            ("recordings/caption", number, np.int32),
            ("recordings/voice", 0 * number, np.int16),
            ("recordings/seed", number, np.int64),
            ("recordings/offset", np.arange(ROWS + 1) * 4, np.int64),
        ):
            file.create_dataset(name, data=values.astype(kind))
        file.create_dataset("recordings/mel", (4 * ROWS, 40), dtype=np.float16, chunks=(512, 40))


def test_a_million_rows_open_at_once_and_stay_on_disk(tmp_path):
    for name in ("a", "b"):
        draw_large(tmp_path / f"{name}.h5", name)
    write_manifest(tmp_path / "all.json", [tmp_path / "a.h5", tmp_path / "b.h5"])
    begin = time.process_time()  # of this process alone, whatever else the machine does
    opened = Corpus(tmp_path / "all.json")
    seconds = time.process_time() - begin
    opened.close()
    tracemalloc.start()
    opened = Corpus(tmp_path / "all.json")
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(opened) == len(opened.captions) == 2 * ROWS
    assert opened.captions[-1] == "the last of b"
    assert opened.captions[ROWS - 1] == "the last of a"
    assert opened.mel(2 * ROWS - 1).shape == (4, 40)
    assert opened.recordings_by_picture()[2 * ROWS - 1].tolist() == [2 * ROWS - 1]
    assert seconds < 1
    assert held < 60 * 2 * ROWS, f"{held / 2 / ROWS:.0f} bytes a row"
    assert peak < 100 * 2 * ROWS, f"{peak / 2 / ROWS:.0f} bytes a row"
