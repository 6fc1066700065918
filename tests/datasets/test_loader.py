from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from datasets import audio
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import ENLARGED, Batch, Loader, Pictures, rows_of_share, to_unit

WORDS = Vocabulary(["<end>", "<unk>", "the", "first", "second", "bird", *map(str, range(12))])


def same(a, b):
    for name, value in vars(a).items():
        other = vars(b)[name]
        if value is None:
            assert other is None
        else:
            assert torch.equal(value, other), name
    return True


def everything(corpus, split="train", **options):
    return Loader(corpus, split, **{"batch_size": 3, "size": 16, "words": WORDS, "speech": True, "seed": 5, **options})


def captions_of(batch):
    """The numbers of the captions in a batch, which each caption of the small corpus ends with."""
    return [int(WORDS.decode(row.tolist()).split()[-1]) for row in batch.tokens]


def recordings_of(small, monkeypatch, loader):
    """Make the loader tell which recordings it reads, in order."""
    read, asked = [], small.mel
    monkeypatch.setattr(small, "mel", lambda number: read.append(number) or asked(number))
    return read


def test_a_batch_has_what_was_asked_for(small):
    batch = everything(small).at(0)
    assert len(batch) == 3
    assert (batch.pictures.shape, batch.pictures.dtype) == ((3, 3, 16, 16), torch.uint8)
    assert (batch.tokens.shape, batch.tokens.dtype) == ((3, 4), torch.int64)
    assert batch.mels.shape[::2] == (3, 40)
    assert batch.mels.dtype == torch.float32
    assert batch.mel_mask.shape == batch.mels.shape[:2]
    assert torch.equal(batch.species, torch.from_numpy(small.species)[batch.index])
    for row, index in enumerate(batch.index.tolist()):
        assert captions_of(batch)[row] in (2 * index, 2 * index + 1)
        assert (batch.pictures[row, 2] == index).all()  # blue is the number of the picture
    bare = Loader(small, "train", batch_size=2).at(0)
    assert [bare.pictures, bare.tokens, bare.token_mask, bare.mels, bare.mel_mask] == [None] * 5


