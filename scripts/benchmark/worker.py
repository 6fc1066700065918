"""A process that holds one side of a comparison, so that its memory is its own; it works when it is told to.

It prints a line when it is ready and after each word that it reads: `round N` times N calls, `end` tells the memory.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from scripts.benchmark import cost, sides


def peak_memory() -> float:
    """The most memory that this process had, in MB: on the GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return _status("VmHWM")


def resident_memory() -> float:
    """What it has now, in MB."""
    return torch.cuda.memory_allocated() / 2**20 if torch.cuda.is_available() else _status("VmRSS")


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def seconds_of(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """How long a call takes, with what a GPU still has to do for it; its processor time; and what it gives."""
    begin, processor = time.perf_counter(), time.process_time()
    found = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, time.process_time() - processor, found


def main(arguments: list[str]) -> None:
    """Hold the side that the arguments, one line of JSON, describe."""
    order = json.loads(arguments[0])
    say = os.fdopen(os.dup(sys.stdout.fileno()), "w")  # what others print must not be taken for an answer
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if order["threads"]:
        torch.set_num_threads(order["threads"])

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=say, flush=True)

    before = 0.0
    if "point" in order:
        call: Callable[[], Any] = cost.make(**order["point"])
        before = resident_memory()
    elif "preset" in order:
        from scripts.benchmark.ours import StageTraining

        call = StageTraining(order["preset"], together=order["together"])
        before = resident_memory()
    elif "ablation" in order:
        from scripts.benchmark.ours import GanTraining

        side, size = (64, 2) if order["quick"] else (256, 8)
        call = GanTraining(side, size, order["quick"], **order["ablation"])
    else:
        call = sides.make(order["name"], order["side"], order["quick"])
    seconds_of(call)  # the first call reads and compiles
    answer(ready=True)
    for line in sys.stdin:
        word, _, count = line.strip().partition(" ")
        if word == "end":
            break
        times: list[float] = []
        processor: list[float] = []
        parts: dict[str, float] = {}
        for _ in range(int(count)):
            seconds, worked, found = seconds_of(call)
            times.append(seconds)
            processor.append(worked)
            parts = found or {}
        answer(seconds=times, processor=processor, parts=parts)
    answer(memory_mb=peak_memory() - before)


if __name__ == "__main__":
    main(sys.argv[1:])
