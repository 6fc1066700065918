import contextlib

import pytest
import torch

from attngan.networks.discriminator import Discriminator
from attngan.runtime import checkpoint
from attngan.training.adversary import Adversary, Penalty, diff_augment, mismatched

WIDTH = 12  # of sentences in these tests


def adversary(resolutions=(8, 16), seed=0, **options):
    torch.manual_seed(seed)
    networks = {
        str(resolution): Discriminator(resolution=resolution, width=4, max_width=16, dimension=WIDTH)
        for resolution in resolutions
    }
    settings = {"learning_rate": 2e-3, "betas": (0.0, 0.99), "loss": "hinge", "policy": (), "penalty": Penalty()}
    return Adversary(networks, **{**settings, **options})


def toy(batch=16, seed=0):
    """Real pictures as bright as their sentence's first number, painted ones dark; of 8 and 16 px."""
    generator = torch.Generator().manual_seed(seed)
    sentence = torch.randn(batch, WIDTH, generator=generator)
    species = torch.arange(batch) % 4
    real, fake = {}, {}
    for resolution in (8, 16):
        noise = 0.1 * torch.randn(2, batch, 3, resolution, resolution, generator=generator)
        real[str(resolution)] = noise[0] + sentence[:, :1, None, None].tanh()
        fake[str(resolution)] = noise[1] - 0.5
    return real, fake, sentence, species


def train(opponent, steps, seed=0, data=None):
    real, fake, sentence, species = data or toy()
    values = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(seed + step)
        values.append(opponent.train(real, fake, sentence, species, contextlib.nullcontext, generator))
    return values


@pytest.mark.parametrize("loss", ["hinge", "bce"])
@pytest.mark.parametrize("policy", [(), ("translation", "cutout")])
def test_training_lowers_the_loss(loss, policy):
    values = train(adversary(loss=loss, policy=policy), 60)
    for resolution in (8, 16):
        assert values[-1][f"discriminator/{resolution}"] < 0.7 * values[0][f"discriminator/{resolution}"]


def test_painted_pictures_may_have_sentences_of_their_own():
    """The conditional head sees painted pictures with these, real ones with theirs."""
    real, fake, sentence, species = toy()
    seen = {}

    def record(module, inputs):
        seen["sentences"] = inputs[0][:, -WIDTH:, 0, 0]

    opponent = adversary(resolutions=(8,))
    opponent.networks["8"].join.register_forward_pre_hook(record)
    draws = torch.Generator().manual_seed(5)
    opponent.train(real, fake, sentence, species, contextlib.nullcontext, draws, sentence.flip(0))
    one, other, wrong = seen["sentences"].chunk(3)
    assert torch.equal(one, sentence)
    assert torch.equal(other, sentence.flip(0))
    assert torch.equal(wrong, sentence[mismatched(species, torch.Generator().manual_seed(5))])


def test_the_first_loss_is_that_of_both_heads_by_hand():
    # With the weights before the step: mean of the two heads, hinge, wrong captions in the conditional one.
    opponent, reference = adversary(resolutions=(8,)), adversary(resolutions=(8,)).networks["8"]
    real, fake, sentence, species = toy()
    values = opponent.train(real, fake, sentence, species, contextlib.nullcontext, torch.Generator().manual_seed(5))
    wrong = mismatched(species, torch.Generator().manual_seed(5))
    reference.train()
    reference.normalise_weights()  # the same one power iteration
    reference.eval()
    seen, painted = reference(real["8"], sentence), reference(fake["8"], sentence)
    swapped = reference(real["8"], sentence[wrong]).conditional
    relu = torch.relu
    alone = relu(1 - seen.unconditional).mean() + relu(1 + painted.unconditional).mean()
    paired = relu(1 - seen.conditional).mean() + (relu(1 + painted.conditional) + relu(1 + swapped)).mean() / 2
    assert values["discriminator/8"].item() == pytest.approx((alone + paired).item() / 2, rel=1e-4)
    assert values["accuracy_real/8"] == (seen.conditional > 0).float().mean()
    assert values["accuracy_fake/8"] == (painted.conditional < 0).float().mean()
    assert values["accuracy_wrong/8"] == (swapped < 0).float().mean()


def test_only_the_given_stages_are_judged():
    opponent = adversary(resolutions=(16,))
    real, fake, sentence, species = toy()
    fake["8"] = torch.empty(0)  # frozen stages paint nothing
    values = train(opponent, 1, data=(real, fake, sentence, species))[0]
    assert {name.split("/")[1] for name in values} == {"16"}
    assert opponent.generator_loss(fake, sentence, torch.Generator()).item() != 0


