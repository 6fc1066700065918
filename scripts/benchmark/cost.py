"""How cost grows with the work: time and memory of a picture over side, batch, stages and segments, one at a time."""

import math
from collections.abc import Callable
from typing import Any

import torch

from attngan.networks.condition import DIMENSION, Condition
from attngan.networks.generator import Generator

PAINT, TRAIN = "paint", "train"
BASE = {"side": 128, "batch": 4, "stages": 2, "segments": 16}
SWEEPS: dict[str, dict[str, list[int]]] = {
    PAINT: {
        "side": [64, 128, 256, 512, 1024],
        "batch": [1, 4, 16, 64],
        "stages": [1, 2, 3, 4],
        "segments": [8, 16, 32, 64],
    },
    TRAIN: {
        "side": [64, 128, 256, 512],
        "batch": [2, 4, 8, 16, 32],
        "stages": [1, 2, 3, 4],
        "segments": [8, 16, 32, 64],
    },
}
QUICK = {PAINT: {"side": [64, 128]}, TRAIN: {"batch": [2, 4]}}
TOLERANCE = 1.15  # of growth: times measured on a busy machine scatter


def points(kind: str, quick: bool) -> dict[str, list[dict[str, int]]]:
    """The points of each sweep; sides begin at 64 px and double with each stage, stages end at 256 px."""
    found: dict[str, list[dict[str, int]]] = {}
    for name, values in (QUICK if quick else SWEEPS)[kind].items():
        found[name] = [dict(BASE, **{name: value}) for value in values]
        for point in found[name]:
            if name == "side":
                point["stages"] = point["side"].bit_length() - 6
            if name == "stages":
                point["side"] = 256
    return found


def make(kind: str, side: int, batch: int, stages: int, segments: int, quick: bool) -> Callable[[], Any]:
    """A call that paints or trains at one point, at the published generator width."""
    torch.manual_seed(0)
    base = side >> (stages - 1)
    sizes = {"widths": (8,), "blocks": (1,)} if quick else {"widths": (32,), "blocks": (2,)}
    if kind == TRAIN:
        from scripts.benchmark.ours import GanTraining

        # 80 ms a frame, 3 frames a segment; from 32 on, frames are shared out among 32 segments
        return GanTraining(side, batch, quick, stages=stages, base=base, frames=segments * 24)
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = Generator(stages=stages, base=base, **sizes).eval().requires_grad_(False)  # type: ignore[arg-type]
    generator.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    words, sentence = torch.randn(batch, DIMENSION, segments), torch.randn(batch, DIMENSION)
    condition = Condition(sentence, words, torch.ones(batch, segments).bool()).to(place)
    noise = torch.randn(batch, generator.noise, device=place)

    def paint() -> None:
        with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16):
            generator(condition, noise)

    return paint


def growth(name: str, points_: list[dict[str, int]], seconds: list[float]) -> tuple[float, float]:
    """How a sweep grows, as the exponent of pixels x batch, or of the swept number where those stay.

    Returns:
        from the first point to the last, and the steepest between two neighbours.
    """

    def exponent(first: int, last: int) -> float:
        p1, p2 = (points_[k] for k in (first, last))
        times = p2["side"] ** 2 * p2["batch"] / (p1["side"] ** 2 * p1["batch"])
        return math.log(seconds[last] / seconds[first]) / math.log(times if times != 1 else p2[name] / p1[name])

    end = len(points_) - 1
    return exponent(0, end), max(exponent(k, k + 1) for k in range(end))


def table(measure: Callable[[dict[str, Any]], tuple[float, float, float]], quick: bool) -> dict[str, Any]:
    """The whole table: for each kind and sweep its rows and how it grows.

    Args:
        measure: seconds, processor time and MB of a point. Growth is that of processor time, which scatters less.
    """
    found: dict[str, Any] = {}
    for kind in (PAINT, TRAIN):
        for name, chosen in points(kind, quick).items():
            rows = []
            for point in chosen:
                seconds, processor, memory = measure({"kind": kind, "quick": quick, **point})
                each = [value / point["batch"] for value in (seconds, memory)]
                costs = {"seconds_per_picture": each[0], "memory_mb_per_picture": each[1], "processor": processor}
                rows.append({**point, **costs})
            overall, steepest = growth(name, chosen, [row["processor"] for row in rows])
            found[f"{kind}_{name}"] = {
                "rows": rows,
                "growth": overall,
                "steepest": steepest,
                "linear_at_most": overall <= TOLERANCE,
            }
    return found
