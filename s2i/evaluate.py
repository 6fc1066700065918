"""The command that scores every model on the same captions: the table, results.json, and a page with pictures."""

import json
import sys
from pathlib import Path
from typing import Any

from attngan.evaluation.evaluators import REAL, RealStatistics
from attngan.runtime.machine import environment
from datasets import cli
from datasets.files import write_text
from s2i.evaluation import noise, results, results_page, synthetic
from s2i.evaluation.cache import Cache
from s2i.evaluation.evaluation import EvaluateConfig, Evaluation, load_evaluators
from s2i.evaluation.folders import score_folder
from s2i.model import model_folder

PRESETS = {"cub": EvaluateConfig()}


def main(arguments: list[str]) -> None:
    """Score what the command line asks for and print it."""
    description = "Score every model on the same captions, or --folder: pictures that another model made."
    config = cli.parse(EvaluateConfig, PRESETS, arguments, description=description)
    if config.folder is not None:
        found = evaluate_folder(config, config.folder)
        write_text(config.output, json.dumps(found, indent=2) + "\n")
        print(results.as_text(found))
    else:
        found = evaluate(config)
        print(results.as_text(found))
    print(config.output)


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Score the rows that are asked for; write results, page, pictures and curves, and return the results.

    Raises:
        InputError: for a missing or damaged corpus, evaluator or weights file, or too few recordings.
    """
    evaluation = Evaluation(config)
    real = evaluation.statistics()
    matched, judged = (
        encoder.read(evaluation.trials.captions)
        for encoder in (evaluation.evaluators.matcher, evaluation.evaluators.judge)
    )
    table = {name: evaluation.row(name, matched, judged, real) for name in config.names}
    budgets = [row["budget_pictures"] for row in table.values() if row.get("budget_pictures")]
    meta = {
        **_meta(config, evaluation.evaluators.extractor.name),
        "samples": len(evaluation.trials),
        "draws": config.draws,
        "resolution": config.resolution,
        "noise_samples": config.noise_samples,
        "budget_pictures": min(budgets, default=0),
    }
    found: dict[str, Any] = {"meta": meta, "rows": table, "retrieval": evaluation.retrieval()}
    if config.drawn.is_file():
        found["drawn"] = synthetic.read(config.drawn)
    else:
        print(f"warning: {config.drawn}: not there, so no figures of drawn birds", file=sys.stderr)
    if config.noise_samples:
        found["noise"] = noise.measure(_noise_config(config))
    write_text(config.output, json.dumps(found, indent=2) + "\n")
    results_page.write(found, evaluation, config.output)
    return found


def evaluate_folder(config: EvaluateConfig, folder: Path) -> dict[str, Any]:
    """Score somebody else's pictures.

    Raises:
        InputError: for pictures or a table that cannot be used, too few pictures, or a missing evaluator.
    """
    evaluators = load_evaluators(config)
    if config.inception is None:
        real = RealStatistics.load(config.evaluators / REAL, evaluators.extractor)
    else:
        real = Evaluation(config).statistics()
    row = score_folder(
        folder,
        config.table,
        evaluators,
        real,
        speech=config.model / model_folder.SPEECH,
        splits=config.splits,
        seed=config.seed,
        cache=Cache(config.work),
    )
    meta = {**_meta(config, evaluators.extractor.name), "samples": row["pictures"]}
    return {"meta": meta, "rows": {folder.name or str(folder): {"about": f"pictures of {folder}", **row}}}


def _meta(config: EvaluateConfig, extractor: str) -> dict[str, Any]:
    about = environment()
    told = {name: about[name] for name in ("commit", "command", "machine", "torch")}
    return {**told, "seed": config.seed, "extractor": extractor}


def _noise_config(config: EvaluateConfig) -> noise.NoiseConfig:
    return noise.NoiseConfig(
        corpus=config.corpus,
        model=config.model,
        baselines=config.baselines,
        evaluators=config.evaluators,
        recogniser=config.recogniser,
        samples=config.noise_samples,
        seed=config.seed,
        resolution=config.resolution,
        work=config.work,
    )


if __name__ == "__main__":
    cli.run(main)
