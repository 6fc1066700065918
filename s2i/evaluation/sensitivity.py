"""Whether each measure notices what it should: photographs are damaged in known ways and scored as if painted."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation import distances, species_head
from attngan.evaluation.classifier import load_classifier
from attngan.evaluation.corruptions import CORRUPTIONS
from attngan.evaluation.evaluators import CLASSIFIER, HEAD
from attngan.evaluation.observer import Observer
from attngan.runtime.machine import environment
from datasets import cli
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import replacing, write_text
from s2i.evaluation.evaluation_set import read_photographs
from s2i.evaluation.models import ComparedModel
from s2i.evaluation.sensitivity_config import FEWEST, MEASURES, SensitivityConfig
from s2i.model.model_folder import DAMSM, GENERATOR

EXAMPLES = 8
PAINTED = "painted"
NO_WHOLE_BIRD = ("blurred", "noisy", "cut_out", "shuffled_2", "shuffled_4", "shuffled_8")


@dataclass(frozen=True)
class _Looked:
    """What N pictures look like to the observer and to the classifier: features, class probabilities, birds."""

    bird: Tensor
    observed: tuple[Tensor, Tensor]
    classified: tuple[Tensor, Tensor]


def measure(config: SensitivityConfig) -> dict[str, Any]:
    """Score photographs after each kind of damage; write the figures, a page and a picture, and return the figures.

    Raises:
        InputError: for a missing corpus or evaluator, or too few photographs.
    """
    corpus = Corpus(config.corpus)
    test = corpus.pictures_of("test")
    if len(test) < max(FEWEST, config.photographs):
        raise InputError(
            f"--photographs {config.photographs}: {corpus.path} has {len(test)} test photographs; give fewer, or a "
            f"corpus of at least {FEWEST}"
        )
    chosen = np.random.default_rng(config.seed).permutation(test)[: config.photographs or len(test)]
    halves = read_photographs(corpus, chosen, config.resolution).chunk(2)
    observer = Observer()
    head = species_head.load(config.evaluators / HEAD, observer.identity)
    classifier, _ = load_classifier(config.evaluators / CLASSIFIER)

    @torch.no_grad()
    def look(pictures: Tensor) -> _Looked:
        observation = observer.look(pictures)
        features = torch.cat([classifier.features(part) for part in pictures.split(64)])
        return _Looked(
            observation.bird,
            (observation.features, head(observation.features).softmax(1)),
            (features, classifier.head(features).softmax(1)),
        )

    reference = look(halves[0])
    rows: dict[str, dict[str, float]] = {}
    examples = []
    for name, (_, corrupt) in tqdm(CORRUPTIONS.items(), desc="damage", unit="kind"):
        damaged = corrupt(halves[1], torch.Generator().manual_seed(config.seed))
        examples.append(damaged[:EXAMPLES])
        rows[name] = _scores(look(damaged), reference, config.seed)
    painted = _paint(config, corpus, chosen[len(halves[0]) :])
    rows[PAINTED] = _scores(look(painted), reference, config.seed)
    examples.append(painted[:EXAMPLES])
    meta = {**environment(), "photographs": len(chosen), "observer": observer.name}
    figures: dict[str, Any] = {"rows": rows, "meta": {**meta, "config": json.loads(cli.as_json(config))}}
    write_text(config.output, json.dumps(figures, indent=2) + "\n")
    write_text(config.output.with_suffix(".md"), as_page(figures, config.output.with_suffix(".jpg").name))
    _save(examples, config.output.with_suffix(".jpg"))
    return figures


def _scores(looked: _Looked, reference: _Looked, seed: int) -> dict[str, float]:
    row = {"bird_share": float(looked.bird.float().mean() * 100)}
    for eye, (features, probabilities), (others, _) in (
        ("observer", looked.observed, reference.observed),
        ("classifier", looked.classified, reference.classified),
    ):
        splits = min(10, len(features) // 10)
        row[f"{eye}_inception_score"] = distances.inception_score(probabilities, splits=splits, seed=seed).mean
        row[f"{eye}_fid"] = distances.frechet_distance(others, features)
        row[f"{eye}_kid"] = 1000 * distances.kernel_distance(others, features, seed=seed).mean
    return row


def _paint(config: SensitivityConfig, corpus: Corpus, pictures: np.ndarray) -> Tensor:
    """What the model paints of the first written caption of each of some pictures, [N, 3, S, S] in [-1, 1]."""
    model = ComparedModel(config.model / GENERATOR, config.model / DAMSM, speech=False)
    captions = []
    for index in pictures:
        own = np.flatnonzero(corpus.caption_picture == index)
        if not len(own):
            raise InputError(f"{corpus.path}: picture {corpus.names[int(index)]} has no caption to paint; give others")
        captions.append(corpus.captions[int(own[0])])
    seeds = [(config.seed, int(index)) for index in pictures]
    return model.paint(model.encode(captions, list), seeds, config.resolution)[-1].cpu()


def blind_to(rows: dict[str, dict[str, float]], measure: str) -> list[str]:
    """The kinds of damage that leave no whole bird and that a measure ranks no worse than what the model painted."""
    more_is_better, limit = MEASURES[measure][1], rows[PAINTED][measure]
    return [
        name
        for name in NO_WHOLE_BIRD
        if (rows[name][measure] >= limit if more_is_better else rows[name][measure] <= limit)
    ]


def as_page(figures: dict[str, Any], picture: str) -> str:
    """The page (Markdown) of what `measure` found."""
    rows, meta = figures["rows"], figures["meta"]
    arrows = {name: f"{title} {'↑' if better else '↓'}" for name, (title, better) in MEASURES.items()}
    lines = [
        "# What each measure notices",
        "Photographs of test species are damaged in known ways and then scored as if a model had painted them. One "
        "half of the photographs is damaged, the other is what the distances are to.",
        f"`{meta['command']}`, commit {meta['commit']}, seed {meta['config']['seed']}, {meta['machine']}. "
        f"{meta['photographs']} photographs at {meta['config']['resolution']} px. Observer: {meta['observer']}, which "
        "no generator is trained against. Classifier: the small network of bird species that was trained here.",
        "\n".join(
            [
                f"| | {' | '.join(arrows.values())} |",
                f"|---|{'---|' * len(MEASURES)}",
                *(f"| {name} | {' | '.join(f'{row[each]:.1f}' for each in MEASURES)} |" for name, row in rows.items()),
            ]
        ),
        "\n".join(
            [
                *(f"- `{name}`: {about}" for name, (about, _) in CORRUPTIONS.items()),
                f"- `{PAINTED}`: not damaged, but painted by the model in {meta['config']['model']} from the captions",
            ]
        ),
        "## Blind to shape",
        "A measure that likes damage which leaves no whole bird as well as what the model painted does not see shape, "
        "or the model paints none.",
        "\n".join(f"- {MEASURES[each][0]}: {', '.join(blind_to(rows, each)) or 'none'}" for each in MEASURES),
        f"![The kinds of damage, in the order of the table]({picture})",
    ]
    return "\n\n".join(lines) + "\n"


def _save(examples: list[Tensor], path: Path) -> None:
    from torchvision.utils import save_image

    with replacing(path) as temporary:
        save_image(torch.cat(examples) * 0.5 + 0.5, temporary, nrow=len(examples[0]), format="jpeg")
