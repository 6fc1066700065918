"""The command that serves the page: `scripts/app.sh [--port 7860]`, on this machine only unless told otherwise."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import cli
from datasets.errors import InputError
from s2i.app.config import AppConfig
from s2i.app.scratch import scratch

if TYPE_CHECKING:
    from s2i.app.backend import Backend

SWEEP_SECONDS = 60  # between sweeps of the files
PATIENCE = 5  # seconds for connections to end
WARNING = (
    "warning: other computers can reach this page at {host}, over plain HTTP: the password and the recordings can be "
    "read on the way, and browsers give such a page no microphone; put HTTPS before it"
)


def main(arguments: list[str]) -> int:
    """Serve the page until SIGTERM or Ctrl-C; 0 then."""
    description = "Serve the page on which people speak or type and watch birds being painted."
    config = cli.parse_tool(AppConfig, arguments, description=description)
    credentials = config.credentials()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        print("loading: the model and the page, which takes some seconds", flush=True)
        with scratch() as folder, serving(config, credentials, folder) as backend:
            if not config.local:
                print(WARNING.format(host=config.host), file=sys.stderr)
            print(f"ready: {config.address} (Ctrl-C ends it)", flush=True)
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
def serving(config: AppConfig, credentials: tuple[str, str] | None, folder: Path) -> "Iterator[Backend]":
    """Serve the page from `folder`, and give what is behind it.

    Raises:
        InputError: if the model is missing or damaged, a package is missing, or the port is taken.
    """
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(folder), HF_HUB_OFFLINE="1")
    with _bound(config) as listener:
        backend, application = _application(config, credentials, folder)
        import uvicorn

        from s2i.app import web

        server = uvicorn.Server(
            uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=PATIENCE)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise InputError(f"--host {config.host}: does not answer; check the address, or try once more")
            time.sleep(0.01)
        backend.uploads.keep()
        try:
            yield backend
        finally:
            web.close(application)
            server.should_exit = True
            thread.join(PATIENCE + 1)


def _bound(config: AppConfig) -> socket.socket:
    """A socket that has the port, before anything takes time."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(f"--host {config.host}: is no address ({error.strerror}); check it") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        where = f"--host {config.host} --port {config.port}"
        raise InputError(f"{where}: cannot be used ({error.strerror}); choose another: --port") from error
    return listener


def _application(config: AppConfig, credentials: tuple[str, str] | None, folder: Path) -> "tuple[Backend, Any]":
    """What is behind the page, and the application (ASGI) that serves it."""
    from s2i.model.session import Session  # these take seconds to import, which --help need not wait for

    session = Session(config.model)
    _ = session.reader  # what is missing for typed words should show before the page opens
    try:
        from s2i.app import web
        from s2i.app.backend import Backend
    except ImportError as error:
        raise InputError(f"gradio: is not installed ({error}); run: pip install gradio") from error
    backend = Backend(session, folder)
    return backend, web.application(config, credentials, backend)
