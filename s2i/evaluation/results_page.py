"""The page of an evaluation: its tables, and what every model painted of the same captions, side by side."""

from pathlib import Path
from typing import Any

import torch

from datasets.files import write_text
from s2i.evaluation import full_size, noise_figure, results
from s2i.evaluation.evaluation import Evaluation
from s2i.evaluation.picture_grid import save_grid

SHOWN = 10  # captions


def write(figures: dict[str, Any], evaluation: Evaluation, output: Path) -> Path:
    """Write the page (Markdown), and the pictures and curves that it shows, beside `output`, under its name.

    Raises:
        InputError: if they cannot be written.
    """
    page, pictures, curves = (output.with_suffix(suffix) for suffix in (".md", ".jpg", ".png"))
    meta = figures["meta"]
    parts = [
        "# Results",
        f"`{meta['command']}`, commit {meta['commit']}, seed {meta['seed']}, {meta['machine']}, {meta['precision']}.",
    ]
    if figures["rows"]:
        _draw(evaluation, list(figures["rows"]), pictures)
        parts += [
            f"{meta['samples']} captions of test species, pictures of {meta['resolution']} px. IS, FID and KID by the "
            f"{meta['extractor']}.",
            results.as_markdown(figures),
            "\n".join(f"- `{name}`: {row['about']}" for name, row in figures["rows"].items()),
            f"![What each model painted]({pictures.name})",
            "## Retrieval of photographs by the encoders alone",
            results.retrieval_as_markdown(figures),
        ]
    if "drawn" in figures:
        parts += ["## Synthetic birds, of which everything is known", results.synthetic_as_markdown(figures)]
    if "noise" in figures:
        noise_figure.draw(figures["noise"], curves)
        parts += [
            "## Direct against transcribed",
            f"R-precision by the held-out judge, in percent, of {meta['noise_samples']} recordings each.",
            results.noise_as_markdown(figures),
            f"![Direct against transcribed]({curves.name})",
        ]
    if "full_size" in figures:
        parts += ["## The largest pictures of the shipped model", results.full_size_as_markdown(figures)]
        parts += [f"![{path.stem}]({path.name})" for path in full_size.drawings(output) if path.is_file()]
    write_text(page, "\n\n".join(parts) + "\n")
    return page


def _draw(evaluation: Evaluation, names: list[str], path: Path) -> None:
    """A row of pictures for each caption, a column for each model."""
    count = len(evaluation.samples)
    rows = torch.linspace(0, count - 1, min(SHOWN, count)).long()
    columns = [
        evaluation.photographs(rows) if name == "real" else evaluation.pictures(name, evaluation.model(name), 0, rows)
        for name in names
    ]
    captions = [evaluation.samples.captions[row] for row in rows]
    save_grid(path, list(zip(*columns, strict=True)), titles=[names], labels=captions)
