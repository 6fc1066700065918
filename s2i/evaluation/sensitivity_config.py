"""The options of damaging photographs to see which measure notices; no torch, so that `--help` answers at once."""

from dataclasses import dataclass
from pathlib import Path

from datasets import cli
from datasets.errors import InputError

FEWEST = 20  # photographs, half of which are damaged
MEASURES = {  # name in the results: heading, whether more is better
    "bird_share": ("birds, %", True),
    "observer_inception_score": ("IS, observer", True),
    "observer_fid": ("FID, observer", False),
    "observer_kid": ("KID x 1000, observer", False),
    "classifier_inception_score": ("IS, classifier", True),
    "classifier_fid": ("FID, classifier", False),
    "classifier_kid": ("KID x 1000, classifier", False),
}


@dataclass(frozen=True)
class SensitivityConfig:
    """What is damaged, and what looks."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, whose test photographs are taken."""
    evaluators: Path = cli.repository() / "pretrained/evaluators"
    """Folder of classifier and head, made by scripts/train_evaluators.sh."""
    model: Path = cli.repository() / "pretrained"
    """Folder of the model that paints the captions of the damaged photographs, for a row to compare with."""
    resolution: int = 128
    """Pixels of a side that the photographs are reduced to first."""
    photographs: int = 0
    """How many test photographs; one half is damaged, the other what it is compared with; 0 for all."""
    output: Path = Path("outputs/measures.json")
    """Where the figures go; a page and a picture of the kinds of damage go beside it."""
    seed: int = 0
    """Of the choice and of the damage."""

    def __post_init__(self) -> None:
        cli.check_range("resolution", self.resolution, 32, 1024)
        cli.check_range("photographs", self.photographs, 0)
        if 0 < self.photographs < FEWEST:
            raise InputError(f"--photographs {self.photographs}: out of range; give at least {FEWEST}, or 0 for all")
        cli.check_range("seed", self.seed, 0)
