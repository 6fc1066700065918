import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import cub
from datasets.errors import InputError
from datasets.picture_record import Entry, read_picture, split_species
from tests import helpers

WORDS = ["<end>", "a", "red", "bird", "with", "wings"]
NAMES = {
    "train": [f"00{s}.Kind_{s}/Kind_{s}_000{n}" for s in range(1, 5) for n in range(2)],
    "test": [f"00{s}.Kind_{s}/Kind_{s}_000{n}" for s in range(5, 7) for n in range(2)],
}
SMALL = {"short_side": 600, "validation_species": 1, "seed": 0}


def ramp(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.zeros_like(rows)], 2).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    """A CUB folder with 8 + 4 pictures of 100 x 80 px, the bird in x 20 to 60, y 30 to 50."""
    images, metadata = tmp_path / "cub/CUB_200_2011", tmp_path / "cub/birds"
    names = NAMES["train"] + NAMES["test"]
    for name in names:
        path = images / f"images/{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(ramp(80, 100)).save(path, quality=98)
    (images / "images.txt").write_text("".join(f"{k} {name}.jpg\n" for k, name in enumerate(names, 1)))
    (images / "bounding_boxes.txt").write_text("".join(f"{k} 20.0 30.0 40.0 20.0\n" for k in range(1, 13)))
    captions = {}
    for split in NAMES:
        (metadata / split).mkdir(parents=True)
        dump(metadata / split / "filenames.pickle", NAMES[split])
        captions[split] = [[1, 2, 3] + [4, 5] * (k % 10) for k in range(10 * len(NAMES[split]))]
    dump_captions(tmp_path / "cub", **captions)
    return tmp_path / "cub"


def dump(path, data, protocol=2):
    path.write_bytes(pickle.dumps(data, protocol=protocol))


def dump_captions(root, train, test, words=WORDS, **options):
    to_word = dict(enumerate(words))
    dump(root / "birds/captions.pickle", [train, test, to_word, {w: k for k, w in to_word.items()}], **options)


def captions(root):
    train, test, _, _ = cub.read_plain_pickle(root / "birds/captions.pickle")
    return {"train": train, "test": test}


def refused(root, *words, **options):
    helpers.refused(lambda: cub.read(root, **{**SMALL, **options}), *words)


def test_entries(root):
    entries, sources = cub.read(root, **SMALL)
    assert [entry.name for entry in entries] == NAMES["train"] + NAMES["test"]
    assert entries[3].species == "002.Kind_2"
    assert entries[3].captions[:3] == ["a red bird", "a red bird with wings", "a red bird with wings with wings"]
    assert all(len(entry.captions) == 10 for entry in entries)
    assert all(entry.recordings == [] for entry in entries)
    assert sorted(sources) == [
        *("CUB_200_2011/bounding_boxes.txt", "CUB_200_2011/images.txt", "birds/captions.pickle"),
        *("birds/test/filenames.pickle", "birds/train/filenames.pickle"),
    ]
    assert all(len(checksum) == 64 for checksum in sources.values())


def test_the_split_is_by_species_and_depends_on_the_seed(root):
    held_out = set()
    for seed in range(12):
        entries, _ = cub.read(root, short_side=600, validation_species=2, seed=seed)
        splits = {}
        for entry in entries:
            assert splits.setdefault(entry.species, entry.split) == entry.split
        assert [splits[f"00{k}.Kind_{k}"] for k in (5, 6)] == ["test", "test"]
        assert sorted(splits.values()) == ["test"] * 2 + ["train"] * 2 + ["validation"] * 2
        held_out.add(tuple(sorted(name for name, split in splits.items() if split == "validation")))
        again, _ = cub.read(root, short_side=600, validation_species=2, seed=seed)
        assert [entry.split for entry in again] == [entry.split for entry in entries]
    assert len(held_out) > 2


@pytest.mark.parametrize("count", [0, 4, -1])
def test_validation_species_leave_some_to_train(root, count):
    refused(root, f"--validation-species {count}: out of range; give 1 to 3", validation_species=count)


def test_the_crop_is_three_quarters_of_the_longer_side_about_the_middle(root):
    # Middle (40, 40), half-side 0.75 x 40 = 30: x 10 to 70, y 10 to 70.
    entries, _ = cub.read(root, **SMALL)
    picture = np.asarray(Image.open(io.BytesIO(entries[0].picture())))
    assert picture.shape == (60, 60, 3)
    assert np.abs(picture[..., :2].astype(int) - ramp(80, 100)[10:70, 10:70, :2]).mean() < 3  # JPEG twice


def test_the_crop_ends_at_the_edge_of_the_picture(root):
    # Middle (int(0 + 30.5), int(10.5 + 10)) = (30, 20), half-side int(0.75 x 61) = 45: x 0 to 75, y 0 to 65.
    lines = (root / "CUB_200_2011/bounding_boxes.txt").read_text().splitlines()
    (root / "CUB_200_2011/bounding_boxes.txt").write_text("\n".join(["1 0.0 10.5 61.0 20.0", *lines[1:]]))
    entries, _ = cub.read(root, **SMALL)
    assert Image.open(io.BytesIO(entries[0].picture())).size == (75, 65)


