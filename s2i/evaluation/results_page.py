"""The page of an evaluation: its tables, and what every model painted of the same captions, side by side."""

from pathlib import Path
from typing import Any

import torch

from s2i.evaluation import full_size, noise_figure, results
from s2i.evaluation.evaluation import Evaluation
from s2i.evaluation.picture_grid import save_grid

SHOWN = 10  # captions


def write(figures: dict[str, Any], evaluation: Evaluation, output: Path) -> Path:
    """Write the page (Markdown), and the pictures and curves that it shows, beside `output`, under its name.

    A page that is there keeps what stands outside of its marks for results.

    Raises:
        InputError: if they cannot be written, or if the page that is there has no place for results.
    """
    pictures, curves = (output.with_suffix(suffix) for suffix in (".jpg", ".png"))
    if figures["rows"]:
        _draw(evaluation, list(figures["rows"]), pictures)
    if "noise" in figures:
        noise_figure.draw(figures["noise"], curves)
    return results.write_page(figures, output, full_size.drawings(output))


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
