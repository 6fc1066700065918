import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from attngan.runtime.ranks import ALONE, Ranks, SharedBatchNorm, share_batch_norms
from attngan.training import losses
from attngan.training.picture_batches import split_rows
from datasets.errors import InputError

REPOSITORY = Path(__file__).parents[3]
TWO = """
import torch, torch.distributed as dist
from torch import nn
from attngan.runtime.ranks import Ranks, share_batch_norms
dist.init_process_group("gloo")
ranks = Ranks(dist.get_rank(), 2)
torch.manual_seed(0)

# gather: the batch in its order, and each row's gradient is what all processes have to say about it
whole = torch.randn(8, 3, dtype=torch.float32)
mine = ranks.share(whole).requires_grad_()
together = ranks.gather(mine)
assert torch.equal(together.detach(), whole)
weights = torch.arange(24.0).view(8, 3)
((ranks.rank + 1) * weights * together).sum().backward()
assert torch.equal(mine.grad, ranks.share(3 * weights))  # 1 + 2
assert torch.equal(ranks.gather(ranks.share(torch.arange(8))), torch.arange(8))
assert ranks.gather(ranks.share(torch.arange(8) > 3)).dtype == torch.bool

# captions of unequal length are padded
words = torch.ones(2, 5, 3 + ranks.rank)
assert ranks.gather(words).shape == (4, 5, 4)
assert ranks.gather(words).sum() == 2 * 5 * 3 + 2 * 5 * 4

# batch norm over all: outputs, gradients and running statistics of the whole batch
def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2), nn.BatchNorm1d(2))
alone, shared = network(), network()
share_batch_norms(shared, ranks, torch.device("cpu"))
assert list(alone.state_dict()) == list(shared.state_dict())
pictures, aim = torch.randn(8, 3, 4, 4), torch.randn(8, 2)
(alone(pictures) * aim).mean().backward()
out = shared(ranks.share(pictures))
torch.testing.assert_close(ranks.gather(out), alone(pictures), rtol=1e-4, atol=1e-5)
network_again = network()
share_batch_norms(network_again, ranks, torch.device("cpu"))
(network_again(ranks.share(pictures)) * ranks.share(aim)).mean().backward()
ranks.average_gradients(network_again.parameters())
for a, b in zip(alone.parameters(), network_again.parameters()):
    torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-5)
once = network()
once(pictures)
for (name, a), b in zip(once.state_dict().items(), network_again.state_dict().values()):
    torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5, msg=name)
network_again.eval(), once.eval()
torch.testing.assert_close(network_again(pictures), once(pictures), rtol=1e-4, atol=1e-5)

# what is logged, what is collected, and weights that drift
assert ranks.mean({"a": torch.tensor(float(ranks.rank)), "b": torch.tensor(4.0)}) == {"a": 0.5, "b": 4.0}
assert ranks.collect({2 * number + ranks.rank: (ranks.rank, number) for number in range(2)}) == [
    (0, 0), (1, 0), (0, 1), (1, 1)
]
ranks.check_alike({"a": torch.ones(2), "b": {"c": torch.zeros(1)}})
try:
    ranks.check_alike({"a": torch.ones(2) + ranks.rank * 1e-6})
except Exception as error:
    assert "no longer hold the same weights" in str(error)
else:
    raise SystemExit("drift was not seen")
dist.destroy_process_group()
"""


def test_in_two_processes():
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    done = subprocess.run(
        [*command, sys.executable, "-c", TWO], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.replace(TWO, "the program above")[-6000:]


def test_one_process_alone_changes_nothing():
    x = torch.randn(4, 2, requires_grad=True)
    assert ALONE.share(x) is ALONE.gather(x) is ALONE.sum(x) is x
    assert ALONE.mean({"a": torch.tensor(2.0)}) == {"a": 2.0}
    assert ALONE.collect({1: "b", 0: "a"}) == ["a", "b"]
    network = nn.Sequential(nn.BatchNorm2d(2))
    share_batch_norms(network, ALONE, torch.device("cpu"))
    assert type(network[0]) is nn.BatchNorm2d
    ALONE.average_gradients(network.parameters())
    ALONE.check_alike({"a": x})
    ALONE.wait()
    ALONE.check_batch(3)


@pytest.mark.parametrize(("rows", "world"), [(8, 2), (16, 4), (12, 3), (8, 1)])
def test_shares_are_the_whole_and_never_overlap(rows, world):
    whole = torch.arange(rows)
    shares = [Ranks(rank, world).share(whole) for rank in range(world)]
    assert sorted(torch.cat(shares).tolist()) == whole.tolist()
    half = rows // 2
    for share in shares:  # what is painted twice lies in one process
        first, second = share.chunk(2)
        assert (second - first == half).all()


def test_parts_are_the_whole():
    assert split_rows(8, 1) == [slice(None)]
    assert sorted(row for part in split_rows(8, 2) for row in part) == list(range(8))


def test_a_batch_that_cannot_be_shared_is_refused():
    Ranks(0, 4).check_batch(16)
    Ranks(0, 2).check_batch(16, parts=4)
    with pytest.raises(InputError, match=r"--batch-size 12: cannot be shared by 4 processes .* multiple of 8"):
        Ranks(0, 4).check_batch(12)
    with pytest.raises(InputError, match="multiple of 16"):
        Ranks(0, 2).check_batch(24, parts=4)


def test_the_shares_of_the_words_loss_average_to_all_of_it():
    torch.manual_seed(0)
    words, regions = torch.randn(12, 6, 5), torch.randn(12, 6, 9)
    mask, species = torch.ones(12, 5, dtype=torch.bool), torch.arange(12)
    whole = losses.words_loss(words, mask, regions, species, group=4)
    for count in (2, 3, 5):  # with 5 some have no group at all
        shares = [losses.words_loss(words, mask, regions, species, group=4, share=(k, count)) for k in range(count)]
        assert torch.stack(shares).mean() == pytest.approx(float(whole), rel=1e-5)


def test_shared_batch_norm_is_batch_norm_where_there_is_one_process():
    plain, shared, x = nn.BatchNorm2d(3), SharedBatchNorm(3), torch.randn(4, 3, 5, 5) * 2 + 1
    torch.testing.assert_close(shared(x), plain(x), rtol=1e-4, atol=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert shared(x.bfloat16()).dtype == torch.bfloat16
