"""The report on recognisers of emotion: emotion.json, a picture of confusion matrices, and a page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datasets.files import replacing, write_text
from s2i.emotion.experiments import CONDITIONS
from s2i.emotion.protocols import INDEPENDENT, PROTOCOLS, RANDOM
from s2i.emotion.recognisers import RECOGNISERS

NAME = "emotion"
TITLES = {RANDOM: "random split (actors known)", INDEPENDENT: "actors never heard"}


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write emotion.json, emotion.png and emotion.md into `folder`.

    Raises:
        InputError: if it cannot be written.
    """
    write_text(folder / f"{NAME}.json", json.dumps(report, indent=1) + "\n")
    draw(report, folder / f"{NAME}.png")
    write_text(folder / f"{NAME}.md", page(report))


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Draw the confusion matrices of all recognisers, a row for each protocol; each line of a matrix sums to 100 %."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in RECOGNISERS if any(name in report.get(protocol, {}) for protocol in PROTOCOLS)]
    figure = Figure(figsize=(3.1 * len(names) + 0.6, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(PROTOCOLS), len(names), squeeze=False)
    for line, protocol in zip(axes, PROTOCOLS, strict=True):
        for axis, name in zip(line, names, strict=True):
            row = report.get(protocol, {}).get(name)
            if row is None:
                axis.set_axis_off()
                continue
            counts = np.array(row["confusion"])
            shares = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
            axis.imshow(shares, vmin=0, vmax=100, cmap="Blues")
            for (i, j), share in np.ndenumerate(shares):
                if share >= 0.5:
                    colour = "white" if share > 55 else "black"
                    axis.text(j, i, f"{share:.0f}", ha="center", va="center", fontsize=7, color=colour)
            classes = RECOGNISERS[name].classes
            axis.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=7)
            axis.set_yticks(range(len(classes)), classes, fontsize=7)
            axis.set_title(f"{name}, {TITLES[protocol]}\n{100 * row['accuracy']:.1f} %", fontsize=9)
    figure.supylabel("acted", fontsize=9)
    figure.supxlabel("recognised; numbers are percent of the line", fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})


def _percent(row: Mapping[str, float] | None, key: str = "accuracy", deviation: str = "std") -> str:
    if row is None:
        return ""
    return f"{100 * row[key]:.1f} ± {100 * row[deviation]:.1f}"


