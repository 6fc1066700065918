"""Pictures side by side, each under its title, as one PNG or JPEG."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from datasets.files import replacing

CELL = 1.65  # inches
LINE = 0.13  # inches of a line of a title
WIDTH = 26  # characters of a line
DOTS_PER_INCH = 100
QUALITY = 88  # of a JPEG


def save_grid(
    path: Path, rows: Sequence[Sequence[Tensor]], *, titles: Sequence[Sequence[str]], labels: Sequence[str] = ()
) -> None:
    """Draw rows of pictures [3, S, S] in [-1, 1].

    Args:
        path: a .png or .jpg file.
        titles: of each row the titles over its pictures; rows beyond them have none.
        labels: of each row, at its left.

    Raises:
        InputError: if it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    wrapped = [["\n".join(textwrap.wrap(title, WIDTH)[:4]) for title in row] for row in titles]
    lines = max((title.count("\n") + 1 for row in wrapped for title in row), default=0)
    columns = max(map(len, rows))
    height = CELL + LINE * lines * (len(titles) > 1)
    size = (CELL * columns + 2.4 * bool(labels), height * len(rows) + LINE * lines)
    figure = Figure(figsize=size, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_frame_on(False)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            axes[row][column].imshow((picture.permute(1, 2, 0) * 0.5 + 0.5).clamp(0, 1).cpu().numpy())
        for column, title in enumerate(wrapped[row] if row < len(wrapped) else ()):
            axes[row][column].set_title(title, fontsize=7, parse_math=False)
        if row < len(labels):
            label = textwrap.fill(labels[row], WIDTH)
            place = {"rotation": 0, "ha": "right", "va": "center", "labelpad": 6}
            axes[row][0].set_ylabel(label, fontsize=7, parse_math=False, **place)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DOTS_PER_INCH, pil_kwargs={"quality": QUALITY} if path.suffix == ".jpg" else None)
