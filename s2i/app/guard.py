"""The middleware before gradio: which routes, hosts and origins are served, how much, and with which headers."""

import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

from s2i.app.hosts import Hosts
from s2i.app.limits import Budget, client_of
from s2i.app.recording import MAX_BYTES
from s2i.app.uploads import KEEP_SECONDS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FORM_OVERHEAD = 64 * 1024  # bytes of a form around an upload
MAX_REQUEST_BYTES = 2**20  # of any other request
CLIENT_BYTES, TOTAL_BYTES = 100 * 2**20, 500 * 2**20  # of uploads in the time that they are kept
CLIENT_GUESSES, TOTAL_GUESSES = 10, 60  # of the password in a minute
UPLOAD, LOGIN = "/gradio_api/upload", "/login"
# All that the page and gradio's clients need; the rest of gradio's routes is for things that this page has not.
PUBLIC_PATHS = (
    "", LOGIN, "/logout", "/login_check", "/gradio_api/login_check", "/gradio_api/user", "/theme.css",
    "/gradio_api/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt",
)  # fmt: skip
PUBLIC_PREFIXES = ("/assets/", "/static/", "/svelte/")
PATHS = ("/config", *(
    f"/gradio_api/{name}" for name in (
        "upload", "upload_progress", "queue/join", "queue/data", "info", "openapi.json", "startup-events", "app_id",
        "token", "cancel", "reset", "run/predict",
    )
))  # fmt: skip
PREFIXES = ("/gradio_api/file=", "/gradio_api/call/", "/gradio_api/heartbeat/")
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
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
}
ENCODED_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    """Middleware (ASGI) around gradio's application.

    Args:
        app: what it guards.
        hosts: the names by which the page is known.
        signed_in: tells by the cookies whether somebody gave the password; None if none is asked for.
        max_bytes: of an upload.
    """

    def __init__(
        self,
        app: Any,
        hosts: Hosts,
        signed_in: Callable[[dict[str, str]], bool] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._signed_in = signed_in
        self._max_bytes = max_bytes
        self._uploads = Budget(CLIENT_BYTES, TOTAL_BYTES, KEEP_SECONDS)
        self._guesses = Budget(CLIENT_GUESSES, TOTAL_GUESSES, 60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the refused ones are answered without being read."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            path = scope["path"].rstrip("/")
            self._check_sender(scope, path)
            limit = self._check_size(scope, path)
            await self._serve(scope, receive, send, path, limit)
        except HTTPException as refusal:
            headers = {**HEADERS, "connection": "close", **(refusal.headers or {})}
            await PlainTextResponse(refusal.detail, refusal.status_code, headers)(scope, receive, send)

    def _check_sender(self, scope: Scope, path: str) -> None:
        """Who asks, for what and from where."""
        if not allowed(path):
            raise HTTPException(404, "there is no such page")
        self._hosts.check(scope)
        if self._signed_in and not public(path) and not self._signed_in(HTTPConnection(scope).cookies):
            raise HTTPException(401, "the password is asked for; open the page, or give auth to the client")

    def _check_size(self, scope: Scope, path: str) -> int:
        """The most bytes that the request may have, which it does not announce to exceed, and which are not spent."""
        upload = path == UPLOAD
        limit = self._max_bytes + FORM_OVERHEAD if upload else MAX_REQUEST_BYTES
        length = dict(scope["headers"]).get(b"content-length", str(limit if upload else 0).encode())
        if not length.isdigit() or int(length) > limit:
            raise HTTPException(413, self._too_large)
        client = _client(scope)
        if upload and scope["method"] == "POST":
            amount = max(int(length), FORM_OVERHEAD)
            if wait := self._uploads.wait(client, amount):
                raise _later("too many recordings", wait)
            self._uploads.spend(client, amount)
        if path == LOGIN and scope["method"] == "POST":
            if wait := self._guesses.wait(client, 1):
                raise _later("too many wrong passwords", wait)
            self._guesses.spend(client, 1)
        return limit

    @property
    def _too_large(self) -> str:
        return f"too large: give a recording of at most {self._max_bytes // 2**20} MB"

    async def _serve(self, scope: Scope, receive: Receive, send: Send, path: str, limit: int) -> None:
        read = 0

        async def counted() -> Message:
            nonlocal read
            part = await receive()
            read += len(part.get("body", b""))
            if read > limit:  # its length was not told
                raise HTTPException(413, self._too_large)
            return part

        async def with_headers(part: Message) -> None:
            if part["type"] == "http.response.start":
                if path == LOGIN and part["status"] == 200:
                    self._guesses.refund(_client(scope), 1)
                part = {**part, "headers": [*part.get("headers", []), *ENCODED_HEADERS]}
            await send(part)

        await self._app(scope, counted, with_headers)


def allowed(path: str) -> bool:
    """Whether a path (without a slash at its end) is one that the page needs."""
    if "/../" in f"{path}/" or "\0" in path or "\\" in path:
        return False
    return public(path) or path in PATHS or path.startswith(PREFIXES)


def public(path: str) -> bool:
    """Whether a path is served to those who have not yet given the password."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


def _client(scope: Scope) -> str:
    return client_of((scope.get("client") or ("",))[0])


def _later(reason: str, seconds: float) -> HTTPException:
    whole = math.ceil(seconds)
    return HTTPException(429, f"{reason}: try again in {whole} s", {"retry-after": str(whole)})
