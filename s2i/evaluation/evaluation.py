"""One evaluation: every model paints the same captions, and the same evaluators look at the pictures."""

import os
import sys
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation import retrieval, scores, species_head
from attngan.evaluation.evaluators import REAL, Evaluators, Observations, Observed, RealStatistics, concatenate
from attngan.evaluation.inception import InceptionExtractor
from attngan.evaluation.metrics import retrieval as retrieval_scores
from attngan.evaluation.observer_scores import ObserverEvaluator
from attngan.networks import encoders
from attngan.runtime.device import find_device
from datasets.corpus import Corpus, Speakers
from datasets.files import sha256
from datasets.loader import Loader
from s2i.evaluation import baselines, models
from s2i.evaluation.cache import Cache
from s2i.evaluation.evaluate_config import EvaluateConfig
from s2i.evaluation.evaluation_set import EvaluationSet
from s2i.evaluation.models import ComparedModel
from s2i.evaluation.transcripts import transcribe
from s2i.model.model_folder import DAMSM, SPEECH
from s2i.model.speech_encoder import load_speech_encoder
from s2i.model.transcribe import recogniser, word_error_rate

CHUNK = 256  # pictures between two results that are kept
BATCH = 32  # pictures looked at together
TRANSCRIPTS = "transcripts.jsonl"
OBSERVER = "observer_"  # before the names of the observer's arrays


class Looked(NamedTuple):
    """What the evaluators see in pictures, and what the observer does, where there is one."""

    seen: Observations
    observed: Observed | None


