"""The command that makes the folder of evaluators: classifier, judge, and statistics of the real photographs."""

from dataclasses import dataclass
from pathlib import Path

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder
from s2i.export import halve, portable

LIMIT = 15_000_000  # bytes in all
BATCH = 64  # photographs looked at together


@dataclass(frozen=True)
class ExportConfig:
    """What becomes the evaluators."""

    classifier: Path = Path("runs/classifier/classifier.safetensors")
    """Classifier of species."""
    judge: Path = Path("runs/judge/best.safetensors")
    """DAMSM that no generator is trained with."""
    observer_judge: Path = Path("runs/observer-judge/best.safetensors")
    """Another on the features of the observer's network."""
    corpus: Path = Path("data/cub.h5")
    """Corpus whose test photographs the statistics are of."""
    resolution: int = 128
    """Side in px that the photographs are reduced to before the evaluators look, that of the pictures they score."""
    output: Path = Path("outputs/evaluators")
    """Folder to write. The shipped one is pretrained/evaluators."""

    def __post_init__(self) -> None:
        cli.check_range("resolution", self.resolution, 32, 1024)


def main(arguments: list[str]) -> None:
    """Export what the command line asks for."""
    export(cli.parse_tool(ExportConfig, arguments, description="Make the folder of evaluators."))


def export(config: ExportConfig) -> list[Path]:
    """Write half-precision copies and the statistics; print their sizes.

    Raises:
        InputError: if a file is not what its option wants, or if all together are too large.
    """
    import torch  # which --help need not wait for
    from tqdm import tqdm

    from attngan.evaluation.classifier import KIND as CLASSIFIER_KIND
    from attngan.evaluation.evaluators import (
        CLASSIFIER,
        HELD_OUT,
        OBSERVER_JUDGE,
        REAL,
        Matcher,
        RealStatistics,
        SpeciesExtractor,
    )
    from attngan.networks import encoders
    from attngan.runtime import checkpoint
    from datasets.corpus import Corpus
    from s2i.evaluation.evaluation_set import read_photographs

    make_folder(config.output)
    parts = [
        (config.classifier, f"{CLASSIFIER_KIND}-weights", CLASSIFIER),
        (config.judge, f"{encoders.DAMSM_KIND}-weights", HELD_OUT),
        (config.observer_judge, f"{encoders.DAMSM_KIND}-weights", OBSERVER_JUDGE),
    ]
    for source, kind, name in parts:
        state, description = checkpoint.load(source, kind)
        checkpoint.save(config.output / name, halve(state), portable(description))
    for name in (HELD_OUT, OBSERVER_JUDGE):
        Matcher(config.output / name)  # what does not load is not shipped
    extractor = SpeciesExtractor(config.output / CLASSIFIER)
    corpus = Corpus(config.corpus)
    indices = corpus.pictures_of("test")
    features = []
    for start in tqdm(range(0, len(indices), BATCH), desc="photographs", unit="batch"):
        features.append(extractor(read_photographs(corpus, indices[start : start + BATCH], config.resolution))[0])
    statistics = RealStatistics.of(torch.cat(features), extractor.features_identity)
    statistics.save(config.output / REAL, {"corpus": corpus.config, "split": "test", "resolution": config.resolution})
    written = [config.output / name for name in (CLASSIFIER, HELD_OUT, OBSERVER_JUDGE, REAL)]
    size = sum(path.stat().st_size for path in written)
    print(", ".join(f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in written), f"of {LIMIT / 1e6:.0f} MB")
    if size > LIMIT:
        raise InputError(
            f"{config.output}: {size / 1e6:.1f} MB in all, more than {LIMIT / 1e6:.0f}; train smaller ones"
        )
    return written


if __name__ == "__main__":
    cli.run(main)
