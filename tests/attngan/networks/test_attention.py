import math

import torch

from attngan.networks.attention import attend_words, masked_softmax
from attngan.networks.condition import Condition, concatenate


def captions(lengths, width=6, seed=0):
    """Random words [B, C, T] with zeros as padding, and their mask."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), width, max(lengths), generator=generator) * mask[:, None], mask


def test_masked_softmax_by_hand():
    scores = torch.tensor([[0.0, math.log(3.0), 50.0]])
    weights = masked_softmax(scores, torch.tensor([[True, True, False]]), dim=1)
    torch.testing.assert_close(weights, torch.tensor([[0.25, 0.75, 0.0]]))
    assert weights[0, 2] == 0  # exactly


def test_masked_softmax_computes_in_float32_and_keeps_the_type():
    scores = torch.tensor([[8.0, 8.0, 8.0]], dtype=torch.bfloat16)
    weights = masked_softmax(scores, torch.ones(1, 3, dtype=torch.bool), dim=1)
    assert weights.dtype == torch.bfloat16
    torch.testing.assert_close(weights.float(), torch.full((1, 3), 1 / 3), atol=2e-3, rtol=0)


def test_masked_softmax_can_go_along_any_dimension():
    scores = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    weights = masked_softmax(scores, mask[:, :, None], dim=1)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 3))
    torch.testing.assert_close(weights[0, :2], scores[0, :2].softmax(0))


def test_attend_words_equals_a_loop_over_samples_and_regions():
    # Different lengths in one batch: with the tiled mask of AttnGAN issue 93, rows get the masks of other captions.
    lengths = [2, 7, 4, 1]
    words, mask = captions(lengths)
    queries = torch.randn(4, 6, 9, generator=torch.Generator().manual_seed(1))
    context, attention = attend_words(queries, words, mask)
    assert context.shape == (4, 6, 9)
    assert attention.shape == (4, 9, 7)
    for row, length in enumerate(lengths):
        own = words[row, :, :length]
        for region in range(9):
            likeness = [math.exp(float(queries[row, :, region] @ own[:, word])) for word in range(length)]
            weights = torch.tensor(likeness) / sum(likeness)
            torch.testing.assert_close(attention[row, region, :length], weights, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(context[row, :, region], own @ weights, rtol=1e-4, atol=1e-5)


def test_padding_gets_nothing_and_changes_nothing():
    words, mask = captions([3, 8, 5])
    queries = torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(1))
    context, attention = attend_words(queries, words, mask)
    assert (attention.masked_select(~mask[:, None, :]) == 0).all()
    torch.testing.assert_close(attention.sum(2), torch.ones(3, 16))
    noisy = torch.where(mask[:, None], words, torch.tensor(1e4))
    again, attention_again = attend_words(queries, noisy, mask)
    assert torch.equal(context, again)
    assert torch.equal(attention, attention_again)


def test_batch_mates_change_nothing():
    words, mask = captions([3, 8, 5])
    queries = torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(1))
    together, _ = attend_words(queries, words, mask)
    for row, length in enumerate([3, 8, 5]):
        alone, _ = attend_words(queries[row : row + 1], words[row : row + 1, :, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], together[row])


def condition(lengths, seed):
    words, mask = captions(lengths, width=4, seed=seed)
    return Condition(torch.randn(len(lengths), 4, generator=torch.Generator().manual_seed(seed)), words, mask)


def test_conditions_are_joined_with_masked_padding():
    first, second = condition([2, 3], 0), condition([5], 1)
    both = concatenate([first, second])
    assert both.words.shape == (3, 4, 5)
    assert both.mask.sum(1).tolist() == [2, 3, 5]
    assert torch.equal(both.words[:2, :, :3], first.words)
    assert (both.words[:2, :, 3:] == 0).all()
    assert torch.equal(both.sentence[2], second.sentence[0])


def test_a_condition_repeats_each_caption_in_a_row():
    one = condition([2, 3], 0)
    assert torch.equal(one.repeat(3).sentence, one.sentence[[0, 0, 0, 1, 1, 1]])
    assert torch.equal(one.repeat(3).mask, one.mask[[0, 0, 0, 1, 1, 1]])
    assert len(one[1:]) == 1
