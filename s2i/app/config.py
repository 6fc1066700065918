"""The options of the page: where it is, who may see it, and what paints."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from datasets import cli
from datasets.errors import InputError

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
ANY_HOST = ("0.0.0.0", "::")
AUTH_VARIABLE = "S2I_APP_AUTH"


@dataclass(frozen=True)
class AppConfig:
    """Where the page is, who may see it, and what paints."""

    port: int = 7860
    """Port of the page."""
    host: str = "127.0.0.1"
    """Address to listen on; any other than this machine's own lets other computers in, and needs a password."""
    name: str = ""
    """Name by which browsers reach the page where it is not this machine's: that of a proxy with HTTPS before it."""
    auth: str = ""
    """USER:PASSWORD that the page asks for. All users of this machine see it in the list of processes: rather give
    --auth-file, or set the environment variable S2I_APP_AUTH."""
    auth_file: Path | None = None
    """File whose first line is USER:PASSWORD."""
    model: Path = Path("pretrained")
    """Folder with speech.safetensors, generator.safetensors and damsm.safetensors."""

    def __post_init__(self) -> None:
        cli.check_range("port", self.port, 1, 65535)
        if self.auth and self.auth_file:
            raise InputError("--auth and --auth-file: are both given; give one of them")
        if self.auth:
            _split(self.auth, "--auth")
        if not self.local and not (self.auth or self.auth_file or AUTH_VARIABLE in os.environ):
            raise InputError(f"--host {self.host}: would let other computers in; give --auth-file FILE as well")

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the page."""
        return self.host in LOCAL_HOSTS

    @property
    def address(self) -> str:
        """What to type into a browser on the same network."""
        host = "localhost" if self.host in ("127.0.0.1", "localhost") else self.host
        if self.host in ANY_HOST:
            host = socket.gethostname()
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}"

    @property
    def public_address(self) -> str:
        """The same where browsers reach it through a proxy."""
        return f"https://{self.name}" if self.name else self.address

    def credentials(self) -> tuple[str, str] | None:
        """User and password that the page asks for, or None.

        Raises:
            InputError: if the file cannot be read, or is not of the form USER:PASSWORD.
        """
        if self.auth:
            return _split(self.auth, "--auth")
        if self.auth_file:
            try:
                lines = self.auth_file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8"
                raise InputError(f"--auth-file {self.auth_file}: cannot be read ({reason})") from error
            return _split(lines[0] if lines else "", f"--auth-file {self.auth_file}")
        if AUTH_VARIABLE in os.environ:
            return _split(os.environ[AUTH_VARIABLE], AUTH_VARIABLE)
        return None


def _split(text: str, source: str) -> tuple[str, str]:
    user, _, password = text.strip().partition(":")
    if not (user and password):
        raise InputError(f"{source}: should be USER:PASSWORD, neither of them empty")
    return user, password
