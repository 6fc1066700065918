from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from attngan.condition import Condition
from attngan.gan_config import GanConfig
from attngan.gan_job import GanJob, together
from attngan.image_encoder import ImageEncoder, ScratchTrunk
from attngan.runtime import make_fabric
from datasets.errors import InputError
from datasets.loader import Batch

CONFIG = GanConfig(
    stages=2,
    base=8,
    widths=(4,),
    blocks=(1,),
    max_width=8,
    discriminator_widths=(4,),
    discriminator_max_width=8,
    feature_width=4,
    batch_size=8,
    augmentation=(),
    precision="32-true",
    spectral=False,
)
GAMMAS = {"gamma1": 4.0, "gamma2": 5.0, "gamma3": 10.0}


def encode(batch):
    draws = torch.Generator().manual_seed(1)
    count = len(batch)
    return Condition(
        torch.randn(8, 256, generator=draws)[:count],
        torch.randn(8, 256, 3, generator=draws)[:count],
        torch.ones(count, 3, dtype=torch.bool),
    )


def job_of(**changes):
    torch.manual_seed(0)
    image = ImageEncoder(ScratchTrunk(size=32, width=4, blocks=(1, 1, 1, 1))).eval().requires_grad_(False)
    return GanJob(replace(CONFIG, **changes), image, SimpleNamespace(encode=encode), make_fabric("32-true"), GAMMAS)


def birds():
    pictures = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    return Batch(torch.arange(8), torch.arange(8) % 4, pictures)


def test_in_parts_the_discriminators_learn_as_in_one_and_the_generator_nearly():
    """Batch norm sees a part at a time; discriminators have none, and judge pictures painted so."""
    jobs = [job_of(), job_of(accumulate=2)]
    values = [job.step(birds(), 0) for job in jobs]
    assert list(values[0]) == list(values[1])
    for name, value in values[0].items():
        if name != "generator/damsm":  # where a picture is told from the others of its part alone
            assert float(values[1][name]) == pytest.approx(float(value), rel=0.2, abs=0.5), name
    for weight, other in zip(*[job.generator.parameters() for job in jobs], strict=True):
        assert (weight - other).abs().max() < 1e-3  # Adam's first step is one learning rate long


def test_parts_are_put_together_in_the_order_of_the_batch():
    rows = [torch.tensor([0, 2]).numpy(), torch.tensor([1, 3]).numpy()]
    (whole,) = together([[torch.tensor([0.0, 2.0])], [torch.tensor([1.0, 3.0])]], rows)
    assert whole.tolist() == [0, 1, 2, 3]


def test_a_part_has_whole_pairs():
    with pytest.raises(InputError, match="--batch-size 8: cannot be shared by 1 processes in 3 parts"):
        job_of(accumulate=3)


def test_during_the_warm_up_the_discriminators_alone_learn():
    job = job_of(warm_up=16)
    painter = [weight.detach().clone() for weight in job.generator.parameters()]
    judges = [weight.detach().clone() for weight in job.adversary.networks.parameters()]
    assert not any(name.startswith("generator") for name in job.step(birds(), 8))
    assert all(torch.equal(*pair) for pair in zip(painter, job.generator.parameters(), strict=True))
    assert not all(torch.equal(*pair) for pair in zip(judges, job.adversary.networks.parameters(), strict=True))
    assert "generator/damsm" in job.step(birds(), 16)
    assert not all(torch.equal(*pair) for pair in zip(painter, job.generator.parameters(), strict=True))
