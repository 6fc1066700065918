"""What results.json says: as a table for a terminal, as three rows for the README, and as the page of results."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import cli
from datasets.errors import InputError
from datasets.files import require_file, write_text
from datasets.json_file import read_json

BEGIN = "<!-- results: made by python -m s2i.evaluation.results pretrained/results.json -->"
END = "<!-- end of results -->"
SUMMARY = {  # rows of the README
    "s2i": "**this model, from speech**",
    "attngan": "AttnGAN, from written captions",
    "stackgan": "StackGAN-v2, from written captions",
}
SUMMARY_COLUMNS = {  # of the README: ours to its; those that are empty throughout are left out
    "birds ↑, %": "birds ↑, %",
    "IS ↑": "IS ↑",
    "FID ↓": "FID ↓",
    "held-out": "R-precision ↑, %",
    "colours right, %": "colours right ↑, %",
    "pictures": "trained on, pictures",
}
EQUAL = "s2i_equal"  # the shipped model with the budget of its rivals


def columns(row: dict[str, Any]) -> dict[str, str]:
    """One row of the table, its numbers as text under the names of the columns."""
    observer = row.get("observer", {})

    def spread(scores: dict[str, Any], name: str, digits: int, factor: float = 1) -> str:
        if name not in scores:
            return ""
        return f"{scores[name]['mean'] * factor:.{digits}f} ± {scores[name]['std'] * factor:.{digits}f}"

    colours = row.get("colours")
    return {
        "birds ↑, %": spread(observer, "birds", 1),
        "IS by observer ↑": spread(observer, "inception_score", 2),
        "FID by observer ↓": spread(observer, "fid", 2),
        "KID × 1000 by observer ↓": spread(observer, "kid", 1, 1000),
        "R-precision by observer ↑, %": spread(observer, "r_precision", 1),
        "IS ↑": spread(row, "inception_score", 2),
        "FID ↓": spread(row, "fid", 2),
        "KID × 1000 ↓": spread(row, "kid", 1, 1000),
        "R-precision, %": spread(row, "r_precision", 1),
        "held-out": spread(row, "r_precision_held_out", 1),
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
    lines = ["| seen as said, % | all | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for name, row in table.items():
        shares = " | ".join(f"{row[attribute]:.1f}" for attribute in names)
        lines.append(f"| {name} | {row['all']:.1f} ± {row['all_std']:.1f} | {shares} |")
    return "\n".join(lines)


def full_size_as_markdown(figures: dict[str, Any]) -> str:
    """The figures of the largest pictures of the shipped model."""
    lines = [f"| {name.replace('_', ' ')} | {value:,.4g} |" for name, value in figures["full_size"].items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def summary(figures: dict[str, Any]) -> str:
    """The rows that the README shows, as far as they were scored, and what to think of when comparing them."""
    rows = {name: columns(figures["rows"][name]) for name in SUMMARY if name in figures["rows"]}
    shown = {own: title for own, title in SUMMARY_COLUMNS.items() if any(row[own] for row in rows.values())}
    lines = ["| | " + " | ".join(shown.values()) + " |", "|---|" + "---|" * len(shown)]
    for name, row in rows.items():
        lines.append(f"| {SUMMARY[name]} | " + " | ".join(row[column] for column in shown) + " |")
    parts = ["\n".join(lines)]
    if EQUAL in figures["rows"]:
        equal = columns(figures["rows"][EQUAL])
        parts.append(
            "This model was trained on more pictures than the others. On as many as they "
            f"({equal['pictures']}) it reaches an FID of {equal['FID ↓']} and an R-precision of {equal['held-out']} %."
        )
    return "\n\n".join(parts)


def page(figures: dict[str, Any], *, pictures: str, curves: str, drawings: Sequence[str] = ()) -> str:
    """All tables of a page of results, and what is drawn beside it.

    Args:
        pictures: the file that shows what each model painted.
        curves: the file that shows direct against transcribed painting.
        drawings: files that show the largest pictures.
    """
    meta = figures["meta"]
    origin = f"`{meta['command']}`, commit {meta['commit']}, seed {meta['seed']}, {meta['machine']}."
    parts = []
    if figures["rows"]:
        parts += [
            as_markdown(figures),
            "\n".join(f"- `{name}`: {row['about']}" for name, row in figures["rows"].items()),
            f"{meta['samples']} captions of test species, pictures of {meta['resolution']} px. IS, FID and KID by the "
            f"{meta['extractor']}. {_observer(meta)}{origin}",
            f"![What each model painted]({pictures})",
            "## Retrieval of photographs by the encoders alone",
            retrieval_as_markdown(figures),
        ]
    else:
        parts.append(origin)
    if "drawn" in figures:
        parts += ["## Synthetic birds, of which everything is known", synthetic_as_markdown(figures)]
    if "noise" in figures:
        parts += [
            "## Direct against transcribed",
            f"R-precision by the held-out judge, in percent, of {meta['noise_samples']} recordings each.",
            noise_as_markdown(figures),
            f"![Direct against transcribed]({curves})",
        ]
    if "full_size" in figures:
        parts += ["## The largest pictures of the shipped model", full_size_as_markdown(figures)]
        parts += [f"![{Path(name).stem}]({name})" for name in drawings]
    return "\n\n".join(parts)


def _observer(meta: dict[str, Any]) -> str:
    if "observer" not in meta:
        return ""
    return (
        f"Observer: {meta['observer']}, which no generator is trained against; birds are pictures that it calls one of "
        "ImageNet's 59 birds first, its IS is that of a classifier of species on its features, and photographs are "
        "scored on those alone that the classifier did not learn from. "
    )


def read(path: Path) -> dict[str, Any]:
    """A results file.

    Raises:
        InputError: if it is missing or not one.
    """
    try:
        figures: dict[str, Any] = read_json(path, "results", "make it again with scripts/evaluate.sh", dict)
        columns(next(iter(figures["rows"].values())))
        return figures
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise InputError(f"{path}: is not a results file ({error}); make it again with scripts/evaluate.sh") from error


def update(text: str, block: str) -> str:
    """`text` with `block` in the place of what stands between its two marks.

    Raises:
        InputError: if it has no place for it.
    """
    before, mark, rest = text.partition(BEGIN)
    _, other, after = rest.partition(END)
    if not (mark and other):
        raise InputError(f"the page has no place for results; add the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"


def write_page(figures: dict[str, Any], output: Path, drawings: Sequence[Path] = ()) -> Path:
    """Write the page beside the results file `output`; one that is there keeps what stands outside of its marks.

    Raises:
        InputError: if it cannot be written, or has no place for results.
    """
    path = output.with_suffix(".md")
    old = path.read_text(encoding="utf-8") if path.is_file() else f"# Results\n\n{BEGIN}\n{END}\n"
    write_text(path, update(old, _page_beside(figures, output, drawings)))
    return path


def _page_beside(figures: dict[str, Any], output: Path, drawings: Sequence[Path]) -> str:
    names = [path.name for path in drawings if path.is_file()]
    return page(figures, pictures=f"{output.stem}.jpg", curves=f"{output.stem}.png", drawings=names)


def updated(source: Path) -> dict[Path, str]:
    """The README and the page beside the results file `source`, by path, as they should be with these results.

    Raises:
        InputError: if a file is missing, is no results file, or has no place for results.
    """
    from s2i.evaluation.full_size import drawings

    figures = read(source)
    readme, about = cli.repository() / "README.md", source.with_suffix(".md")
    require_file(about, "page of results")
    blocks = {readme: summary(figures), about: _page_beside(figures, source, drawings(source))}
    return {path: update(path.read_text(encoding="utf-8"), block) for path, block in blocks.items()}


def main(arguments: list[str]) -> None:
    """Put the tables of the results file that is named into the README and into the page beside that file."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise InputError("results: name one results file, such as pretrained/results.json")
    for path, text in updated(Path(arguments[0])).items():
        write_text(path, text)
        print(path, file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
