"""The command that measures a trained model: does the picture match, and is 512 px more than 256 enlarged?"""

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation import distances, metrics
from attngan.networks import encoders
from attngan.networks.condition import Condition
from attngan.networks.generator import Generator
from attngan.networks.image_encoder import ImageEncoder
from attngan.runtime.machine import environment
from datasets import cli
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import replacing, write_text
from datasets.loader import Loader, to_unit
from s2i.model.pipeline import SpeechToImage
from s2i.model.speech_encoder import SpeechEncoder

DETAILS = 8  # pictures shown at the last two sizes


@dataclass(frozen=True)
class MeasureConfig:
    """What is measured, and on what."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, whose test split is painted."""
    model: Path = cli.repository() / "pretrained"
    """Folder with speech.safetensors and generator.safetensors."""
    damsm: Path = Path("runs/damsm/best.safetensors")
    """The image encoder that judges; the same that training used, so its figures flatter the model."""
    output: Path = Path("outputs/measures.json")
    """Where the figures go; beside it a grid of pictures, and the middle of some at the last two stages."""
    pictures: int = 2_933
    """How many test recordings to paint."""
    grid: int = 40
    """How many of them to show in the grid, with their captions."""
    seed: int = 0
    """Of the noise."""

    def __post_init__(self) -> None:
        cli.check_range("pictures", self.pictures, 4)
        cli.check_range("grid", self.grid, 1, self.pictures)
        cli.check_range("seed", self.seed, 0)


def main(arguments: list[str]) -> None:
    """Measure as the command line asks for and print the figures."""
    config = cli.parse(MeasureConfig, {"shipped": MeasureConfig()}, arguments, description="Measure a trained model.")
    found = measure(config)
    write_text(config.output, json.dumps({**found, **environment(), "seed": config.seed}, indent=2))
    for name, value in found.items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")


