import math

import pytest
import torch

from attngan.training import teacher_losses


def mask_of(lengths, longest):
    return torch.arange(longest) < torch.tensor(lengths)[:, None]


def test_words_that_are_said_in_their_places_cost_nothing():
    words = 5 * torch.eye(4)[None]  # [1, 4, 4]: four words that have nothing in common
    everything = torch.ones(1, 4, dtype=torch.bool)
    assert teacher_losses.words_loss(words, everything, words, everything) < 0.01
    assert teacher_losses.words_loss(words.flip(2), everything, words, everything) > 0.5
    assert teacher_losses.words_loss(torch.zeros(1, 4, 4), everything, words, everything) == pytest.approx(1.0)


def test_the_same_word_twice_is_told_apart_by_its_place():
    # Two segments alike to both words in direction, of different length: each word takes the one at its place.
    segments = torch.tensor([[[1.0, 3.0], [0.0, 0.0]]])
    both = torch.ones(1, 2, dtype=torch.bool)
    straight = teacher_losses.words_loss(segments, both, segments, both)
    crossed = teacher_losses.words_loss(segments.flip(2), both, segments, both)
    assert straight < 0.1 * crossed


def test_padding_counts_for_nothing():
    generator = torch.Generator().manual_seed(0)
    segments, words = torch.randn(2, 6, 5, generator=generator), torch.randn(2, 6, 4, generator=generator)
    masks = mask_of([5, 3], 5), mask_of([4, 2], 4)
    plain = teacher_losses.words_loss(segments, masks[0], words, masks[1])
    segments[1, :, 3:], words[1, :, 2:] = 100.0, -100.0
    torch.testing.assert_close(teacher_losses.words_loss(segments, masks[0], words, masks[1]), plain)


def test_transcript_loss_by_hand():
    # Two segments, one word: it is said by "word, blank", "blank, word" or "word, word".
    probabilities = torch.tensor([[[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]]])
    said = 0.5 * 0.1 + 0.2 * 0.3 + 0.5 * 0.3
    loss = teacher_losses.transcript_loss(probabilities.log(), mask_of([2], 2), torch.tensor([[2, 0]]), mask_of([1], 2))
    assert loss.item() == pytest.approx(-math.log(said), rel=1e-5)
    # A word that is not among those known counts as the unknown one, number 1.
    unknown = teacher_losses.transcript_loss(
        probabilities.log(), mask_of([2], 2), torch.tensor([[7, 0]]), mask_of([1], 2)
    )
    assert unknown.item() == pytest.approx(-math.log(0.3 * 0.1 + 0.2 * 0.6 + 0.3 * 0.6), rel=1e-5)


def test_more_words_than_segments_cost_nothing():
    tokens = torch.tensor([[2, 3, 4]])
    loss = teacher_losses.transcript_loss(torch.zeros(1, 2, 9), mask_of([2], 2), tokens, mask_of([3], 3))
    assert loss == 0
