"""The options of an evaluation; no torch is imported for them, so that `--help` answers at once."""

from dataclasses import dataclass
from pathlib import Path

from attngan.runtime.training_options import PRECISIONS, SINGLE
from datasets import cli
from datasets.errors import InputError
from s2i.evaluation import baselines


@dataclass(frozen=True)
class EvaluateConfig:
    """What is scored, on what, and by what."""

    models: str = ",".join(baselines.NAMES)
    """Rows of the table, separated by commas; empty for no table, only what else is asked for."""
    samples: int = 0
    """Test captions to paint; 0 for all."""
    draws: int = 1
    """Times that each caption is painted, with other noise; the Frechet distance is the mean over them."""
    splits: int = 10
    """Splits of the Inception Score."""
    resolution: int = 128
    """Side in px of the stage that is scored, the same of all models."""
    noise_samples: int = 200
    """Recordings of each condition in which direct and transcribed are compared; 0 leaves the comparison out."""
    full_size: int = 0
    """Recordings that the shipped model paints in all sizes, to score the largest and show its details; 0 for none."""
    grid: int = 40
    """How many of those to show."""
    seed: int = 0
    """Of everything random."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu or cuda."""
    precision: str = SINGLE
    """32-true, as scripts/generate.sh paints, or bf16-mixed, which is faster on some machines."""
    folder: Path | None = None
    """Folder of pictures that another model made, to be scored alone."""
    table: Path | None = None
    """CSV of those pictures: image, and caption or recording or both; without it only quality is scored."""
    real: Path | None = None
    """What FID and KID of --folder compare with: a folder of real pictures, or an .npz with mu and sigma, as DF-GAN and
    pytorch-fid save them (--inception, and FID alone); by default the photographs of CUB."""
    corpus: Path = Path("data/cub.h5")
    """The corpus whose test split is painted; not needed for --folder."""
    model: Path = cli.repository() / "pretrained"
    """Folder of the shipped model."""
    baselines: Path = cli.repository() / "pretrained/baselines"
    """Folder of the other rows, made by scripts/train_baselines.sh."""
    evaluators: Path = cli.repository() / "pretrained/evaluators"
    """Folder of classifier, judge and statistics, made by scripts/train_evaluators.sh."""
    text_free: Path = Path("runs/damsm-free/best.safetensors")
    """Text-free DAMSM, for its retrieval; left out of that block where it is missing."""
    synthetic: Path = Path("runs/drawn/drawn.json")
    """What scripts/measure_drawn.sh measured on synthetic birds; left out of the results where it is missing."""
    inception: Path | None = None
    """The ImageNet weights of pytorch-fid (pt_inception-2015-12-05-6726825d.pth), for the literature's FID."""
    bird_inception: Path | None = None
    """State dict of torchvision's inception_v3 tuned on birds, for the literature's Inception Score."""
    bird_background: bool = False
    """Whether the first class of those bird weights is a background that is left out, as in StackGAN's own."""
    recogniser: Path | None = None
    """Recogniser of the row transcribe: a folder with one, or with Whisper, or `whisper`, which
    requirements-whisper.txt installs. By default one is learnt from the corpus, and where Whisper is installed, it has
    the row transcribe_whisper."""
    work: Path = Path("outputs/evaluation")
    """Folder of results so far: the same command goes on from them."""
    output: Path | None = None
    """Where the results go, by default results.json in --work, or folder-NAME.json of a --folder NAME; page, pictures
    and curves go beside it. pretrained/results.json is that of the README."""

    def __post_init__(self) -> None:
        baselines.check(self.names)
        for name in ("samples", "noise_samples", "full_size", "seed"):
            cli.check_range(name, getattr(self, name), 0)
        cli.check_range("grid", self.grid, 1)
        cli.check_choice("precision", self.precision, PRECISIONS)
        cli.check_range("draws", self.draws, 1, 100)
        cli.check_range("splits", self.splits, 1, 1000)
        if 0 < self.samples < max(2, self.splits):
            raise InputError(f"--samples {self.samples}: fewer than --splits {self.splits}; give more samples")
        if self.table is not None and self.folder is None:
            raise InputError(f"--table {self.table}: describes the pictures of --folder; give that as well")
        if self.real is not None and self.folder is None:
            raise InputError(f"--real {self.real}: is what --folder is compared with; give that as well")

    @property
    def results(self) -> Path:
        """The file of the results."""
        if self.output is not None:
            return self.output
        return self.work / ("results.json" if self.folder is None else f"folder-{self.folder.resolve().name}.json")

    @property
    def names(self) -> tuple[str, ...]:
        """The rows that are asked for."""
        return tuple(name.strip() for name in self.models.split(",") if name.strip())
