import pytest
import torch

from attngan.evaluation.corruptions import CORRUPTIONS, blend, cut_out, mirror, shuffle, upside_down


def pictures(side=16):
    return torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def draws():
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_pictures_stay_pictures_and_the_same_seed_gives_the_same(name):
    _, corrupt = CORRUPTIONS[name]
    before = pictures()
    damaged = corrupt(before, draws())
    assert damaged.shape == before.shape
    assert -1 <= damaged.min() <= damaged.max() <= 1
    assert damaged.equal(corrupt(pictures(), draws()))
    assert before.equal(pictures())  # in place nothing is changed
    assert damaged.equal(before) == (name == "photographs")


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_shuffling_keeps_every_patch_and_moves_them(parts):
    before, damaged = pictures(), shuffle(parts)(pictures(), draws())
    patch = 16 // parts

    def patches(picture):
        tiles = picture.unfold(1, patch, patch).unfold(2, patch, patch).permute(1, 2, 0, 3, 4).reshape(parts**2, -1)
        return sorted(map(tuple, tiles.tolist()))

    for one, other in zip(before, damaged, strict=True):
        assert patches(one) == patches(other)


def test_turned_twice_is_as_before():
    for turn in (mirror, upside_down):
        assert turn(turn(pictures(), draws()), draws()).equal(pictures())


def test_no_picture_is_blended_with_itself():
    ones = torch.eye(4)[:, :, None, None].expand(-1, -1, 8, 8)[:, :3]
    blended = blend(ones, draws())
    assert not any(one.equal(other) for one, other in zip(ones, blended, strict=True))


def test_the_middle_is_filled_from_the_border():
    bird = -torch.ones(1, 3, 32, 32)
    bird[..., 12:20, 12:20] = 1.0
    damaged = cut_out(bird, draws())
    assert damaged.max() == -1  # nothing of the bird is left
    assert cut_out(pictures(), draws())[..., 0, :].equal(pictures()[..., 0, :])  # the border stays
