import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attngan.training import losses


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_matching_loss_by_hand():
    # Rows: -log(e^2 / (e^2 + e^0)) and -log(e^3 / (e^1 + e^3)); columns: (2, 1) and (0, 3).
    def cost(true: float, other: float) -> float:
        return math.log(1 + math.exp(other - true))

    scores = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows, columns = (cost(2, 0) + cost(3, 1)) / 2, (cost(2, 1) + cost(3, 0)) / 2
    assert losses.matching_loss(scores, None).item() == pytest.approx(rows + columns, rel=1e-6)


def test_matching_loss_of_equal_scores_is_twice_log_b():
    assert losses.matching_loss(torch.zeros(7, 7), None).item() == pytest.approx(2 * math.log(7), rel=1e-6)


def test_same_species_count_neither_as_right_nor_as_wrong():
    # Pictures 0 and 2 are of one species: rows and columns 0 and 2 choose among two, those of 1 among three.
    species = torch.tensor([4, 9, 4])
    expected = 2 * (math.log(2) + math.log(3) + math.log(2)) / 3
    assert losses.matching_loss(torch.zeros(3, 3), species).item() == pytest.approx(expected, rel=1e-6)
    confused = torch.zeros(3, 3)
    confused[0, 2] = confused[2, 0] = 1e4
    assert losses.matching_loss(confused, species).item() == pytest.approx(expected, rel=1e-6)
    assert losses.matching_loss(confused, None).item() > 1000


def test_a_batch_of_one_species_costs_nothing():
    assert losses.matching_loss(draw(3, 3), torch.zeros(3, dtype=torch.long)).item() == 0


def test_matching_loss_works_in_both_directions():
    scores = draw(5, 5)
    torch.testing.assert_close(losses.matching_loss(scores, None), losses.matching_loss(scores.t(), None))
    # One picture that likes every caption best: captions are told apart badly by that picture's column alone.
    greedy = torch.eye(3) * 5
    greedy[:, 0] = 5
    rows = torch.nn.functional.cross_entropy(greedy, torch.arange(3))
    columns = torch.nn.functional.cross_entropy(greedy.t(), torch.arange(3))
    assert rows > 2 * columns / 3
    torch.testing.assert_close(losses.matching_loss(greedy, None), rows + columns)


def test_sentence_scores_are_cosines_times_gamma():
    sentences = torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    wholes = torch.tensor([[0.5, 0.0], [0.0, 7.0], [-1.0, 0.0]])
    root = math.sqrt(0.5)
    expected = 10 * torch.tensor([[1.0, 0.0, -1.0], [root, root, -root]])
    torch.testing.assert_close(losses.sentence_scores(sentences, wholes), expected)


def word_scores_in_words(
    words: Tensor, lengths: list[int], regions: Tensor, gamma1: float, gamma2: float, gamma3: float
) -> Tensor:
    """AttnGAN, equations 7 to 10, one pair and one word at a time; the mean over words inside the logarithm."""
    scores = torch.zeros(len(words), len(regions))
    for i, length in enumerate(lengths):
        for j in range(len(regions)):
            e, v = words[i, :, :length], regions[j]  # [D, T], [D, R]
            s = e.t() @ v  # equation 7
            s_bar = torch.stack([s[:, r].exp() / s[:, r].exp().sum() for r in range(v.shape[1])], 1)  # equation 8
            relevance = []
            for t in range(length):
                sharp = gamma1 * length / 12  # so that length does not flatten equation 9
                alpha = (sharp * s_bar[t]).exp() / (sharp * s_bar[t]).exp().sum()
                context = (alpha[None] * v).sum(1)
                relevance.append(context @ e[:, t] / (context.norm() * e[:, t].norm()))
            r = torch.stack(relevance)
            scores[i, j] = gamma3 * ((gamma2 * r).exp().sum() / length).log()  # equation 10, without the root
    return scores


def test_word_scores_equal_a_loop_over_pairs():
    lengths = [3, 5, 1]
    words, regions = draw(3, 4, 5), draw(4, 4, 6, seed=1)
    mask = torch.arange(5)[None] < torch.tensor(lengths)[:, None]
    for gammas in ((4.0, 5.0, 10.0), (1.5, 2.0, 3.0)):
        expected = word_scores_in_words(words, lengths, regions, *gammas)
        torch.testing.assert_close(losses.word_scores(words, mask, regions, *gammas), expected, rtol=1e-4, atol=1e-4)


def test_word_scores_do_not_see_padding():
    words, regions = draw(2, 4, 3), draw(2, 4, 6, seed=1)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    scores = losses.word_scores(words, mask, regions)
    noisy = words.clone()
    noisy[0, :, 2] = 1e3
    torch.testing.assert_close(losses.word_scores(noisy, mask, regions), scores)
    longer = torch.cat([noisy, draw(2, 4, 2, seed=5)], 2)
    longer_mask = torch.cat([mask, torch.zeros(2, 2, dtype=torch.bool)], 1)
    torch.testing.assert_close(losses.word_scores(longer, longer_mask, regions), scores)
    alone = losses.word_scores(words[:1, :, :2], mask[:1, :2], regions)
    torch.testing.assert_close(alone[0], scores[0])


