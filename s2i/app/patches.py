"""What gradio does otherwise here, and has no options for."""

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradio import processing_utils, route_utils


def apply() -> None:
    """Change gradio; the second time nothing happens."""
    forbid_fetching()
    if not hasattr(route_utils.GradioUploadFile, "plain_init"):
        tell_uploads_apart()
        remove_broken_uploads()


def forbid_fetching() -> None:
    """Keep gradio from fetching the address that a caller may give in place of an uploaded file."""

    async def refuse(url: str, cache_dir: str) -> str:
        raise ValueError("addresses are not fetched; upload the recording itself")

    processing_utils.async_ssrf_protected_download = refuse


def tell_uploads_apart() -> None:
    """Keep gradio from filing equal uploads of two people under one name, as each removes their own after use."""
    kind: Any = route_utils.GradioUploadFile
    kind.plain_init = kind.__init__

    def init(upload: Any, *arguments: Any, **named: Any) -> None:
        upload.plain_init(*arguments, **named)
        upload.sha.update(secrets.token_bytes(16))

    kind.__init__ = init


def remove_broken_uploads() -> None:
    """Have the files of an upload that is cut off, too large or without room removed at once; gradio leaves them."""
    kind: Any = route_utils.GradioMultiPartParser
    plain_parse = kind.parse

    async def parse(parser: Any) -> Any:
        try:
            return await plain_parse(parser)
        except BaseException:
            for file in parser._files_to_close_on_error:
                with suppress(OSError):  # what it still holds finds no room either
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            raise

    kind.parse = parse
