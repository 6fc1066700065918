from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from attngan.networks.condition import Condition
from attngan.networks.image_encoder import ImageEncoder, ScratchTrunk
from attngan.networks.trunks import TimmTrunk
from attngan.runtime import checkpoint
from attngan.runtime.machine import make_fabric
from attngan.training.gan_config import GanConfig
from attngan.training.gan_job import GanJob
from attngan.training.gan_networks import TEXTURE
from datasets.errors import InputError
from datasets.loader import Batch, to_unit

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


def birds(resolution=16):
    pictures = torch.randint(
        0, 256, (8, 3, resolution, resolution), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )
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


def test_a_part_has_whole_pairs():
    with pytest.raises(InputError, match="--batch-size 8: cannot be shared by 1 processes in 3 parts"):
        job_of(accumulate=3)


def test_close_ups_of_the_last_stage_are_judged_beside_those_of_photographs():
    job = job_of(texture_width=4, base=32)
    assert job.config.close_up == 32
    batch = birds(64)
    batch.close_ups = batch.pictures[:, :, :32, 32:]
    seen = []
    job.discriminators[TEXTURE].trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    values = job.step(batch, 0)
    assert values["accuracy_real/texture"] >= 0
    learning, judging = seen
    assert torch.equal(learning[:8], to_unit(batch.close_ups))
    assert learning.shape == (16, 3, 32, 32)
    assert judging.shape == (8, 3, 32, 32)
    assert not torch.equal(learning[8:], judging)  # another place of the same paintings
    assert job.generator.heads[1].weight.grad.abs().sum() > 0
    with pytest.raises(AssertionError, match="not asked for close-ups"):
        job.step(birds(64), 0)
    with pytest.raises(InputError, match=r"--texture-width: .* 32 px"):
        replace(CONFIG, texture_width=4)


def numbered(state):
    """The state of a job as checkpoints had it when discriminators were keyed by stage."""
    numbers = {"32": "0", "64": "1", "features": "-1", "texture": "-2"}

    def renamed(content):
        return {f"{numbers[(parts := name.partition('.'))[0]]}{''.join(parts[1:])}": v for name, v in content.items()}

    adversary = state["adversary"]
    parts = {part: renamed(adversary[part]) for part in ("networks", "optimizers")}
    return {**state, "adversary": {**adversary, **parts}}


def test_a_checkpoint_that_numbers_its_discriminators_goes_on_to_the_same_digits(tmp_path):
    jobs = [job_of(texture_width=4, base=32) for _ in range(2)]
    batch = birds(64)
    batch.close_ups = batch.pictures[:, :, :32, 32:]
    jobs[0].step(batch, 0)
    state = numbered(jobs[0].state())
    assert {name.partition(".")[0] for name in state["adversary"]["networks"]} == {"0", "1", "-1", "-2"}
    checkpoint.save(tmp_path / "old.safetensors", state, {"kind": "gan"})
    jobs[1].restore(checkpoint.load(tmp_path / "old.safetensors", "gan")[0])
    values = [{name: float(value) for name, value in job.step(batch, 8).items()} for job in jobs]
    assert values[0] == values[1]
    assert {name.split("/")[1] for name in values[0] if name.startswith("accuracy_real")} == {
        "32",
        "64",
        "features",
        "texture",
    }


def test_during_the_warm_up_the_discriminators_alone_learn():
    job = job_of(discriminator_warmup=16)
    painter = [weight.detach().clone() for weight in job.generator.parameters()]
    judges = [weight.detach().clone() for weight in job.adversary.networks.parameters()]
    assert not any(name.startswith("generator") for name in job.step(birds(), 8))
    assert all(torch.equal(*pair) for pair in zip(painter, job.generator.parameters(), strict=True))
    assert not all(torch.equal(*pair) for pair in zip(judges, job.adversary.networks.parameters(), strict=True))
    assert "generator/damsm" in job.step(birds(), 16)
    assert not all(torch.equal(*pair) for pair in zip(painter, job.generator.parameters(), strict=True))


def through_timm(**changes):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    trunk = TimmTrunk(timm.create_model("tf_efficientnet_lite0", pretrained=False), size=64)
    image = ImageEncoder(trunk).eval().requires_grad_(False)
    config = replace(CONFIG, feature_size=64, base=16, stages=1, **changes)
    return GanJob(config, image, SimpleNamespace(encode=encode), make_fabric("32-true"), GAMMAS)


@pytest.mark.parametrize("kind", ["projected", "joint"])
def test_painted_pictures_are_looked_at_once_for_discriminator_and_damsm(kind):
    job = through_timm(feature_discriminator=kind)
    looks = []
    trunk = job.image.trunk
    look = trunk._look
    trunk._look = lambda pictures: looks.append(pictures.shape[0]) or look(pictures)
    values = job.step(birds(16), 0)
    assert looks == [16, 8]  # the discriminator's real and painted ones, the generator's
    assert float(values["generator/damsm"]) > 0
    assert job.generator.heads[0].weight.grad.abs().sum() > 0


def test_variety_may_be_asked_for_in_features():
    values = {kind: through_timm(diversity_of=kind).step(birds(16), 0) for kind in ("pixels", "features")}
    assert values["pixels"]["generator/alike"] != values["features"]["generator/alike"]
    assert values["pixels"]["generator/damsm"] == values["features"]["generator/damsm"]


def test_pixels_need_not_be_judged_but_something_must():
    job = through_timm(pixel_discriminators=False)
    assert list(job.discriminators) == ["features"]
    assert "accuracy_fake/features" in job.step(birds(16), 0)
    with pytest.raises(InputError, match="--feature-width 0: nothing is left to judge"):
        replace(CONFIG, pixel_discriminators=False, feature_width=0)
