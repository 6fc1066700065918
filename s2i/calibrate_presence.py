"""The command that calibrates the measure of speech in recordings: `python -m s2i.calibrate_presence`."""

import json

from datasets import cli, ravdess
from datasets.files import require_file, write_text
from s2i.evaluation.presence_config import PresenceConfig


def main(arguments: list[str]) -> None:
    """Calibrate as the command line asks for; write the weights and print the figures."""
    description = "Calibrate the measure of whether a recording holds speech, and measure how often it is right."
    preset = {"cub": PresenceConfig(ravdess=ravdess.default_root())}
    config = cli.parse(PresenceConfig, preset, arguments, description=description)
    require_file(config.corpus, "corpus", maker="scripts/prepare_cub.sh")
    from s2i.evaluation import presence  # torch, which --help need not wait for
    from s2i.model.speech_presence import WEIGHTS

    path = config.output / WEIGHTS
    figures = presence.calibrate(config, path)
    write_text(path.with_suffix(".json"), json.dumps(figures, indent=1) + "\n")
    write_text(path.with_suffix(".md"), presence.page(figures))
    print(presence.table(figures))
    print(path)


if __name__ == "__main__":
    cli.run(main)