def test_painted_pictures_get_no_gradient_from_training():
    real, fake, sentence, species = toy()
    fake = {name: picture.requires_grad_() for name, picture in fake.items()}
    train(adversary(), 1, data=(real, fake, sentence, species))
    assert all(picture.grad is None for picture in fake.values())


def test_the_discriminators_get_no_gradient_from_the_generator():
    opponent = adversary(policy=("translation", "cutout"))
    real, fake, sentence, species = toy()
    train(opponent, 1)
    for parameter in opponent.networks.parameters():
        parameter.grad = None
    fake = {name: picture.requires_grad_() for name, picture in fake.items()}
    opponent.generator_loss(fake, sentence, torch.Generator().manual_seed(0)).backward()
    assert all(parameter.grad is None for parameter in opponent.networks.parameters())
    assert all(picture.grad.abs().sum() > 0 for picture in fake.values())
    before = [parameter.clone() for parameter in opponent.networks.parameters()]
    train(opponent, 1, data=(real, fake, sentence, species))  # and they learn again afterwards
    assert any(not torch.equal(a, b) for a, b in zip(before, opponent.networks.parameters(), strict=True))


def test_the_generator_pays_less_for_what_looks_real():
    opponent = adversary()
    real, fake, sentence, _ = toy()
    train(opponent, 60)
    costs = [opponent.generator_loss(p, sentence, torch.Generator()).item() for p in (real, fake)]
    assert costs[0] < costs[1]


def test_wrong_pairs_are_of_another_species():
    species = torch.tensor([0, 0, 1, 2, 2, 2, 0, 1])
    chosen = torch.stack([mismatched(species, torch.Generator().manual_seed(seed)) for seed in range(200)])
    assert (species[chosen] != species).all()
    for k in range(len(species)):  # and any of them can be drawn
        assert set(chosen[:, k].tolist()) == set((species != species[k]).nonzero()[:, 0].tolist())


def test_wrong_pairs_of_a_batch_of_one_species_are_other_pictures():
    chosen = torch.stack([mismatched(torch.zeros(4).long(), torch.Generator().manual_seed(s)) for s in range(50)])
    assert (chosen != torch.arange(4)).all()
    assert mismatched(torch.tensor([3, 3]), torch.Generator()).tolist() == [1, 0]


def augmented(policy, seed=0, pictures=None):
    return diff_augment(pictures, policy, torch.Generator().manual_seed(seed))


def test_no_policy_changes_nothing():
    pictures = [toy()[0]["8"]]
    assert torch.equal(augmented((), pictures=pictures)[0], pictures[0])


@pytest.mark.parametrize("policy", [("translation",), ("cutout",), ("translation", "cutout")])
def test_real_and_painted_pictures_get_the_same_draws(policy):
    pictures = toy()[0]["16"]
    one, other = augmented(policy, pictures=[pictures, pictures.clone()])
    assert torch.equal(one, other)
    assert one.shape == pictures.shape
    assert not torch.equal(one, pictures)
    assert torch.equal(one, augmented(policy, pictures=[pictures])[0])
    assert not torch.equal(one, augmented(policy, seed=1, pictures=[pictures])[0])


def test_translation_shifts_by_at_most_an_eighth():
    # A picture whose pixels tell their own place: what is left of it must be a shifted copy, with zeros moved in.
    resolution, n = 16, 64
    rows, columns = torch.meshgrid(torch.arange(resolution), torch.arange(resolution), indexing="ij")
    picture = torch.stack([rows + 1.0, columns + 1.0, torch.ones(resolution, resolution)]).expand(n, 3, -1, -1)
    (moved,) = augmented(("translation",), pictures=[picture])
    seen = set()
    for one in moved:
        inside = one[2] == 1
        down = (one[0] - picture[0, 0])[inside].unique()
        right = (one[1] - picture[0, 1])[inside].unique()
        assert len(down) == len(right) == 1
        seen.add((int(down), int(right)))
        assert (one[:, ~inside] == 0).all()
        assert int(inside.sum()) == (resolution - abs(int(down))) * (resolution - abs(int(right)))
    assert {d for d, _ in seen} == {r for _, r in seen} == {-2, -1, 0, 1, 2}


