"""What results.json says, as tables for a terminal, for the README and for pages."""

import json
import sys
from pathlib import Path
from typing import Any

from datasets import cli
from datasets.errors import InputError
from datasets.files import require_file, write_text

BEGIN, END = "<!-- results: made by python -m s2i.evaluation.results -->", "<!-- end of results -->"


def columns(row: dict[str, Any]) -> dict[str, str]:
    """One row of the table, its numbers as text under the names of the columns."""

    def spread(name: str, digits: int, factor: float = 1) -> str:
        if name not in row:
            return ""
        return f"{row[name]['mean'] * factor:.{digits}f} ± {row[name]['std'] * factor:.{digits}f}"

    colours = row.get("colours")
    return {
        "IS ↑": spread("inception_score", 2),
        "FID ↓": spread("fid", 2),
        "KID × 1000 ↓": spread("kid", 1, 1000),
        "R-precision, %": spread("r_precision", 1),
        "held-out": spread("r_precision_held_out", 1),
        "recall@10, %": f"{row['recall']['at_10']:.1f}" if "recall" in row else "",
        "mAP, %": f"{row['recall']['mean_average_precision']:.1f}" if "recall" in row else "",
        "colours right, %": f"{colours['right']:.0f} ({colours['exchanged']:.0f})" if colours else "",
        "WER, %": f"{row['word_error_rate']:.1f}" if "word_error_rate" in row else "",
        "pictures": f"{row['budget_pictures']:,}" if row.get("budget_pictures") else "",
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """The table of all rows in Markdown, without columns that are empty throughout."""
    rows = {name: columns(row) for name, row in figures["rows"].items()}
    names = [name for name in next(iter(rows.values())) if any(row[name] for row in rows.values())]
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    lines += [f"| `{name}` | " + " | ".join(row[column] for column in names) + " |" for name, row in rows.items()]
    return "\n".join(lines)


def as_text(figures: dict[str, Any]) -> str:
    """The same table for a terminal, and which extractor made its numbers."""
    if not figures["rows"]:
        return ""
    cells = [[part.strip().strip("`") for part in line.split("|")[1:-1]] for line in as_markdown(figures).splitlines()]
    del cells[1]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([*lines, f"IS, FID and KID by: {figures['meta']['extractor']}"])


def noise_as_markdown(figures: dict[str, Any]) -> str:
    """Direct against transcribed, condition by condition."""
    lines = ["| condition | direct | transcribed | word error rate, % |", "|---|---|---|---|"]
    for each in figures.get("noise", []):
        level = "" if each["level"] is None else f" {each['level']:g}"
        scores = [f"{each[name]['mean']:.1f} ± {each[name]['std']:.1f}" for name in ("s2i", "transcribe")]
        lines.append(f"| {each['condition']}{level} | {' | '.join(scores)} | {each['word_error_rate']:.1f} |")
    return "\n".join(lines)


def retrieval_as_markdown(figures: dict[str, Any]) -> str:
    """How well the encoders alone find photographs of test species."""
    lines = ["| captions | R-precision, % | recall@1 | recall@5 | recall@10 |", "|---|---|---|---|---|"]
    for name, each in figures.get("retrieval", {}).items():
        recalls = " | ".join(f"{each[f'recall_at_{k}']:.1f}" for k in (1, 5, 10))
        spread = f"{each['r_precision']:.1f} ± {each['r_precision_std']:.1f}"
        lines.append(f"| {name.replace('_', ' ')} | {spread} | {recalls} |")
    return "\n".join(lines)


def synthetic_as_markdown(figures: dict[str, Any]) -> str:
    """What of the sentences about synthetic birds is seen in the pictures, attribute by attribute."""
    table = {name: row for name, row in figures["drawn"].items() if name != "meta"}
    names = [name for name in table["real"] if not name.startswith("all")]
    lines = [
        "| synthetic birds: seen as said, % | all | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for name, row in table.items():
        shares = " | ".join(f"{row[attribute]:.1f}" for attribute in names)
        lines.append(f"| {name} | {row['all']:.1f} ± {row['all_std']:.1f} | {shares} |")
    return "\n".join(lines)


def full_size_as_markdown(figures: dict[str, Any]) -> str:
    """The figures of the largest pictures of the shipped model."""
    lines = [f"| {name.replace('_', ' ')} | {value:,.4g} |" for name, value in figures["full_size"].items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def block(figures: dict[str, Any]) -> str:
    """What stands in the README between its two marks."""
    meta = figures["meta"]
    about = "\n".join(f"- `{name}`: {row['about']}" for name, row in figures["rows"].items())
    origin = (
        f"{meta['samples']} test captions at {meta['resolution']} px, seed {meta['seed']}, commit {meta['commit']}; "
        f"IS, FID and KID by the {meta['extractor']}; `{meta['command']}`."
    )
    parts = [as_markdown(figures), about, origin]
    if "drawn" in figures:
        parts.append(synthetic_as_markdown(figures))
    return "\n\n".join([BEGIN, *parts, END])


def read(path: Path) -> dict[str, Any]:
    """A results file.

    Raises:
        InputError: if it is missing or not one.
    """
    require_file(path, "results")
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        columns(next(iter(figures["rows"].values())))
        return figures
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise InputError(f"{path}: is not a results file ({error}); make it again with scripts/evaluate.sh") from error


def update(readme: str, figures: dict[str, Any]) -> str:
    """The text of a README with the block of these results in the place of the one that it has.

    Raises:
        InputError: if it has no place for them.
    """
    before, mark, rest = readme.partition(BEGIN)
    _, other, after = rest.partition(END)
    if not (mark and other):
        raise InputError(f"README.md: has no place for results; add the lines {BEGIN} and {END}")
    return f"{before}{block(figures)}{after}"


def main(arguments: list[str]) -> None:
    """Put the table of pretrained/results.json, or of the file that is named, into the README."""
    source = Path(arguments[0]) if arguments else cli.repository() / "pretrained/results.json"
    readme = cli.repository() / "README.md"
    write_text(readme, update(readme.read_text(encoding="utf-8"), read(source)))
    print(readme, file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