def test_pictures_are_reduced_but_not_enlarged(root):
    for short_side, side in ((40, 40), (600, 60)):
        entries, _ = cub.read(root, short_side=short_side, validation_species=1, seed=0)
        assert Image.open(io.BytesIO(entries[0].picture())).size == (side, side)


@pytest.mark.parametrize("gone", ["CUB_200_2011", "CUB_200_2011/images", "birds"])
def test_a_missing_folder(root, gone):
    (root / gone).rename(root / "elsewhere")
    refused(root, root / gone, "set CUB_ROOT")


@pytest.mark.parametrize(
    "gone",
    [
        *("CUB_200_2011/images.txt", "CUB_200_2011/bounding_boxes.txt", "birds/captions.pickle"),
        "birds/test/filenames.pickle",
    ],
)
def test_a_missing_table(root, gone):
    (root / gone).unlink()
    refused(root, root / gone, "not found")


def test_missing_pictures(root):
    for name in NAMES["test"][:3]:
        (root / f"CUB_200_2011/images/{name}.jpg").unlink()
    refused(root, f"{NAMES['test'][0]}.jpg: missing, with 2 others")


@pytest.mark.parametrize("data", [b"", b"no picture", 300])
def test_a_broken_jpeg_names_its_file(root, data):
    path = root / f"CUB_200_2011/images/{NAMES['train'][5]}.jpg"
    path.write_bytes(path.read_bytes()[:data] if isinstance(data, int) else data)
    entries, _ = cub.read(root, **SMALL)
    entries[4].picture()
    with pytest.raises(InputError, match=f"{path.name}: .*picture.*; replace or remove it$"):
        entries[5].picture()


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_count_of_captions(root, change):
    old = captions(root)
    old["train"] = old["train"][:-1] if change < 0 else [*old["train"], [1]]
    dump_captions(root, **old)
    refused(root, f"captions.pickle: {80 + change} train captions for 8 pictures")


def test_a_wrong_count_of_pictures(root):
    old = captions(root)
    dump(root / "birds/test/filenames.pickle", NAMES["test"][:-1])
    dump_captions(root, old["train"], old["test"][:-10])
    refused(root, "images.txt: lists 12 pictures, the captions are for 11")


def test_a_picture_that_is_named_twice(root):
    dump(root / "birds/test/filenames.pickle", [*NAMES["test"][:-1], NAMES["train"][0]])
    refused(root, "images.txt", "should be the same")


def test_a_picture_that_is_not_listed(root):
    dump(root / "birds/test/filenames.pickle", [*NAMES["test"][:-1], "../../secret"])
    refused(root, "images.txt: does not list ../../secret")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "no box for picture 12"),
        ("12 1 2 3", "line 12 has 4 columns instead of 5"),
        ("12 1 2 x 4", "picture 12: could not convert"),
        ("12 1 2 nan 4", "box 1 2 nan 4"),
        ("12 1 2 30 -4", "box 1 2 30 -4"),
    ],
)
def test_a_bad_box(root, line, words):
    path = root / "CUB_200_2011/bounding_boxes.txt"
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], line]))
    refused(root, path, words)


def test_a_box_outside_of_the_picture(root):
    path = root / "CUB_200_2011/bounding_boxes.txt"
    path.write_text("\n".join(["1 900 900 20 20", *path.read_text().splitlines()[1:]]))
    entries, _ = cub.read(root, **SMALL)
    with pytest.raises(InputError, match="lies outside of the picture"):
        entries[0].picture()


