"""Whether the cheaper training step costs quality: both steps learn from the same captions.

    python -m scripts.benchmark.quality --corpus data/cub.h5 --json pretrained/bench.json
    python -m scripts.benchmark.quality --corpus data/cub.h5 --json pretrained/bench.json --only bf16,affine

Each trains in its own way, networks, losses, optimizers and precision included, for as many pictures and with the same
frozen encoders: the shipped ones, since no weights of Inception-v3 can be. Then both paint the test captions with
their averaged weights. The second command trains this project's step without a part, as the bench's ablation times it.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from attngan.evaluation import scores
from attngan.evaluation.evaluators import concatenate
from attngan.networks import encoders
from attngan.networks.condition import Condition
from attngan.networks.generator import load_generator
from attngan.networks.image_encoder import ImageEncoder
from attngan.networks.text_encoder import TextEncoder
from attngan.runtime.machine import environment
from attngan.training.gan_config import GanConfig
from attngan.training.picture_batches import pyramid
from datasets import cli
from datasets.captions import pad
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import write_text
from datasets.loader import Loader, to_unit
from s2i import train_gan
from s2i.evaluation.evaluate_config import EvaluateConfig
from s2i.evaluation.evaluation import Evaluation
from s2i.model import model_folder
from s2i.train_gan import PRESETS
from scripts.benchmark.ablation import BEYOND, WITHOUT
from scripts.benchmark.reference import NOISE, Training

KEY = "quality"
OURS, REFERENCE = "ours", "reference"
ALIKE = ("channels_last", "small_image_encoder")  # the one changes no number, the other needs weights of Inception-v3
PARTS = {name: changes for name, changes in {**WITHOUT, **BEYOND}.items() if name not in ALIKE}


@dataclass(frozen=True)
class QualityConfig:
    """Short runs of both steps."""

    only: str = f"{OURS},{REFERENCE}"
    """What is trained, with commas between: ours, reference, or ours without a part of the bench's ablation."""
    corpus: Path = Path("data/cub.h5")
    """The corpus, with captions and recordings of its test split."""
    resolution: int = 64
    """Side in px of the last stage."""
    pictures: int = 16_000
    """Pictures that each side sees."""
    batch_size: int = 16
    """Pictures in a step."""
    samples: int = 0
    """Test captions to paint; 0 for all."""
    model: Path = cli.repository() / "pretrained"
    """Folder of the encoders and of the evaluators."""
    run: Path = Path("runs/quality")
    """Folder of this project's run."""
    json: Path | None = None
    """File of the bench, which gets the figures; those that it has of runs as long are kept."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self) -> None:
        for name in self.names:
            cli.check_choice("only", name, (OURS, REFERENCE, *PARTS))
        if self.resolution == 64 and "narrow_discriminators" in self.names:
            raise InputError(
                "--only narrow_discriminators: at --resolution 64 they are as wide as the published; give 128"
            )
        cli.check_choice("resolution", str(self.resolution), ("64", "128", "256", "512"))
        cli.check_range("pictures", self.pictures, self.batch_size)
        cli.check_range("batch_size", self.batch_size, 2, 1024)
        cli.check_range("samples", self.samples, 0)

    @property
    def names(self) -> list[str]:
        """What is trained."""
        return [name.strip() for name in self.only.split(",")]


class PlainText(nn.Module):
    """The shipped text encoder as the reference wants one: tokens [B, L], 0 where none is, to words and sentences."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Words [B, D, L] and sentences [B, D]."""
        condition = self.encoder(tokens, tokens > 0)
        return condition.words, condition.sentence


