import math

import pytest
import torch

from attngan.runtime import checkpoint
from datasets import audio
from datasets.errors import InputError
from datasets.loader import Batch
from s2i.model.speech_encoder import GROUP, SpeechEncoder, load_speech_encoder, segment_edges, start_from

LENGTHS = [203, 31, 64, 500]


def small(**options):
    torch.manual_seed(0)
    return SpeechEncoder(**{"width": 8, "hidden": 6, "dimension": 10, **options})


def recordings(lengths=LENGTHS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, audio.N_MELS, generator=generator) for length in lengths]


def test_shapes():
    mels, mask = audio.stack_mels(recordings())
    condition = small()(mels, mask)
    # 203, 31, 64 and 500 frames are 26, 4, 8 and 63 after the convolutions, and 9, 2, 3 and 21 segments of 3.
    assert condition.mask.sum(1).tolist() == [9, 2, 3, 21]
    assert condition.words.shape == (4, 10, 21)
    assert condition.sentence.shape == (4, 10)
    assert condition.mask.dtype == torch.bool
    assert (condition.mask.long().diff(dim=1) <= 0).all()  # segments first, then padding


@pytest.mark.parametrize("frames", [1, 8, 9, 30, 100, 333, 768, 769, 1500, 3001])
def test_segments_by_length_and_at_most_32(frames):
    encoder = small().eval()
    mels, mask = audio.stack_mels(recordings([frames]))
    with torch.no_grad():
        condition = encoder(mels, mask)
    expected = min(32, max(1, math.ceil(math.ceil(frames / 8) / 3)))
    assert condition.words.shape[2] == expected == len(encoder.spans(mels[0]))
    assert condition.mask.all()


def test_fewer_and_longer_segments_by_options():
    encoder = small(segments=5, segment_frames=1).eval()
    mels, mask = audio.stack_mels(recordings([16, 200]))
    assert encoder(mels, mask).mask.sum(1).tolist() == [2, 5]


def test_segment_edges_by_hand():
    edges = segment_edges(torch.tensor([10, 6, 2]), torch.tensor([4, 2, 1]))
    assert edges.tolist() == [[0, 2, 5, 7, 10], [0, 3, 6, 6, 6], [0, 2, 2, 2, 2]]


@pytest.mark.parametrize("length", range(1, 120, 7))
def test_segments_are_equal_to_a_frame_and_none_is_empty(length):
    counts = small().segment_count(torch.tensor([length]))
    widths = segment_edges(torch.tensor([length]), counts)[0].diff()
    assert widths.sum() == length
    assert widths.min() >= 1
    assert widths.max() - widths.min() <= 1


def test_pooling_is_the_mean_of_each_stretch():
    encoder = small(segment_frames=2)
    states = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    pooled, segment_mask = encoder._pool(states, mask)
    # 5 frames in 3 segments: edges 0, 1, 3, 5; 3 frames in 2 segments: 0, 1, 3.
    expected = [
        [states[0, :1].mean(0), states[0, 1:3].mean(0), states[0, 3:5].mean(0)],
        [states[1, :1].mean(0), states[1, 1:3].mean(0), torch.zeros(12)],
    ]
    torch.testing.assert_close(pooled, torch.stack([torch.stack(row) for row in expected]))
    assert segment_mask.tolist() == [[True] * 3, [True, True, False]]


@pytest.mark.parametrize("frames", [5, 80, 123, 500, 2000])
def test_spans_cover_the_recording(frames):
    (mel,) = recordings([frames])
    spans = small().spans(mel)
    assert spans[0][0] == 0
    assert spans[-1][1] == pytest.approx(frames / 100)
    for (begin, end), (following, _) in zip(spans, [*spans[1:], (frames / 100, 0)], strict=True):
        assert begin < end == pytest.approx(following)


