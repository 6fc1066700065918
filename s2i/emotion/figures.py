"""From the results of the trainings to the figures of `pretrained/emotion.json`."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.ravdess import EMOTIONS
from s2i.emotion import features as emotion_features
from s2i.emotion.encoder import fit_temperature
from s2i.emotion.networks import PUBLISHED, RECOGNISERS
from s2i.emotion.protocols import (
    CHOSEN_ON,
    INDEPENDENT,
    PROTOCOLS,
    accuracy,
    calibration_error,
    confusion,
    over_trials,
    summarise,
)
from s2i.emotion.recognisers import CLEAN, CONDITIONS, Context, Job, features_of
from s2i.emotion.training import Labels

Results = Mapping[Job, Mapping[str, Tensor]]
STEADY_SHARE = 0.005  # of recordings that are left out when the steadiest is looked for
KNOWN_SHARE = 0.95  # of recordings of actors never heard that the threshold of familiarity lets pass


def matrix(context: Context, job: Job, result: Mapping[str, Tensor], condition: str = CLEAN) -> np.ndarray:
    """Confusion matrix [C, C] of a job under a condition, over the classes of its recogniser."""
    recogniser = RECOGNISERS[job.recogniser]
    truth = recogniser.labels(Labels.of(context.recordings).emotion)[job.trial.test]
    told = result[f"emotion/{condition}"].argmax(1)
    return confusion(truth.numpy(), told.numpy(), len(recogniser.classes))


def figures(context: Context, results: Results, folds: int) -> dict[str, Any]:
    """All figures, in the shape of emotion.json without its `meta`."""
    chosen: dict[tuple[str, str], list[Job]] = defaultdict(list)
    starts: dict[str, list[Job]] = defaultdict(list)
    for job in results:
        if job.start is not None:
            starts[job.start].append(job)
        else:
            chosen[job.trial.protocol, job.recogniser].append(job)
    found: dict[str, Any] = {}
    for protocol in PROTOCOLS:
        found[protocol] = {
            name: _row(context, {job: results[job] for job in chosen[protocol, name]})
            for name in RECOGNISERS
            if chosen[protocol, name]
        }
    ours = {job: results[job] for job in chosen[INDEPENDENT, "ours"]}
    if ours:
        found["voice_attribute"] = _voices(context, ours)
        found["calibration"] = _calibration(context, ours, folds)
        found["folds_not_chosen_on"] = over_trials(
            [matrix(context, job, each) for job, each in ours.items() if job.trial.number % folds not in CHOSEN_ON]
        )
        best = max(
            (found[INDEPENDENT][name]["accuracy"] for name in PUBLISHED if name in found[INDEPENDENT]), default=0
        )
        found["ahead_of_best_published"] = found[INDEPENDENT]["ours"]["accuracy"] - best
    alexnet = {job: results[job] for job in chosen[INDEPENDENT, "alexnet"]}
    if alexnet:
        found["voice_attribute_alexnet"] = _voices(context, alexnet)
    found["one_sex_in_training"] = {
        f"trained on {heard}, tested on {other}": _row(context, {job: results[job]})
        for job in chosen["one_sex", "ours"]
        for heard, other in [("women", "men") if job.trial.number == 0 else ("men", "women")]
    }
    found["beginnings"] = {
        start: over_trials([matrix(context, job, results[job]) for job in jobs]) for start, jobs in starts.items()
    }
    return found


def _row(context: Context, results: Results) -> dict[str, Any]:
    """Accuracy and so on of one recogniser under one protocol; under the conditions as well where they were tested."""
    matrices = [matrix(context, job, result) for job, result in results.items()]
    name = next(iter(results)).recogniser
    row: dict[str, Any] = {**over_trials(matrices), "trials": len(matrices), "confusion": np.sum(matrices, 0).tolist()}
    row["recordings_tested"] = int(np.sum(matrices))
    if len(RECOGNISERS[name].classes) != len(EMOTIONS):
        row["classes"] = len(RECOGNISERS[name].classes)
        row["accuracy_of_eight"] = float(np.mean([_of_eight(context, *each) for each in results.items()]))
    for condition in CONDITIONS:
        if all(f"emotion/{condition}" in result for result in results.values()):
            distorted = [matrix(context, job, result, condition) for job, result in results.items()]
            row[condition] = over_trials(distorted)
    return row


def _of_eight(context: Context, job: Job, result: Mapping[str, Tensor]) -> float:
    """Accuracy over the eight emotions of a recogniser that has no word for some: those it always gets wrong."""
    counts = matrix(context, job, result)
    classes = RECOGNISERS[job.recogniser].classes
    truth = Labels.of(context.recordings).emotion[job.trial.test].numpy()
    told = result[f"emotion/{CLEAN}"].argmax(1).numpy()
    nameless = [k for k, emotion in enumerate(EMOTIONS) if emotion not in classes]
    lent = int(((told == classes.index("neutral")) & np.isin(truth, nameless)).sum())
    return accuracy(counts) - lent / max(1, len(truth))


def _voices(context: Context, results: Results) -> dict[str, Any]:
    """Accuracy of the voice attribute, clean and under the conditions."""
    labels = Labels.of(context.recordings).voice

    def of(condition: str) -> dict[str, float]:
        right = [
            float((result[f"voice/{condition}"].argmax(1) == labels[job.trial.test]).float().mean())
            for job, result in results.items()
        ]
        told = summarise(right)
        return {"accuracy": told["mean"], "std": told["std"]}

    present = [name for name in CONDITIONS if all(f"voice/{name}" in result for result in results.values())]
    return {**of(CLEAN), **{name: of(name) for name in present}}


def _calibration(context: Context, results: Results, folds: int) -> dict[str, Any]:
    """How far confidences are from accuracies, with temperatures that were fitted on other actors than the tested.

    Each fold's temperature is fitted on what the other folds' networks made of their own unheard actors, and the
    threshold of familiarity is set in the same way.
    """
    labels = Labels.of(context.recordings).emotion
    before: list[np.ndarray] = []
    after: list[np.ndarray] = []
    rights, passed, nats = [], [], []
    for job, result in results.items():
        others = [(o, r) for o, r in results.items() if o.trial.number % folds != job.trial.number % folds]
        if not others:
            return {}
        temperature = temperature_of(context, dict(others))
        truth, logits = labels[job.trial.test], result[f"emotion/{CLEAN}"]
        for divisor, into in ((1.0, before), (temperature, after)):
            into.append((logits / divisor).softmax(1).amax(1).numpy())
        nats.append(float(torch.nn.functional.cross_entropy(logits / temperature, truth)))
        rights.append((logits.argmax(1) == truth).numpy())
        passed.append(float((result[f"distance/{CLEAN}"] <= threshold_of(dict(others))).float().mean()))
    right = np.concatenate(rights)
    confidence = np.concatenate(after)
    sure = confidence >= np.median(confidence)
    return {
        "temperature": temperature_of(context, results),
        "expected_error": calibration_error(confidence, right),
        "expected_error_without": calibration_error(np.concatenate(before), right),
        "negative_log_likelihood": float(np.mean(nats)),
        "mean_confidence": float(confidence.mean()),
        "accuracy_of_surer_half": float(right[sure].mean()),
        "accuracy_of_other_half": float(right[~sure].mean()),
        "threshold": threshold_of(results),
        "unheard_actors_found_familiar": float(np.mean(passed)),
    }


def temperature_of(context: Context, results: Results) -> float:
    """The temperature fitted on the unheard actors of all `results` together."""
    labels = Labels.of(context.recordings).emotion
    logits = torch.cat([result[f"emotion/{CLEAN}"] for result in results.values()])
    return fit_temperature(logits, torch.cat([labels[job.trial.test] for job in results]))


def threshold_of(results: Results) -> float:
    """The distance that all but a twentieth of the recordings of unheard actors stay below."""
    return float(torch.cat([result[f"distance/{CLEAN}"] for result in results.values()]).quantile(KNOWN_SHARE))


def steadiest_of(context: Context) -> float:
    """The liveliness in dB that all but one in 200 recordings have with noise 20 dB below, as it may be in a room."""
    found = [emotion_features.liveliness(mel) for mel in features_of(context, "noise 20 dB").mels]
    return float(np.quantile(found, STEADY_SHARE))


def lines(found: Mapping[str, Any]) -> list[str]:
    """The main figures for people, a line each."""
    told = []
    for protocol in PROTOCOLS:
        for name, row in found.get(protocol, {}).items():
            told.append(f"{protocol:18} {name:8} {row['accuracy']:.3f} ± {row['std']:.3f}  F1 {row['macro_f1']:.3f}")
    if voice := found.get("voice_attribute"):
        told.append(f"{'voice attribute':27} {voice['accuracy']:.3f} ± {voice['std']:.3f}")
    return told
