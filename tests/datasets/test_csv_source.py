import numpy as np
import pytest
from PIL import Image

from datasets import csv_source
from datasets.errors import InputError
from tests import helpers


@pytest.fixture
def folder(tmp_path):
    for number in range(1, 7):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.wav").write_bytes(bytes([number]))
    return tmp_path


def read(folder, *lines, data=None):
    path = folder / "own.csv"
    path.write_bytes("\n".join(lines).encode() if data is None else data)
    return csv_source.read(path, short_side=64, seed=0)


def refused(folder, *lines, words, data=None):
    message = helpers.refused(lambda: read(folder, *lines, data=data), words)
    assert message.startswith(str(folder / "own.csv"))


def spoken(entry):
    return [(recording.file.name, recording.caption) for recording in entry.recordings]


def test_rows_become_entries_one_a_picture(folder):
    entries, sources = read(
        folder,
        "image,recording,caption,class,split",
        "1.png,1.wav,A red bird,robin,train",
        f"2.png,{folder}/2.wav,A blue bird,jay,test",
        "1.png,3.wav,Its wings are red,robin,train",
        "./1.png,4.wav,A red bird,robin,TRAIN",
        "",
        "1.png,5.wav,,robin,train",
    )
    assert [(entry.name, entry.species, entry.split) for entry in entries] == [
        ("1.png", "robin", "train"),
        ("2.png", "jay", "test"),
    ]
    assert entries[0].captions == ["A red bird", "Its wings are red"]
    assert spoken(entries[0]) == [("1.wav", 0), ("3.wav", 1), ("4.wav", 0), ("5.wav", -1)]
    assert spoken(entries[1]) == [("2.wav", 0)]
    assert entries[0].recordings[2].origin == f"{folder / 'own.csv'}: line 5"
    assert entries[0].recordings[3].origin == f"{folder / 'own.csv'}: line 7"
    assert entries[1].picture()[:2] == b"\xff\xd8"
    assert set(sources) == {"own.csv", "pictures and recordings"}


def test_changed_files_change_the_checksum(folder):
    rows = ["image,recording", "1.png,1.wav", "2.png,2.wav"]
    before = read(folder, *rows)[1]
    assert read(folder, *rows)[1] == before
    (folder / "2.wav").write_bytes(b"another")
    after = read(folder, *rows)[1]
    assert after["own.csv"] == before["own.csv"]
    assert after["pictures and recordings"] != before["pictures and recordings"]


def test_without_captions_classes_and_splits(folder):
    entries, _ = read(folder, "recording, IMAGE", *(f"{k}.wav,{k}.png" for k in range(1, 7)))
    assert [entry.species for entry in entries] == [f"{k}.png" for k in range(1, 7)]
    assert all(entry.captions == [] for entry in entries)
    assert all(entry.recordings[0].caption == -1 for entry in entries)
    # A tenth of six rounds to one each.
    assert sorted(entry.split for entry in entries) == ["test"] + ["train"] * 4 + ["validation"]