def test_words_said_twice_score_the_same():
    words, regions = draw(2, 4, 3), draw(3, 4, 6, seed=1)
    mask = torch.ones(2, 3, dtype=torch.bool)
    once = losses.word_scores(words, mask, regions)
    for times in (2, 8):
        often = losses.word_scores(words.repeat(1, 1, times), mask.repeat(1, times), regions)
        torch.testing.assert_close(once, often, rtol=1e-4, atol=1e-4)


def test_length_does_not_drown_the_words_score():
    # A word that is the picture beats one that is not, however long the caption.
    regions = draw(4, 16, 9, seed=1)
    match = regions.mean(2)
    for times in (1, 16):
        caption = match[:, :, None].repeat(1, 1, times)
        scores = losses.word_scores(caption, torch.ones(4, times, dtype=torch.bool), regions)
        assert (scores.argmax(1) == torch.arange(4)).all()


def test_words_loss_goes_by_groups():
    words, regions, species = draw(5, 4, 3), draw(5, 4, 6, seed=1), torch.tensor([0, 1, 0, 2, 3])
    mask = torch.ones(5, 3, dtype=torch.bool)
    whole = losses.matching_loss(losses.word_scores(words, mask, regions), species)
    torch.testing.assert_close(losses.words_loss(words, mask, regions, species, group=5), whole)
    parts = [
        losses.matching_loss(losses.word_scores(words[rows], mask[rows], regions[rows]), species[rows])
        for rows in (slice(0, 3), slice(3, 5))
    ]
    torch.testing.assert_close(losses.words_loss(words, mask, regions, species, group=3), (parts[0] + parts[1]) / 2)


def test_words_loss_passes_gammas_on_and_learns():
    words, regions = draw(4, 8, 3).requires_grad_(), draw(4, 8, 6, seed=1)
    mask = torch.ones(4, 3, dtype=torch.bool)
    assert losses.words_loss(words, mask, regions, None) != losses.words_loss(
        words, mask, regions, None, gammas={"gamma3": 1.0}
    )
    optimizer = torch.optim.Adam([words], lr=0.1)
    first = losses.words_loss(words, mask, regions, None).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss = losses.words_loss(words, mask, regions, None)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first


def test_word_scores_stay_finite_for_a_word_of_zeros():
    words = torch.zeros(2, 4, 3, requires_grad=True)
    scores = losses.word_scores(words, torch.ones(2, 3, dtype=torch.bool), draw(2, 4, 6))
    scores.sum().backward()
    assert torch.isfinite(scores).all()
    assert words.grad is not None
    assert torch.isfinite(words.grad).all()


def test_teacher_loss_by_hand():
    target = torch.tensor([[3.0, 4.0], [0.0, 5.0]])
    assert losses.teacher_loss(target, target) == 0
    assert losses.teacher_loss(torch.zeros(2, 2), target) == pytest.approx(1.0)
    assert losses.teacher_loss(2 * target, target) == pytest.approx(1.0)  # the right direction is not enough
    assert losses.teacher_loss(target + torch.tensor([1.0, 0.0]), target) == pytest.approx(2 / 50)


def test_mode_seeking_by_hand():
    one, noise = torch.zeros(2, 3, 4, 4), torch.zeros(2, 5)
    other, other_noise = one + 0.49, noise + torch.tensor([[1.0], [2.0]])
    assert losses.mode_seeking_loss(one, other, noise, other_noise) == pytest.approx((1 / 0.5 + 2 / 0.5) / 2)
    assert losses.mode_seeking_loss(one, one, noise, other_noise) == pytest.approx(150)  # finite for equal pictures


def test_mode_seeking_draws_pictures_apart():
    other = (0.1 * draw(2, 3, 4, 4)).requires_grad_()
    losses.mode_seeking_loss(torch.zeros(2, 3, 4, 4), other, draw(2, 5), draw(2, 5, seed=1)).backward()
    assert torch.equal(other.grad.sign(), -other.detach().sign())


def test_divergence_from_the_normal_distribution_by_hand():
    assert losses.kl_to_normal(torch.zeros(3, 2), torch.zeros(3, 2)).item() == 0
    # Mean 2, variance e: (4 + e - 1 - 1) / 2 of each element; mean 0, variance 1: nothing.
    mean, log_variance = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert losses.kl_to_normal(mean, log_variance).item() == pytest.approx((2 + math.e) / 4, rel=1e-6)


def test_divergence_equals_torch_distributions():
    mean, log_variance = draw(4, 5), draw(4, 5, seed=1)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).mean()
    torch.testing.assert_close(losses.kl_to_normal(mean, log_variance), expected)


