"""The measured tables of pretrained/speed.md, between the marks that it has for them."""

from pathlib import Path
from typing import Any

from datasets.errors import InputError
from datasets.files import require_file, write_text

WHAT = {
    "train_256": "training step, 256 px, three stages",
    "train_512": "training step, 512 px, all four stages together",
    "train_512_grown": "training step, 512 px, the fourth stage on top of the others",
    "damsm_step": "DAMSM step, features of Inception cached",
    "sen_step": "speech encoder step, features and log-mels cached",
    "latency_512": "recording to 512 px PNG, published widths",
    "latency_512_shipped": "recording to 512 px PNG, shipped model",
    "throughput_512": "the same, 16 pictures, published widths",
    "throughput_512_shipped": "the same, 16 pictures, shipped model",
    "loader": "loader, 256 px",
    "cold_start": "new interpreter to first picture, beside importing torch alone",
}
PARTS = {
    "bf16": "bfloat16 instead of single precision",
    "channels_last": "weights laid out channels-last; what is computed is so either way",
    "narrow_discriminators": "discriminators of capped width without squeeze convolutions",
    "small_image_encoder": "DAMSM trunk trained here instead of Inception-v3",
    "feature_discriminator": "discriminator on the frozen encoder's features",
    "affine": "sentence and noise in every gated convolution",
}


def number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def comparison(found: dict[str, Any]) -> str:
    """One line for each row of the bench."""
    lines = [
        "| what | batch | this project | plain reference | times better | in processor time | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, what in WHAT.items():
        if row := found.get(name):
            unit = row["unit"] if row["unit"] == "pictures/s" else "s a picture"
            sides = [f"{number(row[side])} {unit}" for side in ("ours", "reference")]
            memory = "-"
            if "ours_memory_mb" in row:
                memory = f"{row['ours_memory_mb']:,} / {row['reference_memory_mb']:,}"
            ratios = ["-", "-"]
            if name != "cold_start":
                ratios = [f"**{row['ratio']:.2g}**", f"{row['processor_ratio']:.2g}"]
            lines.append(f"| {what} | {row.get('batch', 1)} | {' | '.join([*sides, *ratios, memory])} |")
    return "\n".join(lines)


def ablation(found: dict[str, Any]) -> str:
    """What each part of the step at 256 px brings."""
    lines = ["| part | the step without it takes (in processor time) | memory with / without, MB |", "|---|---|---|"]
    for name, what in PARTS.items():
        if row := found.get("ablation", {}).get(name):
            memory = f"{row['memory_mb']:,} / {row['without_mb']:,}"
            lines.append(f"| {what} | {row['times_faster']:.2f} times as long ({row['processor']:.2f}) | {memory} |")
    return "\n".join(lines)


def growing(found: dict[str, Any]) -> str:
    """Each training of the shipped recipe, beside all four stages from the start."""
    lines = ["| training | pictures | pictures/s | hours | MB |", "|---|---|---|---|---|"]
    for name, row in found.get("growing", {}).items():
        if name != "saved":
            what = "all four stages from the start" if name == "together" else f"preset `{name}`"
            figures = [f"{row['pictures']:,}", number(row["pictures_per_second"]), number(row["hours"])]
            lines.append(f"| {what} | {' | '.join(figures)} | {row['memory_mb']:,} |")
    if saved := found.get("growing", {}).get("saved"):
        told = f"One stage after the other: {number(saved['grown_hours'])} hours, {saved['ratio']:.1f} times less."
        return "\n".join([*lines, "", told])
    return "\n".join(lines)


def quality(found: dict[str, Any]) -> str:
    """What the two sides of the training step learn from as many pictures."""
    if not (row := found.get("quality")):
        return "Not measured."
    lines = ["| step | FID | held-out R-precision | processor time |", "|---|---|---|---|"]
    sides = {"ours": "this project's", "reference": "plain reference"}
    without = {name: f"this project's, without: {what}" for name, what in PARTS.items()}
    for side, what in {**sides, **without}.items():
        if not (one := row.get(side)):
            continue
        fid, match = ([one[name][part] for part in ("mean", "std")] for name in ("fid", "r_precision_held_out"))
        precision = f"{match[0]:.1f} ± {match[1]:.1f} %"
        lines.append(
            f"| {what} | {fid[0]:.1f} ± {fid[1]:.1f} | {precision} | {one['processor_seconds'] / 60:.0f} min |"
        )
    told = f"{row['pictures']:,} pictures at {row['side']} px in batches of {row['batch_size']}, seed {row['seed']}; "
    return "\n".join([*lines, "", told + f"scored on {row['samples']:,} test captions, each painted twice."])


def cost(found: dict[str, Any]) -> str:
    """Seconds and MB of a picture at every point, and how they grow."""
    lines = ["| | side, px | batch | stages | segments | s a picture | MB a picture |", "|---|---|---|---|---|---|---|"]
    for name, sweep in found.get("cost", {}).items():
        kind, _, varied = name.partition("_")
        for row in sweep["rows"]:
            places = [
                f"**{row[key]}**" if key == varied else str(row[key]) for key in ("side", "batch", "stages", "segments")
            ]
            figures = [number(row["seconds_per_picture"]), number(row["memory_mb_per_picture"])]
            lines.append(f"| {kind} | {' | '.join([*places, *figures])} |")
    return "\n".join(lines)


def growth(found: dict[str, Any]) -> str:
    """How each sweep grows from its first point to its last, and between which neighbours most."""
    steps = [
        f"{name.replace('_', ', ')} {sweep['growth']:.2f} ({sweep['steepest']:.2f})"
        for name, sweep in found.get("cost", {}).items()
    ]
    return (
        "Growth in processor time from the first to the last (1: as pixels x batch, or as the number itself), and in "
        "brackets the steepest between two neighbours: " + "; ".join(steps) + "."
    )


def machine(found: dict[str, Any]) -> str:
    """What it was measured on, and how near the reference comes to the published code."""
    meta = found["meta"]
    versions = ", ".join(f"{name} {value}" for name, value in meta["versions"].items())
    text = f"Measured on {meta['machine']}, threads: {meta['threads']}; {versions}; commit {meta['commit']}."
    if near := found.get("train_256", {}).get("reference_over_published"):
        speed, memory = near["on_two_idle_cores"], near["memory"]
        text += f"\n\nBy processor time on two cores the reference has {speed:.2f} of the published code's "
        text += f"1.09 pictures/s, and {memory:.2f} of its 5.1 GB."
    return text


def write(page: Path, found: dict[str, Any]) -> None:
    """Put the tables into the page.

    Raises:
        InputError: if the page is missing or lacks a mark.
    """
    text = require_file(page, "page").read_text(encoding="utf-8")
    for name, made in {
        "comparison": comparison,
        "quality": quality,
        "growing": growing,
        "ablation": ablation,
        "cost": cost,
        "growth": growth,
        "machine": machine,
    }.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, mark, rest = text.partition(begin)
        _, other, after = rest.partition(end)
        if not mark or not other:
            raise InputError(f"{page}: has no place marked for {name}; restore the page")
        text = f"{before}{begin}{made(found)}\n{end}{after}"
    write_text(page, text)
