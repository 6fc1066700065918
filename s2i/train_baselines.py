"""The command that trains what the shipped model is compared with: every row at the same budget of pictures."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attngan.training.gan_config import GanConfig
from datasets import cli
from datasets.files import make_folder, write_text
from s2i import train_gan
from s2i.evaluation import baselines
from s2i.export import halve, portable

SIZES = {  # of the networks: the stages, by what the presets of training the generator call them
    "cpu": (replace(train_gan.CPU_64_TEXT, final_rate=0.1), replace(train_gan.CPU_128, freeze=0, init=None)),
    "tiny": tuple(replace(train_gan.PRESETS["tiny"], stages=k, diversity_weight=0.02 * (2 - k)) for k in (1, 2)),
}


@dataclass(frozen=True)
class BaselinesConfig:
    """Which rows are trained, and how much."""

    rows: tuple[str, ...] = tuple(baselines.TRAINED)
    """Rows of the table of results to train, one after the other."""
    pictures: tuple[int, int] = (48_000, 12_000)
    """Budget of each row: real pictures seen at 64 px, then at 128 px with the first stage left as it is."""
    size: str = "cpu"
    """Networks of the size of the presets that train_gan.sh has for two CPU cores (cpu), or tiny."""
    corpus: Path = Path("data/cub.h5")
    """The corpus, made by scripts/prepare_cub.sh."""
    damsm: Path = Path("pretrained/damsm.safetensors")
    """DAMSM: text encoder, and DAMSM loss of all rows but the text-free one."""
    sen: Path = Path("pretrained/speech.safetensors")
    """Speech encoder of all rows from speech but the text-free one."""
    text_free: Path = Path("runs/damsm-free/best.safetensors")
    """DAMSM trained by scripts/train_damsm.sh --modality speech: encoders and loss of the text-free row."""
    runs: Path = Path("runs/baselines")
    """Where the run folders go; the same command again goes on there."""
    output: Path = Path("outputs/baselines")
    """Folder of generators in half precision, and of the speech encoder of the text-free row. The shipped one is
    pretrained/baselines."""
    seed: int = 0
    """Of everything random."""

    def __post_init__(self) -> None:
        baselines.check(self.rows, tuple(baselines.TRAINED))
        for count in self.pictures:
            cli.check_range("pictures", count, 1)
        cli.check_choice("size", self.size, tuple(SIZES))
        cli.check_range("seed", self.seed, 0)

    def trainings(self, name: str) -> list[GanConfig]:
        """The trainings of the row `name`, one after the other."""
        encoders: dict[str, Any] = {"damsm": self.damsm, "sen": self.sen}
        if baselines.TRAINED[name].text_free:
            encoders = {"damsm": self.text_free, "sen": self.text_free}
        stages = [
            replace(config, pictures=pictures, corpus=self.corpus, seed=self.seed, **encoders)
            for config, pictures in zip(SIZES[self.size], self.pictures, strict=True)
        ]
        return baselines.trainings(name, stages, self.runs)


PRESETS = {
    "cub": BaselinesConfig(),
    "tiny": BaselinesConfig(
        pictures=(480, 240),
        size="tiny",
        corpus=Path("data/tiny.h5"),
        damsm=Path("runs/tiny-damsm/best.safetensors"),
        sen=Path("runs/tiny-sen/best.safetensors"),
        text_free=Path("runs/tiny-damsm-free/best.safetensors"),
        runs=Path("runs/tiny-baselines"),
        output=Path("runs/tiny-baselines/shipped"),
    ),
}


def main(arguments: list[str]) -> None:
    """Train the rows that the command line asks for."""
    train(cli.parse(BaselinesConfig, PRESETS, arguments, description="Train every row of the table of results."))


def train(config: BaselinesConfig) -> list[Path]:
    """Train the rows and write what evaluation reads of them; returns those files.

    Raises:
        InputError: for a missing or damaged encoder or corpus, or a folder of another run.
    """
    from attngan.networks.generator import GENERATOR_KIND  # torch, which --help need not wait for
    from attngan.runtime import checkpoint
    from s2i.model.speech_encoder import SPEECH_KIND, load_speech_encoder

    make_folder(config.output)
    write_text(config.runs / "config.json", cli.as_json(config))
    written = []
    for name in config.rows:
        for stage in config.trainings(name):
            print(f"{name}: {stage.run}, {stage.pictures} pictures", flush=True)
            weights = train_gan.train(stage)
        state, description = checkpoint.load(weights, GENERATOR_KIND)
        description["budget_pictures"] = sum(config.pictures)
        written.append(config.output / f"{name}.safetensors")
        checkpoint.save(written[-1], halve(state), portable(description))
        if baselines.TRAINED[name].text_free:
            load_speech_encoder(config.text_free)
            state, description = checkpoint.load(config.text_free, checkpoint.kind_of(config.text_free))
            description["kind"] = f"{SPEECH_KIND}-weights"
            written.append(config.output / f"{name}-speech.safetensors")
            checkpoint.save(written[-1], halve({"caption": state["caption"]}), portable(description))
    return written


if __name__ == "__main__":
    cli.run(main)