class Evaluation:
    """One evaluation: what all its rows share; each part is loaded when it is first used.

    Raises:
        InputError: for a missing or damaged corpus, evaluator or weights file, or a device that is not there.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.device = find_device(config.device)
        self.corpus = Corpus(config.corpus)

    @cached_property
    def cache(self) -> Cache:
        """Results so far."""
        return Cache(self.config.work)

    @cached_property
    def evaluators(self) -> Evaluators:
        """What looks at the pictures."""
        return load_evaluators(self.config).to(self.device)

    @cached_property
    def observer(self) -> ObserverEvaluator | None:
        """The observer, which sees shapes, where the folder of evaluators has its part."""
        found = ObserverEvaluator.load(self.config.evaluators)
        if found is None:
            print(
                f"warning: {self.config.evaluators}: has nothing of the observer, so no share of birds", file=sys.stderr
            )
        return found and found.to(self.device)

    @cached_property
    def samples(self) -> EvaluationSet:
        """What all models paint."""
        return EvaluationSet.of(self.corpus, self.config.samples, self.config.seed)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What all results depend on."""
        return {
            "corpus": [self.corpus.config, self.corpus.sources],
            "evaluators": [self.evaluators.identity, self.observer and self.observer.identity],
            "samples": len(self.samples),
            "seed": self.config.seed,
            "resolution": self.config.resolution,
            "device": self.device.type,
        }

    @cached_property
    def transcripts(self) -> list[str]:
        """The words that the recogniser understands of the samples' recordings."""
        config, samples = self.config, self.samples
        listener = recogniser(config.corpus, config.recogniser)
        return transcribe(self.corpus, samples.recordings, listener, self.cache.folder / TRANSCRIPTS)

    def model(self, name: str) -> ComparedModel:
        """The model of a row."""
        config = self.config
        return models.load(
            name, model=config.model, baselines=config.baselines, device=self.device, precision=config.precision
        )

    def photographs(self, rows: Tensor) -> Tensor:
        """The photographs of some samples, [N, 3, S, S] in [-1, 1]."""
        return self.samples.photographs(rows, self.config.resolution)

    def pictures(self, name: str, model: ComparedModel, draw: int, rows: Tensor) -> Tensor:
        """What the model of a row paints of some samples, [N, 3, S, S], with the noise of `draw`, the same for all."""
        samples, config = self.samples, self.config
        texts = self.transcripts if name == "transcribe" else samples.captions
        condition = model.encode([texts[row] for row in rows], lambda: samples.mels(rows))
        return model.paint(condition, samples.seeds(rows, config.seed, draw), config.resolution)[-1]

    def statistics(self) -> RealStatistics:
        """Of all test photographs: as they were shipped, or by the extractor that was asked for instead."""
        config = self.config
        if config.inception is None:
            return RealStatistics.load(config.evaluators / REAL, self.evaluators.extractor)
        return RealStatistics.of(self.photographs_seen.seen.features, self.evaluators.extractor.features_identity)

    @cached_property
    def photographs_seen(self) -> "Looked":
        """What is seen in the photographs of the samples."""
        return self._look("real", {}, self.photographs)

    def look_at_pictures(self, name: str, model: ComparedModel) -> "list[Looked]":
        """What is seen in what the model of a row paints, for each draw."""
        identity = {"model": model.identity, **({"words": str(self.transcripts)} if name == "transcribe" else {})}
        return [
            self._look(name, {**identity, "draw": draw}, partial(self.pictures, name, model, draw))
            for draw in range(self.config.draws)
        ]

    def _look(self, name: str, identity: dict[str, Any], make: Callable[[Tensor], Tensor]) -> "Looked":
        """What is seen in what `make` gives of rows of the samples, chunk by chunk, each kept on disk."""
        evaluators, observed = [], []
        chunks = torch.arange(len(self.samples)).split(CHUNK)
        for number, rows in enumerate(tqdm(chunks, desc=name, unit="chunk", file=sys.stderr)):
            key = {**self.identity, **identity, "chunk": number}
            found = self.cache.arrays(name, key, partial(self._look_at, make, rows))
            own = {
                each: found.pop(f"{OBSERVER}{each}") for each in Observed.__annotations__ if OBSERVER + each in found
            }
            evaluators.append(Observations(**found))
            observed += [Observed(**own)] if own else []
        return Looked(concatenate(evaluators), concatenate(observed) if observed else None)

    def _look_at(self, make: Callable[[Tensor], Tensor], rows: Tensor) -> dict[str, Tensor]:
        parts = make(rows).split(BATCH)
        found = vars(concatenate([self.evaluators.look(part) for part in parts]))
        if self.observer is not None:
            observed = concatenate([self.observer.look(part) for part in parts])
            found = {**found, **{f"{OBSERVER}{name}": values for name, values in vars(observed).items()}}
        return found

    def row(self, name: str, matched: Tensor, judged: Tensor, real: RealStatistics) -> dict[str, Any]:
        """All scores of one row; `matched` and `judged` are its captions as both encoders read them."""
        config, samples = self.config, self.samples
        options = {"splits": config.splits, "seed": config.seed}
        row: dict[str, Any] = {"about": baselines.about(name)}
        observer = self.observer
        if name == "real":
            seen, observed = self.photographs_seen
            row |= scores.between_halves(seen, **options)
            if observer is not None and observed is not None:
                learned, _ = species_head.halves(self.corpus.species)
                unlearned = torch.from_numpy(~np.isin(samples.pictures, learned))
                row["observer"] = observer.quality_of_photographs(observed, unlearned, **options)
        else:
            model = self.model(name)
            draws = self.look_at_pictures(name, model)
            seen, observed = draws[0]
            row |= scores.quality([draw.seen for draw in draws], real, **options)
            if observer is not None:
                row["observer"] = observer.quality([draw.observed for draw in draws if draw.observed], **options)
            row["budget_pictures"] = baselines.BUDGETS.get(name, model.budget)
        row |= scores.consistency(seen, matched, judged, samples.captions, samples.species, seed=config.seed)
        if observer is not None and observed is not None:
            row["observer"]["r_precision"] = observer.match(
                observed, samples.captions, samples.species, seed=config.seed
            )
        if name == "transcribe":
            row["word_error_rate"] = word_error_rate(samples.captions, self.transcripts)
        return row

    def table(self) -> dict[str, Any]:
        """The rows that are asked for."""
        real = self.statistics()
        matched, judged = (
            encoder.read(self.samples.captions)
            for encoder in (self.evaluators.matcher, self.evaluators.held_out_matcher)
        )
        return {name: self.row(name, matched, judged, real) for name in self.config.names}

    def retrieval(self) -> dict[str, dict[str, float]]:
        """How well the encoders find test photographs, without any painting."""
        config = self.config
        damsm, speech = config.model / DAMSM, config.model / SPEECH
        kinds: list[tuple[str, Path, Path, Speakers | None]] = [
            ("text", damsm, damsm, None),
            ("seen_voices", damsm, speech, "training"),
            ("unseen_voices", damsm, speech, "held-out voices"),
            ("unseen_engines", damsm, speech, "held-out engines"),
        ]
        kinds = [kind for kind in kinds if kind[3] is None or self._spoken(kind[3])]
        if os.path.isfile(config.text_free):
            kinds += [
                ("text_free", config.text_free, config.text_free, "held-out voices"),
                ("text_free_seen_voices", config.text_free, config.text_free, "training"),
            ]
        else:
            print(f"warning: {config.text_free}: not there, so no retrieval by the text-free encoders", file=sys.stderr)
        measures = {}
        for name, image, caption, speakers in kinds:
            key = {**self.identity, "files": [sha256(image), sha256(caption)], "speakers": speakers}
            measure = partial(self._retrieve, image, caption, speakers)
            measures[name] = self.cache.plain(f"retrieval-{name}", key, measure)
        return measures

    def _spoken(self, speakers: Speakers) -> bool:
        """Whether test pictures have recordings by some speakers."""
        owned = self.corpus.recordings_by_picture(speakers)
        return any(len(owned[index]) for index in self.corpus.pictures_of("test"))

    def _retrieve(self, image_file: Path, caption_file: Path, speakers: Speakers | None) -> dict[str, float]:
        """Retrieval by written captions, or by the recordings of `speakers`."""
        image, _ = encoders.load_image_encoder(image_file)
        options: dict[str, Any] = {"batch_size": 64, "size": image.trunk.size}
        caption: Any
        if speakers is None:
            caption, vocabulary = encoders.load_text_encoder(caption_file)
            loader = Loader(self.corpus, "test", words=vocabulary, **options)
        else:
            caption = load_speech_encoder(caption_file)
            loader = Loader(self.corpus, "test", speech=True, speakers=speakers, **options)
        rounds = 2 if speakers is None else 1  # of the ten written captions, as training measures
        embedded = retrieval.embed(image.to(self.device), caption.to(self.device), loader, rounds, self.device)
        return retrieval_scores(*embedded, seed=self.config.seed)


def load_evaluators(config: EvaluateConfig) -> Evaluators:
    """Those of the folder, with the published Inception networks where their weights are given.

    Raises:
        InputError: if a file is missing, damaged, or something else.
    """
    evaluators = Evaluators.load(config.evaluators, config.model / DAMSM)
    if config.inception is not None or config.bird_inception is not None:
        evaluators.extractor = InceptionExtractor(
            config.inception, config.bird_inception, evaluators.extractor, background=config.bird_background
        )
    return evaluators