class PlainImage(nn.Module):
    """The shipped image encoder as the reference wants one."""

    def __init__(self, encoder: ImageEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Regions [B, D, R] and vectors [B, D]."""
        features = self.encoder(pictures)
        return features.regions, features.pooled


def compare(config: QualityConfig) -> dict[str, Any]:
    """Train both steps, score both, print and keep the figures.

    Raises:
        InputError: for a missing or damaged corpus, encoder or evaluator.
    """
    evaluation = Evaluation(
        EvaluateConfig(
            corpus=config.corpus,
            samples=config.samples,
            resolution=config.resolution,
            seed=config.seed,
            model=config.model,
        )
    )
    told = {name: getattr(config, name) for name in ("resolution", "pictures", "batch_size", "seed")}
    told["samples"] = len(evaluation.samples)
    bench: dict[str, Any] = {}
    if config.json is not None and config.json.is_file():
        bench = json.loads(config.json.read_text(encoding="utf-8"))
    found = bench.get(KEY, {})
    if any(found.get(name) != value for name, value in told.items()):
        found = {}  # other runs than these
    for name in config.names:
        begin = time.process_time()
        paint = train_plain(config) if name == REFERENCE else train_ours(config, name)
        seconds = time.process_time() - begin
        found[name] = {"processor_seconds": seconds, **score(evaluation, paint), "commit": _commit()}
        print(name, json.dumps(found[name]), flush=True)
        if config.json is not None:
            write_text(config.json, json.dumps({**bench, KEY: {**told, **found}}, indent=2) + "\n")
    return {**told, **found}


def _commit() -> str:
    return str(environment()["commit"])


def score(evaluation: Evaluation, paint: Any) -> dict[str, Any]:
    """Held-out R-precision and Frechet distance of all trials, painted twice."""
    samples, look = evaluation.samples, evaluation.evaluators.look
    seen = []
    for draw in range(2):
        torch.manual_seed(evaluation.config.seed * 2 + draw)
        parts = torch.arange(len(samples)).split(32)
        seen.append(concatenate([look(paint([samples.captions[k] for k in part.tolist()])) for part in parts]))
    quality = scores.quality(seen, evaluation.statistics(), seed=evaluation.config.seed)
    judged = evaluation.evaluators.held_out_matcher.read(samples.captions)
    held_out = scores.match(seen[0].judged, judged, samples.species, seed=evaluation.config.seed)
    return {"fid": quality["fid"], "r_precision_held_out": held_out}


def train_ours(config: QualityConfig, name: str = OURS) -> Any:
    """Train with this project's step, of published generator width, or without a part; returns what paints captions."""
    preset = PRESETS["gpu-256"]
    whole = GanConfig(
        corpus=config.corpus,
        run=config.run / f"{name}-{config.resolution}",
        damsm=config.model / model_folder.DAMSM,
        condition="text",
        stages=config.resolution.bit_length() - 6,
        widths=preset.widths,
        discriminator_widths=preset.discriminator_widths,
        ema_pictures=config.pictures / 10,
        pictures=config.pictures,
        batch_size=config.batch_size,
        observer="none",
        validate_every=config.pictures,
        grid_every=config.pictures,
        seed=config.seed,
    )
    weights = train_gan.train(replace(whole, **PARTS.get(name, {})))
    generator, _ = load_generator(weights)
    text, vocabulary = encoders.load_text_encoder(config.model / model_folder.DAMSM)

    def paint(captions: list[str]) -> Tensor:
        condition: Condition = text(*pad([vocabulary.encode(caption) for caption in captions]))
        return generator(condition, torch.randn(len(captions), generator.noise)).pictures[-1]

    return torch.inference_mode()(paint)


def train_plain(config: QualityConfig) -> Any:
    """Train with the plain reference's step; returns what paints captions."""
    torch.manual_seed(config.seed)
    path = config.model / model_folder.DAMSM
    text, vocabulary = encoders.load_text_encoder(path)
    image, _ = encoders.load_image_encoder(path)
    training = Training(config.resolution, torch.device("cpu"), encoders=(PlainText(text), PlainImage(image)))
    training.keep = 0.5 ** (config.batch_size / (config.pictures / 10))  # both averages have the same half-life
    loader = Loader(
        Corpus(config.corpus),
        "train",
        batch_size=config.batch_size,
        size=config.resolution,
        words=vocabulary,
        seed=config.seed,
    )
    batches = iter(loader)
    for _ in tqdm(range(0, config.pictures, config.batch_size), desc="reference", unit="step"):
        batch = next(batches)
        assert batch.pictures is not None
        assert batch.tokens is not None
        assert batch.token_mask is not None
        real = pyramid(to_unit(batch.pictures), len(training.discriminators))
        training.step(real, batch.tokens.where(batch.token_mask, 0), batch.species)
    generator = training.generator.eval()
    with torch.no_grad():
        for weight, average in zip(generator.parameters(), training.average, strict=True):
            weight.copy_(average)

    def paint(captions: list[str]) -> Tensor:
        words, sentence = training.text(pad([vocabulary.encode(caption) for caption in captions])[0])
        return generator(torch.randn(len(captions), NOISE), sentence, words)[0][-1]

    return torch.inference_mode()(paint)


def main(arguments: list[str]) -> None:
    """Compare as the command line asks for."""
    compare(cli.parse_tool(QualityConfig, arguments, description=(__doc__ or "").split("\n")[0]))


if __name__ == "__main__":
    cli.run(main)
