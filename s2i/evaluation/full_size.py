"""The shipped model at full size: does a picture match its recording, is its last stage more than the one before?"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation import distances, metrics
from attngan.networks.image_encoder import ImageEncoder
from s2i.evaluation.evaluation_set import EvaluationSet
from s2i.evaluation.models import ComparedModel
from s2i.evaluation.picture_grid import save_grid

BATCH = 16  # recordings painted and compared at a time
COLUMNS = 8  # of a grid
DETAILS = 8  # pictures shown at the last two stages


@dataclass(frozen=True)
class FullSize:
    """What was painted of N recordings, and what an image encoder sees in it.

    Attributes:
        sentences: of the recordings, [N, D].
        photographs, pictures: vectors of the photographs and of the largest pictures, [N, D].
        fine_detail: of each largest picture, over that of the picture before enlarged, [N]; none of a single stage.
        shown: the largest pictures of some recordings, [M, 3, S, S].
        enlarged: the pictures before them enlarged, [M, 3, S, S]; none of a single stage.
    """

    sentences: Tensor
    photographs: Tensor
    pictures: Tensor
    fine_detail: Tensor
    shown: list[Tensor]
    enlarged: list[Tensor]


def measure(
    model: ComparedModel, image: ImageEncoder, samples: EvaluationSet, *, grid: int, seed: int, output: Path
) -> dict[str, float]:
    """Paint recordings in all sizes and score the largest pictures.

    A grid of some pictures is written to OUTPUT-grid.png, and the middle of the first of them at the last two stages,
    large enough to show single pixels, to OUTPUT-detail.png.

    Args:
        model: paints from speech.
        image: the encoder that it was trained with, which flatters it, on the CPU.
        grid: how many of the pictures to show.
        seed: of the noise, and of the captions that R-precision chooses from.
        output: whose name the drawings begin with.

    Returns:
        R-precision in percent of the pictures ("r_precision", "r_precision_std"), of the photographs, and of pictures
        that were exchanged; the cosine of pictures and recordings, and exchanged; the Frechet distance of the encoder's
        vectors; and the median fine detail (`fine_detail`) of the last stage over the one before.

    Raises:
        InputError: if the drawings cannot be written.
    """
    shown = np.linspace(0, len(samples) - 1, min(grid, len(samples))).astype(int)
    seen = _paint(model, image, samples, seed, set(shown.tolist()))
    _draw(seen, [samples.captions[place] for place in shown], model.generator.resolutions, output)
    exchanged = seen.pictures.roll(len(samples) // 2, 0)
    candidates = min(100, len(samples) // 2)

    def precision(pictures: Tensor) -> metrics.Score:
        return metrics.r_precision(pictures, seen.sentences, samples.species, candidates=candidates, seed=seed)

    def cosine(pictures: Tensor) -> float:
        return float(F.cosine_similarity(pictures, seen.sentences).mean())

    detail = {"fine_detail_of_last_stage": float(seen.fine_detail.median())} if len(seen.fine_detail) else {}
    score = precision(seen.pictures)
    return {
        "pictures": len(samples),
        "r_precision": score.mean,
        "r_precision_std": score.std,
        "r_precision_real_photographs": precision(seen.photographs).mean,
        "r_precision_recordings_exchanged": precision(exchanged).mean,
        "cosine": cosine(seen.pictures),
        "cosine_recordings_exchanged": cosine(exchanged),
        "frechet_of_damsm_features": distances.frechet_distance(seen.photographs, seen.pictures),
        **detail,
    }


@torch.no_grad()
def _paint(model: ComparedModel, image: ImageEncoder, samples: EvaluationSet, seed: int, shown: set[int]) -> FullSize:
    sentences, photographs, pictures, detail = [], [], [], []
    largest, enlarged_ones = [], []
    batches = torch.arange(len(samples)).split(BATCH)
    for rows in tqdm(batches, desc="full size", unit="batch", file=sys.stderr):
        condition = model.encode([samples.captions[k] for k in rows], lambda rows=rows: samples.mels(rows))  # type: ignore[misc]
        stages = [
            part.cpu() for part in model.paint(condition, samples.seeds(rows, seed), model.generator.resolutions[-1])
        ]
        sentences.append(condition.sentence.cpu())
        photographs.append(image(samples.photographs(rows, image.trunk.size)).pooled)
        pictures.append(image(stages[-1]).pooled)
        some = [place for place, row in enumerate(rows.tolist()) if row in shown]
        largest += list(stages[-1][some])
        if len(stages) > 1:
            enlarged = F.interpolate(stages[-2], scale_factor=2.0, mode="bicubic")
            detail.append(fine_detail(stages[-1]) / fine_detail(enlarged))
            enlarged_ones += list(enlarged[some])
    return FullSize(
        torch.cat(sentences),
        torch.cat(photographs),
        torch.cat(pictures),
        torch.cat(detail) if detail else torch.empty(0),
        largest,
        enlarged_ones,
    )


def fine_detail(pictures: Tensor) -> Tensor:
    """Spectral energy above half of the Nyquist frequency, [B], of pictures [B, 3, S, S].

    A picture of half the side, enlarged, has next to none there.
    """
    resolution = pictures.shape[-1]
    energy = torch.fft.rfft2(pictures.float().mean(1)).abs().square()
    rows = torch.fft.fftfreq(resolution)[:, None].abs()
    columns = torch.fft.rfftfreq(resolution)[None]
    return (energy * ((rows > 0.25) | (columns > 0.25))).sum((1, 2))


def drawings(output: Path) -> tuple[Path, Path]:
    """Where the grid and the details go that belong to the results file `output`."""
    return output.with_name(f"{output.stem}-grid.png"), output.with_name(f"{output.stem}-detail.png")


def _draw(seen: FullSize, captions: list[str], resolutions: list[int], output: Path) -> None:
    grid, detail = drawings(output)
    starts = range(0, len(captions), COLUMNS)
    rows = [seen.shown[start : start + COLUMNS] for start in starts]
    save_grid(grid, rows, titles=[captions[start : start + COLUMNS] for start in starts])
    if seen.enlarged:
        middle = slice(resolutions[-1] // 4, resolutions[-1] * 3 // 4)
        pairs = [
            [picture[..., middle, middle] for picture in pictures[:DETAILS]] for pictures in (seen.enlarged, seen.shown)
        ]
        labels = [f"{resolutions[-2]} px, enlarged", f"{resolutions[-1]} px"]
        save_grid(detail, pairs, titles=(), labels=labels)
