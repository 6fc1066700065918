import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from attngan.evaluation.evaluators import CLASSIFIER, HELD_OUT, Evaluators, RealStatistics
from datasets.errors import InputError
from s2i.evaluation import folders
from s2i.evaluation.cache import Cache
from s2i.evaluation.folders import score_folder
from tests.helpers import write_classifier, write_damsm

COLOURS = {"red": (200, 20, 20), "blue": (30, 60, 210), "yellow": (230, 220, 30), "green": (30, 160, 40)}
WORDS = ["<end>", "<unk>", "a", "bird", *COLOURS]


@pytest.fixture(scope="module")
def evaluators(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluators")
    write_classifier(folder / CLASSIFIER)
    for seed, name in enumerate(("damsm.safetensors", HELD_OUT)):
        write_damsm(folder / name, seed, WORDS)
    return Evaluators.load(folder, folder / "damsm.safetensors")


@pytest.fixture(scope="module")
def real(evaluators):
    draws = torch.Generator().manual_seed(3)
    features, _ = evaluators.extractor(torch.rand(40, 3, 32, 32, generator=draws) * 2 - 1)
    return RealStatistics.of(features, evaluators.extractor.identity)


def paint(path, colour, resolution=32, seed=0, mode="RGB"):
    """A spot of a colour on gray, with some noise."""
    rng = np.random.default_rng([seed, resolution])
    array = np.full((resolution, resolution, 3), 120.0)
    array[resolution // 4 : -resolution // 4, resolution // 4 : -resolution // 4] = COLOURS[colour]
    array = (array + rng.normal(0, 10, array.shape)).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).convert(mode).save(path)


@pytest.fixture
def birds(tmp_path):
    """Twelve pictures, two in folders of their own, and where their table goes."""
    folder = tmp_path / "birds"
    names = [f"{'deep/' if k % 6 == 5 else ''}{k:02d}.png" for k in range(12)]
    said = [list(COLOURS)[k % 4] for k in range(12)]
    for k, name in enumerate(names):
        paint(folder / name, said[k], seed=k)
    (folder / ".hidden.png").write_text("of some file manager")
    (folder / "notes.txt").write_text("no picture")
    rows = [{"image": name, "caption": f"a {colour} bird"} for name, colour in zip(names, said, strict=True)]
    return SimpleNamespace(folder=folder, table=tmp_path / "table.csv", rows=rows)


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.fixture
def score(evaluators, real, tmp_path):
    def score(folder, table=None, **more):
        options = {"speech": tmp_path / "speech.safetensors", "splits": 2, **more}
        return score_folder(folder, table, options.pop("evaluators", evaluators), real, **options)

    return score


def test_quality_of_a_folder_without_table(birds, score, capsys, recwarn):
    found = score(birds.folder)
    told = capsys.readouterr()
    assert "12 pictures for features of 32 dimensions" in told.out
    assert "looking: 100%" in told.err
    assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]  # of singular matrices
    assert set(found) == {"pictures", "inception_score", "fid", "kid"}
    assert found["pictures"] == 12
    assert 1 <= found["inception_score"]["mean"] <= 5
    assert found["fid"]["mean"] > 0
    assert found["fid"]["std"] > 0
    assert json.loads(json.dumps(found)) == found
    assert score(birds.folder) == found


def test_pictures_like_the_real_ones_are_nearer(score, evaluators, tmp_path):
    (tmp_path / "noise").mkdir()
    for k in range(24):
        for name, seed in (("real", 100), ("like", 200)):
            paint(tmp_path / name / f"{k}.png", list(COLOURS)[k % 4], seed=seed + k)
        noise = np.random.default_rng(k).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "noise" / f"{k}.png")
    reals = torch.stack([folders._read(path) for path in sorted((tmp_path / "real").iterdir())])
    statistics = RealStatistics.of(evaluators.extractor(reals)[0], evaluators.extractor.identity)
    same, like, noise = (
        score_folder(tmp_path / name, None, evaluators, statistics, speech=tmp_path, splits=1)
        for name in ("real", "like", "noise")
    )
    assert same["fid"]["mean"] == pytest.approx(0, abs=1e-5)
    assert same["fid"]["mean"] < like["fid"]["mean"] < 0.1 * noise["fid"]["mean"]
    assert like["kid"]["mean"] < noise["kid"]["mean"]


def test_captions_add_how_well_pictures_fit_them(birds, score):
    found = score(birds.folder, write(birds.table, birds.rows))
    assert {"r_precision", "r_precision_held_out", "recall", "colours"} < set(found)
    assert found["colours"]["right"] > 90 > found["colours"]["exchanged"]
    # Rows in another order, with names spelt differently, are the same table.
    rows = [{"caption": row["caption"], "image": f"./{row['image']}"} for row in birds.rows[::-1]]
    assert score(birds.folder, write(birds.table, rows)) == found
    # A caption for every other picture's colour: most colour words are wrong then.
    captions = [row["caption"] for row in birds.rows]
    wrong = [{**row, "caption": captions[(k + 1) % 12]} for k, row in enumerate(birds.rows)]
    assert score(birds.folder, write(birds.table, wrong))["colours"]["right"] < 50