def test_spans_are_where_the_segments_listen():
    # What changes at a time changes a segment there most; convolutions and recurrence carry it to the next at most.
    encoder = small().eval()
    (mel,) = recordings([480])
    spans = encoder.spans(mel)
    plain = encoder(*audio.stack_mels([mel])).words[0]
    for place, (begin, end) in list(enumerate(spans))[3::5]:
        changed = mel.clone()
        changed[int(begin * 100) : int(end * 100)] += 3
        difference = (encoder(*audio.stack_mels([changed])).words[0] - plain).norm(dim=0)
        assert abs(int(difference.argmax()) - place) <= 1


def test_padding_and_batch_mates_change_nothing():
    encoder = small().eval()
    together = encoder(*audio.stack_mels(recordings()))
    assert torch.isfinite(together.words).all()
    for row, mel in enumerate(recordings()):
        alone = encoder(*audio.stack_mels([mel]))
        count = alone.words.shape[2]
        torch.testing.assert_close(alone.sentence[0], together.sentence[row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.words[0], together.words[row, :, :count], rtol=1e-4, atol=1e-5)
        assert int(together.mask[row].sum()) == count


def test_what_padding_holds_changes_nothing():
    encoder = small().eval()
    mels, mask = audio.stack_mels(recordings())
    clean = encoder(mels, mask)
    noisy = encoder(torch.where(mask[:, :, None], mels, torch.tensor(100.0)), mask)
    assert torch.equal(clean.sentence, noisy.sentence)
    assert torch.equal(clean.words, noisy.words)
    longer = encoder(torch.nn.functional.pad(mels, (0, 0, 0, 77), value=9.0), torch.nn.functional.pad(mask, (0, 77)))
    torch.testing.assert_close(longer.sentence, clean.sentence)
    torch.testing.assert_close(longer.words, clean.words)


def test_the_order_of_the_batch_does_not_matter():
    encoder, order = small().eval(), torch.tensor([2, 0, 3, 1])
    mels, mask = audio.stack_mels(recordings())
    together, shuffled = encoder(mels, mask), encoder(mels[order], mask[order])
    torch.testing.assert_close(shuffled.sentence, together.sentence[order], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shuffled.words, together.words[order], rtol=1e-4, atol=1e-5)


def test_another_recording_is_another_condition():
    encoder = small().eval()
    one, other = encoder(*audio.stack_mels(recordings([200]))), encoder(*audio.stack_mels(recordings([200], seed=1)))
    assert (one.sentence - other.sentence).abs().max() > 1e-3
    assert (one.words - other.words).abs().max() > 1e-3


def test_gradients_reach_every_weight_and_no_padding():
    encoder = small()
    mels, mask = audio.stack_mels(recordings())
    mels.requires_grad_()
    condition = encoder(mels, mask)
    (condition.sentence.square().mean() + (condition.words * condition.mask[:, None]).square().mean()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if name != "attention.2.bias":  # constant over time, it cancels in the softmax
            assert parameter.grad.abs().sum() > 0, name
    assert mels.grad is not None
    heard = mels.grad.abs().sum(2)
    assert (heard.masked_select(~mask) == 0).all()
    assert (heard.masked_select(mask) > 0).float().mean() > 0.95


def test_it_runs_in_half_precision():
    mels, mask = audio.stack_mels(recordings())
    encoder = small().eval()
    with torch.autocast("cpu", torch.bfloat16):
        condition = encoder(mels, mask)
    plain = encoder(mels, mask)
    assert torch.cosine_similarity(condition.sentence.float(), plain.sentence).min() > 0.98


def test_encode_gives_the_recordings_of_a_batch_in_their_order():
    lengths = [int(20 + 37 * k % 400) for k in range(2 * GROUP + 3)]  # more than are computed together
    mels, mask = audio.stack_mels(recordings(lengths))
    encoder, index = small().eval(), torch.arange(len(lengths))
    found = encoder.encode(Batch(index, index, mels=mels, mel_mask=mask))
    expected = encoder(mels, mask)
    torch.testing.assert_close(found.sentence, expected.sentence, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        found.words * found.mask[:, None], expected.words * expected.mask[:, None], rtol=1e-4, atol=1e-5
    )
    assert torch.equal(found.mask, expected.mask)
    with pytest.raises(AssertionError, match="not asked for recordings"):
        encoder.encode(Batch(index, index))


def test_a_saved_encoder_comes_back_frozen(tmp_path):
    encoder = SpeechEncoder(width=8, hidden=6, segments=7, segment_frames=2, dropout=0.3)
    path = tmp_path / "sen.safetensors"
    checkpoint.save(
        path, {"caption": encoder.state_dict()}, {"kind": "speech-encoder-weights", "speech": encoder.arguments}
    )
    again = load_speech_encoder(path)
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())
    mels, mask = audio.stack_mels(recordings())
    assert torch.equal(again(mels, mask).words, encoder.eval()(mels, mask).words)


def test_files_of_something_else_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {}, {"kind": "gan"})
    with pytest.raises(InputError, match="holds a gan, not a speech encoder"):
        load_speech_encoder(path)
    checkpoint.save(path, {}, {"kind": "damsm-weights", "caption": "text"})
    with pytest.raises(InputError, match="trained with text"):
        load_speech_encoder(path)
    other = SpeechEncoder(width=8, hidden=6)
    description = {"kind": "speech-encoder-weights", "speech": {**other.arguments, "width": 16}}
    checkpoint.save(path, {"caption": other.state_dict()}, description)
    with pytest.raises(InputError, match="another size"):
        load_speech_encoder(path)


