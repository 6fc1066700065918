"""Speech in, picture out: the speech encoder, and everything that people run.

`from s2i import SpeechToImage` is the whole Python interface.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2i.pipeline import Pictures, SpeechToImage

__all__ = ["Pictures", "SpeechToImage"]


def __getattr__(name: str) -> Any:
    """Import the pipeline when it is first asked for, so that `--help` need not wait for torch."""
    if name in __all__:
        from s2i import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
