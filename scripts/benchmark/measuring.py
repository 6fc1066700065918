"""Measuring: two processes that take turns, so that whatever else the machine does disturbs both alike."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from datasets.cli import repository
from datasets.errors import InputError
from scripts.benchmark.rows import OURS, REFERENCE, ROWS


class Worker:
    """A process of `worker.py`; `order` says what it holds."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        environment = {**os.environ, "PYTHONPATH": str(repository())}
        if order["threads"]:
            environment["OMP_NUM_THREADS"] = str(order["threads"])
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.benchmark.worker", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
            cwd=repository(),
        )

    def answer(self) -> dict[str, Any]:
        """Its next line.

        Raises:
            InputError: if it ended instead, as for want of memory.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.errors.seek(0)
            told = " ".join(self.errors.read().strip().splitlines()[-1:])
            raise InputError(f"{self.order}: ended with code {code} ({told}); it may need more memory")
        return dict(json.loads(line))

    def ask(self, line: str) -> dict[str, Any]:
        """What it answers to a line."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)
        return self.answer()

    def end(self) -> float:
        """Let it end; its peak memory in MB."""
        memory = float(self.ask("end")["memory_mb"])
        self.process.wait()
        return memory

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.wait()


def compare(name: str, *, rounds: int, threads: int, quick: bool) -> dict[str, Any]:
    """One row of the bench: medians over `rounds` rounds of two calls each, the two sides in turn.

    `ratio` is how many times better ours is, whatever the unit; `processor_ratio` the same in processor time, which
    counts where the machine had something else to do as well (and means nothing on a GPU).
    """
    row = ROWS[name]
    size = row.quick_batch if quick else row.batch
    workers = {
        side: Worker({"name": name, "side": side, "threads": threads, "quick": quick}) for side in (OURS, REFERENCE)
    }
    try:
        for worker in workers.values():
            worker.answer()
        seconds: dict[str, list[float]] = {OURS: [], REFERENCE: []}
        processor: dict[str, list[float]] = {OURS: [], REFERENCE: []}
        parts: list[dict[str, float]] = []
        for number in range(rounds):
            for side in (OURS, REFERENCE) if number % 2 == 0 else (REFERENCE, OURS):
                told = workers[side].ask(f"round {1 if quick else 2}")
                seconds[side] += told["seconds"]
                processor[side] += told["processor"]
                parts += [told["parts"]] if told["parts"] else []
        memory = {side: worker.end() for side, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.stop()
    middle = {side: statistics.median(times) for side, times in seconds.items()}
    found: dict[str, Any] = {
        side: middle[side] / size if row.unit == "s" else size / middle[side] for side in (OURS, REFERENCE)
    }
    found["ratio"] = middle[REFERENCE] / middle[OURS]
    worked = {side: statistics.median(times) for side, times in processor.items()}
    found["processor_ratio"] = worked[REFERENCE] / worked[OURS]
    found["processor_seconds"] = worked
    found["unit"] = row.unit
    found |= {f"{side}_memory_mb": round(memory[side]) for side in memory}
    found["batch"] = size
    found["epsilon"] = {side: [min(times) / middle[side], max(times) / middle[side]] for side, times in seconds.items()}
    if parts:
        found["reference_seconds"] = {part: statistics.median(p[part] for p in parts) for part in parts[0]}
    return found


def alone(order: dict[str, Any], *, rounds: int, threads: int, quick: bool) -> tuple[float, float, float]:
    """Of one thing to measure the median seconds of a call, its processor time, and the MB beside the networks."""
    worker = Worker({**order, "threads": threads, "quick": quick})
    try:
        worker.answer()
        told = worker.ask(f"round {rounds}")
        return statistics.median(told["seconds"]), statistics.median(told["processor"]), worker.end()
    finally:
        worker.stop()
