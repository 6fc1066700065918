"""The command that compares painting from the sound with painting from recognised words, where hearing gets hard."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.evaluation import scores
from attngan.evaluation.evaluators import JUDGE, Matcher
from datasets import audio, cli, distort
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import write_text
from s2i.evaluation import painters, transcripts
from s2i.evaluation.noise_figure import draw, label
from s2i.evaluation.painters import TOGETHER, Painter, Trials
from s2i.model.transcribe import recogniser, word_error_rate

__all__ = ["NoiseConfig", "draw", "measure", "summary"]

HEARD = "heard voices"


@dataclass(frozen=True)
class NoiseConfig:
    """What is compared, and on what."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, whose test split is spoken again, distorted and painted."""
    model: Path = cli.repository() / "pretrained"
    """Folder of the shipped model: its speech encoder and generator, and the text encoder of the other path."""
    baselines: Path = cli.repository() / "pretrained/baselines"
    """Folder with attngan.safetensors, the generator of the other path, made by scripts/train_baselines.sh."""
    evaluators: Path = cli.repository() / "pretrained/evaluators"
    """Folder with judge.safetensors, the DAMSM that scores, made by scripts/train_evaluators.sh."""
    recogniser: Path | None = None
    """Folder with a recogniser, or with Whisper; by default one is learnt from the corpus."""
    samples: int = 200
    """Test recordings of each condition, in voices that training never heard where there are any."""
    draws: int = 2
    """Times that each recording is painted, with other noise."""
    seed: int = 0
    """Chooses recordings, distortions and what both paths paint with."""
    resolution: int = 128
    """Side in px of the stage that is scored."""
    work: Path = Path("outputs/evaluation")
    """Folder of transcripts.jsonl, what was recognised so far: the same command goes on from it."""
    output: Path = Path("outputs/evaluation/noise.json")
    """Where the scores go; the curves go beside it."""

    def __post_init__(self) -> None:
        cli.check_range("samples", self.samples, 2)
        cli.check_range("draws", self.draws, 1, 100)
        cli.check_range("seed", self.seed, 0)
        cli.check_range("resolution", self.resolution, 1)


PRESETS = {"cub": NoiseConfig()}


def main(arguments: list[str]) -> None:
    """Compare as the command line asks for; write scores and curves, and print who is ahead where."""
    description = "Compare direct painting with painting from recognised words, in noise, babble, haste and so on."
    config = cli.parse(NoiseConfig, PRESETS, arguments, description=description)
    found = measure(config)
    write_text(config.output, json.dumps(found, indent=2) + "\n")
    draw(found, config.output.with_suffix(".png"))
    print(summary(found))
    print(config.output)


def measure(config: NoiseConfig) -> list[dict[str, Any]]:
    """R-precision of both paths and word error rate under every condition, in percent.

    Both paths get the same distorted recordings and the same noise vectors. The judge, which neither was trained with,
    compares pictures with the captions as they were written; the scores of the draws are averaged.

    Returns:
        [{"condition", "level", "s2i": {"mean", "std"}, "transcribe": {"mean", "std"}, "word_error_rate"}], in the order
        of `distort.CONDITIONS`; last, if the corpus has both kinds of voices, clean recordings of the same captions in
        voices that training heard.

    Raises:
        InputError: for a missing or damaged corpus, weights or recogniser, a missing package, a corpus of recordings
            that cannot be spoken again, or a resolution that a generator does not paint.
    """
    corpus = Corpus(config.corpus)
    trials = Trials.of(corpus, config.samples, config.seed)
    transcripts.wave_of(corpus, int(trials.recordings[0]))  # what cannot be done should show before the work
    paths = [painters.load(name, model=config.model, baselines=config.baselines) for name in ("s2i", "transcribe")]
    for painter in paths:
        if config.resolution not in painter.resolutions:
            resolutions = ", ".join(map(str, painter.resolutions))
            raise InputError(
                f"--resolution {config.resolution}: one of the models paints {resolutions} px; "
                "choose one that both paint"
            )
    judge = Matcher(config.evaluators / JUDGE)
    listener = recogniser(config.corpus, config.recogniser)
    cases = [(condition, level, trials) for condition, level in distort.CONDITIONS]
    if corpus.measuring_voices is False:
        with suppress(InputError):  # test pictures need not have recordings in both kinds of voices
            cases.append((HEARD, None, Trials.of(corpus, config.samples, config.seed, heard=True)))
    found = []
    for condition, level, chosen in cases:
        under = "clean" if condition == HEARD else condition
        words = transcripts.transcribe(
            corpus,
            chosen.recordings,
            listener,
            config.work / "transcripts.jsonl",
            condition=under,
            level=level,
            seed=config.seed,
        )
        waves = transcripts.Waves(corpus, config.seed)
        mels = [audio.log_mel(waves(int(recording), under, level)) for recording in chosen.recordings]
        direct, transcribed = _compare(paths, judge, chosen, mels, words, config)
        rate = word_error_rate(chosen.captions, words)
        found.append(
            {"condition": condition, "level": level, "s2i": direct, "transcribe": transcribed, "word_error_rate": rate}
        )
        print(_line(found[-1]), file=sys.stderr, flush=True)
    return found


