"""Speech in, picture out: the speech encoder, and everything that people run.

`from s2i import SpeechToImage, SpeechEmotion` is the whole Python interface.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2i.emotion import Emotion, SpeechEmotion
    from s2i.model.pipeline import Pictures, SpeechToImage

__all__ = ["Emotion", "Pictures", "SpeechEmotion", "SpeechToImage", "__version__"]

__version__ = "0.1.0"

_HOMES = {
    "Emotion": "s2i.emotion",
    "Pictures": "s2i.model.pipeline",
    "SpeechEmotion": "s2i.emotion",
    "SpeechToImage": "s2i.model.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then, so that `--help` need not wait for torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
