"""This project's side of each comparison: its own steps, on drawn numbers of the sizes that it trains with."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attngan.networks.generator import GENERATOR_KIND, Generator
from attngan.networks.image_encoder import ImageEncoder, InceptionTrunk, ScratchTrunk
from attngan.networks.text_encoder import TextEncoder
from attngan.runtime import checkpoint
from attngan.runtime.machine import make_fabric
from attngan.runtime.training_options import HALF
from attngan.training.damsm_job import DamsmJob
from attngan.training.feature_cache import FeatureCache
from attngan.training.gan_config import GanConfig
from attngan.training.gan_job import GanJob
from attngan.training.gan_networks import build_generator
from datasets.loader import Batch
from s2i.model.pipeline import SpeechToImage
from s2i.model.speech_encoder import SPEECH_KIND, SpeechEncoder
from s2i.train_damsm import DamsmConfig
from s2i.train_gan import PRESETS
from s2i.train_sen import SenConfig

GAMMAS = {"gamma1": 4.0, "gamma2": 5.0, "gamma3": 10.0}
FRAMES, WORDS, VOCABULARY, SPECIES = 400, 18, 5450, 150  # recordings of 4 s, captions of 18 words
QUICK = {"widths": (8,), "blocks": (1,), "discriminator_widths": (8,), "feature_width": 8}


def batch(size: int, resolution: int = 0, *, close_up: int = 0, frames: int = FRAMES) -> Batch:
    """A drawn batch with pictures of `resolution` px and close-ups of them, if any, words and recordings."""
    drawn = Batch(torch.arange(size), torch.arange(size) % SPECIES)
    if resolution:
        drawn.pictures = torch.randint(0, 256, (size, 3, resolution, resolution), dtype=torch.uint8)
        drawn.close_ups = drawn.pictures[:, :, :close_up, :close_up].contiguous() if close_up else None
    drawn.tokens, drawn.token_mask = torch.randint(2, VOCABULARY, (size, WORDS)), torch.ones(size, WORDS).bool()
    drawn.mels, drawn.mel_mask = torch.randn(size, frames, 40), torch.ones(size, frames).bool()
    return drawn


def image_encoder(trunk: str = "scratch") -> ImageEncoder:
    """With random weights, of the size that the DAMSM presets have."""
    if trunk == "inception":
        return ImageEncoder(InceptionTrunk()).eval().requires_grad_(False)
    sizes = DamsmConfig()
    return (
        ImageEncoder(ScratchTrunk(size=sizes.size, width=sizes.width, blocks=sizes.blocks)).eval().requires_grad_(False)
    )


def gan_config(resolution: int, batch_size: int, quick: bool, **changes: Any) -> GanConfig:
    """The preset for a GPU, of published generator width, at any resolution: all stages train."""
    changes = {"stages": resolution.bit_length() - 6, "init": None, "freeze": 0, "batch_size": batch_size, **changes}
    if quick:
        changes = {**QUICK, **changes}
    return replace(PRESETS["gpu-512"], diversity_weight=PRESETS["gpu-256"].diversity_weight, **changes)


def on_top(config: GanConfig, folder: Path) -> GanConfig:
    """The same, training its last stage alone on top of a run of one stage less, whose weights are random here."""
    about = {"kind": GENERATOR_KIND}
    smaller = replace(config, freeze=0, init=None, stages=config.stages - 1)
    checkpoint.save(folder / "generator.safetensors", build_generator(smaller).state_dict(), about)
    return replace(config, init=folder / "generator.safetensors", freeze=config.stages - 1, diversity_weight=0)


class GanTraining:
    """The project's step at `resolution` px.

    Args:
        grown: train the last stage alone, on top of the others, as the presets do at 512 px.
        channels_last, trunk: as the project has them unless something else is asked for.
    """

    def __init__(
        self,
        resolution: int,
        batch_size: int,
        quick: bool = False,
        *,
        grown: bool = False,
        channels_last: bool = True,
        trunk: str = "scratch",
        frames: int = FRAMES,
        **changes: Any,
    ) -> None:
        config = gan_config(resolution, batch_size, quick, **changes)
        fabric = make_fabric(config.precision)
        image, caption = image_encoder(trunk).to(fabric.device), SpeechEncoder().eval().to(fabric.device)
        if grown:
            with tempfile.TemporaryDirectory() as folder:
                config = on_top(config, Path(folder))
                self.job = GanJob(config, image, caption, fabric, GAMMAS)
        else:
            self.job = GanJob(config, image, caption, fabric, GAMMAS)
        if not channels_last:
            for network in (self.job.generator, image, *self.job.discriminators.values()):
                network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.batch, self.position = batch(batch_size, resolution, frames=frames), 0

    def __call__(self) -> None:
        self.job.step(self.batch, self.position)
        self.position += len(self.batch)


class StageTraining:
    """A training of the shipped recipe: a stage on top of frozen ones, whose weights are random here.

    Args:
        preset: of `s2i.train_gan`. together: train all its stages from the start instead.
    """

    def __init__(self, preset: str, *, together: bool = False) -> None:
        config = PRESETS[preset]
        fabric = make_fabric(config.precision)
        image, caption = image_encoder().to(fabric.device), SpeechEncoder().eval().to(fabric.device)
        with tempfile.TemporaryDirectory() as folder:
            if config.freeze and not together:
                config = on_top(config, Path(folder))
            else:
                config = replace(config, freeze=0, init=None)
            self.job = GanJob(config, image, caption, fabric, GAMMAS)
        self.batch = batch(config.batch_size, config.base << (config.stages - 1), close_up=config.close_up)
        self.position = 0

    def __call__(self) -> None:
        self.job.step(self.batch, self.position)
        self.position += len(self.batch)


class _DrawnFeatures(FeatureCache):
    """A cache on disk of random features, read as any other."""

    def __init__(self, pictures: int, views: int, trunk: InceptionTrunk, device: torch.device) -> None:
        side = 17
        self._row, self._views, self._device = {row: row for row in range(pictures)}, views, device
        self._grid = torch.Size([trunk.local_channels, side, side])
        self._folder = tempfile.TemporaryDirectory()
        self.path, width = Path(self._folder.name) / "features.npy", self._grid.numel() + trunk.pooled_channels
        self._kind = np.dtype([("features", "<f2", width), ("crc32", "<u4")])
        draws = np.random.default_rng(0)
        with open(self.path, "wb") as file:
            drawn = (draws.random((pictures, width), dtype=np.float32).astype(np.float16) for _ in range(views))
            self._write(file, ((0, view, features) for view, features in enumerate(drawn)))
        self._open()


class MatchingTraining:
    """The project's step of DAMSM (from words) or SEN (from recordings), with the features of Inception cached."""

    def __init__(self, batch_size: int, *, speech: bool) -> None:
        config = (SenConfig if speech else DamsmConfig)(batch_size=batch_size, views=2)
        fabric = make_fabric(config.precision)
        image = image_encoder("inception").requires_grad_(not speech)
        image.trunk.requires_grad_(False)
        caption = SpeechEncoder() if speech else TextEncoder(n_words=VOCABULARY)
        self.job = DamsmJob(config, image, caption, SPECIES, fabric, image_frozen=speech)
        assert isinstance(image.trunk, InceptionTrunk)
        self.job.caches = [_DrawnFeatures(batch_size, config.views, image.trunk, fabric.device)]
        self.batch, self.position = batch(batch_size), 0

    def __call__(self) -> None:
        self.job.step(self.batch, self.position)
        self.position += len(self.batch)


def published_model(folder: Path, stages: int, quick: bool) -> SpeechToImage:
    """A model of published widths with random weights, through its files."""
    torch.manual_seed(0)
    widths = {"widths": (8,), "blocks": (1,)} if quick else {"widths": (32,), "blocks": (2,)}
    generator, encoder = Generator(stages=stages, **widths), SpeechEncoder()  # type: ignore[arg-type]
    about: dict[str, Any] = {"kind": GENERATOR_KIND, "generator": generator.arguments}
    checkpoint.save(folder / "generator.safetensors", generator.state_dict(), about)
    about = {"kind": f"{SPEECH_KIND}-weights", "speech": encoder.arguments}
    checkpoint.save(folder / "speech.safetensors", {"caption": encoder.state_dict()}, about)
    return SpeechToImage.load(folder, precision=HALF)
