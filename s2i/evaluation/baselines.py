"""The rows of the table of results: what each model is given, and how it differs from the shipped one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from attngan.training.gan_config import GanConfig
from datasets.errors import InputError

# Sentence only, and only what StackGAN-v2 learns from: the discriminators' joint losses (Zhang et al. 2018, section 4).
STACKGAN = {"attention": False, "damsm_weight": 0.0, "feature_width": 0}


@dataclass(frozen=True)
class Row:
    """A model that is trained to be compared with.

    Attributes:
        about: what it is, for readers of the table.
        condition: what it paints in training: text or speech.
        text_free: whether its encoders are those that never saw a caption.
        text_first: whether the first half of its first training paints written captions, as the shipped model's did.
        changes: fields of `GanConfig` in which it differs from the direct model.
    """

    about: str
    condition: str
    text_free: bool = False
    text_first: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


TRAINED = {
    "stackgan": Row("StackGAN-v2 from true captions: sentence only", "text", changes=STACKGAN),
    "stackgan_speech": Row("StackGAN-v2 from the speech encoder's sentence", "speech", changes=STACKGAN),
    "attngan": Row("AttnGAN from true captions", "text"),
    "s2i_equal": Row("direct, trained with the budget of the rows above", "speech"),
    "s2i_text_first": Row("the same, but from written captions for the first 40 % of it", "speech", text_first=True),
    "s2i_text_free": Row("direct, no caption text in any training step", "speech", text_free=True),
}
BUDGETS = {"s2i": 321_000, "s2i_first": 206_800}  # pictures, in the trainings that the model card lists
OTHERS = {
    "real": "the test photographs themselves",
    "s2i": "direct, the shipped model",
    "s2i_first": "direct, the model that was shipped before",
    "transcribe": "recording to words, then the AttnGAN of the row attngan",
    "transcribe_whisper": "the same by Whisper tiny.en, whose hypotheses the captions help to choose among",
}
TRANSCRIBED = ("transcribe", "transcribe_whisper")
"""Rows that paint what a recogniser understands, with the generator of the row attngan."""
NAMES = (
    "real",
    "stackgan",
    "stackgan_speech",
    "attngan",
    "transcribe",
    "transcribe_whisper",
    "s2i",
    "s2i_first",
    "s2i_equal",
    "s2i_text_first",
    "s2i_text_free",
)


def about(name: str) -> str:
    """What a row is, for readers of the table."""
    return TRAINED[name].about if name in TRAINED else OTHERS[name]


def check(names: tuple[str, ...], known: tuple[str, ...] = NAMES) -> None:
    """Refuse names of rows that are not known, or named twice.

    Raises:
        InputError: with those that are known.
    """
    for name in names:
        if name not in known:
            raise InputError(f"{name}: no such row; known are {', '.join(known)}")
    if len(set(names)) < len(names):
        raise InputError(f"{','.join(names)}: names a row twice; name each once")


def trainings(name: str, stages: Sequence[GanConfig], runs: Path) -> list[GanConfig]:
    """The trainings of a row, one after the other: `stages` with its changes, each from where the one before ended."""
    row = TRAINED[name]
    parts = [
        (f"{config.base * 2 ** (config.stages - 1)}", replace(config, condition=row.condition)) for config in stages
    ]
    if row.text_first:
        side, first = parts[0]
        half = first.pictures // 2
        text = replace(first, condition="text", pictures=half, final_rate=1.0)  # its rate falls in the second half
        parts[:1] = [(f"{side}-text", text), (side, replace(first, pictures=first.pictures - half))]
    configs: list[GanConfig] = []
    for suffix, config in parts:
        start: dict[str, Any] = {}
        if configs:
            start = {"init": configs[-1].run / "checkpoint.safetensors", "freeze": config.stages - 1}
        configs.append(replace(config, run=runs / f"{name}-{suffix}", **start, **row.changes))
    return configs
