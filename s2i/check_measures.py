"""The command that damages photographs to see which measure notices: `scripts/check_measures.sh`."""

from datasets import cli
from s2i.evaluation.sensitivity_config import MEASURES, SensitivityConfig

PRESETS = {
    "cub": SensitivityConfig(),
}


def main(arguments: list[str]) -> None:
    """Damage, score, and print the table."""
    description = "Damage photographs in known ways and see which measures notice."
    config = cli.parse(SensitivityConfig, PRESETS, arguments, description=description)
    from s2i.evaluation.sensitivity import measure  # torch, which --help need not wait for

    for name, row in measure(config)["rows"].items():
        print(f"{name}: " + ", ".join(f"{MEASURES[each][0]} {value:.1f}" for each, value in row.items()))
    print(config.output.with_suffix(".md"))


if __name__ == "__main__":
    cli.run(main)