@pytest.mark.parametrize("pad", [(300, 0), (0, 300), (500, 500)])
def test_a_front_that_hears_speech_alone_hears_no_silence(pad):
    encoder = small(front="speech").eval()
    mel = recordings([203])[0] * 2 + 3
    silent = torch.full((1, audio.N_MELS), math.log(audio.LOG_FLOOR))
    padded = torch.cat([silent.expand(pad[0], -1), mel, silent.expand(pad[1], -1)])
    plain, waited = (encoder(*audio.stack_mels([each])) for each in (mel, padded))
    torch.testing.assert_close(waited.sentence, plain.sentence, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(waited.words, plain.words, rtol=1e-3, atol=1e-4)
    spans = encoder.spans(padded)
    assert spans[0][0] <= pad[0] / 100 < spans[1][0]
    assert spans[-1][1] == pytest.approx(len(padded) / 100)
    assert spans[-1][0] < (pad[0] + 203) / 100


def test_weights_of_before_keep_the_front_of_before(tmp_path):
    encoder = small().eval()
    arguments = {name: value for name, value in encoder.arguments.items() if name not in ("front", "dilations")}
    about = {"kind": "speech-encoder-weights", "speech": arguments}
    checkpoint.save(tmp_path / "old.safetensors", {"caption": encoder.state_dict()}, about)
    loaded = load_speech_encoder(tmp_path / "old.safetensors")
    assert loaded.front == "utterance"
    mels, mask = audio.stack_mels(recordings())
    torch.testing.assert_close(loaded(mels, mask).sentence, encoder(mels, mask).sentence)
    heard = loaded.listen(mels, mask)
    torch.testing.assert_close(heard.features, audio.normalise(mels, mask))


def test_training_begins_from_what_fits(tmp_path):
    trained = small(dilations=(1, 2)).eval()
    about = {"kind": "speech-encoder-weights", "speech": trained.arguments}
    checkpoint.save(tmp_path / "trained.safetensors", {"caption": trained.state_dict()}, about)
    torch.manual_seed(5)
    deeper = SpeechEncoder(width=8, hidden=6, dimension=10, dilations=(1, 2, 4, 8)).eval()
    taken = start_from(deeper, tmp_path / "trained.safetensors")
    assert taken == sum(value.numel() for value in trained.state_dict().values())
    mels, mask = audio.stack_mels(recordings())  # what is new adds nothing at first
    torch.testing.assert_close(deeper(mels, mask).sentence, trained(mels, mask).sentence)
    other = SpeechEncoder(width=9, hidden=7, dimension=11)
    with pytest.raises(InputError, match="none of its weights fit"):
        start_from(other, tmp_path / "trained.safetensors")
