import pytest
import torch

from attngan.networks.text_encoder import TextEncoder
from datasets.captions import pad
from datasets.loader import Batch

CAPTIONS = [[5, 3, 8, 2], [7], [4, 4, 9, 6, 3, 2, 8], [9, 2, 5]]


def small(cell="lstm"):
    torch.manual_seed(0)
    return TextEncoder(n_words=10, embedding=6, dimension=8, cell=cell)


def test_shapes():
    tokens, mask = pad(CAPTIONS)
    condition = small()(tokens, mask)
    assert condition.sentence.shape == (4, 8)
    assert condition.words.shape == (4, 8, 7)
    assert torch.equal(condition.mask, mask)


def test_published_number_of_weights():
    # Reference notes, A1: about 2.08 M with 5450 words: 5450 * 300 + 2 * 4 * 128 * (300 + 128 + 2).
    encoder = TextEncoder(n_words=5450)
    assert sum(p.numel() for p in encoder.parameters()) == 2_075_320 == pytest.approx(2.08e6, rel=0.01)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_sentence_is_where_both_directions_end(cell):
    tokens, mask = pad(CAPTIONS)
    condition = small(cell).eval()(tokens, mask)
    for row, caption in enumerate(CAPTIONS):
        torch.testing.assert_close(condition.sentence[row, :4], condition.words[row, :4, len(caption) - 1])
        torch.testing.assert_close(condition.sentence[row, 4:], condition.words[row, 4:, 0])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_weights_of_older_files_load(cell):
    """They call the recurrent network "lstm", whatever it is."""
    encoder, fresh = small(cell).eval(), TextEncoder(n_words=10, embedding=6, dimension=8, cell=cell).eval()
    old = {name.replace("recurrent.", "lstm."): value for name, value in encoder.state_dict().items()}
    names = set(old)
    torch.nn.ModuleDict({"caption": fresh}).load_state_dict({f"caption.{name}": value for name, value in old.items()})
    assert torch.equal(fresh(*pad(CAPTIONS)).sentence, encoder(*pad(CAPTIONS)).sentence)
    fresh.load_state_dict(old)
    assert set(old) == names
    with pytest.raises(RuntimeError, match=r"Unexpected key.*lstm2"):
        fresh.load_state_dict({**old, "lstm2.x": torch.ones(1)})


def test_padding_and_batch_mates_change_nothing():
    encoder = small().eval()
    tokens, mask = pad(CAPTIONS)
    batched = encoder(tokens, mask)
    assert (batched.words.masked_select(~mask[:, None]) == 0).all()
    for row, caption in enumerate(CAPTIONS):
        alone = encoder(*pad([caption]))
        torch.testing.assert_close(alone.sentence[0], batched.sentence[row])
        torch.testing.assert_close(alone.words[0], batched.words[row, :, : len(caption)])
    longer = encoder(torch.nn.functional.pad(tokens, (0, 5), value=3), torch.nn.functional.pad(mask, (0, 5)))
    torch.testing.assert_close(longer.sentence, batched.sentence)


def test_the_order_of_the_batch_does_not_matter():
    encoder, order = small().eval(), torch.tensor([2, 0, 3, 1])
    tokens, mask = pad(CAPTIONS)
    batched, shuffled = encoder(tokens, mask), encoder(tokens[order], mask[order])
    torch.testing.assert_close(shuffled.sentence, batched.sentence[order])
    torch.testing.assert_close(shuffled.words, batched.words[order])


def test_the_order_of_the_words_does():
    encoder = small().eval()
    one, other = encoder(*pad([[5, 3, 8]])), encoder(*pad([[8, 3, 5]]))
    assert not torch.allclose(one.sentence, other.sentence)


def test_dropout_only_in_training():
    encoder, (tokens, mask) = small(), pad(CAPTIONS)
    assert not torch.equal(encoder(tokens, mask).sentence, encoder(tokens, mask).sentence)
    encoder.eval()
    assert torch.equal(encoder(tokens, mask).sentence, encoder(tokens, mask).sentence)


def test_encode_takes_the_words_of_a_batch():
    tokens, mask = pad(CAPTIONS)
    batch = Batch(torch.arange(4), torch.zeros(4, dtype=torch.long), tokens=tokens, token_mask=mask)
    encoder = small().eval()
    assert torch.equal(encoder.encode(batch).sentence, encoder(tokens, mask).sentence)
    with pytest.raises(AssertionError, match="not asked for words"):
        encoder.encode(Batch(torch.arange(4), torch.zeros(4, dtype=torch.long)))


def test_gradients_reach_every_weight():
    encoder, (tokens, mask) = small(), pad(CAPTIONS)
    condition = encoder(tokens, mask)
    (condition.sentence.square().mean() + condition.words.square().mean()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert (encoder.embedding.weight.grad[0] == 0).all()  # padding does not learn
