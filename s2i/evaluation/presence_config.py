"""The options of the calibration of the measure of speech; no torch is imported for them, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path

from datasets import cli


@dataclass(frozen=True)
class PresenceConfig:
    """What is learnt from, what is measured on, and where it goes."""

    ravdess: Path = Path("data/ravdess")
    """Folder with Actor_01 to Actor_24 of RAVDESS's speech: people, of whom the last eight only measure. The
    environment variable RAVDESS_ROOT is the default if it is set."""
    corpus: Path = Path("data/cub.h5")
    """Corpus whose captions the installed voices speak; those of training and validation are learnt from."""
    people: int = 500
    """Recordings of people to learn from; half as many measure."""
    captions: int = 24
    """Captions that each voice speaks."""
    sounds: int = 120
    """Sounds of each kind without speech to learn from; half as many measure."""
    found: Path | None = None
    """Folder of recordings to measure on besides: FOLDER/speech/KIND/* and FOLDER/other/KIND/*; a FOLDER/README that
    says where they come from is put into the page."""
    hidden: int = 24
    """Units of the network."""
    steps: int = 500
    """Of training."""
    false_alarms: float = 1.0
    """Percent of the speech learnt from, heard by networks that did not learn from who speaks, that is called none."""
    margin: float = 0.0
    """How far below that, in log-odds, the threshold lies: microphones and people differ more than those learnt from,
    and what is no speech mostly lies much lower."""
    seed: int = 0
    """Of everything random."""
    output: Path = Path("outputs/presence")
    """Folder of speech-presence.safetensors, its figures (.json) and a page of them. The shipped one is pretrained."""

    def __post_init__(self) -> None:
        cli.check_range("people", self.people, 10, 10_000)
        cli.check_range("captions", self.captions, 1, 1000)
        cli.check_range("sounds", self.sounds, 4, 10_000)
        cli.check_range("seed", self.seed, 0)
        cli.check_range("hidden", self.hidden, 1, 1000)
        cli.check_range("steps", self.steps, 10, 100_000)
        cli.check_range("false_alarms", self.false_alarms, 0, 10)
        cli.check_range("margin", self.margin, 0, 20)