class Trap:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["captions.pickle", "train/filenames.pickle"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_wants_to_run_code_runs_none(root, tmp_path, name, protocol):
    target = tmp_path / "pwned"
    dump(root / "birds" / name, [Trap(target)], protocol)
    refused(root, root / "birds" / name, "wants to run code (posix.mkdir)")
    assert not target.exists()
    pickle.loads((root / "birds" / name).read_bytes())  # the trap is real
    assert target.exists()


@pytest.mark.parametrize("name", ["captions.pickle", "train/filenames.pickle"])
@pytest.mark.parametrize("data", [b"", b"\x80", b"text\n", b"\x80\x02]q\x00(K\x01", -20])
def test_a_damaged_pickle(root, name, data):
    path = root / "birds" / name
    path.write_bytes(path.read_bytes()[:data] if isinstance(data, int) else data)
    refused(root, path, "damaged pickle")


@pytest.mark.parametrize("data", [{}, [], [1, 2, 3], [[], [], []], 7])
def test_metadata_of_another_kind(root, data):
    dump(root / "birds/captions.pickle", data)
    refused(root, "captions.pickle: should hold [train captions")


@pytest.mark.parametrize("data", [7, {"a": 1}, [1, 2], "abc"])
def test_names_of_another_kind(root, data):
    dump(root / "birds/test/filenames.pickle", data)
    refused(root, "filenames.pickle: should hold a list of names")


@pytest.mark.parametrize(
    ("caption", "words"), [([99], "word number 99"), ([], "is empty"), ([0], "is empty"), (7, "not a list")]
)
def test_a_bad_caption(root, caption, words):
    old = captions(root)
    dump_captions(root, [*old["train"][:-1], caption], old["test"])
    refused(root, root / "birds/captions.pickle", words, NAMES["train"][-1])


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_every_protocol_and_a_pickle_of_python_2(root, protocol):
    dump_captions(root, **captions(root), protocol=protocol)
    # What Python 2 wrote for ['caf\xe9'], a byte string.
    path = root / "python2.pickle"
    path.write_bytes(b"\x80\x02]q\x00U\x04caf\xe9q\x01a.")
    assert cub.read_plain_pickle(path) == ["caf\xe9"]
    assert len(cub.read(root, **SMALL)[0]) == 12


def test_a_jpeg_that_needs_nothing_is_kept_byte_for_byte(tmp_path):
    path = tmp_path / "x.jpg"
    Image.fromarray(ramp(80, 100)).save(path)
    assert read_picture(path, 80) == path.read_bytes()
    assert read_picture(path, 80, (0, 0, 100, 80)) == path.read_bytes()
    assert read_picture(path, 79) != path.read_bytes()
    assert Image.open(io.BytesIO(read_picture(path, 40))).size == (50, 40)


@pytest.mark.parametrize(("orientation", "size"), [(1, (100, 80)), (3, (100, 80)), (6, (80, 100)), (8, (80, 100))])
def test_pictures_are_turned_as_the_camera_was_held(tmp_path, orientation, size):
    path, exif = tmp_path / "x.jpg", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(ramp(80, 100)).save(path, exif=exif, quality=98)
    picture = Image.open(io.BytesIO(read_picture(path, 600)))
    assert picture.size == size
    assert picture.getexif().get(0x0112, 1) == 1
    # Red grows to the right and green downwards; where do they grow in the picture as it is seen?
    right = {1: (+1, 0), 3: (-1, 0), 6: (0, -1), 8: (0, +1)}[orientation]
    seen = np.asarray(picture).astype(int)
    change = np.sign(seen[40, 60, :2] - seen[40, 20, :2]) * (np.abs(seen[40, 60, :2] - seen[40, 20, :2]) > 20)
    assert tuple(change) == right
    boxed = Image.open(io.BytesIO(read_picture(path, 600, (0, 0, 100, 60))))  # boxes count in stored pixels
    assert boxed.size == (100, 60)


def test_pictures_too_small_or_missing_are_refused(tmp_path):
    Image.new("RGB", (15, 300)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="15x300 px is too small"):
        read_picture(tmp_path / "x.png", 64)
    with pytest.raises(InputError, match="picture not found"):
        read_picture(tmp_path / "none.png", 64)
    with pytest.raises(InputError, match="picture not found"):
        read_picture(tmp_path, 64)


def test_split_species():
    names = [f"s{k}" for k in range(10)] * 3
    splits = split_species(names, (0.2, 0.3), 0)
    assert sorted(splits.values()) == ["test"] * 3 + ["train"] * 5 + ["validation"] * 2
    assert splits == split_species(names[::-1], (0.2, 0.3), 0)
    assert splits != split_species(names, (0.2, 0.3), 1)
    assert sorted(split_species(["a", "b", "c"], (0.01, 0.01), 0).values()) == ["test", "train", "validation"]
    assert split_species(["a", "b"], (0.1, 0.1), 0) == {"a": "train", "b": "train"}


REAL = Path(os.environ.get("CUB_ROOT", Path(__file__).parents[3] / "shared/data/cub"))


@pytest.mark.skipif(not (REAL / "birds").is_dir(), reason=f"no CUB at {REAL}; set CUB_ROOT")
def test_the_real_cub():
    entries, sources = cub.read(REAL, short_side=608, validation_species=10, seed=0)
    assert len(entries) == len({entry.name for entry in entries}) == 11_788
    assert sum(len(entry.captions) for entry in entries) == 117_880
    species = {split: {e.species for e in entries if e.split == split} for split in ("train", "validation", "test")}
    assert {split: len(names) for split, names in species.items()} == {"train": 140, "validation": 10, "test": 50}
    assert len(set.union(*species.values())) == 200  # zero-shot: no species in two splits
    assert sum(entry.split == "test" for entry in entries) == 2_933
    assert len(sources) == 5
    assert isinstance(entries[0], Entry)
    assert min(Image.open(io.BytesIO(entries[0].picture())).size) > 100
