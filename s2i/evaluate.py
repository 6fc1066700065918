"""The command that scores every model on the same captions: the table, results.json, and a page with pictures."""

import json
import sys
from pathlib import Path
from typing import Any

from datasets import cli
from datasets.files import check_output, require_file, write_text
from datasets.lock import alone_in
from s2i.evaluation import results
from s2i.evaluation.evaluate_config import EvaluateConfig
from s2i.model.model_folder import DAMSM, SPEECH

PRESETS = {
    "cub": EvaluateConfig(),
    "tiny": EvaluateConfig(  # the shipped models on the drawn birds of scripts/prepare_cub.sh --preset tiny
        models="real,stackgan,attngan,s2i",
        corpus=Path("data/tiny.h5"),
        work=Path("outputs/tiny-evaluation"),
        samples=16,
        draws=1,
        splits=2,
        resolution=64,
        noise_samples=0,
    ),
}


def main(arguments: list[str]) -> None:
    """Score what the command line asks for and print it."""
    description = "Score every model on the same captions, or --folder: pictures that another model made."
    config = cli.parse(EvaluateConfig, PRESETS, arguments, description=description)
    if config.folder is None:
        require_file(config.corpus, "corpus", maker="scripts/prepare_cub.sh")
    check_output(config.results)
    with alone_in(config.work):
        figures = evaluate(config) if config.folder is None else evaluate_folder(config, config.folder)
    print(results.as_text(figures))
    for name, value in figures.get("full_size", {}).items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    if "noise" in figures:
        from s2i.evaluation import noise

        print(noise.summary(figures["noise"]))
    print(config.results)


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Score what is asked for; write results, page, pictures and curves, and return the results.

    Raises:
        InputError: for a missing or damaged corpus, evaluator or weights file, or too few recordings.
    """
    from attngan.networks.encoders import load_image_encoder  # torch, which --help need not wait for
    from s2i.evaluation import full_size, noise, results_page, synthetic
    from s2i.evaluation.evaluation import Evaluation
    from s2i.evaluation.evaluation_set import EvaluationSet

    evaluation = Evaluation(config)
    figures: dict[str, Any] = {"meta": _meta(config), "rows": {}}
    if config.names:
        figures["rows"] = rows = evaluation.table()
        budgets = [row["budget_pictures"] for row in rows.values() if row.get("budget_pictures")]
        figures["meta"] |= {
            "extractor": evaluation.evaluators.extractor.name,
            **({"observer": evaluation.observer.name} if evaluation.observer else {}),
            "samples": len(evaluation.samples),
            "draws": config.draws,
            "resolution": config.resolution,
            "noise_samples": config.noise_samples,
            "budget_pictures": min(budgets, default=0),
        }
        figures["retrieval"] = evaluation.retrieval()
        if config.synthetic.is_file():
            figures["drawn"] = synthetic.read(config.synthetic)
        else:
            print(f"warning: {config.synthetic}: not there, so no figures of synthetic birds", file=sys.stderr)
    if config.noise_samples:
        figures["meta"]["noise_samples"] = config.noise_samples
        figures["noise"] = noise.measure(evaluation)
    if config.full_size:
        image, _ = load_image_encoder(config.model / DAMSM)
        samples = EvaluationSet.of(evaluation.corpus, config.full_size, config.seed, option="full-size")
        figures["full_size"] = full_size.measure(
            evaluation.model("s2i"), image, samples, grid=config.grid, seed=config.seed, output=config.results
        )
    write_text(config.results, json.dumps(figures, indent=2) + "\n")
    results_page.write(figures, evaluation, config.results)
    return figures


def evaluate_folder(config: EvaluateConfig, folder: Path) -> dict[str, Any]:
    """Score somebody else's pictures; write the results and return them.

    Raises:
        InputError: for pictures or a table that cannot be used, too few pictures, or a missing evaluator.
    """
    from attngan.evaluation.evaluators import REAL, RealStatistics
    from attngan.evaluation.observer_scores import ObserverEvaluator
    from attngan.runtime.device import find_device
    from s2i.evaluation import reference
    from s2i.evaluation.cache import Cache
    from s2i.evaluation.evaluation import Evaluation, load_evaluators
    from s2i.evaluation.folders import LARGEST, score_folder

    device = find_device(config.device)
    evaluators = load_evaluators(config).to(device)
    # What the observer compares with are the photographs of CUB.
    observer = ObserverEvaluator.load(config.evaluators) if config.real is None else None
    cache = Cache(config.work)
    if config.real is not None:
        real = reference.load(config.real, evaluators, cache)
        if not len(real.features):
            print(f"{config.real}: holds mean and covariance, from which KID cannot be had; for it give a folder")
    elif config.inception is None:
        real = RealStatistics.load(config.evaluators / REAL, evaluators.extractor)
    else:
        require_file(config.corpus, "corpus, which --inception needs unless --real is given,")
        real = Evaluation(config).statistics()
    row = score_folder(
        folder,
        config.table,
        evaluators,
        real,
        speech=config.model / SPEECH,
        observer=observer and observer.to(device),
        splits=config.splits,
        seed=config.seed,
        cache=cache,
        largest=LARGEST if config.real is None else reference.LARGEST,
    )
    meta = {**_meta(config), "extractor": evaluators.extractor.name, "samples": row["pictures"]}
    if config.real is not None:
        meta |= {"real": str(config.real), "real_pictures": real.total or None}
    if observer is not None:
        meta["observer"] = observer.name
    figures = {"meta": meta, "rows": {folder.name or str(folder): {"about": f"pictures of {folder}", **row}}}
    write_text(config.results, json.dumps(figures, indent=2) + "\n")
    return figures


def _meta(config: EvaluateConfig) -> dict[str, Any]:
    from attngan.runtime.machine import environment

    about = environment()
    origin = {name: about[name] for name in ("commit", "command", "machine", "torch")}
    return {**origin, "seed": config.seed, "precision": config.precision}


if __name__ == "__main__":
    cli.run(main)
