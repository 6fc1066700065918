import socket

import pytest

pytest.importorskip("starlette", reason="gradio is not installed; run: pip install -r requirements.txt")
from starlette.exceptions import HTTPException

from s2i.app.hosts import Hosts


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1", "127.0.0.1:7860", "[::1]:7860", "[::1]"])
def test_a_local_page_is_known_by_the_names_of_this_machine(host):
    assert host in Hosts()
    assert host in Hosts(local=False)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "a@localhost", "localhost/x", "[::1", "", "127.0.0.1.evil.example"],
)
def test_other_names_are_unknown(host):
    assert host not in Hosts()
    assert host not in Hosts("birds.example", local=False)


def test_addresses_of_others_are_known_only_where_others_may_come():
    assert "192.168.0.7:7860" not in Hosts()
    assert "192.168.0.7:7860" in Hosts(local=False)
    assert f"{socket.gethostname()}:7860" in Hosts(local=False)
    assert "birds.example" in Hosts("Birds.example")


def check(hosts=None, **headers):
    """The status by which a request is refused, or None."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    try:
        (hosts or Hosts()).check({"headers": raw, "method": "POST"})
    except HTTPException as refusal:
        return refusal.status_code


def test_only_pages_of_the_same_host_and_port_may_ask():
    assert check(host="localhost:7860") is None
    assert check(host="localhost:7860", origin="http://localhost:7860") is None
    for origin in ("http://localhost:7861", "http://localhost", "http://evil.example", "null", "http://[", ""):
        assert check(host="localhost:7860", origin=origin) == 403
    assert check(host="localhost:7860", sec_fetch_site="cross-site") == 403


def test_a_proxy_may_name_the_page_as_it_was_told():
    hosts = Hosts("birds.example")
    assert check(hosts, host="127.0.0.1:7860", origin="https://birds.example") is None
    assert check(hosts, host="127.0.0.1:7860", x_forwarded_host="birds.example", origin="https://birds.example") is None
    assert check(hosts, host="birds.example", x_forwarded_host="evil.example") == 400
    assert check(host="127.0.0.1:7860", origin="https://birds.example") == 403


def test_a_request_has_one_host():
    assert check() == 400
