import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attngan.networks.condition import Condition
from attngan.networks.generator import Generator
from attngan.networks.layers import Affine, ConditioningAugmentation, GatedConv, gated_linear_unit
from attngan.runtime.training_options import HALF, SINGLE
from datasets.errors import InputError

WIDTH = 12  # of conditions in these tests


def small(**options):
    torch.manual_seed(0)
    tiny = {"stages": 3, "base": 8, "widths": (4,), "blocks": (1,), "max_width": 8, "noise": 5, "conditioning": 6}
    return Generator(**{**tiny, "dimension": WIDTH, **options})


def condition(batch=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(7)[None] < torch.tensor([3, 7, 1, 5, 2, 6])[:batch, None]
    words = torch.randn(batch, WIDTH, 7, generator=generator)
    return Condition(torch.randn(batch, WIDTH, generator=generator), words, mask)


def noise(batch=4, width=5, seed=0):
    return torch.randn(batch, width, generator=torch.Generator().manual_seed(seed))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("stages", [1, 2, 3, 4, 5])
def test_each_stage_paints_twice_the_side(stages):
    generator = small(stages=stages)
    painting = generator(condition(), noise())
    resolutions = [8 * 2**k for k in range(stages)]
    assert generator.resolutions == resolutions
    assert len(generator) == stages
    assert [list(p.shape) for p in painting.pictures] == [[4, 3, resolution, resolution] for resolution in resolutions]
    assert all(p.abs().max() <= 1 for p in painting.pictures)
    assert all(p.dtype == torch.float32 for p in painting.pictures)
    assert painting.mean.shape == painting.log_variance.shape == (4, 6)


@pytest.mark.parametrize("base", [4, 16, 32])
def test_any_base(base):
    painting = small(stages=2, base=base)(condition(2), noise(2))
    assert [p.shape[-1] for p in painting.pictures] == [base, 2 * base]


def test_1024_px_by_changing_a_number():
    generator = small(stages=5, base=64, widths=(2,), max_width=4)
    assert generator.resolutions == [64, 128, 256, 512, 1024]
    with torch.no_grad():
        painting = generator.eval()(condition(1), noise(1))
    assert painting.pictures[-1].shape == (1, 3, 1024, 1024)


def test_widths_and_blocks_by_stage():
    generator = small(stages=4, widths=(8, 6, 4), blocks=(2, 1))
    assert [head.in_channels for head in generator.heads] == [8, 6, 4, 4]
    assert [len(refine.blocks) for refine in generator.refine] == [2, 1, 1]
    again = Generator(**generator.arguments)
    again.load_state_dict(generator.state_dict())


def test_weights_of_the_published_configuration():
    # Reference notes, A4: 7.08 M in three stages and 7.35 M in four; CA_NET 0.10 M, the initial stage 6.44 M, each
    # refinement 0.267 M, each head 864. Ours: heads have a bias (+3). By hand:
    augmentation = 256 * 400 + 400
    up = [9 * a * 2 * b + 2 * 2 * b for a, b in ((512, 256), (256, 128), (128, 64), (64, 32))]
    initial = 200 * 16384 + 2 * 16384 + sum(up)
    residual = 9 * 64 * 128 + 2 * 128 + 9 * 64 * 64 + 2 * 64
    refine = 256 * 32 + 2 * residual + 9 * 64 * 64 + 2 * 64
    head = 9 * 32 * 3 + 3
    published = Generator(stages=4, affine=False, skip=False)
    assert count(published.augmentation) == augmentation == 102_800
    assert count(published.initial) == initial == 6_444_928
    assert [count(stage) for stage in published.refine] == [refine] * 3 == [267_136] * 3
    assert [count(one) for one in published.heads] == [head] * 4 == [867] * 4
    assert count(published) == 7_352_604 == pytest.approx(7.35e6, rel=1e-3)
    assert count(Generator(stages=3, affine=False, skip=False)) == 7_084_601 == pytest.approx(7.08e6, rel=1e-3)


def test_attention_sums_to_one_and_leaves_padding_out():
    given = condition()
    painting = small()(given, noise())
    assert [list(a.shape) for a in painting.attention] == [[4, 64, 7], [4, 256, 7]]
    for attention in painting.attention:
        torch.testing.assert_close(attention.sum(2), torch.ones(attention.shape[:2]))
        assert (attention.masked_select(~given.mask[:, None]) == 0).all()


def trained(**options):
    """A generator whose affine layers and heads do something, as after training; at the start they change nothing."""
    generator = small(**options)
    for module in generator.modules():
        if isinstance(module, Affine) and module.modulate is not None:
            nn.init.normal_(module.modulate.weight, std=0.3)
    for head in generator.heads:
        nn.init.orthogonal_(head.weight)
    return generator


OPTIONS = [{"affine": a, "skip": s} for a in (True, False) for s in (True, False)]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_painting_does_not_depend_on_its_batch_mates(options):
    generator = trained(**options).eval()
    given = condition()
    together = generator(given, noise())
    for row in range(4):
        alone = generator(given[row : row + 1], noise()[row : row + 1])
        for ours, theirs in zip(alone.pictures, together.pictures, strict=True):
            torch.testing.assert_close(ours[0], theirs[row], rtol=1e-4, atol=1e-5)


def test_padding_does_not_change_the_painting():
    generator, given = trained().eval(), condition()
    noisy = Condition(given.sentence, torch.where(given.mask[:, None], given.words, torch.tensor(50.0)), given.mask)
    for ours, theirs in zip(generator(given, noise()).pictures, generator(noisy, noise()).pictures, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("options", OPTIONS)
def test_sentence_words_and_noise_all_matter(options):
    generator, given = trained(**options).eval(), condition()
    plain = generator(given, noise()).pictures[-1]
    other = condition(seed=1)
    changed = {
        "sentence": (Condition(other.sentence, given.words, given.mask), noise()),
        "words": (Condition(given.sentence, other.words, given.mask), noise()),
        "mask": (Condition(given.sentence, given.words, torch.ones_like(given.mask)), noise()),
        "noise": (given, noise(seed=1)),
    }
    for name, arguments in changed.items():
        difference = (generator(*arguments).pictures[-1] - plain).abs().mean()
        assert difference > 1e-3, name


def test_the_words_reach_refinements_only():
    generator, given = trained().eval(), condition()
    other = Condition(given.sentence, condition(seed=1).words, given.mask)
    ours, theirs = generator(given, noise()).pictures, generator(other, noise()).pictures
    assert torch.equal(ours[0], theirs[0])
    assert not torch.allclose(ours[1], theirs[1])


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_reach_everything(options):
    generator, given = trained(**options), condition()
    given.words.requires_grad_()
    given.sentence.requires_grad_()
    painting = generator(given, noise(), epsilon=noise(width=6, seed=3))
    sum(picture.square().mean() for picture in painting.pictures).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert given.sentence.grad.abs().sum() > 0
    assert (given.words.grad.abs().sum(1) > 0).eq(given.mask).all()


def test_affine_layers_begin_by_changing_nothing():
    layer, x = Affine(4, 3), torch.randn(5, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer(x, noise(5, 3)), x)
    assert torch.equal(Affine(4, 0)(x, noise(5, 3)), x)
    assert layer.modulate is not None
    nn.init.constant_(layer.modulate.bias[:4], 0.5)
    nn.init.constant_(layer.modulate.bias[4:], -2.0)
    torch.testing.assert_close(layer(x, noise(5, 3)), 1.5 * x - 2.0)


def test_gated_convolution_by_hand():
    block, x = GatedConv(3, 4, 0).eval(), torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    both = F.conv2d(x, block.conv.weight, padding=1) / math.sqrt(1 + 1e-5)  # batch norm at its first statistics
    torch.testing.assert_close(block(x, noise(2)), both[:, :4] * torch.sigmoid(both[:, 4:]))


def test_skips_begin_with_nothing_to_add():
    pictures = small(skip=True).eval()(condition(), noise()).pictures
    for before, after in itertools.pairwise(pictures):
        larger = F.interpolate(before.atanh(), scale_factor=2.0, mode="bilinear")
        torch.testing.assert_close(after, larger.tanh(), rtol=1e-4, atol=1e-4)


def test_without_skips_each_stage_paints_anew():
    generator = trained(skip=False).eval()
    before = generator(condition(), noise()).pictures
    nn.init.zeros_(generator.heads[0].weight)
    after = generator(condition(), noise()).pictures
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_conditioning_augmentation():
    layer = ConditioningAugmentation(WIDTH, 6)
    sentence = condition().sentence
    projected = sentence @ layer.project.weight.t() + layer.project.bias  # [B, 24]; gated to 12: 6 means, 6 variances
    gated = projected[:, :12] * torch.sigmoid(projected[:, 12:])
    mean, log_variance = layer(sentence)
    torch.testing.assert_close(mean, gated[:, :6])
    torch.testing.assert_close(log_variance, gated[:, 6:])


def test_spread_moves_the_style_by_standard_deviations():
    generator, given = small(stages=1).eval(), condition()
    seen = []
    generator.initial.seed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    epsilon = noise(width=6, seed=3)
    painting = generator(given, noise(), epsilon=epsilon)
    expected = painting.mean + epsilon * (0.5 * painting.log_variance).exp()
    torch.testing.assert_close(seen[0], torch.cat([expected, noise()], 1))
    generator(given, noise())
    torch.testing.assert_close(seen[1], torch.cat([painting.mean, noise()], 1))


def test_stage_modules_cover_the_network_once():
    generator = small(stages=4)
    owned = [id(p) for stage in range(4) for m in generator.stage_modules(stage) for p in m.parameters()]
    assert sorted(owned) == sorted(id(p) for p in generator.parameters())


def test_convolutions_begin_orthogonal():
    for module in small(skip=False).modules():
        if isinstance(module, nn.Conv2d | nn.Conv1d):
            flat = module.weight.detach().flatten(1)
            gram = flat @ flat.t() if flat.shape[0] <= flat.shape[1] else flat.t() @ flat
            torch.testing.assert_close(gram, torch.eye(len(gram)), rtol=0, atol=1e-4)


def test_it_runs_in_half_precision():
    with torch.autocast("cpu", torch.bfloat16):
        painting = small()(condition(), noise())
    assert painting.pictures[-1].dtype == torch.float32
    assert math.isfinite(float(painting.pictures[-1].detach().abs().mean()))


def test_the_gated_linear_unit_is_that_of_torch():
    x = torch.randn(2, 6, 4, 4, requires_grad=True)
    ours = gated_linear_unit(x)
    theirs = F.glu(x, dim=1)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    (a,) = torch.autograd.grad((ours * weight).sum(), x)
    (b,) = torch.autograd.grad((theirs * weight).sum(), x)
    torch.testing.assert_close(a, b)


def test_without_attention_the_sentence_alone_is_painted():
    """StackGAN-v2: words change nothing, the sentence does, at every stage."""
    generator = small(attention=False, affine=False).eval()
    for head in generator.heads:
        torch.nn.init.normal_(head.weight)
    given = condition()
    other_words = Condition(given.sentence, -given.words, given.mask)
    other_sentence = Condition(-given.sentence, given.words, given.mask)
    with torch.no_grad():
        painted, same, different = (generator(each, noise()) for each in (given, other_words, other_sentence))
    assert painted.attention == []
    for a, b, c in zip(painted.pictures, same.pictures, different.pictures, strict=True):
        assert torch.equal(a, b)
        assert not torch.allclose(a, c)
    x = torch.randn(4, 4, 8, 8)
    style = torch.randn(4, 11)
    refined, looked = generator.refine[0](x, given, style)
    assert looked is None
    assert not torch.allclose(refined, generator.refine[0](x, given, -style)[0])  # it knows the style by itself


def test_noise_is_decided_by_its_seed_alone():
    generator = small()
    three = generator.sample_noise([(7, 0), (7, 1), (8, 0)])
    assert three.noise.shape == (3, 5)
    assert three.epsilon.shape == (3, 6)
    alone = generator.sample_noise([(7, 1)])
    assert torch.equal(alone.noise, three[1:2].noise)
    assert torch.equal(alone.epsilon, three[1:2].epsilon)
    assert len({tuple(row.tolist()) for row in three.noise}) == 3
    draws = np.random.default_rng([7, 1])  # the recipe that pictures people kept were painted with
    for values in (alone.noise, alone.epsilon):
        assert (values[0].numpy() == draws.standard_normal(values.shape[1], dtype=np.float32)).all()


def test_painting_one_by_one_gives_the_same_pixels_in_any_company():
    generator = colourful(small())
    noises = generator.sample_noise([(0, k) for k in range(4)])
    together = generator.paint(condition(), noises)
    for k in range(4):
        alone = generator.paint(condition()[k : k + 1], noises[k : k + 1])
        assert all(torch.equal(a[0], b[k]) for a, b in zip(alone.pictures, together.pictures, strict=True))
        assert all(torch.equal(a[0], b[k]) for a, b in zip(alone.attention, together.attention, strict=True))
    batched = generator.paint(condition(), noises, batch_size=3)
    for a, b in zip(batched.pictures, together.pictures, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


def test_one_caption_is_painted_with_every_noise():
    generator = colourful(small())
    noises = generator.sample_noise([(0, k) for k in range(3)])
    one = condition()[1:2]
    pictures = generator.paint(one, noises, stages=2).pictures
    assert [len(stage) for stage in pictures] == [3, 3]
    assert torch.equal(pictures[1][2:], generator.paint(one, noises[2:], stages=2).pictures[1])
    assert (pictures[1][0] - pictures[1][1]).abs().mean() > 0.01


def test_precision_is_asked_for_by_name():
    generator = colourful(small())
    noises = generator.sample_noise([(0, 0)])
    single, half = (generator.paint(condition(1), noises, precision=name).pictures[-1] for name in (SINGLE, HALF))
    assert (single != half).any()
    torch.testing.assert_close(single, half, rtol=0, atol=0.1)
    with pytest.raises(InputError, match="--precision 16-true: unknown"):
        generator.paint(condition(1), noises, precision="16-true")


def test_stages_are_counted_by_the_resolution():
    assert [small().stages_to(resolution) for resolution in (8, 16, 32)] == [1, 2, 3]
    with pytest.raises(InputError, match="--resolution 48: the model paints 8, 16, 32 px"):
        small().stages_to(48)


def colourful(generator):
    """In evaluation mode, with heads that paint more than grey."""
    with torch.no_grad():
        for head in generator.heads:
            head.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    return generator.eval()
