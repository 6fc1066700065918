"""From where the page may be asked: the hosts that name it, and pages of its own origin."""

import ipaddress
import re
import socket
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")


class Hosts:
    """The names by which the page is known.

    A page of another site whose name is made to lead here (DNS rebinding) would be of our origin to a browser; its
    name tells it apart. An address in numbers leads where it says, and may stand for this machine in any network.

    Args:
        name: of a proxy by which browsers reach the page, beside this machine's own names.
        local: whether only this machine can reach the page.
    """

    def __init__(self, name: str = "", *, local: bool = True) -> None:
        self._local = local
        self._proxy = name.lower()
        machine = () if local else (socket.gethostname().lower(), socket.getfqdn().lower())
        self._names = {"localhost", *machine, self._proxy} - {""}

    def __contains__(self, host: str) -> bool:
        """Whether `host`, as in a request (perhaps with a port), is the page."""
        match = HOST.fullmatch(host.lower())
        if not match:
            return False
        name = match[1].strip("[]")
        try:
            return name in self._names or ipaddress.ip_address(name).is_loopback or not self._local
        except ValueError:
            return False

    def check(self, scope: MutableMapping[str, Any]) -> None:
        """Check by what host a request (ASGI) names the page, and whether it comes from a page of that host.

        Raises:
            HTTPException: 400 if the host is another, 403 if the origin is.
        """
        hosts, forwarded = _values(scope, b"host"), _values(scope, b"x-forwarded-host")
        if len(hosts) != 1 or any(host not in self for host in hosts + forwarded):
            raise HTTPException(400, "this page is not known by that name; start it with --name NAME")
        origins = _values(scope, b"origin")
        if any(not self._is_own(origin, hosts + forwarded) for origin in origins):
            raise HTTPException(403, "pages of other sites may not ask")
        cross_site = "cross-site" in _values(scope, b"sec-fetch-site")
        if cross_site and scope["method"] not in ("GET", "HEAD"):  # links from elsewhere may lead here
            raise HTTPException(403, "pages of other sites may not ask")
        scope["headers"] = [header for header in scope["headers"] if header[0] != b"x-gradio-server"]

    def _is_own(self, origin: str, hosts: list[str]) -> bool:
        try:
            parts = urlsplit(origin)
            return parts.netloc in hosts or bool(parts.hostname and parts.hostname == self._proxy)
        except ValueError:
            return False


def _values(scope: MutableMapping[str, Any], name: bytes) -> list[str]:
    """The values of a header, of which a proxy may have given several in one."""
    lines = [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]
    return [part.strip() for line in lines for part in line.split(",")]