def _compare(
    paths: Sequence[Painter], judge: Matcher, trials: Trials, mels: list[Tensor], words: list[str], config: NoiseConfig
) -> list[dict[str, float]]:
    """R-precision of each path."""
    sentences = judge.read(trials.captions)
    found = []
    for painter in paths:
        seen = seen_by(judge, painter, trials, mels, words, config)
        each = [scores.match(pictures, sentences, trials.species, seed=config.seed) for pictures in seen]
        found.append({name: float(np.mean([score[name] for score in each])) for name in ("mean", "std")})
    return found


@torch.inference_mode()
def seen_by(
    judge: Matcher, painter: Painter, trials: Trials, mels: list[Tensor], words: list[str], config: NoiseConfig
) -> Tensor:
    """What the judge sees in the pictures of one path: [draws, N, D].

    Args:
        mels: N log-mels [T, 40], painted if the painter listens. words: N texts, painted if it reads.
    """
    drawn = []
    for number in range(config.draws):
        parts = []
        for places in np.array_split(np.arange(len(trials)), -(-len(trials) // TOGETHER)):
            condition = (
                painter.listen([mels[k] for k in places])
                if painter.spoken
                else painter.read([words[k] for k in places])
            )
            seeds = [(config.seed, number, int(trials.pictures[k])) for k in places]
            parts.append(judge.image(painter.paint(condition, seeds, config.resolution)).pooled)
        drawn.append(torch.cat(parts))
    return torch.stack(drawn)


def summary(found: Sequence[dict[str, Any]]) -> str:
    """The scores, a line for each condition, and then who is ahead where."""

    def named(chosen: Callable[[float, float], bool]) -> str:
        names = []
        for each in found:
            ahead = each["s2i"]["mean"] - each["transcribe"]["mean"]
            error = (each["s2i"]["std"] ** 2 + each["transcribe"]["std"] ** 2) ** 0.5
            if chosen(ahead, error):
                names.append(f"{_name(each)} ({ahead:+.1f}{'' if abs(ahead) > error else ', within the error'})")
        return "; ".join(names) or "nothing"

    return "\n".join(
        [
            "R-precision in percent by the held-out judge:",
            *map(_line, found),
            f"direct is ahead at: {named(lambda ahead, _: ahead > 0)}",
            f"transcribed is ahead at: {named(lambda ahead, _: ahead < 0)}",
        ]
    )


def _name(each: dict[str, Any]) -> str:
    return label(each["condition"], each["level"])


def _line(each: dict[str, Any]) -> str:
    direct, transcribed = (f"{each[name]['mean']:5.1f} ± {each[name]['std']:.1f}" for name in ("s2i", "transcribe"))
    rate = each["word_error_rate"]
    return f"{_name(each):14} direct {direct}   transcribed {transcribed}   word error rate {rate:5.1f} %"


if __name__ == "__main__":
    cli.run(main)