def test_classes_of_the_table_are_the_species(birds):
    pictures = folders.find_pictures(birds.folder)
    told = folders.read_table(write(birds.table, birds.rows), birds.folder, pictures)
    assert told.captions is not None
    assert len(told.species.unique()) == 4  # as many as captions that differ
    same = [told.captions[k] == told.captions[0] for k in range(12)]
    assert torch.equal(told.species == told.species[0], torch.tensor(same))
    rows = [{**row, "class": str(int(row["image"][-6:-4]) // 6)} for row in birds.rows]
    told = folders.read_table(write(birds.table, rows), birds.folder, pictures)
    assert told.species.tolist() == [int(int(path.stem) >= 6) for path in pictures]


def test_recordings_alone_are_heard_by_the_speech_encoder(birds, score, small, tmp_path, capsys):
    small.encoder(tmp_path / "speech.safetensors")
    rows = []
    for k, row in enumerate(birds.rows):
        soundfile.write(tmp_path / f"{k}.wav", small.hum(200 + 30 * k, seconds=0.5), 16_000)
        rows.append({"image": row["image"], "recording": f"{k}.wav"})
    found = score(birds.folder, write(birds.table, rows))
    assert set(found) == {"pictures", "inception_score", "fid", "kid", "r_precision"}
    assert 0 <= found["r_precision"]["mean"] <= 100
    assert "held-out encoder, which reads text, gives no figure" in capsys.readouterr().out
    # Where there are captions as well, they count, and recordings need not even be there.
    rows = [{**row, **birds.rows[k], "recording": "gone.wav"} for k, row in enumerate(rows)]
    assert "r_precision_held_out" in score(birds.folder, write(birds.table, rows))
    soundfile.write(tmp_path / "0.wav", np.zeros(16_000), 16_000)
    rows = [{"image": row["image"], "recording": f"{k}.wav"} for k, row in enumerate(birds.rows)]
    with pytest.raises(InputError, match=r"0\.wav: is silent"):
        score(birds.folder, write(birds.table, rows))
    small.encoder(tmp_path / "narrow.safetensors", dimension=16)
    soundfile.write(tmp_path / "0.wav", small.hum(200), 16_000)
    with pytest.raises(InputError, match="gives 16 dimensions, the image encoder 256"):
        score(birds.folder, write(birds.table, rows), speech=tmp_path / "narrow.safetensors")


def test_any_colour_format_and_size_is_read_in_the_order_of_names(tmp_path, evaluators, monkeypatch):
    forms = [("a.jpg", 40, "RGB"), ("b.webp", 32, "RGB"), ("c.bmp", 64, "RGB"), ("d.png", 32, "RGBA")]
    forms += [("e.PNG", 40, "P"), ("f.jpeg", 32, "RGB")]
    for k, (name, resolution, mode) in enumerate(forms):
        paint(tmp_path / name, list(COLOURS)[k % 4], resolution, seed=k, mode=mode)
    pictures = folders.find_pictures(tmp_path)
    resolutions = [folders.check_picture(path) for path in pictures]
    assert resolutions == [resolution for _, resolution, _ in forms]
    monkeypatch.setattr(folders, "CHUNK", 4)
    seen = folders._look_at_all(tmp_path, pictures, resolutions, evaluators, None)
    for row, path in enumerate(pictures):
        alone = evaluators.look(folders._read(path)[None])
        torch.testing.assert_close(alone.matched[0], seen.matched[row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.shares[0], seen.shares[row])


def test_the_middle_square_is_looked_at_and_glass_is_white(tmp_path):
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert folders.check_picture(tmp_path / "wide.png") == 8
    assert torch.equal(folders._read(tmp_path / "wide.png"), torch.ones(3, 8, 8))
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "glass.png")
    assert torch.equal(folders._read(tmp_path / "glass.png"), torch.ones(3, 8, 8))


def test_a_scoring_that_was_stopped_goes_on(birds, score, evaluators, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "CHUNK", 5)
    whole = score(birds.folder)
    seen = []

    class Counting:
        extractor, matcher, held_out_matcher, identity = (
            evaluators.extractor, evaluators.matcher, evaluators.held_out_matcher, evaluators.identity
        )  # fmt: skip
        stop = 2

        def look(self, pictures):
            if len(seen) == self.stop:
                raise KeyboardInterrupt
            seen.append(len(pictures))
            return evaluators.look(pictures)

    counting, cache = Counting(), Cache(tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        score(birds.folder, evaluators=counting, cache=cache)
    assert seen == [5, 5]
    counting.stop = 99
    assert score(birds.folder, evaluators=counting, cache=cache) == whole
    assert seen == [5, 5, 2]
    assert score(birds.folder, evaluators=counting, cache=cache) == whole
    assert seen == [5, 5, 2]
    paint(birds.folder / "00.png", "green", resolution=48, seed=9)  # only its own chunk is looked at again
    assert score(birds.folder, evaluators=counting, cache=cache) != whole
    assert sum(seen) == 17
    counting.identity = "others"
    score(birds.folder, evaluators=counting, cache=cache)
    assert sum(seen) == 29


def refuse(score, match, *arguments, **options):
    with pytest.raises(InputError, match=match) as caught:
        score(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_folders_without_enough_pictures_are_refused(birds, score, tmp_path):
    refuse(score, "absent: not found", tmp_path / "absent")
    refuse(score, r"notes\.txt: is a file", birds.folder / "notes.txt")
    (tmp_path / "empty").mkdir()
    refuse(score, "empty: no pictures in this folder", tmp_path / "empty")
    refuse(score, "12 pictures, --splits 13 needs 13", birds.folder, splits=13)
    paint(tmp_path / "few" / "a.png", "red")
    refuse(score, "1 pictures, scoring needs 4", tmp_path / "few", splits=1)


def gray(path):
    Image.new("L", (32, 32), 90).save(path)


def gray_16(path):
    Image.fromarray(np.full((32, 32), 30_000, np.uint16)).save(path)


def colour_16(path):
    """A PNG of 16 bits in three colours, which Pillow reads but does not write."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x12\x34" * 3 * 32) * 32
    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)), chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))


def cmyk(path):
    Image.new("CMYK", (32, 32)).save(path, "JPEG")


def small_one(path):
    Image.new("RGB", (40, 7)).save(path)


def text(path):
    path.write_text("no picture")


def nothing(path):
    path.write_bytes(b"")


def cut(path):
    paint(path, "red", resolution=64)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (gray, r"is gray \(mode L\); scores compare 8-bit colour pictures; convert it"),
        (gray_16, "has 16 bits a channel"),
        (colour_16, "has 16 bits a channel"),
        (cmyk, r"is not in red, green and blue \(mode CMYK\)"),
        (small_one, "40x7 px is too small; give at least 8 px"),
        (text, "is not a picture in a known format"),
        (nothing, "is not a picture in a known format"),
        (cut, "not a readable picture"),
    ],
)
def test_pictures_that_cannot_be_scored_are_named(birds, score, spoil, match):
    spoil(birds.folder / "03.png")
    refuse(score, rf"03\.png: {match}", birds.folder)


def test_features_that_are_not_numbers_name_the_picture(birds, score, evaluators):
    class Diverged:
        extractor, matcher, held_out_matcher, identity = (
            evaluators.extractor,
            evaluators.matcher,
            evaluators.held_out_matcher,
            "d",
        )

        def look(self, pictures):
            seen = evaluators.look(pictures)
            seen.features[1, 2] = float("nan")
            return seen

    refuse(score, r"01\.png: features of it are not finite", birds.folder, evaluators=Diverged())


def changed(rows, row, **values):
    return [{**each, **values} if k == row else each for k, each in enumerate(rows)]


def without(rows, name):
    return [{key: value for key, value in row.items() if key != name} for row in rows]


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda rows: without(rows, "image"), "table.csv: column 'image' is missing"),
        (lambda rows: without(rows, "caption"), "column 'caption' or 'recording' is missing"),
        (lambda rows: changed(rows, 2, caption=" "), "line 4: caption is empty; fill it in"),
        (lambda rows: changed(rows, 2, caption="?!"), r"line 4: caption '\?!' has no English words"),
        (lambda rows: changed(rows, 2, image=""), "line 4: image is empty"),
        (lambda rows: changed(rows, 2, image="99.png"), "line 4: image 99.png is no picture in .*birds"),
        (lambda rows: changed(rows, 2, image="notes.txt"), "line 4: image notes.txt is no picture in"),
        (lambda rows: [*rows, rows[0]], "line 14: image 00.png has a row already"),
        (lambda rows: rows[:-2], r"birds: 2 of its 12 pictures have no row in .*table.csv, the first is 10\.png"),
        (lambda rows: [{**row, "class": "1" if k else ""} for k, row in enumerate(rows)], "line 2: class is empty"),
        (lambda rows: [{**row, "class": "1"} for row in rows], "all rows have the same class"),
        (lambda rows: [{**row, "caption": "a bird"} for row in rows], "all rows have the same caption"),
        (lambda rows: [{"image": r["image"], "recording": "no.wav"} for r in rows], "line 2: recording no.wav not fo"),
    ],
)
def test_tables_that_do_not_fit_are_refused(birds, score, spoil, match):
    refuse(score, match, birds.folder, write(birds.table, spoil(birds.rows)))


def test_tables_that_are_no_tables_are_refused(birds, score, tmp_path):
    refuse(score, "absent.csv: .*not found", birds.folder, tmp_path / "absent.csv")
    birds.table.write_text("image,caption\n")
    refuse(score, "table.csv: has no rows", birds.folder, birds.table)
    birds.table.write_bytes(b"image,caption\n00.png,a bird\n01.png,a bl\xe9u bird\n")
    refuse(score, "line 3 has a byte that is not UTF-8", birds.folder, birds.table)
    birds.table.write_text("image,caption\n00.png,a red, round bird\n")
    refuse(score, "line 2 has 3 fields", birds.folder, birds.table)
