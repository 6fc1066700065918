import asyncio
import io

import pytest

from s2i.app import guard
from s2i.app.guard import FORM_OVERHEAD, MAX_REQUEST_BYTES, Guard


def ask(path, body=b"", length=None, max_bytes=1000):
    """(status, headers, bytes that the application read) of a request."""
    seen, sent = {"read": 0}, []
    pieces = [body[k : k + 100] for k in range(0, len(body), 100)] or [b""]

    async def app(scope, receive, send):
        while True:
            part = await receive()
            seen["read"] += len(part["body"])
            if not part["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message):
        sent.append(message)

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    scope = {"type": "http", "path": path, "headers": headers}
    asyncio.run(Guard(app, max_bytes)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), seen["read"]


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


def test_addresses_are_not_fetched():
    processing_utils = pytest.importorskip("gradio.processing_utils")
    guard.forbid_fetching()
    with pytest.raises(ValueError, match="not fetched"):
        asyncio.run(processing_utils.async_ssrf_protected_download("http://127.0.0.1/", "/tmp"))


def test_equal_uploads_have_names_of_their_own():
    route_utils = pytest.importorskip("gradio.route_utils")
    for _ in range(2):  # to say it twice is to say it once
        guard.tell_uploads_apart()
    names = set()
    for _ in range(3):
        upload = route_utils.GradioUploadFile(io.BytesIO(b"bird"), size=4, filename="bird.wav")
        upload.sha.update(b"bird")
        names.add(upload.sha.hexdigest())
    assert len(names) == 3
