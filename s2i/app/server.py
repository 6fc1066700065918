"""The command that serves the page: `scripts/app.sh [--port 7860]`, on this machine only unless told otherwise."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import cli
from datasets.errors import InputError

if TYPE_CHECKING:
    import gradio

    from s2i.app.backend import Backend

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
PREFIX = "speech-to-image-"
SWEEP_SECONDS = 60  # seconds between sweeps of the files
WARNING = (
    "warning: other computers can reach this page at {host}, over plain HTTP: the password and the recordings can be "
    "read on the way, and browsers give such a page no microphone; put HTTPS before it"
)
MAX_SESSIONS = 100  # whose descriptions are kept; the one that is longest unused goes first


@dataclass(frozen=True)
class AppConfig:
    """Where the page is, who may see it, and what paints."""

    port: int = 7860
    """Port of the page."""
    host: str = "127.0.0.1"
    """Address to listen on; any other than this machine's own lets other computers in, and needs --auth."""
    auth: str = ""
    """USER:PASSWORD that the page asks for."""
    model: Path = Path("pretrained")
    """Folder with speech.safetensors, generator.safetensors and damsm.safetensors."""

    def __post_init__(self) -> None:
        cli.check_range("port", self.port, 1, 65535)
        user, colon, password = self.auth.partition(":")
        if self.auth and not (user and colon and password):
            raise InputError("--auth: should be USER:PASSWORD, neither of them empty")
        if not self.local and not self.auth:
            raise InputError(f"--host {self.host}: would let other computers in; give --auth USER:PASSWORD as well")

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the page."""
        return self.host in LOCAL_HOSTS


def main(arguments: list[str]) -> int:
    """Serve the page until SIGTERM or Ctrl-C; 0 then."""
    description = "Serve the page on which people speak or type and watch birds being painted."
    config = cli.parse_tool(AppConfig, arguments, description=description)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        with scratch() as folder, serving(config, folder) as (address, backend):
            if not config.local:
                print(WARNING.format(host=config.host), file=sys.stderr)
            print(f"ready: {address} (Ctrl-C ends it)", flush=True)
            backend.warm_up()
            while True:
                time.sleep(SWEEP_SECONDS)
                backend.uploads.sweep()
    except SystemExit:
        print("ended", flush=True)
        return 0


def _end(*_: object) -> None:
    """Leave through everything that cleans up, once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of our own for everything temporary, which only this user can read, and which goes when we do."""
    everywhere = Path(tempfile.gettempdir())
    for left in everywhere.glob(f"{PREFIX}*"):  # by a process that was killed
        process = left.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and not _runs(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(config: AppConfig, folder: Path) -> "Iterator[tuple[str, Backend]]":
    """Serve the page from `folder`, and give its address and where it paints.

    Raises:
        InputError: if the model is missing or damaged, a package is missing, or the port is taken.
    """
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(folder), HF_HUB_OFFLINE="1")
    os.environ.update(GRADIO_RUN_HISTORY="False", GRADIO_SSR_MODE="False", GRADIO_MCP_SERVER="False")
    for name in ("NO_PROXY", "no_proxy"):  # gradio asks the page itself whether it is there
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), *LOCAL_HOSTS, config.host]))
    blocks, backend, options = _page(config, folder)
    try:
        _, address, _ = blocks.launch(**options)
    except OSError as error:
        reason = str(error).partition(". You can specify")[0]
        raise InputError(f"--port {config.port}: cannot be used ({reason}); choose another: --port") from error
    except ValueError as error:  # gradio's own check
        raise InputError(f"--host {config.host}: does not answer; check the address, or try once more") from error
    try:
        backend.uploads.keep()
        yield str(address).rstrip("/"), backend
    finally:
        blocks.close(verbose=False)


def _page(config: AppConfig, folder: Path) -> "tuple[gradio.Blocks, Backend, dict[str, Any]]":
    """The page, where it paints, and how it is launched."""
    from s2i.model.session import Session  # these take seconds to import, which --help need not wait for

    painter = Session(config.model)
    _ = painter.reader  # what is missing for typed words should show before the page opens
    try:
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from s2i.app import guard, page, theme
        from s2i.app.backend import Backend
    except ImportError as error:
        raise InputError(f"gradio: is not installed ({error}); run: pip install -r requirements.txt") from error
    guard.forbid_fetching()
    guard.tell_uploads_apart()
    shown = "localhost" if config.local else config.host
    examples = sorted((config.model / "examples").glob("*.flac"))
    backend = Backend(painter, folder)
    blocks = page.build(backend, examples, f"http://{shown}:{config.port}")
    middleware = [Middleware(guard.Guard)]
    if config.local:  # or a page of another host could name itself this one's, and ask on behalf of its visitors
        middleware.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL_HOSTS, "[::1]"]))
    options: dict[str, Any] = {
        "server_name": config.host,
        "server_port": config.port,
        "auth": tuple(config.auth.split(":", 1)) if config.auth else None,
        "prevent_thread_lock": True,
        "quiet": True,
        "share": False,
        "inbrowser": False,
        "max_file_size": guard.MAX_BYTES,
        "max_threads": 4,  # each that paints keeps threads and memory of its own
        "state_session_capacity": MAX_SESSIONS,
        "enable_monitoring": False,
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "footer_links": [],
        "allowed_paths": [str(path) for path in examples],
        "theme": theme.theme(),
        "css_paths": [page.FILES / "page.css"],
        "app_kwargs": {"middleware": middleware, "docs_url": None, "redoc_url": None, "openapi_url": None},
    }
    return blocks, backend, options


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
