"""The command that measures whether synthetic birds are painted as they are described."""

from datasets import cli
from datasets.files import check_output
from s2i.evaluation.synthetic_config import SyntheticConfig


def main(arguments: list[str]) -> None:
    """Measure as the command line asks for and print the figures."""
    description = "Measure whether synthetic birds are painted as they are described."
    config = cli.parse(SyntheticConfig, {"drawn": SyntheticConfig()}, arguments, description=description)
    check_output(config.output)
    from s2i.evaluation.synthetic import measure  # imports torch, which `--help` need not wait for

    figures = measure(config)
    for row, values in figures.items():
        if row != "meta":
            print(f"{row}: " + ", ".join(f"{name} {value:.1f}" for name, value in values.items()))


if __name__ == "__main__":
    cli.run(main)
