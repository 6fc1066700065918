"""What the shipped recipe saves by training one stage after the other instead of all four from the start."""

from typing import Any

from scripts.benchmark import measuring

STAGES = ("cpu-64", "cpu-128", "cpu-128-both", "cpu-256", "cpu-512")  # presets of s2i.train_gan
TOGETHER = "together"


def table(*, rounds: int, threads: int, quick: bool) -> dict[str, Any]:
    """Pictures/s of each stage on top of the frozen others, and of all four training together, same widths and batch.

    `hours` are those of the presets' budgets; together, all pictures of all stages pass through all four.
    """
    from s2i.train_gan import PRESETS

    found: dict[str, Any] = {}
    for name in STAGES[:1] if quick else (*STAGES, TOGETHER):
        config = PRESETS[STAGES[-1] if name == TOGETHER else name]
        order = {"preset": STAGES[-1] if name == TOGETHER else name, "together": name == TOGETHER}
        seconds, _, memory = measuring.alone(order, rounds=rounds, threads=threads, quick=quick)
        pictures = sum(PRESETS[stage].pictures for stage in STAGES) if name == TOGETHER else config.pictures
        found[name] = {
            "pictures_per_second": config.batch_size / seconds,
            "memory_mb": round(memory),
            "pictures": pictures,
            "hours": pictures * seconds / config.batch_size / 3600,
        }
    if TOGETHER in found:
        grown = sum(found[name]["hours"] for name in STAGES)
        found["saved"] = {"grown_hours": grown, "ratio": found[TOGETHER]["hours"] / grown}
    return found
