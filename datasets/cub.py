"""The official CUB_200_2011 folder and the caption metadata of text-to-image work, as entries for a corpus."""

import functools
import math
from pathlib import Path

from datasets.errors import InputError
from datasets.files import require_file, sha256
from datasets.picture_record import Entry, read_picture, split_species
from datasets.plain_pickle import read_plain_pickle

CAPTIONS_PER_PICTURE = 10
MOST_WORDS = 1000  # in a caption
BOX_MARGIN = 0.75  # AttnGAN: half-side of the crop = 0.75 x the longer side of the bounding box


def _table(path: Path, columns: int) -> list[list[str]]:
    require_file(path, "CUB table")
    rows = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) != columns:
            raise InputError(f"{path}: line {number} has {len(row)} columns instead of {columns}; get the file again")
    return rows


def _captions(path: Path) -> tuple[list[list[int]], list[list[int]], dict[int, str]]:
    metadata = read_plain_pickle(path)
    plain = (
        isinstance(metadata, list)
        and len(metadata) >= 3
        and isinstance(metadata[0], list)
        and isinstance(metadata[1], list)
        and isinstance(metadata[2], dict)
    )
    if not plain:
        raise InputError(f"{path}: should hold [train captions, test captions, ixtoword, wordtoix]; get it again")
    return metadata[0], metadata[1], metadata[2]


def read(root: Path, *, short_side: int, validation_species: int, seed: int) -> tuple[list[Entry], dict[str, str]]:
    """All pictures of CUB with ten captions each, in the zero-shot split, and the checksums of the metadata.

    `validation_species` of the 150 training species are set aside for choosing models, so that the 50 test species
    are used for measuring only.

    Args:
        root: folder with `CUB_200_2011/` and `birds/` in it.

    Raises:
        InputError: for a missing file or picture, a wrong count, or metadata that does not fit.
    """
    images, metadata = root / "CUB_200_2011", root / "birds"
    for folder in (images, images / "images", metadata):
        if not folder.is_dir():
            raise InputError(f"{folder}: not found; set CUB_ROOT to the folder that holds CUB_200_2011/ and birds/")
    paths = {row[0]: row[1] for row in _table(images / "images.txt", 2)}
    boxes = {}
    for row in _table(images / "bounding_boxes.txt", 5):
        try:
            boxes[row[0]] = tuple(float(value) for value in row[1:])
        except ValueError as error:
            raise InputError(
                f"{images / 'bounding_boxes.txt'}: picture {row[0]}: {error}; get the file again"
            ) from error
        if not (all(map(math.isfinite, boxes[row[0]])) and min(boxes[row[0]][2:]) > 0):
            claim = f"picture {row[0]} has the box {' '.join(row[1:])}"
            raise InputError(f"{images / 'bounding_boxes.txt'}: {claim}; get the file again")
    if missing := sorted(set(paths) - set(boxes)):
        raise InputError(f"{images / 'bounding_boxes.txt'}: no box for picture {missing[0]}; get the file again")
    box_of = {Path(path).with_suffix("").as_posix(): boxes[number] for number, path in paths.items()}

    train, test, words = _captions(metadata / "captions.pickle")
    entries: list[Entry] = []
    for split, captions in (("train", train), ("test", test)):
        listed = metadata / split / "filenames.pickle"
        names = read_plain_pickle(listed)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{listed}: should hold a list of names; get it again")
        if len(captions) != CAPTIONS_PER_PICTURE * len(names):
            raise InputError(
                f"{metadata / 'captions.pickle'}: {len(captions)} {split} captions for {len(names)} pictures, "
                f"should be {CAPTIONS_PER_PICTURE} each; get matching files"
            )
        for index, name in enumerate(names):
            own = captions[index * CAPTIONS_PER_PICTURE : (index + 1) * CAPTIONS_PER_PICTURE]
            entries.append(_entry(root, name, split, own, words, box_of, short_side))
    if len({entry.name for entry in entries}) != len(entries) or len(entries) != len(paths):
        counts = f"lists {len(paths)} pictures, the captions are for {len(entries)}"
        raise InputError(f"{images / 'images.txt'}: {counts} that should be the same; get matching files")
    absent = [entry.name for entry in entries if not (images / "images" / f"{entry.name}.jpg").is_file()]
    if absent:
        raise InputError(
            f"{images / 'images' / absent[0]}.jpg: missing, with {len(absent) - 1} others; unpack CUB again"
        )

    seen = [entry.species for entry in entries if entry.split == "train"]
    if not 0 < validation_species < len(set(seen)):
        raise InputError(f"--validation-species {validation_species}: out of range; give 1 to {len(set(seen)) - 1}")
    held_out = split_species(seen, (validation_species / len(set(seen)), 0), seed)
    for entry in entries:
        if entry.split == "train":
            entry.split = "validation" if held_out[entry.species] == "validation" else "train"
    files = [images / "images.txt", images / "bounding_boxes.txt", metadata / "captions.pickle"]
    files += [metadata / split / "filenames.pickle" for split in ("train", "test")]
    return entries, {path.relative_to(root).as_posix(): sha256(path) for path in files}


def _entry(
    root: Path,
    name: str,
    split: str,
    captions: list[list[int]],
    words: dict[int, str],
    box_of: dict[str, tuple[float, ...]],
    short_side: int,
) -> Entry:
    images, metadata = root / "CUB_200_2011", root / "birds/captions.pickle"
    if name not in box_of:
        raise InputError(f"{images / 'images.txt'}: does not list {name}, which the captions name; get matching files")
    x, y, width, height = box_of[name]
    half = int(BOX_MARGIN * max(width, height))
    middle_x, middle_y = int(x + width / 2), int(y + height / 2)
    box = (middle_x - half, middle_y - half, middle_x + half, middle_y + half)
    path = images / "images" / f"{name}.jpg"
    try:
        if long := [len(caption) for caption in captions if len(caption) > MOST_WORDS]:
            raise InputError(f"{metadata}: a caption of {name} has {long[0]:,} words; get it again")
        texts = [" ".join(words[number] for number in caption if number) for caption in captions]
        "".join(texts).encode()
    except KeyError as error:
        raise InputError(f"{metadata}: word number {error} of {name} is not in its vocabulary; get it again") from error
    except (TypeError, UnicodeEncodeError) as error:
        raise InputError(f"{metadata}: a caption of {name} is not a list of word numbers; get it again") from error
    if not all(texts):
        raise InputError(f"{metadata}: a caption of {name} is empty; get it again")
    picture = functools.partial(read_picture, path, short_side, box)
    return Entry(name=name, species=name.split("/")[0], split=split, picture=picture, captions=texts)
