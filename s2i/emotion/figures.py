"""From the results of the trainings to the figures of `pretrained/emotion.json`."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets.ravdess import EMOTIONS
from s2i.emotion import features as emotion_features
from s2i.emotion.dataset import Labels
from s2i.emotion.experiments import CLEAN, CONDITIONS, Context, Experiment, features_of
from s2i.emotion.metrics import (
    accuracy,
    calibration_error,
    confusion,
    fit_temperature,
    mean_and_std,
    over_splits,
)
from s2i.emotion.protocols import INDEPENDENT, PROTOCOLS, VALIDATION_FOLDS
from s2i.emotion.recognisers import PUBLISHED, RECOGNISERS

Results = Mapping[Experiment, Mapping[str, Tensor]]
STEADY_SHARE = 0.005  # of recordings that are left out when the steadiest is looked for
KNOWN_SHARE = 0.95  # of recordings of actors never heard that the threshold of familiarity lets pass


def matrix(
    context: Context, experiment: Experiment, result: Mapping[str, Tensor], condition: str = CLEAN
) -> np.ndarray:
    """Confusion matrix [C, C] of an experiment under a condition, over the classes of its recogniser."""
    recogniser = RECOGNISERS[experiment.recogniser]
    truth = recogniser.labels(Labels.of(context.recordings).emotion)[experiment.split.test]
    predicted = result[f"emotion/{condition}"].argmax(1)
    return confusion(truth.numpy(), predicted.numpy(), len(recogniser.classes))


def figures(context: Context, results: Results, folds: int) -> dict[str, Any]:
    """All figures, in the shape of emotion.json without its `meta`."""
    groups: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    initialisations: dict[str, list[Experiment]] = defaultdict(list)
    for experiment in results:
        if experiment.initialisation is not None:
            initialisations[experiment.initialisation].append(experiment)
        else:
            groups[experiment.split.protocol, experiment.recogniser].append(experiment)
    report: dict[str, Any] = {}
    for protocol in PROTOCOLS:
        report[protocol] = {
            name: _row(context, {experiment: results[experiment] for experiment in groups[protocol, name]})
            for name in RECOGNISERS
            if groups[protocol, name]
        }
    ours = {experiment: results[experiment] for experiment in groups[INDEPENDENT, "ours"]}
    if ours:
        report["voice_attribute"] = _voices(context, ours)
        report["calibration"] = _calibration(context, ours, folds)
        report["folds_not_chosen_on"] = over_splits(
            [
                matrix(context, experiment, each)
                for experiment, each in ours.items()
                if experiment.split.number % folds not in VALIDATION_FOLDS
            ]
        )
        best = max(
            (report[INDEPENDENT][name]["accuracy"] for name in PUBLISHED if name in report[INDEPENDENT]), default=0
        )
        report["ahead_of_best_published"] = report[INDEPENDENT]["ours"]["accuracy"] - best
    alexnet = {experiment: results[experiment] for experiment in groups[INDEPENDENT, "alexnet"]}
    if alexnet:
        report["voice_attribute_alexnet"] = _voices(context, alexnet)
    report["one_sex_in_training"] = {
        f"trained on {sex}, tested on {other}": _row(context, {experiment: results[experiment]})
        for experiment in groups["one_sex", "ours"]
        for sex, other in [("women", "men") if experiment.split.number == 0 else ("men", "women")]
    }
    report["beginnings"] = {
        name: over_splits([matrix(context, experiment, results[experiment]) for experiment in experiments])
        for name, experiments in initialisations.items()
    }
    return report


def _row(context: Context, results: Results) -> dict[str, Any]:
    """Accuracy and so on of one recogniser under one protocol; under the conditions as well where they were tested."""
    matrices = [matrix(context, experiment, result) for experiment, result in results.items()]
    name = next(iter(results)).recogniser
    row: dict[str, Any] = {**over_splits(matrices), "trials": len(matrices), "confusion": np.sum(matrices, 0).tolist()}
    row["recordings_tested"] = int(np.sum(matrices))
    if len(RECOGNISERS[name].classes) != len(EMOTIONS):
        row["classes"] = len(RECOGNISERS[name].classes)
        row["accuracy_of_eight"] = float(np.mean([_of_eight(context, *each) for each in results.items()]))
    for condition in CONDITIONS:
        if all(f"emotion/{condition}" in result for result in results.values()):
            distorted = [matrix(context, experiment, result, condition) for experiment, result in results.items()]
            row[condition] = over_splits(distorted)
    return row


def _of_eight(context: Context, experiment: Experiment, result: Mapping[str, Tensor]) -> float:
    """Accuracy over the eight emotions of a recogniser without a class for some: those it always gets wrong."""
    counts = matrix(context, experiment, result)
    classes = RECOGNISERS[experiment.recogniser].classes
    truth = Labels.of(context.recordings).emotion[experiment.split.test].numpy()
    predicted = result[f"emotion/{CLEAN}"].argmax(1).numpy()
    missing = [k for k, emotion in enumerate(EMOTIONS) if emotion not in classes]
    by_merging = int(((predicted == classes.index("neutral")) & np.isin(truth, missing)).sum())
    return accuracy(counts) - by_merging / max(1, len(truth))


def _voices(context: Context, results: Results) -> dict[str, Any]:
    """Accuracy of the voice attribute, clean and under the conditions."""
    labels = Labels.of(context.recordings).voice

    def of(condition: str) -> dict[str, float]:
        right = [
            float((result[f"voice/{condition}"].argmax(1) == labels[experiment.split.test]).float().mean())
            for experiment, result in results.items()
        ]
        summary = mean_and_std(right)
        return {"accuracy": summary["mean"], "std": summary["std"]}

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
    for experiment, result in results.items():
        others = [(o, r) for o, r in results.items() if o.split.number % folds != experiment.split.number % folds]
        if not others:
            return {}
        temperature = temperature_of(context, dict(others))
        truth, logits = labels[experiment.split.test], result[f"emotion/{CLEAN}"]
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
    return fit_temperature(logits, torch.cat([labels[experiment.split.test] for experiment in results]))


def threshold_of(results: Results) -> float:
    """The distance that all but a twentieth of the recordings of unheard actors stay below."""
    return float(torch.cat([result[f"distance/{CLEAN}"] for result in results.values()]).quantile(KNOWN_SHARE))


def steadiest_of(context: Context) -> float:
    """The liveliness in dB that all but one in 200 recordings have with noise 20 dB below, as it may be in a room."""
    liveliness = [emotion_features.liveliness(mel) for mel in features_of(context, "noise 20 dB").mels]
    return float(np.quantile(liveliness, STEADY_SHARE))


def lines(report: Mapping[str, Any]) -> list[str]:
    """The main figures for people, a line each."""
    summary = []
    for protocol in PROTOCOLS:
        for name, row in report.get(protocol, {}).items():
            summary.append(f"{protocol:18} {name:8} {row['accuracy']:.3f} ± {row['std']:.3f}  F1 {row['macro_f1']:.3f}")
    if voice := report.get("voice_attribute"):
        summary.append(f"{'voice attribute':27} {voice['accuracy']:.3f} ± {voice['std']:.3f}")
    return summary
