"""The command that trains every recogniser of emotion by both protocols, and the one that is shipped."""

import json
import os
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from attngan.runtime.training_options import JobOptions
from datasets import cli, ravdess
from datasets.errors import InputError
from datasets.files import make_folder, require_file, write_text
from datasets.lock import alone_in
from s2i.emotion import FILE
from s2i.export import halve

if TYPE_CHECKING:  # all of these import torch, which --help need not wait for
    from s2i.emotion import SpeechEmotion, figures
    from s2i.emotion.experiments import Context, Experiment

REPORT = "emotion.json"
NAMES = ("lstm", "cnn", "mlp", "conv1d", "alexnet", "ours")  # of `s2i.emotion.recognisers.RECOGNISERS`


@dataclass(frozen=True)
class EmotionConfig(JobOptions):
    """What is trained, on what, and how often."""

    ravdess: Path = Path("data/ravdess")
    """Folder with Actor_01 to Actor_24 of RAVDESS's speech. The environment variable RAVDESS_ROOT is the default if it
    is set."""
    run: Path = Path("runs/emotion")
    """Folder of features and of each training's result; the same command goes on there."""
    output: Path = Path("outputs/emotion")
    """Folder of emotion.safetensors, emotion.json, emotion.png and emotion.md. The shipped one is pretrained."""
    recognisers: tuple[str, ...] = NAMES
    """Which are compared: lstm, cnn, mlp, conv1d, alexnet, ours."""
    random_splits: int = 10
    """Random splits, a fifth to test."""
    folds: int = 5
    """Folds of actors."""
    repeats: int = 2
    """Times that all folds are tested, with other first weights."""
    beginnings: int = 2
    """Trainings of each initialisation of ours (the SEN's weights or from scratch), by which one was chosen; 0 for
    none. They leave out the actors of the first fold."""
    one_sex: bool = True
    """Also train on women alone and test on men, and the other way round."""
    sen: Path = Path("pretrained/speech.safetensors")
    """Speech encoder whose weights ours may begin with."""
    epoch_share: float = 1.0
    """Of the epochs of each recogniser; less for a quick look."""
    workers: int = 1
    """Processes that train at the same time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.recognisers:
            cli.check_choice("recognisers", name, NAMES)
        if "ours" not in self.recognisers:
            raise InputError("--recognisers: lacks ours, which is what is shipped; name it as well")
        cli.check_range("random_splits", self.random_splits, 1, 1000)
        cli.check_range("folds", self.folds, 2, ravdess.ACTORS)
        cli.check_range("repeats", self.repeats, 1, 100)
        cli.check_range("beginnings", self.beginnings, 0, self.folds - 1)
        cli.check_range("epoch_share", self.epoch_share, 1e-3, 100)
        cli.check_range("workers", self.workers, 1, 256)


PRESETS = {
    "ravdess": EmotionConfig(),
    "tiny": EmotionConfig(
        run=Path("runs/tiny-emotion"),
        output=Path("runs/tiny-emotion/shipped"),
        random_splits=1,
        folds=2,
        repeats=1,
        beginnings=0,
        one_sex=False,
        epoch_share=0.05,
    ),
}


def main(arguments: list[str]) -> None:
    """Train and compare as the command line asks for, and print the main figures."""
    presets = PRESETS
    root = ravdess.default_root()
    if "RAVDESS_ROOT" in os.environ or root.is_dir():
        presets = {name: replace(preset, ravdess=root) for name, preset in PRESETS.items()}
    description = "Train the recognisers of emotion on RAVDESS by both protocols, and the one that is shipped."
    config = cli.parse(EmotionConfig, presets, arguments, description=description)
    from s2i.emotion import figures

    with alone_in(config.run):
        write_text(config.run / "config.json", cli.as_json(config))
        measured = train(config)
    for line in figures.lines(measured):
        print(line)
    print(config.output / REPORT)


def experiments_of(config: EmotionConfig, recordings: tuple[ravdess.Recording, ...]) -> "list[Experiment]":
    """All trainings but the shipped one, the quick and the more important ones first.

    Raises:
        InputError: if there are too few recordings or actors.
    """
    from s2i.emotion import protocols
    from s2i.emotion.experiments import INITIALISATIONS, Experiment

    splits = [
        *protocols.actor_folds(recordings, config.folds, config.repeats),
        *protocols.random_splits(recordings, config.random_splits),
    ]
    names = sorted(config.recognisers, key=lambda name: (name == "alexnet", name == "ours"))
    planned = [Experiment(name, split) for name in names for split in splits]
    if config.one_sex:
        planned += [Experiment("ours", split) for split in protocols.one_sex_splits(recordings)]
    validation = protocols.validation_splits(recordings, config.folds)[: config.beginnings]
    return planned + [Experiment("ours", split, start) for split in validation for start in INITIALISATIONS]


def train(config: EmotionConfig) -> dict[str, Any]:
    """Train everything, ship ours, and write the report; returns what emotion.json holds.

    Raises:
        InputError: for a folder that is no RAVDESS, a damaged recording, too few actors, or a folder that cannot be
            written.
    """
    from attngan.runtime.machine import environment
    from s2i.emotion import SpeechEmotion, experiments, figures, report
    from s2i.emotion.experiments import Context
    from s2i.emotion.protocols import INDEPENDENT, RANDOM
    from s2i.emotion.recognisers import RECOGNISERS

    corpus = ravdess.read(config.ravdess)
    for remark in corpus.remarks:
        print(remark, flush=True)
    make_folder(config.output)
    if config.beginnings:
        require_file(config.sen, "speech encoder")
    recordings = tuple(corpus.recordings)
    context = Context(recordings, make_folder(config.run), config.sen, config.seed, config.epoch_share)
    planned = experiments_of(config, recordings)
    results = dict(zip(planned, experiments.run_all(context, planned, config.workers), strict=True))
    measured = figures.figures(context, results, config.folds)
    weights = ship(
        config,
        context,
        {experiment: result for experiment, result in results.items() if _tests_ours_on_unheard(experiment)},
    )
    meta = {
        **environment(),
        "data": "RAVDESS speech (Livingstone and Russo 2018), CC BY-NC-SA 4.0",
        "recordings": len(recordings),
        "actors": corpus.actors,
        "remarks": corpus.remarks,
        "config": json.loads(cli.as_json(_portable(config))),
        "protocols": {
            RANDOM: f"{config.random_splits} random fifths of the recordings tested; the actors are known",
            INDEPENDENT: f"{config.folds} folds of actors x {config.repeats} seeds; no tested actor was heard",
        },
        "published": {name: row.published for name, row in RECOGNISERS.items() if row.published is not None},
        "published_protocol": "random splits, as far as their descriptions tell",
        "shipped": {"file": FILE, "bytes": weights.stat().st_size, "trained_on": "all recordings above"},
    }
    recogniser = SpeechEmotion.load(weights)
    contents = {
        "meta": meta,
        **measured,
        "foreign_sounds": novel_share(recogniser),
        "speed": {"milliseconds_of_3_s": speed(recogniser)},
    }
    report.write(contents, config.output)
    return contents


def _portable(config: EmotionConfig) -> EmotionConfig:
    """The same for files that are shipped, which are not to tell where somebody keeps the recordings."""
    return replace(config, ravdess=Path(config.ravdess.name))


def _tests_ours_on_unheard(experiment: "Experiment") -> bool:
    from s2i.emotion.protocols import INDEPENDENT

    return (
        experiment.recogniser == "ours"
        and experiment.split.protocol == INDEPENDENT
        and experiment.initialisation is None
    )


def ship(config: EmotionConfig, context: "Context", unheard: "figures.Results") -> Path:
    """Train ours on all recordings and write its weights, half precision, with what it needs to know its limits.

    Args:
        unheard: results on actors never heard, which temperature and threshold are fitted on.
    """
    import numpy as np

    from attngan.runtime import checkpoint
    from attngan.runtime.run import describe
    from s2i.emotion import EMOTION_KIND, experiments, figures
    from s2i.emotion.experiments import Experiment
    from s2i.emotion.protocols import Split
    from s2i.emotion.recognisers import RECOGNISERS

    everything = np.arange(len(context.recordings))
    experiment = Experiment("ours", Split("shipped", 0, everything, everything[:0]))
    tensors = experiments.weights(context, experiment)
    about = {
        "kind": EMOTION_KIND,
        "network": RECOGNISERS["ours"].build().arguments,
        "temperature": figures.temperature_of(context, unheard),
        "threshold": figures.threshold_of(unheard),
        "steadiest": figures.steadiest_of(context),
        "data": "RAVDESS speech, CC BY-NC-SA 4.0",
        **describe(_portable(config)),
    }
    state = {
        "network": {name: value for name, value in tensors.items() if not name.startswith("familiarity/")},
        "familiarity": {
            name.removeprefix("familiarity/"): value
            for name, value in tensors.items()
            if name.startswith("familiarity/")
        },
    }
    path = config.output / FILE
    checkpoint.save(path, halve(state), about)
    return path


def speed(recogniser: "SpeechEmotion", times: int = 15) -> float:
    """Milliseconds that 3 s of voice take, from samples to the answer: the median of so many times."""
    import torch

    from datasets import audio

    wave = 0.1 * torch.randn(3 * audio.SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(times):
        start = perf_counter()
        recogniser(wave)
        seconds.append(perf_counter() - start)
    return 1000 * statistics.median(seconds)


def novel_share(recogniser: "SpeechEmotion") -> dict[str, float]:
    """Of each kind of out-of-distribution sound, the share that is told to be unlike the training recordings."""
    from s2i.emotion.novelty import novel_sounds

    return {
        kind: statistics.fmean([not recogniser(wave).familiar for wave in waves])
        for kind, waves in novel_sounds().items()
    }


if __name__ == "__main__":
    cli.run(main)
