"""What the page refuses before gradio reads it, and what it forbids browsers to load."""

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from s2i.app.recording import MAX_BYTES

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FORM_OVERHEAD = 64 * 1024  # of a form around an upload
MAX_REQUEST_BYTES = 2**20  # bytes of any other request
UPLOAD = "/gradio_api/upload"
# All that the page and gradio's clients need; the rest of gradio's routes is for things that this page has not.
PATHS = (
    "", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/login", "/logout", "/login_check",
)  # fmt: skip
API = (
    "upload", "upload_progress", "queue/join", "queue/data", "info", "openapi.json", "startup-events", "app_id",
    "token", "user", "login_check", "cancel", "reset", "theme.css", "run/predict",
)  # fmt: skip
PREFIXES = ("/assets/", "/static/", "/svelte/", "/gradio_api/file=", "/gradio_api/call/", "/gradio_api/heartbeat/")
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # gradio's pages are made of such scripts
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"microphone=(self), camera=(), geolocation=()"),
]


class TooLarge(Exception):
    """A request went on beyond its limit."""


class Guard:
    """Middleware (ASGI) around gradio's application: known routes only, limits of size, headers.

    Args:
        app: what it guards.
        max_bytes: of an upload.
    """

    def __init__(self, app: Any, max_bytes: int = MAX_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request; the refused ones are answered without being read."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = scope["path"].rstrip("/")
        if not allowed(path):
            return await _refuse(send, 404, "there is no such page")
        limit = self._max_bytes + FORM_OVERHEAD if path == UPLOAD else MAX_REQUEST_BYTES
        message = f"too large: give a recording of at most {self._max_bytes // 2**20} MB"
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            return await _refuse(send, 413, message)
        started, read = False, 0

        async def counted() -> Message:
            nonlocal read
            part = await receive()
            read += len(part.get("body", b""))
            if read > limit:  # its length was not told, or not truly
                raise TooLarge
            return part

        async def with_headers(part: Message) -> None:
            nonlocal started
            if part["type"] == "http.response.start":
                started = True
                part = {**part, "headers": [*part.get("headers", []), *HEADERS]}
            await send(part)

        try:
            await self._app(scope, counted, with_headers)
        except TooLarge:
            if not started:
                await _refuse(send, 413, message)


def allowed(path: str) -> bool:
    """Whether a path (without a slash at its end) is one that the page needs."""
    if "/../" in f"{path}/" or "\0" in path or "\\" in path:
        return False
    return path in PATHS or path.removeprefix("/gradio_api/") in API or path.startswith(PREFIXES)


async def _refuse(send: Send, code: int, message: str) -> None:
    body = json.dumps({"detail": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": code, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def forbid_fetching() -> None:
    """Keep gradio from fetching the address that a caller may give in place of an uploaded file."""
    from gradio import processing_utils

    async def refuse(url: str, cache_dir: str) -> str:
        raise ValueError("addresses are not fetched; upload the recording itself")

    processing_utils.async_ssrf_protected_download = refuse


def tell_uploads_apart() -> None:
    """Keep gradio from filing equal uploads of two people under one name, as each removes their own after use."""
    from gradio import route_utils

    kind: Any = route_utils.GradioUploadFile
    if hasattr(kind, "plain_init"):
        return
    kind.plain_init = kind.__init__

    def init(upload: Any, *arguments: Any, **named: Any) -> None:
        upload.plain_init(*arguments, **named)
        upload.sha.update(secrets.token_bytes(16))

    kind.__init__ = init