def measure(config: MeasureConfig) -> dict[str, float]:
    """Paint test recordings, by voices not heard in training where there are any, and score the pictures.

    Raises:
        InputError: for a missing corpus, model or DAMSM file.
    """
    corpus = Corpus(config.corpus)
    model = SpeechToImage.load(config.model)
    image, _ = encoders.load_image_encoder(config.damsm)
    unheard = corpus.measuring_voices
    loader = Loader(corpus, "test", batch_size=16, size=image.trunk.size, speech=True, heard=unheard, augment=False)
    if len(loader) < config.pictures:
        raise InputError(f"--pictures {config.pictures}: the test split has {len(loader)} recordings; give fewer")
    chosen = np.linspace(0, config.pictures - 1, config.grid).astype(int)
    # Spread over species, which the corpus keeps together.
    order = np.random.default_rng(config.seed).permutation(len(loader.indices))[: config.pictures]
    loader.indices = loader.indices[np.sort(order)]
    collected = _paint(model.encoder, model.generator, image, loader, config, set(chosen.tolist()))
    recordings = corpus.recordings_by_picture(unheard)
    said = [corpus.recording_caption[recordings[loader.indices[place]][0]] for place in chosen]
    captions = [corpus.captions[caption] if caption >= 0 else "" for caption in said]
    species = collected["species"].long()
    own, real, painted = collected["sentence"], collected["real"], collected["painted"]
    exchanged = painted.roll(len(painted) // 2, 0)
    candidates = min(100, len(painted) // 2)
    with replacing(config.output.with_suffix(".png")) as path:
        _grid(collected["grid"], captions, path)
    if "enlarged" in collected:
        resolutions = model.generator.resolutions
        middle = slice(resolutions[-1] // 4, resolutions[-1] * 3 // 4)  # large enough on the page to show single pixels
        pairs = torch.stack([collected["enlarged"][:DETAILS], collected["grid"][:DETAILS]], 1).flatten(0, 1)
        pairs = pairs[..., middle, middle]
        titles = [f"{resolutions[-2]} px, enlarged", f"{resolutions[-1]} px"] * DETAILS
        with replacing(config.output.with_name(f"{config.output.stem}-detail.png")) as path:
            _grid(pairs, titles, path)

    def precision(pictures: Tensor) -> metrics.Score:
        return metrics.r_precision(pictures, own, species, candidates=candidates, seed=config.seed)

    def likeness(pictures: Tensor) -> float:
        return float(F.cosine_similarity(pictures, own).mean())

    detail = {"fine_detail_of_last_stage": float(collected["detail"].median())} if "detail" in collected else {}
    return {
        "pictures": float(len(painted)),
        "r_precision": precision(painted).mean,
        "r_precision_std": precision(painted).std,
        "r_precision_real_photographs": precision(real).mean,
        "r_precision_recordings_exchanged": precision(exchanged).mean,
        "cosine": likeness(painted),
        "cosine_recordings_exchanged": likeness(exchanged),
        "frechet_of_damsm_features": distances.frechet_distance(real, painted),
        **detail,
    }


@torch.no_grad()
def _paint(
    speech: SpeechEncoder,
    generator: Generator,
    image: ImageEncoder,
    loader: Loader,
    config: MeasureConfig,
    chosen: set[int],
) -> dict[str, Tensor]:
    names = ("sentence", "real", "painted", "species", "detail", "grid", "enlarged")
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    draws = torch.Generator().manual_seed(config.seed)
    done = 0
    for batch in tqdm(loader.once(), total=-(-len(loader) // 16), desc="painting", unit="batch"):
        assert batch.pictures is not None
        condition: Condition = speech.encode(batch)
        widths = (generator.noise, generator.arguments["conditioning"])  # as `SpeechToImage` paints
        noise, epsilon = (torch.randn(len(batch), width, generator=draws) for width in widths)
        with torch.autocast("cpu", torch.bfloat16):
            pictures = generator(condition, noise, epsilon).pictures
        kept["sentence"].append(condition.sentence)
        kept["species"].append(batch.species)
        kept["real"].append(image(to_unit(batch.pictures)).pooled)
        kept["painted"].append(image(pictures[-1]).pooled)
        if len(pictures) > 1:
            enlarged = F.interpolate(pictures[-2], scale_factor=2.0, mode="bicubic")
            kept["detail"].append(fine_detail(pictures[-1]) / fine_detail(enlarged))
        shown = [row for row in range(len(batch)) if done + row in chosen]
        kept["grid"] += list(pictures[-1][shown])
        if len(pictures) > 1:
            kept["enlarged"] += list(enlarged[shown])
        done += len(batch)
    return {
        name: (torch.stack if name in ("grid", "enlarged") else torch.cat)(values)
        for name, values in kept.items()
        if values
    }


def fine_detail(pictures: Tensor) -> Tensor:
    """Spectral energy above half of the Nyquist frequency, [B], of pictures [B, 3, S, S].

    A picture of half the side, enlarged, has next to none there.
    """
    resolution = pictures.shape[-1]
    energy = torch.fft.rfft2(pictures.float().mean(1)).abs().square()
    rows = torch.fft.fftfreq(resolution)[:, None].abs()
    columns = torch.fft.rfftfreq(resolution)[None]
    return (energy * ((rows > 0.25) | (columns > 0.25))).sum((1, 2))


def _grid(pictures: Tensor, captions: list[str], path: Path) -> None:
    """Pictures [N, 3, S, S] in [-1, 1], eight in a row, each under what was said."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(8, len(pictures))
    rows = -(-len(pictures) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(2.1 * columns, 2.7 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, caption in zip(axes.flat, pictures, captions, strict=False):
        axis.imshow((picture.permute(1, 2, 0) * 0.5 + 0.5).clamp(0, 1).numpy())
        axis.set_title("\n".join(textwrap.wrap(caption, 32)[:4]), fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    cli.run(main)
