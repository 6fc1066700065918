"""What is compared: names, units and sizes; without torch, which the command itself does not need."""

from dataclasses import dataclass
from typing import Any

from datasets.cli import repository

EXAMPLE = repository() / "pretrained" / "examples" / "red-head-black-wings.flac"
OURS, REFERENCE = "ours", "reference"


@dataclass(frozen=True)
class Row:
    """A comparison.

    Attributes:
        unit: "pictures/s", of which more is better, or "s" for a picture.
        batch, quick_batch: pictures in a call, in a full and in a quick run.
        options: of both sides.
    """

    unit: str
    batch: int
    quick_batch: int
    options: dict[str, Any]


ROWS = {
    "train_256": Row("pictures/s", 8, 2, {"kind": "train", "side": 256, "quick_side": 64}),
    "train_512": Row("pictures/s", 4, 2, {"kind": "train", "side": 512, "quick_side": 128}),
    "train_512_grown": Row("pictures/s", 4, 2, {"kind": "train", "side": 512, "quick_side": 128, "grown": True}),
    "damsm_step": Row("pictures/s", 48, 2, {"kind": "damsm"}),
    "sen_step": Row("pictures/s", 48, 2, {"kind": "sen"}),
    "latency_512": Row("s", 1, 1, {"kind": "paint"}),
    "latency_512_shipped": Row("s", 1, 1, {"kind": "paint", "shipped": True}),
    "throughput_512": Row("s", 16, 2, {"kind": "paint"}),
    "throughput_512_shipped": Row("s", 16, 2, {"kind": "paint", "shipped": True}),
    "loader": Row("pictures/s", 8, 2, {"kind": "loader", "side": 256, "quick_side": 64}),
}
