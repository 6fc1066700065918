"""What each part of the training step brings: the step at 256 px with one part taken away, beside the whole step."""

import statistics
from typing import Any

from scripts.benchmark.measuring import Worker

WITHOUT: dict[str, dict[str, Any]] = {  # each of what makes the step cheap, taken away
    "bf16": {"precision": "32-true"},
    "channels_last": {"channels_last": False},
    "narrow_discriminators": {"discriminator_widths": (64,), "discriminator_max_width": 8192},
    "small_image_encoder": {"trunk": "inception"},
}
BEYOND: dict[str, dict[str, Any]] = {  # what quality is paid for with
    "feature_discriminator": {"feature_width": 0},
    "affine": {"affine": False},
}


def table(*, rounds: int, threads: int, quick: bool) -> dict[str, Any]:
    """For each part: seconds of the step without it over seconds of the step with it, measured in turns."""
    found: dict[str, Any] = {}
    for name, changes in {**WITHOUT, **BEYOND}.items():
        if quick and name != "bf16":
            continue
        order = {"ablation": changes, "threads": threads, "quick": quick}
        workers = [Worker({**order, "ablation": {}}), Worker(order)]
        try:
            for worker in workers:
                worker.answer()
            seconds: list[list[float]] = [[], []]
            processor: list[list[float]] = [[], []]
            for _ in range(rounds):
                for number, worker in enumerate(workers):
                    told = worker.ask("round 1")
                    seconds[number] += told["seconds"]
                    processor[number] += told["processor"]
            memory = [worker.end() for worker in workers]
        finally:
            for worker in workers:
                worker.stop()
        (whole, without), (worked, toiled) = (map(statistics.median, times) for times in (seconds, processor))
        found[name] = {
            "times_faster": without / whole,
            "processor": toiled / worked,
            "memory_mb": round(memory[0]),
            "without_mb": round(memory[1]),
        }
    return found
