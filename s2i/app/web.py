"""The application (ASGI) that serves the page: gradio's, with what guards it."""

import gradio as gr
from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from s2i.app import page, patches, theme
from s2i.app.backend import Backend, storage_failure
from s2i.app.config import AppConfig
from s2i.app.guard import MAX_BYTES, Guard
from s2i.app.hosts import Hosts

MAX_SESSIONS = 100  # whose descriptions are kept; the one that is longest unused goes first


def application(config: AppConfig, credentials: tuple[str, str] | None, backend: Backend) -> FastAPI:
    """The page at the root of an application; gradio's own is its `state.gradio`.

    gradio adds no CORS headers where the application around it has a policy of its own, which here allows no other
    origin.
    """
    patches.apply()
    hosts = Hosts(config.name, local=config.local)
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    def signed_in(cookies: dict[str, str]) -> bool:
        """As gradio's own `get_current_user`, which some of its routes do without."""
        inner = outer.state.gradio
        tokens = (cookies.get(f"access-token{kind}-{inner.cookie_id}") for kind in ("", "-unsecure"))
        return any(inner.tokens.get(token) for token in tokens if token)

    outer.add_middleware(CORSMiddleware, allow_origins=())
    outer.add_middleware(Guard, hosts=hosts, signed_in=signed_in if credentials else None)
    examples = sorted((config.model / "examples").glob("*.flac"))
    blocks = page.build(backend, examples, config.public_address)
    blocks.state_session_capacity = MAX_SESSIONS
    gr.mount_gradio_app(
        outer,
        blocks,
        "/",
        server_name=config.host,
        server_port=config.port,
        auth=credentials,
        allowed_paths=[str(path) for path in examples],
        show_error=False,
        max_file_size=MAX_BYTES,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        theme=theme.theme(),
        css_paths=[page.FILES / "page.css"],
        app_kwargs={
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
            "exception_handlers": {OSError: _cannot_store},
        },
    )
    mount = outer.routes[-1]
    assert isinstance(mount, Mount)
    outer.state.gradio, outer.state.blocks = mount.app, blocks
    blocks.has_launched = blocks.is_running = True  # else gradio would read and serve any file that a caller names
    return outer


def close(application: FastAPI) -> None:
    """End the queue, and the connections by which browsers tell that the page is open."""
    application.state.blocks.close(verbose=False)
    application.state.gradio.stop_event.set()


async def _cannot_store(_: Request, error: Exception) -> PlainTextResponse:
    message = storage_failure(error)
    if message is None:
        raise error
    return PlainTextResponse(message, 507)
