import asyncio

import pytest

pytest.importorskip("gradio", reason="gradio is not installed; run: pip install -r requirements.txt")

from s2i.app import guard
from s2i.app.guard import FORM_OVERHEAD, MAX_REQUEST_BYTES, Guard
from s2i.app.hosts import Hosts


class Asked:
    """A guarded application that reads everything and answers 200, or what it is told to."""

    def __init__(self, max_bytes=1000, signed_in=None):
        self.read, self.status, self.sent = 0, 200, []
        self.guard = Guard(self.app, Hosts(), signed_in, max_bytes)

    async def app(self, scope, receive, send):
        while True:
            part = await receive()
            self.read += len(part["body"])
            if not part["more_body"]:
                break
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def __call__(self, path, body=b"", length=None, method="GET", client="10.0.0.1", **headers):
        """(status, headers) of a request."""
        pieces, sent = [body[k : k + 100] for k in range(0, len(body), 100)] or [b""], []

        async def receive():
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message):
            sent.append(message)

        headers = {"host": "localhost:7860", **({} if length is None else {"content-length": length}), **headers}
        raw = [(name.encode(), str(value).encode()) for name, value in headers.items()]
        scope = {"type": "http", "path": path, "headers": raw, "method": method, "client": (client, 1)}
        asyncio.run(self.guard(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"])


def ask(path, body=b"", length=None, **options):
    """(status, headers, bytes that the application read) of a request."""
    asked = Asked()
    return *asked(path, body, length, **options), asked.read


def test_what_is_too_large_is_refused_before_it_is_read():
    assert ask("/gradio_api/upload", b"x" * 500, length=100 * 2**20)[::2] == (413, 0)
    assert ask("/gradio_api/queue/join", b"{}", length=MAX_REQUEST_BYTES + 1)[::2] == (413, 0)
    assert ask("/gradio_api/upload", b"x" * 500, length="many")[::2] == (413, 0)
    assert ask("/gradio_api/upload", b"x" * 500, length=500)[::2] == (200, 500)


def test_a_length_that_is_not_told_is_counted():
    code, _, read = ask("/gradio_api/upload", b"x" * (FORM_OVERHEAD + 5000))
    assert code == 413
    assert read <= FORM_OVERHEAD + 1000


def test_answers_forbid_other_hosts():
    headers = ask("/")[1]
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=http://example.com", "/gradio_api/component_server", "/gradio_api/run-history/records",
        "/monitoring", "/gradio_api/process_recording", "/gradio_api/dev/reload", "/gradio_api/vibe-edit", "/docs",
        "/assets/../../etc/passwd", "/static/..", "/gradio_api/file=/tmp/../etc/passwd", "/assets/a\0b", "/etc/passwd",
        "/gradio_api/run/paint", "/gradio_api/file/etc/passwd",
        "/gradio_api/stream/x", "/gradio_api/deep_link", "/upload",
    ],
)  # fmt: skip
def test_what_the_page_does_not_need_is_not_there(path):
    assert ask(path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/upload", "/gradio_api/queue/join", "/assets/index.js"])
def test_what_the_page_needs_is_there(path):
    assert ask(path)[0] == 200


def test_a_client_has_a_quota_of_uploads_and_so_have_all_together(monkeypatch):
    monkeypatch.setattr(guard, "CLIENT_BYTES", 4 * FORM_OVERHEAD)
    monkeypatch.setattr(guard, "TOTAL_BYTES", 6 * FORM_OVERHEAD)
    asked = Asked(max_bytes=2**20)

    def upload(client, length=100):
        return asked("/gradio_api/upload", length=length, method="POST", client=client)[0]

    assert [upload("10.0.0.1") for _ in range(5)] == [200] * 4 + [429]  # small ones count as a form
    assert [upload("10.0.0.2", 2 * FORM_OVERHEAD + k) for k in (1, 0)] == [429, 200]
    assert upload("10.0.0.3") == 429
    assert asked("/config")[0] == 200


def test_an_upload_of_unknown_length_counts_as_the_largest(monkeypatch):
    monkeypatch.setattr(guard, "CLIENT_BYTES", 3 * FORM_OVERHEAD)
    asked = Asked(max_bytes=FORM_OVERHEAD)
    assert [asked("/gradio_api/upload", method="POST")[0] for _ in range(2)] == [200, 429]


def test_wrong_passwords_are_few_and_right_ones_do_not_count():
    asked = Asked()

    def sign_in(status, client="10.0.0.1"):
        asked.status = status
        return asked("/login", method="POST", client=client)[0]

    assert [sign_in(200) for _ in range(20)] == [200] * 20
    codes = [sign_in(400) for _ in range(guard.CLIENT_GUESSES + 1)]
    assert codes == [400] * guard.CLIENT_GUESSES + [429]
    assert sign_in(200) == 429
    assert sign_in(200, "10.0.0.2") == 200
    assert int(asked("/login", method="POST")[1][b"retry-after"]) <= 60


def test_what_is_not_public_needs_the_password():
    asked = Asked(signed_in=lambda cookies: cookies.get("token") == "right")
    for path in (
        "/config",
        "/gradio_api/heartbeat/x",
        "/gradio_api/cancel",
        "/gradio_api/reset",
        "/gradio_api/file=/x",
    ):
        assert asked(path)[0] == 401
        assert asked(path, cookie="token=wrong")[0] == 401
        assert asked(path, cookie="other=1; token=right")[0] == 200
    for path in ("/", "/login", "/assets/index.js", "/theme.css"):
        assert asked(path)[0] == 200
