"""One evaluation: every model paints the same captions, and the same evaluators look at the pictures."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation import retrieval, scores
from attngan.evaluation.evaluators import REAL, Evaluators, RealStatistics, Seen, together
from attngan.evaluation.inception import InceptionExtractor
from attngan.evaluation.metrics import retrieval as retrieval_scores
from attngan.networks import encoders
from datasets import cli
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import sha256
from datasets.loader import Loader, Pictures, to_unit
from s2i.evaluation import baselines, painters, transcripts
from s2i.evaluation.cache import Cache
from s2i.evaluation.painters import Painter, Trials
from s2i.model import model_folder
from s2i.model.speech_encoder import load_speech_encoder
from s2i.model.transcribe import recogniser, word_error_rate

CHUNK = 256  # pictures between two results that are kept


@dataclass(frozen=True)
class EvaluateConfig:
    """What is scored, on what, and by what."""

    models: str = ",".join(baselines.NAMES)
    """Rows of the table, separated by commas."""
    samples: int = 0
    """Test captions to paint; 0 for all."""
    draws: int = 2
    """Times that each caption is painted, with other noise, for the error bar of the Frechet distance."""
    splits: int = 10
    """Splits of the Inception Score."""
    resolution: int = 128
    """Side in px of the stage that is scored, the same of all models."""
    noise_samples: int = 200
    """Recordings of each condition in which direct and transcribed are compared; 0 leaves the comparison out."""
    seed: int = 0
    """Of everything random."""
    folder: Path | None = None
    """Folder of pictures that another model made, to be scored alone."""
    table: Path | None = None
    """CSV of those pictures: image, and caption or recording or both; without it only quality is scored."""
    corpus: Path = Path("data/cub.h5")
    """The corpus whose test split is painted; not needed for --folder."""
    model: Path = cli.repository() / "pretrained"
    """Folder of the shipped model."""
    baselines: Path = cli.repository() / "pretrained/baselines"
    """Folder of the other rows, made by scripts/train_baselines.sh."""
    evaluators: Path = cli.repository() / "pretrained/evaluators"
    """Folder of classifier, judge and statistics, made by scripts/train_evaluators.sh."""
    text_free: Path = Path("runs/damsm-free/best.safetensors")
    """Text-free DAMSM, for its retrieval; left out of that block where it is missing."""
    drawn: Path = Path("runs/drawn/drawn.json")
    """What scripts/measure_drawn.sh found on drawn birds; left out of the results where it is missing."""
    inception: Path | None = None
    """The ImageNet weights of pytorch-fid (pt_inception-2015-12-05-6726825d.pth), for the literature's FID."""
    bird_inception: Path | None = None
    """State dict of torchvision's inception_v3 tuned on birds, for the literature's Inception Score."""
    bird_background: bool = False
    """Whether the first class of those bird weights is a background that is left out, as in StackGAN's own."""
    recogniser: Path | None = None
    """Recogniser of the row transcribe: a folder with one, or with Whisper; by default learnt from the corpus."""
    work: Path = Path("outputs/evaluation")
    """Folder of results so far: the same command goes on from them."""
    output: Path = Path("outputs/evaluation/results.json")
    """Where the results go; page, pictures and curves go beside it. pretrained/results.json is that of the README."""

    def __post_init__(self) -> None:
        baselines.check(self.names)
        for name in ("samples", "noise_samples", "seed"):
            cli.check_range(name, getattr(self, name), 0)
        cli.check_range("draws", self.draws, 1, 100)
        cli.check_range("splits", self.splits, 1, 1000)
        if 0 < self.samples < max(2, self.splits):
            raise InputError(f"--samples {self.samples}: fewer than --splits {self.splits}; give more samples")
        if self.table is not None and self.folder is None:
            raise InputError(f"--table {self.table}: describes the pictures of --folder; give that as well")

    @property
    def names(self) -> tuple[str, ...]:
        """The rows that are asked for."""
        return tuple(name.strip() for name in self.models.split(",") if name.strip())


