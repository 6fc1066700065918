"""Whether synthetic birds are painted as their sentences say, read attribute by attribute.

Of synthetic birds everything is known, and a person would check a picture in the same way: is the head red, as said?
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation.attributes import ATTRIBUTES, SIDE, Reader, claimed_attributes, train_reader
from attngan.runtime.device import find_device
from attngan.runtime.machine import environment
from datasets import cli
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import write_text
from datasets.json_file import read_json
from s2i.evaluation.evaluation_set import EvaluationSet
from s2i.evaluation.models import BATCH, ComparedModel
from s2i.evaluation.synthetic_config import FOLDS, SyntheticConfig

ROWS = ("real", "s2i", "exchanged")  # and "attngan" where a generator reads


def measure(config: SyntheticConfig) -> dict[str, Any]:
    """Paint test recordings, by speakers held out from training where there are any, and read what they should show.

    Returns:
        For each row the share in percent of right attributes, by attribute and over "all", and the deviation of the
        last over folds, "all_std"; also written to `config.output`, beside what was measured with, "meta". The rows:
        "s2i", painted from speech; "attngan", painted from the same sentences, where there is a generator for it;
        "exchanged", the pictures of "s2i" against sentences about other species, which is what luck gives; "real", the
        drawings themselves, which is the best that the reader can see.

    Raises:
        InputError: for a missing or damaged file, or captions that are not about synthetic birds.
    """
    corpus = Corpus(config.corpus)
    device = find_device(config.device)
    models = {"s2i": ComparedModel(config.gan, config.sen, speech=True, device=device)}
    if config.text_gan is not None:
        models["attngan"] = ComparedModel(config.text_gan, config.damsm, speech=False, device=device)
    count = config.pictures if config.pictures < len(corpus.pictures_of("test")) else 0  # all
    samples = EvaluationSet.of(corpus, count, config.seed, option="pictures")
    claims = [claimed_attributes(caption) for caption in samples.captions]
    if len(samples) < FOLDS or not all(claims):
        raise InputError(
            f"{config.corpus}: {len(samples)} test recordings are too few for {FOLDS} folds; build a larger one"
        )
    others = [claims[k] for k in exchanged(samples.species.numpy())]
    reader = train_reader(
        config.reader, pictures=config.reader_pictures, drawn=config.reader_drawings, seed=config.seed
    )
    seen = _paint_and_read(samples, models, reader, config.seed)
    rows = [(name, seen[name], claims) for name in models]
    rows += [("exchanged", seen["s2i"], others), ("real", seen["real"], claims)]
    figures: dict[str, Any] = {name: shares(values, said, seed=config.seed) for name, values, said in rows}
    counts = {name: sum(name in claim for claim in claims) for name in ATTRIBUTES}
    meta = {"pictures": len(claims), "named": counts, "unheard_voices": corpus.evaluation_speakers == "held-out"}
    figures["meta"] = {**meta, **environment(), "config": json.loads(cli.as_json(config))}
    write_text(config.output, json.dumps(figures, indent=2))
    return figures


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The figures that `measure` wrote.

    Raises:
        InputError: if the file is something else.
    """
    try:
        remedy = "remove it, or run scripts/measure_drawn.sh again"
        figures = read_json(path, "figures of drawn birds", remedy, dict)
        for row in ROWS:
            float(figures[row]["all"]), float(figures[row]["all_std"])
        return figures
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not what scripts/measure_drawn.sh writes ({error}); remove it, or run that again"
        ) from error


@torch.no_grad()
def _paint_and_read(
    samples: EvaluationSet, models: dict[str, ComparedModel], reader: Reader, seed: int
) -> dict[str, dict[str, Tensor]]:
    """What the reader sees, attribute -> [N], in the pictures of each model and in the "real" ones."""
    parts: dict[str, list[dict[str, Tensor]]] = {name: [] for name in (*models, "real")}
    for rows in tqdm(torch.arange(len(samples)).split(BATCH), desc="painting", unit="batch"):
        parts["real"].append(reader.read(samples.photographs(rows, SIDE)))
        for name, model in models.items():
            condition = model.encode([samples.captions[row] for row in rows], lambda rows=rows: samples.mels(rows))  # type: ignore[misc]
            pictures = model.paint(condition, samples.seeds(rows, seed), model.generator.resolutions[-1])[-1]
            parts[name].append(reader.read(pictures.cpu()))
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

    by_attribute = {a: share(judged, a) for a in ATTRIBUTES if any(a in claim for claim in claims)}
    parts = np.array_split(np.random.default_rng(seed).permutation(len(judged)), folds)
    return {
        **by_attribute,
        "all": share(judged),
        "all_std": float(np.std([share([judged[k] for k in p]) for p in parts])),
    }