def test_a_batch_depends_on_seed_and_position_alone(small):
    first = everything(small)
    batches = [first.at(position) for position in (0, 3, 6, 9)]
    second = everything(small, position=7)
    for position in (9, 0, 6, 3):
        same(batches[position // 3], second.at(position))
    assert not torch.equal(everything(small, seed=6).at(0).mels, batches[0].mels)
    assert not torch.equal(batches[0].pictures, batches[1].pictures)


def test_the_iterator_goes_on_from_its_position(small):
    through = everything(small)
    batches = []
    for batch in islice(through, 5):
        batches.append(batch)
        assert through.position == 3 * len(batches)
    resumed = everything(small, position=6)
    for old, new in zip(batches[2:], islice(resumed, 3), strict=True):
        same(old, new)
    assert resumed.position == 15


def test_every_picture_comes_once_in_each_pass(small):
    loader = Loader(small, "train", batch_size=3, seed=1)  # 4 pictures: batches lie across the passes
    assert len(loader) == 4
    seen = torch.cat([loader.at(3 * k).index for k in range(8)]).tolist()
    passes = [seen[4 * k : 4 * k + 4] for k in range(6)]
    assert all(sorted(turn) == [0, 1, 2, 3] for turn in passes)
    assert len({tuple(turn) for turn in passes}) > 2
    large = Loader(small, "train", batch_size=9).at(0)
    assert sorted(Counter(large.index.tolist()).values()) == [2, 2, 2, 3]


@pytest.mark.parametrize(("speakers", "parity"), [("training", {0}), ("held-out", {1}), ("all", {0, 1})])
def test_voices_are_those_asked_for(small, monkeypatch, speakers, parity):
    loader = Loader(small, "train", batch_size=4, speech=True, speakers=speakers, augment=False)
    read = recordings_of(small, monkeypatch, loader)
    batches = [loader.at(4 * k) for k in range(6)]
    assert {number % 2 for number in read} == parity  # the fixture's even recordings are in the heard voice
    assert [number // 2 for number in read] == torch.cat([batch.index for batch in batches]).tolist()
    lengths = torch.cat([batch.mel_mask.sum(1) for batch in batches]).tolist()
    assert lengths == [10 + number for number in read]


def test_words_and_recording_are_of_the_same_caption(small, monkeypatch):
    loader = everything(small, batch_size=4)
    read = recordings_of(small, monkeypatch, loader)
    spoken = [caption for k in range(6) for caption in captions_of(loader.at(4 * k))]
    assert spoken == read  # recording k speaks caption k
    assert {caption % 2 for caption in spoken} == {0, 1}
    read.clear()
    assert [caption for batch in loader.once(2) for caption in captions_of(batch)] == read
    small.recording_caption[:] = -1  # nobody wrote down what is said: any caption of the picture
    batch = loader.at(0)
    assert [caption // 2 for caption in captions_of(batch)] == batch.index.tolist()


def test_once_goes_through_in_order_and_repeats_itself(small):
    loader = everything(small, batch_size=3, speakers="held-out")
    batches = list(loader.once(3))
    assert [batch.index.tolist() for batch in batches] == [[0, 1, 2], [3]] * 3
    for a, b in zip(batches, loader.once(3), strict=True):
        same(a, b)
    words = Loader(small, "train", batch_size=9, words=WORDS)
    # Round k has caption k; with two captions the third round begins again.
    assert [captions_of(batch) for batch in words.once(3)] == [[0, 2, 4, 6], [1, 3, 5, 7], [0, 2, 4, 6]]
    assert [batch.index.tolist() for batch in Loader(small, "test", batch_size=2).once()] == [[5]]


def test_masks_cover_what_is_there(small):
    (batch,) = Loader(small, "train", batch_size=9, speech=True, speakers="training").once()
    assert batch.mel_mask.sum(1).tolist() == [10, 12, 14, 16]
    assert batch.mel_mask.tolist() == [[t < length for t in range(16)] for length in (10, 12, 14, 16)]
    assert (batch.mels[~batch.mel_mask] == 0).all()
    for row, number in enumerate((0, 2, 4, 6)):
        expected = small.mel(number)
        torch.testing.assert_close(batch.mels[row, : len(expected)], expected)


def test_augmentation_can_be_left_out(small):
    plain = Loader(small, "train", batch_size=4, size=64, speech=True, speakers="training", augment=False)
    (ordered,) = plain.once()
    batch = plain.at(0)
    where = batch.index.argsort()
    assert torch.equal(batch.pictures[where], ordered.pictures)
    assert torch.equal(batch.mel_mask[where], ordered.mel_mask)
    strong = Loader(small, "train", batch_size=4, size=64, speech=True, speakers="training")
    assert len({tuple(strong.at(4 * k).mel_mask.sum(1).tolist()) for k in range(4)}) > 1  # speed varies


@pytest.mark.parametrize("memory_gb", [6.0, 0.0])
def test_centre_crops(small, memory_gb):
    pictures = Pictures(small, np.arange(6), 64, memory_gb=memory_gb)
    assert len(pictures._kept) == (6 if memory_gb else 0)
    # Read at 76 px, so that 64 of 76 are cut out: from 6 on, in the longer direction from (length - 64) // 2 on.
    for index, (top, left) in {1: (6, 6), 2: (18, 6), 3: (6, 28), 5: (6, 13)}.items():
        crop = pictures.crop(index, None)
        assert crop.shape == (64, 64, 3)
        assert crop[0, 0].tolist() == [left, top, index]
        assert crop[-1, -1].tolist() == [left + 63, top + 63, index]


def test_large_pictures_are_reduced_to_the_size_and_some_room(small):
    pictures = Pictures(small, np.arange(6), 16)
    # ceil(16 x 76 / 64) = 19
    assert {k: v.shape[:2] for k, v in pictures._kept.items()} == {
        **{0: (19, 30), 1: (19, 19), 2: (25, 19), 3: (19, 30), 4: (19, 25), 5: (19, 22)}
    }
    assert pictures.crop(0, None).shape == (16, 16, 3)


def test_small_pictures_are_kept_small_and_enlarged_when_cut(small):
    pictures = Pictures(small, np.arange(6), 64)
    assert pictures._kept[4].shape == (30, 40, 3)
    crop = pictures.crop(4, None)  # 30 x 64 // 76 = 25 px from (2, 7) on
    assert crop.shape == (64, 64, 3)
    assert abs(int(crop[32, 32, 0]) - (7 + 12)) <= 1
    assert abs(int(crop[32, 32, 1]) - (2 + 12)) <= 1
    assert crop[..., 0].min() >= 6
    assert crop[..., 0].max() <= 33


def test_close_ups_are_enlarged_as_crops_are_but_hardly(small):
    own = Pictures(small, np.arange(6), 64)  # for which 76 px, as picture 2 has, are just enough
    piece = own.close_up(2, 24, None).astype(int)  # of 100 x 76, from row 38 and column 26 on
    assert piece[0, 0].tolist() == [26, 38, 2]
    assert (np.diff(piece[0, :, 0]) == 1).all()
    places = set()
    for seed in range(20):
        piece = own.close_up(2, 24, np.random.default_rng(seed)).astype(int)
        steps = np.diff(piece[0, :, 0])
        assert piece.shape == (24, 24, 3)
        assert (steps == steps[0]).all()
        assert abs(steps[0]) == 1
        places.add((piece[0, :, 0].min(), piece[0, 0, 1]))
    assert len(places) > 15
    for size, scale in ((16, 1 / 4), (80, 95 / 76), (256, ENLARGED)):
        piece = Pictures(small, np.arange(6), size).close_up(2, 18, None).astype(int)
        assert piece.shape == (18, 18, 3)
        assert np.diff(piece[0, :, 0])[2:-2].mean() == pytest.approx(1 / scale, rel=0.1)
    assert Pictures(small, np.arange(6), 256).close_up(4, 64, None).shape == (64, 64, 3)  # of 30 x 40


def test_close_ups_change_nothing_else(small):
    bare, closer = everything(small), everything(small, close_up=8)
    for position in (0, 3):
        batch = closer.at(position)
        assert (batch.close_ups.shape, batch.close_ups.dtype) == ((3, 3, 8, 8), torch.uint8)
        assert (batch.close_ups[:, 2] == batch.index[:, None, None]).all()  # blue is the number of the picture
        assert same(batch, closer.at(position))
        batch.close_ups = None
        assert same(bare.at(position), batch)


def test_random_crops_move_and_mirror(small):
    pictures = Pictures(small, np.arange(6), 64)
    corners, mirrored = set(), 0
    for seed in range(200):
        crop = pictures.crop(2, np.random.default_rng(seed)).astype(int)
        flip = crop[0, 0, 0] > crop[0, -1, 0]
        mirrored += flip
        left, top = crop[0, -1 if flip else 0, :2]
        corners.add((left, top))
        steps = np.diff(crop[0, :, 0])
        assert (steps == (-1 if flip else 1)).all()
    assert 70 < mirrored < 130
    assert {left for left, _ in corners} == set(range(13))  # 76 - 64 and one more
    assert {top for _, top in corners} == set(range(37))  # 100 - 64 and one more


def test_without_captions_or_recordings_or_voices(small, write_small, small_tables):
    with pytest.raises(InputError, match="'nothing': unknown"):
        Loader(small, "nothing", batch_size=2)
    small.voice_heard[:] = True
    with pytest.raises(InputError, match="no picture of the train split has recordings by held-out speakers; add some"):
        Loader(small, "train", batch_size=2, speech=True, speakers="held-out")
    small_tables.captions, small_tables.caption_picture = ["the bird 0"], [2]
    small_tables.recording_caption = [-1] * 12
    few = Corpus(write_small("few.h5"))
    assert Loader(few, "train", batch_size=2, words=WORDS).indices.tolist() == [2]
    with pytest.raises(InputError, match=r"few\.h5: no picture of the test split has captions; add some"):
        Loader(few, "test", batch_size=2, words=WORDS)


def test_to_unit_to_device_and_stack():
    assert to_unit(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1.0, 1.0]
    batch = Batch(torch.arange(2), torch.arange(2), tokens=torch.ones(2, 3)).to("meta")
    assert batch.index.device.type == batch.tokens.device.type == "meta"
    assert batch.pictures is None
    mels, mask = audio.stack_mels([torch.ones(2, 40), torch.ones(1, 40)])
    assert mels[..., 0].tolist() == [[1, 1], [1, 0]]
    assert mask.tolist() == [[True, True], [True, False]]


def test_shares_of_a_batch_are_its_rows(small):
    """With crops, words, and recordings augmented as in the whole batch."""
    words = Vocabulary.build(small.captions)
    options = {"batch_size": 8, "size": 32, "words": words, "speech": True, "seed": 3}
    whole = Loader(small, "train", **options).at(16)
    for number in range(2):
        rows = rows_of_share(8, number, 2)
        part = Loader(small, "train", **options, share=(number, 2)).at(16)
        expected = whole[rows]
        assert part.index.tolist() == expected.index.tolist()
        assert part.tokens.tolist() == expected.tokens[:, : part.tokens.shape[1]].tolist()
        assert torch.equal(part.pictures, expected.pictures)
        assert torch.equal(part.mel_mask, expected.mel_mask)
        torch.testing.assert_close(part.mels, expected.mels, rtol=1e-4, atol=1e-4)


def test_one_pass_is_split_exactly_between_processes(small):
    """Every picture of the split is with exactly one process."""
    loaders = [Loader(small, "train", batch_size=4, share=(number, 2)) for number in range(2)]
    seen = [index for loader in loaders for index in loader.at(0).index.tolist()]
    assert sorted(seen) == small.pictures_of("train").tolist()