def test_hinge_by_hand():
    real, fake, wrong = torch.tensor([0.25, 3.0]), torch.tensor([-0.5, 1.0]), torch.tensor([-2.0, 0.0])
    # Real: (0.75 + 0) / 2. Fake: (0.5 + 2) / 2. Wrong: (0 + 1) / 2.
    assert losses.discriminator_loss(real, fake, None, "hinge").item() == pytest.approx(0.375 + 1.25)
    assert losses.discriminator_loss(real, fake, wrong, "hinge").item() == pytest.approx(0.375 + (1.25 + 0.5) / 2)
    assert losses.generator_loss(fake, "hinge").item() == pytest.approx(-0.25)


def test_binary_cross_entropy_by_hand():
    real, fake, wrong = torch.tensor([math.log(3)]), torch.tensor([0.0]), torch.tensor([-math.log(4)])
    # Probabilities of being real 3/4, 1/2 and 1/5.
    assert losses.discriminator_loss(real, fake, None, "bce").item() == pytest.approx(math.log(4 / 3) + math.log(2))
    expected = math.log(4 / 3) + (math.log(2) + math.log(5 / 4)) / 2
    assert losses.discriminator_loss(real, fake, wrong, "bce").item() == pytest.approx(expected)
    assert losses.generator_loss(real, "bce").item() == pytest.approx(math.log(4 / 3))


def test_binary_cross_entropy_of_sure_logits_is_finite():
    sure = torch.tensor([-1e4, 1e4])
    assert losses.generator_loss(sure, "bce").item() == pytest.approx(5e3)
    assert torch.isfinite(losses.discriminator_loss(sure, sure, sure, "bce"))


@pytest.mark.parametrize("kind", ["hinge", "bce"])
def test_the_generator_wants_higher_logits_and_the_discriminator_lower_ones(kind):
    fake = torch.zeros(3, requires_grad=True)
    losses.generator_loss(fake, kind).backward()
    assert fake.grad is not None
    assert fake.grad.max() < 0
    fake.grad = None
    losses.discriminator_loss(torch.zeros(3), fake, None, kind).backward()
    assert fake.grad is not None
    assert fake.grad.min() > 0


def test_r1_of_a_linear_function_is_its_squared_slope():
    weights = draw(3, 4, 4)
    pictures = draw(5, 3, 4, 4, seed=1).requires_grad_()
    penalty = losses.gradient_penalty((pictures * weights).sum((1, 2, 3)), [pictures], power=2, scale=5.0)
    assert penalty.item() == pytest.approx(5 * weights.square().sum().item(), rel=1e-5)


def test_r1_of_a_quadratic_function_goes_with_the_input():
    # f(x) = |x|^2 has gradient 2x: the penalty is the mean of 4 |x|^2, and its gradient 8x / B.
    pictures = draw(5, 3, 2, 2).requires_grad_()
    penalty = losses.gradient_penalty(pictures.square().sum((1, 2, 3)), [pictures], power=2, scale=1.0)
    assert penalty.item() == pytest.approx(4 * pictures.square().sum().item() / 5, rel=1e-5)
    (slope,) = torch.autograd.grad(penalty, pictures)
    torch.testing.assert_close(slope, 8 * pictures.detach() / 5)


def test_magp_joins_pictures_and_sentences():
    # f = 3 x + 4 s: the joint gradient has norm 5, and 2 * 5^6 = 31250.
    pictures, sentences = draw(6, 1).requires_grad_(), draw(6, 1, seed=1).requires_grad_()
    penalty = losses.gradient_penalty((3 * pictures + 4 * sentences)[:, 0], [pictures, sentences], power=6, scale=2.0)
    assert penalty.item() == pytest.approx(31250, rel=1e-5)


def test_a_penalty_can_be_differentiated_where_the_slope_is_zero():
    pictures, weight = torch.ones(2, 3, requires_grad=True), torch.zeros((), requires_grad=True)
    losses.gradient_penalty((pictures * weight).sum(1), [pictures], power=6, scale=2.0).backward()
    assert weight.grad is not None
    assert torch.isfinite(weight.grad)


def test_consistency_is_how_far_reduced_pictures_are_from_those_before():
    small = torch.rand(2, 3, 4, 4, requires_grad=True)
    middle = F.interpolate(small.detach(), scale_factor=2.0)
    checks = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 0.4 - 0.2  # detail, which leaves the mean alone
    large = (F.interpolate(middle, scale_factor=2.0) + checks).requires_grad_()
    assert losses.consistency_loss([small, middle, large]).item() == pytest.approx(0, abs=1e-12)
    shifted = losses.consistency_loss([small, middle + 0.1, large + 0.3])
    assert shifted.item() == pytest.approx(0.1**2 + 0.2**2, rel=1e-5)
    shifted.backward()
    assert large.grad.abs().sum() > 0
    assert small.grad is None
    assert losses.consistency_loss([small]).item() == 0  # the first stage has none before it
