#!/usr/bin/env python
"""Measures this project side by side with the published way of doing the same, and how its cost grows.

    scripts/bench.sh                                      # everything; an hour on 2 cores
    scripts/bench.sh --only train_256,latency_512         # some rows
    scripts/bench.sh --quick --json outputs/bench.json    # small networks, to see that it runs

Every figure is a median over rounds in which the two sides take turns, each in a process of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `python scripts/bench.py` from anywhere

from datasets import cli
from datasets.errors import InputError
from datasets.files import write_text
from scripts.benchmark import ablation, growing, measuring, page
from scripts.benchmark.rows import EXAMPLE, ROWS

PUBLISHED = {"pictures_per_second": 1.09, "memory_mb": 5_100, "machine": "2 cores"}  # at 256 px, batch 8
COLD = "from s2i import SpeechToImage; SpeechToImage.load()({!r}).save({!r}, 'bird')"


@dataclass(frozen=True)
class BenchConfig:
    """What is measured."""

    only: str = ""
    """Rows to measure, with commas between them; all without it."""
    json: Path | None = None
    """File for the figures; rows that it holds from before and that are not measured now are kept."""
    page: Path | None = None
    """Page to put the tables into, such as pretrained/speed.md."""
    quick: bool = False
    """Small networks and one round: whether it runs, not how fast."""
    rounds: int = 5
    """Rounds, each of two calls of each side."""
    threads: int = 0
    """CPU threads; 0 leaves it to torch."""

    def __post_init__(self) -> None:
        for name in self.names:
            cli.check_choice("only", name, NAMES)
        cli.check_range("rounds", self.rounds, 1, 100)
        cli.check_range("threads", self.threads, 0, 1024)

    @property
    def names(self) -> list[str]:
        """The rows to measure."""
        return [name.strip() for name in self.only.split(",")] if self.only else list(NAMES)

    @property
    def how(self) -> dict[str, Any]:
        """How each of them is measured."""
        return {"rounds": 1 if self.quick else self.rounds, "threads": self.threads, "quick": self.quick}


def cold_start(config: BenchConfig) -> dict[str, Any]:
    """Seconds from a new interpreter to the first picture of the shipped model, files cached; torch alone beside it."""
    with tempfile.TemporaryDirectory() as folder:
        sides = {"ours": COLD.format(str(EXAMPLE), folder), "reference": "import torch"}
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(2 if config.quick else config.rounds + 1):
            for side, code in sides.items():
                begin = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], check=True, cwd=cli.repository())
                seconds[side].append(time.perf_counter() - begin)
    ours, torch_alone = (statistics.median(times[1:]) for times in seconds.values())  # the first fills the cache
    return {"ours": ours, "reference": torch_alone, "ratio": torch_alone / ours, "unit": "s"}


def cost_table(config: BenchConfig) -> dict[str, Any]:
    """How cost grows."""
    from scripts.benchmark import cost

    how = {**config.how, "rounds": 1 if config.quick else 3}
    return cost.table(lambda point: measuring.alone({"point": point}, **how), config.quick)


def ablation_table(config: BenchConfig) -> dict[str, Any]:
    """What each part of the step brings."""
    return ablation.table(**config.how)


def growing_table(config: BenchConfig) -> dict[str, Any]:
    """What one stage after the other saves."""
    return growing.table(**config.how)


OTHERS: dict[str, Callable[[BenchConfig], dict[str, Any]]] = {
    "cold_start": cold_start,
    "growing": growing_table,
    "ablation": ablation_table,
    "cost": cost_table,
}
NAMES = (*ROWS, *OTHERS)


def main(arguments: list[str]) -> None:
    """Measure what the command line asks for."""
    bench(cli.parse_tool(BenchConfig, arguments, description=(__doc__ or "").split("\n")[0]))


def bench(config: BenchConfig) -> dict[str, Any]:
    """Measure, print each row as it comes, write the JSON file after each; returns all figures.

    Raises:
        InputError: if a side ends early, as for want of memory.
    """
    found: dict[str, Any] = {}
    if config.json is not None and config.json.is_file():
        try:
            found = dict(json.loads(config.json.read_text(encoding="utf-8")))
        except ValueError as error:
            raise InputError(f"{config.json}: damaged ({error}); remove it") from error
    for name in config.names:
        found[name] = OTHERS[name](config) if name in OTHERS else measuring.compare(name, **config.how)
        if name == "train_256" and not config.quick:
            row = found[name]
            two_cores = 2 * row["batch"] / row["processor_seconds"]["reference"]  # of which nothing else wants a share
            near = {"pictures_per_second": row["reference"] / 1.09, "on_two_idle_cores": two_cores / 1.09}
            near["memory"] = row["reference_memory_mb"] / 5_100
            row["published"], row["reference_over_published"] = PUBLISHED, near
        if {"loader", "train_256"} <= set(found):
            found["loader"]["times_the_step"] = found["loader"]["ours"] / found["train_256"]["ours"]
        print(as_text(name, found[name]), flush=True)
        now = meta(config)
        taken = {name: {key: now[key] for key in ("threads", "commit", "load")}}  # of rows from different calls
        found["meta"] = {**now, "taken": {**found.get("meta", {}).get("taken", {}), **taken}}
        if config.json is not None:
            write_text(config.json, json.dumps(found, indent=2) + "\n")
    if config.page is not None:
        page.write(config.page, found)
    return found


def meta(config: BenchConfig) -> dict[str, Any]:
    """What the figures were measured on."""
    from attngan.runtime.machine import environment

    about = environment()
    import torch

    versions = {name: version(name) for name in ("torch", "torchvision", "numpy", "h5py", "lightning-fabric")}
    return {
        "machine": f"{about['machine']}, {processor()}",
        "threads": config.threads or torch.get_num_threads(),
        "versions": {"python": about["python"], **versions},
        "commit": about["commit"],
        "command": about["command"],
        "load": os.getloadavg()[0],  # of the machine: well above its cores where something else was running
        "quick": config.quick,
    }


def processor() -> str:
    """The name of the processor, where the system tells it."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags.split()]
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")
    return f"{name} ({', '.join(known)})"


def as_text(name: str, row: dict[str, Any]) -> str:
    """One row for people."""
    if "unit" in row:
        text = f"{name}: {row['ours']:.3g} {row['unit']}, reference {row['reference']:.3g}, {row['ratio']:.2f} times"
        if "processor_ratio" in row:
            text += f" ({row['processor_ratio']:.2f} in processor time)"
        if "ours_memory_mb" in row:
            text += f"; {row['ours_memory_mb']:,} MB, reference {row['reference_memory_mb']:,} MB"
        if near := row.get("reference_over_published"):
            text += f"; the reference has {near['pictures_per_second']:.2f} of the published pictures/s"
            text += f" ({near['on_two_idle_cores']:.2f} by processor time) and {near['memory']:.2f} of its memory"
        return text
    lines = [f"{name}:"]
    for part, value in row.items():
        lines.append(
            f"  {part}: " + json.dumps(value if "rows" not in value else {"growth": round(value["growth"], 2)})
        )
        for point in value.get("rows", ()):
            seconds, memory = point["seconds_per_picture"], point["memory_mb_per_picture"]
            sizes = (
                f"{point['side']} px, batch {point['batch']}, {point['stages']} stages, {point['segments']} segments"
            )
            lines.append(f"    {sizes}: {seconds:.3g} s, {memory:.0f} MB a picture")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