class Evaluation:
    """One evaluation: what all its rows share.

    Raises:
        InputError: for a missing or damaged corpus, evaluator or weights file.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        self.config = config
        self.cache = Cache(config.work)
        self.evaluators = load_evaluators(config)
        self.corpus = Corpus(config.corpus)
        self.trials = Trials.of(self.corpus, config.samples, config.seed)
        self.identity = {
            "corpus": [self.corpus.config, self.corpus.sources],
            "evaluators": self.evaluators.identity,
            "samples": len(self.trials),
            "seed": config.seed,
            "resolution": config.resolution,
        }
        self._heard: list[str] | None = None

    def real(self) -> Seen:
        """What is seen in the photographs of the trials."""
        return self._in_chunks("real", {}, self.photographs)

    def photographs(self, chosen: torch.Tensor) -> Tensor:
        """The photographs of trials `chosen`, [N, 3, S, S] in [-1, 1]."""
        reader = Pictures(self.corpus, self.trials.pictures[chosen.numpy()], self.config.resolution)
        crops = [torch.from_numpy(reader.crop(int(k), None).copy()) for k in self.trials.pictures[chosen.numpy()]]
        return to_unit(torch.stack(crops).permute(0, 3, 1, 2))

    def statistics(self) -> RealStatistics:
        """Of all test photographs: as they were shipped, or by the extractor that was asked for instead."""
        config = self.config
        if config.inception is None:
            return RealStatistics.load(config.evaluators / REAL, self.evaluators.extractor)
        return RealStatistics.of(self.real().features, self.evaluators.extractor.features_identity)

    def words(self) -> list[str]:
        """What the recogniser hears in the recordings of the trials."""
        if self._heard is None:
            listener = recogniser(self.config.corpus, self.config.recogniser)
            self._heard = transcripts.transcribe(
                self.corpus, self.trials.recordings, listener, self.cache.folder / "transcripts.jsonl"
            )
        return self._heard

    def painting(self, name: str, painter: Painter, draw: int) -> Callable[[Tensor], Tensor]:
        """What paints trials `chosen`, with the noise of `draw`, which is the same for all models."""
        texts = self.words() if name == "transcribe" else self.trials.captions

        def paint(chosen: Tensor) -> Tensor:
            places = chosen.tolist()
            if painter.spoken:
                condition = painter.listen([self.corpus.mel(int(self.trials.recordings[k])) for k in places])
            else:
                condition = painter.read([texts[k] for k in places])
            seeds = [(self.config.seed, draw, int(self.trials.pictures[k])) for k in places]
            return painter.paint(condition, seeds, self.config.resolution)

        return paint

    def painted(self, name: str, painter: Painter) -> list[Seen]:
        """What is seen in what `painter` makes of the trials, for each draw."""
        told = {"painter": painter.identity}
        if name == "transcribe":
            told["words"] = str(self.words())
        return [
            self._in_chunks(name, {**told, "draw": draw}, self.painting(name, painter, draw))
            for draw in range(self.config.draws)
        ]

    def _in_chunks(self, name: str, identity: dict[str, Any], make: Callable[[Tensor], Tensor]) -> Seen:
        parts = []
        chunks = torch.arange(len(self.trials)).split(CHUNK)
        for number, chosen in enumerate(tqdm(chunks, desc=name, unit="chunk", file=sys.stderr)):
            told = {**self.identity, **identity, "chunk": number}
            kept = self.cache.arrays(name, told, partial(self._look_at, make, chosen))
            parts.append(Seen(**kept))
        return together(parts)

    def _look_at(self, make: Callable[[Tensor], Tensor], chosen: Tensor) -> dict[str, Tensor]:
        return vars(together([self.evaluators.look(part) for part in make(chosen).split(32)]))

    def row(self, name: str, matched: Tensor, judged: Tensor, real: RealStatistics) -> dict[str, Any]:
        """All scores of one row; `matched` and `judged` are its captions as both encoders read them."""
        config, trials = self.config, self.trials
        options = {"splits": config.splits, "seed": config.seed}
        found: dict[str, Any] = {"about": baselines.about(name)}
        if name == "real":
            seen = self.real()
            found |= scores.between_halves(seen, **options)
        else:
            painter = painters.load(name, model=config.model, baselines=config.baselines)
            draws = self.painted(name, painter)
            seen = draws[0]
            found |= scores.quality(draws, real, **options)
            found["budget_pictures"] = baselines.BUDGETS.get(name, painter.budget)
        found |= scores.consistency(seen, matched, judged, trials.captions, trials.species, seed=config.seed)
        if name == "transcribe":
            found["word_error_rate"] = word_error_rate(trials.captions, self.words())
        return found

    def retrieval(self) -> dict[str, dict[str, float]]:
        """How well the encoders find test photographs, without any painting."""
        config, found = self.config, {}
        damsm, speech = config.model / model_folder.DAMSM, config.model / model_folder.SPEECH
        kinds: list[tuple[str, Path, Path, tuple[bool, bool] | None]] = [
            ("text", damsm, damsm, None),
            ("seen_voices", damsm, speech, (True, True)),
            ("unseen_voices", damsm, speech, (False, True)),
            ("unseen_engines", damsm, speech, (False, False)),
        ]
        kinds = [kind for kind in kinds if kind[3] is None or self._spoken(*kind[3])]
        if config.text_free.is_file():
            kinds += [
                ("text_free", config.text_free, config.text_free, (False, True)),
                ("text_free_seen_voices", config.text_free, config.text_free, (True, True)),
            ]
        else:
            print(f"warning: {config.text_free}: not there, so no retrieval by the text-free encoders", file=sys.stderr)
        for name, image, caption, heard in kinds:
            told = {**self.identity, "files": [sha256(image), sha256(caption)], "heard": heard}
            measure = partial(self._retrieve, image, caption, heard)
            found[name] = self.cache.plain(f"retrieval-{name}", told, measure)
        return found

    def _spoken(self, heard: bool, engine_heard: bool) -> bool:
        """Whether test pictures have recordings in voices that are heard in training or not, of engines that are."""
        owned = self.corpus.recordings_by_picture(heard, engine_heard)
        return any(len(owned[index]) for index in self.corpus.pictures_of("test"))

    def _retrieve(self, image_file: Path, caption_file: Path, heard: tuple[bool, bool] | None) -> dict[str, float]:
        image, _ = encoders.load_image_encoder(image_file)
        options: dict[str, Any] = {"batch_size": 64, "size": image.trunk.size}
        caption: Any
        if heard is None:
            caption, vocabulary = encoders.load_text_encoder(caption_file)
            loader = Loader(self.corpus, "test", words=vocabulary, **options)
        else:
            caption = load_speech_encoder(caption_file)
            voice, engine = heard
            loader = Loader(self.corpus, "test", speech=True, heard=voice, engine_heard=engine, **options)
        rounds = 2 if heard is None else 1  # of the ten written captions, as training measures
        seen = retrieval.embed(image, caption, loader, rounds, torch.device("cpu"))
        return retrieval_scores(*seen, seed=self.config.seed)


def load_evaluators(config: EvaluateConfig) -> Evaluators:
    """Those of the folder, with the published Inception networks where their weights are given.

    Raises:
        InputError: if a file is missing, damaged, or something else.
    """
    found = Evaluators.load(config.evaluators, config.model / model_folder.DAMSM)
    if config.inception is not None or config.bird_inception is not None:
        found.extractor = InceptionExtractor(
            config.inception, config.bird_inception, found.extractor, background=config.bird_background
        )
    return found
