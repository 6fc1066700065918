import itertools
import math

import pytest
import torch
from torch import nn

from attngan.runtime.optimisation import Ema, learning_rate


def weight_of(average):
    return float(average.network.weight.detach())


def test_ema_by_hand():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = Ema(network, half_life=100, ramp=0.1)
    nn.init.constant_(network.weight, 1.0)
    average.update(network, position=10_000, batch_size=100)  # one half-life: half of the way
    assert weight_of(average) == pytest.approx(0.5)
    average.update(network, position=10_000, batch_size=100)
    assert weight_of(average) == pytest.approx(0.75)
    average.update(network, position=10_000, batch_size=50)  # 1 - 0.25 * sqrt(0.5)
    assert weight_of(average) == pytest.approx(1 - 0.25 * math.sqrt(0.5))


def test_ema_warms_up():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = Ema(network, half_life=1e6, ramp=0.1)
    nn.init.constant_(network.weight, 8.0)
    average.update(network, position=0, batch_size=32)  # the random start is forgotten at once
    assert weight_of(average) == pytest.approx(8.0, rel=1e-6)
    nn.init.constant_(network.weight, 0.0)
    average.update(network, position=320, batch_size=32)  # half-life 0.1 * 320 = 32 pictures
    assert weight_of(average) == pytest.approx(4.0, rel=1e-6)


def test_ema_covers_buffers_and_copies_counters():
    network = nn.BatchNorm1d(2)
    average = Ema(network, half_life=10)
    network.load_state_dict(
        {**network.state_dict(), "running_mean": torch.full((2,), 4.0), "num_batches_tracked": torch.tensor(9)}
    )
    average.update(network, position=10_000, batch_size=10)
    averaged = average.network.state_dict()
    assert averaged["running_mean"].tolist() == [2.0, 2.0]
    assert int(averaged["num_batches_tracked"]) == 9


def test_ema_stays_apart_from_the_network():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    average = Ema(network, half_life=10)
    nn.init.zeros_(network[0].weight)  # type: ignore[arg-type]
    assert average.network.state_dict()["0.weight"].abs().sum() > 0
    assert not average.network.training
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_learning_rate_by_hand():
    rate = learning_rate
    assert [rate(p, 100, warm_up=4) for p in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert rate(0, 100) == 1
    assert rate(50, 100) == pytest.approx(0.5)
    assert rate(100, 100) == pytest.approx(0)
    assert rate(100, 100, final=0.1) == pytest.approx(0.1)
    assert [rate(p, 100, flat=0.5, final=0.2) for p in (0, 25, 50)] == [1, 1, 1]
    assert rate(75, 100, flat=0.5, final=0.2) == pytest.approx(0.6)
    assert rate(10_000, 100, final=0.1) == pytest.approx(0.1)
    assert rate(100, 100, flat=1.0) == pytest.approx(1)


def test_learning_rate_never_rises_after_the_warm_up():
    rates = [learning_rate(p, 1000, warm_up=100, flat=0.3, final=0.02) for p in range(1001)]
    assert all(a <= b for a, b in itertools.pairwise(rates[:100]))
    assert all(a >= b for a, b in itertools.pairwise(rates[100:]))
    assert min(rates) > 0
    assert max(rates) == 1
