import time

import pytest

from s2i.app.limits import Budget, client_of


@pytest.fixture
def clock(monkeypatch):
    """A list whose one number is the time."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_what_is_spent_comes_back_after_the_window(clock):
    budget = Budget(10, 100, 60)
    budget.spend("a", 6)
    clock[0] += 20
    budget.spend("a", 4)
    assert budget.wait("a", 1) == pytest.approx(40)
    assert budget.wait("a", 7) == pytest.approx(60)
    assert budget.wait("b", 10) == 0
    clock[0] += 40
    assert budget.wait("a", 6) == 0
    assert budget.wait("a", 7) == pytest.approx(20)


def test_all_together_have_a_limit_too(clock):
    budget = Budget(10, 25, 60)
    for client in ("a", "b"):
        budget.spend(client, 10)
    assert budget.wait("c", 5) == 0
    assert budget.wait("c", 6) == pytest.approx(60)


def test_what_never_fits_waits_a_whole_window(clock):
    assert Budget(10, 25, 60).wait("a", 11) == 60


def test_a_refund_is_as_if_nothing_had_been_spent(clock):
    budget = Budget(1, 5, 60)
    budget.spend("a", 1)
    budget.refund("a", 1)
    budget.refund("a", 1)
    assert budget.wait("a", 1) == 0
    clock[0] += 100
    budget.spend("a", 1)
    assert budget.wait("a", 1) > 0


def test_a_network_of_version_6_is_one_client():
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:2")
    assert client_of("2001:db8::1") != client_of("2001:db8:0:1::1")
    assert client_of("192.0.2.1") != client_of("192.0.2.2")
    assert client_of("") == ""
