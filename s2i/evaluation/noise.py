"""Painting from the sound compared with painting from recognised words, where hearing gets hard."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.evaluation import scores
from datasets import audio, distort
from datasets.errors import InputError
from s2i.evaluation.evaluation import TRANSCRIPTS, Evaluation
from s2i.evaluation.evaluation_set import EvaluationSet
from s2i.evaluation.models import BATCH, ComparedModel
from s2i.evaluation.noise_figure import label
from s2i.evaluation.transcripts import Waves, transcribe, wave_of
from s2i.model.transcribe import recogniser, word_error_rate

HEARD = "heard voices"


def measure(evaluation: Evaluation) -> list[dict[str, Any]]:
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
    config, corpus = evaluation.config, evaluation.corpus
    samples = EvaluationSet.of(corpus, config.noise_samples, config.seed, option="noise-samples")
    wave_of(corpus, int(samples.recordings[0]))  # what cannot be done should show before the work
    paths = [evaluation.model(name) for name in ("s2i", "transcribe")]
    for model in paths:
        model.generator.stages_to(config.resolution)
    judge = evaluation.evaluators.held_out_matcher
    listener = recogniser(config.corpus, config.recogniser)
    cases = [(condition, level, samples) for condition, level in distort.CONDITIONS]
    if corpus.evaluation_speakers == "held-out":
        with suppress(InputError):  # test pictures need not have recordings in both kinds of voices
            heard = EvaluationSet.of(corpus, config.noise_samples, config.seed, speakers="training")
            cases.append((HEARD, None, heard))
    waves, rows = Waves(corpus, config.seed), []
    for condition, level, spoken in cases:
        distortion = "clean" if condition == HEARD else condition
        words = transcribe(
            corpus,
            spoken.recordings,
            listener,
            evaluation.cache.folder / TRANSCRIPTS,
            condition=distortion,
            level=level,
            seed=config.seed,
        )
        mels = [audio.log_mel(waves(int(recording), distortion, level)) for recording in spoken.recordings]
        sentences = judge.read(spoken.captions)
        row: dict[str, Any] = {"condition": condition, "level": level}
        for name, model in zip(("s2i", "transcribe"), paths, strict=True):
            draws = [_paint(evaluation, model, spoken, mels, words, draw) for draw in range(config.draws)]
            each = [scores.match(vectors, sentences, spoken.species, seed=config.seed) for vectors in draws]
            row[name] = {value: float(np.mean([score[value] for score in each])) for value in ("mean", "std")}
        rows.append({**row, "word_error_rate": word_error_rate(spoken.captions, words)})
        print(_line(rows[-1]), file=sys.stderr, flush=True)
    return rows


def _paint(
    evaluation: Evaluation, model: ComparedModel, spoken: EvaluationSet, mels: list[Tensor], words: list[str], draw: int
) -> Tensor:
    """What the judge sees in the pictures of one path, [N, D].

    Args:
        mels: N log-mels [T, 40], painted if the model takes speech.
        words: N texts, painted if it takes text.
    """
    config, vectors = evaluation.config, []
    for rows in torch.arange(len(spoken)).split(BATCH):
        condition = model.encode([words[row] for row in rows], lambda rows=rows: [mels[row] for row in rows])  # type: ignore[misc]
        pictures = model.paint(condition, spoken.seeds(rows, config.seed, draw), config.resolution)[-1]
        vectors.append(evaluation.evaluators.held_out_matcher.look(pictures))
    return torch.cat(vectors)


def summary(cases: Sequence[dict[str, Any]]) -> str:
    """The scores, a line for each condition, and then who is ahead where."""

    def named(is_wanted: Callable[[float, float], bool]) -> str:
        names = []
        for each in cases:
            ahead = each["s2i"]["mean"] - each["transcribe"]["mean"]
            error = (each["s2i"]["std"] ** 2 + each["transcribe"]["std"] ** 2) ** 0.5
            if is_wanted(ahead, error):
                names.append(f"{_name(each)} ({ahead:+.1f}{'' if abs(ahead) > error else ', within the error'})")
        return "; ".join(names) or "nothing"

    return "\n".join(
        [
            "R-precision in percent by the held-out judge:",
            *map(_line, cases),
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
