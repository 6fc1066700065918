"""Painting from the sound compared with painting from recognised words, where hearing gets hard."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attngan.evaluation import scores
from datasets import distort
from datasets.errors import InputError
from s2i.evaluation.baselines import TRANSCRIBED
from s2i.evaluation.evaluation import TRANSCRIPTS, Evaluation
from s2i.evaluation.evaluation_set import EvaluationSet
from s2i.evaluation.models import BATCH, ComparedModel
from s2i.evaluation.noise_figure import RATES, label, paths_of
from s2i.evaluation.transcripts import Waves, listeners, transcribe, wave_of
from s2i.model.transcribe import word_error_rate

HEARD = "heard voices"
DIRECT = "s2i_equal"


def measure(evaluation: Evaluation) -> list[dict[str, Any]]:
    """R-precision of all paths and word error rates under every condition, in percent.

    The direct path is `DIRECT`, whose generator saw as many pictures as that of the others, `baselines.TRANSCRIBED`.
    All get the same distorted recordings and the same noise vectors. The judge, which neither was trained with,
    compares pictures with the captions as they were written; the scores of the draws are averaged.

    Returns:
        [{"condition", "level", NAME: {"mean", "std"} of each path, `RATES` of each that is transcribed}], in the
        order of `distort.CONDITIONS`; last, if the corpus has both kinds of voices, clean recordings of the same
        captions in voices that training heard.

    Raises:
        InputError: for a missing or damaged corpus, weights or recogniser, a missing package, a corpus of recordings
            that cannot be spoken again, or a resolution that a generator does not paint.
    """
    config, corpus = evaluation.config, evaluation.corpus
    samples = EvaluationSet.of(corpus, config.noise_samples, config.seed, option="noise-samples")
    wave_of(corpus, int(samples.recordings[0]))  # what cannot be done should show before the work
    direct, reader = (evaluation.model(name) for name in (DIRECT, TRANSCRIBED[0]))
    for model in (direct, reader):
        model.generator.stages_to(config.resolution)
    judge = evaluation.evaluators.held_out_matcher
    known = listeners(config.corpus, config.recogniser)
    paths = {DIRECT: direct, **dict.fromkeys(known, reader)}
    cases = [(condition, level, samples) for condition, level in distort.CONDITIONS]
    if corpus.evaluation_speakers == "held-out":
        with suppress(InputError):  # test pictures need not have recordings in both kinds of voices
            heard = EvaluationSet.of(corpus, config.noise_samples, config.seed, speakers="training")
            cases.append((HEARD, None, heard))
    waves, rows = Waves(corpus, config.seed), []
    for condition, level, spoken in cases:
        distortion = "clean" if condition == HEARD else condition
        words = {
            name: transcribe(
                corpus,
                spoken.recordings,
                listener,
                evaluation.cache.folder / TRANSCRIPTS,
                condition=distortion,
                level=level,
                seed=config.seed,
            )
            for name, listener in known.items()
        }
        mels = [direct.log_mel(waves(int(each), distortion, level)) for each in spoken.recordings]
        sentences = judge.read(spoken.captions)
        row: dict[str, Any] = {"condition": condition, "level": level}
        for name, model in paths.items():
            texts = words.get(name, spoken.captions)
            draws = [_paint(evaluation, model, spoken, mels, texts, draw) for draw in range(config.draws)]
            each = [scores.match(vectors, sentences, spoken.species, seed=config.seed) for vectors in draws]
            row[name] = {value: float(np.mean([score[value] for score in each])) for value in ("mean", "std")}
        rows.append({**row, **{RATES[name]: word_error_rate(spoken.captions, words[name]) for name in known}})
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
    """The scores, a line for each condition, and then where the direct path or the better of the others is ahead."""

    def named(is_wanted: Callable[[float, float], bool]) -> str:
        names = []
        for each in cases:
            direct, *others = (each[name] for name in paths_of(cases))
            rival = max(others, key=lambda score: score["mean"])
            ahead = direct["mean"] - rival["mean"]
            error = (direct["std"] ** 2 + rival["std"] ** 2) ** 0.5
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
    parts = []
    for name in paths_of([each]):
        rate = each.get(RATES.get(name, ""))
        wrong = "" if rate is None else f" ({rate:.1f} % of words wrong)"
        parts.append(f"{name} {each[name]['mean']:5.1f} ± {each[name]['std']:.1f}{wrong}")
    return f"{_name(each):14} " + "   ".join(parts)
