"""How much one client, and all together, may do in a while."""

import ipaddress
import time
from collections import defaultdict, deque


class Budget:
    """Amounts that may be spent within a moving window of time.

    Args:
        each: of one client.
        total: of all clients together.
        seconds: length of the window.
    """

    def __init__(self, each: float, total: float, seconds: float) -> None:
        self._each, self._total, self._seconds = each, total, seconds
        self._spent: deque[tuple[float, str, float]] = deque()  # when, by whom, how much; oldest first
        self._sums: dict[str, float] = defaultdict(float)
        self._sum = 0.0

    def wait(self, client: str, amount: float) -> float:
        """Seconds until `client` may spend `amount`; 0 if at once."""
        now = time.monotonic()
        while self._spent and self._spent[0][0] <= now - self._seconds:
            self._forget(*self._spent.popleft()[1:])
        mine, everyone = self._sums[client] + amount - self._each, self._sum + amount - self._total
        if mine <= 0 and everyone <= 0:
            return 0.0
        for when, who, much in self._spent:
            mine, everyone = mine - much * (who == client), everyone - much
            if mine <= 0 and everyone <= 0:
                return when + self._seconds - now
        return self._seconds

    def spend(self, client: str, amount: float) -> None:
        """Note that `client` spends `amount` now."""
        self._spent.append((time.monotonic(), client, amount))
        self._sums[client] += amount
        self._sum += amount

    def refund(self, client: str, amount: float) -> None:
        """Take the last such spending back."""
        for entry in reversed(self._spent):
            if entry[1:] == (client, amount):
                self._spent.remove(entry)
                self._forget(client, amount)
                break

    def _forget(self, client: str, amount: float) -> None:
        self._sum -= amount
        self._sums[client] -= amount
        if self._sums[client] <= 0:
            del self._sums[client]


def client_of(address: str) -> str:
    """Who an IP address stands for: itself, or of version 6 the network of 64 bits that one customer is given."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if number.version == 4 else str(ipaddress.ip_network((number, 64), strict=False))
