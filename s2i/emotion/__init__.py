"""The emotion in a voice: what `scripts/emotion.sh` prints and `s2i.train_emotion` trains and compares.

`speech_emotion` is what people use. `features` and `dataset` are the inputs, `networks`, `encoder` and `recognisers`
the models, `training` trains one. `protocols` splits the recordings, `experiments` trains and tests on each split and
keeps the results on disk, `metrics` and `figures` measure them, `report` writes them down. `novelty` detects sounds
that are unlike the training recordings.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2i.emotion.speech_emotion import EMOTION_KIND, Emotion, SpeechEmotion

__all__ = ["EMOTION_KIND", "FILE", "Emotion", "SpeechEmotion"]

FILE = "emotion.safetensors"


def __getattr__(name: str) -> Any:
    """Import what is asked for only then, so that `--help` need not wait for torch."""
    if name in __all__:
        return getattr(importlib.import_module("s2i.emotion.speech_emotion"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