def test_an_empty_split_is_training_where_others_are_named(folder):
    entries, _ = read(folder, "image,recording,split", "1.png,1.wav,", "2.png,2.wav,validation", "3.png,3.wav")
    assert [entry.split for entry in entries] == ["train", "validation", "train"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks(folder, end, mark):
    text = end.join(["image,recording,caption", "1.png,1.wav,a bird", "2.png,2.wav,a crow", ""])
    entries, _ = read(folder, data=mark + text.encode())
    assert [(entry.name, entry.captions) for entry in entries] == [("1.png", ["a bird"]), ("2.png", ["a crow"])]


def test_quotes(folder):
    entries, _ = read(
        folder,
        '"image","recording","caption"',
        '1.png,1.wav,"a ""red"" bird, with',
        'blue\u2028wings"',
        "2.png,2.wav,a crow",
    )
    assert entries[0].captions == ['a "red" bird, with blue wings']
    assert entries[1].recordings[0].origin.endswith("line 4")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["image,caption", "1.png,a"], "column 'recording' is missing"),
        (["recording,class", "1.wav,a"], "column 'image' is missing"),
        (["image|recording", "1.png|1.wav"], "with commas (or semicolons, or tabs) between"),
        ([""], "column 'image' is missing"),
        (["image,recording"], "has no rows"),
        (["image,recording,Image", "1.png,1.wav,2.png"], "column 'image' is named twice"),
        (["image,recording", "1.png,9.wav"], "line 2: recording 9.wav not found"),
        (["image,recording", "1.png,1.wav", "9.png,1.wav"], "line 3: image 9.png not found"),
        (["image,recording", f"1.png,{'x' * 300}"], "not found"),
        (["image,recording", ".,1.wav"], "image . not found"),
        (["image,recording", "1.png,"], "line 2: recording is empty"),
        (["image,recording", ",1.wav"], "line 2: image is empty"),
        (["image,recording", "1.png,1.wav", "2.png,2.wav", "./1.png,1.wav"], "line 4 repeats ./1.png with 1.wav"),
        (["image,recording,split", "1.png,1.wav,dev"], "line 2: split 'dev' is unknown; use one of train, validation"),
        (["image,recording,class", "1.png,1.wav,a", "1.png,2.wav,b"], "line 3: 1.png has another class or split"),
        (["image,recording,split", "1.png,1.wav,test", "1.png,2.wav,train"], "line 3: 1.png has another class"),
        (["image,recording,caption", "1.png,1.wav,red, with wings"], "line 2 has 4 fields, the first line 3"),
        (["image,recording,caption", '1.png,1.wav,"red" bird'], "line 2: "),
        (["image,recording,caption", '1.png,1.wav,"red'], "line 2: "),
        (['"image"x,recording'], "line 1: "),
        (["image,recording,caption", "1.png,1.wav,???"], "line 2: caption '???' has no English words"),
        (["image,recording", "1.png\0,1.wav"], "zero bytes"),
    ],
)
def test_bad_tables(folder, lines, words):
    refused(folder, *lines, words=words)


def test_bytes_that_are_not_utf_8(folder):
    refused(folder, data=b"image,recording,caption\n1.png,1.wav,a\n2.png,2.wav,caf\xe9", words="line 3 has a byte that")
    refused(folder, data="image,recording\n".encode("utf-16"), words="not UTF-8")
    refused(folder, data=np.random.default_rng(0).bytes(500), words="not UTF-8")


def test_a_table_that_is_missing_or_empty(folder):
    refused(folder, data=b"", words="column 'image' is missing")
    with pytest.raises(InputError, match=r"none\.csv: table of pictures and recordings not found"):
        csv_source.read(folder / "none.csv", short_side=64, seed=0)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_what_spreadsheets_put_between_fields(folder, delimiter, mark):
    rows = [["image", "recording", "caption"], ["1.png", "1.wav", "a red bird"], ["2.png", "2.wav", "a crow"]]
    entries, _ = read(folder, data=(mark + "\r\n".join(delimiter.join(row) for row in rows)).encode())
    assert [(entry.name, entry.captions) for entry in entries] == [("1.png", ["a red bird"]), ("2.png", ["a crow"])]


STRANGE = {
    "screenshot of macOS": "Bild 2024-05-01 um 9.41.07\u202fPM.png",
    "no-break space": "rotes\xa0Huhn.png",
    "ideographic space": "赤い\u3000鳥.png",
    "two spaces": "red  bird.png",
    "accent of its own": "cafe\u0301.png",
    "accent of its letter": "caf\xe9.png",
    "spaces around": "deep  folder/a bird.png",
}


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_names_are_found_as_they_stand_and_as_they_look(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    Image.new("RGB", (40, 30)).save(folder / name)
    (folder / name).with_suffix(".wav").touch()
    looks = " ".join(name.split()).replace("e\u0301", "\xe9")
    for spelled in {name, looks, f"  {looks} ", name.replace("\xe9", "e\u0301")}:
        entries, _ = read(folder, "image,recording", f'"{spelled}","{spelled[: spelled.rindex(".")]}.wav"')
        assert entries[0].recordings[0].file == (folder / name).with_suffix(".wav").resolve()
        assert entries[0].picture()[:2] == b"\xff\xd8"


def test_names_that_only_look_the_same_are_told_apart_or_refused(folder):
    for name in ("a\u202fb.png", "a\xa0b.png"):
        Image.new("RGB", (40, 30)).save(folder / name)
    entries, _ = read(folder, "image,recording", "a\xa0b.png,1.wav")
    assert entries[0].name == "a\xa0b.png"
    pattern = r"a b\.png: may be 'a\\xa0b\.png' and 'a\\u202fb\.png', which differ in spaces"
    with pytest.raises(InputError, match=pattern):
        read(folder, "image,recording", "a b.png,1.wav")
