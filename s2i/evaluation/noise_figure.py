"""The figure of direct against transcribed painting: a column for each kind of condition, over its level."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.files import replacing

if TYPE_CHECKING:  # names in annotations only; the library takes a second to import
    from matplotlib.axes import Axes

DIRECT, SPHINX, WHISPER = "#0072B2", "#D55E00", "#009E73"  # of Okabe and Ito (2008), told apart by colour-blind eyes
FAINT, INK = "#8a8a8a", "#222222"
PATHS = {  # name, colour and marker
    "s2i": ("direct, from the sound (the shipped model)", DIRECT, "o"),
    "s2i_equal": ("direct, from the sound", DIRECT, "o"),
    "transcribe": ("from recognised words", SPHINX, "s"),
    "transcribe_whisper": ("from words by Whisper", WHISPER, "D"),
}
RATES = {"transcribe": "word_error_rate", "transcribe_whisper": "word_error_rate_whisper"}  # of those with words
DOTS_PER_INCH = 150
PLACES = {"clean": "clean", "heard voices": "heard\nvoices", "telephone": "phone\nline"}  # the column without a level
COLUMNS = {"white": "white noise", "babble": "babble of other voices", "rate": "speed of speech", "": "other"}
AXES = {"white": "speech over noise, dB", "babble": "speech over babble, dB", "rate": "times the usual speed", "": ""}
CHANCE = 1.0  # percent: one of 100 captions


def label(condition: str, level: float | None) -> str:
    """A condition and its level as people write it."""
    if level is None:
        return condition
    return f"{condition} ×{level:g}" if condition == "rate" else f"{condition} {level:g} dB"


def paths_of(cases: Sequence[dict[str, Any]]) -> list[str]:
    """The paths that were measured."""
    return [name for name in PATHS if all(name in each for each in cases)]


def draw(cases: Sequence[dict[str, Any]], path: str | Path) -> None:
    """Draw what `noise.measure` cases as a PNG: R-precision with error bars above, word error rate below.

    Conditions that were not measured leave a gap.

    Raises:
        InputError: if it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    rows: Any = figure.subplots(
        2, len(COLUMNS), sharex="col", sharey="row", gridspec_kw={"height_ratios": (3, 2), "width_ratios": (5, 5, 6, 4)}
    )
    for column, kind in enumerate(COLUMNS):
        _draw_column(rows[0][column], rows[1][column], cases, kind)
    top = max(each[name]["mean"] + each[name]["std"] for each in cases for name in paths_of(cases))
    rows[0][0].set_ylim(0, 1.15 * max(top, 2 * CHANCE))
    wrong = [each[rate] for each in cases for rate in RATES.values() if rate in each]
    rows[1][0].set_ylim(0, 1.08 * max(10.0, *wrong))
    rows[0][0].set_ylabel("R-precision, %", color=INK)
    rows[1][0].set_ylabel("word error rate, %", color=INK)
    rows[0][0].annotate(
        "chance", (0.03, CHANCE), (0, 2), ("axes fraction", "data"), "offset points", fontsize=8, color=FAINT
    )
    handles, names = rows[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=10)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)


def _draw_column(above: "Axes", below: "Axes", cases: Sequence[dict[str, Any]], kind: str) -> None:
    """One kind of condition: R-precision and word error rate over its levels."""
    shown, ticks = _places(cases, kind)
    places = [place for place, _ in shown]
    line = "-" if kind else "none"  # the others are no scale
    paths = paths_of(cases)
    for place_of_path, name in enumerate(paths):
        title, colour, marker = PATHS[name]
        shift = place_of_path - (len(paths) - 1) / 2
        aside = 0.06 * shift if kind != "rate" else 0.006 * shift  # so that error bars do not hide each other
        above.errorbar(
            [place + aside for place in places],
            [each[name]["mean"] for _, each in shown],
            [each[name]["std"] for _, each in shown],
            color=colour,
            marker=marker,
            markersize=6,
            linestyle=line,
            linewidth=2,
            elinewidth=1.2,
            capsize=3,
            label=title,
        )
    for name in (name for name in paths if name in RATES):
        _, colour, marker = PATHS[name]
        wrong = [each[RATES[name]] for _, each in shown]
        below.plot(places, wrong, color=colour, marker=marker, markersize=5, linestyle=line, linewidth=2)
    above.axhline(CHANCE, color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    above.set_title(COLUMNS[kind], fontsize=11, color=INK)
    below.set_xticks(list(ticks), list(ticks.values()))
    below.set_xlabel(AXES[kind], color=INK)
    room = 0.04 if kind == "rate" else 0.4
    below.set_xlim(min(ticks) - room, max(ticks) + room)
    for axes in (above, below):
        axes.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9, colors=INK, length=3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(FAINT)


def _places(cases: Sequence[dict[str, Any]], kind: str) -> tuple[list[tuple[float, dict[str, Any]]], dict[float, str]]:
    """What stands where along a column, from left to right, and the marks below; clean speech begins the noisy ones."""
    if not kind:
        able = [name for name in PLACES if any(each["condition"] == name for each in cases)] or ["clean"]
        marks = {float(place): PLACES[name] for place, name in enumerate(able)}
        shown = [(float(able.index(each["condition"])), each) for each in cases if each["condition"] in able]
    elif kind == "rate":
        shown = [(1.0 if each["level"] is None else each["level"], each) for each in cases if _belongs(each, kind)]
        marks = {speed: f"{speed:g}" for speed in [1.0, *(speed for speed, _ in shown)]}
    else:
        levels = sorted({each["level"] for each in cases if each["condition"] == kind}, reverse=True)
        marks = {0.0: "clean", **{float(place): f"{level:g}" for place, level in enumerate(levels, 1)}}
        shown = [
            (0.0 if each["level"] is None else 1.0 + levels.index(each["level"]), each)
            for each in cases
            if _belongs(each, kind)
        ]
    return sorted(shown, key=lambda pair: pair[0]), marks


def _belongs(each: dict[str, Any], kind: str) -> bool:
    return each["condition"] in (kind, "clean")
