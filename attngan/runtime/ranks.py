"""Several processes that train one model: each works on its share of every batch, and all keep the same weights.

What is drawn at random is drawn for the whole batch by every process, which then takes its rows; batch norm and the
losses that compare captions with each other see the whole batch. So a run gives the same losses on any number of
processes. Gradients are averaged by one all-reduce after the backward pass instead of by DistributedDataParallel's
hooks: those want every pass to go through `forward`, and the same weights to need gradients in each, while the
discriminators are called by their parts, and need none while the generator learns.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.loader import rows_of_share


def launched() -> int:
    """How many processes torchrun started for this command; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank_here() -> int:
    """The number of this process among those."""
    return int(os.environ.get("RANK", "0")) if launched() > 1 else 0


def _leave() -> None:
    """Leave the other processes: the threads of a group that is still open when Python ends abort the process."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Ranks:
    """This process, number `rank` of `world` that train together. One process alone does nothing of what follows."""

    def __init__(self, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world
        if world > 1:
            atexit.register(_leave)

    @property
    def main(self) -> bool:
        """Whether this is the one process that writes files."""
        return self.rank == 0

    def check_batch(self, batch_size: int, parts: int = 1) -> None:
        """Raise `InputError` unless a batch can be shared out, and each share be worked through in equal `parts`."""
        unit = 2 * self.world * parts
        if self.world * parts > 1 and batch_size % unit:
            raise InputError(
                f"--batch-size {batch_size}: cannot be shared by {self.world} processes in {parts} parts each; "
                f"give a multiple of {unit}"
            )

    def share(self, whole: Tensor, dim: int = 0) -> Tensor:
        """The rows along `dim` of what belongs to a whole batch that are this process's."""
        if self.world == 1:
            return whole
        rows = rows_of_share(whole.shape[dim], self.rank, self.world)
        return whole.index_select(dim, torch.from_numpy(rows).to(whole.device))

    def gather(self, mine: Tensor) -> Tensor:
        """The whole batch, in its order, of which every process has its rows; gradients flow back to where they came
        from. Where a last dimension differs, as the words of captions do, the shorter ones get zeros.
        """
        if self.world == 1:
            return mine
        longest = torch.tensor(mine.shape[-1], device=mine.device)
        self._talk(lambda: dist.all_reduce(longest, dist.ReduceOp.MAX))
        if mine.dim() > 1 and mine.shape[-1] < int(longest):
            mine = nn.functional.pad(mine, (0, int(longest) - mine.shape[-1]))
        kind = mine.dtype
        gathered = _Gather.apply(mine.float() if kind.is_floating_point else mine.long(), self).to(kind)
        order = [rows_of_share(len(gathered), rank, self.world) for rank in range(self.world)]
        return gathered[torch.cat([torch.from_numpy(rows) for rows in order]).argsort().to(mine.device)]

    def sum(self, value: Tensor) -> Tensor:
        """The sum over processes, through which gradients flow."""
        return value if self.world == 1 else _Sum.apply(value, self)

    def mean(self, values: dict[str, Tensor]) -> dict[str, float]:
        """Scalars averaged over processes, for the log."""
        if self.world == 1:
            return {name: float(value.detach()) for name, value in values.items()}
        total = torch.stack([value.detach().float() for value in values.values()])
        self._talk(lambda: dist.all_reduce(total))
        return dict(zip(values, (total / self.world).tolist(), strict=True))

    def any(self, here: bool) -> bool:
        """Whether it is so in one of the processes at least."""
        if self.world == 1:
            return here
        count = torch.tensor(float(here), device="cuda" if dist.get_backend() == "nccl" else "cpu")
        self._talk(lambda: dist.all_reduce(count))
        return bool(count > 0)

    def average_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of the gradients that each got of its own share."""
        if self.world == 1:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        self._talk(lambda: dist.all_reduce(flat))
        flat /= self.world
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def collect(self, numbered: dict[int, Any]) -> list[Any]:
        """What the processes have under different numbers, on the CPU, in the order of the numbers."""
        parts: list[Any] = [numbered]
        if self.world > 1:
            parts = [None] * self.world
            self._talk(lambda: dist.all_gather_object(parts, numbered))
        values = {number: value for part in parts for number, value in part.items()}
        return [values[number] for number in sorted(values)]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            self._talk(dist.barrier)

    def check_alike(self, state: Any) -> None:
        """Raise `InputError` if the tensors of a state are not the same in every process."""
        if self.world > 1:
            sums = self.collect({self.rank: [float(tensor.double().sum()) for tensor in _tensors(state)]})
            if any(other != sums[0] for other in sums):
                raise InputError("the processes no longer hold the same weights; go on from the last checkpoint")

    def _talk(self, action: Callable[[], Any]) -> None:
        with self._hearing():
            action()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Tell in one line that another process is gone."""
        try:
            yield
        except RuntimeError as error:
            raise InputError(
                f"process {self.rank + 1} of {self.world} lost the others ({str(error).splitlines()[0][:80]}); "
                "the same command goes on from the last checkpoint"
            ) from error


ALONE = Ranks()


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict):
        for value in state.values():
            yield from _tensors(value)


class _Gather(torch.autograd.Function):
    """All processes' tensors one after the other; backwards, what all of them found out about this one's."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, ctx.count = ranks, len(mine)
        parts = [torch.empty_like(mine, memory_format=torch.contiguous_format) for _ in range(ranks.world)]
        ranks._talk(lambda: dist.all_gather(parts, mine.contiguous()))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous()
        ctx.ranks._talk(lambda: dist.all_reduce(total))
        return total[ctx.ranks.rank * ctx.count :][: ctx.count], None


class _Sum(torch.autograd.Function):
    """The sum over processes, and of their gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks, total = ranks, value.clone()
        ranks._talk(lambda: dist.all_reduce(total))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone()
        ctx.ranks._talk(lambda: dist.all_reduce(total))
        return total, None


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batch of all processes; torch's own works on GPUs alone."""

    ranks: Ranks = ALONE

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # of any dimension

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        x, dims = input.float(), [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        world, count = self.ranks.world, x.numel() // x.shape[1] * self.ranks.world
        mean = self.ranks.sum(x.mean(dims)) / world
        centred = x - mean.view(shape)
        variance = self.ranks.sum(centred.square().mean(dims)) / world
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum or 0.0)
            self.running_var.lerp_(variance * count / max(1, count - 1), self.momentum or 0.0)
        y = centred * (variance + self.eps).rsqrt().view(shape)
        return (y * self.weight.view(shape) + self.bias.view(shape)).to(input.dtype)


def share_batch_norms(network: nn.Module, ranks: Ranks, device: torch.device) -> None:
    """Make the batch norms inside of a network see the batch of all processes; weights and their names stay."""
    if ranks.world == 1:
        return
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return
    for name, child in network.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            shared.ranks = ranks
            setattr(network, name, shared.train(child.training))
        else:
            share_batch_norms(child, ranks, device)
