"""The page of an evaluation: its tables, and what every model painted of the same captions, side by side."""

import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.files import replacing, write_text
from s2i.evaluation import noise, painters, results
from s2i.evaluation.evaluation import Evaluation

SHOWN = 10  # captions


def write(found: dict[str, Any], evaluation: Evaluation, output: Path) -> list[Path]:
    """Write the page (Markdown), the pictures and the curves beside `output`, under its name.

    A page that is there keeps what stands outside of its marks for results.

    Raises:
        InputError: if they cannot be written, or if the page that is there has no place for results.
    """
    page, pictures, curves = (output.with_suffix(suffix) for suffix in (".md", ".jpg", ".png"))
    _draw(evaluation, list(found["rows"]), pictures)
    written = [page, pictures]
    if "noise" in found:
        noise.draw(found["noise"], curves)
        written.append(curves)
    tables = results.page(found, pictures.name, curves.name)
    old = page.read_text(encoding="utf-8") if page.is_file() else f"# Results\n\n{results.BEGIN}\n{results.END}\n"
    write_text(page, results.update(old, tables))
    return written


def _draw(evaluation: Evaluation, names: list[str], path: Path) -> None:
    """A row of pictures for each caption, a column for each model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    config = evaluation.config
    chosen = torch.linspace(0, len(evaluation.trials) - 1, min(SHOWN, len(evaluation.trials))).long()
    shown: dict[str, Tensor] = {}
    for name in names:
        if name == "real":
            shown[name] = evaluation.photographs(chosen)
        else:
            painter = painters.load(name, model=config.model, baselines=config.baselines)
            shown[name] = evaluation.painting(name, painter, 0)(chosen)
    figure, axes = pyplot.subplots(
        len(chosen), len(names), figsize=(1.6 * len(names) + 2.4, 1.65 * len(chosen)), squeeze=False
    )
    for column, (name, pictures) in enumerate(shown.items()):
        for row, picture in enumerate(pictures):
            axis = axes[row][column]
            axis.imshow((picture.permute(1, 2, 0) * 0.5 + 0.5).clamp(0, 1).numpy())
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_frame_on(False)
            if row == 0:
                axis.set_title(name, fontsize=9)
            if column == 0:
                caption = textwrap.fill(evaluation.trials.captions[int(chosen[row])], 26)
                axis.set_ylabel(caption, fontsize=7, rotation=0, ha="right", va="center", labelpad=6)
    figure.tight_layout(pad=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, pil_kwargs={"quality": 88})
    pyplot.close(figure)
