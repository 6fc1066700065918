"""What the optimisation of every training shares: averaged weights and the learning rate's course."""

import copy
import math

import torch
from torch import nn


class Ema(nn.Module):
    """A running average of a network's weights, with its buffers (batch-norm statistics) averaged as well.

    The half-life is counted in pictures and grows with the run, so that the start is soon forgotten (EDM2, section 3).
    """

    def __init__(self, network: nn.Module, *, half_life: float, ramp: float = 0.1) -> None:
        super().__init__()
        self.half_life, self.ramp = half_life, ramp
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, position: int, batch_size: int) -> None:
        """Average in `network`, which has seen `position` pictures, after a step of `batch_size`."""
        half_life = max(1.0, min(self.half_life, position * self.ramp))
        decay = 0.5 ** (batch_size / half_life)
        averaged, current = list(self.network.state_dict().values()), list(network.state_dict().values())
        moving = [(a, c.detach()) for a, c in zip(averaged, current, strict=True) if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in moving], [c for _, c in moving], 1 - decay)
        for a, c in zip(averaged, current, strict=True):
            if not a.is_floating_point():
                a.copy_(c)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Of all weights of an optimizer."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate(position: int, total: int, *, warm_up: int = 0, final: float = 0.0, flat: float = 0.0) -> float:
    """Factor of the learning rate: linear warm-up, 1 for the share `flat` of the run, then a cosine down to `final`."""
    if position < warm_up:
        return (position + 1) / warm_up
    done = min(1.0, max(0.0, (position / max(1, total) - flat) / max(1e-9, 1 - flat)))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))