def test_cutout_blanks_a_square_and_leaves_the_rest():
    pictures = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) + 1
    (cut,) = augmented(("cutout",), pictures=[pictures])
    blank = (cut == 0).all(1)
    assert torch.equal(cut, pictures * ~blank[:, None])
    shares = blank.float().mean((1, 2))
    assert (shares > 0).all()
    assert shares.max() <= 0.25  # a square of half the resolution at most
    for one in blank:
        rows, columns = one.any(1), one.any(0)
        assert int(one.sum()) == int(rows.sum()) * int(columns.sum())


def test_gradients_flow_through_augmentation():
    pictures = torch.ones(8, 3, 16, 16, requires_grad=True)
    (moved,) = augmented(("translation", "cutout"), pictures=[pictures])
    moved.sum().backward()
    assert pictures.grad is not None
    # every pixel that is still to be seen counts once
    assert pictures.grad.sum().item() == pytest.approx(moved.sum().item())
    assert set(pictures.grad.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("kind", ["r1", "ma-gp"])
def test_penalties_flatten_the_discriminator(kind):
    def steepness(opponent):
        real, _, sentence, _ = toy()
        x, s = real["8"].clone().requires_grad_(), sentence.clone().requires_grad_()
        network = opponent.networks["8"].eval()
        logits = network(x, s)
        inputs = torch.autograd.grad((logits.conditional + logits.unconditional).sum(), [x])
        return float(inputs[0].flatten(1).norm(dim=1).mean())

    plain = adversary(resolutions=(8,))
    penalised = adversary(resolutions=(8,), penalty=Penalty(kind, weight=3000.0, every=1))
    train(plain, 40)
    train(penalised, 40)
    assert steepness(penalised) < 0.9 * steepness(plain)


def test_penalty_comes_every_so_many_steps_and_is_not_logged_as_loss():
    calls = []
    opponent = adversary(resolutions=(8,), penalty=Penalty("r1", weight=1.0, every=4))
    own = opponent._penalty

    def counted(*arguments):
        calls.append(opponent.steps)
        return own(*arguments)

    opponent._penalty = counted
    values = train(opponent, 9)
    assert calls == [0, 4, 8]
    assert values[0]["discriminator/8"] == train(adversary(resolutions=(8,)), 1)[0]["discriminator/8"]


@pytest.mark.parametrize("penalty", [Penalty(), Penalty("r1", every=2)])
def test_a_restored_adversary_takes_the_same_next_step(penalty, tmp_path):
    # In channels-last, as training has them: fused optimizers need moments that lie in memory as their weights do.
    first, second = (adversary(seed=seed, policy=("translation", "cutout"), penalty=penalty) for seed in (0, 7))
    for opponent in (first, second):
        opponent.networks.to(memory_format=torch.channels_last)
    train(first, 3)
    checkpoint.save(tmp_path / "x.safetensors", first.state_dict(), {"kind": "adversary"})
    second.load_state_dict(checkpoint.load(tmp_path / "x.safetensors", "adversary")[0])
    assert second.steps == 3
    ours, theirs = train(first, 3, seed=9), train(second, 3, seed=9)
    assert ours == theirs
    for a, b in zip(first.networks.state_dict().values(), second.networks.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_learning_rate_of_all_optimizers_is_set():
    opponent = adversary()
    opponent.set_learning_rate(0.25)
    assert [group["lr"] for o in opponent.optimizers.values() for group in o.param_groups] == [0.25, 0.25]


def test_a_batch_in_parts_has_the_gradients_of_the_whole():
    """Up to spectral norm, whose power iteration goes one step further with each part."""
    real, fake, sentence, species = toy()
    gradients, values = [], []
    for parts in (1, 4):
        torch.manual_seed(0)
        networks = {"8": Discriminator(resolution=8, width=4, max_width=16, dimension=WIDTH, spectral=False)}
        settings = {"betas": (0.0, 0.99), "loss": "bce", "policy": (), "penalty": Penalty()}
        opponent = Adversary(networks, learning_rate=2e-3, **settings)
        draws = torch.Generator().manual_seed(7)
        found = opponent.train(
            real, fake, sentence, species, contextlib.nullcontext, draws, fake_sentence=None, parts=parts
        )
        gradients.append([weight.grad for weight in networks["8"].parameters()])
        values.append({name: float(value) for name, value in found.items()})
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)
    assert values[1] == pytest.approx(values[0], rel=1e-5)
