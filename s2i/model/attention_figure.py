"""A figure of who painted what: segments of speech in colours of their own, over the sound and over the pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from datasets import audio
from datasets.files import replacing
from s2i.model.pipeline import Pictures

HEAT_MAPS = 5  # in each row
INK, PAPER, FAINT = "#222222", "#ffffff", "#777777"
DOTS_PER_INCH = 150
CELL = 300  # px to which pictures are enlarged, so that small ones show their pixels
WIDTH = 2.0  # inches of a cell
TOP = 2.1  # inches of the spectrogram


def colours(count: int) -> np.ndarray:
    """[count, 3] in [0, 1]: hues from red to violet along the speech, neighbours told apart by their lightness."""
    k = np.arange(count)
    hue = np.radians(20 + 300 * k / max(1, count - 1))
    lightness = np.array([0.66, 0.78, 0.56])[k % 3]
    # OKLCH to sRGB (Ottosson 2020), in which equal chroma looks equally colourful.
    a, b = 0.16 * np.cos(hue), 0.16 * np.sin(hue)
    lms = np.stack([lightness, a, b], 1) @ np.array(
        [[1.0, 1.0, 1.0], [0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.2914855480]]
    )
    linear = lms**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).clip(0, 1)


def save_figure(
    path: str | Path, pictures: Pictures, *, title: str, sample: int = 0, words: Sequence[str] = ()
) -> None:
    """Draw `sample` of `pictures` as one PNG; `words` are those that were read, if they were not heard.

    Raises:
        InputError: if it cannot be written.
    """
    figure = draw(pictures, title=title, sample=sample, words=words)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER)


def draw(pictures: Pictures, *, title: str, sample: int = 0, words: Sequence[str] = ()) -> Figure:
    """The figure: the spectrogram with its segments, or the words, then a row for each refinement.

    A row shows the picture, the segment or word that each region looked at most, and heat maps of those that the
    regions looked at most in all.
    """
    labels = [f"{start:.2f}–{stop:.2f} s" for start, stop in pictures.segments] or list(words)
    palette = colours(len(labels))
    rows, columns = len(pictures.attention), 2 + min(HEAT_MAPS, len(labels))
    width = 0.75 + WIDTH * (2 + HEAT_MAPS) + 0.12
    height = TOP + 0.85 + rows * (WIDTH + 0.32)
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.text(
        0.75 / width, 1 - 0.24 / height, title, fontsize=13, color=INK, weight="bold", va="center", parse_math=False
    )
    top = figure.add_axes((0.75 / width, 1 - (TOP + 0.1) / height, 1 - 0.95 / width, (TOP - 0.45) / height))
    if pictures.segments:
        _draw_speech(top, pictures, palette)
    else:
        _draw_words(top, labels, palette)
    for row, attention in enumerate(pictures.attention):
        bottom = height - TOP - 0.75 - (row + 1) * (WIDTH + 0.32) + 0.32
        axes = [
            figure.add_axes(
                ((0.75 + WIDTH * k) / width, bottom / height, (WIDTH - 0.08) / width, (WIDTH - 0.08) / height)
            )
            for k in range(columns)
        ]
        _draw_row(axes, pictures.stages[row + 1][sample], attention[sample], labels, palette)
        side = pictures.stages[row + 1].shape[1]
        axes[0].set_ylabel(f"{side} px", fontsize=11, color=INK, labelpad=8)
        if row == 0:
            axes[0].set_title("picture", fontsize=9, color=FAINT, pad=9)
            axes[1].set_title(
                "strongest segment" if pictures.segments else "strongest word", fontsize=9, color=FAINT, pad=9
            )
    return figure


def _draw_speech(axes: Axes, pictures: Pictures, palette: np.ndarray) -> None:
    """The log-mel over time, with each segment tinted and capped in its colour."""
    mel, end = pictures.log_mel, pictures.segments[-1][1]
    seconds = len(mel) / audio.FRAMES_PER_SECOND
    low, high = np.percentile(mel, (20, 99.7))
    level = np.clip((mel - low) / max(1e-6, high - low), 0, 1).T[..., None]  # [40, frames, 1]
    times = (np.arange(len(mel)) + 0.5) / audio.FRAMES_PER_SECOND
    owner = np.searchsorted([stop for _, stop in pictures.segments[:-1]], times, side="right")
    tint = palette[owner][None]
    # From paper, through the segment's colour, to nearly black.
    image = np.where(level < 0.6, 1 + (tint - 1) * level / 0.6, tint * (1 - (level - 0.6) / 0.4 * 0.85))
    axes.imshow(image, origin="lower", aspect="auto", extent=(0, seconds, 0, audio.N_MELS), interpolation="nearest")
    for (start, stop), colour in zip(pictures.segments, palette, strict=True):
        axes.axvspan(start, stop, ymin=1.02, ymax=1.09, color=colour, clip_on=False, linewidth=0)
        axes.axvline(start, color=INK, linewidth=0.4, alpha=0.35)
    axes.set_xlim(0, max(seconds, end))
    axes.set_ylim(0, audio.N_MELS)
    axes.set_yticks([])
    axes.set_ylabel("log-mel", fontsize=9, color=FAINT)
    axes.set_xlabel("seconds", fontsize=9, color=FAINT, labelpad=1)
    axes.tick_params(labelsize=8, colors=FAINT, length=2)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_words(axes: Axes, words: Sequence[str], palette: np.ndarray) -> None:
    """The words one after the other, each in its colour."""
    for place, (word, colour) in enumerate(zip(words, palette, strict=True)):
        axes.add_patch(Rectangle((place + 0.05, 0.4), 0.9, 0.12, color=colour, lw=0))
        # Many words stand upright, since they would run into each other.
        axes.text(
            place + 0.5, 0.6, word, fontsize=11, color=INK, ha="center", va="bottom", parse_math=False,
            rotation=90 if len(words) > 12 else 0,
        )  # fmt: skip
    axes.set_xlim(0, len(words))
    axes.set_ylim(0, 1.5)
    axes.set_axis_off()


def _draw_row(
    axes: list[Axes],
    picture: np.ndarray,
    attention: np.ndarray,
    labels: Sequence[str],
    palette: np.ndarray,
) -> None:
    """One refinement: picture [S, S, 3] uint8 and attention [R, R, T]."""
    shown = _resize(picture)
    grey = shown.mean(2, keepdims=True)
    axes[0].imshow(shown)
    # The map covers more where the strongest segment leads by more.
    lead = np.clip(attention.max(2) * attention.shape[2] / 3, 0.35, 1.0)
    over = np.dstack([palette[attention.argmax(2)], 0.65 * lead])
    axes[1].imshow(grey.repeat(3, 2))
    axes[1].imshow(over, extent=(-0.5, CELL - 0.5, CELL - 0.5, -0.5), interpolation="nearest")
    mass = attention.mean((0, 1))
    for place, segment in zip(axes[2:], np.argsort(-mass, kind="stable"), strict=False):
        heat = attention[..., segment]
        strength = heat / max(heat.max(), 2 / attention.shape[2])  # what everything gets alike stays pale
        place.imshow(0.3 + 0.7 * grey.repeat(3, 2))
        colour = np.broadcast_to(palette[segment], (*heat.shape, 3))
        place.imshow(
            np.dstack([colour, 0.9 * strength]), extent=(-0.5, CELL - 0.5, CELL - 0.5, -0.5), interpolation="bilinear"
        )
        place.set_title(f"{labels[segment]}  ·  {mass[segment]:.0%}", fontsize=8, color=INK, pad=9, parse_math=False)
        strip = Rectangle((0, 1.012), 1, 0.03, transform=place.transAxes, color=palette[segment], clip_on=False, lw=0)
        place.add_patch(strip)
    for place in axes:
        place.set_xticks([])
        place.set_yticks([])
        place.set_xlim(-0.5, CELL - 0.5)
        place.set_ylim(CELL - 0.5, -0.5)
        for spine in place.spines.values():
            spine.set_visible(False)


def _resize(picture: np.ndarray) -> np.ndarray:
    """[S, S, 3] uint8 to [CELL, CELL, 3] in [0, 1]."""
    how = Image.Resampling.NEAREST if len(picture) < CELL else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((CELL, CELL), how), np.float32) / 255