def page(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    meta = report["meta"]
    random, independent = report.get(RANDOM, {}), report.get(INDEPENDENT, {})
    text = [
        "# Emotion in the voice",
        "",
        f"Trained and tested on {meta['recordings']} recordings of {len(meta['actors'])} actors of RAVDESS's speech "
        "part (Livingstone and Russo 2018, CC BY-NC-SA 4.0), by `scripts/train_emotion.sh`.",
        "",
        "Accuracy and macro F1 in percent, mean ± standard deviation over trainings. Random split: "
        f"{meta['protocols'][RANDOM]}. Actors never heard: {meta['protocols'][INDEPENDENT]}. The published figures are "
        f"from {meta['published_protocol']}: compare them with the column of that name only.",
        "",
        "| | published | random split | F1 | actors never heard | F1 | trainings |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, recogniser in RECOGNISERS.items():
        if name not in random and name not in independent:
            continue
        published = "" if recogniser.published is None else f"{100 * recogniser.published:.1f}"
        cells = [recogniser.title, published]
        for results in (random, independent):
            cells += [_percent(results.get(name)), _percent(results.get(name), "macro_f1", "macro_f1_std")]
        cells.append(
            " + ".join(str(results[name].get("trials", "")) for results in (random, independent) if name in results)
        )
        text.append(f"| {' | '.join(cells)} |")
    text += [
        "",
        "What was chosen (the LSTM's directions and epochs, all of ours) was chosen on recordings held out of training "
        "parts, never on a test part.",
        "",
        "Chance is 12.5 %; always the most frequent emotion would have 13.3 %.",
        "",
    ]
    if seven := independent.get("conv1d"):
        eight = [
            f"{100 * results['conv1d']['accuracy_of_eight']:.1f} %" for results in (random, independent) if results
        ]
        text += [
            f"The 1-D CNN tells {seven['classes']} classes apart, those of a face data set; calm counts as neutral. Of "
            f"the eight emotions it gets {' and '.join(eight)} right.",
            "",
        ]
    if "alexnet" in independent:
        text += [
            f"AlexNet saw each recording {RECOGNISERS['alexnet'].epochs} times, one patch of it each time.",
            "",
        ]
    if _stopped(report):
        text += ["Rows of fewer trainings than told above are not finished; the same command goes on with them.", ""]
    text += [f"![Confusion matrices]({NAME}.png)", ""]
    text += _hard(independent)
    text += _limits(report)
    return "\n".join(text).rstrip() + "\n"


def _stopped(report: Mapping[str, Any]) -> bool:
    """Whether a row has fewer trainings than were asked for."""
    config = report["meta"].get("config")
    if config is None:
        return False
    wanted = {RANDOM: config["random_splits"], INDEPENDENT: config["folds"] * config["repeats"]}
    return any(row["trials"] < count for name, count in wanted.items() for row in report.get(name, {}).values())


def _hard(independent: Mapping[str, Any]) -> list[str]:
    """Noise and telephone."""
    names = [name for name in RECOGNISERS if all(c in independent.get(name, {}) for c in CONDITIONS)]
    if not names:
        return []
    lines = [
        "## Where hearing gets hard",
        "",
        "Actors never heard, white noise so many dB below the voice, and a telephone line; accuracy in percent.",
        "",
        f"| | clean | {' | '.join(CONDITIONS)} |",
        "|---|---|" + "---|" * len(CONDITIONS),
    ]
    for name in names:
        cells = [_percent(independent[name]), *(_percent(independent[name][c]) for c in CONDITIONS)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _limits(report: Mapping[str, Any]) -> list[str]:
    """Ours: what it begins with, one sex in training, voice, calibration, and what it says to other sounds."""
    lines = ["## Ours", ""]
    for title, row in report.get("one_sex_in_training", {}).items():
        lines.append(f"- {title[0].upper()}{title[1:]}: {100 * row['accuracy']:.1f} %.")
    if voice := report.get("voice_attribute"):
        lines.append(f"- Voice attribute (female/male), actors never heard: {_percent(voice)} %.")
    if other := report.get("voice_attribute_alexnet"):
        lines.append(f"- The same by AlexNet: {_percent(other)} %.")
    if unseen := report.get("folds_not_chosen_on"):
        lines.append(
            "- Its recipe was chosen by validation on the actors of the second and third fold, with networks that had "
            "not heard them, and on parts held out of random splits; on the other folds alone it is right in "
            f"{_percent(unseen)} %."
        )
    for start, row in report.get("beginnings", {}).items():
        lines.append(f"- Begun with {start}: {_percent(row)} % (validation, first fold's actors left out).")
    if fit := report.get("calibration"):
        lines.append(
            f"- Calibration on actors never heard: confidence {100 * fit['mean_confidence']:.1f} % on average, "
            f"expected calibration error {100 * fit['expected_error']:.1f} % with a temperature of "
            f"{fit['temperature']:.2f} (fitted on others), {100 * fit['expected_error_without']:.1f} % without. "
            f"Of the surer half of its answers {100 * fit['accuracy_of_surer_half']:.1f} % are right, of the others "
            f"{100 * fit['accuracy_of_other_half']:.1f} %."
        )
        lines.append(
            f'- "Unlike its training" is said of {100 * (1 - fit["unheard_actors_found_familiar"]):.1f} % of the '
            "recordings of actors never heard"
            + "".join(f", {100 * share:.0f} % of {kind}" for kind, share in report.get("foreign_sounds", {}).items())
            + "."
        )
    if speed := report.get("speed"):
        size = report["meta"]["shipped"]["bytes"] / 1e6
        lines.append(f"- {size:.2f} MB; 3 s of voice take {speed['milliseconds_of_3_s']:.0f} ms on the machine below.")
    if machine := report["meta"].get("machine"):
        lines += ["", f"Machine: {machine}; commit {report['meta']['commit']}."]
    return [*lines, ""]
