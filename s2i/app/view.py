"""What the page shows, as plain values: pictures, attention and sound as text, and HTML that is safe."""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from s2i.model.pipeline import Pictures
from s2i.model.session import Description, Words

MAP_SIZE = 64  # of the attention maps that are sent
MEL_BINS = 40


def viewer(described: Description, pictures: Pictures, words: Words | None = None, wanted: int = 4) -> dict[str, Any]:
    """What viewer.js draws: {title, stages, wanted, parts, mel, wave, words}.

    Args:
        pictures: one sample, of all sizes or the first ones.
        words: what the recogniser understood, with times in seconds.
        wanted: how many stages there will be.
    """
    attention: list[np.ndarray | None] = [None, *pictures.attention]
    mixed = described.ends is not None  # no part of such a mixture was ever said
    stages = [
        {"resolution": stage.shape[1], "png": png(stage[0]), "attention": None if at is None or mixed else _maps(at[0])}
        for stage, at in zip(pictures.stages, attention, strict=False)
    ]
    parts: list[dict[str, Any]]
    if described.segments:
        parts = [{"start": start, "end": end} for start, end in described.segments]
    else:
        parts = [{"word": word} for word in described.parts]
    return {
        "title": described.title,
        "stages": stages,
        "wanted": wanted,
        "parts": parts,
        "mel": _mel(described.log_mel),
        "wave": None if described.wave is None else _pcm(described.wave),
        "words": [{"word": word, "start": start, "end": end} for word, start, end in words or ()],
    }


def png(picture: np.ndarray) -> str:
    """A picture [S, S, 3] uint8 as the text that `<img src>` takes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=3)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _maps(attention: np.ndarray) -> dict[str, Any]:
    """[R, R, T] as T maps of bytes, at most `MAP_SIZE` a side, and the share of each of T.

    A byte is 255 times the square root of the attention, so that little of it is still told from none.
    """
    resolution = len(attention)
    if resolution > MAP_SIZE:
        step = resolution // MAP_SIZE
        attention = attention.reshape(MAP_SIZE, step, MAP_SIZE, step, -1).mean((1, 3))
    levels = np.round(255 * np.sqrt(attention.transpose(2, 0, 1))).astype(np.uint8)
    return {"resolution": len(attention), "bytes": _text(levels), "mass": attention.mean((0, 1)).round(4).tolist()}


def _mel(log_mel: np.ndarray) -> dict[str, Any] | None:
    if not len(log_mel):
        return None
    low, high = np.percentile(log_mel, (20, 99.7))
    level = np.clip((log_mel - low) / max(1e-6, high - low), 0, 1)
    return {"frames": len(log_mel), "bins": MEL_BINS, "bytes": _text((255 * level).astype(np.uint8))}


def _pcm(wave: Tensor) -> dict[str, Any]:
    return {"rate": 16_000, "bytes": _text((wave.clamp(-1, 1).numpy() * 32767).astype("<i2"))}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def status(text: str, *, bad: bool = False, notes: Sequence[str] = (), done: tuple[int, int] | None = None) -> str:
    """A line that screen readers read out when it changes, with a bar for how many of how many are `done`."""
    role, kind = ("alert", "bad") if bad else ("status", "good")
    more = "".join(f"<br><span class='note'>Note: {html.escape(note)}.</span>" for note in notes)
    bar = ""
    if done and done[0] < done[1]:
        bar = f"<progress value='{done[0]}' max='{done[1]}' aria-label='stages painted'></progress>"
    return f"<p class='status {kind}' role='{role}'>{html.escape(text)}{more}{bar}</p>"


def card(title: str, words: str, picture: np.ndarray | None, lines: Sequence[str], remark: str = "") -> str:
    """One of several pictures side by side: title, the words it was painted from, picture, and what to know."""
    shown = "<div class='missing'>no picture</div>"
    if picture is not None:
        shown = f"<img src='{png(picture)}' alt='{html.escape(f'{title}: {words}')}' width='512' height='512'>"
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    small = f"<p class='remark'>{html.escape(remark)}</p>" if remark else ""
    heading = f"<h3>{html.escape(title)}</h3><p>{html.escape(words)}</p>"
    return f"<article class='card'>{heading}{shown}<ul>{items}</ul>{small}</article>"


def cards(parts: Sequence[str], kind: str = "three") -> str:
    """Cards side by side, or below each other where it is narrow."""
    return f"<div class='cards {kind}'>{''.join(parts)}</div>"
