"""Calibration of the measure of speech: how it learns, how its threshold is set, and how often it is right."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from attngan.runtime.machine import environment
from datasets import nonspeech
from s2i.evaluation.presence_config import PresenceConfig
from s2i.evaluation.presence_sounds import CONDITIONS, Sounds, changed, recordings
from s2i.model.speech_presence import SpeechPresence

FOLDS = 4
CHANGED = 2  # times that each recording is learnt from under another condition, besides its own
FOUND = "README"  # in the folder of recordings that were found: where they come from


def fit(sounds: Sounds, *, hidden: int, steps: int, seed: int) -> SpeechPresence:
    """A network that tells speech from the rest; every kind weighs alike, and so do both sides."""
    torch.manual_seed(seed)
    x, y = torch.stack(sounds.features), torch.tensor(sounds.speech).float()
    network = SpeechPresence(inputs=x.shape[1], hidden=hidden)
    network.mean.copy_(x.mean(0))
    network.scale.copy_(x.std(0).clamp(min=1e-3))
    names, index = np.unique(sounds.kinds, return_inverse=True)
    weight = torch.from_numpy(1 / np.bincount(index, minlength=len(names)))[torch.from_numpy(index)].float()
    for side in (0.0, 1.0):
        weight[y == side] /= weight[y == side].sum()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=3e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(steps):
        noisy = x + 0.2 * network.scale * torch.randn_like(x)
        loss = (F.binary_cross_entropy_with_logits(network(noisy), y, reduction="none") * weight).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def calibrate(config: PresenceConfig, path: Path) -> dict[str, Any]:
    """Learn, set the threshold, write the weights to `path`, and measure on voices and kinds that were not met.

    Returns:
        {"false_alarms": {kind: {condition: {"n", "percent"}}}, "detected": {kind: {"n", "percent", "learnt"}},
        "options", and where it was measured}.

    Raises:
        InputError: for a missing RAVDESS or corpus, or a folder that cannot be written.
    """
    learnt = Sounds()
    for wave, kind, group, speech in recordings(config, learnt=True):
        generator = torch.Generator().manual_seed(config.seed + len(learnt.kinds))
        for version in (wave, *(changed(wave, generator) for _ in range(CHANGED))):
            learnt.add(version, speech=speech, kind=kind, group=group)
    network = fit(learnt, hidden=config.hidden, steps=config.steps, seed=config.seed)
    network.threshold += threshold(learnt, config)
    about = {"options": {k: v.name if isinstance(v, Path) else v for k, v in vars(config).items()}, **environment()}
    network.save(path, **about)
    told = config.found / FOUND if config.found else None
    from_where = told.read_text(encoding="utf-8").strip() if told is not None and told.is_file() else ""
    return {**measure(network, config), "found": from_where, **about}


def threshold(learnt: Sounds, config: PresenceConfig) -> float:
    """`margin` less than the score below which `false_alarms` percent of the speech lies.

    By networks that did not hear the group that each recording is of.
    """
    groups, index = np.unique(learnt.groups, return_inverse=True)
    fold_of = np.random.default_rng(config.seed).permutation(len(groups))[index] % FOLDS
    speech, scores = np.array(learnt.speech), []
    for fold in range(FOLDS):
        heard = learnt[(fold_of == fold) & speech]
        if not heard.features:  # there are fewer speakers than folds
            continue
        part = fit(learnt[fold_of != fold], hidden=config.hidden, steps=config.steps, seed=config.seed + fold)
        scores.append(part(torch.stack(heard.features)).numpy())
    return float(np.quantile(np.concatenate(scores), config.false_alarms / 100)) - config.margin


def measure(network: SpeechPresence, config: PresenceConfig) -> dict[str, Any]:
    """How often speech is called none, and how often what is none is told, on what was not learnt from."""
    wrong: dict[str, dict[str, list[bool]]] = {}
    told: dict[str, list[bool]] = {}
    for number, (wave, kind, _, speech) in enumerate(recordings(config, learnt=False)):
        if not speech:
            told.setdefault(kind, []).append(network.measure(wave) < 0)
            continue
        for condition, change in CONDITIONS.items():
            version = change(wave, torch.Generator().manual_seed(config.seed + number))
            wrong.setdefault(kind, {}).setdefault(condition, []).append(network.measure(version) < 0)

    def share(hits: list[bool]) -> dict[str, float]:
        return {"n": len(hits), "percent": 100 * float(np.mean(hits))}

    return {
        "false_alarms": {kind: {name: share(hits) for name, hits in by.items()} for kind, by in wrong.items()},
        "detected": {kind: {**share(hits), "learnt": kind in nonspeech.LEARNT} for kind, hits in told.items()},
    }


def table(figures: dict[str, Any]) -> str:
    """What `measure` found, as two Markdown tables."""
    alarms, detected = figures["false_alarms"], figures["detected"]
    titles = [f"{kind}, n = {by['clean']['n']}" for kind, by in alarms.items()]
    lines = [f"| speech called none, % | {' | '.join(titles)} | all |", "|---" * (len(alarms) + 2) + "|"]
    for condition in CONDITIONS:
        each = [by[condition] for by in alarms.values()]
        cells = [f"{one['percent']:.1f}" for one in each] + [f"{_mean(each):.2f}"]
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    every = [one for by in alarms.values() for one in by.values()]
    total = int(sum(one["n"] for one in every))
    lines.append(f"| **all, n = {total}** | " + " | ".join(f"{_mean(list(by.values())):.2f}" for by in alarms.values())
                 + f" | **{_mean(every):.2f}** |")  # fmt: skip
    lines += ["", "| no speech | met in calibration | n | told, % |", "|---|---|---|---|"]
    for kind, one in detected.items():
        met = "other ones of the kind" if one["learnt"] else "no"
        lines.append(f"| {kind} | {met} | {one['n']} | {one['percent']:.1f} |")
    return "\n".join(lines)


def _mean(shares: list[dict[str, float]]) -> float:
    return sum(one["percent"] * one["n"] for one in shares) / sum(one["n"] for one in shares)


def page(figures: dict[str, Any]) -> str:
    """The tables with what is to be known of them."""
    return (
        "# Speech, or something else\n\n"
        "How often `s2i.model.speech_presence` is wrong, on people, voices and kinds of sounds that it did not learn\n"
        "from, or on other sounds of a kind that it did.\n\n"
        f"{table(figures)}\n\n{figures['found']}\n\n"
        f"`{figures['command']}`, commit {figures['commit']},\n"
        f"seed {figures['options']['seed']}, {figures['machine']}.\n"
    )
