"""The two sides of each comparison, by name: something to call again and again, and how many pictures a call makes."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datasets import audio
from scripts.benchmark.rows import EXAMPLE, OURS, ROWS


def make(name: str, side: str, quick: bool) -> Callable[[], dict[str, float] | None]:
    """What is timed; the reference's training tells the seconds of its parts as well."""
    row = ROWS[name]
    size = row.quick_batch if quick else row.batch
    options = {key: value for key, value in row.options.items() if key not in ("kind", "quick_side", "side")}
    if "side" in row.options:
        options["side"] = row.options["quick_side" if quick else "side"]
    torch.manual_seed(0)
    return KINDS[row.options["kind"]](side, size, quick, **options)


def device() -> torch.device:
    """Where both sides compute."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(who: str, size: int, quick: bool, side: int, grown: bool = False) -> Callable[[], dict[str, float] | None]:
    """A step of the generator and its discriminators."""
    if who == OURS:
        from scripts.benchmark.ours import GanTraining

        return GanTraining(side, size, quick, grown=grown)
    from scripts.benchmark.reference import VOCABULARY, WORDS, Training

    training = Training(side, device(), shrink=8 if quick else 1)
    real = [torch.randn(size, 3, s, s, device=device()) for s in (64 * 2**k for k in range(side.bit_length() - 6))]
    tokens = torch.randint(0, VOCABULARY, (size, WORDS), device=device())
    species = torch.arange(size, device=device())
    return lambda: training.step(real, tokens, species)


def damsm(who: str, size: int, quick: bool) -> Callable[[], None]:
    """A step of DAMSM."""
    if who == OURS:
        from scripts.benchmark.ours import MatchingTraining

        return MatchingTraining(size, speech=False)
    from scripts.benchmark.reference import VOCABULARY, WORDS
    from scripts.benchmark.reference_speech import DamsmTraining

    training, pictures = DamsmTraining(device()), torch.randn(size, 3, 299, 299, device=device())
    tokens = torch.randint(0, VOCABULARY, (size, WORDS), device=device())
    return lambda: training.step(pictures, tokens, torch.arange(size, device=device()))


def sen(who: str, size: int, quick: bool) -> Callable[[], None]:
    """A step of the speech encoder."""
    if who == OURS:
        from scripts.benchmark.ours import MatchingTraining

        return MatchingTraining(size, speech=True)
    from scripts.benchmark.reference_speech import SenTraining

    training, pictures = SenTraining(device()), torch.randn(size, 3, 256, 256, device=device())
    waves = list(torch.randn(size, 4 * 22_050))
    return lambda: training.step(pictures, waves, torch.arange(size, device=device()))


def paint(who: str, size: int, quick: bool, shipped: bool = False) -> Callable[[], None]:
    """From a recording to PNG files of 512 px and the sizes before it."""
    folder = tempfile.TemporaryDirectory()
    target, stages = Path(folder.name), 2 if quick else 4
    if who == OURS:
        from attngan.runtime.training_options import HALF
        from s2i.model.pipeline import SpeechToImage
        from scripts.benchmark.ours import published_model

        model = SpeechToImage.load(precision=HALF) if shipped else published_model(target, stages, quick)

        def ours(keep: Any = folder) -> None:
            model(EXAMPLE, samples=size).save(target, "bird")

        return ours
    from scripts.benchmark.reference_speech import Painter

    painter = Painter(device(), stages, 8 if quick else 32)
    recording = target / "bird.wav"
    audio.save(recording, audio.load(EXAMPLE))

    def reference(keep: Any = folder) -> None:
        painter.paint(recording, size, target)

    return reference


def loader(who: str, size: int, quick: bool, side: int) -> Callable[[], None]:
    """A batch of pictures, and for ours its recordings, from a corpus of drawn birds."""
    from datasets import prepare
    from datasets.corpus import Corpus
    from datasets.loader import Loader

    folder = tempfile.TemporaryDirectory()
    config = replace(
        prepare.PRESETS["tiny"],
        output=Path(folder.name) / "birds.h5",
        drawn_pictures=30,
        short_side=side * 76 // 64,
        recordings_per_picture=1,
        workers=1,
    )
    corpus = Corpus(prepare.build(config))
    if who == OURS:
        batches = iter(Loader(corpus, "train", batch_size=size, size=side, speech=True, speakers="training"))

        def ours(keep: Any = folder) -> None:
            next(batches)

        return ours
    from scripts.benchmark.reference_speech import load_batch

    rng, encoded = np.random.default_rng(0), [corpus.encoded(int(index)) for index in corpus.pictures_of("train")]

    def reference(keep: Any = folder) -> None:
        load_batch([encoded[k] for k in rng.integers(len(encoded), size=size)], side, rng)

    return reference


KINDS: dict[str, Callable[..., Any]] = {
    "train": train,
    "damsm": damsm,
    "sen": sen,
    "paint": paint,
    "loader": loader,
}
