"""The command that fits what the observer scores with: a classifier of species, statistics of the photographs."""

from dataclasses import dataclass
from pathlib import Path

from datasets import cli
from datasets.errors import InputError

BATCH = 64  # photographs looked at together


@dataclass(frozen=True)
class FitObserverConfig:
    """What is fitted, and on what."""

    corpus: Path = Path("data/cub.h5")
    """Corpus with the photographs of all species: one half of each species is learned from, the other measures."""
    resolution: int = 128
    """Pixels of a side that photographs are reduced to before the observer looks, as the pictures it will score."""
    penalty: float = 1e-3
    """Weight of the squared weights."""
    output: Path = Path("outputs/evaluators")
    """Folder that gets the head and the statistics. The shipped ones are in pretrained/evaluators."""

    def __post_init__(self) -> None:
        cli.check_range("resolution", self.resolution, 32, 1024)
        cli.check_range("penalty", self.penalty, 0, 1)


def main(arguments: list[str]) -> None:
    """Fit as the command line asks for and print the accuracy on photographs that were not learned from."""
    description = "Fit the observer's classifier of bird species and take statistics of the photographs."
    config = cli.parse_tool(FitObserverConfig, arguments, description=description)
    path, accuracy = fit(config)
    print(f"{path}: {accuracy:.1f} % of the photographs that it did not learn from are called right")


def fit(config: FitObserverConfig) -> tuple[Path, float]:
    """Look at all photographs, fit the head on every second of each species; its file and its accuracy on the others.

    The statistics are of all test photographs.

    Raises:
        InputError: for a missing corpus or package, or a species of one photograph.
    """
    import numpy as np  # these take a second to import, which --help need not wait for
    import torch
    from tqdm import tqdm

    from attngan.evaluation import species_head
    from attngan.evaluation.evaluators import HEAD, OBSERVER_REAL, RealStatistics
    from attngan.evaluation.observer import Observer
    from attngan.runtime.machine import environment
    from datasets.corpus import Corpus
    from s2i.evaluation.evaluation_set import read_photographs

    corpus, observer = Corpus(config.corpus), Observer()
    learned, kept = species_head.halves(corpus.species)
    if not len(kept):
        raise InputError(f"{config.corpus}: no species has two photographs, one to learn from and one to measure with")
    species = torch.from_numpy(corpus.species).long()
    features = []
    for start in tqdm(range(0, len(corpus), BATCH), desc="photographs", unit="batch"):
        indices = np.arange(start, min(start + BATCH, len(corpus)))
        features.append(observer.look(read_photographs(corpus, indices, config.resolution)).features)
    looked = torch.cat(features)
    head = species_head.fit(looked[learned], species[learned], penalty=config.penalty)
    accuracy = float((head(looked[kept]).argmax(1) == species[kept]).float().mean() * 100)
    path = config.output / HEAD
    origin = {"corpus": corpus.config, "resolution": config.resolution, **environment()}
    about = {"accuracy": accuracy, "learned_from": len(learned), **origin}
    species_head.save(head.half(), path, network=observer.identity, **about)
    test = looked[torch.from_numpy(corpus.pictures_of("test"))]
    real = RealStatistics.of(test, observer.features_identity)
    real.save(config.output / OBSERVER_REAL, {"split": "test", **origin})
    return path, accuracy


if __name__ == "__main__":
    cli.run(main)
