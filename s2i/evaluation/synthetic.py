"""The command that measures whether drawn birds are painted as their sentences say, read attribute by attribute.

Of drawn birds everything is known, and a person would check a picture in the same way: is the head red, as was said?
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation.attributes import ATTRIBUTES, SIDE, Reader, claimed_attributes, train_reader
from attngan.networks import encoders
from attngan.networks.condition import CaptionEncoder
from attngan.networks.generator import Generator, load_generator
from attngan.runtime.machine import environment
from datasets import cli
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import write_text
from datasets.loader import Loader, to_unit
from s2i.model.speech_encoder import load_speech_encoder

FOLDS = 10
ROWS = ("real", "s2i", "exchanged")  # and "attngan" where a generator reads


@dataclass(frozen=True)
class DrawnConfig:
    """What is measured, and with what."""

    corpus: Path = Path("runs/drawn/birds.h5")
    """A corpus of drawn birds, whose test species are painted; scripts/measure_drawn.sh makes it and all below."""
    sen: Path = Path("runs/drawn/sen/best.safetensors")
    """Speech encoder."""
    gan: Path = Path("runs/drawn/gan/generator.safetensors")
    """Generator that paints recordings."""
    damsm: Path = Path("runs/drawn/damsm/best.safetensors")
    """DAMSM, whose text encoder reads captions; not read without --text-gan."""
    text_gan: Path | None = None
    """Generator trained with --condition text, which paints the same sentences as they are written."""
    reader: Path = Path("runs/drawn/reader.safetensors")
    """The network that reads attributes from pictures; trained on drawings of its own where there is no such file."""
    reader_pictures: int = 60_000
    """Budget of the reader: pictures seen in all."""
    reader_drawings: int = 8_000
    """Different drawings among them."""
    output: Path = Path("outputs/drawn.json")
    """Where the figures go."""
    pictures: int = 1_000
    """How many test recordings to paint; all of them where there are fewer."""
    seed: int = 0
    """Of the noise, the order and the reader."""

    def __post_init__(self) -> None:
        cli.check_range("reader_pictures", self.reader_pictures, 64)
        cli.check_range("reader_drawings", self.reader_drawings, 64, 1_000_000)
        cli.check_range("pictures", self.pictures, FOLDS)
        cli.check_range("seed", self.seed, 0)


def main(arguments: list[str]) -> None:
    """Measure as the command line asks for and print the figures."""
    description = "Measure whether drawn birds are painted as they are described."
    found = measure(cli.parse(DrawnConfig, {"drawn": DrawnConfig()}, arguments, description=description))
    for row, figures in found.items():
        if row != "meta":
            print(f"{row}: " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()))


def measure(config: DrawnConfig) -> dict[str, dict[str, float]]:
    """Paint test recordings, in voices not heard in training where there are any, and read what they should show.

    Returns:
        For each row the share in percent of right attributes, by attribute and over "all", and the deviation of the
        last over folds, "all_std"; also written to `config.output`, beside what was measured with, "meta". The rows:
        "s2i", painted from speech; "attngan", painted from the same sentences, where there is a generator for it;
        "exchanged", the pictures of "s2i" against sentences about other species, which is what luck gives; "real", the
        drawings themselves, which is the best that the reader can see.

    Raises:
        InputError: for a missing or damaged file, or captions that are not about drawn birds.
    """
    corpus = Corpus(config.corpus)
    painters: dict[str, tuple[CaptionEncoder, Generator]] = {
        "s2i": (load_speech_encoder(config.sen), load_generator(config.gan)[0])
    }
    words = None
    if config.text_gan is not None:
        text, words = encoders.load_text_encoder(config.damsm)
        painters["attngan"] = (text, load_generator(config.text_gan)[0])
    unheard = corpus.measuring_voices
    loader = Loader(corpus, "test", batch_size=32, size=SIDE, speech=True, heard=unheard, words=words, augment=False)
    order = np.random.default_rng(config.seed).permutation(len(loader))[: config.pictures]
    loader.indices = loader.indices[np.sort(order)]
    recordings = corpus.recordings_by_picture(unheard)
    captions = [corpus.recording_caption[recordings[index][0]] for index in loader.indices]
    if len(loader) < FOLDS or min(captions) < 0:
        raise InputError(f"{config.corpus}: too few test recordings, or not of captions; build one of --source drawn")
    claims = [claimed_attributes(corpus.captions[caption]) for caption in captions]
    others = [claims[k] for k in exchanged(corpus.species[loader.indices])]
    reader = train_reader(
        config.reader, pictures=config.reader_pictures, drawn=config.reader_drawings, seed=config.seed
    )
    seen = _paint_and_read(loader, painters, reader, config.seed)
    rows = [(name, seen[name], claims) for name in painters]
    rows += [("exchanged", seen["s2i"], others), ("real", seen["real"], claims)]
    found = {name: shares(values, said, seed=config.seed) for name, values, said in rows}
    counts = {name: sum(name in claim for claim in claims) for name in ATTRIBUTES}
    meta = {"pictures": len(claims), "named": counts, "unheard_voices": unheard is False, **environment()}
    meta["config"] = json.loads(cli.as_json(config))
    write_text(config.output, json.dumps({**found, "meta": meta}, indent=2))
    return found


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The figures that `measure` wrote.

    Raises:
        InputError: if the file is something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for row in ROWS:
            float(found[row]["all"]), float(found[row]["all_std"])
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not what scripts/measure_drawn.sh writes ({error}); remove it, or run that again"
        ) from error


@torch.no_grad()
def _paint_and_read(
    loader: Loader, painters: dict[str, tuple[CaptionEncoder, Generator]], reader: Reader, seed: int
) -> dict[str, dict[str, Tensor]]:
    """What the reader sees, attribute -> [N], in the pictures of each painter and in the "real" ones."""
    parts: dict[str, list[dict[str, Tensor]]] = {name: [] for name in (*painters, "real")}
    draws = torch.Generator().manual_seed(seed)
    for batch in tqdm(loader.once(), total=-(-len(loader) // loader.batch_size), desc="painting", unit="batch"):
        assert batch.pictures is not None
        parts["real"].append(reader.read(to_unit(batch.pictures)))
        for name, (encoder, generator) in painters.items():
            widths = (generator.noise, generator.arguments["conditioning"])  # as `SpeechToImage` paints
            noise, spread = (torch.randn(len(batch), width, generator=draws) for width in widths)
            parts[name].append(reader.read(generator(encoder.encode(batch), noise, spread).pictures[-1]))
    return {name: {a: torch.cat([part[a] for part in row]) for a in ATTRIBUTES} for name, row in parts.items()}


def exchanged(species: np.ndarray) -> np.ndarray:
    """For each of N pictures another one, of another species wherever none has more than half of them; each once."""
    order = np.argsort(species, kind="stable")
    others = np.empty_like(order)
    others[order] = np.roll(order, len(order) // 2)
    return others


def shares(
    seen: dict[str, Tensor], claims: list[dict[str, str]], *, folds: int = FOLDS, seed: int = 0
) -> dict[str, float]:
    """How much of what was claimed is seen, in percent from 0 to 100.

    Args:
        seen: attribute -> [N], indices into `ATTRIBUTES`.
        claims: N times attribute -> value; an attribute that a claim leaves out is not judged.
        folds: the pictures are shuffled by `seed` and cut into as many; "all_std" is the deviation over them.

    Returns:
        The share of each attribute that is claimed at all, of "all" judgements together, and "all_std".
    """
    judged = [[(a, ATTRIBUTES[a][int(seen[a][k])] == value) for a, value in c.items()] for k, c in enumerate(claims)]

    def share(rows: list[list[tuple[str, bool]]], attribute: str | None = None) -> float:
        return float(np.mean([right for row in rows for name, right in row if attribute in (None, name)]) * 100)

    found = {a: share(judged, a) for a in ATTRIBUTES if any(a in claim for claim in claims)}
    parts = np.array_split(np.random.default_rng(seed).permutation(len(judged)), folds)
    return {**found, "all": share(judged), "all_std": float(np.std([share([judged[k] for k in p]) for p in parts]))}


if __name__ == "__main__":
    cli.run(main)
