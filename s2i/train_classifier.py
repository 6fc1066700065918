"""The command that trains the classifier of bird species that pictures are scored with."""

from attngan.training.classifier_config import PRESETS, ClassifierConfig
from datasets import cli


def main(arguments: list[str]) -> None:
    """Train the classifier as the command line asks for."""
    config = cli.parse(ClassifierConfig, PRESETS, arguments, description="Train a classifier of bird species.")
    from attngan.training.classifier import train  # imports torch, which `--help` need not wait for

    train(config)


if __name__ == "__main__":
    cli.run(main)
